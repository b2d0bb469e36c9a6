//! Metric handles of one generation, by alias and by target: the hot path indexes, it never looks a label up.

use super::exemplars::{Seen, Timed};
use super::genai::{Client, Server};
use super::metrics::{CALL_SECONDS, FIRST_TOKEN_SECONDS, Metrics, OVERHEAD_SECONDS};
use super::record::{Attempt, CacheState, Exchange, Model, Outcome};
use prometheus::IntCounter;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use weir_llm::usage::Class;
use weir_policy::{Api, Breaker, ErrorClass, Live, Target};

const STATUS: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "none"];
const APIS: usize = Api::ALL.len();

/// The closed set of label values of a generation, with their handles. A series appears in `/metrics` when it is first
/// counted; series of names that a later generation dropped stay until restart, as Prometheus expects of counters.
pub struct Meters {
    metrics: Arc<Metrics>,
    aliases: Box<[AliasMeter]>,
    direct: AliasMeter,
    unknown: AliasMeter,
    targets: Box<[TargetMeter]>,
    cache: [IntCounter; 3],
    overhead: Timed,
}

/// Where a target is.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Whose API it is, as the OpenTelemetry conventions name it.
    pub system: Box<str>,
    /// Host and port.
    pub server: (Arc<str>, u16),
}

impl Meters {
    /// Handles for the aliases and the targets of a generation, in the order of its tables.
    #[must_use]
    pub fn new(
        metrics: &Arc<Metrics>,
        aliases: &[Arc<str>],
        targets: &[Target],
        origins: &[Origin],
    ) -> Arc<Self> {
        let genai = metrics.genai.get().is_some();
        let alias = |name| AliasMeter::new(name, genai);
        let overhead = metrics.exchange.overhead.clone();
        let targets = targets.iter().zip(origins);
        Arc::new(Self {
            aliases: aliases.iter().cloned().map(alias).collect(),
            direct: alias("(direct)".into()),
            unknown: alias("(none)".into()),
            targets: targets
                .map(|(target, origin)| TargetMeter::new(target, origin.clone(), genai))
                .collect(),
            overhead: metrics.exemplars.timed("weir_overhead_seconds", &[], OVERHEAD_SECONDS, overhead),
            cache: [CacheState::Hit, CacheState::Miss, CacheState::Bypass]
                .map(|state| metrics.exchange.cache.with_label_values(&[state.as_str()])),
            metrics: Arc::clone(metrics),
        })
    }

    /// The alias as config names it; `(direct)` for `provider/model`, `(none)` if no model was known.
    #[must_use]
    pub fn alias(&self, model: Model) -> &str {
        &self.alias_meter(model).name
    }

    /// Whether it is counted how the chunks of streams come.
    #[must_use]
    pub fn counts_chunks(&self) -> bool {
        self.direct.genai.is_some()
    }

