//! The Prometheus registry: every family the gateway exposes, and the text of `/metrics`.
//!
//! Names begin with `weir_`, units are base units. Label values are a closed set: aliases, providers and models come from
//! config through [`Meters`](super::meters::Meters), all others are enums. No key, tenant, user or content is a label.

use super::exemplars::Exemplars;
use super::genai::GenAiFamilies;
use super::openmetrics;
use super::system::Process;
use super::told::Told;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    Error, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Durations of whole calls; the OpenTelemetry GenAI buckets (0.01 s doubling to 81.92 s) with room for cache hits below.
pub(super) const CALL_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96,
    81.92,
];
/// The OpenTelemetry GenAI buckets for the time to the first token.
pub(super) const FIRST_TOKEN_SECONDS: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// What the gateway itself takes: tens of microseconds when all is well.
pub(super) const OVERHEAD_SECONDS: &[f64] =
    &[1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 5e-2, 1e-1, 1.0];
/// One call of a policy: from below a microsecond to its CPU deadline.
const POLICY_SECONDS: &[f64] =
    &[1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 5e-3];

/// A hook that refreshes gauges right before a scrape.
type Refresh = Box<dyn Fn(&Metrics) + Send + Sync>;

/// All metric families of the process. The public ones are set by whoever knows the figure.
#[allow(missing_docs, reason = "the help text of each family is in `Metrics::new`")]
pub struct Metrics {
    registry: Registry,
    refresh: Mutex<Vec<Refresh>>,
    pub requests_in_flight: IntGauge,
    pub connections: IntGauge,
    pub buffered_bytes: IntGauge,
    pub generation: IntGauge,
    pub cache_bytes: IntGauge,
    pub cache_entries: IntGauge,
    pub ledger_queue_depth: IntGauge,
    pub ledger_pending_reservations: IntGauge,
    pub ledger_commits: IntCounter,
    pub ledger_failed_commits: IntCounter,
    pub ledger_commit_seconds: Told,
    pub ledger_unwritten_postings: IntGauge,
    pub log_lines_dropped: IntCounter,
    pub completions_dropped: IntCounter,
    pub runtime_lag: Gauge,
    pub coalesced: IntCounter,
    pub cache_waiting: IntGauge,
    pub recovered: IntCounterVec,
    pub drained: IntCounterVec,
    pub reload_ok: IntGauge,
    shed: IntCounterVec,
    pub log_queue_bytes: IntGauge,
    pub policy_info: IntGaugeVec,
    pub provider_key_state: IntGaugeVec,
    rollbacks: IntCounterVec,
    shipped: IntCounterVec,
    reloads: IntCounterVec,
    pub(super) exemplars: Exemplars,
    pub(super) otlp: OtlpFamilies,
    pub(super) genai: OnceLock<GenAiFamilies>,
    pub(super) exchange: ExchangeFamilies,
    pub(super) target: TargetFamilies,
    pub(super) policy: PolicyFamilies,
}

