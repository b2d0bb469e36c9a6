//! The wasmtime engine: compiles components into policies, builds plugins into components.
//!
//! A component sees the world only through the interfaces of `sdk/wit` that its manifest asks for and the operator
//! grants; anything else does not link. A call is bounded in CPU, memory, host calls and output, and ends in a
//! [`Fault`](weir_policy::Fault) otherwise. An instance that has read content is dropped after the call.
//!
//! # Layout
//!
//! What happens once:
//! - [`engine`]: one wasmtime engine, its pool of instance slots, its ticker.
//! - `ticker`: the thread that advances the epoch while calls are under way.
//! - `cache`: compiled code on disk, trusted only with our MAC.
//!
//! What happens per load:
//! - `load`: from bytes to a policy: manifest, imports against grants, compile, self-test.
//! - `section`: the manifest inside of a component.
//! - `imports`: which imports a component may have, and the linker for a set of grants.
//!
//! What happens per call:
//! - `component`: the policy: fresh or kept instance, call, keep or drop.
//! - `instance`: a store with an instantiated component and its hooks.
//! - `kept`: instances that read nothing and wait for the next call.
//! - `state`: what a store holds, and its budgets.
//! - `host`: the functions that a component may call.
//! - `lift`, `lower`: the contract's types between Rust and WIT.
//! - `fault`: from a wasmtime error to a fault that carries no content.
//! - [`telemetry`]: where a component's logs and metrics go.
//!
//! And for authors:
//! - [`build`]: from a crate and its manifest to a component.
//! - [`inspect`](mod@inspect): what a component says of itself.

pub mod build;
mod cache;
mod component;
pub mod engine;
mod fault;
mod host;
mod imports;
pub mod inspect;
mod instance;
mod kept;
mod lift;
mod load;
mod lower;
mod section;
mod state;
pub mod telemetry;
mod ticker;
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
mod wit;

pub use engine::{Engine, EngineError, Options};
pub use inspect::{Inspected, inspect};

/// The contract that this crate speaks: `sdk/wit/policy.wit`.
pub const CONTRACT: &str = include_str!("../../../sdk/wit/policy.wit");
