//! What comes out of a round of questions.

use crate::manifest::Hook;
use crate::policy::Fault;
use crate::request::RequestView;
use crate::verdict::{Deny, Finding, Plan, Preparation};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What the guards decided.
pub struct GuardOutcome {
    /// What is guarded, with every edit so far.
    pub view: Arc<RequestView>,
    /// How the round ended.
    pub end: GuardEnd,
    /// Whether the body is another than before.
    pub edited: bool,
}

/// How a round of guards ended.
#[derive(Clone, PartialEq, Eq)]
pub enum GuardEnd {
    /// Go on.
    Pass,
    /// Refuse.
    Blocked(Refused),
    /// Answer the caller with this text; no model is asked, or its reply is replaced.
    Answered {
        /// Who answers.
        policy: Arc<str>,
        /// What.
        text: String,
    },
}

impl fmt::Debug for GuardEnd {
    /// Who answers, and how long: what is said is for the caller.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("Pass"),
            Self::Blocked(refused) => f.debug_tuple("Blocked").field(refused).finish(),
            Self::Answered { policy, text } => write!(f, "Answered({policy}, {} bytes)", text.len()),
        }
    }
}

impl GuardOutcome {
    pub(super) const fn pass(view: Arc<RequestView>) -> Self {
        Self { view, end: GuardEnd::Pass, edited: false }
    }

    pub(super) fn take(&mut self, after: Option<Arc<RequestView>>) {
        if let Some(after) = after {
            self.view = after;
            self.edited = true;
        }
    }
}

/// What the redactors left.
pub struct Redacted {
    /// What is left.
    pub view: Arc<RequestView>,
    /// Whether the body is another than before.
    pub edited: bool,
}

impl Redacted {
    pub(super) fn take(&mut self, after: Option<Arc<RequestView>>) {
        if let Some(after) = after {
            self.view = after;
            self.edited = true;
        }
    }
}

/// What differs for the target of one attempt.
pub struct Attempted {
    /// The request as this target gets it.
    pub view: Arc<RequestView>,
    /// Whether its body is another than before.
    pub edited: bool,
    /// Headers to set, checked; an empty value removes one.
    pub headers: Vec<(String, String)>,
    /// Not this target, for this reason.
    pub skip: Option<String>,
}

impl Attempted {
    pub(super) const fn unchanged(view: Arc<RequestView>) -> Self {
        Self { view, edited: false, headers: Vec::new(), skip: None }
    }

    pub(super) fn take(&mut self, preparation: Preparation, after: Option<Arc<RequestView>>) {
        if let Some(after) = after {
            self.view = after;
            self.edited = true;
        }
        if let Preparation::Edit(changes) = preparation {
            for (name, value) in changes.headers {
                self.headers.retain(|(known, _)| *known != name);
                self.headers.push((name, value));
            }
        }
    }
}

/// A refusal and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Name of the policy.
    pub policy: Arc<str>,
    /// What the caller is told.
    pub deny: Deny,
    /// Whether the policy failed, and this is its failure mode, rather than its own word.
    pub failed: bool,
}

/// What the route policies decided.
pub struct RouteOutcome {
    /// The decision.
    pub decision: Routed,
    /// Whose it is; `None` with [`Routed::Static`].
    pub by: Option<super::PolicyId>,
}

/// A decision about the route.
#[derive(Debug, Clone, PartialEq)]
pub enum Routed {
    /// Use this plan: checked, with at least one step.
    Plan(Plan),
    /// Refuse.
    Refused(Refused),
    /// Nobody decided: the plan from config.
    Static,
}

/// One line of the decision trace; without content.
#[derive(Debug, Clone)]
pub struct TraceLine {
    /// Name of the policy.
    pub policy: Arc<str>,
    /// The author's version.
    pub version: Arc<str>,
    /// Which hook.
    pub hook: Hook,
    /// As [`super::Call::verdict`].
    pub verdict: super::Verdict,
    /// The plan's reason or the refusal's code; after a read of content only if declared, else `undeclared`.
    pub reason: Option<Arc<str>>,
    /// What a guard found; rules as `reason`.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub elapsed: Duration,
    /// When it was over; `None` if it took part in a stream, or was not asked.
    pub ended: Option<std::time::Instant>,
    /// Why it failed, if it did.
    pub fault: Option<Box<Fault>>,
}

/// A checked answer that can be noted in the trace.
pub(super) trait Noted {
    fn note(&self, line: &mut TraceLine);
}
