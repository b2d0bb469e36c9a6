//! From answers to a verdict.

use crate::ask::{Answered, Answers, Unchecked};
use crate::config::{OnError, Settings};
use crate::wire::{Action, Change};
use weir_sdk::{Deny, Direction, Edit, Finding, Replacement, Severity, Verdict};

/// Longer reasons are cut.
const REASON_CHARS: usize = 500;

/// Findings are for the trace: more of them say no more.
const MAX_FINDINGS: usize = 100;

/// What the answers come to: one block blocks, edits add up. Failing closed, what could not be checked blocks.
pub(crate) fn judge(answers: Answers, direction: Direction, settings: &Settings) -> Verdict {
    if let Some(blocked) = answers.answered.iter().find(|answered| answered.answer.action == Action::Block) {
        return block(blocked.answer.reason.as_deref(), direction, settings);
    }
    let mut unchecked = answers.unchecked;
    let mut edits = Vec::new();
    for answered in &answers.answered {
        match changes(answered) {
            Some(changes) => edits.extend(changes),
            None => unchecked = Some(Unchecked::NoAnswer),
        }
    }
    match unchecked {
        Some(why) if settings.on_error == OnError::Closed => without_answer(why, direction, settings),
        unchecked => edit(edits, unchecked.is_some(), direction),
    }
}

/// What becomes of content about which nothing was said.
pub(crate) fn without_answer(why: Unchecked, direction: Direction, settings: &Settings) -> Verdict {
    match settings.on_error {
        OnError::Open => tagged(Verdict::pass(), direction, "unchecked"),
        OnError::Closed => tagged(Verdict::block(refusal(why, direction)), direction, "unchecked"),
    }
}

fn edit(edits: Vec<Edit>, unchecked: bool, direction: Direction) -> Verdict {
    let edits = apart(edits);
    let outcome = match (unchecked, edits.is_empty()) {
        (true, _) => "unchecked",
        (false, true) => "passed",
        (false, false) => "edited",
    };
    let findings = edits.iter().take(MAX_FINDINGS).map(finding).collect();
    tagged(Verdict::edit(edits).because(findings), direction, outcome)
}

fn block(reason: Option<&str>, direction: Direction, settings: &Settings) -> Verdict {
    let what = what(direction);
    let message = match reason.filter(|reason| settings.show_reason && !reason.is_empty()) {
        Some(reason) => reason.chars().take(REASON_CHARS).collect(),
        None => format!("{what} is not allowed by the content rules of this gateway."),
    };
    let finding = Finding {
        rule: "blocked".into(),
        severity: Severity::High,
        segment: None,
        start: 0,
        end: 0,
        score: 1.0,
    };
    let verdict = Verdict::block(Deny::new(403, "content_blocked", message)).because(vec![finding]);
    tagged(verdict, direction, "blocked")
}

fn refusal(why: Unchecked, direction: Direction) -> Deny {
    let what = what(direction);
    match why {
        Unchecked::TooLarge => {
            Deny::new(413, "too_large_to_check", format!("{what} has more text than can be checked."))
        }
        Unchecked::Terms => Deny::new(
            403,
            "terms_too_loose",
            format!(
                "{what} cannot be checked: the service that checks content keeps it longer than you allow."
            ),
        ),
        Unchecked::NoAnswer => {
            Deny::new(503, "moderation_unavailable", format!("{what} could not be checked. Try again later."))
        }
    }
}

const fn what(direction: Direction) -> &'static str {
    match direction {
        Direction::Request => "This request",
        Direction::Reply => "The reply to this request",
    }
}

fn tagged(verdict: Verdict, direction: Direction, outcome: &str) -> Verdict {
    let name = match direction {
        Direction::Request => "moderation_request",
        Direction::Reply => "moderation_reply",
    };
    verdict.tag(name, outcome)
}

fn finding(edit: &Edit) -> Finding {
    Finding {
        rule: "edited".into(),
        severity: Severity::Medium,
        segment: Some(edit.segment),
        start: edit.start,
        end: edit.end,
        score: 1.0,
    }
}

/// The edits that an answer asks for; none at all if one of them is none that can be made.
fn changes(answered: &Answered) -> Option<Vec<Edit>> {
    match answered.answer.action {
        Action::Edit => answered.answer.edits.iter().map(|change| change_of(answered, change)).collect(),
        Action::Pass | Action::Block => Some(Vec::new()),
    }
}

fn change_of(answered: &Answered, change: &Change) -> Option<Edit> {
    let piece = answered.pieces.get(change.text)?;
    // Out of range, the wrong way round, or within a character.
    piece.text.get(change.start..change.end)?;
    let at = |offset: usize| Some(piece.start + u32::try_from(offset).ok()?);
    let replace = match &change.replace {
        Some(text) => Replacement::Text(text.clone()),
        None => Replacement::Drop,
    };
    Some(Edit { segment: piece.segment, start: at(change.start)?, end: at(change.end)?, replace })
}

/// Edits that overlap become one with the text of the first: where two pieces share a part, both are told of it.
fn apart(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(|edit| (edit.segment, edit.start, edit.end));
    let mut apart: Vec<Edit> = Vec::with_capacity(edits.len());
    for edit in edits {
        match apart.last_mut() {
            Some(last) if *last == edit => {}
            Some(last) if last.segment == edit.segment && edit.start < last.end => {
                last.end = last.end.max(edit.end);
            }
            _ => apart.push(edit),
        }
    }
    apart
}
