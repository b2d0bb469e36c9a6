//! The built-in simulated provider: speaks `openai-chat`, answers deterministically, and misbehaves on request.
//!
//! It is what `weir.yaml` gets by `builtin: sim`, and what policy authors and tests point at when they need a provider
//! that is slow, refuses, breaks off or hangs. The same request gets the same bytes, always.
//!
//! How it behaves is written after the model name, `sim-small?ttft=200ms&tps=50`, or given for all models at its start;
//! the name wins. [`Options::parse`] lists what there is.
//!
//! # Layout
//!
//! - [`options`]: the behaviour, and how it is written.
//! - [`request`]: what it reads of a chat request.
//! - [`reply`]: text, usage, and the bodies and chunks that carry them.
//! - [`app`]: the Pingora app on a socket.

pub mod app;
pub mod options;
pub mod reply;
pub mod request;

pub use app::{App, Listen, service};
pub use options::Options;

#[cfg(test)]
mod tests;
