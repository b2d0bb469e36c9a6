//! Providers that copy a dialect of another's, as rows of a table: where each differs is a flag.
//!
//! # Layout
//!
//! - `table`: the rows.
//! - `openai`: which of OpenAI's models reason, and what they refuse while they do.

mod openai;
mod table;

pub(crate) use openai::Sampling;

use crate::api::Dialect;
use crate::neutral::{Effort, Param};

/// A provider as its public documentation describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vendor {
    /// Its name in config and in the catalogue.
    pub name: &'static str,
    /// Where its API is.
    pub base_url: &'static str,
    /// What it speaks.
    pub dialect: Dialect,
    /// Where it differs from the dialect's maker.
    pub quirks: Quirks,
}

/// Where an OpenAI-compatible provider differs. The default is a provider of which nothing is known: what most take is
/// sent, what few take is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a flag set, a row of the table sets few")]
pub struct Quirks {
    /// Knows `max_completion_tokens` and, for its reasoning models, only that.
    pub completion_tokens: bool,
    /// Knows the role `developer`; others get `system`.
    pub developer_role: bool,
    /// Takes `stream_options`; others send a stream's usage unasked or refuse the field.
    pub stream_usage: bool,
    /// Calls the tool choice `required` `any`.
    pub tool_choice_any: bool,
    /// Call ids are nine letters or digits.
    pub nine_letter_ids: bool,
    /// Calls `seed` `random_seed`.
    pub random_seed: bool,
    /// Takes `response_format` of type `json_schema`; others get `json_object` and the schema as an instruction.
    pub json_schema: bool,
    /// Takes tools of type `custom`, tool choices of type `allowed_tools`, and `refusal` in past messages.
    pub custom_tools: bool,
    /// Message content is one string unless there are media in it.
    pub string_content: bool,
    /// Takes a speaker's `name` on messages.
    pub speaker_names: bool,
    /// Takes Anthropic's `cache_control` on parts and tools.
    pub cache_marks: bool,
    /// Fetches documents from an address in `file_data`.
    pub file_urls: bool,
    /// How it is told how hard to think.
    pub reasoning: Thinks,
    /// How it wants its past thinking back.
    pub reasoning_echo: Echo,
    /// Most texts in `stop`.
    pub max_stop: usize,
    /// Optional fields that it takes; others are left out and noted.
    pub fields: &'static [Param],
    /// Fields that no other dialect has and that it takes as they are.
    pub own: &'static [&'static str],
}

/// How a provider is told how hard to think. The words are those that it knows, least first; `none` among them turns
/// thinking off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinks {
    /// Not at all.
    Unasked,
    /// `"reasoning_effort":"high"`
    Effort(&'static [Effort]),
    /// `"reasoning":{"effort":"high"}` or `{"max_tokens":…}` or `{"enabled":…}` (OpenRouter).
    Object,
    /// `"thinking":{"type":"enabled"}`, and `"reasoning_effort"` beside it (DeepSeek).
    Switch(&'static [Effort]),
    /// `"chat_template_kwargs":{"enable_thinking":…}`, and `"reasoning_effort"` beside it (vLLM).
    Template(&'static [Effort]),
}

/// How a provider wants its past thinking back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// Not at all.
    Nothing,
    /// As `reasoning_content`, where the model called tools or has not ended its answer.
    Content,
    /// As `reasoning_details` with proofs (OpenRouter).
    Details,
}

impl Vendor {
    /// Whether its chat completions can be told not to be stored. Who is known to have no such field keeps nothing by it
    /// and may refuse it; of whom nothing is known may be OpenAI at another address.
    #[must_use]
    pub fn may_store(&self) -> bool {
        self.name == UNKNOWN.name || self.quirks.takes(Param::Store)
    }
}

impl Quirks {
    /// A provider of which nothing is known.
    pub const COMMON: Self = Self {
        completion_tokens: false,
        developer_role: false,
        stream_usage: true,
        tool_choice_any: false,
        nine_letter_ids: false,
        random_seed: false,
        json_schema: true,
        custom_tools: false,
        string_content: false,
        speaker_names: true,
        cache_marks: false,
        file_urls: false,
        reasoning: Thinks::Effort(&[Effort::Low, Effort::Medium, Effort::High]),
        reasoning_echo: Echo::Nothing,
        max_stop: 4,
        fields: table::USUAL,
        own: &["logit_bias"],
    };

    /// Whether it takes an optional field.
    #[must_use]
    pub fn takes(&self, param: Param) -> bool {
        self.fields.contains(&param)
    }
}

impl Default for Quirks {
    fn default() -> Self {
        Self::COMMON
    }
}

impl Thinks {
    /// The known word that is nearest to one, the harder one of two; `none` only for `none`.
    #[must_use]
    pub fn word(self, wanted: Effort) -> Option<Effort> {
        let (Self::Effort(words) | Self::Switch(words) | Self::Template(words)) = self else { return None };
        if wanted == Effort::None {
            return words.contains(&wanted).then_some(wanted);
        }
        let mut thinking = words.iter().copied().filter(|word| *word != Effort::None);
        let harder = thinking.clone().find(|word| *word >= wanted);
        harder.or_else(|| thinking.next_back())
    }
}

/// A provider of which nothing is known but its dialect.
pub const UNKNOWN: Vendor =
    Vendor { name: "", base_url: "", dialect: Dialect::OpenAiChat, quirks: Quirks::COMMON };

/// All that are known.
#[must_use]
pub const fn all() -> &'static [Vendor] {
    table::VENDORS
}

