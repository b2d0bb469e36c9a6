//! The host's side of the capabilities, in memory: keys by origin, replies of a script, everything written down.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weir_policy::services::{
    Entry, HttpError, Inbound, KvError, Later, Origin, Outbound, Put, Record, Scope, Take,
};
use weir_policy::{Capability, Grants, Services};

/// A value and its version.
type Versioned = (Vec<u8>, u64);

#[derive(Default)]
pub(crate) struct Host {
    entries: Mutex<BTreeMap<(String, String), Versioned>>,
    pub(crate) said: Mutex<Vec<String>>,
    pub(crate) origins: Mutex<Vec<Origin>>,
    /// How long a reply takes.
    pub(crate) delay: Mutex<Duration>,
    pub(crate) calls: Mutex<Vec<Outbound>>,
    /// Calls under way now, and the most there ever were.
    under_way: Arc<AtomicUsize>,
    pub(crate) most: Arc<AtomicUsize>,
    clock: AtomicU64,
    /// CPU time that a count of tokens takes.
    burns: Duration,
    pub(crate) counted: AtomicUsize,
}

impl Host {
    pub(crate) fn grants(self: &Arc<Self>, capabilities: &[Capability]) -> Grants {
        let services = Arc::clone(self) as Arc<dyn Services>;
        Grants { capabilities: capabilities.to_vec(), services }
    }

    /// With tokens that take so much CPU time to count.
    pub(crate) fn burning(cpu: Duration) -> Arc<Self> {
        Arc::new(Self { burns: cpu, ..Self::default() })
    }

    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().expect("no panic").clone()
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        let entries = self.entries.lock().expect("no panic");
        entries.keys().map(|(space, key)| format!("{space}/{key}")).collect()
    }

    fn key(&self, origin: &Origin, scope: Scope, key: &str) -> (String, String) {
        self.origins.lock().expect("no panic").push(origin.clone());
        let owner = match scope {
            Scope::Plugin => "",
            Scope::Tenant => &origin.tenant,
            Scope::Request => &origin.request_id,
        };
        (format!("{}/{}/{owner}", origin.policy, scope.as_str()), key.to_owned())
    }
}

/// Takes so much CPU time.
pub(crate) fn burn(cpu: Duration) {
    let start = thread_cpu();
    while thread_cpu() < start + cpu {}
}

fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("under a second"))
}

/// One call less under way, answered or dropped.
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Services for Host {
    fn kv_get(&self, origin: &Origin, scope: Scope, key: &str) -> Result<Option<Entry>, KvError> {
        let key = self.key(origin, scope, key);
        let entries = self.entries.lock().expect("no panic");
        let entry = |(value, version): &(Vec<u8>, u64)| Entry {
            value: value.clone(),
            version: *version,
            ttl_ms: None,
        };
        Ok(entries.get(&key).map(entry))
    }

    fn kv_put(&self, origin: &Origin, scope: Scope, key: &str, put: Put<'_>) -> Result<u64, KvError> {
        let key = self.key(origin, scope, key);
        let mut entries = self.entries.lock().expect("no panic");
        let known = entries.get(&key).map_or(0, |(_, version)| *version);
        if put.version.is_some_and(|version| version != known) {
            return Err(KvError::Conflict);
        }
        entries.insert(key, (put.value.to_vec(), known + 1));
        Ok(known + 1)
    }

    fn kv_delete(&self, origin: &Origin, scope: Scope, key: &str) -> Result<(), KvError> {
        let key = self.key(origin, scope, key);
        self.entries.lock().expect("no panic").remove(&key);
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
        let key = self.key(origin, scope, key);
        let mut entries = self.entries.lock().expect("no panic");
        let (value, version) = entries.entry(key).or_insert((b"0".to_vec(), 0));
        let sum =
            std::str::from_utf8(value).expect("text").parse::<i64>().map_err(|_| KvError::Conflict)? + by;
        (*value, *version) = (sum.to_string().into_bytes(), *version + 1);
        Ok(sum)
    }

    fn kv_take(&self, origin: &Origin, scope: Scope, bucket: &str, rate: Take) -> Result<bool, KvError> {
        self.key(origin, scope, bucket);
        Ok(rate.cost <= rate.burst)
    }

    fn http(&self, origin: &Origin, call: Outbound) -> Later<Result<Inbound, HttpError>> {
        self.origins.lock().expect("no panic").push(origin.clone());
        let body = format!("{}{}", call.path, String::from_utf8_lossy(&call.body)).into_bytes();
        self.calls.lock().expect("no panic").push(call);
        let delay = *self.delay.lock().expect("no panic");
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let under_way = UnderWay(Arc::clone(&self.under_way));
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            drop(under_way);
            Ok(Inbound { status: 200, headers: Vec::new(), body, truncated: false })
        })
    }

    fn tokens(&self, _: &str, text: &str) -> u32 {
        self.counted.fetch_add(1, Ordering::SeqCst);
        burn(self.burns);
        u32::try_from(text.len()).expect("short")
    }

    fn record(&self, origin: &Origin, record: Record<'_>) {
        self.origins.lock().expect("no panic").push(origin.clone());
        self.said.lock().expect("no panic").push(format!("{record:?}"));
    }

    /// Another time at each look.
    fn now_ms(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn random(&self) -> u64 {
        4
    }
}

impl Host {
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }
}
