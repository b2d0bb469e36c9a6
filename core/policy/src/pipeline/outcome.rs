//! What comes out of a round of questions.

use crate::answer::label;
use crate::manifest::{Declares, Hook};
use crate::policy::Fault;
use crate::request::RequestView;
use crate::verdict::{Decision, Deny, Finding, GuardVerdict, Guarded, Plan, Recovery};
use std::sync::Arc;
use std::time::Duration;

/// What the guards decided.
pub struct GuardOutcome {
    /// The request with every edit and tag so far.
    pub view: Arc<RequestView>,
    /// How the round ended.
    pub end: GuardEnd,
    /// Whether the body is another than before.
    pub edited: bool,
    /// Tags of the guards, in order.
    pub tags: Vec<(String, String)>,
    /// Who said what.
    pub trace: Vec<TraceLine>,
}

/// How a round of guards ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardEnd {
    /// Go on.
    Pass,
    /// Refuse.
    Blocked(Refused),
    /// Answer the caller with this text; no model is asked.
    Answered {
        /// Who answers.
        policy: Arc<str>,
        /// What.
        text: String,
    },
}

impl GuardOutcome {
    pub(super) const fn pass(view: Arc<RequestView>) -> Self {
        Self { view, end: GuardEnd::Pass, edited: false, tags: Vec::new(), trace: Vec::new() }
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
    /// Who said what.
    pub trace: Vec<TraceLine>,
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

/// What the on-error policies decided.
pub struct RecoveryOutcome {
    /// The decision, checked.
    pub recovery: Recovery,
    /// Who said what.
    pub trace: Vec<TraceLine>,
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
    pub verdict: &'static str,
    /// The plan's reason or the refusal's code; after a read of content only if declared, else `undeclared`.
    pub reason: Option<String>,
    /// What a guard found; rules as `reason`.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it failed, if it did.
    pub fault: Option<Fault>,
}

/// A checked answer that can be noted in the trace.
pub(super) trait Verdict {
    fn note(&self, line: &mut TraceLine);
}

/// A checked guard verdict, and the view after it where that is another one.
pub(super) struct Guarding {
    pub(super) verdict: GuardVerdict,
    pub(super) after: Option<Arc<RequestView>>,
    pub(super) code: Option<String>,
}

/// A checked decision.
pub(super) struct Routing {
    pub(super) decision: Decision,
    pub(super) code: Option<String>,
}

/// A checked recovery.
pub(super) struct Recovering {
    pub(super) recovery: Recovery,
    pub(super) code: Option<String>,
}

/// A refusal's code as telemetry may see it.
pub(super) fn code_label(deny: Option<&Deny>, declares: &Declares, tainted: bool) -> Option<String> {
    deny.map(|deny| label(&deny.code, &declares.codes, tainted))
}

impl Verdict for Guarding {
    fn note(&self, line: &mut TraceLine) {
        line.verdict = match &self.verdict.outcome {
            Guarded::Pass => "pass",
            Guarded::Edit(_) => "edit",
            Guarded::Block(_) => "block",
            Guarded::Answer(_) => "answer",
        };
        line.findings.clone_from(&self.verdict.findings);
        line.reason.clone_from(&self.code);
    }
}

impl Verdict for Routing {
    fn note(&self, line: &mut TraceLine) {
        (line.verdict, line.reason) = match &self.decision {
            Decision::Plan(plan) => ("plan", Some(plan.reason.to_string())),
            Decision::Deny(_) => ("deny", self.code.clone()),
            Decision::Abstain => ("abstain", None),
        };
    }
}

impl Verdict for Recovering {
    fn note(&self, line: &mut TraceLine) {
        line.verdict = match &self.recovery {
            Recovery::FollowPlan => "follow-plan",
            Recovery::RetryAfter(_) => "retry-after",
            Recovery::Switch(_) => "switch",
            Recovery::Fail(_) => "fail",
        };
        line.reason.clone_from(&self.code);
    }
}