    /// Id, provider and model of a target.
    #[must_use]
    pub fn target(&self, index: u16) -> Option<TargetNames<'_>> {
        let target = self.targets.get(usize::from(index))?;
        let Origin { system, server } = &target.origin;
        Some(TargetNames {
            id: &target.id,
            provider: &target.provider,
            model: &target.model,
            system,
            server: (&server.0, server.1),
        })
    }

    /// Shows live facts as gauges; meant for [`Metrics::on_scrape`].
    pub fn show(&self, live: impl Fn(u16) -> Live) {
        for (index, target) in (0_u16..).zip(&self.targets) {
            let facts = live(index);
            let labels = [&*target.provider, &*target.model];
            self.metrics.target.in_flight.with_label_values(&labels).set(i64::from(facts.in_flight));
            let breaker = match facts.breaker {
                Breaker::Closed => 0,
                Breaker::HalfOpen => 1,
                Breaker::Open => 2,
            };
            self.metrics.target.breaker.with_label_values(&labels).set(breaker);
            self.metrics.target.error_ratio.with_label_values(&labels).set(f64::from(facts.err_rate_1m));
        }
    }

    /// Counts one exchange and its attempts.
    pub(super) fn count(&self, exchange: &Exchange) {
        let metrics = &*self.metrics;
        let seen = Seen::of(exchange);
        self.alias_meter(exchange.model).count(metrics, exchange, seen);
        self.overhead.observe(exchange.overhead, seen);
        metrics.exchange.received.inc_by(exchange.bytes_in);
        metrics.exchange.sent.inc_by(exchange.bytes_out);
        self.cache[exchange.cache as usize].inc();
        for attempt in &exchange.attempts {
            if let Some(target) = self.targets.get(usize::from(attempt.target)) {
                target.count_attempt(metrics, exchange, attempt, seen);
            }
        }
        let served = exchange.target.and_then(|index| self.targets.get(usize::from(index)));
        // A cache hit names the target that once wrote the reply; nothing was used there this time.
        if let Some(target) = served.filter(|_| exchange.outcome != Outcome::CacheHit) {
            target.count_usage(metrics, exchange);
        }
    }

    fn alias_meter(&self, model: Model) -> &AliasMeter {
        match model {
            Model::Alias(index) => self.aliases.get(usize::from(index)).unwrap_or(&self.unknown),
            Model::Direct => &self.direct,
            Model::Unknown => &self.unknown,
        }
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (aliases, targets) = (self.aliases.len(), self.targets.len());
        f.debug_struct("Meters").field("aliases", &aliases).field("targets", &targets).finish_non_exhaustive()
    }
}

/// How a target is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetNames<'a> {
    /// `provider/model`.
    pub id: &'a str,
    /// The provider's name in config.
    pub provider: &'a str,
    /// The model name that the provider knows.
    pub model: &'a str,
    /// Whose API it is, as the OpenTelemetry conventions name it.
    pub system: &'a str,
    /// Host and port.
    pub server: (&'a str, u16),
}

struct AliasMeter {
    name: Arc<str>,
    requests: Slots,
    duration: [OnceLock<Timed>; APIS],
    genai: Option<Server>,
}

impl AliasMeter {
    fn new(name: Arc<str>, genai: bool) -> Self {
        let requests = Slots::new(APIS * STATUS.len() * Outcome::ALL.len());
        Self { name, requests, duration: Default::default(), genai: genai.then(Server::new) }
    }

    fn count(&self, metrics: &Metrics, exchange: &Exchange, seen: Option<Seen>) {
        let api = api_index(exchange.api);
        let status = match exchange.status {
            200..300 => 0,
            300..400 => 1,
            400..500 => 2,
            500..600 => 3,
            _ => 4,
        };
        let slot = (api * STATUS.len() + status) * Outcome::ALL.len() + exchange.outcome as usize;
        let labels = [exchange.api.as_str(), &self.name, STATUS[status], exchange.outcome.as_str()];
        self.requests.get(slot, || metrics.exchange.requests.with_label_values(&labels)).inc();
        let duration = || {
            let (family, labelled) =
                ("weir_request_duration_seconds", [("api", labels[0]), ("alias", labels[1])]);
            let histogram = metrics.exchange.duration.with_label_values(&labels[..2]);
            metrics.exemplars.timed(family, &labelled, CALL_SECONDS, histogram)
        };
        self.duration[api].get_or_init(duration).observe(exchange.total, seen);
        if let (Some(server), Some(families)) = (&self.genai, metrics.genai.get()) {
            server.exchange(families, exchange, &self.name);
        }
    }
}

struct TargetMeter {
    id: Arc<str>,
    provider: Arc<str>,
    model: Arc<str>,
    attempts: Slots,
    attempt_duration: OnceLock<Timed>,
    first_token: OnceLock<Timed>,
    /// Tokens and other units, by class.
    used: Slots,
    money: Slots,
    origin: Origin,
    genai: Option<Client>,
}

