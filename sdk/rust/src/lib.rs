//! What authors of Weir plugins in Rust use.
//!
//! A plugin is a type: [`Plugin`] makes it from its config, the traits in [`hooks`] are what it is asked, and
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
//! - The SDK brings an allocator, whose heap is small where little is needed: the memory of an instance is written anew for
//!   each request whose content is read. A crate with a `#[global_allocator]` of its own turns the SDK's off
//!   (`default-features = false`).
//! - Budgets are small (2 ms of CPU by default): let the host scan, and read slices, not bodies.
//!
//! - `redact` and `price` stand alone: a redactor has no way out for what it reads (not even the place of a panic), a
//!   pricer imports nothing at all.
//!
//! # Layout
//!
//! - [`plugin`]: what every plugin is, and its config.
//! - [`hooks`]: one trait for each hook.
//! - [`view`]: the request and the targets, as hooks see them.
//! - `answer`: constructors for what hooks answer.
//! - [`annotate`], [`tokens`], [`kv`], [`http`], [`telemetry`], [`env`](mod@env): capabilities as functions; a manifest
//!   must ask for them.
//! - [`testing`]: fakes for host tests.
//! - `export`: the macro, and what it expands to.
//! - `heap`: the allocator (feature `allocator`, on by default).

pub mod annotate;
mod answer;
pub mod env;
mod export;
#[cfg(all(target_arch = "wasm32", target_os = "unknown", feature = "allocator"))]
mod heap;
pub mod hooks;
pub mod http;
pub mod kv;
pub mod plugin;
pub mod telemetry;
pub mod testing;
pub mod tokens;
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

pub use bindings::admit::exports::weir::policy::hook_admit::Admission;
pub use bindings::attempt::exports::weir::policy::hook_attempt::{AttemptFacts, Changes, Preparation};
pub use bindings::complete::exports::weir::policy::hook_complete::{
    CacheState, Outcome as RequestOutcome, Summary,
};
pub use bindings::guard_response::exports::weir::policy::hook_guard_response::Meta;
pub use bindings::imports::weir::policy::request::{AccessError, Hit, Size};
pub use bindings::imports::weir::policy::targets::{Breaker, Live, Target};
pub use bindings::imports::weir::policy::types::{
    Api, AttemptError, Budget, DataClass, DeltaKind, Deny, Direction, Edit, ErrorClass, Finding, Head, Lane,
    Line, Nanos, Needs, Next, Outcome, Plan, Rate, Replacement, Retention, RetryOn, Role, SegInfo, SegKind,
    Severity, Step, Strategy, TextEdit, Usage, UsageSource, Verdict,
};
pub use bindings::on_error::exports::weir::policy::hook_on_error::Recovery;
pub use bindings::price::exports::weir::policy::hook_price::{Base, Charge};
pub use bindings::redact::exports::weir::policy::hook_redact::{RedactStep, Redaction, Span};
pub use bindings::route::exports::weir::policy::hook_route::Decision;
pub use bindings::stream::exports::weir::policy::hook_stream::{Closing, StreamStep};
pub use hooks::{
    Admit, Attempt, Complete, Guard, GuardResponse, OnError, Price, Redact, RedactStream, Route, Stream,
    StreamGuard,
};
pub use plugin::{Config, Plugin};
pub use view::{Request, Targets};
