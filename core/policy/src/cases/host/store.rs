//! The store of a case: keys, versions, lives, buckets.

use crate::services::{Entry, KvError, Origin, Put, Scope, Take};
use std::collections::BTreeMap;

const MAX_KEY_BYTES: usize = 256;
const MAX_VALUE_BYTES: usize = 64 << 10;
/// What one unit of a bucket is counted in: it comes back in `MINUTE / per_min` milliseconds.
const MINUTE: u128 = 60_000;

/// Whose key: only one policy is under test, so its name is no part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) scope: Scope,
    /// Organisation or exchange; empty for `plugin`.
    pub(super) owner: String,
    pub(super) key: String,
}

impl Key {
    pub(super) fn of(origin: &Origin, scope: Scope, key: &str) -> Result<Self, KvError> {
        if key.len() > MAX_KEY_BYTES {
            return Err(KvError::TooLarge);
        }
        let owner = match scope {
            Scope::Plugin => "",
            Scope::Tenant => &*origin.tenant,
            Scope::Request => &*origin.request_id,
        };
        Ok(Self { scope, owner: owner.to_owned(), key: key.to_owned() })
    }
}

struct Kept {
    value: Vec<u8>,
    version: u64,
    until_ms: Option<u64>,
}

/// How much of a bucket is missing, in units of [`MINUTE`], and when that was so.
#[derive(Clone, Copy)]
struct Bucket {
    missing: u128,
    at_ms: u64,
}

#[derive(Default)]
pub(super) struct Store {
    kept: BTreeMap<Key, Kept>,
    buckets: BTreeMap<Key, Bucket>,
    version: u64,
}

impl Store {
    /// Puts what is there from the start.
    pub(super) fn seed(&mut self, key: Key, value: Vec<u8>) {
        self.write(key, value, None);
    }

    /// What is kept under a key and lives still.
    pub(super) fn get(&mut self, key: &Key, now_ms: u64) -> Option<Entry> {
        if self.kept.get(key)?.until_ms.is_some_and(|until| until <= now_ms) {
            self.kept.remove(key);
        }
        let kept = self.kept.get(key)?;
        let ttl_ms = kept.until_ms.map(|until| until - now_ms);
        Some(Entry { value: kept.value.clone(), version: kept.version, ttl_ms })
    }

    pub(super) fn put(&mut self, key: Key, put: Put<'_>, now_ms: u64) -> Result<u64, KvError> {
        if put.value.len() > MAX_VALUE_BYTES {
            return Err(KvError::TooLarge);
        }
        let version = self.get(&key, now_ms).map_or(0, |entry| entry.version);
        if put.version.is_some_and(|wanted| wanted != version) {
            return Err(KvError::Conflict);
        }
        Ok(self.write(key, put.value.to_vec(), put.ttl_ms.map(|ttl| now_ms.saturating_add(ttl))))
    }

    pub(super) fn delete(&mut self, key: &Key) {
        self.kept.remove(key);
    }

