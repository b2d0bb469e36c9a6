//! From a config to a snapshot.

use super::policies::Compiled;
use crate::config::{Alias, Config, Http, Provider, ProviderKind, TargetRef};
use crate::egress::{Endpoint, Heads, Parts};
use crate::ship::record::Version;
use crate::ship::tally::Watcher;
use crate::ship::{self, Ship, Units};
use crate::snapshot::{Able, Bound, Direct, Route, Snapshot};
use crate::telemetry::Telemetry;
use crate::telemetry::genai;
use crate::telemetry::live::Live;
use crate::telemetry::meters::{Meters, Origin};
use crate::telemetry::record::Model;
use crate::upstream::{Address, DialKey, Keys, Patience, Proxy, Upstreams, check_trust};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use weir_llm::catalogue::Catalogue;
use weir_llm::price::{OPERATOR, Prices};
use weir_policy::pipeline::Observer;
use weir_policy::{LiveFacts, Pipeline, Plan, Retention, Step, Strategy, Target, TargetTable};

/// Why no snapshot was built: everything that is wrong, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
pub struct Refused {
    /// One line each.
    pub errors: Vec<String>,
}

impl Refused {
    /// One reason.
    pub fn because(why: impl Into<String>) -> Self {
        Self { errors: vec![why.into()] }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.errors.join("\n"))
    }
}

/// Builds snapshots; lives on the reload thread.
pub struct Builder {
    /// The config the process started with: what needs a restart is compared with it.
    pub started: Config,
    upstreams: Arc<Upstreams>,
    telemetry: Arc<Telemetry>,
    /// The policies that run, and how they change.
    pub ship: Ship,
    sim: PathBuf,
}

impl Builder {
    /// A builder for a process whose simulated provider listens at `sim`.
    pub fn new(
        started: Config,
        upstreams: Arc<Upstreams>,
        telemetry: Arc<Telemetry>,
        compiled: Compiled,
        sim: PathBuf,
    ) -> Self {
        let watcher = Arc::new(Watcher::new(Arc::clone(telemetry.policies())));
        let ship = Ship::new(&started.data, compiled, watcher);
        Self { started, upstreams, telemetry, ship, sim }
    }

    /// The first snapshot.
    ///
    /// # Errors
    /// Everything that is wrong with the config and the policies.
    pub fn first(&mut self) -> Result<Snapshot, Refused> {
        let (snapshot, units) = self.build(self.started.clone(), 1, None, &[])?;
        self.remember(&units)?;
        self.ship.adopt(units);
        Ok(snapshot)
    }

    /// Remembers policies before they are swapped in.
    ///
    /// # Errors
    /// The disk's word.
    pub fn remember(&self, units: &Units) -> Result<(), Refused> {
        let kept = self.ship.remember(units);
        kept.map_err(|error| {
            Refused::because(format!("the policies cannot be kept in the data folder: {error}"))
        })
    }

