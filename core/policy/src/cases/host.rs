//! The host of a case: a store, hosts to call, a clock and chance as the case states them, and what a policy did with
//! them. The same rules as the gateway's: who may write when, what is too large, how a bucket fills.
//!
//! - `script`: what a case states.
//! - `store`: keys, versions, lives, buckets.

mod script;
mod store;

pub(super) use script::{Script, value_text};

use crate::services::{
    Entry, HttpError, Inbound, KvError, Later, Offline, Origin, Outbound, Put, Record, Scope, Services, Take,
};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::{Key, Store};

/// One host for all cases of a file: each begins afresh.
#[derive(Default)]
pub(super) struct Host(Mutex<State>);

#[derive(Default)]
struct State {
    script: Script,
    now_ms: u64,
    /// How often chance was asked.
    drawn: u64,
    store: Store,
    /// How often each scripted reply was given.
    given: Vec<u32>,
    did: Did,
}

/// What a policy did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Did {
    /// What it recorded: `counter NAME BY label=value`, `observe NAME VALUE …`, `log LEVEL MESSAGE …`,
    /// `explain RULE BECAUSE`.
    pub(super) records: Vec<String>,
    /// Whom it called: `ALIAS METHOD PATH`.
    pub(super) calls: Vec<String>,
    /// Calls that the case has no reply for.
    pub(super) unanswered: Vec<String>,
}

impl Host {
    /// Forgets everything and takes on what a case states.
    pub(super) fn begin(&self, script: &Script) {
        let mut state = self.state();
        *state = State { script: script.clone(), now_ms: script.now_ms, ..State::default() };
        state.given = vec![0; script.http.len()];
        for (key, value) in &script.kv {
            state.store.seed(key.clone(), value.clone());
        }
    }

    /// Time passes.
    pub(super) fn advance(&self, ms: u64) {
        let mut state = self.state();
        state.now_ms = state.now_ms.saturating_add(ms);
    }

    /// What was done since the case began.
    pub(super) fn did(&self) -> Did {
        self.state().did.clone()
    }

    /// The value of a key as a case names it, as text.
    pub(super) fn value(&self, named: &str) -> Option<String> {
        let mut state = self.state();
        let (key, now) = (state.script.key(named)?, state.now_ms);
        let entry = state.store.get(&key, now)?;
        Some(String::from_utf8_lossy(&entry.value).into_owned())
    }

    /// Every key with its value, as a case would name them.
    pub(super) fn kept(&self) -> Vec<(String, String)> {
        let state = self.state();
        let entries = state.store.entries(state.now_ms);
        entries.map(|(key, value)| (state.script.name(key), value)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writable(origin: &Origin, scope: Scope) -> Result<(), KvError> {
        let closed = origin.tainted || origin.retention.is_zero();
        if closed && scope != Scope::Request { Err(KvError::Closed) } else { Ok(()) }
    }
}

impl Services for Host {
    fn kv_get(&self, origin: &Origin, scope: Scope, key: &str) -> Result<Option<Entry>, KvError> {
        let mut state = self.state();
        let now = state.now_ms;
        Ok(state.store.get(&Key::of(origin, scope, key)?, now))
    }

    fn kv_put(&self, origin: &Origin, scope: Scope, key: &str, put: Put<'_>) -> Result<u64, KvError> {
        Self::writable(origin, scope)?;
        let mut state = self.state();
        let now = state.now_ms;
        state.store.put(Key::of(origin, scope, key)?, put, now)
    }

    fn kv_delete(&self, origin: &Origin, scope: Scope, key: &str) -> Result<(), KvError> {
        Self::writable(origin, scope)?;
        self.state().store.delete(&Key::of(origin, scope, key)?);
        Ok(())
    }

    fn kv_incr(
        &self,
        origin: &Origin,
        scope: Scope,
        key: &str,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<i64, KvError> {
        Self::writable(origin, scope)?;
        let mut state = self.state();
        let now = state.now_ms;
        state.store.incr(Key::of(origin, scope, key)?, by, ttl_ms, now)
    }

    fn kv_take(&self, origin: &Origin, scope: Scope, bucket: &str, rate: Take) -> Result<bool, KvError> {
        Self::writable(origin, scope)?;
        let mut state = self.state();
        let now = state.now_ms;
        Ok(state.store.take(Key::of(origin, scope, bucket)?, rate, now))
    }

    fn http(&self, _: &Origin, call: Outbound) -> Later<Result<Inbound, HttpError>> {
        let mut state = self.state();
        let named = format!("{} {} {}", call.host_alias, call.method, call.path);
        let answer = match state.script.reply(&call, &state.given) {
            Some(at) => {
                state.given[at] += 1;
                state.script.http[at].answer.clone()
            }
            None => {
                state.did.unanswered.push(named.clone());
                Err(HttpError::Connect)
            }
        };
        state.did.calls.push(named);
        Box::pin(std::future::ready(answer))
    }

    fn tokens(&self, model: &str, text: &str) -> u32 {
        Offline.tokens(model, text)
    }

    fn record(&self, _: &Origin, record: Record<'_>) {
        self.state().did.records.push(written(&record));
    }

    fn now_ms(&self) -> u64 {
        self.state().now_ms
    }

    fn random(&self) -> u64 {
        let mut state = self.state();
        state.drawn += 1;
        state.script.random.unwrap_or_else(|| mixed(state.drawn))
    }
}

/// Numbers without a pattern that are the same in every run (splitmix64).
pub(super) const fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn written(record: &Record<'_>) -> String {
    let (mut text, labels) = match record {
        Record::Log { level, message, fields } => (format!("log {} {message}", level.as_str()), *fields),
        Record::Counter { name, by, labels } => (format!("counter {name} {by}"), *labels),
        Record::Observe { name, value, labels } => (format!("observe {name} {value}"), *labels),
        Record::Explain { rule, because } => (format!("explain {rule} {because}"), [].as_slice()),
    };
    for (name, value) in labels {
        // Writing to a string cannot fail.
        let _ = write!(text, " {name}={value}");
    }
    text
}
