//! Logs and metrics. Needs the capability `telemetry`; in host tests they are kept for
//! [`testing::records`](crate::testing::records).
//!
//! Once content has been read, a text that the manifest does not declare becomes `undeclared`.

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::weir::policy::telemetry as host;
pub use crate::bindings::imports::weir::policy::telemetry::Level;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::{Record, host};

/// Writes a log line: a fixed message plus fields.
pub fn log(level: Level, message: &str, fields: &[(&str, &str)]) {
    #[cfg(target_arch = "wasm32")]
    host::log(level, message, &owned(fields));
    #[cfg(not(target_arch = "wasm32"))]
    host::record(Record::Log { level, message: message.into(), fields: owned(fields) });
}

/// Adds to a counter.
pub fn counter(name: &str, by: u64, labels: &[(&str, &str)]) {
    #[cfg(target_arch = "wasm32")]
    host::counter(name, by, &owned(labels));
    #[cfg(not(target_arch = "wasm32"))]
    host::record(Record::Counter { name: name.into(), by, labels: owned(labels) });
}

/// Adds to a distribution.
pub fn observe(name: &str, value: f64, labels: &[(&str, &str)]) {
    #[cfg(target_arch = "wasm32")]
    host::observe(name, value, &owned(labels));
    #[cfg(not(target_arch = "wasm32"))]
    host::record(Record::Observe { name: name.into(), value, labels: owned(labels) });
}

/// Adds a line to the decision trace of this request.
pub fn explain(rule: &str, because: &str) {
    #[cfg(target_arch = "wasm32")]
    host::explain(rule, because);
    #[cfg(not(target_arch = "wasm32"))]
    host::record(Record::Explain { rule: rule.into(), because: because.into() });
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}
