//! The file as it is written, and what is made of it.

use super::error::CatalogueError;
use super::fact::{Mode, Provider, Unit, UnitPrice};
use super::model::Model;
use crate::chat::Needs;
use crate::price::{LongPrompt, Rate, RateSet, pico_from_usd, pico_per_token_from_usd_per_mtok};
use crate::usage::Class;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileShape {
    pub(super) version: String,
    #[serde(default)]
    checked_on: String,
    #[serde(default)]
    sources: Vec<SourceShape>,
    #[serde(default)]
    pub(super) providers: Vec<Provider>,
    pub(super) models: Vec<ModelShape>,
}

/// A published list. What is not read here is for whoever reads the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the fields that are not read prove that the file has no others")]
struct SourceShape {
    name: String,
    version: String,
    registry: String,
    package: String,
    family: String,
    license: String,
    sha256: String,
}

/// USD per million tokens by class, exact decimals as strings.
type Mtok = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelShape {
    provider: String,
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    ctx_tokens: u32,
    #[serde(default)]
    max_input_tokens: u32,
    #[serde(default)]
    max_output_tokens: u32,
    #[serde(default)]
    caps: Vec<String>,
    #[serde(default)]
    responses_only: bool,
    #[serde(default)]
    usd_per_mtok: Mtok,
    #[serde(default)]
    over: Vec<OverShape>,
    #[serde(default)]
    tiers: BTreeMap<String, TierShape>,
    #[serde(default)]
    units: Vec<UnitShape>,
    #[serde(default)]
    retires_on: Option<String>,
    /// Names of `sources`; or `source` and `checked_on` in words.
    #[serde(default)]
    by: Vec<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    checked_on: Option<String>,
    #[serde(default)]
    assumed: Vec<String>,
    #[serde(default)]
    disputed: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverShape {
    tokens: u64,
    usd_per_mtok: Mtok,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TierShape {
    usd_per_mtok: Mtok,
    #[serde(default)]
    over: Vec<OverShape>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnitShape {
    unit: Unit,
    usd: String,
    #[serde(default)]
    size: Option<String>,
    #[serde(default)]
    quality: Option<String>,
}

/// Who says it, and when that was looked at.
pub(super) struct Provenance {
    versions: BTreeMap<String, String>,
    checked_on: String,
}

impl FileShape {
    pub(super) fn provenance(&mut self) -> Provenance {
        let versions = self.sources.drain(..).map(|source| {
            let words = format!("{} {}", source.name, source.version);
            (source.name, words)
        });
        Provenance { versions: versions.collect(), checked_on: std::mem::take(&mut self.checked_on) }
    }
}

impl Provenance {
    /// The sources in words, and the date; `None` if either is missing.
    fn of(&self, shape: &mut ModelShape) -> Option<(String, String)> {
        let checked_on = shape.checked_on.take().unwrap_or_else(|| self.checked_on.clone());
        let source = match shape.source.take() {
            Some(source) => source,
            None => {
                let named: Option<Vec<_>> =
                    shape.by.iter().map(|name| self.versions.get(name).map(String::as_str)).collect();
                named?.join(", ")
            }
        };
        (!source.is_empty() && !checked_on.is_empty()).then_some((source, checked_on))
    }
}

impl ModelShape {
    pub(super) fn model(mut self, provenance: &Provenance) -> Result<Model, CatalogueError> {
        let id = format!("{}/{}", self.provider, self.name);
        let Some((source, checked_on)) = provenance.of(&mut self) else {
            return Err(CatalogueError::Unsourced(id));
        };
        let RateSet { rates, long } = set(&id, &self.usd_per_mtok, &self.over)?;
        let tier = |(name, tier): (String, TierShape)| Ok((name, set(&id, &tier.usd_per_mtok, &tier.over)?));
        let tiers = self.tiers.into_iter().map(tier).collect::<Result<_, CatalogueError>>()?;
        let units =
            self.units.into_iter().map(|shape| shape.price(&id)).collect::<Result<_, CatalogueError>>()?;
        Ok(Model {
            caps: caps(&id, self.caps)?,
            provider: self.provider,
            name: self.name,
            aliases: self.aliases,
            mode: self.mode,
            ctx_tokens: self.ctx_tokens,
            max_input_tokens: self.max_input_tokens,
            max_output_tokens: self.max_output_tokens,
            responses_only: self.responses_only,
            rates,
            long,
            tiers,
            units,
            retires_on: self.retires_on,
            source,
            checked_on,
            assumed: self.assumed,
            disputed: self.disputed,
        })
    }
}

impl UnitShape {
    fn price(self, id: &str) -> Result<UnitPrice, CatalogueError> {
        let pico_per_unit = pico_from_usd(&self.usd)
            .map_err(|error| CatalogueError::Price { model: id.into(), what: "units", error })?;
        Ok(UnitPrice { unit: self.unit, pico_per_unit, size: self.size, quality: self.quality })
    }
}

fn caps(id: &str, names: Vec<String>) -> Result<Needs, CatalogueError> {
    let mut caps = Needs::default();
    for cap in names {
        match caps.flag(&cap) {
            Some(flag) => *flag = true,
            None => return Err(CatalogueError::Cap { model: id.into(), cap }),
        }
    }
    Ok(caps)
}

fn set(id: &str, base: &Mtok, over: &[OverShape]) -> Result<RateSet, CatalogueError> {
    let base = rates(id, base)?;
    let mut long: Vec<LongPrompt> = Vec::with_capacity(over.len());
    for tier in over {
        if tier.tokens <= long.last().map_or(0, |before| before.over) {
            return Err(CatalogueError::Threshold { model: id.into(), tokens: tier.tokens });
        }
        let shorter = long.last().map_or(&base, |before| &before.rates);
        let rates = completed(rates(id, &tier.usd_per_mtok)?, shorter);
        long.push(LongPrompt { over: tier.tokens, rates });
    }
    Ok(RateSet { rates: base, long })
}

fn rates(id: &str, written: &Mtok) -> Result<Vec<Rate>, CatalogueError> {
    let mut rates = Vec::with_capacity(written.len());
    for (name, decimal) in written {
        let Some(class) = Class::parse(name) else {
            return Err(CatalogueError::Class { model: id.into(), class: name.clone() });
        };
        let pico_per_unit = pico_per_token_from_usd_per_mtok(decimal)
            .map_err(|error| CatalogueError::Price { model: id.into(), what: class.as_str(), error })?;
        rates.push(Rate { class, pico_per_unit });
    }
    rates.sort_by_key(|rate| rate.class);
    Ok(rates)
}

/// A class with a rate of its own for shorter prompts has one here too: where the file leaves it out, the dearer of the
/// two that it could mean, so that an omission never makes a long prompt cheap.
fn completed(mut rates: Vec<Rate>, shorter: &[Rate]) -> Vec<Rate> {
    for before in shorter {
        if !rates.iter().any(|rate| rate.class == before.class) {
            let fallback = crate::price::rate(&rates, before.class).unwrap_or(0);
            rates.push(Rate { class: before.class, pico_per_unit: fallback.max(before.pico_per_unit) });
        }
    }
    rates.sort_by_key(|rate| rate.class);
    rates
}
