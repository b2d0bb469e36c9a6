//! The target table of a file, and what a case says of the targets.

use super::place::Place;
use super::view::retention;
use crate::cases::file::{AttemptFile, BreakerName, Case, Cases, ErrorFile, LiveFile, TargetFile};
use crate::policy::LoadError;
use crate::target::{Breaker, Candidates, Live, LiveFacts, Target, TargetTable};
use crate::verdict::{AttemptError, AttemptFacts, ErrorClass};
use serde_saphyr::Spanned;
use std::sync::Arc;
use weir_llm::price::{Rate, pico_from_usd, pico_per_token_from_usd_per_mtok};
use weir_llm::usage::Class;

/// The target table of all cases.
pub(in crate::cases) fn table(file: &str, cases: &Cases) -> Result<TargetTable, LoadError> {
    cases.targets.iter().map(|written| target(Place::file(file), written)).collect()
}

/// The targets that a case's plan may name.
pub(in crate::cases) fn candidates(
    file: &str,
    table: &TargetTable,
    case: &Case,
) -> Result<Candidates, LoadError> {
    let index = |id: &str| find(Place::case(file, case), table, id);
    let allowed = match &case.candidates {
        Some(ids) => ids.iter().map(|id| index(id)).collect::<Result<Vec<_>, _>>()?,
        None => (0..u16::try_from(table.len()).unwrap_or(u16::MAX)).collect(),
    };
    let mut facts = vec![LiveFile::default(); table.len()];
    for (id, stated) in &case.live {
        facts[usize::from(index(id)?)] = *stated;
    }
    Ok(Candidates { table: Arc::clone(table), allowed: allowed.into(), facts: Arc::new(Stated(facts)) })
}

/// The attempts that failed so far.
pub(in crate::cases) fn errors(
    file: &str,
    case: &Case,
    table: &TargetTable,
) -> Result<Vec<AttemptError>, LoadError> {
    let place = Place::case(file, case);
    case.errors.iter().map(|written| error(place, written, table)).collect()
}

/// Which attempt is asked about.
pub(in crate::cases) fn attempt(
    file: &str,
    case: &Case,
    table: &TargetTable,
) -> Result<AttemptFacts, LoadError> {
    let place = Place::case(file, case);
    let (id, number) = match (&case.attempt, &case.target) {
        (Some(AttemptFile { target, number }), _) => (target, *number),
        (None, Some(target)) => (target, 1),
        (None, None) => {
            return Err(place.error("the key `attempt` is missing").hint("attempt: { target: id }"));
        }
    };
    Ok(AttemptFacts {
        target: find(place.of(id), table, &id.value)?,
        target_id: id.value.as_str().into(),
        number,
    })
}

/// The index of a target in the table.
pub(super) fn find(place: Place<'_>, table: &[Target], id: &str) -> Result<u16, LoadError> {
    let found = table.iter().position(|target| *target.id == *id);
    let index = found.and_then(|index| u16::try_from(index).ok());
    index.ok_or_else(|| place.unknown("target", id, table.iter().map(|target| &*target.id)))
}

/// An error class by its name.
pub(super) fn class(place: Place<'_>, name: &Spanned<String>) -> Result<ErrorClass, LoadError> {
    let class = ErrorClass::ALL.into_iter().find(|class| class.as_str() == name.value);
    class.ok_or_else(|| {
        place.of(name).unknown("error class", &name.value, ErrorClass::ALL.map(ErrorClass::as_str))
    })
}

/// The live facts that a case states.
struct Stated(Vec<LiveFile>);

impl LiveFacts for Stated {
    fn live(&self, target: u16) -> Live {
        let stated = self.0.get(usize::from(target)).copied().unwrap_or_default();
        Live {
            target,
            healthy: stated.healthy,
            in_flight: stated.in_flight,
            ttft_p50_ms: stated.ttft_p50_ms,
            ttft_p95_ms: stated.ttft_p95_ms,
            tps_p50: stated.tps_p50,
            err_rate_1m: stated.err_rate_1m,
            headroom: stated.headroom,
            breaker: match stated.breaker {
                BreakerName::Closed => Breaker::Closed,
                BreakerName::HalfOpen => Breaker::HalfOpen,
                BreakerName::Open => Breaker::Open,
            },
            prompt_cache_warm: stated.prompt_cache_warm,
        }
    }
}

fn error(place: Place<'_>, written: &ErrorFile, table: &TargetTable) -> Result<AttemptError, LoadError> {
    Ok(AttemptError {
        target: find(place.of(&written.target), table, &written.target.value)?,
        target_id: written.target.value.as_str().into(),
        class: class(place, &written.class)?,
        status: written.status,
        provider_code: written.provider_code.clone(),
        retry_after_ms: written.retry_after_ms,
        elapsed_ms: written.elapsed_ms,
    })
}

fn target(place: Place<'_>, written: &TargetFile) -> Result<Target, LoadError> {
    let known = Target::bare(&written.id.value);
    let (terms, at) = match &written.retention {
        Some(name) => (Some(name.value.as_str()), place.of(name)),
        None => (None, place.of(&written.id)),
    };
    let rates = written.rates.iter().map(|(class, usd)| rate(place.of(usd), class, &usd.value));
    Ok(Target {
        provider: written.provider.as_deref().map_or(known.provider, Into::into),
        model: written.model.as_deref().map_or(known.model, Into::into),
        region: written.region.as_str().into(),
        retention: retention(at, terms)?,
        trains: written.trains,
        ctx_tokens: written.context,
        max_output_tokens: written.max_output,
        quality: written.quality,
        rates: rates.collect::<Result<_, _>>()?,
        tags: written.tags.clone().into(),
        weight: written.weight,
        ..known
    })
}

/// Tokens are priced by the million, all else by the piece.
fn rate(place: Place<'_>, name: &str, usd: &str) -> Result<Rate, LoadError> {
    let class = Class::parse(name)
        .ok_or_else(|| place.unknown("token class", name, Class::ALL.map(Class::as_str)))?;
    let pico = if class.is_token() { pico_per_token_from_usd_per_mtok(usd) } else { pico_from_usd(usd) };
    let pico_per_unit = pico.map_err(|error| place.error(format!("`{usd}` is no price: {error}")))?;
    Ok(Rate { class, pico_per_unit })
}
