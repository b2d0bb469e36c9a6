//! The host of a shadowed version: it may do as if, and leaves no mark.

use super::Host;
use super::kv::{Place, Store};
use std::sync::Arc;
use weir_policy::Services;
use weir_policy::services::{
    Entry, HttpError, Inbound, KvError, Later, Origin, Outbound, Put, Record, Scope, Take,
};

/// What all the keys that a shadowed version writes may take.
const SHARE: usize = 4 << 20;

/// Reads through to the host; what is written stays here, no call goes out, what is recorded goes nowhere.
pub struct Overlay {
    host: Arc<Host>,
    kv: Store,
}

impl Overlay {
    /// A host of its own for one shadowed version.
    #[must_use]
    pub fn new(host: Arc<Host>) -> Self {
        Self { kv: Store::over(Arc::clone(&host.kv), SHARE), host }
    }

    /// Forgets what an exchange kept for itself, as [`Host::end`].
    pub fn end(&self, request_id: &str) {
        self.kv.end(request_id);
    }
}

impl Services for Overlay {
    fn kv_get(&self, origin: &Origin, scope: Scope, key: &str) -> Result<Option<Entry>, KvError> {
        self.kv.get(&Place { origin, scope, key }, self.host.uptime_ms())
    }

    fn kv_put(&self, origin: &Origin, scope: Scope, key: &str, put: Put<'_>) -> Result<u64, KvError> {
        self.kv.put(&Place { origin, scope, key }, put, self.host.uptime_ms())
    }

    fn kv_delete(&self, origin: &Origin, scope: Scope, key: &str) -> Result<(), KvError> {
        self.kv.delete(&Place { origin, scope, key }, self.host.uptime_ms())
    }

    fn kv_incr(
        &self,
        origin: &Origin,
        scope: Scope,
        key: &str,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<i64, KvError> {
        self.kv.incr(&Place { origin, scope, key }, by, ttl_ms, self.host.uptime_ms())
    }

    fn kv_take(&self, origin: &Origin, scope: Scope, bucket: &str, rate: Take) -> Result<bool, KvError> {
        self.kv.take(&Place { origin, scope, key: bucket }, rate, self.host.uptime_ms())
    }

    fn http(&self, _: &Origin, _: Outbound) -> Later<Result<Inbound, HttpError>> {
        Box::pin(std::future::ready(Err(HttpError::NotGranted)))
    }

    fn tokens(&self, model: &str, text: &str) -> u32 {
        self.host.tokens(model, text)
    }

    fn record(&self, _: &Origin, _: Record<'_>) {}

    fn now_ms(&self) -> u64 {
        self.host.now_ms()
    }

    fn random(&self) -> u64 {
        self.host.random()
    }
}
