//! What a case expects against what came.

use super::file::{Case, DenyFile, Expect, Passes, StopFile};
use super::host::{Did, Host, value_text};
use super::play::{Lanes, Piece};
use super::say;
use super::seen::{Answer, Edited, Seen};
use super::world::{Place, nanos};
use crate::policy::LoadError;
use crate::verdict::Deny;
use std::collections::BTreeMap;
use weir_llm::price::Nanos;

/// Whether the answer is the one that is expected; `None`: it is, else how it differs.
///
/// # Errors
/// The case states an amount that is none.
pub(super) fn mismatch(
    place: Place<'_>,
    expect: &Expect,
    seen: &Seen,
    came: &[Piece],
) -> Result<Option<String>, LoadError> {
    let fits = match (&seen.fault, expect) {
        (Some(fault), Expect::Fault(kind)) => kind == fault.kind.as_str(),
        (Some(_), _) => false,
        (None, expect) => answers(place, expect, seen, came)?,
    };
    Ok((!fits).then(|| format!("expected {}, got {}", say::expected(expect), say::got(seen))))
}

/// What is wrong beside the answer, if anything: reason, findings, tags, items, and what was done with the host.
pub(super) fn beside(
    place: Place<'_>,
    case: &Case,
    seen: &Seen,
    host: &Host,
) -> Result<Option<String>, LoadError> {
    let reason = seen.reason.as_deref().unwrap_or_default();
    if let Some(wanted) = case.reason.as_ref().filter(|wanted| *wanted != reason) {
        return Ok(Some(format!("expected the reason `{wanted}`, got `{reason}`")));
    }
    if let Some(wanted) = &case.plan {
        let Some(planned) = &seen.plan else { return Ok(Some("expected a plan, got none".into())) };
        if let Some(wrong) = planned.mismatch(wanted) {
            return Ok(Some(wrong));
        }
    }
    if let Some(wanted) = case.findings.as_ref().filter(|wanted| **wanted != seen.findings) {
        return Ok(Some(format!("expected the findings {wanted:?}, got {:?}", seen.findings)));
    }
    if let Some(wanted) = case.tags.as_ref().filter(|wanted| **wanted != seen.notes) {
        return Ok(Some(format!("expected the tags {wanted:?}, got {:?}", seen.notes)));
    }
    if let Some(wrong) = items(place, case, seen)? {
        return Ok(Some(wrong));
    }
    Ok(done(case, &host.did()).or_else(|| kept(case, host)))
}

