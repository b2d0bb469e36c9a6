//! What translation keeps: every feature of every API to every dialect and back, proved from fixtures.
//!
//! # Layout
//!
//! - [`fixture`]: the files under `tests/fixtures/translate`, and goldens.
//! - [`aspects`]: what a request says, feature by feature, whatever the dialect.
//! - [`gemini`]: a reader of Gemini bodies; the crate itself never reads one.
//! - [`requests`]: requests on their way out: goldens, and what became of each feature.
//! - [`replies`]: replies on their way back: the same.
//! - [`streams`]: streams on their way back: goldens, any split, and the same content as whole replies.
//! - [`gates`]: streams that somebody watches and changes on their way.
//! - [`matrix`]: `docs/fidelity.md`, derived from both.
//! - [`property`]: what the matrix says is kept survives whatever the request.
//! - [`cases`]: the forty cases of PROTOCOLS.md that belong to translation, by number.
//!
//! `UPDATE_GOLDENS=1` writes goldens and the matrix anew; without it they must be as they are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

mod aspects;
mod cases;
mod fixture;
mod gates;
mod gemini;
mod matrix;
mod property;
mod replies;
mod requests;
mod streams;
