//! The world outside of the request. Needs the capability `env`; in host tests time stands still (at 0, or where
//! [`testing::set_now_ms`](crate::testing::set_now_ms) puts it), numbers and buckets are 0.

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::weir::policy::env as host;

/// The operator's config for this policy, as JSON; in host tests `{}`, or what
/// [`testing::set_config`](crate::testing::set_config) says.
#[must_use]
pub fn config() -> String {
    #[cfg(target_arch = "wasm32")]
    return host::config();
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::host::config()
}

/// Milliseconds since 1970, the same value for the whole call.
#[must_use]
pub fn now_ms() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return host::now_ms();
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::host::now_ms()
}

/// A random number, not for secrets.
#[must_use]
pub fn random() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return host::random();
    #[cfg(not(target_arch = "wasm32"))]
    0
}

/// Stable bucket in `0..10_000` of this request's tenant and key, for canaries and A/B.
#[must_use]
pub fn bucket(salt: &str) -> u32 {
    #[cfg(target_arch = "wasm32")]
    return host::bucket(salt);
    #[cfg(not(target_arch = "wasm32"))]
    {
        let _ = salt;
        0
    }
}