impl TargetMeter {
    fn new(target: &Target, origin: Origin, genai: bool) -> Self {
        Self {
            id: Arc::clone(&target.id),
            provider: Arc::clone(&target.provider),
            model: Arc::clone(&target.model),
            attempts: Slots::new(1 + ErrorClass::ALL.len()),
            attempt_duration: OnceLock::new(),
            first_token: OnceLock::new(),
            used: Slots::new(Class::ALL.len()),
            money: Slots::new(3),
            origin,
            genai: genai.then(Client::new),
        }
    }

    fn count_attempt(&self, metrics: &Metrics, exchange: &Exchange, attempt: &Attempt, seen: Option<Seen>) {
        let slot = attempt.error.map_or(0, |class| 1 + class as usize);
        let class = attempt.error.map_or("ok", ErrorClass::as_str);
        self.attempts.get(slot, || metrics.target.attempts.with_label_values(&self.labels(class))).inc();
        let took = attempt.ended.saturating_sub(attempt.started);
        let seen = seen.map(|seen| Seen { span_id: attempt.span_id, ..seen });
        let (values, families) = ([&*self.provider, &*self.model], &metrics.target);
        let labels = [("provider", values[0]), ("model", values[1])];
        let duration = || {
            let (family, histogram) =
                ("weir_attempt_duration_seconds", families.duration.with_label_values(&values));
            metrics.exemplars.timed(family, &labels, CALL_SECONDS, histogram)
        };
        self.attempt_duration.get_or_init(duration).observe(took, seen);
        if let Some(ttft) = attempt.ttft.filter(|ttft| *ttft > Duration::ZERO) {
            let first_token = || {
                let family = "weir_time_to_first_token_seconds";
                let histogram = families.first_token.with_label_values(&values);
                metrics.exemplars.timed(family, &labels, FIRST_TOKEN_SECONDS, histogram)
            };
            self.first_token.get_or_init(first_token).observe(ttft, seen);
        }
        if let (Some(client), Some(families)) = (&self.genai, metrics.genai.get()) {
            client.attempt(families, exchange, attempt, self.whom());
        }
    }

    /// Provider, model and server, as the conventions have them.
    fn whom(&self) -> [&str; 3] {
        [&self.origin.system, &self.model, &self.origin.server.0]
    }

    fn count_usage(&self, metrics: &Metrics, exchange: &Exchange) {
        for (class, count) in exchange.usage.lines() {
            let family = if class.is_token() { &metrics.target.tokens } else { &metrics.target.units };
            let counter = || family.with_label_values(&self.labels(class.as_str()));
            self.used.get(class as usize, counter).inc_by(count);
        }
        let nanos = |amount: i64| u64::try_from(amount).unwrap_or(0);
        let charged = || metrics.target.cost.with_label_values(&self.labels("charged"));
        self.money.get(0, charged).inc_by(nanos(exchange.charged.0));
        if let Some(cost) = exchange.provider_cost {
            let provider = || metrics.target.cost.with_label_values(&self.labels("provider"));
            self.money.get(1, provider).inc_by(nanos(cost.0));
        } else {
            let unpriced = || metrics.target.unpriced.with_label_values(&[&*self.provider, &*self.model]);
            self.money.get(2, unpriced).inc();
        }
        if let (Some(client), Some(families)) = (&self.genai, metrics.genai.get()) {
            client.usage(families, exchange, self.whom());
        }
    }

    fn labels<'a>(&'a self, last: &'a str) -> [&'a str; 3] {
        [&self.provider, &self.model, last]
    }
}

/// Counters that come into being when they are first counted.
pub(super) struct Slots(Box<[OnceLock<IntCounter>]>);

impl Slots {
    pub(super) fn new(len: usize) -> Self {
        Self((0..len).map(|_| OnceLock::new()).collect())
    }

    pub(super) fn get(&self, slot: usize, make: impl FnOnce() -> IntCounter) -> &IntCounter {
        self.0[slot].get_or_init(make)
    }
}

/// Where an API stands in [`Api::ALL`], which lists them as they are declared.
const fn api_index(api: Api) -> usize {
    api as usize
}