    /// The life counts from the first increment.
    pub(super) fn incr(
        &mut self,
        key: Key,
        by: i64,
        ttl_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<i64, KvError> {
        let entry = self.get(&key, now_ms);
        let (sum, ttl_ms) = match &entry {
            None => (by, ttl_ms),
            Some(entry) => {
                let text = std::str::from_utf8(&entry.value).map_err(|_| KvError::Conflict)?;
                let before: i64 = text.parse().map_err(|_| KvError::Conflict)?;
                (before.checked_add(by).ok_or(KvError::Conflict)?, entry.ttl_ms)
            }
        };
        let until = ttl_ms.map(|ttl| now_ms.saturating_add(ttl));
        self.write(key, sum.to_string().into_bytes(), until);
        Ok(sum)
    }

    /// GCRA, told by what is missing in the bucket.
    pub(super) fn take(&mut self, key: Key, rate: Take, now_ms: u64) -> bool {
        let before = self.buckets.get(&key).copied().unwrap_or(Bucket { missing: 0, at_ms: now_ms });
        let back = u128::from(now_ms.saturating_sub(before.at_ms)) * u128::from(rate.per_min);
        let missing = before.missing.saturating_sub(back) + u128::from(rate.cost) * MINUTE;
        let passes = missing <= u128::from(rate.burst) * MINUTE;
        if passes {
            self.buckets.insert(key, Bucket { missing, at_ms: now_ms });
        }
        passes
    }

    /// What lives still, as text.
    pub(super) fn entries(&self, now_ms: u64) -> impl Iterator<Item = (&Key, String)> {
        let alive = move |kept: &Kept| kept.until_ms.is_none_or(|until| until > now_ms);
        let entries = self.kept.iter().filter(move |(_, kept)| alive(kept));
        entries.map(|(key, kept)| (key, String::from_utf8_lossy(&kept.value).into_owned()))
    }

    fn write(&mut self, key: Key, value: Vec<u8>, until_ms: Option<u64>) -> u64 {
        self.version += 1;
        self.kept.insert(key, Kept { value, version: self.version, until_ms });
        self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { scope: Scope::Plugin, owner: String::new(), key: name.into() }
    }

    fn put(store: &mut Store, value: &[u8], version: Option<u64>, now_ms: u64) -> Result<u64, KvError> {
        store.put(key("k"), Put { value, version, ttl_ms: Some(100) }, now_ms)
    }

    #[test]
    fn a_write_needs_the_version_that_it_names() {
        let mut store = Store::default();
        assert_eq!(put(&mut store, b"a", Some(1), 0), Err(KvError::Conflict), "there is none");
        assert_eq!(put(&mut store, b"a", Some(0), 0), Ok(1));
        assert_eq!(put(&mut store, b"b", Some(0), 0), Err(KvError::Conflict), "there is one");
        assert_eq!(put(&mut store, b"b", Some(1), 50), Ok(2));
        assert_eq!(store.get(&key("k"), 149).map(|entry| entry.ttl_ms), Some(Some(1)));
        assert_eq!(store.get(&key("k"), 150), None, "its life is over");
        assert_eq!(put(&mut store, b"c", Some(0), 150), Ok(3));
        assert_eq!(put(&mut store, &[0; (64 << 10) + 1], None, 150), Err(KvError::TooLarge));
    }

    #[test]
    fn a_counter_lives_from_its_first_increment() {
        let mut store = Store::default();
        assert_eq!(store.incr(key("n"), 2, Some(100), 0), Ok(2));
        assert_eq!(store.incr(key("n"), -5, Some(100), 60), Ok(-3));
        assert_eq!(store.incr(key("n"), 1, Some(100), 100), Ok(1), "afresh");
        store.seed(key("text"), b"x".to_vec());
        assert_eq!(store.incr(key("text"), 1, None, 0), Err(KvError::Conflict));
        store.seed(key("much"), i64::MAX.to_string().into_bytes());
        assert_eq!(store.incr(key("much"), 1, None, 0), Err(KvError::Conflict));
    }

    #[test]
    fn a_bucket_holds_its_burst_and_refills_evenly() {
        let mut store = Store::default();
        let rate = Take { cost: 1, per_min: 60, burst: 3 };
        let mut passed = |now_ms| store.take(key("b"), rate, now_ms);
        assert_eq!([0, 0, 0, 0].map(&mut passed), [true, true, true, false]);
        assert_eq!([999, 1_000, 1_001].map(&mut passed), [false, true, false], "one a second");
        assert_eq!([3_600_000; 4].map(&mut passed), [true, true, true, false], "never more than the burst");
    }

    #[test]
    fn a_bucket_that_nothing_refills_is_spent_once() {
        let mut store = Store::default();
        let rate = Take { cost: 2, per_min: 0, burst: 5 };
        let passed = [0, 1, u64::MAX].map(|now_ms| store.take(key("b"), rate, now_ms));
        assert_eq!(passed, [true, true, false]);
    }
}
