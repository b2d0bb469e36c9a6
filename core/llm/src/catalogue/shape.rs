//! The file as it is written, and what is made of it.

use super::error::CatalogueError;
use super::fact::{Mode, Provider};
use super::model::Model;
use crate::price::{
    LongPrompt, Rate, RateSet, Unit, UnitPrice, pico_from_usd, pico_per_token_from_usd_per_mtok,
};
use crate::request::Needs;
use crate::usage::Class;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileShape<'a> {
    #[serde(borrow)]
    pub(super) models: Vec<ModelShape<'a>>,
    pub(super) version: String,
    #[serde(default)]
    checked_on: String,
    #[serde(default)]
    sources: Vec<SourceShape>,
    #[serde(default)]
    pub(super) providers: Vec<Provider>,
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
#[derive(Default)]
struct Mtok<'a>(Vec<(Text<'a>, Text<'a>)>);

/// A string of the file, copied only if it is escaped there: the file has thousands, and is read at the start.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Mtok<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = Mtok<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("prices by token class")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Mtok<'de>, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = map.next_entry()? {
                    rows.push(row);
                }
                Ok(Mtok(rows))
            }
        }
        deserializer.deserialize_map(Rows)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrowing)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelShape<'a> {
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
    #[serde(default, borrow)]
    caps: Vec<Text<'a>>,
    #[serde(default)]
    responses_only: bool,
    #[serde(default, borrow)]
    usd_per_mtok: Mtok<'a>,
    #[serde(default, borrow)]
    over: Vec<OverShape<'a>>,
    #[serde(default, borrow)]
    tiers: BTreeMap<String, TierShape<'a>>,
    #[serde(default)]
    units: Vec<UnitShape>,
    #[serde(default)]
    retires_on: Option<String>,
    /// Names of `sources`; or `source` and `checked_on` in words.
    #[serde(default, borrow)]
    by: Vec<Text<'a>>,
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
struct OverShape<'a> {
    tokens: u64,
    #[serde(borrow)]
    usd_per_mtok: Mtok<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TierShape<'a> {
    #[serde(borrow)]
    usd_per_mtok: Mtok<'a>,
    #[serde(default, borrow)]
    over: Vec<OverShape<'a>>,
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

impl FileShape<'_> {
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
    fn of(&self, shape: &mut ModelShape<'_>) -> Option<(String, String)> {
        let checked_on = shape.checked_on.take().unwrap_or_else(|| self.checked_on.clone());
        let source = match shape.source.take() {
            Some(source) => source,
            None => {
                let named: Option<Vec<_>> =
                    shape.by.iter().map(|name| self.versions.get(&*name.0).map(String::as_str)).collect();
                named?.join(", ")
            }
        };
        (!source.is_empty() && !checked_on.is_empty()).then_some((source, checked_on))
    }
}

impl ModelShape<'_> {
    pub(super) fn model(mut self, provenance: &Provenance) -> Result<Model, CatalogueError> {
        let id = format!("{}/{}", self.provider, self.name);
        let Some((source, checked_on)) = provenance.of(&mut self) else {
            return Err(CatalogueError::Unsourced(id));
        };
        let RateSet { rates, long } = set(&id, &self.usd_per_mtok, &self.over)?;
        let tier =
            |(name, tier): (String, TierShape<'_>)| Ok((name, set(&id, &tier.usd_per_mtok, &tier.over)?));
        let tiers = self.tiers.into_iter().map(tier).collect::<Result<_, CatalogueError>>()?;
        let units =
            self.units.into_iter().map(|shape| shape.price(&id)).collect::<Result<_, CatalogueError>>()?;
        Ok(Model {
            caps: caps(&id, &self.caps)?,
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
        let pico_per_unit = pico_from_usd(&self.usd).map_err(|error| CatalogueError::Price {
            model: id.into(),
            what: "units",
            error,
        })?;
        Ok(UnitPrice { unit: self.unit, pico_per_unit, size: self.size, quality: self.quality })
    }
}

fn caps(id: &str, names: &[Text<'_>]) -> Result<Needs, CatalogueError> {
    let mut caps = Needs::default();
    for Text(cap) in names {
        match caps.flag(cap) {
            Some(flag) => *flag = true,
            None => return Err(CatalogueError::Cap { model: id.into(), cap: cap.to_string() }),
        }
    }
    Ok(caps)
}

fn set(id: &str, base: &Mtok<'_>, over: &[OverShape<'_>]) -> Result<RateSet, CatalogueError> {
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

fn rates(id: &str, written: &Mtok<'_>) -> Result<Vec<Rate>, CatalogueError> {
    let mut rates: Vec<Rate> = Vec::with_capacity(written.0.len());
    for (Text(name), Text(decimal)) in &written.0 {
        let Some(class) = Class::parse(name).filter(|class| class.is_token()) else {
            return Err(CatalogueError::Class { model: id.into(), class: name.to_string() });
        };
        let pico_per_unit = pico_per_token_from_usd_per_mtok(decimal)
            .map_err(|error| CatalogueError::Price { model: id.into(), what: class.as_str(), error })?;
        if rates.iter().any(|rate| rate.class == class) {
            return Err(CatalogueError::Twice(format!("{id}: {name}")));
        }
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
