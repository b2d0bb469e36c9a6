//! What is known of models: limits, abilities, and list prices with their source. Embedded from `data/catalogue.json`,
//! which `data/build_catalogue.py` makes; an operator's file of the same shape extends or overrides it.

use crate::price::{DecimalError, Prices, Rate, pico_per_token_from_usd_per_mtok};
use crate::request::Needs;
use crate::usage::Class;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

/// Models by provider and name.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// The version that postings carry.
    pub version: String,
    models: Vec<Model>,
    /// `provider/name` of names and aliases.
    by_provider: HashMap<String, usize>,
    /// Bare names and aliases; the first in file order wins.
    by_name: HashMap<String, usize>,
}

/// One model at its own provider's list price.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Who serves it at this price.
    pub provider: String,
    /// Its name there.
    pub name: String,
    /// Other names for the same model, such as dated snapshots.
    pub aliases: Vec<String>,
    /// Context length in tokens; 0 if unknown.
    pub ctx_tokens: u32,
    /// Longest output in tokens; 0 if unknown.
    pub max_output_tokens: u32,
    /// What it can do.
    pub caps: Needs,
    /// List prices; empty if unknown.
    pub rates: Vec<Rate>,
    /// Where the numbers come from.
    pub source: String,
    /// When they were checked, `YYYY-MM-DD`.
    pub checked_on: String,
}

/// A catalogue that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Not JSON of the catalogue's shape.
    #[error("catalogue: {0}")]
    Shape(#[from] serde_json::Error),
    /// A rate of a class that does not exist.
    #[error("catalogue: {model}: unknown token class {class:?}")]
    Class {
        /// `provider/name`
        model: String,
        /// As written.
        class: String,
    },
    /// A price that is no exact decimal.
    #[error("catalogue: {model}: {class}: {error}")]
    Price {
        /// `provider/name`
        model: String,
        /// The class it is for.
        class: &'static str,
        /// What is wrong with it.
        error: DecimalError,
    },
    /// An ability that does not exist.
    #[error("catalogue: {model}: unknown ability {cap:?}")]
    Cap {
        /// `provider/name`
        model: String,
        /// As written.
        cap: String,
    },
    /// The same `provider/name` twice.
    #[error("catalogue: {0} stands there twice")]
    Twice(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileShape {
    version: String,
    models: Vec<ModelShape>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelShape {
    provider: String,
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    ctx_tokens: u32,
    #[serde(default)]
    max_output_tokens: u32,
    #[serde(default)]
    caps: Vec<String>,
    /// USD per million tokens by class, exact decimals as strings.
    #[serde(default)]
    usd_per_mtok: BTreeMap<String, String>,
    source: String,
    checked_on: String,
}

impl Catalogue {
    /// Reads a catalogue file.
    ///
    /// # Errors
    /// [`CatalogueError`] names the model and what is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, CatalogueError> {
        let file: FileShape = serde_json::from_slice(json)?;
        let mut catalogue = Self { version: file.version, ..Self::default() };
        for shape in file.models {
            catalogue.add(Model::from_shape(shape)?)?;
        }
        Ok(catalogue)
    }

    /// The catalogue that is compiled in. A test proves that it can be read.
    #[must_use]
    pub fn embedded() -> &'static Self {
        static EMBEDDED: OnceLock<Catalogue> = OnceLock::new();
        EMBEDDED.get_or_init(|| Self::parse(include_bytes!("../data/catalogue.json")).unwrap_or_default())
    }

    /// The model of this provider, else the model of this name at whoever makes it: a provider's name is the
    /// operator's choice, and an OpenAI-compatible endpoint of any name may serve `gpt-4o`.
    #[must_use]
    pub fn model(&self, provider: &str, model: &str) -> Option<&Model> {
        let index =
            self.by_provider.get(&format!("{provider}/{model}")).or_else(|| self.by_name.get(model))?;
        self.models.get(*index)
    }

    /// All models in file order.
    #[must_use]
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// This catalogue with `other`'s models before its own; the version names both.
    ///
    /// # Errors
    /// [`CatalogueError::Twice`] cannot happen for two catalogues that were read.
    pub fn extended_by(&self, other: &Self) -> Result<Self, CatalogueError> {
        let mut merged = Self { version: format!("{}+{}", self.version, other.version), ..Self::default() };
        for model in &other.models {
            merged.add(model.clone())?;
        }
        for model in &self.models {
            if !merged.by_provider.contains_key(&model.id()) {
                merged.add(model.clone())?;
            }
        }
        Ok(merged)
    }

    fn add(&mut self, model: Model) -> Result<(), CatalogueError> {
        let index = self.models.len();
        if self
            .by_provider
            .insert(model.id(), index)
            .is_some_and(|earlier| self.models[earlier].name == model.name)
        {
            return Err(CatalogueError::Twice(model.id()));
        }
        for alias in &model.aliases {
            self.by_provider.entry(format!("{}/{alias}", model.provider)).or_insert(index);
        }
        for name in std::iter::once(&model.name).chain(&model.aliases) {
            self.by_name.entry(name.clone()).or_insert(index);
        }
        self.models.push(model);
        Ok(())
    }
}

impl Model {
    /// `provider/name`
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.provider, self.name)
    }

    /// Its rates with source and version, as postings want them; `None` if unknown.
    #[must_use]
    pub fn prices(&self, catalogue: &Catalogue) -> Option<Prices> {
        (!self.rates.is_empty()).then(|| Prices {
            rates: self.rates.clone(),
            source: self.source.clone(),
            catalogue_version: catalogue.version.clone(),
        })
    }

    fn from_shape(shape: ModelShape) -> Result<Self, CatalogueError> {
        let id = format!("{}/{}", shape.provider, shape.name);
        let mut rates = Vec::with_capacity(shape.usd_per_mtok.len());
        for (name, decimal) in shape.usd_per_mtok {
            let Some(class) = Class::parse(&name) else {
                return Err(CatalogueError::Class { model: id, class: name });
            };
            match pico_per_token_from_usd_per_mtok(&decimal) {
                Ok(pico_per_unit) => rates.push(Rate { class, pico_per_unit }),
                Err(error) => return Err(CatalogueError::Price { model: id, class: class.as_str(), error }),
            }
        }
        rates.sort_by_key(|rate| rate.class);
        let mut caps = Needs::default();
        for cap in shape.caps {
            match caps.flag(&cap) {
                Some(flag) => *flag = true,
                None => return Err(CatalogueError::Cap { model: id, cap }),
            }
        }
        Ok(Self {
            provider: shape.provider,
            name: shape.name,
            aliases: shape.aliases,
            ctx_tokens: shape.ctx_tokens,
            max_output_tokens: shape.max_output_tokens,
            caps,
            rates,
            source: shape.source,
            checked_on: shape.checked_on,
        })
    }
}
