//! Fakes for host tests, and helpers for properties that every plugin should have.
//!
//! - [`FakeRequest`], [`FakeTargets`]: what hooks see.
//! - [`head`], [`meta`], [`usage`], [`base`], [`summary`], [`attempt_error`], [`lane`]: small facts, filled in.
//! - [`records`], [`notes`], [`on_http`], [`set_now_ms`], [`set_config`]: the host behind the capabilities. Each test (each thread) has a
//!   host of its own.
//! - [`split_everywhere`], [`split_everywhere_redacted`], [`streamed`], [`redacted`]: streams, cut in every way.

mod facts;
pub(crate) mod host;
mod request;
mod stream;
mod targets;

pub use facts::{attempt_error, base, head, lane, meta, summary, usage};
pub use host::{Record, notes, on_http, records, set_config, set_now_ms};
pub use request::FakeRequest;
pub use stream::{Streamed, redacted, split_everywhere, split_everywhere_redacted, streamed};
pub use targets::FakeTargets;
