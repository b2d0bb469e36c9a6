//! One model at one provider.

use super::Catalogue;
use super::fact::Mode;
use crate::price::{LongPrompt, Prices, Rate, RateSet, Unit, UnitPrice, unit_price};
use crate::request::Needs;

/// One model at its own provider's list price.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    /// Who serves it at this price.
    pub provider: String,
    /// Its name there.
    pub name: String,
    /// Other names for the same model, such as dated snapshots.
    pub aliases: Vec<String>,
    /// What it is called for.
    pub mode: Mode,
    /// Context length in tokens; 0 if unknown.
    pub ctx_tokens: u32,
    /// Longest input in tokens where that is less than the context; 0 if unknown.
    pub max_input_tokens: u32,
    /// Longest output in tokens; 0 if unknown.
    pub max_output_tokens: u32,
    /// What it can do.
    pub caps: Needs,
    /// It answers the Responses API only.
    pub responses_only: bool,
    /// List prices; empty if unknown.
    pub rates: Vec<Rate>,
    /// Those of longer prompts, the shortest threshold first.
    pub long: Vec<LongPrompt>,
    /// Those of other service tiers.
    pub tiers: Vec<(String, RateSet)>,
    /// Prices of what is not counted in tokens.
    pub units: Vec<UnitPrice>,
    /// The day on which the provider takes it away, `YYYY-MM-DD`.
    pub retires_on: Option<String>,
    /// Where the numbers come from.
    pub source: String,
    /// When they were checked, `YYYY-MM-DD`.
    pub checked_on: String,
    /// Rates that no source names and that were filled in in proportion.
    pub assumed: Vec<String>,
    /// Rates about which the sources disagree.
    pub disputed: Vec<String>,
}

impl Model {
    /// `provider/name`
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.provider, self.name)
    }

    /// Its prices with source and version, as postings want them; `None` if unknown.
    #[must_use]
    pub fn prices(&self, catalogue: &Catalogue) -> Option<Prices> {
        let known = !self.rates.is_empty() || !self.units.is_empty();
        known.then(|| Prices {
            rates: self.rates.clone(),
            long: self.long.clone(),
            tiers: self.tiers.clone(),
            units: self.units.clone(),
            source: self.source.clone(),
            catalogue_version: catalogue.version.as_str().into(),
        })
    }

    /// The rates of a service tier (`batch`, `flex`, `priority`) for a short prompt; `None` if unknown.
    #[must_use]
    pub fn tier(&self, name: &str) -> Option<&[Rate]> {
        self.tiers.iter().find(|(known, _)| known == name).map(|(_, set)| set.rates.as_slice())
    }

    /// As [`unit_price`], of this model.
    #[must_use]
    pub fn unit(&self, unit: Unit, size: Option<&str>, quality: Option<&str>) -> Option<u64> {
        unit_price(&self.units, unit, size, quality)
    }
}