impl Metrics {
    /// Registers every family.
    ///
    /// # Errors
    /// Never for the names below; the registry's own error otherwise.
    pub fn new() -> Result<Self, Error> {
        let r = &Families(Registry::new());
        let target = TargetFamilies::new(r)?;
        r.0.register(Box::new(Dollars::of(&target.cost)?))?;
        r.0.register(Box::new(Process::new()?))?;
        let build = r.gauges("build_info", "Always 1; the labels say what runs.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let reload_ok = r.gauge("last_reload_ok", "1: the last reload was taken over; 0: it was refused.")?;
        reload_ok.set(1);
        Ok(Self {
            requests_in_flight: r.gauge("requests_in_flight", "Exchanges under way.")?,
            connections: r.gauge("connections", "Open client connections.")?,
            buffered_bytes: r.gauge("buffered_bytes", "Bytes of bodies held in memory.")?,
            generation: r.gauge("generation", "Generation of config and policies that serves now.")?,
            cache_bytes: r.gauge("cache_bytes", "Bytes held by the response cache.")?,
            cache_entries: r.gauge("cache_entries", "Replies held by the response cache.")?,
            ledger_queue_depth: r.gauge("ledger_queue_depth", "Postings waiting for their commit.")?,
            ledger_pending_reservations: r
                .gauge("ledger_pending_reservations", "Reservations not resolved yet.")?,
            ledger_commits: r.counter("ledger_commits_total", "Commits of the ledger.")?,
            ledger_failed_commits: r.counter("ledger_failed_commits_total", "Commits that failed.")?,
            ledger_commit_seconds: r
                .add(Told::new(opts("ledger_commit_seconds", "One commit of the ledger."))?)?,
            ledger_unwritten_postings: r.gauge(
                "ledger_unwritten_postings",
                "Postings whose commit failed and that wait until the ledger can be written.",
            )?,
            log_lines_dropped: r
                .counter("log_lines_dropped_total", "Log lines lost because their reader is slow.")?,
            completions_dropped: r.counter(
                "completions_dropped_total",
                "Finished exchanges that a complete policy was not told of: too many waited, or it failed each time.",
            )?,
            cache_waiting: r
                .gauge("cache_waiting", "Requests that wait for another that fetches the same reply.")?,
            coalesced: r.counter(
                "cache_coalesced_total",
                "Hits that waited for another request that fetched the same reply.",
            )?,
            recovered: r.counters(
                "recovered_total",
                "What a process that was killed had left.",
                &["what"],
            )?,
            drained: r.counters(
                "drained_streams_total",
                "Streams that were read on when their caller had left: begun, read whole, cut at a cap.",
                &["result"],
            )?,
            runtime_lag: r.float(
                "runtime_lag_seconds",
                "How late a timer of ten milliseconds was at most since the last scrape.",
            )?,
            reload_ok,
            shed: r.counters("shed_total", "Requests and connections refused for load alone.", &["why"])?,
            log_queue_bytes: r.gauge("log_queue_bytes", "Bytes of log lines that wait to be written.")?,
            policy_info: r.gauges(
                "policy_info",
                "Always 1; the labels say which version of a policy is at which stage.",
                &["policy", "version", "digest", "stage"],
            )?,
            provider_key_state: r.gauges(
                "provider_key_state",
                "0 ready, 1 rate-limited or refused for a model, 2 refused; keys by their place in the config.",
                &["provider", "key"],
            )?,
            rollbacks: r.counters(
                "policy_rollbacks_total",
                "Versions of policies that were taken back after they were live.",
                &["policy", "why"],
            )?,
            shipped: r.counters(
                "policy_versions_total",
                "Versions of policies that went live, or were refused when they were pushed.",
                &["policy", "result"],
            )?,
            reloads: r.counters("reloads_total", "Reloads of config and policies.", &["result"])?,
            exemplars: Exemplars::default(),
            otlp: OtlpFamilies::new(r)?,
            genai: OnceLock::new(),
            exchange: ExchangeFamilies::new(r)?,
            policy: PolicyFamilies::new(r)?,
            target,
            registry: r.0.clone(),
            refresh: Mutex::default(),
        })
    }

    /// Where families are registered that are not the gateway's own.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Calls `refresh` right before each scrape, for figures that are cheaper to ask for than to keep.
    pub fn on_scrape(&self, refresh: impl Fn(&Self) + Send + Sync + 'static) {
        self.refresh.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(refresh));
    }

    /// Counts a reload that was taken over or refused.
    pub fn reload(&self, taken: bool) {
        self.reload_ok.set(i64::from(taken));
        self.reloads.with_label_values(&[if taken { "ok" } else { "refused" }]).inc();
    }

    /// Counts what was refused for load alone.
    pub fn shed(&self, why: &str) {
        self.shed.with_label_values(&[why]).inc();
    }

    /// Counts a rollback of a policy: by `order`, or because its `breaker` opened.
    pub fn policy_rolled_back(&self, policy: &str, why: &str) {
        self.rollbacks.with_label_values(&[policy, why]).inc();
    }

    /// Counts a version of a policy that is `live` or was `refused`.
    pub fn policy_shipped(&self, policy: &str, result: &str) {
        self.shipped.with_label_values(&[policy, result]).inc();
    }

    /// Counts what the conventions for generative AI ask for too, from now on: generations that are made later do so.
    ///
    /// # Errors
    /// They are counted already.
    pub(super) fn count_genai(&self) -> Result<(), Error> {
        let families = GenAiFamilies::new(|name, help, labels, bounds| {
            let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
            Families(self.registry.clone()).add(HistogramVec::new(options, labels)?)
        })?;
        self.genai.set(families).map_err(|_| Error::AlreadyReg)
    }

