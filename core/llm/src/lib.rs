//! Pure protocol code: strict JSON, dialects, usage, prices, SSE. No I/O, no async, no clock.
//!
//! Nothing in here prints content: the types that own a body have a `Debug` that shows sizes only.
//!
//! # Layout
//!
//! - [`api`]: the APIs that callers speak and the dialects that providers speak.
//! - [`neutral`]: requests, replies and streams in no dialect.
//! - [`vendor`]: where OpenAI-compatible providers differ.
//! - [`fault`]: what providers say went wrong.
//! - [`json`]: a strict JSON document over the bytes as they came, and splices into them.
//! - [`sse`]: server-sent events, to the letter of the specification.
//! - [`request`]: what callers send, strictly parsed.
//! - [`chat`], [`responses`], [`anthropic`], [`gemini`]: the dialects: requests, replies, streams, errors.
//! - [`schema`]: JSON Schemas as each dialect takes them.
//! - [`terms`]: what providers do with content, and where they say so.
//! - [`translate`]: from the caller's dialect to a target's and back.
//! - [`units`]: the bill of what is no conversation.
//! - [`usage`]: tokens and other units by disjoint class.
//! - [`payload`]: content in memory: not to be printed, wiped when it is let go of.
//! - [`price`]: rates, money, cost.
//! - [`catalogue`]: what is known of models: limits, abilities, list prices with their source.
//! - [`estimate`]: bounds and guesses of token counts where nobody has counted.

pub mod anthropic;
pub mod api;
pub mod catalogue;
pub mod chat;
pub mod estimate;
pub mod fault;
pub mod gemini;
pub mod json;
pub mod neutral;
pub mod payload;
pub mod price;
pub mod reply;
pub mod request;
pub mod responses;
pub mod schema;
pub mod sse;
pub mod terms;
pub mod translate;
pub mod units;
pub mod usage;
pub mod vendor;
