//! What authors of Weir plugins in Rust use.
//!
//! A plugin is a type: [`Plugin`] makes it from its config, [`Guard`], [`Route`] and [`OnError`] are its hooks, and
//! [`export!`] makes a component of it. Hooks see the request and the targets through the traits [`Request`] and
//! [`Targets`], so the same code runs under `cargo test` on the host with the fakes in [`testing`].
//!
//! ```
//! use weir_sdk::{Config, Deny, Guard, Plugin, Request, Verdict};
//!
//! /// Refuses requests in which the matcher `forbidden` of the manifest hits.
//! struct Forbid;
//!
//! impl Plugin for Forbid {
//!     fn configure(_: Config<'_>) -> Result<Self, String> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl Guard for Forbid {
//!     fn guard(&self, request: &dyn Request) -> Verdict {
//!         match request.scan("forbidden") {
//!             Ok(hits) if hits.is_empty() => Verdict::pass(),
//!             Ok(_) => Verdict::block(Deny::new(403, "forbidden", "This text may not be sent.")),
//!             Err(_) => Verdict::block(Deny::new(500, "guard_failed", "The text could not be checked.")),
//!         }
//!     }
//! }
//!
//! weir_sdk::export!(Forbid: guard);
//!
//! // The same type under test, without Wasm:
//! use weir_sdk::testing::FakeRequest;
//! let plugin = Forbid::configure(Config::EMPTY).unwrap();
//! let clean = FakeRequest::new().user("hello").literals("forbidden", &["swordfish"]);
//! assert_eq!(plugin.guard(&clean), Verdict::pass());
//! let dirty = FakeRequest::new().user("the word is swordfish").literals("forbidden", &["swordfish"]);
//! assert!(plugin.guard(&dirty).is_block());
//! ```
//!
//! Beside `Cargo.toml` lies a `manifest.yaml`:
//!
//! ```yaml
//! name: forbid
//! version: 0.1.0
//! hooks: [guard]
//! reads: content
//! matchers:
//!   - { name: forbidden, literals: [swordfish] }
//! ```
//!
//! and `weir plugin build DIR` makes `forbid.wasm` of the two.
//!
//! # What to know
//!
//! - An instance that has read content is dropped after the call. One that has not may be kept and asked again, always
//!   for the same organisation; state in `&self` (a `Cell`, say) then survives, but nothing promises it.
//! - A panic is a fault: the manifest's failure mode decides what becomes of the request. The host learns file, line and
//!   column of a panic, never its message.
//! - Budgets are small (2 ms of CPU by default): let the host scan, and read slices, not bodies.
//!
//! # Layout
//!
//! - [`plugin`]: the traits that a plugin implements, and its config.
//! - [`view`]: the request and the targets, as hooks see them.
//! - [`answer`]: constructors for what hooks answer.
//! - [`telemetry`], [`env`](mod@env): capabilities as functions; a manifest must ask for them.
//! - [`testing`]: fakes for host tests.
//! - `export`: the macro, and what it expands to.

pub mod answer;
pub mod env;
mod export;
pub mod plugin;
pub mod telemetry;
pub mod testing;
pub mod view;

#[doc(hidden)]
#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    reason = "generated"
)]
pub mod bindings;

#[doc(hidden)]
pub use export::glue;

pub use answer::{Decision, Recovery};
pub use bindings::imports::weir::policy::request::{AccessError, Hit};
pub use bindings::imports::weir::policy::targets::{Breaker, Live, Target};
pub use bindings::imports::weir::policy::types::{
    Api, AttemptError, DataClass, Deny, Edit, ErrorClass, Finding, Head, Needs, Outcome, Plan, Rate,
    Replacement, Retention, RetryOn, Role, SegInfo, SegKind, Severity, Step, Strategy, Verdict,
};
pub use plugin::{Config, Guard, OnError, Plugin, Route};
pub use view::{Request, Targets};
