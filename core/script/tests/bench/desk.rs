//! A host with a desk of its own: keys in memory, what was recorded, and answers to outbound calls that a test prepares.

use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weir_policy::services::{
    Entry, HttpError, Inbound, KvError, Later, Origin, Outbound, Put, Record, Scope, Take,
};
use weir_policy::{Capability, Grants, Services};

type Key = (Scope, String, String);

/// How an outbound call is answered.
pub(crate) type Answering = dyn Fn(Outbound) -> Later<Result<Inbound, HttpError>> + Send + Sync;

/// What the host did.
#[derive(Default)]
pub(crate) struct Desk {
    keys: Mutex<HashMap<Key, (Vec<u8>, u64)>>,
    said: Mutex<Vec<String>>,
    answering: Option<Box<Answering>>,
    /// CPU time that a count of tokens takes.
    burns: Duration,
    counted: AtomicU32,
}

impl Desk {
    /// With an answer to outbound calls.
    pub(crate) fn answering(
        answer: impl Fn(Outbound) -> Later<Result<Inbound, HttpError>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { answering: Some(Box::new(answer)), ..Self::default() })
    }

    /// With tokens that take so much CPU time to count.
    pub(crate) fn burning(cpu: Duration) -> Arc<Self> {
        Arc::new(Self { burns: cpu, ..Self::default() })
    }

    /// How often tokens were counted.
    pub(crate) fn counted(&self) -> u32 {
        self.counted.load(Ordering::Relaxed)
    }

    /// What was recorded, in order.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

/// All capabilities, of this desk.
pub(crate) fn all(desk: &Arc<Desk>) -> Grants {
    Grants { capabilities: Capability::ALL.to_vec(), services: desk.clone() }
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

fn place(origin: &Origin, scope: Scope, key: &str) -> Key {
    let whose = match scope {
        Scope::Plugin => String::new(),
        Scope::Tenant => origin.tenant.to_string(),
        Scope::Request => origin.request_id.to_string(),
    };
    (scope, format!("{}/{whose}", origin.policy), key.to_owned())
}

impl Services for Desk {
    fn kv_get(&self, origin: &Origin, scope: Scope, key: &str) -> Result<Option<Entry>, KvError> {
        let keys = self.keys.lock().unwrap();
        let found = keys.get(&place(origin, scope, key)).cloned();
        Ok(found.map(|(value, version)| Entry { value, version, ttl_ms: None }))
    }

    fn kv_put(&self, origin: &Origin, scope: Scope, key: &str, put: Put<'_>) -> Result<u64, KvError> {
        let mut keys = self.keys.lock().unwrap();
        let place = place(origin, scope, key);
        let known = keys.get(&place).map_or(0, |(_, version)| *version);
        if put.version.is_some_and(|wanted| wanted != known) {
            return Err(KvError::Conflict);
        }
        keys.insert(place, (put.value.to_vec(), known + 1));
        Ok(known + 1)
    }

    fn kv_delete(&self, origin: &Origin, scope: Scope, key: &str) -> Result<(), KvError> {
        self.keys.lock().unwrap().remove(&place(origin, scope, key));
        Ok(())
    }

    fn kv_incr(
        &self,
        origin: &Origin,
        scope: Scope,
        key: &str,
        by: i64,
        _: Option<u64>,
    ) -> Result<i64, KvError> {
        let before = self.kv_get(origin, scope, key)?.map_or(Ok(0), |entry| {
            let text = String::from_utf8(entry.value).map_err(|_| KvError::Conflict)?;
            text.parse::<i64>().map_err(|_| KvError::Conflict)
        })?;
        let sum = (before + by).to_string();
        self.kv_put(origin, scope, key, Put { value: sum.as_bytes(), version: None, ttl_ms: None })?;
        Ok(before + by)
    }

    /// Without a clock: what was taken stays taken.
    fn kv_take(&self, origin: &Origin, scope: Scope, bucket: &str, rate: Take) -> Result<bool, KvError> {
        let cost = i64::try_from(rate.cost).unwrap();
        let sum = self.kv_incr(origin, scope, bucket, cost, None)?;
        Ok(sum <= i64::try_from(rate.burst).unwrap())
    }

    fn http(&self, _: &Origin, call: Outbound) -> Later<Result<Inbound, HttpError>> {
        match &self.answering {
            Some(answer) => answer(call),
            None => Box::pin(std::future::ready(Err(HttpError::Connect))),
        }
    }

    fn tokens(&self, model: &str, text: &str) -> u32 {
        self.counted.fetch_add(1, Ordering::Relaxed);
        let start = thread_cpu();
        while thread_cpu() < start + self.burns {}
        u32::try_from(model.len() * 1000 + text.len()).unwrap()
    }

    fn record(&self, origin: &Origin, record: Record<'_>) {
        self.said.lock().unwrap().push(format!("{} {}: {record:?}", origin.policy, origin.tenant));
    }

    fn now_ms(&self) -> u64 {
        1_700_000_000_000
    }

    fn random(&self) -> u64 {
        u64::MAX
    }
}