fn answers(place: Place<'_>, expect: &Expect, seen: &Seen, came: &[Piece]) -> Result<bool, LoadError> {
    Ok(match (expect, &seen.answer) {
        (Expect::Pass, Answer::Pass)
        | (Expect::Abstain, Answer::Abstained)
        | (Expect::FollowPlan, Answer::FollowPlan)
        | (Expect::ListPrice, Answer::ListPrice)
        | (Expect::Done, Answer::Done) => true,
        (Expect::Pass, Answer::Streamed(left)) => *left == lanes(came),
        (Expect::Texts(wanted), Answer::Edited(edited)) => {
            *wanted == edited.texts && edited.headers.is_empty()
        }
        (Expect::Body(wanted), Answer::Edited(edited)) => {
            same_body(wanted, &edited.body) && edited.headers.is_empty()
        }
        (Expect::Headers(wanted), Answer::Edited(edited)) => *wanted == edited.headers,
        (Expect::Changes(wanted), Answer::Edited(Edited { texts, headers, .. })) => {
            wanted.texts == *texts && wanted.headers == *headers
        }
        (Expect::Answer(wanted), Answer::Answered(text)) => wanted == text,
        (Expect::Allow(wanted), Answer::Allowed) => *wanted == seen.notes,
        (Expect::Plan(wanted), Answer::Plan(ids)) => wanted == ids,
        (Expect::Skip(wanted), Answer::Skipped(reason)) => wanted == reason,
        (Expect::RetryAfter(wanted), Answer::RetryAfter(ms)) => wanted == ms,
        (Expect::Switch(wanted), Answer::Switch(id)) => wanted == id,
        (Expect::Block(wanted) | Expect::Deny(wanted) | Expect::Fail(wanted), Answer::Refused(deny)) => {
            refusal_fits(wanted, deny)
        }
        (Expect::Passes(wanted), Answer::Streamed(left)) => passes(wanted, left, came),
        (Expect::Stop(wanted), Answer::Stopped { deny, left }) => stops(wanted, deny, left),
        (Expect::Charge(usd), Answer::Charged(charge)) => nanos(place, usd)? == charge.total,
        (Expect::ChargeNanos(wanted), Answer::Charged(charge)) => Nanos(*wanted) == charge.total,
        (Expect::Quote(usd), Answer::Quoted(quote)) => nanos(place, usd)? == *quote,
        (Expect::QuoteNanos(wanted), Answer::Quoted(quote)) => Nanos(*wanted) == *quote,
        _ => false,
    })
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

/// What came, by lane.
fn lanes(came: &[Piece]) -> Lanes {
    let mut lanes = Lanes::default();
    came.iter().for_each(|piece| lanes.push(piece.lane, &piece.text));
    lanes
}

fn passes(wanted: &Passes, left: &Lanes, came: &[Piece]) -> bool {
    let mut all = lanes(came);
    match wanted {
        Passes::Content(text) => {
            all.0.insert("content".into(), text.clone());
        }
        Passes::Lanes(texts) => all.0.extend(texts.clone()),
    }
    all.0.retain(|_, text| !text.is_empty());
    all == *left
}

fn stops(wanted: &StopFile, deny: &Deny, left: &Lanes) -> bool {
    let content = left.0.get("content").map_or("", String::as_str);
    refusal_fits(&wanted.deny, deny) && wanted.after.as_ref().is_none_or(|after| after == content)
}

fn items(place: Place<'_>, case: &Case, seen: &Seen) -> Result<Option<String>, LoadError> {
    let (Some(wanted), Answer::Charged(charge)) = (&case.items, &seen.answer) else { return Ok(None) };
    let amount = |(name, usd): &(String, serde_saphyr::Spanned<String>)| {
        nanos(place, usd).map(|amount| (name.clone(), amount))
    };
    let wanted: Vec<(String, Nanos)> = wanted.iter().map(amount).collect::<Result<_, _>>()?;
    let (expected, got) = (say::items(&wanted), say::items(&charge.items));
    Ok((wanted != charge.items).then(|| format!("expected the items {expected}, got {got}")))
}

/// A record is expected by its first words: `counter blocked` is `counter blocked 1 rule=email` too.
fn done(case: &Case, did: &Did) -> Option<String> {
    let begins = |text: &str, wanted: &str| {
        text.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let same = |wanted: &[String], texts: &[String]| {
        wanted.len() == texts.len() && wanted.iter().zip(texts).all(|(wanted, text)| begins(text, wanted))
    };
    let records = case.records.as_ref().filter(|wanted| !same(wanted, &did.records));
    let calls = case.calls.as_ref().filter(|wanted| !same(wanted, &did.calls));
    let wrong = |what: &str, wanted: &[String], texts: &[String]| {
        format!("expected the {what} {wanted:?}, got {texts:?}")
    };
    let records = records.map(|wanted| wrong("records", wanted, &did.records));
    records.or_else(|| calls.map(|wanted| wrong("calls", wanted, &did.calls)))
}

fn kept(case: &Case, host: &Host) -> Option<String> {
    let wanted: &BTreeMap<String, serde_json::Value> = case.kv_after.as_ref()?;
    wanted.iter().find_map(|(key, wanted)| {
        let (wanted, value) = (value_text(wanted), host.value(key));
        let say =
            |value: &Option<String>| value.as_ref().map_or("nothing".into(), |text| format!("{text:?}"));
        (wanted != value)
            .then(|| format!("expected {} under the key `{key}`, got {}", say(&wanted), say(&value)))
    })
}
