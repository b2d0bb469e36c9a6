//! The Rhai engine: compiles scripts into policies.
//!
//! A script is a file whose leading `//!` lines are its manifest (YAML) and whose functions `route`, `on_error` and
//! `guard` are its hooks. The API that scripts see mirrors the WIT name by name; `policies/README.md` is its
//! reference.
//!
//! ```
//! let source = r#"//! name: cheapest-first
//! //! version: 1.0.0
//! //! hooks: [route]
//!
//! fn route(head, targets, config) {
//!     plan(targets.healthy().or(targets).cheapest())
//! }
//! "#;
//! let policy = weir_script::compile("cheapest.rhai", source, &serde_json::Value::Null)?;
//! assert_eq!(policy.manifest().name, "cheapest-first");
//! # Ok::<(), weir_policy::LoadError>(())
//! ```
//!
//! # Layout
//!
//! - [`compile`]: what happens once per version: header, limits, compile, checks, self-test.
//! - `header`: the manifest in the leading `//!` lines.
//! - `engine`: a bounded Rhai engine per policy.
//! - `check`: what is caught at load: hooks, parameters, unknown functions.
//! - `meter`: operations and CPU time of the call that runs on this thread.
//! - `fault`: what Rhai reports, as load errors and faults without content.
//! - `script`: what happens per request: arguments in, verdict out.
//! - `warm`: functions that a thread has resolved already.
//! - `api`: the native types and functions that scripts use.

mod api;
mod check;
mod engine;
mod fault;
mod header;
mod meter;
mod script;
mod warm;

pub use header::manifest;
pub use script::compile;
