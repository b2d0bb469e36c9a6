//! What a policy says of itself and asks for.
//!
//! A manifest is YAML: the leading `//!` lines of a script, or the `weir:manifest` section of a component.
//!
//! ```yaml
//! name: mask-pii                  # [a-z0-9-]
//! version: 1.2.0
//! description: Masks e-mail addresses and card numbers.
//! hooks: [guard]                  # any of `Hook::ALL`
//! reads: content                  # head (default) | content
//! capabilities: [env]             # each must be granted by the operator
//! http: []                        # with `capabilities: [http]`: the operator's aliases that it calls
//! matchers:
//!   - name: email
//!     patterns: ['[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}']
//!     case_insensitive: true
//!   - name: brands
//!     literals: [acme, globex]
//! config_schema:                  # JSON Schema of the operator's `config`
//!   type: object
//!   properties: { mask: { type: string } }
//! limits: { cpu_us: 2000, memory_bytes: 16777216, output_bytes: 1048576, host_calls: 10000, operations: 100000,
//!           wall_ms: 2000, http_calls: 4 }
//! stream: { bytes: 256, ms: 50, max_hold: 16384 }   # `stream`, `redact`: the windows of a streamed reply
//! on_failure: closed              # closed | open | static-plan; default by hook
//! when: { models: [fast], tags: { tier: gold }, min_body_bytes: 64,
//!         config: { mask: any },  # only where one of these settings calls for it (or: larger-body)
//!         finds: [email] }        # guards: only where one of these matchers hits
//! isolation: auto                 # auto | strict
//! shared: false                   # may one kept instance serve several organisations?
//! surfaces: [chat, chat-stream]   # default: all
//! declares:                       # the only strings that may reach telemetry after content was read
//!   rules: [email, card]
//!   reasons: []
//!   codes: [pii_found]
//!   tags: { pii: [found, none] }
//! ```
//!
//! With the hook `guard-response`: `buffer_streams: true` collects streams and asks once. With the hook `redact`: what its
//! answers name by index, `redact: { masks: ['[email]'], classes: [email] }`.

mod config;
mod file;
mod when;

pub(crate) use when::covers;
pub use when::{ApiName, CallsFor, When};

use crate::policy::LoadError;
use serde::Deserialize;
use std::collections::BTreeMap;
use weir_llm::api::Api;

/// What a policy says of itself and asks for; every value is checked and within its ceiling.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// `[a-z0-9-]`, at most 64.
    pub name: String,
    /// The author's version.
    pub version: String,
    /// One sentence for people.
    pub description: String,
    /// At least one, all supported.
    pub hooks: Vec<Hook>,
    /// What it reads of a request.
    pub reads: Reads,
    /// What it asks for beyond the request view.
    pub capabilities: Vec<Capability>,
    /// Literal and regex sets that the host compiles at load.
    pub matchers: Vec<MatcherSpec>,
    /// JSON Schema of its config.
    pub config_schema: Option<serde_json::Value>,
    /// Bounds of one call.
    pub limits: Limits,
    /// What follows a failed call; by hook if absent, see [`Manifest::failure_mode`].
    pub on_failure: Option<FailureMode>,
    /// Which requests it is asked about at all.
    pub when: Option<When>,
    /// How instances are kept apart.
    pub isolation: Isolation,
    /// Whether one kept instance may serve several organisations (the head then carries no tenant, project, key, user).
    pub shared: bool,
    /// Which protocols and shapes of reply it covers.
    pub surfaces: Vec<Surface>,
    /// Strings that may reach telemetry after content was read.
    pub declares: Declares,
    /// How a streamed reply is cut for `stream` and `redact`.
    pub stream: Windows,
    /// Whether a stream is collected and asked about once, by `guard-response`.
    pub buffer_streams: bool,
    /// What a redactor's answers name.
    pub redact: Redacts,
    /// The operator's aliases that it calls.
    pub http: Vec<String>,
}

