//! What the gateway does for policies beyond the request: the other side of their capabilities.
//!
//! [`Host`] lives as long as the process, so that what policies keep outlives reloads; a shadowed version gets an
//! [`Overlay`] of it, under which nothing that it does can be seen.
//!
//! # Layout
//!
//! - [`kv`]: keys, counters and rate limits.
//! - [`http`]: calls to the operator's aliases.
//! - [`records`]: logs and metrics.
//! - [`explain`]: lines of decision traces; [`traces`]: the latest traces.
//! - [`tokens`]: estimates of how many there are.
//! - [`overlay`]: for versions that must leave no mark.
//! - [`aliases`]: whether a manifest's aliases are there.

pub mod aliases;
mod by_policy;
pub mod explain;
pub mod http;
pub mod kv;
pub mod overlay;
pub mod records;
pub mod tokens;
pub mod traces;

#[cfg(test)]
mod tests;

pub use aliases::check_aliases;
pub use overlay::Overlay;

use self::http::Aliases;
use crate::config::Config;
use crate::gateway::Ids;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trace::Trace;
use crate::upstream::Upstreams;
use explain::{Explain, Line};
use kv::{Place, Store};
use records::Records;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use weir_policy::Services;
use weir_policy::services::{
    Entry, HttpError, Inbound, KvError, Later, Origin, Outbound, Put, Record, Scope, Take,
};

/// The gateway as policies see it.
pub struct Host {
    kv: Arc<Store>,
    aliases: Aliases,
    records: Records,
    explain: Explain,
    ids: Ids,
    upstreams: Arc<Upstreams>,
    started: Instant,
}

/// Why there is no host.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Two metrics of one name: ours to mend.
    #[error("the metrics of policies could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The system has no random bytes to give.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Host {
    /// A host as a config wants it.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn new(config: &Config, upstreams: Arc<Upstreams>, metrics: &Metrics) -> Result<Self, HostError> {
        let host = Self {
            kv: Arc::new(Store::new(0)),
            aliases: Aliases::default(),
            records: Records::new(metrics.registry())?,
            explain: Explain::default(),
            ids: Ids::new().map_err(HostError::Random)?,
            upstreams,
            started: Instant::now(),
        };
        host.configure(config);
        Ok(host)
    }

    /// Takes over what a config says of it: to be called when the config is swapped in. Nothing that policies keep is
    /// lost.
    pub fn configure(&self, config: &Config) {
        self.kv.resize(usize::try_from(config.kv_bytes).unwrap_or(usize::MAX));
        self.aliases.replace(config, &self.upstreams);
    }

    /// Forgets what an exchange kept for itself. To be called once for each, at its end; next to free if that is nothing.
    pub fn end(&self, request_id: &str) {
        self.kv.end(request_id);
        self.aliases.end(request_id);
    }

    /// Remembers which trace an exchange belongs to, for services that are told.
    pub fn trace_begin(&self, request_id: &Arc<str>, trace: &Trace) {
        self.aliases.begin(request_id, trace);
    }

    /// Keeps what policies explain of an exchange from now on, until it is taken.
    pub fn explain_begin(&self, request_id: &Arc<str>) {
        self.explain.begin(request_id);
    }

    /// What policies explained: policy, rule, reason.
    pub fn explain_take(&self, request_id: &str) -> Vec<Line> {
        self.explain.take(request_id)
    }

    /// Milliseconds of a clock that never goes back.
    fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Services for Host {
    fn kv_get(&self, origin: &Origin, scope: Scope, key: &str) -> Result<Option<Entry>, KvError> {
        self.kv.get(&Place { origin, scope, key }, self.uptime_ms())
    }

    fn kv_put(&self, origin: &Origin, scope: Scope, key: &str, put: Put<'_>) -> Result<u64, KvError> {
        self.kv.put(&Place { origin, scope, key }, put, self.uptime_ms())
    }

    fn kv_delete(&self, origin: &Origin, scope: Scope, key: &str) -> Result<(), KvError> {
        self.kv.delete(&Place { origin, scope, key }, self.uptime_ms())
    }

    fn kv_incr(
        &self,
        origin: &Origin,
        scope: Scope,
        key: &str,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<i64, KvError> {
        self.kv.incr(&Place { origin, scope, key }, by, ttl_ms, self.uptime_ms())
    }

    fn kv_take(&self, origin: &Origin, scope: Scope, bucket: &str, rate: Take) -> Result<bool, KvError> {
        self.kv.take(&Place { origin, scope, key: bucket }, rate, self.uptime_ms())
    }

    fn http(&self, origin: &Origin, call: Outbound) -> Later<Result<Inbound, HttpError>> {
        self.aliases.call(origin, call)
    }

    fn tokens(&self, model: &str, text: &str) -> u32 {
        tokens::count(model, text)
    }

    fn record(&self, origin: &Origin, record: Record<'_>) {
        match record {
            Record::Log { level, message, fields } => {
                self.records.log(origin, level, message, fields, self.uptime_ms());
            }
            Record::Counter { name, by, labels } => self.records.count(origin, name, by, labels),
            Record::Observe { name, value, labels } => self.records.observe(origin, name, value, labels),
            Record::Explain { rule, because } => self.explain.add(origin, rule, because),
        }
    }

    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn random(&self) -> u64 {
        self.ids.random()
    }
}
