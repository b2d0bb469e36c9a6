//! Small state that outlives a call. Needs the capability `kv`; in host tests it is a map of the test's own.
//!
//! A policy sees only its own keys. Once content was read only [`Scope::Request`] can be written.
//!
//! ```
//! use weir_sdk::kv::{self, Scope};
//!
//! assert_eq!(kv::incr(Scope::Tenant, "calls", 1, Some(60_000)), Ok(1));
//! assert_eq!(kv::incr(Scope::Tenant, "calls", 1, Some(60_000)), Ok(2));
//! assert_eq!(kv::get(Scope::Tenant, "calls").unwrap().unwrap().value, b"2");
//! assert_eq!(kv::take(Scope::Tenant, "bucket", 1, 60, 1), Ok(true));
//! assert_eq!(kv::take(Scope::Tenant, "bucket", 1, 60, 1), Ok(false), "the bucket held one");
//! ```

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::weir::policy::kv as host;
pub use crate::bindings::imports::weir::policy::kv::{Entry, KvError, Scope};
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::host::kv as host;

/// A key's entry.
///
/// # Errors
/// [`KvError`], as all functions here.
pub fn get(scope: Scope, key: &str) -> Result<Option<Entry>, KvError> {
    host::get(scope, key)
}

/// Writes, and answers the new version.
///
/// # Errors
/// As [`get`].
pub fn put(scope: Scope, key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<u64, KvError> {
    host::put(scope, key, value, ttl_ms)
}

/// Writes if the entry has this version still; 0: if there is none.
///
/// # Errors
/// As [`get`]; [`KvError::Conflict`] if it has another.
pub fn cas(scope: Scope, key: &str, version: u64, value: &[u8], ttl_ms: Option<u64>) -> Result<u64, KvError> {
    host::cas(scope, key, version, value, ttl_ms)
}

/// Forgets a key.
///
/// # Errors
/// As [`get`].
pub fn delete(scope: Scope, key: &str) -> Result<(), KvError> {
    host::delete(scope, key)
}

/// Adds to an integer and answers the sum; `ttl_ms` counts from its first increment.
///
/// # Errors
/// As [`get`]; [`KvError::Conflict`] if the entry is no integer.
pub fn incr(scope: Scope, key: &str, by: i64, ttl_ms: Option<u64>) -> Result<i64, KvError> {
    host::incr(scope, key, by, ttl_ms)
}

/// Whether `cost` units may pass a bucket that refills `per_min` a minute and holds `burst`.
///
/// # Errors
/// As [`get`].
pub fn take(scope: Scope, bucket: &str, cost: u64, per_min: u64, burst: u64) -> Result<bool, KvError> {
    host::take(scope, bucket, cost, per_min, burst)
}