impl Manifest {
    /// Reads and checks a manifest; `file` names it in errors.
    ///
    /// # Errors
    /// The first thing that is wrong, with line and column, and the nearest known name if one was misspelt.
    pub fn parse_yaml(text: &str, file: &str) -> Result<Self, LoadError> {
        file::parse(text, file)
    }

    /// Checks an operator's config against `config_schema`; without a schema only an empty config is accepted.
    ///
    /// # Errors
    /// Everything that is wrong with the config in one message, or that the schema itself is no JSON Schema.
    pub fn check_config(&self, file: &str, config: &serde_json::Value) -> Result<(), LoadError> {
        config::check(self.config_schema.as_ref(), file, config)
    }

    /// The manifest of a version that runs with this config, which is checked: [`When::config`] is settled.
    ///
    /// # Errors
    /// Those of [`Manifest::check_config`].
    pub fn with_config(mut self, file: &str, config: &serde_json::Value) -> Result<Self, LoadError> {
        self.check_config(file, config)?;
        if let Some(when) = &mut self.when {
            when.settle(config, self.config_schema.as_ref());
        }
        Ok(self)
    }

    /// Whether the policy has this hook.
    #[must_use]
    pub fn has(&self, hook: Hook) -> bool {
        self.hooks.contains(&hook)
    }

    /// Whether the policy asks for this capability.
    #[must_use]
    pub fn asks_for(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// What follows a failed call of `hook`.
    #[must_use]
    pub fn failure_mode(&self, hook: Hook) -> FailureMode {
        self.on_failure.unwrap_or_else(|| hook.default_failure_mode())
    }
}

/// A point on the way of a request at which policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is described in DESIGN and the WIT")]
pub enum Hook {
    Admit,
    Guard,
    Redact,
    Route,
    Attempt,
    OnError,
    GuardResponse,
    Stream,
    Price,
    Complete,
}

impl Hook {
    /// Every hook of the contract, in the order of a request.
    pub const ALL: [Self; 10] = [
        Self::Admit,
        Self::Guard,
        Self::Redact,
        Self::Route,
        Self::Attempt,
        Self::OnError,
        Self::GuardResponse,
        Self::Stream,
        Self::Price,
        Self::Complete,
    ];

    /// Whether the hook may be in one manifest with a capability: `redact` has no sink, `price` nothing at all, and what
    /// cannot wait has no `http`.
    #[must_use]
    pub const fn goes_with(self, capability: Capability) -> bool {
        match self {
            Self::Price => false,
            Self::Redact => matches!(capability, Capability::Env | Capability::Tokens),
            Self::Stream => !matches!(capability, Capability::Http),
            _ => true,
        }
    }

    /// Whether it is handed a view that headers can be read from.
    #[must_use]
    pub const fn shows_a_view(self) -> bool {
        matches!(self, Self::Guard | Self::Redact | Self::Route | Self::Attempt | Self::GuardResponse)
    }

    /// Whether what it is shown can be searched before it is asked: see [`When::finds`].
    #[must_use]
    pub const fn can_be_spared(self) -> bool {
        matches!(self, Self::Guard | Self::GuardResponse)
    }

    /// Whether it is shown what models say.
    #[must_use]
    pub const fn sees_replies(self) -> bool {
        matches!(self, Self::Redact | Self::GuardResponse | Self::Stream)
    }

    /// Whether it is handed targets and their live facts.
    #[must_use]
    pub const fn shows_targets(self) -> bool {
        matches!(self, Self::Route | Self::Attempt | Self::OnError)
    }

