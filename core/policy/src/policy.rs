//! The trait that an engine implements, and how loading and calling fail.

use crate::manifest::Manifest;
use crate::matcher::Matchers;
use crate::question::{Answer, Question};
use crate::request::RequestView;
use crate::services::Later;
use crate::target::Candidates;
use crate::verdict::{
    Admission, AttemptError, AttemptFacts, Base, Charge, Closing, Decision, Direction, GuardVerdict, Lane,
    Preparation, Recovery, RedactStep, ReplyMeta, Span, StreamStep, Summary,
};
use std::sync::Arc;
use weir_llm::price::Nanos;
use weir_llm::usage::Usage;

/// A compiled, configured policy. Calls are bounded by the manifest's limits: an engine returns a [`Fault`] rather than
/// hang, grow or unwind. The pipeline calls only hooks that the manifest names.
///
/// A hook of a policy that does not wait is asked by the method of its name, in the thread of the exchange. A policy that
/// waits is asked through [`Policy::later`] only.
pub trait Policy: Send + Sync {
    /// What the policy says of itself.
    fn manifest(&self) -> &Manifest;

    /// SHA-256 of the source or component and its config, hex: names the version in logs and cache keys.
    fn digest(&self) -> &str;

    /// The matchers of its manifest, compiled.
    fn matchers(&self) -> &Matchers;

    /// Whether it may ask for a request's headers: where nobody does, they are not copied.
    fn reads_headers(&self) -> bool {
        true
    }

    /// Whether it may ask how warm a target's prompt cache is: where nobody does, nobody keeps it in mind.
    fn reads_warmth(&self) -> bool {
        true
    }

    /// Whether a call takes one of the slots of which the process has so many.
    fn takes_slots(&self) -> bool {
        false
    }

    /// Whether a call may wait for something outside of the process: it was granted `http`.
    fn waits(&self) -> bool {
        false
    }

    /// Asks a policy that waits. Dropping the future ends the call.
    fn later(self: Arc<Self>, question: Question) -> Later<Result<Answer, Fault>> {
        drop(question);
        Box::pin(std::future::ready(Err(Fault::new(FaultKind::Missing, "the policy does not wait"))))
    }

    /// Before content is read and money is held; head only.
    ///
    /// # Errors
    /// [`Fault`] if the policy failed; the manifest's failure mode decides what follows.
    fn admit(&self, request: &Arc<RequestView>) -> Result<Admission, Fault> {
        let _ = request;
        Err(Fault::missing("admit"))
    }

    /// Content once, before the cache and the route.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn guard(&self, request: &Arc<RequestView>) -> Result<GuardVerdict, Fault> {
        let _ = request;
        Err(Fault::missing("guard"))
    }

    /// What to replace in a request or a whole reply.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn redact(&self, view: &Arc<RequestView>, direction: Direction) -> Result<Vec<Span>, Fault> {
        let _ = (view, direction);
        Err(Fault::missing("redact"))
    }

    /// What to replace in a stream.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn stream_redactor(&self, request: &Arc<RequestView>) -> Result<Box<dyn StreamRedactor>, Fault> {
        let _ = request;
        Err(Fault::missing("redact"))
    }

    /// Makes the plan.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn route(&self, request: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Result<Decision, Fault> {
        let _ = (request, candidates);
        Err(Fault::missing("route"))
    }

    /// Before each attempt: what differs by target.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn attempt(
        &self,
        request: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        facts: &Arc<AttemptFacts>,
    ) -> Result<Preparation, Fault> {
        let _ = (request, candidates, facts);
        Err(Fault::missing("attempt"))
    }

    /// An attempt failed before commit.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn on_error(
        &self,
        request: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        errors: &Arc<[AttemptError]>,
    ) -> Result<Recovery, Fault> {
        let _ = (request, candidates, errors);
        Err(Fault::missing("on-error"))
    }

    /// A complete reply; `reply` is a view of it with the request's head.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn guard_response(
        &self,
        request: &Arc<RequestView>,
        reply: &Arc<RequestView>,
        meta: &Arc<ReplyMeta>,
    ) -> Result<GuardVerdict, Fault> {
        let _ = (request, reply, meta);
        Err(Fault::missing("guard-response"))
    }

    /// A streamed reply.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn stream(&self, request: &Arc<RequestView>) -> Result<Box<dyn StreamGuard>, Fault> {
        let _ = request;
        Err(Fault::missing("stream"))
    }

    /// The most that may be charged.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn quote(&self, request: &Arc<RequestView>, bound: &Arc<Base>) -> Result<Nanos, Fault> {
        let _ = (request, bound);
        Err(Fault::missing("price"))
    }

    /// What is charged.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn price(&self, request: &Arc<RequestView>, base: &Arc<Base>) -> Result<Charge, Fault> {
        let _ = (request, base);
        Err(Fault::missing("price"))
    }

    /// After settlement, batched.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn complete(&self, batch: &Arc<[Summary]>) -> Result<(), Fault> {
        let _ = batch;
        Err(Fault::missing("complete"))
    }
}

