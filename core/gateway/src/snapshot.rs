//! Everything that a reload swaps, as one immutable value: an exchange holds one from its first byte to its last.

use crate::config::Config;
use crate::crowd::{self, Places, Room};
use crate::egress::Endpoint;
use crate::refusal::Refusal;
use crate::telemetry::live::Live;
use crate::telemetry::meters::Meters;
use crate::telemetry::record::Model;
use crate::terms::{Misfit, Terms};
use crate::upstream::Keys;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use weir_llm::api::Api;
use weir_llm::price::Prices;
use weir_llm::request::Hosted;
use weir_policy::pipeline::Asked;
use weir_policy::{LiveFacts, Needs, Pipeline, Plan, TargetTable};

/// One generation of config, policies, prices and targets. Its parts are shared with the generations that have them
/// too, so a copy is a handful of pointers.
#[derive(Clone)]
pub struct Snapshot {
    /// Counts from 1; the order in which snapshots were swapped in.
    pub generation: u64,
    /// The same, ready for a header.
    pub generation_text: Arc<str>,
    /// Where this gateway runs; may be empty.
    pub region: Arc<str>,
    /// The config it was built from.
    pub config: Arc<Config>,
    /// Routes by alias.
    pub routes: HashMap<Arc<str>, Arc<Route>>,
    /// The policies, in order.
    pub pipeline: Arc<Pipeline>,
    /// Digest of what can change content or route; part of every cache key.
    pub digest: [u8; 32],
    /// Makes routes for `provider/model` names.
    pub direct: Arc<Direct>,
    /// Stands for a key or tenant that is not known.
    pub nobody: Arc<str>,
    /// Live facts of the targets.
    pub live: Live,
    /// Metric handles of the generation.
    pub meters: Arc<Meters>,
}

/// Where requests for one model name may go.
#[derive(Clone)]
pub struct Route {
    /// The alias, or `provider/model`.
    pub name: Arc<str>,
    /// What metrics count it as.
    pub label: Model,
    /// All targets of the generation (for a direct name: the one).
    pub table: TargetTable,
    /// How to reach and bill each of `table`.
    pub bound: Arc<[Bound]>,
    /// Indices into `table`, in the operator's order.
    pub allowed: Arc<[u16]>,
    /// Where live facts come from.
    pub facts: Arc<dyn LiveFacts>,
    /// What to do when no policy says.
    pub plan: Plan,
    /// How long a reply may be served again; `None`: only if the request asks.
    pub cache: Option<Duration>,
    /// Most attempts over all targets.
    pub max_attempts: u8,
    /// Whether a target that cannot be told all is refused.
    pub strict: bool,
    /// Which policies are asked.
    pub asked: Asked,
    /// The longest that an attempt at one of its targets may take.
    pub deadline: Duration,
}

/// What a request asks for, as far as it decides who may have it.
#[derive(Clone, Copy)]
pub struct Asks<'a> {
    /// What may be done with content.
    pub terms: &'a Terms,
    /// What is asked beside the model; empty where that does not matter.
    pub hosted: &'a [Hosted],
    /// The API that the caller speaks.
    pub api: Api,
    /// What the model has to be able to do.
    pub needs: Needs,
}

/// What is known of what a model can do.
#[derive(Clone, Copy, Default)]
pub struct Able {
    /// By the operator: binding.
    pub said: Option<Needs>,
    /// By the catalogue, which may be behind: decides between targets, and refuses nothing.
    pub known: Option<Needs>,
}

impl Able {
    /// What is asked and cannot be had here, as far as the operator says; or, where nothing is said, the catalogue, if that
    /// is believed.
    fn lacking(self, asked: Needs, believe: bool) -> Needs {
        if let Some(said) = self.said {
            return said.lacking(asked);
        }
        // Where the catalogue knows of neither tools nor pictures it has not looked for them.
        let known = self.known.filter(|known| believe && (known.tools || known.vision));
        // Schemas and log probabilities are asked for in many ways; the catalogue knows of few.
        let known = known.map(|known| Needs { json_schema: true, logprobs: true, ..known });
        known.map(|known| known.lacking(asked)).unwrap_or_default()
    }
}

/// How to reach and bill one target.
#[derive(Clone)]
pub struct Bound {
    /// Its provider.
    pub endpoint: Arc<Endpoint>,
    /// What it costs; `None` if unknown.
    pub prices: Option<Arc<Prices>>,
    /// What it can do.
    pub able: Able,
    /// How many requests it takes at one time, if that is bounded.
    pub room: Option<Room>,
    /// Its row in the table of live facts.
    pub live: u16,
    /// Which of its provider's keys may be used.
    pub keys: Arc<Keys>,
}

impl Bound {
    /// Takes a place at the provider and the target.
    ///
    /// # Errors
    /// 503: one of them is full.
    pub fn enter(&self, id: &str) -> Result<Places, Refusal> {
        crowd::enter([self.endpoint.room.as_ref(), self.room.as_ref()], id)
    }
}

/// Makes a route for a provider and a model, with these policies.
pub type Make = Arc<dyn Fn(&str, &str, &Pipeline) -> Option<Route> + Send + Sync>;

/// Makes and keeps routes for names that are no alias.
pub struct Direct {
    /// Whether the operator allows such names.
    pub enabled: bool,
    /// Makes a route for a provider's model; `None` if there is no such provider.
    pub make: Make,
    pipeline: Arc<Pipeline>,
    made: Mutex<HashMap<String, Arc<Route>>>,
}

/// Most direct routes kept; past that they are made anew for each request.
const DIRECT: usize = 1024;

