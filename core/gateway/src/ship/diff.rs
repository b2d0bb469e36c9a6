//! Two versions' answers to one question: whether the decision is the same, and if not, in what way it is another.
//!
//! A decision is what happens: the plan, the edits, the refusal's status and code. Reasons, findings and messages may
//! differ; they change nothing for the caller or the money. What is said of an answer holds no content: targets, and codes
//! that are declared.

use super::frozen;
use std::sync::Arc;
use weir_llm::price::cost;
use weir_llm::usage::{Class, Usage};
use weir_policy::manifest::{Declares, Hook, Surface};
use weir_policy::{
    Admission, Answer, Candidates, Decision, Deny, Fault, FaultKind, Guarded, Manifest, Plan, Preparation,
    Question, Recovery,
};

/// A code that a policy does not declare may be content once it has read some.
const UNDECLARED: &str = "undeclared";
/// What a reply is taken to be long where the caller sets no bound.
const OUTPUT_TOKENS: u32 = 500;

/// An answer as a report may show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// `plan(sim/small)`, `block(pii_found)`, `fault(deadline)`, ….
    pub text: String,
    /// Whether the caller is refused.
    pub refuses: bool,
    /// Whether the call failed.
    pub failed: bool,
}

/// What a report may show of an answer of a policy that declares these strings; `tainted`: it has read content, a header or
/// an attribute.
pub fn said(question: &Question, answer: &Result<Answer, Fault>, declares: &Declares, tainted: bool) -> Said {
    let plain = |text: &str| Said { text: text.to_owned(), refuses: false, failed: false };
    let refusal = |word: &str, deny: &Deny| {
        let shown = !tainted || declares.codes.contains(&deny.code);
        let code = if shown { &deny.code[..deny.code.floor_char_boundary(128)] } else { UNDECLARED };
        Said { text: format!("{word}({code})"), refuses: true, failed: false }
    };
    match answer {
        Err(fault) => Said { text: format!("fault({})", fault.kind.as_str()), refuses: false, failed: true },
        Ok(Answer::Admit(Admission::Allow(_))) => plain("allow"),
        Ok(Answer::Admit(Admission::Deny(deny)) | Answer::Route(Decision::Deny(deny))) => {
            refusal("deny", deny)
        }
        Ok(Answer::Guard(verdict) | Answer::GuardResponse(verdict)) => match &verdict.outcome {
            Guarded::Pass => plain("pass"),
            Guarded::Edit(_) => plain("edit"),
            Guarded::Block(deny) => refusal("block", deny),
            Guarded::Answer(_) => plain("answer"),
        },
        Ok(Answer::Stream(passed)) => match &passed.stopped {
            Some(deny) => refusal("stop", deny),
            None if passed.edited => plain("edit"),
            None => plain("pass"),
        },
        Ok(Answer::Redact(spans)) => plain(&spans_text(spans.len())),
        Ok(Answer::Route(Decision::Plan(plan))) => plain(&format!("plan({})", first(question, plan))),
        Ok(Answer::Route(Decision::Abstain)) => plain("abstain"),
        Ok(Answer::Attempt(Preparation::Pass)) => plain("pass"),
        Ok(Answer::Attempt(Preparation::Edit(_))) => plain("edit"),
        Ok(Answer::Attempt(Preparation::Skip(_))) => plain("skip"),
        Ok(Answer::OnError(Recovery::FollowPlan)) => plain("follow-plan"),
        Ok(Answer::OnError(Recovery::RetryAfter(_))) => plain("retry-after"),
        Ok(Answer::OnError(Recovery::Switch(step))) => {
            plain(&format!("switch({})", name(question, step.target)))
        }
        Ok(Answer::OnError(Recovery::Fail(deny))) => refusal("fail", deny),
        Ok(Answer::Quote(_)) => plain("quote"),
        Ok(Answer::Price(_)) => plain("charge"),
        Ok(Answer::Complete) => plain("done"),
    }
}

/// What a version says whose hooks, surfaces or `when` leave the question out. A guard that is not asked lets pass.
pub fn not_asked(question: &Question) -> Said {
    let text = match question.hook() {
        Hook::Guard | Hook::GuardResponse => "pass",
        _ => "not asked",
    };
    Said { text: text.to_owned(), refuses: false, failed: false }
}

/// Whether a version with this manifest would be asked at all.
pub fn concerns(manifest: &Manifest, question: &Question) -> bool {
    let guards = question.hook() == Hook::Guard;
    manifest.has(question.hook())
        && frozen::view(question).is_none_or(|view| {
            let head = view.head();
            let bytes = if guards { view.body_bytes() } else { head.body_bytes };
            manifest.surfaces.contains(&Surface::of(head.api, head.stream))
                && manifest.when.as_ref().is_none_or(|when| when.holds(head, bytes))
        })
}

