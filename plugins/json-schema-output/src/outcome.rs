//! From the answers of a reply to a verdict.

use crate::answers::{self, Answer};
use crate::asked::{self, not_checked};
use crate::config::{Settings, ToolCalls};
use crate::schema::{Failure, Schema};
use crate::{fence, json};
use std::ops::Range;
use weir_sdk::{
    AccessError, Deny, Edit, Finding, Head, Meta, Replacement, Request, SegInfo, SegKind, Severity, Verdict,
};

/// How the dialects say that a reply was cut at its token limit.
const CUT: [&str; 4] = ["length", "max_tokens", "incomplete", "max_output_tokens"];

/// A pass, or the edits that make a reply fit.
///
/// # Errors
/// It does not fit, or cannot be checked.
pub(crate) fn check(
    head: &Head,
    meta: &Meta,
    reply: &dyn Request,
    settings: &Settings,
) -> Result<Verdict, Deny> {
    let asked = if settings.request_schema { asked::kept()? } else { None };
    let schemas: Vec<&Schema> = settings.schema.iter().chain(asked.iter()).collect();
    if schemas.is_empty() {
        return Ok(Verdict::pass());
    }
    let answers = answers::answers(&head.api, reply).map_err(unreadable)?;
    let mut edits = Vec::new();
    for answer in answers.iter().filter(|answer| !answer.declined) {
        if answer.calls {
            permit_calls(settings)?;
            continue;
        }
        if let Some((text, json)) = repair(answer, &schemas, settings).map_err(|why| mismatch(meta, &why))? {
            let repaired = cut_to(reply, text, &json).map_err(unreadable)?;
            edits.extend(repaired.ok_or_else(not_checked)?);
        }
    }
    // Two choices that say the same are found twice.
    edits.sort_by_key(|edit: &Edit| (edit.segment, edit.start));
    edits.dedup();
    let findings = edits.iter().map(finding).collect();
    Ok(Verdict::edit(edits).because(findings))
}

fn permit_calls(settings: &Settings) -> Result<(), Deny> {
    match settings.tool_calls {
        ToolCalls::Pass => Ok(()),
        ToolCalls::Block => Err(deny("it calls tools instead of answering")),
    }
}

/// Nothing to do if an answer fits, else the text and where in it what fits is.
fn repair<'a>(
    answer: &'a Answer,
    schemas: &[&Schema],
    settings: &Settings,
) -> Result<Option<(&'a str, Range<usize>)>, String> {
    let [text] = answer.texts.as_slice() else {
        return fits(&answer.texts.concat(), schemas).map(|()| None);
    };
    let Err(why) = fits(text, schemas) else { return Ok(None) };
    match fence::inside(text).filter(|_| settings.repair) {
        Some(range) => fits(&text[range.clone()], schemas).map(|()| Some((text.as_str(), range))),
        None => Err(why),
    }
}

/// Whether a text is JSON that fits every schema; if not, why.
fn fits(text: &str, schemas: &[&Schema]) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("it is empty".into());
    }
    let value = json::parse(text).map_err(|problem| format!("it is no JSON that can be read: {problem}"))?;
    schemas.iter().try_for_each(|schema| schema.check(&value)).map_err(|failure| match failure {
        Failure::Mismatch { path, why } => format!("at \"{path}\" {why}"),
        Failure::TooMuch => "it takes too long to compare with its schema".into(),
    })
}

/// Edits that leave only a range of a text, wherever the reply has this text.
fn cut_to(reply: &dyn Request, text: &str, keep: &Range<usize>) -> Result<Option<Vec<Edit>>, AccessError> {
    let length = offset(text.len());
    let mut edits = Vec::new();
    for segment in reply.segments().filter(|segment| segment.kind == SegKind::Text && segment.bytes == length)
    {
        if reply.text(segment.index, 0, length)? == text {
            edits.push(without(&segment, 0, offset(keep.start)));
            edits.push(without(&segment, offset(keep.end), length));
        }
    }
    edits.retain(|edit| edit.start < edit.end);
    Ok((!edits.is_empty()).then_some(edits))
}

fn without(segment: &SegInfo, start: u32, end: u32) -> Edit {
    Edit { segment: segment.index, start, end, replace: Replacement::Drop }
}

fn finding(edit: &Edit) -> Finding {
    Finding {
        rule: "repaired".into(),
        severity: Severity::Info,
        segment: Some(edit.segment),
        start: edit.start,
        end: edit.end,
        score: 1.0,
    }
}

fn mismatch(meta: &Meta, why: &str) -> Deny {
    if CUT.contains(&meta.finish_reason.as_str()) {
        return deny("it was cut off at its token limit");
    }
    deny(why)
}

fn deny(why: &str) -> Deny {
    Deny::new(502, "schema_mismatch", format!("The model's reply does not fit its JSON schema: {why}."))
}

fn unreadable(error: AccessError) -> Deny {
    match error {
        AccessError::Budget => deny("it is longer than what can be checked"),
        _ => not_checked(),
    }
}

/// A reply is shorter than 4 GiB.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
