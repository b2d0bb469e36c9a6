//! A raw answer becomes a checked one, with the view that its edits leave and what the trace may say of it.

use super::Verdict;
use super::outcome::{Noted, TraceLine};
use super::stage::Version;
use crate::answer::{self, Rules, label};
use crate::manifest::{Declares, Reads};
use crate::policy::{Fault, FaultKind};
use crate::question::Answer;
use crate::request::{RequestView, TaintScope};
use crate::target::Candidates;
use crate::verdict::{
    Admission, Charge, Decision, Deny, Finding, GuardVerdict, Guarded, Preparation, Recovery,
};
use std::sync::Arc;
use weir_llm::price::Nanos;

/// A version, and what it was shown.
pub(super) struct Checked<'a> {
    pub(super) version: &'a Version,
    /// The view that edits apply to, and the one that was shown; with what had been read of that before.
    views: Option<(&'a Arc<RequestView>, &'a Arc<RequestView>, TaintScope)>,
}

impl<'a> Checked<'a> {
    /// Marks what has been read so far.
    pub(super) fn new(
        version: &'a Version,
        views: Option<(&'a Arc<RequestView>, &'a Arc<RequestView>)>,
    ) -> Self {
        Self { version, views: views.map(|(view, shown)| (view, shown, TaintScope::new(shown))) }
    }

    /// What the manifest says is not read must not have been read.
    pub(super) fn honest(&self) -> Result<(), Fault> {
        let reads = self.version.policy.manifest().reads;
        let read = self.views.as_ref().is_some_and(|(_, shown, scope)| scope.read_content(shown));
        if reads == Reads::Head && read {
            return Err(answer::bad("content was read but the manifest says `reads: head`"));
        }
        Ok(())
    }

    /// Weir's id of the exchange; `None` where a call is not about one.
    pub(super) fn request_id(&self) -> Option<&'a str> {
        self.views.as_ref().map(|(view, ..)| &*view.head().request_id)
    }

    fn view(&self) -> Result<&'a Arc<RequestView>, Fault> {
        self.views.as_ref().map(|(view, ..)| *view).ok_or_else(other)
    }

    fn rules(&self) -> Rules<'a> {
        let manifest = self.version.policy.manifest();
        let tainted = self.views.as_ref().is_some_and(|(_, shown, scope)| scope.tainted(shown));
        Rules { limits: &manifest.limits, declares: &manifest.declares, tainted }
    }
}

/// The answer of another hook: an engine's bug.
fn other() -> Fault {
    Fault::new(FaultKind::BadAnswer, "the answer is another hook's")
}

/// A refusal's code as telemetry may see it.
pub(super) fn code_label(deny: Option<&Deny>, declares: &Declares, tainted: bool) -> Option<Arc<str>> {
    deny.map(|deny| match deny.code.as_str() {
        // The host's own word.
        answer::SENSITIVE => deny.code.as_str().into(),
        code => label(code, &declares.codes, tainted).into(),
    })
}

/// A checked admission.
pub(super) struct Admitting {
    pub(super) admission: Admission,
    code: Option<Arc<str>>,
}

pub(super) fn admitting(context: &Checked<'_>, answer: Answer) -> Result<Admitting, Fault> {
    let Answer::Admit(admission) = answer else { return Err(other()) };
    let rules = context.rules();
    let admission = answer::admission(admission, rules);
    let refusal = match &admission {
        Admission::Deny(deny) => Some(deny),
        Admission::Allow(_) => None,
    };
    Ok(Admitting { code: code_label(refusal, rules.declares, rules.tainted), admission })
}

impl Noted for Admitting {
    fn note(&self, line: &mut TraceLine) {
        line.verdict = match &self.admission {
            Admission::Allow(_) => Verdict::Allow,
            Admission::Deny(_) => Verdict::Deny,
        };
        line.reason.clone_from(&self.code);
    }
}

/// Checked spans, and the view that they leave.
pub(super) struct Redacting {
    pub(super) after: Option<Arc<RequestView>>,
    pub(super) refused: Option<Deny>,
    findings: Vec<Finding>,
}

pub(super) fn redacting(context: &Checked<'_>, answer: Answer) -> Result<Redacting, Fault> {
    let Answer::Redact(spans) = answer else { return Err(other()) };
    let view = context.view()?;
    let swaps = answer::redacted(&spans, context.version.policy.manifest(), view)?;
    let after = if swaps.refused.is_some() { None } else { answer::apply(&swaps.edits, view)? };
    Ok(Redacting { after, refused: swaps.refused, findings: swaps.findings })
}

impl Noted for Redacting {
    fn note(&self, line: &mut TraceLine) {
        line.verdict = match (&self.refused, &self.after) {
            (Some(_), _) => Verdict::Block,
            (None, Some(_)) => Verdict::Edit,
            (None, None) => Verdict::Pass,
        };
        line.reason = self.refused.as_ref().map(|deny| deny.code.as_str().into());
        line.findings.clone_from(&self.findings);
    }
}

/// A checked guard verdict, and the view after it where that is another one.
pub(super) struct Guarding {
    pub(super) verdict: GuardVerdict,
    pub(super) after: Option<Arc<RequestView>>,
    code: Option<Arc<str>>,
}