    /// The name in manifests and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Guard => "guard",
            Self::Redact => "redact",
            Self::Route => "route",
            Self::Attempt => "attempt",
            Self::OnError => "on-error",
            Self::GuardResponse => "guard-response",
            Self::Stream => "stream",
            Self::Price => "price",
            Self::Complete => "complete",
        }
    }

    /// What follows a failed call unless the manifest says otherwise: what protects fails closed, what steers or
    /// counts gives way to what the gateway does without policy.
    #[must_use]
    pub const fn default_failure_mode(self) -> FailureMode {
        match self {
            Self::Admit | Self::Guard | Self::Redact | Self::GuardResponse | Self::Stream => {
                FailureMode::Closed
            }
            Self::Route => FailureMode::StaticPlan,
            Self::Attempt | Self::OnError | Self::Price | Self::Complete => FailureMode::Open,
        }
    }
}

/// What a policy reads of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// The head, headers and attributes only; asking for content answers `not-granted`.
    #[default]
    Head,
    /// Segments, JSON nodes and scans as well.
    Content,
}

/// What a policy may ask for beyond the request view. Names are the WIT's interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Static and live facts of the candidates.
    Targets,
    /// Config, coarse clock, random numbers, canary buckets.
    Env,
    /// Logs, counters and reasons in the decision trace.
    Telemetry,
    /// Annotations that later policies see.
    Annotate,
    /// Token counts.
    Tokens,
    /// Key-value store and rate limits.
    Kv,
    /// Outbound requests to the operator's aliases.
    Http,
}

impl Capability {
    /// Every capability of the contract.
    pub const ALL: [Self; 7] =
        [Self::Targets, Self::Env, Self::Telemetry, Self::Annotate, Self::Tokens, Self::Kv, Self::Http];

    /// The name in manifests and config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Targets => "targets",
            Self::Env => "env",
            Self::Telemetry => "telemetry",
            Self::Annotate => "annotate",
            Self::Tokens => "tokens",
            Self::Kv => "kv",
            Self::Http => "http",
        }
    }
}

/// A set of things to look for in content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MatcherSpec {
    /// The name by which a policy scans.
    pub name: String,
    /// Fixed strings; hits number them from 0.
    pub literals: Vec<String>,
    /// Regular expressions (Rust syntax, linear time); hits number them after the literals.
    pub patterns: Vec<String>,
    /// Whether letter case is ignored: ASCII case for literals, Unicode simple case for patterns.
    pub case_insensitive: bool,
}

/// Bounds of one call. A manifest may lower or raise them up to [`Limits::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// CPU time in µs.
    pub cpu_us: u64,
    /// Memory of the instance or script in bytes.
    pub memory_bytes: u64,
    /// Bytes of everything an answer carries: replacements, texts, messages.
    pub output_bytes: u64,
    /// Calls from the policy into the host.
    pub host_calls: u64,
    /// Script operations (Rhai) or fuel (pricers).
    pub operations: u64,
    /// Wall time of a call that may wait (`http`), ms.
    pub wall_ms: u64,
    /// Outbound calls of one hook.
    pub http_calls: u64,
}

impl Limits {
    /// The hard ceilings; a manifest above one is refused.
    pub const MAX: Self = Self {
        cpu_us: 20_000,
        memory_bytes: 256 << 20,
        output_bytes: 8 << 20,
        host_calls: 1_000_000,
        operations: 10_000_000,
        wall_ms: 30_000,
        http_calls: 16,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu_us: 2_000,
            memory_bytes: 16 << 20,
            output_bytes: 1 << 20,
            host_calls: 10_000,
            operations: 100_000,
            wall_ms: 2_000,
            http_calls: 4,
        }
    }
}

/// What follows a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureMode {
    /// The request is refused (503, `policy_failed`).
    Closed,
    /// As if the policy had not been there.
    Open,
    /// Routing falls back to the plan from config; no further route policy is asked.
    StaticPlan,
}

/// How instances are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Dropped after a call that read content, kept otherwise.
    #[default]
    Auto,
    /// Fresh for every call.
    Strict,
}

/// A protocol and, where it has two, the shape of its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Surface {
    Chat,
    ChatStream,
    Responses,
    ResponsesStream,
    Messages,
    MessagesStream,
    CountTokens,
    Embeddings,
    Images,
    Speech,
    Transcription,
    Moderations,
    Rerank,
}

