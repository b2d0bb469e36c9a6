//! What was used, by class: tokens, and the units of what is not billed by tokens. The classes are disjoint: nothing is
//! counted twice.

use serde::{Deserialize, Serialize};

/// What a model call used. Each field is one [`Class`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Input text that no cache held.
    pub input: u64,
    /// Input that the provider's prompt cache held.
    pub cached_input: u64,
    /// Input written to the prompt cache for five minutes (or the provider's one term).
    pub cache_write_5m: u64,
    /// Input written to the prompt cache for an hour.
    pub cache_write_1h: u64,
    /// Output text.
    pub output: u64,
    /// Output spent on reasoning.
    pub reasoning: u64,
    /// Input audio.
    pub input_audio: u64,
    /// Output audio.
    pub output_audio: u64,
    /// Input images, in tokens.
    pub image: u64,
    /// Images that were made.
    pub images: u64,
    /// Audio that was heard, in seconds begun: the unit that prices are listed by. Finer ones would leave list prices
    /// that are no whole number of pico-dollars (a third of a thousandth of `0.00028333`).
    pub seconds: u64,
    /// Characters that were spoken: Unicode scalar values.
    pub characters: u64,
    /// What Cohere bills reranking by: a query with up to a hundred documents.
    pub search_units: u64,
    /// At which of the provider's service tiers.
    pub tier: ServiceTier,
}

/// A service tier that has prices of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum ServiceTier {
    /// The usual one, whatever the provider calls it.
    #[default]
    Ordinary,
    /// Slower and cheaper.
    Flex,
    /// Quicker and dearer.
    Priority,
    /// Hours later, and cheaper.
    Batch,
    /// Quicker still, and dearer.
    Ultrafast,
    /// Anthropic's `speed: fast`.
    Fast,
    /// Kept in the United States: Anthropic's `inference_geo: us`.
    Us,
    /// Both of these.
    FastUs,
    /// One that we know nothing of: not the usual price, but none.
    Unknown,
}

impl ServiceTier {
    /// The tier that a provider's reply names.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "" | "auto" | "default" | "standard" | "standard_only" | "on_demand" => Self::Ordinary,
            "flex" => Self::Flex,
            "priority" => Self::Priority,
            "batch" => Self::Batch,
            "ultrafast" => Self::Ultrafast,
            _ => Self::Unknown,
        }
    }

    /// The same at Anthropic, which has other words for what costs more. No price is known of two such things at once
    /// but of these two.
    #[must_use]
    pub(crate) const fn at_anthropic(self, is_fast: bool, is_us: bool) -> Self {
        match (self, is_fast, is_us) {
            (tier, false, false) => tier,
            (Self::Ordinary, true, false) => Self::Fast,
            (Self::Ordinary, false, true) => Self::Us,
            (Self::Ordinary, true, true) => Self::FastUs,
            _ => Self::Unknown,
        }
    }

    /// The tier that a reply names in a member `service_tier`.
    #[must_use]
    pub(crate) fn of(object: crate::json::Value<'_>) -> Self {
        let word = object.get("service_tier").and_then(|tier| tier.as_str());
        word.map_or(Self::Ordinary, |word| Self::parse(&word))
    }

    /// The name in the catalogue; `None` for the usual one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Ordinary => None,
            Self::Flex => Some("flex"),
            Self::Priority => Some("priority"),
            Self::Batch => Some("batch"),
            Self::Ultrafast => Some("ultrafast"),
            Self::Fast => Some("fast"),
            Self::Us => Some("us"),
            Self::FastUs => Some("fast-us"),
            Self::Unknown => Some("unknown"),
        }
    }
}

impl Usage {
    /// The classes that were used, with how much.
    pub fn lines(&self) -> impl Iterator<Item = (Class, u64)> + use<> {
        let usage = *self;
        Class::ALL.into_iter().map(move |class| (class, usage.of(class))).filter(|&(_, units)| units > 0)
    }