    /// Builds a snapshot, and the policies that run with it. Live facts and breakers of what stays the same are carried
    /// over. `live`: versions that are live in it, whatever is live now.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    pub fn build(
        &mut self,
        config: Config,
        generation: u64,
        old: Option<&Snapshot>,
        live: &[(String, Version)],
    ) -> Result<(Snapshot, Units), Refused> {
        let mut errors = Vec::new();
        let endpoints = self.endpoints(&config, &mut errors);
        let units = self.ship.bind_at(&config, live).map_err(|why| errors.extend(why)).ok();
        let (Some(endpoints), Some(units)) = (endpoints, units) else { return Err(Refused { errors }) };
        let pipeline = self.pipeline(&config, old, &units)?;
        let config = Arc::new(config);
        let targets = Targets::of(&config, &endpoints, &self.upstreams)?;
        let ids: Vec<Arc<str>> = targets.table.iter().map(|target| Arc::clone(&target.id)).collect();
        let live = old.map_or_else(|| Live::new(&ids), |old| old.live.rebind(&ids));
        let names: Vec<Arc<str>> = config.models.iter().map(|alias| alias.name.as_str().into()).collect();
        let origins: Vec<_> = targets.bound.iter().map(|bound| origin(&bound.endpoint)).collect();
        let meters = Meters::new(self.telemetry.metrics(), &names, &targets.table, &origins);
        let facts: Arc<dyn LiveFacts> = Arc::new(live.clone());
        let aliases = config.models.iter().zip(&names).enumerate();
        let routes = aliases
            .map(|(index, (alias, name))| {
                let label = u16::try_from(index).map_or(Model::Direct, Model::Alias);
                (Arc::clone(name), Arc::new(targets.route(alias, Arc::clone(name), label, &pipeline, &facts)))
            })
            .collect();
        let digest = content_digest(&config, &pipeline);
        let pipeline = Arc::new(pipeline);
        let snapshot = Snapshot {
            generation,
            generation_text: generation.to_string().into(),
            region: config.server.region.as_str().into(),
            routes,
            direct: Arc::new(direct(&config, endpoints, facts, Arc::clone(&pipeline), &self.upstreams)),
            pipeline,
            digest,
            nobody: "".into(),
            live,
            meters,
            config,
        };
        Ok((snapshot, units))
    }

    /// The same snapshot with other policies.
    ///
    /// # Errors
    /// The policies cannot be bound together.
    pub fn repolicy(&self, old: &Snapshot, generation: u64, units: &Units) -> Result<Snapshot, Refused> {
        let pipeline = self.pipeline(&old.config, Some(old), units)?;
        let digest = content_digest(&old.config, &pipeline);
        Ok(old.with_policies(generation, &Arc::new(pipeline), digest))
    }

    fn endpoints(&self, config: &Config, errors: &mut Vec<String>) -> Option<Vec<Arc<Endpoint>>> {
        let mut endpoints = Vec::with_capacity(config.providers.len());
        for provider in &config.providers {
            match self.endpoint(provider) {
                Ok(endpoint) => endpoints.push(Arc::new(endpoint)),
                Err(why) => errors.push(format!("providers.{}.{why}", provider.name)),
            }
        }
        (endpoints.len() == config.providers.len()).then_some(endpoints)
    }

    fn endpoint(&self, provider: &Provider) -> Result<Endpoint, String> {
        let (address, host, prefix) = match &provider.kind {
            ProviderKind::Sim => (Address::Socket(self.sim.clone()), "sim".to_owned(), "/v1".to_owned()),
            ProviderKind::Http(at) => (
                Address::Host { host: at.host.clone(), port: at.port, tls: at.tls },
                at.authority(),
                at.prefix.clone(),
            ),
        };
        let timeouts = provider.timeouts;
        let key = dial_key(provider, address);
        let client = key.client.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
        check_trust(key.ca.as_deref(), client)?;
        let parts = Parts {
            prefix: prefix.trim_end_matches('/'),
            host: &host,
            keys: provider.keys.iter().map(|key| key.expose()).collect(),
            headers: &provider.headers,
        };
        Ok(Endpoint {
            name: provider.name.as_str().into(),
            region: provider.region.as_str().into(),
            retention: provider.retention,
            trains: provider.trains,
            excluded: provider.terms.excluded.as_slice().into(),
            public: provider.terms.public,
            speaks: provider.speaks,
            vendor: provider.vendor,
            dialer: self.upstreams.dialer(&key),
            patience: Patience { first_byte: timeouts.first_byte, idle: timeouts.idle },
            drain: provider.drain,
            room: self.upstreams.rooms.room(&provider.name, provider.concurrency),
            total: timeouts.total,
            heads: Heads::new(provider.speaks, &parts)?,
            propagate: provider.propagate,
            server: match &provider.kind {
                ProviderKind::Sim => ("sim".into(), 0),
                ProviderKind::Http(at) => (at.host.as_str().into(), at.port),
            },
        })
    }

    fn pipeline(&self, config: &Config, old: Option<&Snapshot>, units: &Units) -> Result<Pipeline, Refused> {
        let observer: Arc<dyn Observer> = Arc::clone(self.ship.watcher()) as _;
        let built = Pipeline::new(ship::bound(config, units)).map(|pipeline| pipeline.observed_by(&observer));
        let pipeline = built.map_err(|error| Refused::because(error.to_string()))?;
        Ok(match old {
            Some(old) => pipeline.keep_breakers_of(&old.pipeline),
            None => pipeline,
        })
    }
}

/// What the connections of a provider have in common.
fn dial_key(provider: &Provider, address: Address) -> DialKey {
    let proxy = provider.proxy.as_ref().map(|proxy| Proxy {
        host: proxy.host.clone(),
        port: proxy.port,
        authorization: proxy.authorization.as_ref().map(|secret| secret.expose().into()),
    });
    // Nobody negotiates in clear text: there `auto` is what nearly all speak.
    let http = match (provider.http, &address) {
        (Http::Auto, Address::Host { tls: false, .. } | Address::Socket(_)) => Http::One,
        (http, _) => http,
    };
    DialKey {
        ca: provider.ca.clone(),
        client: provider.client_cert.as_ref().map(|tls| (tls.cert.clone(), tls.key.clone())),
        proxy,
        http,
        streams: provider.streams,
        ..DialKey::plain(address, provider.timeouts.connect, true)
    }
}

