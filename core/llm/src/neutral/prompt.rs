//! A request.

use super::Raw;
use super::content::{CacheTtl, Part};
use super::names::Names;
use super::param::Param;
use crate::vendor::Vendor;
use std::borrow::Cow;
use std::fmt;

/// A request for one reply.
#[derive(Clone, Default, PartialEq)]
pub struct Prompt<'a> {
    /// As the caller named it.
    pub model: Cow<'a, str>,
    /// What was said, in order; instructions stand where the caller put them.
    pub turns: Vec<Turn<'a>>,
    /// What the model may call.
    pub tools: Vec<Tool<'a>>,
    /// Whether and what it must call.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether it may call several at once.
    pub parallel_tools: Option<bool>,
    /// The form of the answer.
    pub format: Option<Format<'a>>,
    /// How hard to think.
    pub reasoning: Option<Reasoning<'a>>,
    /// Most tokens to write, thinking included.
    pub max_output: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<Cow<'a, str>>,
    /// How many answers; 0 and 1 mean one.
    pub choices: u64,
    /// Piece by piece.
    pub stream: bool,
    /// A JSON number, as it came; so are the next ones.
    pub temperature: Option<Raw<'a>>,
    /// See `temperature`.
    pub top_p: Option<Raw<'a>>,
    /// See `temperature`.
    pub top_k: Option<Raw<'a>>,
    /// See `temperature`.
    pub seed: Option<Raw<'a>>,
    /// See `temperature`.
    pub frequency_penalty: Option<Raw<'a>>,
    /// See `temperature`.
    pub presence_penalty: Option<Raw<'a>>,
    /// Log probabilities: of so many alternatives a token (0: only of the token itself).
    pub logprobs: Option<u64>,
    /// Who the caller's user is (`user`, `safety_identifier`, Anthropic's `metadata.user_id`).
    pub user: Option<Cow<'a, str>>,
    /// `auto`, `default`, `flex`, `priority`, `standard_only`.
    pub service_tier: Option<Cow<'a, str>>,
    /// `low`, `medium`, `high`.
    pub verbosity: Option<Cow<'a, str>>,
    /// Groups requests that share a prompt's beginning (`prompt_cache_key`).
    pub cache_key: Option<Cow<'a, str>>,
    /// The caller's labels, a JSON object (OpenAI's `metadata`).
    pub metadata: Option<Raw<'a>>,
    /// Whether the provider may keep the reply for later requests.
    pub store: Option<bool>,
    /// Whether it must be told to keep nothing, whatever the caller said.
    pub unstored: bool,
    /// Fields of the body that only the caller's dialect knows, in its words.
    pub rest: Vec<(Cow<'a, str>, Raw<'a>)>,
}

/// What one side said.
#[derive(Clone, PartialEq, Eq)]
pub struct Turn<'a> {
    /// Who. What tools answered stands in a user's turn as [`super::Content::Result`]; neighbouring messages that only
    /// hold results are one turn.
    pub role: Role,
    /// What.
    pub parts: Vec<Part<'a>>,
    /// A name for the speaker (OpenAI's `name`).
    pub name: Option<Cow<'a, str>>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the dialects' own words")]
pub enum Role {
    System,
    Developer,
    User,
    Assistant,
}

/// What the model may call.
#[derive(Clone, PartialEq, Eq)]
pub enum Tool<'a> {
    /// A function of the caller's.
    Function {
        /// Its name.
        name: Cow<'a, str>,
        /// What it does.
        description: Option<Cow<'a, str>>,
        /// JSON Schema of its arguments; `None`: it takes none.
        parameters: Option<Raw<'a>>,
        /// Whether arguments must fit the schema.
        strict: Option<bool>,
        /// A cache mark, as on parts.
        cache: Option<CacheTtl>,
    },
    /// A tool of the caller's that takes free text.
    Custom {
        /// Its name.
        name: Cow<'a, str>,
        /// What it does.
        description: Option<Cow<'a, str>>,
        /// `{"type":"grammar","syntax":…,"definition":…}`, as Responses has it, or `{"type":"text"}`.
        format: Option<Raw<'a>>,
    },
    /// A tool that the provider runs, or that only one dialect knows.
    Hosted {
        /// Its `type` there.
        kind: Cow<'a, str>,
        /// The whole declaration.
        json: Raw<'a>,
    },
}