/// The provider of a name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Vendor> {
    table::VENDORS.iter().find(|vendor| vendor.name == name)
}

/// The provider whose API is at a host (without port), or at a host below its own, such as a region's.
#[must_use]
pub fn by_host(host: &str) -> Option<&'static Vendor> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    table::VENDORS.iter().find(|vendor| {
        let own = host_of(vendor.base_url);
        let domain = own.strip_prefix("api.").unwrap_or(own);
        // Local servers (Ollama, vLLM) are told by name only: anything may answer at localhost.
        own != "localhost" && (host == own || host.strip_suffix(domain).is_some_and(|sub| sub.ends_with('.')))
    })
}

fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_are_found_by_name_and_host() {
        assert_eq!(by_name("groq").unwrap().dialect, Dialect::OpenAiChat);
        assert_eq!(by_name("anthropic").unwrap().dialect, Dialect::Anthropic);
        assert_eq!(by_name("nobody"), None);
        for (host, name) in [
            ("api.openai.com", "openai"),
            ("eu.api.openai.com", "openai"),
            ("API.Groq.com", "groq"),
            ("openrouter.ai", "openrouter"),
            ("generativelanguage.googleapis.com", "gemini"),
            ("api.moonshot.cn", ""),
            ("localhost", ""),
            ("notopenai.com", ""),
            ("api.openai.com.example", ""),
        ] {
            assert_eq!(by_host(host).map_or("", |vendor| vendor.name), name, "{host}");
        }
    }

    #[test]
    fn every_row_is_sound() {
        for (at, vendor) in all().iter().enumerate() {
            assert!(all()[..at].iter().all(|other| other.name != vendor.name), "{}", vendor.name);
            assert!(
                vendor.base_url.starts_with("http") && !vendor.base_url.ends_with('/'),
                "{}",
                vendor.name
            );
            assert!(!vendor.name.is_empty() && vendor.quirks.max_stop > 0);
            if let Thinks::Effort(words) | Thinks::Switch(words) | Thinks::Template(words) =
                vendor.quirks.reasoning
            {
                assert!(words.is_sorted(), "{}", vendor.name);
            }
        }
    }

    #[test]
    fn the_nearest_word_is_the_harder_one() {
        let thinks = Thinks::Effort(&[Effort::None, Effort::Low, Effort::High]);
        for (wanted, word) in [
            (Effort::None, Effort::None),
            (Effort::Minimal, Effort::Low),
            (Effort::Medium, Effort::High),
            (Effort::Max, Effort::High),
        ] {
            assert_eq!(thinks.word(wanted), Some(word));
        }
        assert_eq!(Thinks::Effort(&[Effort::Low]).word(Effort::None), None);
        assert_eq!(Thinks::Object.word(Effort::Low), None);
    }
}
