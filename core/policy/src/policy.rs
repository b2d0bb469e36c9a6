//! The trait that an engine implements, and how loading and calling fail.

use crate::manifest::Manifest;
use crate::request::RequestView;
use crate::target::Candidates;
use crate::verdict::{AttemptError, Decision, GuardVerdict, Recovery};
use std::sync::Arc;

/// A compiled, configured policy. Calls are synchronous and bounded by the manifest's limits: an engine returns a
/// [`Fault`] rather than hang, grow or unwind. The pipeline calls only hooks that the manifest names.
pub trait Policy: Send + Sync {
    /// What the policy says of itself.
    fn manifest(&self) -> &Manifest;

    /// SHA-256 of the source or component and its config, hex: names the version in logs and cache keys.
    fn digest(&self) -> &str;

    /// Content once, before the cache and the route.
    ///
    /// # Errors
    /// [`Fault`] if the policy failed; the manifest's failure mode decides what follows.
    fn guard(&self, request: &Arc<RequestView>) -> Result<GuardVerdict, Fault> {
        let _ = request;
        Err(Fault::missing("guard"))
    }

    /// Makes the plan.
    ///
    /// # Errors
    /// As [`Policy::guard`].
    fn route(&self, request: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Result<Decision, Fault> {
        let _ = (request, candidates);
        Err(Fault::missing("route"))
    }

    /// An attempt failed before commit.
    ///
    /// # Errors
    /// As [`Policy::guard`].
    fn on_error(
        &self,
        request: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        errors: &Arc<[AttemptError]>,
    ) -> Result<Recovery, Fault> {
        let _ = (request, candidates, errors);
        Err(Fault::missing("on-error"))
    }
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
}

impl FaultKind {
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
}

impl Fault {
    /// A fault without a place.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), place: None }
    }

    /// The same fault at a place.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    fn missing(hook: &str) -> Self {
        Self::new(FaultKind::Missing, format!("the policy has no hook {hook}"))
    }
}

/// A policy that could not be loaded: what, where, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {message}{}",
    line.map(|l| format!(":{l}{}", column.map(|c| format!(":{c}")).unwrap_or_default())).unwrap_or_default(),
    hint.as_deref().map(|h| format!(" ({h})")).unwrap_or_default())]
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
}

impl LoadError {
    /// An error that concerns the whole file.
    #[must_use]
    pub fn new(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, column: None, message: message.into(), hint: None }
    }

    /// The same error at a line and column (1-based).
    #[must_use]
    pub const fn at(mut self, line: u32, column: u32) -> Self {
        self.line = Some(line);
        self.column = Some(column);
        self
    }

    /// The same error with a way to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
