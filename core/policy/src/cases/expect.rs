//! What a case expects against what came.

use super::file::{Case, DenyFile, Expect};
use crate::pipeline::{GuardEnd, Routed};
use crate::policy::Fault;
use crate::request::RequestView;
use crate::target::Candidates;
use crate::verdict::{Deny, Recovery};

/// What came.
pub(super) struct Seen {
    answer: Answer,
    reason: Option<String>,
    pub(super) findings: Vec<String>,
    pub(super) fault: Option<Fault>,
}

enum Answer {
    Pass,
    Edited { texts: Vec<String>, body: String },
    Answered(String),
    Plan(Vec<String>),
    Refused(Deny),
    Abstained,
    FollowPlan,
    RetryAfter(u32),
    Switch(String),
}

impl Seen {
    pub(super) fn guard(end: GuardEnd, edited: bool, view: &RequestView) -> Self {
        Self::new(match end {
            GuardEnd::Blocked(refused) => Answer::Refused(refused.deny),
            GuardEnd::Answered { text, .. } => Answer::Answered(text),
            GuardEnd::Pass if edited => Answer::Edited { texts: texts(view), body: body(view) },
            GuardEnd::Pass => Answer::Pass,
        })
    }

    pub(super) fn route(decision: Routed, candidates: &Candidates) -> Self {
        match decision {
            Routed::Plan(plan) => {
                let ids = plan.steps.iter().map(|step| id(step.target, candidates)).collect();
                Self { reason: Some(plan.reason.to_string()), ..Self::new(Answer::Plan(ids)) }
            }
            Routed::Refused(refused) => Self::new(Answer::Refused(refused.deny)),
            Routed::Static => Self::new(Answer::Abstained),
        }
    }

    pub(super) fn recovery(recovery: Recovery, candidates: &Candidates) -> Self {
        Self::new(match recovery {
            Recovery::FollowPlan => Answer::FollowPlan,
            Recovery::RetryAfter(ms) => Answer::RetryAfter(ms),
            Recovery::Switch(step) => Answer::Switch(id(step.target, candidates)),
            Recovery::Fail(deny) => Answer::Refused(deny),
        })
    }

    const fn new(answer: Answer) -> Self {
        Self { answer, reason: None, findings: Vec::new(), fault: None }
    }
}

/// What is wrong with what came, if anything.
pub(super) fn mismatch(case: &Case, seen: &Seen) -> Option<String> {
    if !fits(&case.expect, seen) {
        return Some(format!("expected {}, got {}", expected(&case.expect), got(seen)));
    }
    let reason = seen.reason.as_deref().unwrap_or_default();
    if let Some(wanted) = case.reason.as_ref().filter(|wanted| *wanted != reason) {
        return Some(format!("expected the reason `{wanted}`, got `{reason}`"));
    }
    let findings = case.findings.as_ref().filter(|wanted| **wanted != seen.findings);
    findings.map(|wanted| format!("expected the findings {wanted:?}, got {:?}", seen.findings))
}

fn fits(expect: &Expect, seen: &Seen) -> bool {
    if let Some(fault) = &seen.fault {
        return matches!(expect, Expect::Fault(kind) if kind == fault.kind.as_str());
    }
    match (expect, &seen.answer) {
        (Expect::Pass, Answer::Pass)
        | (Expect::Abstain, Answer::Abstained)
        | (Expect::FollowPlan, Answer::FollowPlan) => true,
        (Expect::Texts(wanted), Answer::Edited { texts, .. }) => wanted == texts,
        (Expect::Body(wanted), Answer::Edited { body, .. }) => same_body(wanted, body),
        (Expect::Answer(wanted), Answer::Answered(text)) => wanted == text,
        (Expect::Plan(wanted), Answer::Plan(ids)) => wanted == ids,
        (Expect::RetryAfter(wanted), Answer::RetryAfter(ms)) => wanted == ms,
        (Expect::Switch(wanted), Answer::Switch(id)) => wanted == id,
        (Expect::Block(wanted) | Expect::Deny(wanted) | Expect::Fail(wanted), Answer::Refused(deny)) => {
            refusal_fits(wanted, deny)
        }
        _ => false,
    }
}