/// Whether and what the model must call.
#[derive(Clone, PartialEq, Eq)]
pub enum ToolChoice<'a> {
    /// As it likes.
    Auto,
    /// Nothing.
    None,
    /// Something.
    Required,
    /// This one.
    Tool(Cow<'a, str>),
    /// Any of these, or none of them unless `required`.
    Allowed {
        /// Their names.
        names: Vec<Cow<'a, str>>,
        /// Whether it must call one.
        required: bool,
    },
}

/// The form of the answer.
#[derive(Clone, PartialEq, Eq)]
pub enum Format<'a> {
    /// Free text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// A name for it; Anthropic's and Gemini's have none.
        name: Option<Cow<'a, str>>,
        /// What it is.
        description: Option<Cow<'a, str>>,
        /// The schema.
        schema: Raw<'a>,
        /// Whether it must fit.
        strict: Option<bool>,
    },
}

/// How hard to think.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Reasoning<'a> {
    /// In words.
    pub effort: Option<Effort>,
    /// In tokens.
    pub budget: Option<u64>,
    /// Off, whatever the model's default (`thinking: disabled`, `effort: none`).
    pub off: bool,
    /// How to tell of it: `auto`, `concise`, `detailed`; Anthropic's and Gemini's callers who asked to see it: `auto`.
    pub summary: Option<Cow<'a, str>>,
}

/// How hard to think, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "OpenAI's own words")]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

/// What a body is encoded for.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The model name that the provider knows.
    pub model: &'a str,
    /// Most tokens that the plan lets it write.
    pub cap: Option<u64>,
    /// Most tokens that the model can write; 0 if unknown.
    pub output_limit: u64,
    /// What is special about the provider.
    pub vendor: &'a Vendor,
}

/// A body for a target.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// JSON.
    pub json: Vec<u8>,
    /// What the target does not know and was left out.
    pub dropped: Vec<Dropped>,
    /// How tools are called there.
    pub names: Names,
}

/// Something that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dropped {
    /// A field that each API has its own name for.
    Param(Param),
    /// A field or part in the caller's own words, such as `tools[web_search]`.
    Named(String),
}

/// Why a request cannot be said in a dialect at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Untranslatable {
    /// What cannot be said and what to do instead; never content.
    pub message: String,
    /// The field.
    pub param: Param,
}

impl Effort {
    /// All, least first.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max];

    /// OpenAI's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The inverse of [`Effort::as_str`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == word)
    }

    /// As a budget of thinking tokens, for models that take one.
    #[must_use]
    pub const fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal | Self::Low => 1_024,
            Self::Medium => 4_096,
            Self::High => 16_384,
            Self::Xhigh => 24_576,
            Self::Max => 32_768,
        }
    }

    /// The word for a budget.
    #[must_use]
    pub const fn of_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..=2_048 => Self::Low,
            2_049..=8_192 => Self::Medium,
            8_193..=20_000 => Self::High,
            20_001..=28_000 => Self::Xhigh,
            _ => Self::Max,
        }
    }
}

impl Reasoning<'_> {
    /// Whether the model is to think.
    #[must_use]
    pub fn on(&self) -> bool {
        !self.off && self.effort != Some(Effort::None) && self.budget != Some(0)
    }

    /// How hard in words, whatever it was said in; `None`: as the model sees fit.
    #[must_use]
    pub fn word(&self) -> Option<Effort> {
        if self.on() {
            self.effort.or_else(|| self.budget.map(Effort::of_budget))
        } else {
            Some(Effort::None)
        }
    }
}

impl Tool<'_> {
    /// The name that calls use; hosted tools have none.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Function { name, .. } | Self::Custom { name, .. } => Some(name),
            Self::Hosted { .. } => None,
        }
    }
}

impl fmt::Debug for Body {
    /// Its size only: content is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("bytes", &self.json.len())
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

impl Body {
    /// Notes that a field was left out.
    pub fn drop_param(&mut self, param: Param) {
        let dropped = Dropped::Param(param);
        if !self.dropped.contains(&dropped) {
            self.dropped.push(dropped);
        }
    }

    /// Notes that something was left out, in the caller's words.
    pub fn drop_named(&mut self, name: impl Into<String>) {
        let dropped = Dropped::Named(name.into());
        if !self.dropped.contains(&dropped) {
            self.dropped.push(dropped);
        }
    }
}
