//! `kv`: small state that outlives a call. What the store says no with is thrown as a word that a script can catch:
//! `too-large`, `conflict`, `closed`, `unavailable`.

use super::{Answer, natural};
use crate::api::registrar::Api;
use crate::api::{option, text};
use crate::call::{self, Call};
use crate::fault::{misuse, word};
use crate::meter;
use rhai::{Blob, Dynamic, INT, ImmutableString};
use weir_policy::Capability;
use weir_policy::services::{Entry, KvError, Origin, Put, Scope, Take};

/// Longest key.
const MAX_KEY_BYTES: usize = 256;
/// Longest value.
const MAX_VALUE_BYTES: usize = 64 << 10;

type Name = ImmutableString;

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<Entry>("Entry");
    entries(api);
    writes(api);
    numbers(api);
}

fn entries(api: &mut Api<'_>) {
    api.function("kv_get", |scope: Name, key: Name| {
        let get = |call: &Call, origin: &Origin, scope| call.services().kv_get(origin, scope, &key);
        let entry = read(&scope, &key, get)?;
        meter::keep(entry.as_ref().map_or(0, |entry| entry.value.len()))?;
        Ok(entry.map_or(Dynamic::UNIT, Dynamic::from))
    });
    // Text as text; what is no UTF-8 is `()`, and `.bytes` has it.
    api.getter("value", |e: &mut Entry| Ok(option(std::str::from_utf8(&e.value).ok().map(text))));
    api.getter("bytes", |e: &mut Entry| Ok(Dynamic::from_blob(e.value.clone())));
    api.getter("version", |e: &mut Entry| Ok(INT::try_from(e.version).unwrap_or(INT::MAX)));
    api.getter("ttl_ms", |e: &mut Entry| {
        Ok(option(e.ttl_ms.map(|ms| INT::try_from(ms).unwrap_or(INT::MAX))))
    });
}

fn writes(api: &mut Api<'_>) {
    api.function("kv_put", |scope: Name, key: Name, value: Dynamic| put(&scope, &key, &value, None, None));
    api.function("kv_put", |scope: Name, key: Name, value: Dynamic, ttl_ms: INT| {
        put(&scope, &key, &value, None, Some(ttl_ms))
    });
    api.function("kv_cas", |scope: Name, key: Name, version: INT, value: Dynamic| {
        put(&scope, &key, &value, Some(version), None)
    });
    api.function("kv_cas", |scope: Name, key: Name, version: INT, value: Dynamic, ttl_ms: INT| {
        put(&scope, &key, &value, Some(version), Some(ttl_ms))
    });
    api.function("kv_delete", |scope: Name, key: Name| {
        write(&scope, &key, |call, origin, scope| call.services().kv_delete(origin, scope, &key))
    });
}

fn numbers(api: &mut Api<'_>) {
    api.function("kv_incr", |scope: Name, key: Name, by: INT| incr(&scope, &key, by, None));
    api.function("kv_incr", |scope: Name, key: Name, by: INT, ttl_ms: INT| {
        incr(&scope, &key, by, Some(ttl_ms))
    });
    api.function("kv_take", |scope: Name, key: Name, cost: INT, per_min: INT, burst: INT| {
        let take = Take {
            cost: natural(cost, "the cost")?,
            per_min: natural(per_min, "the rate")?,
            burst: natural(burst, "the burst")?,
        };
        write(&scope, &key, |call, origin, scope| call.services().kv_take(origin, scope, &key, take))
    });
}

fn put(scope: &str, key: &str, value: &Dynamic, version: Option<INT>, ttl_ms: Option<INT>) -> Answer<INT> {
    let value = bytes(value)?;
    if value.len() > MAX_VALUE_BYTES {
        return Err(word(KvError::TooLarge.as_str()));
    }
    let version = version.map(|version| natural(version, "a version")).transpose()?;
    let put = Put { value: &value, version, ttl_ms: ttl(ttl_ms)? };
    write(scope, key, |call, origin, scope| {
        let version = call.services().kv_put(origin, scope, key, put)?;
        Ok(INT::try_from(version).unwrap_or(INT::MAX))
    })
}

fn incr(scope: &str, key: &str, by: INT, ttl_ms: Option<INT>) -> Answer<INT> {
    let ttl_ms = ttl(ttl_ms)?;
    write(scope, key, |call, origin, scope| call.services().kv_incr(origin, scope, key, by, ttl_ms))
}

fn read<T>(
    scope: &str,
    key: &str,
    work: impl FnOnce(&Call, &Origin, Scope) -> Result<T, KvError>,
) -> Answer<T> {
    let scope = scope_of(scope)?;
    call::with(Capability::Kv, |call| {
        let asked = if key.len() > MAX_KEY_BYTES {
            Err(KvError::TooLarge)
        } else {
            work(call, &call.origin(), scope)
        };
        asked.map_err(|error| word(error.as_str()))
    })
}

/// After a call has read content only the exchange's own keys can be written, and under zero retention only those at all.
fn write<T>(
    scope: &str,
    key: &str,
    work: impl FnOnce(&Call, &Origin, Scope) -> Result<T, KvError>,
) -> Answer<T> {
    read(scope, key, |call, origin, scope| {
        if call.may_write(scope, origin) { work(call, origin, scope) } else { Err(KvError::Closed) }
    })
}

fn scope_of(name: &str) -> Answer<Scope> {
    let known = Scope::ALL.into_iter().find(|scope| scope.as_str() == name);
    known.ok_or_else(|| misuse("a scope is plugin, tenant or request"))
}

/// A text as it is, a blob as it is, a whole number in decimal: `kv_incr` goes on from there.
fn bytes(value: &Dynamic) -> Answer<Vec<u8>> {
    if let Some(blob) = value.read_lock::<Blob>() {
        return Ok(blob.clone());
    }
    super::plain(value).map(String::into_bytes)
}

fn ttl(ttl_ms: Option<INT>) -> Answer<Option<u64>> {
    ttl_ms.map(|ms| natural(ms, "a time to live")).transpose()
}
