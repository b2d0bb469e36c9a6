//! One case: asked as often as it says, compared, and if it is about a stream, played again cut otherwise.

use super::ask::{self, Asked};
use super::expect;
use super::file::Case;
use super::host::{Host, Script};
use super::play::{Piece, Stage};
use super::restore;
use super::seen::Seen;
use super::split;
use super::suite::Suite;
use super::told::Told;
use super::world::Place;
use crate::manifest::Manifest;
use crate::policy::LoadError;
use std::sync::Arc;

/// What is wrong with what came, if anything.
pub(super) fn check(
    suite: &Suite,
    case: &Case,
    stage: &Stage,
    host: &Arc<Host>,
) -> Result<Option<String>, LoadError> {
    let place = Place::case(&suite.file, case);
    let Some(expect) = &case.expect else { return Err(place.error("the key `expect` is missing")) };
    let (asked, seen) = put(suite, case, stage, host)?;
    let came: &[Piece] = match &asked {
        Asked::Stream { pieces, .. } => pieces,
        Asked::Once(_) => &[],
    };
    let wrong = expect::mismatch(place, expect, &seen, came)?;
    let wrong = match wrong {
        Some(wrong) => Some(wrong),
        None => expect::beside(place, case, &seen, host)?.or_else(|| restore::wrong(case, &asked)),
    };
    match wrong {
        Some(wrong) => Ok(Some(wrong + &unanswered(host))),
        None if seen.fault.is_none() => cut_otherwise(suite, case, stage, host, &asked, &seen),
        None => Ok(None),
    }
}

/// What came, whatever is expected.
pub(super) fn tell(suite: &Suite, case: &Case, stage: &Stage, host: &Arc<Host>) -> Result<Told, LoadError> {
    let (asked, seen) = put(suite, case, stage, host)?;
    Ok(Told { name: case.name.value.clone(), hook: asked.hook(), seen, did: host.did(), kept: host.kept() })
}

/// What a host is at the beginning of a case.
pub(super) fn script(suite: &Suite, case: &Case, manifest: &Manifest) -> Result<Script, LoadError> {
    // A shared policy never learns whose request it is; its host does not either.
    let tenant = if manifest.shared { "" } else { case.head.tenant.as_str() };
    let request_id = case.head.request_id.as_deref().unwrap_or("req_case");
    Script::of(&suite.file, case, tenant, request_id)
}

fn put(suite: &Suite, case: &Case, stage: &Stage, host: &Arc<Host>) -> Result<(Asked, Seen), LoadError> {
    let manifest = stage.policy.manifest();
    host.begin(&script(suite, case, manifest)?);
    let mut last = once(suite, case, stage)?;
    for _ in 1..case.times.unwrap_or(1) {
        host.advance(case.every_ms);
        last = once(suite, case, stage)?;
    }
    Ok(last)
}

fn once(suite: &Suite, case: &Case, stage: &Stage) -> Result<(Asked, Seen), LoadError> {
    let asked = ask::read(&suite.file, &suite.table, case, stage.policy.manifest())?;
    let seen = match &asked {
        Asked::Once(question) => ask::put(question, stage),
        Asked::Stream { view, pieces, usage, .. } => stage.play(view, pieces, usage),
    };
    Ok((asked, seen))
}

/// Plays a stream cut otherwise; each time everything is afresh.
fn cut_otherwise(
    suite: &Suite,
    case: &Case,
    stage: &Stage,
    host: &Arc<Host>,
    asked: &Asked,
    seen: &Seen,
) -> Result<Option<String>, LoadError> {
    let Asked::Stream { pieces, usage, .. } = asked else { return Ok(None) };
    let script = script(suite, case, stage.policy.manifest())?;
    let play = |pieces: &[Piece]| {
        host.begin(&script);
        let view = Arc::new(super::world::request(&suite.file, case)?);
        Ok::<Seen, LoadError>(stage.play(&view, pieces, usage))
    };
    let agrees = |other: &Seen| other.fault.is_none() && seen.answer.agrees(&other.answer);
    let found = split::counterexample(pieces, |pieces| play(pieces).is_ok_and(|other| agrees(&other)));
    let Some((pieces, how)) = found else { return Ok(None) };
    let (wanted, got) = (super::say::got(seen), super::say::got(&play(&pieces)?));
    Ok(Some(format!("{how} it comes out otherwise: {got}, and not {wanted}")))
}

fn unanswered(host: &Host) -> String {
    match host.did().unanswered.as_slice() {
        [] => String::new(),
        calls => format!("; `http` has no reply for {}", calls.join(", ")),
    }
}
