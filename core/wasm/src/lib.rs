//! The wasmtime engine: compiles components into policies, builds plugins into components.
//!
//! A component sees the world only through the interfaces of `sdk/wit` that its manifest asks for and the operator
//! grants; anything else does not link. A call is bounded in CPU, memory, host calls and output, and ends in a
//! [`Fault`](weir_policy::Fault) otherwise. An instance that has read content is dropped after the call.
//!
//! # Layout
//!
//! What happens once:
//! - [`engine`]: two wasmtime engines, their pools of instance slots, one ticker.
//! - `ticker`: the thread that advances the epoch while calls are under way.
//! - `cache`: compiled code on disk, trusted only with our MAC.
//!
//! What happens per load:
//! - `load`: from bytes to a policy: manifest, imports against grants, compile, configure, self-test.
//! - `section`: the manifest inside of a component.
//! - `imports`: which imports a component may have, and the linker for a set of grants.
//! - `snapshot`: the state that `configure` leaves, made the component's initial state.
//! - `exports`: the component's functions, found and type-checked.
//!
//! What happens per call:
//! - `component`: the policy: fresh or kept instance, call, keep or drop.
//! - `groups`: a batch for `complete`, cut by organisation.
//! - `stream`: one stream's guard or redactor.
//! - `ask`: a question put to an instance, hook by hook.
//! - `instance`: a store with an instantiated component, and the calls into it.
//! - `kept`: instances that read nothing and wait for the next call.
//! - `state`: what a store holds.
//! - `budget`: what one call may use up; `meter`: a call that waits, watched by whoever polls it.
//! - `host`: the functions that a component may call.
//! - `lift`, `lower`: the contract's types between Rust and WIT.
//! - `fault`: from a wasmtime error to a fault that carries no content.
//!
//! And for authors:
//! - [`build`]: from a crate and its manifest to a component.
//! - [`inspect`](mod@inspect): what a component says of itself.

mod ask;
mod budget;
pub mod build;
mod cache;
mod component;
pub mod engine;
mod exports;
mod fault;
mod groups;
mod host;
mod imports;
pub mod inspect;
mod instance;
mod kept;
mod lift;
mod load;
mod lower;
mod meter;
mod section;
mod snapshot;
mod state;
mod stream;
mod ticker;
#[allow(missing_docs, unreachable_pub, dead_code, clippy::all, clippy::pedantic, reason = "generated")]
mod wit;

pub use engine::{Engine, EngineError, Options};
pub use inspect::{Inspected, Sizes, inspect};

/// The contract that this crate speaks: `sdk/wit/policy.wit`.
pub const CONTRACT: &str = include_str!("../../../sdk/wit/policy.wit");

/// Its version. A component built for another is refused at load, by name, unless it is an earlier patch of this one.
pub const VERSION: &str = "0.3.1";

#[cfg(test)]
mod tests {
    use super::{CONTRACT, VERSION};

    #[test]
    fn the_version_is_the_contracts() {
        assert!(CONTRACT.contains(&format!("\npackage weir:policy@{VERSION};")));
    }
}
