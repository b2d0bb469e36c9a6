//! The rates that apply: those of a service tier, and within it those of the prompt's length.

use super::{Nanos, PriceError, Rate, Unit, UnitPrice, cost, rate, unit_price};
use crate::api::Api;
use crate::usage::{Class, ServiceTier, Usage};
use std::sync::Arc;

/// The source of prices that the operator wrote into the config.
pub const OPERATOR: &str = "config";

/// The rates of a whole request whose input is longer than a threshold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LongPrompt {
    /// They apply from one token more than this.
    pub over: u64,
    /// At most one per class.
    pub rates: Vec<Rate>,
}

/// Rates of one service tier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RateSet {
    /// At most one per class.
    pub rates: Vec<Rate>,
    /// Those of longer prompts, the shortest threshold first.
    pub long: Vec<LongPrompt>,
}

/// The rates of a model, and where they come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prices {
    /// At most one per class: what an ordinary request costs.
    pub rates: Vec<Rate>,
    /// The rates of longer prompts, the shortest threshold first.
    pub long: Vec<LongPrompt>,
    /// Rates by service tier (`batch`, `flex`, `priority`), where they are known.
    pub tiers: Vec<(String, RateSet)>,
    /// Prices of what is not counted in tokens. They price no usage before [`Prices::for_units`] has chosen among them.
    pub units: Vec<UnitPrice>,
    /// Who says so.
    pub source: String,
    /// Which catalogue said it.
    pub catalogue_version: Arc<str>,
}

impl Prices {
    /// The rate of a class in pico-dollars per token for a short prompt, after [`Class::falls_back_to`].
    #[must_use]
    pub fn rate(&self, class: Class) -> Option<u64> {
        rate(&self.rates, class)
    }

    /// The rates of a service tier. `None` if nothing is known of that tier: unknown is not the ordinary price.
    #[must_use]
    pub fn for_tier(&self, tier: ServiceTier) -> Option<Sheet<'_>> {
        match tier.name() {
            None => Some(self.ordinary()),
            // What an operator says of a price, it says of every tier.
            Some(_) if self.source == OPERATOR => Some(self.ordinary()),
            Some(name) => self.tiers.iter().find(|(known, _)| known == name).map(|(_, set)| set.sheet()),
        }
    }

    /// Whether the most that a request by this API can cost may be known: there are rates of tokens, or a price of what
    /// the API counts instead.
    #[must_use]
    pub fn covers(&self, api: Api) -> bool {
        !self.rates.is_empty() || Unit::of(api).is_some_and(|unit| self.has_unit(unit))
    }

    /// Whether a unit has a price of any size and quality.
    #[must_use]
    pub fn has_unit(&self, unit: Unit) -> bool {
        self.units.iter().any(|price| price.unit == unit)
    }

    /// The same with rates for units of this size and quality. What has no price that is sure stays without a rate.
    #[must_use]
    pub fn for_units(&self, size: Option<&str>, quality: Option<&str>) -> Self {
        let mut prices = self.clone();
        for unit in [Unit::Image, Unit::Second, Unit::Character, Unit::SearchUnit] {
            let price = unit_price(&self.units, unit, size, quality);
            if let (Some(class), Some(pico_per_unit)) = (unit.class(), price) {
                prices.rates.push(Rate { class, pico_per_unit });
            }
        }
        prices
    }

    /// What this usage costs at the ordinary service tier.
    ///
    /// # Errors
    /// [`PriceError`] if a used class has no price, or the sum overflows.
    pub fn cost(&self, usage: &Usage) -> Result<Nanos, PriceError> {
        self.ordinary().cost(usage)
    }

    /// As [`Sheet::list_cost_without_cache`], at the ordinary service tier.
    ///
    /// # Errors
    /// As [`Prices::cost`].
    pub fn list_cost_without_cache(&self, usage: &Usage) -> Result<Nanos, PriceError> {
        self.ordinary().list_cost_without_cache(usage)
    }

    /// As [`Sheet::bound`], at the ordinary service tier or at the one that was asked for, whichever is dearer: a provider
    /// may serve a request at less than it asked for.
    #[must_use]
    pub fn bound(&self, tier: ServiceTier, input: u64, output: u64) -> Option<Nanos> {
        let ordinary = self.ordinary().bound(input, output)?;
        let asked = self.for_tier(tier).map(|sheet| sheet.bound(input, output));
        Some(asked.unwrap_or(Some(ordinary))?.max(ordinary))
    }

    const fn ordinary(&self) -> Sheet<'_> {
        Sheet { rates: self.rates.as_slice(), long: self.long.as_slice() }
    }
}

impl RateSet {
    /// These rates as a sheet to price by.
    #[must_use]
    pub const fn sheet(&self) -> Sheet<'_> {
        Sheet { rates: self.rates.as_slice(), long: self.long.as_slice() }
    }
}

/// The rates of one service tier, for prompts of any length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sheet<'a> {
    rates: &'a [Rate],
    long: &'a [LongPrompt],
}

impl<'a> Sheet<'a> {
    /// The rates for so many input tokens. Cached input counts: what was sent is what is measured.
    #[must_use]
    pub fn at(&self, total_input: u64) -> &'a [Rate] {
        let tier = self.long.iter().rev().find(|tier| total_input > tier.over);
        tier.map_or(self.rates, |tier| &tier.rates)
    }

    /// What this usage costs. Once the input is over a threshold, all of the request is at its rates, the output too:
    /// so Google, `OpenAI`, Anthropic and xAI bill it.
    ///
    /// # Errors
    /// [`PriceError`] if a used class has no price, or the sum overflows.
    pub fn cost(&self, usage: &Usage) -> Result<Nanos, PriceError> {
        cost(self.at(usage.total_input()), usage)
    }

    /// What this usage would cost had the provider's prompt cache not existed: cached and written input at the input
    /// rate. The difference to [`Sheet::cost`] is what cached input saved (negative if the writes cost more).
    ///
    /// # Errors
    /// As [`Sheet::cost`].
    pub fn list_cost_without_cache(&self, usage: &Usage) -> Result<Nanos, PriceError> {
        let moved = usage.cached_input.checked_add(usage.cache_write_5m);
        let moved = moved.and_then(|sum| sum.checked_add(usage.cache_write_1h));
        let input = moved.and_then(|sum| sum.checked_add(usage.input)).ok_or(PriceError::Overflow)?;
        self.cost(&Usage { input, cached_input: 0, cache_write_5m: 0, cache_write_1h: 0, ..*usage })
    }

    /// The most that a request of at most so much input and output can cost in tokens: every one at the dearest rate of its side
    /// that a prompt of at most that length can meet, rounded up. `None` if it overflows.
    #[must_use]
    pub fn bound(&self, input: u64, output: u64) -> Option<Nanos> {
        let reachable = self.long.iter().filter(|tier| input > tier.over);
        let rates = self.rates.iter().chain(reachable.flat_map(|tier| &tier.rates));
        let (mut dearest_in, mut dearest_out) = (0, 0);
        for rate in rates.filter(|rate| rate.class.is_token()) {
            let side = if rate.class.is_output() { &mut dearest_out } else { &mut dearest_in };
            *side = u128::from(rate.pico_per_unit).max(*side);
        }
        let spent = u128::from(input).checked_mul(dearest_in)?;
        let pico = u128::from(output).checked_mul(dearest_out)?.checked_add(spent)?;
        i64::try_from(pico.div_ceil(super::PICO_PER_NANO)).ok().map(Nanos)
    }
}
