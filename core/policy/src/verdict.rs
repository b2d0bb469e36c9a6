//! The typed answers of the hooks. Names and shapes follow `sdk/wit/policy.wit`.

mod attempt;
mod money;
mod reply;

pub use attempt::{Admission, AttemptFacts, Changes, Preparation};
pub use money::{Base, CacheState, Charge, Outcome, Summary};
pub use reply::{
    Closing, DeltaKind, Direction, Lane, Next, RedactStep, Redaction, ReplyMeta, Span, StreamStep, TextEdit,
};

use std::fmt;
use std::sync::Arc;

/// A typed "no" that becomes an error reply in the caller's dialect.
#[derive(Clone, PartialEq, Eq)]
pub struct Deny {
    /// HTTP status, 400 to 599; anything else becomes 403.
    pub status: u16,
    /// Machine-readable, `snake_case`.
    pub code: String,
    /// For a person; reaches only the client.
    pub message: String,
    /// Becomes `retry-after`.
    pub retry_after_ms: Option<u32>,
}

impl fmt::Debug for Deny {
    /// Without the message: a policy may repeat content there, for the caller alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, code, message: _, retry_after_ms: _ } = self;
        f.debug_struct("Deny").field("status", status).field("code", code).finish_non_exhaustive()
    }
}

/// A byte range of one segment's decoded text and what comes in its place. Offsets count in the unedited segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Index of the segment.
    pub segment: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// What comes in its place.
    pub replace: Replacement,
}

/// What comes in place of an edited span.
#[derive(Clone, PartialEq, Eq)]
pub enum Replacement {
    /// This text.
    Text(String),
    /// Nothing.
    Drop,
    /// A reversible token of this class, [`crate::vault`]; in a reply, where nothing is given back, a keyed hash of it.
    Vault(String),
    /// An irreversible hash of the text, keyed per organisation, with its class.
    Hash(String),
}

impl fmt::Debug for Replacement {
    /// A text's length only: content is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Drop => f.write_str("Drop"),
            Self::Vault(class) => write!(f, "Vault({class})"),
            Self::Hash(class) => write!(f, "Hash({class})"),
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// What a guard found and where; never the text itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Declared rule id.
    pub rule: String,
    /// How bad.
    pub severity: Severity,
    /// Segment, if the finding is in one.
    pub segment: Option<u32>,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// 0 to 1.
    pub score: f32,
}

/// What a guard decided.
#[derive(Clone, PartialEq)]
pub enum Guarded {
    /// Go on unchanged.
    Pass,
    /// Go on with these edits.
    Edit(Vec<Edit>),
    /// Refuse.
    Block(Deny),
    /// Answer the caller with this text; no model is asked.
    Answer(String),
}

impl fmt::Debug for Guarded {
    /// An answer's length only: content is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("Pass"),
            Self::Edit(edits) => f.debug_tuple("Edit").field(edits).finish(),
            Self::Block(deny) => f.debug_tuple("Block").field(deny).finish(),
            Self::Answer(text) => write!(f, "Answer({} bytes)", text.len()),
        }
    }
}

/// The answer of `guard`.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardVerdict {
    /// What to do.
    pub outcome: Guarded,
    /// Why.
    pub findings: Vec<Finding>,
    /// Tags for later policies and logs.
    pub tags: Vec<(String, String)>,
}

impl GuardVerdict {
    /// Nothing to see.
    #[must_use]
    pub const fn pass() -> Self {
        Self { outcome: Guarded::Pass, findings: Vec::new(), tags: Vec::new() }
    }

    /// Whether that is all.
    pub(crate) const fn is_bare_pass(&self) -> bool {
        matches!(self.outcome, Guarded::Pass) && self.findings.is_empty() && self.tags.is_empty()
    }
}

/// Which failures before commit move on to the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, missing_docs, reason = "a flag set, each flag named as in the WIT")]
pub struct RetryOn {
    pub rate_limited: bool,
    pub overloaded: bool,
    pub timeout_connect: bool,
    pub timeout_first_token: bool,
    pub timeout_idle: bool,
    pub server_error: bool,
    pub network: bool,
    pub context_too_long: bool,
    pub content_filter: bool,
    pub auth: bool,
}

impl Default for RetryOn {
    /// 429, 5xx, overload, connect failure, timeout before the first byte, a provider key that was refused.
    fn default() -> Self {
        Self {
            rate_limited: true,
            overloaded: true,
            timeout_connect: true,
            timeout_first_token: true,
            timeout_idle: true,
            server_error: true,
            network: true,
            context_too_long: false,
            content_filter: false,
            auth: true,
        }
    }
}

impl RetryOn {
    /// Whether a failure of this class moves on.
    #[must_use]
    pub const fn covers(&self, class: ErrorClass) -> bool {
        match class {
            ErrorClass::RateLimited | ErrorClass::Quota => self.rate_limited,
            ErrorClass::Overloaded => self.overloaded,
            ErrorClass::TimeoutConnect => self.timeout_connect,
            ErrorClass::TimeoutFirstToken => self.timeout_first_token,
            ErrorClass::TimeoutIdle => self.timeout_idle,
            ErrorClass::ServerError => self.server_error,
            ErrorClass::Network => self.network,
            ErrorClass::ContextTooLong => self.context_too_long,
            ErrorClass::ContentFilter => self.content_filter,
            ErrorClass::Auth => self.auth,
            ErrorClass::BadRequest
            | ErrorClass::ModelNotFound
            | ErrorClass::PluginDenied
            | ErrorClass::Cancelled
            | ErrorClass::Other => false,
        }
    }
}

