//! Native checks of what policies answer: past this border only answers that the contract allows travel.
//!
//! What can only be a mistake is a fault; what has one sensible reading is clamped to it.

mod place;
mod redaction;

pub(crate) use redaction::{SENSITIVE, edited_text, redacted, redacted_text};

use crate::manifest::{Declares, Limits};
use crate::policy::{Fault, FaultKind};
use crate::request::RequestView;
use crate::target::Candidates;
use crate::verdict::{
    Admission, Changes, Charge, Closing, Decision, Deny, Edit, Finding, GuardVerdict, Guarded, Plan,
    Preparation, Recovery, Replacement, Step, Strategy,
};
use redaction::swapped;
use std::sync::Arc;
use weir_llm::price::Nanos;
use weir_llm::request::SegmentEdit;

const MAX_STEPS: usize = 256;
const MAX_RETRIES: u8 = 5;
const MAX_TIMEOUT_MS: u32 = 3_600_000;
const MAX_RECOVERY_WAIT_MS: u32 = 60_000;
const MAX_RETRY_AFTER_MS: u32 = 86_400_000;
const MAX_EDITS: usize = 65_536;
const MAX_FINDINGS: usize = 1_000;
const MAX_TAGS: usize = 32;
const MAX_LABEL_BYTES: usize = 128;
const MAX_MESSAGE_BYTES: usize = 4_096;
const UNDECLARED: &str = "undeclared";

/// What the checks need to know of the policy and its call.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) declares: &'a Declares,
    /// Whether this call read content, a header or an attribute: then only declared strings may leave.
    pub(crate) tainted: bool,
}

/// A plan whose targets are candidates, each named once, with clamped bounds.
pub(crate) fn plan(mut plan: Plan, candidates: &Candidates, rules: Rules<'_>) -> Result<Plan, Fault> {
    if plan.steps.is_empty() {
        return Err(bad("the plan has no step"));
    }
    if plan.steps.len() > MAX_STEPS {
        return Err(bad(format!("the plan has more than {MAX_STEPS} steps")));
    }
    if plan.budget_nanos.is_some_and(|budget| budget < 0) {
        return Err(bad("the plan's budget is negative"));
    }
    if plan.sticky.as_ref().is_some_and(|key| key.len() > MAX_LABEL_BYTES) {
        return Err(bad(format!("the sticky key is longer than {MAX_LABEL_BYTES} bytes")));
    }
    plan.steps.iter_mut().try_for_each(|wanted| step(wanted, candidates))?;
    let mut kept = 0;
    for at in 0..plan.steps.len() {
        let target = plan.steps[at].target;
        if plan.steps[..kept].iter().all(|known| known.target != target) {
            plan.steps.swap(kept, at);
            kept += 1;
        }
    }
    plan.steps.truncate(kept);
    plan.strategy = strategy(plan.strategy, &plan.steps);
    let reason = label(&plan.reason, &rules.declares.reasons, rules.tainted);
    if reason != &*plan.reason {
        plan.reason = reason.into();
    }
    Ok(plan)
}

/// A route policy's decision, checked.
pub(crate) fn decision(
    decision: Decision,
    candidates: &Candidates,
    rules: Rules<'_>,
) -> Result<Decision, Fault> {
    Ok(match decision {
        Decision::Plan(wanted) => Decision::Plan(plan(wanted, candidates, rules)?),
        Decision::Deny(refusal) => Decision::Deny(deny(refusal)),
        Decision::Abstain => Decision::Abstain,
    })
}

/// Clamps the bounds of a step, whose target must be a candidate.
fn step(step: &mut Step, candidates: &Candidates) -> Result<(), Fault> {
    if !candidates.allowed.contains(&step.target) {
        return Err(bad(format!("target {} is not a candidate", step.target)));
    }
    if step.max_tokens == Some(0) {
        return Err(bad("max_tokens is 0"));
    }
    step.max_retries = step.max_retries.min(MAX_RETRIES);
    step.timeout_first_token_ms = step.timeout_first_token_ms.min(MAX_TIMEOUT_MS);
    step.timeout_total_ms = step.timeout_total_ms.min(MAX_TIMEOUT_MS);
    Ok(())
}

/// A guard's verdict with edits in order, in range, on character boundaries and apart from each other.
pub(crate) fn guarded(
    verdict: GuardVerdict,
    view: &RequestView,
    rules: Rules<'_>,
) -> Result<GuardVerdict, Fault> {
    let outcome = match verdict.outcome {
        Guarded::Pass => Guarded::Pass,
        Guarded::Edit(list) if list.is_empty() => Guarded::Pass,
        Guarded::Edit(list) => Guarded::Edit(edits(list, view, rules.limits)?),
        Guarded::Block(refusal) => Guarded::Block(deny(refusal)),
        Guarded::Answer(text) if text.len() as u64 > rules.limits.output_bytes => {
            return Err(bad("the answer is longer than output_bytes"));
        }
        Guarded::Answer(text) => Guarded::Answer(text),
    };
    Ok(GuardVerdict { outcome, findings: findings(verdict.findings, rules), tags: tags(verdict.tags, rules) })
}