impl Surface {
    /// Every surface of the contract: all are served, so a guard must cover all.
    pub const ALL: [Self; 13] = [
        Self::Chat,
        Self::ChatStream,
        Self::Responses,
        Self::ResponsesStream,
        Self::Messages,
        Self::MessagesStream,
        Self::CountTokens,
        Self::Embeddings,
        Self::Images,
        Self::Speech,
        Self::Transcription,
        Self::Moderations,
        Self::Rerank,
    ];

    /// Where a request belongs.
    #[must_use]
    pub const fn of(api: Api, stream: bool) -> Self {
        match (api, stream) {
            (Api::Chat, false) => Self::Chat,
            (Api::Chat, true) => Self::ChatStream,
            (Api::Responses, false) => Self::Responses,
            (Api::Responses, true) => Self::ResponsesStream,
            (Api::Messages, false) => Self::Messages,
            (Api::Messages, true) => Self::MessagesStream,
            (Api::CountTokens, _) => Self::CountTokens,
            (Api::Embeddings, _) => Self::Embeddings,
            (Api::Images, _) => Self::Images,
            (Api::Speech, _) => Self::Speech,
            (Api::Transcription, _) => Self::Transcription,
            (Api::Moderations, _) => Self::Moderations,
            (Api::Rerank, _) => Self::Rerank,
        }
    }

    /// The API, and whether its reply is a stream; `None`: it may be either.
    #[must_use]
    pub const fn api(self) -> (Api, Option<bool>) {
        match self {
            Self::Chat => (Api::Chat, Some(false)),
            Self::ChatStream => (Api::Chat, Some(true)),
            Self::Responses => (Api::Responses, Some(false)),
            Self::ResponsesStream => (Api::Responses, Some(true)),
            Self::Messages => (Api::Messages, Some(false)),
            Self::MessagesStream => (Api::Messages, Some(true)),
            Self::CountTokens => (Api::CountTokens, Some(false)),
            Self::Embeddings => (Api::Embeddings, Some(false)),
            Self::Images => (Api::Images, None),
            Self::Speech => (Api::Speech, None),
            Self::Transcription => (Api::Transcription, None),
            Self::Moderations => (Api::Moderations, Some(false)),
            Self::Rerank => (Api::Rerank, Some(false)),
        }
    }

    /// The name in manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::ChatStream => "chat-stream",
            Self::Responses => "responses",
            Self::ResponsesStream => "responses-stream",
            Self::Messages => "messages",
            Self::MessagesStream => "messages-stream",
            Self::CountTokens => "count-tokens",
            Self::Embeddings => "embeddings",
            Self::Images => "images",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
            Self::Moderations => "moderations",
            Self::Rerank => "rerank",
        }
    }
}

/// How deltas of a lane are collected before a policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Asked when so many new bytes have come,
    pub bytes: u32,
    /// or so many milliseconds after the first of them.
    pub ms: u32,
    /// Most that an answer may hold back.
    pub max_hold: u32,
}

impl Default for Windows {
    /// A few dozen tokens, or a blink.
    fn default() -> Self {
        Self { bytes: 256, ms: 50, max_hold: 16 << 10 }
    }
}

/// What a redactor's answers name by index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redacts {
    /// Texts that stand in place of a span.
    pub masks: Vec<String>,
    /// Classes of hashes and vault tokens.
    pub classes: Vec<String>,
}

/// The strings that may reach telemetry once a call has read content; anything else becomes `undeclared`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Declares {
    /// Rule ids of findings.
    pub rules: Vec<String>,
    /// Reasons of plans and explanations.
    pub reasons: Vec<String>,
    /// Codes of refusals.
    pub codes: Vec<String>,
    /// Values by tag name.
    pub tags: BTreeMap<String, Vec<String>>,
}
