//! The root of the library that `core/gateway/fuzz` builds, no part of `weir`: the few modules that read what comes from
//! outside and need neither Pingora nor wasmtime, so that a fuzzer is built in minutes.

#![allow(dead_code, unused_imports, reason = "the rest of the gateway is not here")]

#[path = "wire/body.rs"]
pub mod body;
pub mod config;
#[path = "ingress/framing.rs"]
pub mod framing;
#[path = "../../ledger/src/key.rs"]
mod key;
pub mod refusal;

/// Whether a text is a well-formed key; its secret part.
#[must_use]
pub fn key(text: &str) -> Option<&[u8]> {
    key::parse(text)
}

/// A well-formed key.
#[must_use]
pub fn fresh_key() -> String {
    key::SecretKey::generate().map(key::SecretKey::expose).unwrap_or_default()
}
