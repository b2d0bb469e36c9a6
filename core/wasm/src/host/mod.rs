//! The functions that a component may call. Each spends one host call; each that reads content taints the call.
//!
//! - this file: the place of a panic.
//! - `request`: the request by reference.
//! - `outgoing`: texts on their way out of a call.
//! - `targets`, `tokens`, `annotate`, `telemetry`, `env`, `kv`, `http`: a capability each.

mod annotate;
mod env;
mod http;
mod kv;
mod outgoing;
pub(crate) mod request;
pub(crate) mod targets;
mod telemetry;
mod tokens;

use crate::state::State;
use crate::wit::weir::policy::{fault, types};
use wasmtime::Result;

const MAX_PLACE_BYTES: usize = 256;

impl types::Host for State {}

impl fault::Host for State {
    /// Believed only if the component's own bytes contain the file's name: a panic must not carry content out.
    fn panicked(&mut self, file: String, line: u32, column: u32) -> Result<()> {
        self.budget.host_call()?;
        let known = !file.is_empty()
            && file.len() <= MAX_PLACE_BYTES
            && memchr::memmem::find(&self.constants.component, file.as_bytes()).is_some();
        self.call.panicked_at.get_or_insert_with(|| match known {
            true => format!("{file}:{}:{}", line.min(999_999), column.min(9_999)),
            false => outgoing::UNDECLARED.into(),
        });
        Ok(())
    }
}