/// One stream's guard: one instance from its first delta to its end.
pub trait StreamGuard: Send {
    /// A window of a lane: what was held back, then what is new. `last`: the lane has ended, nothing can be held.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn push(&mut self, lane: Lane, text: &str, last: bool) -> Result<StreamStep, Fault>;

    /// The stream has ended.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn finish(&mut self, usage: &Usage) -> Result<Closing, Fault>;
}

/// One stream's redactor.
pub trait StreamRedactor: Send {
    /// The model calls a tool, whose arguments come in this lane; before its first window.
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn call(&mut self, lane: Lane, tool: &str) -> Result<(), Fault> {
        let _ = (lane, tool);
        Ok(())
    }

    /// As [`StreamGuard::push`].
    ///
    /// # Errors
    /// As [`Policy::admit`].
    fn push(&mut self, lane: Lane, text: &str, last: bool) -> Result<RedactStep, Fault>;
}

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Ran over its CPU deadline, operations or epoch.
    Deadline,
    /// Ran over its memory, stack, table or collection sizes.
    Memory,
    /// Trapped, panicked or threw.
    Trap,
    /// Answered something that the contract does not allow.
    BadAnswer,
    /// The policy has no such hook.
    Missing,
    /// No instance slot was free.
    NoSlot,
    /// The exchange hides as much as it may already.
    VaultFull,
}

impl FaultKind {
    /// Whether it is the load's or the caller's doing: the policy is not to blame, and nothing may pass for it.
    #[must_use]
    pub const fn is_from_outside(self) -> bool {
        matches!(self, Self::NoSlot | Self::VaultFull)
    }

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Trap => "trap",
            Self::BadAnswer => "bad_answer",
            Self::Missing => "missing",
            Self::NoSlot => "no_slot",
            Self::VaultFull => "vault_full",
        }
    }

    /// What its author, or for what comes from outside the operator, can do about it.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Deadline => {
                "let matchers of the manifest do the searching, or raise in `limits` what it ran over: cpu_us, operations, wall_ms, host_calls or http_calls"
            }
            Self::Memory => {
                "read slices rather than whole bodies and keep collections small, or raise `limits.memory_bytes`"
            }
            Self::Trap => {
                "ask it again on your own machine with `weir policy run FILE --request BODY`, and keep what failed as a golden case"
            }
            Self::BadAnswer => {
                "the hook reference says what each hook may answer; targets must be among the candidates, and edits within their segment and apart"
            }
            Self::Missing => "write the function, or take the hook out of `hooks`",
            Self::NoSlot => "the policy is not to blame: as many calls of policies are under way as may be",
            Self::VaultFull => "the policy is not to blame: this one request hides as much as a request may",
        }
    }
}

/// A failed call. `place` is `file:line:column` or a wasm frame; never content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} in policy: {message}{}", kind.as_str(), place.as_deref().map(|p| format!(" at {p}")).unwrap_or_default())]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// What happened, without content.
    pub message: String,
    /// Where.
    pub place: Option<String>,
    /// The line of the policy's own source with a mark below the place, if the engine has the source; never content.
    pub excerpt: Option<String>,
}

impl Fault {
    /// A fault without a place.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), place: None, excerpt: None }
    }

    /// The same fault at a place.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// The same fault with the line of source that it is about.
    #[must_use]
    pub fn showing(mut self, excerpt: Option<String>) -> Self {
        self.excerpt = excerpt;
        self
    }

    /// All that its author can use: what happened and where, what to do about it, and the line of source.
    #[must_use]
    pub fn in_full(&self) -> String {
        let excerpt = self.excerpt.as_deref().map(|excerpt| format!("\n{excerpt}")).unwrap_or_default();
        format!("{self} ({}){excerpt}", self.kind.hint())
    }

    fn missing(hook: &str) -> Self {
        Self::new(FaultKind::Missing, format!("the policy has no hook {hook}"))
    }
}

/// A policy that could not be loaded: what, where, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {message}{}{}",
    line.map(|l| format!(":{l}{}", column.map(|c| format!(":{c}")).unwrap_or_default())).unwrap_or_default(),
    hint.as_deref().map(|h| format!(" ({h})")).unwrap_or_default(),
    excerpt.as_deref().map(|e| format!("\n{e}")).unwrap_or_default())]
pub struct LoadError {
    /// The file as the operator named it.
    pub file: String,
    /// 1-based.
    pub line: Option<u32>,
    /// 1-based.
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// The line of source with a mark below the place.
    pub excerpt: Option<String>,
}

impl LoadError {
    /// An error that concerns the whole file.
    #[must_use]
    pub fn new(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: None,
            column: None,
            message: message.into(),
            hint: None,
            excerpt: None,
        }
    }

    /// The same error at a line and column (1-based).
    #[must_use]
    pub const fn at(mut self, line: u32, column: u32) -> Self {
        self.line = Some(line);
        self.column = Some(column);
        self
    }

    /// The same error with the line of source that it is about.
    #[must_use]
    pub fn showing(mut self, excerpt: Option<String>) -> Self {
        self.excerpt = excerpt;
        self
    }

    /// The same error with a way to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