/// Where an endpoint's targets are, as telemetry names it.
fn origin(endpoint: &Endpoint) -> Origin {
    let system = genai::provider(endpoint.vendor.name, &endpoint.name).into();
    Origin { system, server: endpoint.server.clone() }
}

/// The targets of a generation: each `provider/model` stands in the table once, however many aliases name it.
struct Targets {
    table: TargetTable,
    bound: Arc<[Bound]>,
    index: HashMap<(usize, String, String), u16>,
}

impl Targets {
    fn of(config: &Config, endpoints: &[Arc<Endpoint>], upstreams: &Upstreams) -> Result<Self, Refused> {
        let (mut table, mut bound, mut index) = (Vec::new(), Vec::new(), HashMap::new());
        for target in config.models.iter().flat_map(|alias| &alias.targets) {
            let Some(endpoint) = endpoints.get(target.provider) else { continue };
            let key = key(target);
            if index.contains_key(&key) {
                continue;
            }
            let row = u16::try_from(table.len())
                .map_err(|_| Refused::because("models: more than 65,535 targets"))?;
            let (facts, prices, able) = describe(endpoint, target, &config.catalogue);
            let room = upstreams.rooms.room(&facts.id, target.concurrency);
            table.push(facts);
            let keys = keys(config, target.provider, &target.model, upstreams);
            bound.push(Bound { endpoint: Arc::clone(endpoint), prices, able, room, live: row, keys });
            index.insert(key, row);
        }
        Ok(Self { table: table.into(), bound: bound.into(), index })
    }

    fn route(
        &self,
        alias: &Alias,
        name: Arc<str>,
        label: Model,
        pipeline: &Pipeline,
        facts: &Arc<dyn LiveFacts>,
    ) -> Route {
        let allowed: Arc<[u16]> =
            alias.targets.iter().filter_map(|target| self.index.get(&key(target)).copied()).collect();
        let mut plan = Plan::ordered(allowed.iter().copied(), "config");
        let weighted = alias.targets.iter().any(|target| target.weight != alias.targets[0].weight);
        plan.strategy = if weighted { Strategy::Weighted } else { Strategy::Ordered };
        for (step, target) in plan.steps.iter_mut().zip(&alias.targets) {
            *step = Step { weight: target.weight, max_retries: alias.retries, ..step.clone() };
        }
        let asked = pipeline.asked(&name);
        Route {
            name,
            label,
            table: Arc::clone(&self.table),
            bound: Arc::clone(&self.bound),
            allowed: Arc::clone(&allowed),
            facts: Arc::clone(facts),
            plan,
            cache: alias.cache_ttl,
            max_attempts: alias.max_attempts,
            strict: alias.strict,
            asked,
            deadline: slowest(&self.bound, &allowed),
        }
    }
}

/// The longest that an attempt at one of some targets may take.
fn slowest(bound: &[Bound], allowed: &[u16]) -> Duration {
    let totals =
        allowed.iter().filter_map(|&at| bound.get(usize::from(at))).map(|bound| bound.endpoint.total);
    totals.max().unwrap_or_default()
}

/// Two aliases may say different things of one model; then it stands in the table twice.
fn key(target: &TargetRef) -> (usize, String, String) {
    let facts =
        (&target.tags, target.quality, target.context, target.max_output, &target.rates, target.weight);
    let said = format!("{:?}", (facts, target.concurrency, target.capabilities));
    (target.provider, target.model.clone(), said)
}

/// The keys that a target is asked with.
fn keys(config: &Config, provider: usize, model: &str, upstreams: &Upstreams) -> Arc<Keys> {
    let provider = config.providers.get(provider);
    let secrets: Vec<&str> =
        provider.into_iter().flat_map(|provider| &provider.keys).map(|key| key.expose()).collect();
    upstreams.keys.keys(provider.map_or("", |provider| &provider.name), model, &secrets)
}