    /// The units of one class.
    #[must_use]
    pub const fn of(&self, class: Class) -> u64 {
        match class {
            Class::Input => self.input,
            Class::CachedInput => self.cached_input,
            Class::CacheWrite5m => self.cache_write_5m,
            Class::CacheWrite1h => self.cache_write_1h,
            Class::Output => self.output,
            Class::Reasoning => self.reasoning,
            Class::InputAudio => self.input_audio,
            Class::OutputAudio => self.output_audio,
            Class::Image => self.image,
            Class::Images => self.images,
            Class::Seconds => self.seconds,
            Class::Characters => self.characters,
            Class::SearchUnits => self.search_units,
        }
    }

    /// All tokens that went in.
    #[must_use]
    pub const fn total_input(&self) -> u64 {
        self.input
            .saturating_add(self.cached_input)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
            .saturating_add(self.input_audio)
            .saturating_add(self.image)
    }

    /// All tokens that came out.
    #[must_use]
    pub const fn total_output(&self) -> u64 {
        self.output.saturating_add(self.reasoning).saturating_add(self.output_audio)
    }
}

/// Who counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// The provider said so.
    Provider,
    /// The gateway counted.
    GatewayCount,
    /// The gateway guessed from bytes.
    Estimate,
}

impl Source {
    /// `provider`, `gateway-count`, `estimate`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::GatewayCount => "gateway-count",
            Self::Estimate => "estimate",
        }
    }
}

/// A class of tokens or of other units that may have a price of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the field of `Usage` of that name")]
pub enum Class {
    Input,
    CachedInput,
    CacheWrite5m,
    CacheWrite1h,
    Output,
    Reasoning,
    InputAudio,
    OutputAudio,
    Image,
    Images,
    Seconds,
    Characters,
    SearchUnits,
}

impl Class {
    /// Every class: tokens as they go in and come out, then other units.
    pub const ALL: [Self; 13] = [
        Self::Input,
        Self::CachedInput,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::Output,
        Self::Reasoning,
        Self::InputAudio,
        Self::OutputAudio,
        Self::Image,
        Self::Images,
        Self::Seconds,
        Self::Characters,
        Self::SearchUnits,
    ];

    /// The name in policies, config and the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "input.cached",
            Self::CacheWrite5m => "input.cache-write.5m",
            Self::CacheWrite1h => "input.cache-write.1h",
            Self::Output => "output",
            Self::Reasoning => "output.reasoning",
            Self::InputAudio => "input.audio",
            Self::OutputAudio => "output.audio",
            Self::Image => "image",
            Self::Images => "images",
            Self::Seconds => "audio.seconds",
            Self::Characters => "characters",
            Self::SearchUnits => "search-units",
        }
    }

    /// The inverse of [`Class::as_str`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// Whether it counts tokens.
    #[must_use]
    pub const fn is_token(self) -> bool {
        !matches!(self, Self::Images | Self::Seconds | Self::Characters | Self::SearchUnits)
    }

    /// Whether these tokens came out of the model.
    #[must_use]
    pub const fn is_output(self) -> bool {
        matches!(self, Self::Output | Self::Reasoning | Self::OutputAudio)
    }

    /// The class whose rate counts where this one has none: a provider that lists no price of its own for it bills it
    /// so. Audio has no such class: it is dearer by an order of magnitude. Nor has what is not tokens.
    #[must_use]
    pub const fn falls_back_to(self) -> Option<Self> {
        match self {
            Self::CachedInput | Self::CacheWrite5m | Self::CacheWrite1h | Self::Image => Some(Self::Input),
            Self::Reasoning => Some(Self::Output),
            Self::Input | Self::Output | Self::InputAudio | Self::OutputAudio => None,
            Self::Images | Self::Seconds | Self::Characters | Self::SearchUnits => None,
        }
    }
}
