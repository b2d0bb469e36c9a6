//! What exchanges that are no conversation come to: embeddings, images, speech, transcriptions, scores. Providers count
//! tokens, or images, seconds, characters, search units; where a reply says nothing, what the request asked for counts.

mod count;
mod told;

pub use self::told::{Tail, Told};

use crate::api::Api;
use crate::estimate;
use crate::price::{Nanos, Prices, Unit, unit_price_bound};
use crate::request::Request;
use crate::usage::{Source, Usage};

/// What an exchange comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// What was used.
    pub usage: Usage,
    /// Who counted it.
    pub source: Source,
    /// The prices with the rates of what was asked for; `None` where the target's own hold as they are.
    pub prices: Option<Prices>,
}

/// The bill of a reply that was `told`, at a target with these prices. `uploaded` is the size of the body that came, in
/// bytes. What the provider says is used wins over what the request tells; tokens win over units, except for a model
/// that has prices of units only.
#[must_use]
pub fn bill(request: &Request, uploaded: u64, told: &Told, prices: Option<&Prices>) -> Bill {
    let (usage, source) = used(request, uploaded, told, prices);
    let priced = prices.filter(|prices| !prices.units.is_empty()).map(|prices| {
        let (size, quality) = (word(request, "size"), word(request, "quality"));
        // The reply says what `auto` came to.
        prices.for_units(
            told.size.as_deref().or(size.as_deref()),
            told.quality.as_deref().or(quality.as_deref()),
        )
    });
    Bill { usage, source, prices: priced }
}

fn used(request: &Request, uploaded: u64, told: &Told, prices: Option<&Prices>) -> (Usage, Source) {
    let unit = Unit::of(request.api());
    let tokens_priced = prices.is_some_and(|prices| !prices.rates.is_empty());
    let unit_priced = unit.is_some_and(|unit| prices.is_some_and(|prices| prices.has_unit(unit)));
    let class = unit.and_then(Unit::class);
    let said = told.usage.filter(|usage| match class {
        None => true,
        Some(class) if unit_priced && !tokens_priced => usage.of(class) > 0,
        // A proxy that says zero of everything has not counted.
        Some(_) => usage.lines().next().is_some(),
    });
    if let Some(usage) = said {
        return (usage, Source::Provider);
    }
    let guess = || Usage { input: estimate::input_guess(request), ..Usage::default() };
    match count::used(request, uploaded, told) {
        // Reranking has no output: where it is billed by tokens, the input is all there is to guess.
        Some(counted) if unit_priced || !tokens_priced || request.api() != Api::Rerank => counted,
        // Counting tokens uses none.
        _ if request.api() == Api::CountTokens => (Usage::default(), Source::Provider),
        _ => (guess(), Source::Estimate),
    }
}

/// The most that a request billed by units can cost; `None` if these prices have none for what its API counts. Where
/// there are rates of tokens too, its input counts on top: such a unit's price is what its output comes to.
#[must_use]
pub fn bound(request: &Request, uploaded: u64, prices: &Prices) -> Option<Nanos> {
    let unit = Unit::of(request.api())?;
    let (size, quality) = (word(request, "size"), word(request, "quality"));
    let price = unit_price_bound(&prices.units, unit, size.as_deref(), quality.as_deref())?;
    let units = u128::from(count::bound(request, uploaded)).saturating_mul(u128::from(price));
    let tokens = prices.bound(request.service_tier(), estimate::input_bound(request), 0)?;
    Some(Nanos(Nanos::bound(units).0.saturating_add(tokens.0)))
}

/// A word of the request; `auto` leaves it open.
fn word(request: &Request, key: &str) -> Option<String> {
    let value = request.json().root().get(key)?;
    value.as_str().filter(|word| word != "auto").map(std::borrow::Cow::into_owned)
}