pub(super) fn guarding(context: &Checked<'_>, answer: Answer) -> Result<Guarding, Fault> {
    let (Answer::Guard(verdict) | Answer::GuardResponse(verdict)) = answer else { return Err(other()) };
    // What nearly all say, and nothing to check.
    if verdict.is_bare_pass() {
        return Ok(Guarding { verdict, after: None, code: None });
    }
    let (view, rules) = (context.view()?, context.rules());
    let verdict = answer::guarded(verdict, view, rules)?;
    let (refusal, after) = match &verdict.outcome {
        Guarded::Block(deny) => (Some(deny), None),
        Guarded::Edit(edits) => (None, answer::apply(edits, view)?),
        Guarded::Pass | Guarded::Answer(_) => (None, None),
    };
    Ok(Guarding { code: code_label(refusal, rules.declares, rules.tainted), after, verdict })
}

impl Noted for Guarding {
    fn note(&self, line: &mut TraceLine) {
        line.verdict = match &self.verdict.outcome {
            Guarded::Pass => Verdict::Pass,
            Guarded::Edit(_) => Verdict::Edit,
            Guarded::Block(_) => Verdict::Block,
            Guarded::Answer(_) => Verdict::Answer,
        };
        line.findings.clone_from(&self.verdict.findings);
        line.reason.clone_from(&self.code);
    }
}

/// A checked decision.
pub(super) struct Routing {
    pub(super) decision: Decision,
    code: Option<Arc<str>>,
}

pub(super) fn routing(context: &Checked<'_>, answer: Answer, among: &Candidates) -> Result<Routing, Fault> {
    let Answer::Route(decision) = answer else { return Err(other()) };
    let rules = context.rules();
    let decision = answer::decision(decision, among, rules)?;
    let refusal = match &decision {
        Decision::Deny(deny) => Some(deny),
        _ => None,
    };
    Ok(Routing { code: code_label(refusal, rules.declares, rules.tainted), decision })
}

impl Noted for Routing {
    fn note(&self, line: &mut TraceLine) {
        (line.verdict, line.reason) = match &self.decision {
            Decision::Plan(plan) => (Verdict::Plan, Some(Arc::clone(&plan.reason))),
            Decision::Deny(_) => (Verdict::Deny, self.code.clone()),
            Decision::Abstain => (Verdict::Abstain, None),
        };
    }
}

/// A checked preparation, and the view that its edits leave.
pub(super) struct Preparing {
    pub(super) preparation: Preparation,
    pub(super) after: Option<Arc<RequestView>>,
}

pub(super) fn preparing(context: &Checked<'_>, answer: Answer) -> Result<Preparing, Fault> {
    let Answer::Attempt(preparation) = answer else { return Err(other()) };
    let view = context.view()?;
    let preparation = answer::preparation(preparation, view, context.rules())?;
    let after = match &preparation {
        Preparation::Edit(changes) => answer::apply(&changes.edits, view)?,
        Preparation::Pass | Preparation::Skip(_) => None,
    };
    Ok(Preparing { preparation, after })
}

impl Noted for Preparing {
    fn note(&self, line: &mut TraceLine) {
        (line.verdict, line.reason) = match &self.preparation {
            Preparation::Pass => (Verdict::Pass, None),
            Preparation::Edit(_) => (Verdict::Edit, None),
            Preparation::Skip(reason) => (Verdict::Skip, Some(reason.as_str().into())),
        };
    }
}

/// A checked recovery.
pub(super) struct Recovering {
    pub(super) recovery: Recovery,
    code: Option<Arc<str>>,
}

pub(super) fn recovering(
    context: &Checked<'_>,
    answer: Answer,
    among: &Candidates,
) -> Result<Recovering, Fault> {
    let Answer::OnError(recovery) = answer else { return Err(other()) };
    let rules = context.rules();
    let recovery = answer::recovery(recovery, among)?;
    let refusal = match &recovery {
        Recovery::Fail(deny) => Some(deny),
        _ => None,
    };
    Ok(Recovering { code: code_label(refusal, rules.declares, rules.tainted), recovery })
}

impl Noted for Recovering {
    fn note(&self, line: &mut TraceLine) {
        line.verdict = match &self.recovery {
            Recovery::FollowPlan => Verdict::FollowPlan,
            Recovery::RetryAfter(_) => Verdict::RetryAfter,
            Recovery::Switch(_) => Verdict::Switch,
            Recovery::Fail(_) => Verdict::Fail,
        };
        line.reason.clone_from(&self.code);
    }
}

/// A checked quote.
pub(super) struct Quoting(pub(super) Nanos);

pub(super) fn quoting(_: &Checked<'_>, answer: Answer) -> Result<Quoting, Fault> {
    let Answer::Quote(quote) = answer else { return Err(other()) };
    answer::quote(quote).map(Quoting)
}

impl Noted for Quoting {
    fn note(&self, line: &mut TraceLine) {
        line.verdict = Verdict::Quote;
    }
}

/// A checked charge.
pub(super) struct Charging(pub(super) Charge);

pub(super) fn charging(context: &Checked<'_>, answer: Answer) -> Result<Charging, Fault> {
    let Answer::Price(charge) = answer else { return Err(other()) };
    answer::charge(charge, context.rules()).map(Charging)
}

impl Noted for Charging {
    fn note(&self, line: &mut TraceLine) {
        line.verdict = Verdict::Charge;
    }
}

/// It has counted.
pub(super) struct Counted;

pub(super) fn counted(_: &Checked<'_>, answer: Answer) -> Result<Counted, Fault> {
    match answer {
        Answer::Complete => Ok(Counted),
        _ => Err(other()),
    }
}

impl Noted for Counted {
    fn note(&self, line: &mut TraceLine) {
        line.verdict = Verdict::Done;
    }
}
