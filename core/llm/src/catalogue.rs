//! What is known of models: limits, abilities, and list prices with their source. Embedded from `data/catalogue.json`,
//! which `data/build_catalogue.py` makes; an operator's file of the same shape extends or overrides it.
//!
//! # Layout
//!
//! - [`Model`]: one model at one provider.
//! - [`Mode`], [`Provider`]: facts that are no prices.
//! - `shape`: the file as it is written.

mod error;
mod fact;
mod model;
mod shape;

pub use self::error::CatalogueError;
pub use self::fact::{Mode, Provider, RetentionTerms};
pub use self::model::Model;
pub use crate::price::{Unit, UnitPrice};

use self::shape::FileShape;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Models by provider and name.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// The version that postings carry.
    pub version: String,
    models: Vec<Model>,
    providers: Vec<Provider>,
    /// Names and aliases by provider.
    by_provider: HashMap<String, HashMap<String, usize>>,
    /// Bare names and aliases; the first in file order wins.
    by_name: HashMap<String, usize>,
}

impl Catalogue {
    /// Reads a catalogue file.
    ///
    /// # Errors
    /// [`CatalogueError`] names the model and what is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, CatalogueError> {
        let mut file: FileShape<'_> = serde_json::from_slice(json)?;
        let provenance = file.provenance();
        let mut catalogue = Self { version: file.version, providers: file.providers, ..Self::default() };
        for shape in file.models {
            catalogue.add(shape.model(&provenance)?)?;
        }
        Ok(catalogue)
    }

    /// The catalogue that is compiled in, read when it is first asked for. A test proves that it can be read.
    #[must_use]
    pub fn embedded() -> &'static Self {
        static EMBEDDED: OnceLock<Catalogue> = OnceLock::new();
        EMBEDDED.get_or_init(|| Self::parse(include_bytes!("../data/catalogue.json")).unwrap_or_default())
    }

    /// The model of this very provider, by its name or one that others call it by. Prices hold only here: another
    /// provider may serve a model of the same name at any price.
    #[must_use]
    pub fn find(&self, vendor: &str, model: &str) -> Option<&Model> {
        let models = self.by_provider.get(vendor).or_else(|| {
            let known =
                self.providers.iter().find(|known| known.aliases.iter().any(|alias| alias == vendor))?;
            self.by_provider.get(&known.name)
        })?;
        self.models.get(*models.get(model)?)
    }

    /// The model of this provider, else the model of this name at whoever makes it, for its limits and abilities: a
    /// provider's name is the operator's choice, and an OpenAI-compatible endpoint of any name may serve `gpt-4o`. Prices
    /// want [`Catalogue::find`].
    #[must_use]
    pub fn model(&self, provider: &str, model: &str) -> Option<&Model> {
        self.find(provider, model).or_else(|| self.models.get(*self.by_name.get(model)?))
    }

    /// What is known of a provider, by its name or one that others call it by.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        let named = |known: &&Provider| known.name == name || known.aliases.iter().any(|alias| alias == name);
        self.providers.iter().find(named)
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
        let version = format!("{}+{}", self.version, other.version);
        let mut merged = Self { version, providers: other.providers.clone(), ..Self::default() };
        for provider in &self.providers {
            if !merged.providers.iter().any(|known| known.name == provider.name) {
                merged.providers.push(provider.clone());
            }
        }
        for model in &other.models {
            merged.add(model.clone())?;
        }
        for model in &self.models {
            if !merged.knows(model) {
                merged.add(model.clone())?;
            }
        }
        Ok(merged)
    }

    fn knows(&self, model: &Model) -> bool {
        self.by_provider.get(&model.provider).is_some_and(|models| models.contains_key(&model.name))
    }

    fn add(&mut self, model: Model) -> Result<(), CatalogueError> {
        let index = self.models.len();
        let siblings = self.by_provider.entry(model.provider.clone()).or_default();
        let before = siblings.insert(model.name.clone(), index);
        if before.is_some_and(|earlier| self.models[earlier].name == model.name) {
            return Err(CatalogueError::Twice(model.id()));
        }
        for alias in &model.aliases {
            siblings.entry(alias.clone()).or_insert(index);
        }
        for name in std::iter::once(&model.name).chain(&model.aliases) {
            self.by_name.entry(name.clone()).or_insert(index);
        }
        self.models.push(model);
        Ok(())
    }
}
