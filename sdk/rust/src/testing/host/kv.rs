//! A store in memory, with the bounds and errors of the real one. Nothing expires but by the test's own clock.

use super::{now_ms, with};
use crate::kv::{Entry, KvError, Scope};
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Store {
    entries: BTreeMap<(u8, String), Kept>,
    /// When the next unit of a bucket may pass, in µs.
    buckets: BTreeMap<(u8, String), u128>,
    version: u64,
}

struct Kept {
    value: Vec<u8>,
    version: u64,
    until_ms: Option<u64>,
}

const MAX_KEY_BYTES: usize = 256;
const MAX_VALUE_BYTES: usize = 64 << 10;

pub(crate) fn get(scope: Scope, key: &str) -> Result<Option<Entry>, KvError> {
    let (key, now) = (key_of(scope, key)?, now_ms());
    Ok(with(|host| {
        let kept = host.kv.live(&key, now)?;
        let ttl_ms = kept.until_ms.map(|until| until - now);
        Some(Entry { value: kept.value.clone(), version: kept.version, ttl_ms })
    }))
}

pub(crate) fn put(scope: Scope, key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<u64, KvError> {
    let (key, now) = (key_of(scope, key)?, now_ms());
    with(|host| host.kv.write(key, value, ttl_ms.map(|ttl| now.saturating_add(ttl))))
}

pub(crate) fn cas(
    scope: Scope,
    key: &str,
    version: u64,
    value: &[u8],
    ttl_ms: Option<u64>,
) -> Result<u64, KvError> {
    let (key, now) = (key_of(scope, key)?, now_ms());
    with(|host| {
        if host.kv.live(&key, now).map_or(0, |kept| kept.version) != version {
            return Err(KvError::Conflict);
        }
        host.kv.write(key, value, ttl_ms.map(|ttl| now.saturating_add(ttl)))
    })
}

pub(crate) fn delete(scope: Scope, key: &str) -> Result<(), KvError> {
    let key = key_of(scope, key)?;
    with(|host| host.kv.entries.remove(&key));
    Ok(())
}

pub(crate) fn incr(scope: Scope, key: &str, by: i64, ttl_ms: Option<u64>) -> Result<i64, KvError> {
    let (key, now) = (key_of(scope, key)?, now_ms());
    with(|host| {
        let (known, until) = match host.kv.live(&key, now) {
            Some(kept) => {
                let text = std::str::from_utf8(&kept.value).map_err(|_| KvError::Conflict)?;
                (text.parse::<i64>().map_err(|_| KvError::Conflict)?, kept.until_ms)
            }
            None => (0, ttl_ms.map(|ttl| now.saturating_add(ttl))),
        };
        let sum = known.checked_add(by).ok_or(KvError::Conflict)?;
        host.kv.write(key, sum.to_string().as_bytes(), until).map(|_| sum)
    })
}

/// GCRA: a unit passes if the bucket is not ahead of the clock by more than a full bucket.
pub(crate) fn take(scope: Scope, bucket: &str, cost: u64, per_min: u64, burst: u64) -> Result<bool, KvError> {
    let (key, now) = (key_of(scope, bucket)?, u128::from(now_ms()) * 1_000);
    if per_min == 0 {
        return Ok(cost == 0);
    }
    let each = 60_000_000 / u128::from(per_min);
    with(|host| {
        let ahead = host.kv.buckets.get(&key).copied().unwrap_or(0).max(now);
        let after = ahead + each * u128::from(cost);
        let passes = after <= now + each * u128::from(burst);
        if passes {
            host.kv.buckets.insert(key, after);
        }
        Ok(passes)
    })
}

fn key_of(scope: Scope, key: &str) -> Result<(u8, String), KvError> {
    if key.len() > MAX_KEY_BYTES { Err(KvError::TooLarge) } else { Ok((scope as u8, key.to_owned())) }
}

impl Store {
    fn live(&self, key: &(u8, String), now: u64) -> Option<&Kept> {
        self.entries.get(key).filter(|kept| kept.until_ms.is_none_or(|until| until > now))
    }

    fn write(&mut self, key: (u8, String), value: &[u8], until_ms: Option<u64>) -> Result<u64, KvError> {
        if value.len() > MAX_VALUE_BYTES {
            return Err(KvError::TooLarge);
        }
        self.version += 1;
        self.entries.insert(key, Kept { value: value.to_vec(), version: self.version, until_ms });
        Ok(self.version)
    }
}
