//! Small state that outlives a call.

use crate::state::State;
use crate::wit::weir::policy::kv::{Entry, Host, KvError, Scope};
use wasmtime::Result;
use weir_policy::services::{self, Origin, Put, Take};

type Kv<T> = Result<std::result::Result<T, KvError>>;
/// Who asks, and whose keys it is about.
type Asked = (Origin, services::Scope);

impl State {
    /// Every call begins with this. A key of an exchange or an organisation needs one: outside of a request (at load, in
    /// a batch) all would share the keys of nobody. A `shared` policy has no organisation, so it shares on purpose.
    fn reads(&mut self, scope: Scope) -> Kv<Asked> {
        self.budget.host_call()?;
        let origin = self.origin();
        let nobodys = match scope {
            Scope::Plugin => false,
            Scope::Tenant => origin.tenant.is_empty() && !self.constants.manifest.shared,
            Scope::Request => origin.request_id.is_empty(),
        };
        Ok(if nobodys { Err(KvError::Unavailable) } else { Ok((origin, scope_of(scope))) })
    }

    /// Every write begins with this: what a call has read, and what may not be kept, stays within the exchange.
    fn writes(&mut self, scope: Scope) -> Kv<Asked> {
        Ok(self.reads(scope)?.and_then(|(origin, scope)| {
            let closed = origin.tainted || origin.retention.is_zero();
            if closed && scope != services::Scope::Request {
                Err(KvError::Closed)
            } else {
                Ok((origin, scope))
            }
        }))
    }

    fn put_entry(
        &mut self,
        scope: Scope,
        key: &str,
        value: &[u8],
        version: Option<u64>,
        ttl_ms: Option<u64>,
    ) -> Kv<u64> {
        let (origin, scope) = match self.writes(scope)? {
            Ok(asked) => asked,
            Err(closed) => return Ok(Err(closed)),
        };
        let put = Put { value, version, ttl_ms };
        Ok(self.constants.services.kv_put(&origin, scope, key, put).map_err(error_of))
    }
}

impl Host for State {
    fn get(&mut self, scope: Scope, key: String) -> Kv<Option<Entry>> {
        let (origin, scope) = match self.reads(scope)? {
            Ok(asked) => asked,
            Err(nobodys) => return Ok(Err(nobodys)),
        };
        let found = self.constants.services.kv_get(&origin, scope, &key);
        let lowered = |entry: services::Entry| Entry {
            value: entry.value,
            version: entry.version,
            ttl_ms: entry.ttl_ms,
        };
        Ok(found.map(|entry| entry.map(lowered)).map_err(error_of))
    }

    fn put(&mut self, scope: Scope, key: String, value: Vec<u8>, ttl_ms: Option<u64>) -> Kv<u64> {
        self.put_entry(scope, &key, &value, None, ttl_ms)
    }

    fn cas(
        &mut self,
        scope: Scope,
        key: String,
        version: u64,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> Kv<u64> {
        self.put_entry(scope, &key, &value, Some(version), ttl_ms)
    }

    fn delete(&mut self, scope: Scope, key: String) -> Kv<()> {
        Ok(match self.writes(scope)? {
            Ok((origin, scope)) => self.constants.services.kv_delete(&origin, scope, &key).map_err(error_of),
            Err(closed) => Err(closed),
        })
    }

    fn incr(&mut self, scope: Scope, key: String, by: i64, ttl_ms: Option<u64>) -> Kv<i64> {
        Ok(match self.writes(scope)? {
            Ok((origin, scope)) => {
                self.constants.services.kv_incr(&origin, scope, &key, by, ttl_ms).map_err(error_of)
            }
            Err(closed) => Err(closed),
        })
    }

    fn take(&mut self, scope: Scope, bucket: String, cost: u64, per_min: u64, burst: u64) -> Kv<bool> {
        let take = Take { cost, per_min, burst };
        Ok(match self.writes(scope)? {
            Ok((origin, scope)) => {
                self.constants.services.kv_take(&origin, scope, &bucket, take).map_err(error_of)
            }
            Err(closed) => Err(closed),
        })
    }
}

const fn scope_of(scope: Scope) -> services::Scope {
    match scope {
        Scope::Plugin => services::Scope::Plugin,
        Scope::Tenant => services::Scope::Tenant,
        Scope::Request => services::Scope::Request,
    }
}

fn error_of(error: services::KvError) -> KvError {
    match error {
        services::KvError::TooLarge => KvError::TooLarge,
        services::KvError::Conflict => KvError::Conflict,
        services::KvError::Closed => KvError::Closed,
        services::KvError::Unavailable => KvError::Unavailable,
    }
}
