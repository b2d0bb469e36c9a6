//! The policy contract: hooks, verdicts, the views a policy gets, its manifest, and the ordered pipeline.
//!
//! A policy is a script or a component plus a [`Manifest`]. Both engines (`weir-script`, `weir-wasm`) compile to a
//! [`Policy`]; the gateway asks policies only through a [`Pipeline`]. Nothing here knows an engine, a socket or a clock
//! other than [`std::time::Instant`].
//!
//! # Layout
//!
//! - [`head`]: the small facts about a request that every hook gets.
//! - [`request`]: content by reference: segments, slices, JSON pointers, native scan.
//! - [`target`]: what routing sees: the static table and the live facts.
//! - [`verdict`]: the typed answers of the hooks.
//! - [`manifest`]: what a policy says of itself and asks for.
//! - [`coverage`]: what a policy that protects must see.
//! - [`matcher`]: literal and regex sets, compiled at load, run by the host.
//! - [`policy`]: the trait that an engine implements, and how a call fails.
//! - [`vault`]: what is hidden from models and given back to callers.
//! - [`question`]: a call of a hook as a value.
//! - [`services`]: what the host does for policies beyond the request.
//! - [`pipeline`]: the ordered policies of a snapshot, their failure modes and breakers.
//! - [`cases`]: golden cases: request in, expected verdict out.

mod answer;
pub mod cases;
pub mod coverage;
pub mod head;
pub mod manifest;
pub mod matcher;
mod nearest;
pub mod pipeline;
pub mod policy;
pub mod question;
pub mod request;
pub mod services;
pub mod target;
mod tracker;
pub mod vault;
pub mod verdict;
mod yaml;

pub use head::{Api, Budget, DataClass, Demands, Head, Needs, Retention};
pub use manifest::{Capability, FailureMode, Hook, Limits, Manifest};
pub use nearest::nearest;
pub use pipeline::Pipeline;
pub use policy::{Fault, FaultKind, LoadError, Policy, StreamGuard, StreamRedactor};
pub use question::{Answer, Question};
pub use request::{AccessError, Headers, Hit, RequestView, Role, SegmentInfo, SegmentKind};
pub use services::{Grants, Offline, Services};
pub use target::{Breaker, Candidates, Live, LiveFacts, Target, TargetTable};
pub use verdict::{
    Admission, AttemptError, AttemptFacts, Base, Changes, Charge, Closing, Decision, DeltaKind, Deny,
    Direction, Edit, ErrorClass, Finding, GuardVerdict, Guarded, Lane, Next, Plan, Preparation, Recovery,
    RedactStep, Redaction, Replacement, ReplyMeta, RetryOn, Severity, Span, Step, Strategy, StreamStep,
    Summary, TextEdit,
};
