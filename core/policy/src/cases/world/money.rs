//! What was used, and what it comes to.

use super::place::Place;
use super::targets::{class, find};
use super::view;
use crate::cases::file::{Case, SummaryFile};
use crate::policy::LoadError;
use crate::request::RequestView;
use crate::target::TargetTable;
use crate::verdict::{Base, CacheState, Outcome, Summary};
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_llm::price::{self, Nanos, Rate};
use weir_llm::usage::{Class, Source, Usage};

/// Names in cases beside those of [`Class`].
const SHORT: [(&str, Class); 7] = [
    ("cached_input", Class::CachedInput),
    ("cache_write_5m", Class::CacheWrite5m),
    ("cache_write_1h", Class::CacheWrite1h),
    ("reasoning", Class::Reasoning),
    ("input_audio", Class::InputAudio),
    ("output_audio", Class::OutputAudio),
    ("seconds", Class::Seconds),
];

/// An exact amount of USD.
pub(in crate::cases) fn nanos(place: Place<'_>, usd: &Spanned<String>) -> Result<Nanos, LoadError> {
    let amount = Nanos::from_usd(&usd.value);
    amount.map_err(|error| place.of(usd).error(format!("`{}` is no amount of USD: {error}", usd.value)))
}

/// What a case says was used.
pub(in crate::cases) fn used(file: &str, case: &Case) -> Result<Usage, LoadError> {
    let place = Place::case(file, case);
    case.usage.as_ref().map_or_else(|| Ok(Usage::default()), |written| usage(place, written))
}

/// What was used, by class.
pub(super) fn usage(place: Place<'_>, written: &Spanned<BTreeMap<String, u64>>) -> Result<Usage, LoadError> {
    let mut usage = Usage::default();
    for (name, &units) in &written.value {
        let short = SHORT.iter().find(|(short, _)| short == name).map(|(_, class)| *class);
        let class = short.or_else(|| Class::parse(name)).ok_or_else(|| {
            let known = SHORT.iter().map(|(short, _)| *short).chain(Class::ALL.map(Class::as_str));
            place.of(written).unknown("class of usage", name, known)
        })?;
        *field(&mut usage, class) = units;
    }
    Ok(usage)
}

const fn field(usage: &mut Usage, class: Class) -> &mut u64 {
    match class {
        Class::Input => &mut usage.input,
        Class::CachedInput => &mut usage.cached_input,
        Class::CacheWrite5m => &mut usage.cache_write_5m,
        Class::CacheWrite1h => &mut usage.cache_write_1h,
        Class::Output => &mut usage.output,
        Class::Reasoning => &mut usage.reasoning,
        Class::InputAudio => &mut usage.input_audio,
        Class::OutputAudio => &mut usage.output_audio,
        Class::Image => &mut usage.image,
        Class::Images => &mut usage.images,
        Class::Seconds => &mut usage.seconds,
        Class::Characters => &mut usage.characters,
        Class::SearchUnits => &mut usage.search_units,
    }
}

/// What a charge is made of.
pub(in crate::cases) fn base(file: &str, case: &Case, table: &TargetTable) -> Result<Base, LoadError> {
    let place = Place::case(file, case);
    let Some(id) = &case.target else {
        return Err(place.error("the key `target` is missing").hint("whose rates hold?"));
    };
    let target = &table[usize::from(find(place.of(id), table, &id.value)?)];
    let usage = used(file, case)?;
    let list_price = match &case.list_price {
        Some(usd) => nanos(place, usd)?,
        None => list_price(place.of(id), &target.rates, &usage)?,
    };
    Ok(Base { target_id: Arc::clone(&target.id), usage, rates: Arc::clone(&target.rates), list_price })
}

fn list_price(place: Place<'_>, rates: &[Rate], usage: &Usage) -> Result<Nanos, LoadError> {
    price::cost(rates, usage).map_err(|error| {
        let error = place.error(format!("the target's rates do not price this usage: {error}"));
        error.hint("give it `rates`, or the case a `list_price`")
    })
}

/// The exchanges that a case tells of.
pub(in crate::cases) fn summaries(
    file: &str,
    case: &Case,
    request: &RequestView,
) -> Result<Vec<Summary>, LoadError> {
    let place = Place::case(file, case);
    let written = case.complete.as_deref().unwrap_or_default();
    written.iter().map(|written| summary(place, written, request)).collect()
}

fn summary(place: Place<'_>, written: &SummaryFile, request: &RequestView) -> Result<Summary, LoadError> {
    let own = |head| view::head(place, head, request.request(), request.body().len() as u64, false);
    let amount = |usd: &Option<Spanned<String>>| usd.as_ref().map(|usd| nanos(place, usd)).transpose();
    let used = |written: &Spanned<_>| usage(place, written);
    let outcome = one_of(place, "outcome", &written.outcome, &OUTCOMES, Outcome::as_str, Outcome::Ok)?;
    let tried = u8::from(!matches!(outcome, Outcome::Refused | Outcome::CacheHit));
    let errors = written.errors.iter().map(|name| class(place, name)).collect::<Result<Vec<_>, _>>()?;
    Ok(Summary {
        head: Arc::new(written.head.as_ref().map_or_else(|| Ok(request.head().clone()), own)?),
        outcome,
        target_id: written.target.as_deref().map(Into::into),
        status: written.status.unwrap_or(200),
        usage: written.usage.as_ref().map_or_else(|| Ok(Usage::default()), used)?,
        source: Source::Provider,
        charged: amount(&written.charged)?.unwrap_or_default(),
        provider_cost: amount(&written.provider_cost)?,
        ttft_ms: written.ttft_ms,
        total_ms: written.total_ms,
        attempts: written
            .attempts
            .unwrap_or_else(|| u8::try_from(errors.len()).unwrap_or(u8::MAX).saturating_add(tried)),
        errors,
        tags: written.tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        cache: one_of(place, "cache state", &written.cache, &CACHES, CacheState::as_str, CacheState::Miss)?,
    })
}

const OUTCOMES: [Outcome; 6] = [
    Outcome::Ok,
    Outcome::CacheHit,
    Outcome::Refused,
    Outcome::Failed,
    Outcome::UpstreamCut,
    Outcome::ClientAbort,
];
const CACHES: [CacheState; 3] = [CacheState::Miss, CacheState::Hit, CacheState::Bypass];

/// The one of these that is named, or the default.
fn one_of<T: Copy>(
    place: Place<'_>,
    what: &str,
    name: &Option<Spanned<String>>,
    known: &[T],
    as_str: impl Fn(T) -> &'static str,
    default: T,
) -> Result<T, LoadError> {
    let Some(name) = name else { return Ok(default) };
    let found = known.iter().copied().find(|known| as_str(*known) == name.value);
    found.ok_or_else(|| place.of(name).unknown(what, &name.value, known.iter().map(|known| as_str(*known))))
}