/// The view after checked edits; `None` if there are none.
pub(crate) fn apply(edits: &[Edit], view: &RequestView) -> Result<Option<Arc<RequestView>>, Fault> {
    if edits.is_empty() {
        return Ok(None);
    }
    let edits: Vec<SegmentEdit<'_>> = edits.iter().map(segment_edit).collect();
    view.with_edits(&edits).map(|view| Some(Arc::new(view))).map_err(|error| bad(error.to_string()))
}

/// What to do after a failed attempt, with clamped waits and a candidate as target.
pub(crate) fn recovery(recovery: Recovery, candidates: &Candidates) -> Result<Recovery, Fault> {
    Ok(match recovery {
        Recovery::FollowPlan => Recovery::FollowPlan,
        Recovery::RetryAfter(ms) => Recovery::RetryAfter(ms.min(MAX_RECOVERY_WAIT_MS)),
        Recovery::Switch(mut to) => {
            step(&mut to, candidates)?;
            Recovery::Switch(to)
        }
        Recovery::Fail(refusal) => Recovery::Fail(deny(refusal)),
    })
}

/// A refusal stays a refusal: an odd status becomes 403 rather than a fault, which an open failure mode would turn
/// into a pass.
pub(crate) fn deny(mut deny: Deny) -> Deny {
    if !(400..=599).contains(&deny.status) {
        deny.status = 403;
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if deny.code.is_empty() || deny.code.len() > 64 || !deny.code.chars().all(plain) {
        deny.code = "policy_denied".into();
    }
    deny.message.truncate(deny.message.floor_char_boundary(MAX_MESSAGE_BYTES));
    deny.retry_after_ms = deny.retry_after_ms.map(|ms| ms.min(MAX_RETRY_AFTER_MS));
    deny
}

/// A string that goes to telemetry: short, and after a read of content only if it was declared.
pub(crate) fn label<'a>(said: &'a str, declared: &[String], tainted: bool) -> &'a str {
    if tainted && !said.is_empty() && !declared.iter().any(|known| known == said) {
        return UNDECLARED;
    }
    &said[..said.floor_char_boundary(MAX_LABEL_BYTES)]
}

/// The same of a string that is at hand: most may stay as they are.
fn labelled(said: String, declared: &[String], tainted: bool) -> String {
    match label(&said, declared, tainted) {
        same if *same == *said => said,
        other => other.to_owned(),
    }
}

fn strategy(strategy: Strategy, steps: &[Step]) -> Strategy {
    match strategy {
        Strategy::Weighted if steps.iter().any(|step| step.weight > 0) => Strategy::Weighted,
        Strategy::Hedge(ms) if steps.len() > 1 => Strategy::Hedge(ms),
        Strategy::Weighted | Strategy::Ordered | Strategy::Hedge(_) => Strategy::Ordered,
    }
}

/// Offsets count in the unedited text, so the order in which a policy names its edits says nothing: they are sorted
/// here. Two insertions at one place keep the policy's order.
fn edits(mut edits: Vec<Edit>, view: &RequestView, limits: &Limits) -> Result<Vec<Edit>, Fault> {
    if edits.len() > MAX_EDITS {
        return Err(bad(format!("more than {MAX_EDITS} edits")));
    }
    edits.iter().try_for_each(|edit| check_range(edit, view))?;
    edits.sort_by_key(|edit| (edit.segment, edit.start, edit.end));
    let clash = edits.windows(2).find(|two| two[0].segment == two[1].segment && two[1].start < two[0].end);
    if let Some(two) = clash {
        return Err(bad(format!("two edits of segment {} overlap at byte {}", two[1].segment, two[1].start)));
    }
    let mut made = Vec::with_capacity(edits.len());
    for group in edits.chunk_by(|a, b| a.segment == b.segment) {
        swapped(group, view, &mut made)?;
    }
    let written: u64 = made.iter().map(replacement_bytes).sum();
    if written > limits.output_bytes {
        return Err(bad("the edits together are longer than output_bytes"));
    }
    Ok(made)
}

fn check_range(edit: &Edit, view: &RequestView) -> Result<(), Fault> {
    let Edit { segment, start, end, .. } = *edit;
    let place = |what: &str| bad(format!("the edit of bytes {start}..{end} of segment {segment} {what}"));
    let text = view.raw(segment).map_err(|_| place("names no segment"))?;
    let (from, to) = (start as usize, end as usize);
    if from > to || to > text.len() {
        return Err(place("is out of range"));
    }
    let inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    if inside(from) || inside(to) {
        return Err(place("cuts a character"));
    }
    Ok(())
}