/// In what way two decisions differ; `None` if they are one.
pub fn kind(
    question: &Question,
    (live, live_said): (&Result<Answer, Fault>, &Said),
    (candidate, candidate_said): (&Result<Answer, Fault>, &Said),
) -> Option<String> {
    let hook = question.hook().as_str();
    if live_said != candidate_said {
        return Some(format!("{hook}: {} → {}", live_said.text, candidate_said.text));
    }
    let same = match (live, candidate) {
        (Ok(live), Ok(candidate)) => decision(live) == decision(candidate),
        // The same words were compared above.
        _ => true,
    };
    match (live, candidate) {
        _ if same => None,
        (Ok(Answer::Price(_) | Answer::Quote(_)), Ok(Answer::Price(_) | Answer::Quote(_))) => {
            let more = estimate(question, candidate) > estimate(question, live);
            Some(format!("{hook}: {}, {}", live_said.text, if more { "more" } else { "less" }))
        }
        _ => Some(format!("{hook}: {}, in its details", live_said.text)),
    }
}

/// What an answer costs, in nano-dollars: what is charged, or the list price of the first target for a request of this
/// size. `None`: it says nothing of money, or the price is unknown.
pub fn estimate(question: &Question, answer: &Result<Answer, Fault>) -> Option<i64> {
    match answer.as_ref().ok()? {
        Answer::Quote(nanos) => Some(nanos.0),
        Answer::Price(charge) => Some(charge.total.0),
        Answer::Route(Decision::Plan(plan)) => {
            let target = frozen::candidates(question)?.table.get(usize::from(plan.steps.first()?.target))?;
            let head = frozen::view(question)?.head();
            let output = head.max_output_tokens.unwrap_or(OUTPUT_TOKENS);
            let usage =
                Usage { input: head.est_input_tokens.into(), output: output.into(), ..Usage::default() };
            let known = target.rates.iter().any(|rate| rate.class == Class::Input);
            cost(&target.rates, &usage).ok().filter(|_| known).map(|nanos| nanos.0)
        }
        _ => None,
    }
}

/// What the pipeline would refuse of a candidate's answer: a plan for targets that are none of its candidates.
pub fn checked(question: &Question, answer: Result<Answer, Fault>) -> Result<Answer, Fault> {
    let Some(candidates) = frozen::candidates(question) else { return answer };
    let bad = |what: &str| Err(Fault::new(FaultKind::BadAnswer, what));
    match &answer {
        Ok(Answer::Route(Decision::Plan(plan))) if plan.steps.is_empty() => bad("the plan has no step"),
        Ok(Answer::Route(Decision::Plan(plan)))
            if plan.steps.iter().any(|step| !candidates.allowed.contains(&step.target)) =>
        {
            bad("the plan names a target that is no candidate")
        }
        _ => answer,
    }
}

/// The answer without what changes nothing.
fn decision(answer: &Answer) -> Answer {
    let mut decision = answer.clone();
    match &mut decision {
        Answer::Admit(Admission::Deny(deny))
        | Answer::Route(Decision::Deny(deny))
        | Answer::OnError(Recovery::Fail(deny)) => deny.message.clear(),
        Answer::Guard(verdict) | Answer::GuardResponse(verdict) => {
            verdict.findings.clear();
            if let Guarded::Block(deny) = &mut verdict.outcome {
                deny.message.clear();
            }
        }
        Answer::Route(Decision::Plan(plan)) => plan.reason = "".into(),
        // How far a stream had come when it was stopped is the chance of its windows.
        Answer::Stream(passed) => {
            if let Some(deny) = &mut passed.stopped {
                deny.message.clear();
                passed.lanes.clear();
                passed.edited = false;
            }
        }
        Answer::Attempt(Preparation::Skip(reason)) => reason.clear(),
        Answer::Price(charge) => {
            charge.items.clear();
            charge.tags.clear();
        }
        _ => {}
    }
    decision
}

fn spans_text(spans: usize) -> String {
    match spans {
        0 => "nothing to redact".to_owned(),
        1 => "1 span".to_owned(),
        more => format!("{more} spans"),
    }
}

fn first(question: &Question, plan: &Plan) -> Arc<str> {
    plan.steps.first().map_or_else(|| "nothing".into(), |step| name(question, step.target))
}

fn name(question: &Question, target: u16) -> Arc<str> {
    let of =
        |candidates: &Arc<Candidates>| candidates.table.get(usize::from(target)).map(|t| Arc::clone(&t.id));
    frozen::candidates(question).and_then(of).unwrap_or_else(|| "unknown".into())
}