    /// Every series there is, with the figures of now.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        for refresh in self.refresh.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            refresh(self);
        }
        self.registry.gather()
    }

    /// The text of `/metrics` (content type `text/plain; version=0.0.4`).
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        match TextEncoder::new().encode_utf8(&self.gather(), &mut text) {
            Ok(()) => text,
            Err(error) => format!("# the registry could not be written: {error}\n"),
        }
    }

    /// The text for a scraper that accepts these content types, and its own: with exemplars if it knows what they are.
    #[must_use]
    pub fn render_for(&self, accept: &str) -> (&'static str, String) {
        if openmetrics::wanted(accept) {
            return (openmetrics::CONTENT_TYPE, openmetrics::render(&self.gather(), &self.exemplars));
        }
        ("text/plain; version=0.0.4; charset=utf-8", self.render())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// What became of what was to be sent to the collector.
pub(super) struct OtlpFamilies {
    sent: IntCounterVec,
    dropped: IntCounterVec,
    pub(super) queue: IntGauge,
}

impl OtlpFamilies {
    fn new(r: &Families) -> Result<Self, Error> {
        let (sent, dropped) =
            ("Spans, data points and log records that the collector took.", "Those that it did not get.");
        let queue = "Exchanges and log lines that wait to be sent to the collector.";
        Ok(Self {
            sent: r.counters("otlp_sent_total", sent, &["signal"])?,
            dropped: r.counters("otlp_dropped_total", dropped, &["signal", "reason"])?,
            queue: r.gauge("otlp_queue_depth", queue)?,
        })
    }

    pub(super) fn sent(&self, signal: &str, count: usize) {
        if count > 0 {
            self.sent.with_label_values(&[signal]).inc_by(count as u64);
        }
    }

    /// `reason`: no room in the `queue`, `refused` by the collector, or `unreachable`.
    pub(super) fn dropped(&self, signal: &str, reason: &str, count: usize) {
        if count > 0 {
            self.dropped.with_label_values(&[signal, reason]).inc_by(count as u64);
        }
    }
}

/// What is counted of an exchange as a whole.
pub(super) struct ExchangeFamilies {
    pub(super) requests: IntCounterVec,
    pub(super) duration: HistogramVec,
    pub(super) overhead: Histogram,
    pub(super) received: IntCounter,
    pub(super) sent: IntCounter,
    pub(super) cache: IntCounterVec,
}

impl ExchangeFamilies {
    fn new(r: &Families) -> Result<Self, Error> {
        let labels = &["api", "alias", "status", "outcome"];
        let duration = "Head read to last byte written.";
        Ok(Self {
            requests: r.counters("requests_total", "Exchanges.", labels)?,
            duration: r.histograms("request_duration_seconds", duration, &labels[..2], CALL_SECONDS)?,
            overhead: r.histogram(
                "overhead_seconds",
                "The gateway's own share of an exchange.",
                OVERHEAD_SECONDS,
            )?,
            received: r.counter("received_bytes_total", "Body bytes received from callers.")?,
            sent: r.counter("sent_bytes_total", "Body bytes sent to callers.")?,
            cache: r.counters("cache_requests_total", "What the response cache did.", &["result"])?,
        })
    }
}

/// What is counted by target. The third label, where there is one, is the class of error or token, or whose money it is.
pub(super) struct TargetFamilies {
    pub(super) attempts: IntCounterVec,
    pub(super) duration: HistogramVec,
    pub(super) first_token: HistogramVec,
    pub(super) tokens: IntCounterVec,
    pub(super) units: IntCounterVec,
    pub(super) cost: IntCounterVec,
    pub(super) unpriced: IntCounterVec,
    pub(super) in_flight: IntGaugeVec,
    pub(super) breaker: IntGaugeVec,
    pub(super) error_ratio: GaugeVec,
}

impl TargetFamilies {
    fn new(r: &Families) -> Result<Self, Error> {
        let target = &["provider", "model"];
        let class = &["provider", "model", "class"];
        let basis = &["provider", "model", "basis"];
        let first_token = "Start of an attempt to its first byte of content.";
        let units = "What is not counted in tokens: images, seconds of audio, characters, search units.";
        let cost = "Money in billionths of a dollar: charged to the customer, taken by the provider.";
        Ok(Self {
            attempts: r.counters("attempts_total", "Tries at a target.", class)?,
            duration: r.histograms(
                "attempt_duration_seconds",
                "One try at a target.",
                target,
                CALL_SECONDS,
            )?,
            first_token: r.histograms(
                "time_to_first_token_seconds",
                first_token,
                target,
                FIRST_TOKEN_SECONDS,
            )?,
            tokens: r.counters("tokens_total", "Tokens by disjoint class.", class)?,
            units: r.counters("units_total", units, class)?,
            cost: r.counters("cost_nanodollars_total", cost, basis)?,
            unpriced: r.counters("unpriced_exchanges_total", "Exchanges whose price is unknown.", target)?,
            in_flight: r.gauges("target_in_flight", "Attempts under way.", target)?,
            breaker: r.gauges("target_breaker", "0 closed, 1 half-open, 2 open.", target)?,
            error_ratio: r.ratios("target_error_ratio", "Failed attempts of the last minute.", target)?,
        })
    }
}

/// What is counted of policy calls.
pub(super) struct PolicyFamilies {
    pub(super) calls: IntCounterVec,
    pub(super) duration: HistogramVec,
    pub(super) faults: IntCounterVec,
}

impl PolicyFamilies {
    fn new(r: &Families) -> Result<Self, Error> {
        let (duration, labels) = ("One call of a policy.", &["policy", "hook"]);
        Ok(Self {
            calls: r.counters("policy_calls_total", "Calls.", &["policy", "version", "hook", "verdict"])?,
            duration: r.histograms("policy_call_duration_seconds", duration, labels, POLICY_SECONDS)?,
            faults: r.counters("policy_faults_total", "Calls that failed.", &["policy", "hook", "kind"])?,
        })
    }
}

/// `weir_cost_usd_total`: the same money as the nano-dollar counter, divided only when it is read, so that no sum of
/// fractions drifts. (Prometheus reads floats: the nano-dollar text is exact up to 2^53, nine million dollars.)
struct Dollars {
    nanos: IntCounterVec,
    desc: Vec<Desc>,
}

impl Dollars {
    const NAME: &str = "weir_cost_usd_total";
    const HELP: &str = "Money in dollars: charged to the customer, taken by the provider.";

    fn of(nanos: &IntCounterVec) -> Result<Self, Error> {
        let labels = ["provider", "model", "basis"].map(String::from).to_vec();
        let desc = Desc::new(Self::NAME.into(), Self::HELP.into(), labels, std::collections::HashMap::new())?;
        Ok(Self { nanos: nanos.clone(), desc: vec![desc] })
    }
}

impl Collector for Dollars {
    fn desc(&self) -> Vec<&Desc> {
        self.desc.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.nanos.collect();
        for family in &mut families {
            family.set_name(Self::NAME.into());
            family.set_help(Self::HELP.into());
            for metric in family.mut_metric() {
                let mut dollars = prometheus::proto::Counter::default();
                dollars.set_value(metric.get_counter().get_value() / 1e9);
                metric.set_counter(dollars);
            }
        }
        families
    }
}

/// Makes and registers families.
struct Families(Registry);

impl Families {
    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        self.add(IntGauge::with_opts(opts(name, help))?)
    }

    fn float(&self, name: &str, help: &str) -> Result<Gauge, Error> {
        self.add(Gauge::with_opts(opts(name, help))?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        self.add(IntGaugeVec::new(opts(name, help), labels)?)
    }

    fn ratios(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Error> {
        self.add(GaugeVec::new(opts(name, help), labels)?)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.add(IntCounter::with_opts(opts(name, help))?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        self.add(IntCounterVec::new(opts(name, help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, Error> {
        self.add(Histogram::with_opts(HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec()))?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, Error> {
        let options = HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec());
        self.add(HistogramVec::new(options, labels)?)
    }

    fn add<C: Collector + Clone + 'static>(&self, family: C) -> Result<C, Error> {
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("weir_{name}"), help)
}