/// One target of a plan, with its own bounds; 0 means: the configured default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Index into the target table.
    pub target: u16,
    /// For weighted plans.
    pub weight: u16,
    /// Until the first token.
    pub timeout_first_token_ms: u32,
    /// Until the reply is complete.
    pub timeout_total_ms: u32,
    /// Tries at this target beyond the first.
    pub max_retries: u8,
    /// Caps the caller's own.
    pub max_tokens: Option<u32>,
}

impl Step {
    /// A step with configured defaults.
    #[must_use]
    pub const fn to(target: u16) -> Self {
        Self {
            target,
            weight: 1,
            timeout_first_token_ms: 0,
            timeout_total_ms: 0,
            max_retries: 0,
            max_tokens: None,
        }
    }
}

/// How the steps of a plan are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// In order.
    Ordered,
    /// The first by weight, the rest in order.
    Weighted,
    /// A second attempt starts after so many ms without a token; the first to answer wins.
    Hedge(u32),
}

/// What a route policy answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// How the steps are used.
    pub strategy: Strategy,
    /// Never empty when it comes out of the pipeline.
    pub steps: Vec<Step>,
    /// Which failures move on.
    pub retry_on: RetryOn,
    /// Most that all attempts together may cost.
    pub budget_nanos: Option<i64>,
    /// Ask the `on-error` hook at each failure.
    pub ask_on_error: bool,
    /// Session key for sticky routing.
    pub sticky: Option<String>,
    /// Declared reason.
    pub reason: Arc<str>,
}

impl Plan {
    /// Targets in the given order with defaults.
    #[must_use]
    pub fn ordered(targets: impl IntoIterator<Item = u16>, reason: &str) -> Self {
        Self {
            strategy: Strategy::Ordered,
            steps: targets.into_iter().map(Step::to).collect(),
            retry_on: RetryOn::default(),
            budget_nanos: None,
            ask_on_error: false,
            sticky: None,
            reason: reason.into(),
        }
    }
}

/// The answer of `route`.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Use this plan.
    Plan(Plan),
    /// Refuse.
    Deny(Deny),
    /// Ask the next policy.
    Abstain,
}

/// Failures before anything reached the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ErrorClass {
    RateLimited,
    Overloaded,
    TimeoutConnect,
    TimeoutFirstToken,
    TimeoutIdle,
    Auth,
    Quota,
    ContextTooLong,
    ContentFilter,
    BadRequest,
    ModelNotFound,
    ServerError,
    Network,
    PluginDenied,
    Cancelled,
    Other,
}

impl ErrorClass {
    /// All classes, in the order of the WIT enum.
    pub const ALL: [Self; 16] = [
        Self::RateLimited,
        Self::Overloaded,
        Self::TimeoutConnect,
        Self::TimeoutFirstToken,
        Self::TimeoutIdle,
        Self::Auth,
        Self::Quota,
        Self::ContextTooLong,
        Self::ContentFilter,
        Self::BadRequest,
        Self::ModelNotFound,
        Self::ServerError,
        Self::Network,
        Self::PluginDenied,
        Self::Cancelled,
        Self::Other,
    ];

    /// The WIT name, also the metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate-limited",
            Self::Overloaded => "overloaded",
            Self::TimeoutConnect => "timeout-connect",
            Self::TimeoutFirstToken => "timeout-first-token",
            Self::TimeoutIdle => "timeout-idle",
            Self::Auth => "auth",
            Self::Quota => "quota",
            Self::ContextTooLong => "context-too-long",
            Self::ContentFilter => "content-filter",
            Self::BadRequest => "bad-request",
            Self::ModelNotFound => "model-not-found",
            Self::ServerError => "server-error",
            Self::Network => "network",
            Self::PluginDenied => "plugin-denied",
            Self::Cancelled => "cancelled",
            Self::Other => "other",
        }
    }
}

/// One failed attempt, as `on-error` sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptError {
    /// Index into the target table.
    pub target: u16,
    /// The target's id.
    pub target_id: Arc<str>,
    /// What kind of failure.
    pub class: ErrorClass,
    /// HTTP status, if one came.
    pub status: Option<u16>,
    /// The provider's own code, if it gave one.
    pub provider_code: Option<String>,
    /// What `Retry-After` said.
    pub retry_after_ms: Option<u32>,
    /// From the attempt's start to its failure.
    pub elapsed_ms: u32,
}

/// The answer of `on-error`.
#[derive(Debug, Clone, PartialEq)]
pub enum Recovery {
    /// What the plan says.
    FollowPlan,
    /// The same target again after so many ms.
    RetryAfter(u32),
    /// This step now.
    Switch(Step),
    /// Give up with this.
    Fail(Deny),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_says_is_not_printed() {
        let canary = || "canary".to_owned();
        let replace = Replacement::Text(canary());
        let edit = TextEdit { start: 0, end: 1, replace: replace.clone() };
        let deny = Deny { status: 403, code: "no".into(), message: canary(), retry_after_ms: None };
        let edits = Guarded::Edit(vec![Edit { segment: 0, start: 0, end: 1, replace }]);
        let shown = format!(
            "{edit:?} {edits:?} {:?} {:?} {:?}",
            Guarded::Answer(canary()),
            Guarded::Block(deny.clone()),
            StreamStep { edits: vec![edit.clone()], hold: 0, next: Next::Stop(deny) },
        );
        assert!(shown.contains("403") && shown.contains("6 bytes"), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}
