//! What was expected and what came, in words.

use super::file::{DenyFile, Expect, Passes};
use super::play::Lanes;
use super::seen::{Answer, Edited, Seen};
use crate::verdict::Deny;
use std::collections::BTreeMap;
use weir_llm::price::Nanos;

pub(super) fn expected(expect: &Expect) -> String {
    match expect {
        Expect::Pass => "pass".into(),
        Expect::Texts(texts) => format!("the texts {texts:?}"),
        Expect::Body(body) => format!("the body {body}"),
        Expect::Answer(text) => format!("the answer {text:?}"),
        Expect::Allow(tags) => allowed(tags),
        Expect::Plan(ids) => format!("the plan [{}]", ids.join(", ")),
        Expect::Abstain => "abstain".into(),
        Expect::Headers(headers) => format!("the headers {headers:?}"),
        Expect::Changes(wanted) => {
            format!("the texts {:?} and the headers {:?}", wanted.texts, wanted.headers)
        }
        Expect::Skip(reason) => format!("to skip the target for the reason `{reason}`"),
        Expect::FollowPlan => "follow-plan".into(),
        Expect::RetryAfter(ms) => format!("a retry after {ms} ms"),
        Expect::Switch(id) => format!("a switch to {id}"),
        Expect::Passes(Passes::Content(text)) => format!("a stream that passes {text:?}"),
        Expect::Passes(Passes::Lanes(lanes)) => format!("a stream that passes {}", by_lane(lanes)),
        Expect::Stop(wanted) => {
            let after = wanted.after.as_ref().map(|text| format!(" after {text:?}")).unwrap_or_default();
            format!("a stream that is stopped by {}{after}", refusal(&wanted.deny))
        }
        Expect::Charge(usd) => format!("a charge of {} USD", usd.value),
        Expect::ChargeNanos(nanos) => format!("a charge of {}", Nanos(*nanos)),
        Expect::Quote(usd) => format!("a quote of {} USD", usd.value),
        Expect::QuoteNanos(nanos) => format!("a quote of {}", Nanos(*nanos)),
        Expect::ListPrice => "the list price".into(),
        Expect::Done => "done".into(),
        Expect::Fault(kind) => format!("a fault of kind {kind}"),
        Expect::Block(wanted) | Expect::Deny(wanted) | Expect::Fail(wanted) => refusal(wanted),
    }
}

pub(super) fn got(seen: &Seen) -> String {
    match &seen.fault {
        Some(fault) => format!("a fault: {}", fault.in_full()),
        None => answered(seen),
    }
}

fn answered(seen: &Seen) -> String {
    let reason = seen.reason.as_deref().unwrap_or_default();
    match &seen.answer {
        Answer::Pass => "pass".into(),
        Answer::Edited(edited) => left(edited),
        Answer::Answered(text) => format!("the answer {text:?}"),
        Answer::Allowed => allowed(&seen.notes),
        Answer::Plan(ids) => format!("the plan [{}] for the reason `{reason}`", ids.join(", ")),
        Answer::Abstained => "abstain".into(),
        Answer::Skipped(reason) => format!("to skip the target for the reason `{reason}`"),
        Answer::FollowPlan => "follow-plan".into(),
        Answer::RetryAfter(ms) => format!("a retry after {ms} ms"),
        Answer::Switch(id) => format!("a switch to {id}"),
        Answer::Refused(deny) => refused(deny),
        Answer::Streamed(Lanes(lanes)) => format!("a stream that passes {}", by_lane(lanes)),
        Answer::Stopped { deny, left: Lanes(lanes) } => {
            format!("a stream that is stopped by {} after {}", refused(deny), by_lane(lanes))
        }
        Answer::Charged(charge) => {
            format!("a charge of {} ({})", charge.total, items(&charge.items))
        }
        Answer::Quoted(quote) => format!("a quote of {quote}"),
        Answer::ListPrice => "the list price: the policy was not asked".into(),
        Answer::Done => "done".into(),
    }
}

fn allowed(tags: &BTreeMap<String, String>) -> String {
    if tags.is_empty() { "allow".into() } else { format!("allow with the tags {tags:?}") }
}

fn left(Edited { texts, body, headers }: &Edited) -> String {
    let with = if headers.is_empty() { String::new() } else { format!(" and the headers {headers:?}") };
    format!("the texts {texts:?} in the body {body}{with}")
}

/// Names and amounts.
pub(super) fn items(items: &[(String, Nanos)]) -> String {
    let items: Vec<String> = items.iter().map(|(name, amount)| format!("{name} {amount}")).collect();
    if items.is_empty() { "no items".into() } else { items.join(", ") }
}

/// A text alone is the content's.
fn by_lane(lanes: &BTreeMap<String, String>) -> String {
    match lanes.iter().next() {
        None => "nothing".into(),
        Some((name, text)) if lanes.len() == 1 && name == "content" => format!("{text:?}"),
        Some(_) => {
            let lanes: Vec<String> = lanes.iter().map(|(name, text)| format!("{name} {text:?}")).collect();
            lanes.join(", ")
        }
    }
}

fn refusal(wanted: &DenyFile) -> String {
    let status = wanted.status.map(|status| format!(" {status}")).unwrap_or_default();
    let code = wanted.code.as_ref().map(|code| format!(" `{code}`")).unwrap_or_default();
    let message = wanted.message.as_ref().map(|text| format!(" {text:?}")).unwrap_or_default();
    let wait = wanted.retry_after_ms.map(|ms| format!(" retry after {ms} ms")).unwrap_or_default();
    format!("a refusal{status}{code}{message}{wait}")
}

fn refused(deny: &Deny) -> String {
    let wait = deny.retry_after_ms.map(|ms| format!(" retry after {ms} ms")).unwrap_or_default();
    format!("a refusal {} `{}` {:?}{wait}", deny.status, deny.code, deny.message)
}