impl Direct {
    /// Nothing made yet.
    pub fn new(enabled: bool, make: Make, pipeline: Arc<Pipeline>) -> Self {
        Self { enabled, make, pipeline, made: Mutex::default() }
    }

    fn route(&self, name: &str) -> Option<Arc<Route>> {
        let (provider, model) =
            name.split_once('/').filter(|(_, model)| self.enabled && !model.is_empty())?;
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = made.get(name) {
            return Some(Arc::clone(route));
        }
        let route = Arc::new((self.make)(provider, model, &self.pipeline)?);
        if made.len() < DIRECT {
            made.insert(name.to_owned(), Arc::clone(&route));
        }
        Some(route)
    }
}

impl Snapshot {
    /// The same under another number: what a rollback swaps in.
    #[must_use]
    pub fn as_generation(&self, generation: u64) -> Self {
        Self { generation, generation_text: generation.to_string().into(), ..self.clone() }
    }

    /// The same with other policies. Nothing here holds the old ones any more.
    #[must_use]
    pub fn with_policies(&self, generation: u64, pipeline: &Arc<Pipeline>, digest: [u8; 32]) -> Self {
        let asked = |(name, route): (&Arc<str>, &Arc<Route>)| {
            let route = Route { asked: pipeline.asked(name), ..Route::clone(route) };
            (Arc::clone(name), Arc::new(route))
        };
        Self {
            routes: self.routes.iter().map(asked).collect(),
            direct: Arc::new(Direct::new(
                self.direct.enabled,
                Arc::clone(&self.direct.make),
                Arc::clone(pipeline),
            )),
            pipeline: Arc::clone(pipeline),
            digest,
            ..self.as_generation(generation)
        }
    }

    /// The route for a model name: an alias, or `provider/model`.
    pub fn route(&self, name: &str) -> Option<Arc<Route>> {
        self.routes.get(name).cloned().or_else(|| self.direct.route(name))
    }
}

/// Why a target may not have a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit<'a> {
    /// The route has no such target.
    Unknown,
    /// Its provider does not serve the API.
    Api,
    /// It does with content what it may not.
    Terms(Misfit),
    /// Its terms do not extend to a feature that is asked for.
    Uncovered(&'a Hosted),
    /// It cannot do this.
    Unable(Needs),
    /// Its price is not known, and has to be.
    Unpriced,
}

impl Route {
    /// Whether a target serves an API, may have the content of a request and can do what it needs, and under a hard budget
    /// has a known price of what the API uses.
    ///
    /// # Errors
    /// The first reason why not. What the catalogue alone says that it cannot do is one only if another target can.
    pub fn fits<'a>(&self, index: u16, asks: &Asks<'a>, priced: bool) -> Result<(), Unfit<'a>> {
        match self.fits_if(index, asks, priced, true) {
            Err(Unfit::Unable(_)) if !self.anybody(asks, priced) => self.fits_if(index, asks, priced, false),
            fits => fits,
        }
    }

    /// Whether the catalogue leaves anybody.
    fn anybody(&self, asks: &Asks<'_>, priced: bool) -> bool {
        self.allowed.iter().any(|&index| self.fits_if(index, asks, priced, true).is_ok())
    }

    /// `believe`: the catalogue, where the operator does not say what a model can do.
    fn fits_if<'a>(&self, index: u16, asks: &Asks<'a>, priced: bool, believe: bool) -> Result<(), Unfit<'a>> {
        let at = usize::from(index);
        let (Some(target), Some(bound)) = (self.table.get(at), self.bound.get(at)) else {
            return Err(Unfit::Unknown);
        };
        if !bound.endpoint.speaks.serves(asks.api) {
            return Err(Unfit::Api);
        }
        asks.terms.fits(target).map_err(Unfit::Terms)?;
        if let Some(hosted) = asks.terms.uncovered(asks.hosted, &bound.endpoint.excluded) {
            return Err(Unfit::Uncovered(hosted));
        }
        let lacking = bound.able.lacking(asks.needs, believe);
        if !lacking.is_nothing() {
            return Err(Unfit::Unable(lacking));
        }
        let known = || bound.prices.as_ref().is_some_and(|prices| prices.covers(asks.api));
        if priced && !known() { Err(Unfit::Unpriced) } else { Ok(()) }
    }

    /// The targets that serve an API and may have the content of a request, and under a hard budget only those with a
    /// known price of what the API uses.
    pub fn eligible(&self, asks: &Asks<'_>, priced: bool) -> Arc<[u16]> {
        if self.allowed.iter().all(|&index| self.fits_if(index, asks, priced, true).is_ok()) {
            return Arc::clone(&self.allowed);
        }
        let believe = self.anybody(asks, priced);
        let fits = |index: &u16| self.fits_if(*index, asks, priced, believe).is_ok();
        self.allowed.iter().copied().filter(fits).collect()
    }

    /// Whether some target may have content under these terms, whatever the API.
    pub fn reachable(&self, terms: &Terms) -> bool {
        let target = |index: &u16| self.table.get(usize::from(*index));
        self.allowed.iter().filter_map(target).any(|target| terms.fits(target).is_ok())
    }

    /// The first use of a feature that no target which fits otherwise has under its terms.
    pub fn uncovered<'a>(&self, asks: &Asks<'a>) -> Option<&'a Hosted> {
        let fitting = self.eligible(&Asks { hosted: &[], needs: Needs::default(), ..*asks }, false);
        let bound = |index: &u16| self.bound.get(usize::from(*index));
        let uncovered: Option<Vec<&Hosted>> = fitting
            .iter()
            .filter_map(bound)
            .map(|bound| asks.terms.uncovered(asks.hosted, &bound.endpoint.excluded))
            .collect();
        uncovered.and_then(|all| all.first().copied())
    }
}