fn segment_edit(edit: &Edit) -> SegmentEdit<'_> {
    let text = match &edit.replace {
        Replacement::Text(text) => Some(text.as_str()),
        Replacement::Drop | Replacement::Vault(_) | Replacement::Hash(_) => None,
    };
    SegmentEdit { segment: edit.segment as usize, start: edit.start as usize, end: edit.end as usize, text }
}

const fn replacement_bytes(edit: &Edit) -> u64 {
    match &edit.replace {
        Replacement::Text(text) => text.len() as u64,
        Replacement::Drop | Replacement::Hash(_) | Replacement::Vault(_) => 0,
    }
}

/// What to do at the door: tags checked, a refusal made a proper one.
pub(crate) fn admission(admission: Admission, rules: Rules<'_>) -> Admission {
    match admission {
        Admission::Allow(list) => Admission::Allow(tags(list, rules)),
        Admission::Deny(refusal) => Admission::Deny(deny(refusal)),
    }
}

/// Headers that are the host's: framing, credentials, hops.
const RESERVED: [&str; 15] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "te",
    "trailer",
    "upgrade",
    "expect",
];
const MAX_HEADERS: usize = 16;
const MAX_HEADER_BYTES: usize = 4_096;

/// What one target gets, checked.
pub(crate) fn preparation(
    wanted: Preparation,
    view: &RequestView,
    rules: Rules<'_>,
) -> Result<Preparation, Fault> {
    Ok(match wanted {
        Preparation::Pass => Preparation::Pass,
        Preparation::Edit(changes) => {
            if changes.headers.len() > MAX_HEADERS {
                return Err(bad(format!("more than {MAX_HEADERS} headers")));
            }
            changes.headers.iter().try_for_each(|(name, value)| header(name, value))?;
            Preparation::Edit(Changes { edits: edits(changes.edits, view, rules.limits)?, ..changes })
        }
        Preparation::Skip(reason) => {
            Preparation::Skip(labelled(reason, &rules.declares.reasons, rules.tainted))
        }
    })
}

fn header(name: &str, value: &str) -> Result<(), Fault> {
    let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let reserved = RESERVED.contains(&name) || name.starts_with("x-weir-") || name.starts_with("proxy-");
    if name.is_empty() || name.len() > 64 || !name.bytes().all(token) || reserved {
        return Err(bad("a header's name is the host's, or not lower-case letters, digits and dashes"));
    }
    let visible = |b: u8| (b' '..=b'~').contains(&b);
    if value.len() > MAX_HEADER_BYTES || !value.bytes().all(visible) {
        return Err(bad(format!("the value of header {name} is too long or not plain ASCII")));
    }
    Ok(())
}

/// What a customer pays, checked: never less than nothing.
pub(crate) fn charge(charge: Charge, rules: Rules<'_>) -> Result<Charge, Fault> {
    if charge.total.0 < 0 {
        return Err(bad("the charge is negative"));
    }
    let items = charge.items.into_iter().take(MAX_TAGS);
    let items = items.map(|(name, nanos)| (labelled(name, &[], false), nanos)).collect();
    Ok(Charge { total: charge.total, items, tags: tags(charge.tags, rules) })
}

/// What is held before the call, checked.
pub(crate) fn quote(quote: Nanos) -> Result<Nanos, Fault> {
    if quote.0 < 0 { Err(bad("the quote is negative")) } else { Ok(quote) }
}

/// A stream's last word, checked; a stream has read content.
pub(crate) fn closing(closing: Closing, rules: Rules<'_>) -> Closing {
    Closing { findings: findings(closing.findings, rules), tags: tags(closing.tags, rules) }
}

fn findings(mut findings: Vec<Finding>, rules: Rules<'_>) -> Vec<Finding> {
    findings.truncate(MAX_FINDINGS);
    for finding in &mut findings {
        finding.rule = labelled(std::mem::take(&mut finding.rule), &rules.declares.rules, rules.tainted);
        finding.score = if finding.score.is_nan() { 0.0 } else { finding.score.clamp(0.0, 1.0) };
    }
    findings
}

/// A tag whose name or value is not declared says so instead, and keeps its name only if that is declared.
fn tags(mut tags: Vec<(String, String)>, rules: Rules<'_>) -> Vec<(String, String)> {
    tags.truncate(MAX_TAGS);
    let checked = tags.into_iter().map(|(name, value)| match rules.declares.tags.get(&name) {
        Some(values) => {
            let value = labelled(value, values, rules.tainted);
            (name, value)
        }
        None => {
            let plain = |said: String| labelled(said, &[], rules.tainted);
            (plain(name), plain(value))
        }
    });
    checked.collect()
}

pub(crate) fn bad(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::BadAnswer, message)
}
