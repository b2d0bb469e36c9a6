//! The Rhai engine: compiles scripts into policies.
//!
//! A script is a file whose leading `//!` lines are its manifest (YAML) and whose functions are its hooks. The API that
//! scripts see mirrors the WIT name by name ([`surface`] says how, a test holds it to it); `policies/README.md` is its
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
//! let policy = weir_script::compile(
//!     "cheapest.rhai",
//!     source,
//!     &serde_json::Value::Null,
//!     &weir_policy::Grants::offline(),
//! )?;
//! assert_eq!(policy.manifest().name, "cheapest-first");
//! # Ok::<(), weir_policy::LoadError>(())
//! ```
//!
//! # Layout
//!
//! - [`compile`]: a script as a policy.
//! - [`surface`]: the WIT, name by name, in Rhai.
//! - `version`: what happens once per version: header, grants, limits, compile, checks, self-test; and a call.
//! - `script`: what happens per request: arguments in, answers out, hook by hook.
//! - `stream`: guards and redactors of streams, with a state each.
//! - `waiting`: calls that wait for `http`; `pool`: the threads that they run on.
//! - `header`: the manifest in the leading `//!` lines.
//! - `engine`: a bounded Rhai engine per policy; `growth`: the standard functions that need bounds of ours.
//! - `shapes`: the hooks as functions; `check`: what is caught at load; `closures`: where closures may stand.
//! - `call`: what the host knows of the call that runs on this thread; `taint`: what may leave it as telemetry.
//! - `meter`: operations, host calls and CPU time of the call that runs on this thread.
//! - `fault`: what Rhai reports, as load errors and faults without content; `source`: the line to point at.
//! - `paths`: what `route` or `price` asked of the host, remembered, so that the next request need not be interpreted.
//! - `warm`: functions that a thread has resolved already.
//! - `api`: the native types and functions that scripts use.

mod api;
mod call;
mod check;
mod closures;
mod engine;
mod fault;
mod growth;
mod header;
mod meter;
mod paths;
mod pool;
mod script;
mod shapes;
mod source;
mod stream;
pub mod surface;
mod taint;
mod version;
mod waiting;
mod warm;

pub use header::manifest;

use script::Script;
use std::sync::Arc;
use weir_policy::{Grants, LoadError, Policy};

/// Compiles a script with an operator's config and grants; `file` names it in errors.
///
/// # Errors
/// With line and column wherever there is one, and the line itself: a manifest that does not parse, a capability that is
/// not granted, a config that does not fit its schema, a syntax error, an unknown variable or function, a function of a
/// capability that is not asked for, a hook that is missing, unnamed or has the wrong parameters, a `self_test` that throws.
pub fn compile(
    file: &str,
    source: &str,
    config: &serde_json::Value,
    grants: &Grants,
) -> Result<Arc<dyn Policy>, LoadError> {
    version::load(file, source, config, grants)
        .map(|version| Arc::new(Script(Arc::new(version))) as Arc<dyn Policy>)
}