/// What policies see of a target, what it costs and what it can do: the operator's word first, the catalogue's second.
fn describe(
    endpoint: &Endpoint,
    said: &TargetRef,
    catalogue: &Catalogue,
) -> (Target, Option<Arc<Prices>>, Able) {
    // The simulator takes options behind a question mark; its prices are those of the plain name.
    let plain = said.model.split('?').next().unwrap_or(&said.model);
    let vendor = if endpoint.vendor.name.is_empty() { &endpoint.name } else { endpoint.vendor.name };
    let known = catalogue.model(vendor, plain);
    let priced = catalogue.find(vendor, plain);
    let prices = match &said.rates {
        Some(rates) => Some(Prices {
            rates: rates.clone(),
            source: OPERATOR.into(),
            catalogue_version: format!("config+{}", catalogue.version).into(),
            ..Prices::default()
        }),
        // The vendor's own price; where Weir knows no such vendor, the list price of the model's maker.
        None => priced.or(known).and_then(|model| model.prices(catalogue)),
    };
    // A host that serves models of others has terms for its own only.
    let (retention, trains) = match endpoint.public {
        Some(terms) if !terms.covers_model(plain) => (Retention::Unknown, true),
        _ => (endpoint.retention, endpoint.trains),
    };
    let target = Target {
        id: format!("{}/{}", endpoint.name, said.model).into(),
        provider: Arc::clone(&endpoint.name),
        model: said.model.as_str().into(),
        region: Arc::clone(&endpoint.region),
        retention,
        trains,
        ctx_tokens: said.context.or(known.map(|model| model.ctx_tokens)).unwrap_or(0),
        max_output_tokens: said.max_output.or(known.map(|model| model.max_output_tokens)).unwrap_or(0),
        quality: said.quality,
        rates: prices.as_ref().map(|prices| prices.rates.as_slice().into()).unwrap_or_default(),
        tags: said.tags.as_slice().into(),
        weight: said.weight,
    };
    let able = Able { said: said.capabilities, known: known.map(|model| model.caps) };
    (target, prices.map(Arc::new), able)
}

/// Routes for `provider/model` names, each with a table of one.
fn direct(
    config: &Arc<Config>,
    endpoints: Vec<Arc<Endpoint>>,
    facts: Arc<dyn LiveFacts>,
    pipeline: Arc<Pipeline>,
    upstreams: &Arc<Upstreams>,
) -> Direct {
    let (known, upstreams) = (Arc::clone(config), Arc::clone(upstreams));
    let make = move |provider: &str, model: &str, pipeline: &Pipeline| {
        let at = known.providers.iter().position(|known| known.name == provider)?;
        let endpoint = endpoints.get(at)?;
        let said = TargetRef {
            provider: at,
            model: model.to_owned(),
            weight: 1,
            tags: Vec::new(),
            quality: None,
            concurrency: None,
            context: None,
            max_output: None,
            capabilities: None,
            rates: said_before(&known, at, model),
        };
        let (target, prices, able) = describe(endpoint, &said, &known.catalogue);
        // No row of the live table is meant for it: whatever callers name, that table stays the operator's.
        let keys = keys(&known, at, model, &upstreams);
        let bound = Bound { endpoint: Arc::clone(endpoint), prices, able, room: None, live: u16::MAX, keys };
        let asked = pipeline.asked(&target.id);
        Some(Route {
            name: Arc::clone(&target.id),
            label: Model::Direct,
            table: [target].into(),
            bound: [bound].into(),
            allowed: [0].into(),
            facts: Arc::clone(&facts),
            plan: Plan::ordered([0], "direct"),
            cache: None,
            // One a key: nothing but a key that may not be used is a reason to ask twice.
            max_attempts: u8::try_from(endpoint.keys().clamp(1, 4)).unwrap_or(1),
            strict: false,
            asked,
            deadline: endpoint.total,
        })
    };
    Direct::new(config.direct, Arc::new(make), pipeline)
}

/// The operator's own price for a model that some alias names too.
fn said_before(config: &Config, provider: usize, model: &str) -> Option<Vec<weir_llm::price::Rate>> {
    let targets = config.models.iter().flat_map(|alias| &alias.targets);
    targets
        .filter(|target| target.provider == provider && target.model == model)
        .find_map(|t| t.rates.clone())
}

/// What can change content or route: the policies, and all that config says of models and providers but their keys.
fn content_digest(config: &Config, pipeline: &Pipeline) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(pipeline.digest().as_bytes());
    for provider in &config.providers {
        hash.update(
            format!(
                "{:?}",
                (
                    &provider.name,
                    &provider.kind,
                    (provider.retention, provider.trains, &provider.region, &provider.terms.excluded),
                    provider.speaks,
                    provider.vendor.name
                )
            )
            .as_bytes(),
        );
    }
    for alias in &config.http {
        hash.update(format!("{:?}", (&alias.name, &alias.endpoint)).as_bytes());
    }
    hash.update(format!("{:?}", config.models).as_bytes());
    hash.finalize().into()
}