fn refusal_fits(wanted: &DenyFile, deny: &Deny) -> bool {
    wanted.status.is_none_or(|status| status == deny.status)
        && wanted.code.as_ref().is_none_or(|code| *code == deny.code)
        && wanted.message.as_ref().is_none_or(|message| *message == deny.message)
        && wanted.retry_after_ms.is_none_or(|ms| Some(ms) == deny.retry_after_ms)
}

/// A body written as a string is meant byte for byte.
fn same_body(wanted: &serde_json::Value, body: &str) -> bool {
    match wanted {
        serde_json::Value::String(raw) => raw == body,
        value => serde_json::from_str::<serde_json::Value>(body).is_ok_and(|body| body == *value),
    }
}

fn expected(expect: &Expect) -> String {
    match expect {
        Expect::Pass => "pass".into(),
        Expect::Texts(texts) => format!("the texts {texts:?}"),
        Expect::Body(body) => format!("the body {body}"),
        Expect::Answer(text) => format!("the answer {text:?}"),
        Expect::Plan(ids) => format!("the plan [{}]", ids.join(", ")),
        Expect::Abstain => "abstain".into(),
        Expect::FollowPlan => "follow-plan".into(),
        Expect::RetryAfter(ms) => format!("a retry after {ms} ms"),
        Expect::Switch(id) => format!("a switch to {id}"),
        Expect::Fault(kind) => format!("a fault of kind {kind}"),
        Expect::Block(wanted) | Expect::Deny(wanted) | Expect::Fail(wanted) => {
            let status = wanted.status.map(|status| format!(" {status}")).unwrap_or_default();
            let code = wanted.code.as_ref().map(|code| format!(" `{code}`")).unwrap_or_default();
            let message = wanted.message.as_ref().map(|text| format!(" {text:?}")).unwrap_or_default();
            let wait = wanted.retry_after_ms.map(|ms| format!(" retry after {ms} ms")).unwrap_or_default();
            format!("a refusal{status}{code}{message}{wait}")
        }
    }
}

fn got(seen: &Seen) -> String {
    if let Some(fault) = &seen.fault {
        return format!("a fault: {fault}");
    }
    match &seen.answer {
        Answer::Pass => "pass".into(),
        Answer::Edited { texts, body } => format!("the texts {texts:?} in the body {body}"),
        Answer::Answered(text) => format!("the answer {text:?}"),
        Answer::Plan(ids) => {
            format!(
                "the plan [{}] for the reason `{}`",
                ids.join(", "),
                seen.reason.as_deref().unwrap_or_default()
            )
        }
        Answer::Abstained => "abstain".into(),
        Answer::FollowPlan => "follow-plan".into(),
        Answer::RetryAfter(ms) => format!("a retry after {ms} ms"),
        Answer::Switch(id) => format!("a switch to {id}"),
        Answer::Refused(deny) => {
            let wait = deny.retry_after_ms.map(|ms| format!(" retry after {ms} ms")).unwrap_or_default();
            format!("a refusal {} `{}` {:?}{wait}", deny.status, deny.code, deny.message)
        }
    }
}

fn texts(view: &RequestView) -> Vec<String> {
    let texts = (0..view.segment_count()).map(|segment| view.decoded(segment));
    texts.map(|text| text.unwrap_or_default().to_owned()).collect()
}

fn body(view: &RequestView) -> String {
    String::from_utf8_lossy(view.body()).into_owned()
}

fn id(target: u16, candidates: &Candidates) -> String {
    let target = candidates.table.get(usize::from(target));
    target.map(|target| target.id.to_string()).unwrap_or_default()
}
