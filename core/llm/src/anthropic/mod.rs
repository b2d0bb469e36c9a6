//! The dialect `anthropic`: `POST /v1/messages`. Only this module knows its wire format.
//!
//! # Layout
//!
//! A caller's request:
//! - [`prompt()`]: the body as a [`Prompt`](crate::neutral::Prompt).
//! - `blocks`, `citation`: what its messages are made of, and what texts cite.
//!
//! A target's request:
//! - [`body()`]: a [`Prompt`](crate::neutral::Prompt) as a body.
//! - `turns`: turns as Anthropic takes them: alternating, every call answered, nothing empty.
//! - `pen`, `media`: one block at a time.
//! - `tools`: what may be called and what must be.
//! - `thinking`: how hard to think, within what the model and the rest of the request allow.
//! - `sampling`: temperature and its kin.
//! - `model`: what a model's name tells of it.
//!
//! - `read`: the strict parse. `segments`: whose words stand where, for guards.
//!
//! Replies:
//! - [`read_reply`], [`write_reply`]: whole ones.
//! - [`Decoder`], [`Encoder`]: streamed ones.
//! - `pieces`, `frames`: what a stream's events add to its blocks, and how that is written.
//! - `message`: what whole and streamed replies have in common.
//! - `stop`, `usage`: why a reply ended, what it used.
//! - [`error_body`]: a "no".

mod blocks;
mod body;
mod citation;
mod decode;
mod encode;
mod fault;
mod frames;
mod media;
mod message;
mod model;
mod pen;
mod pieces;
mod prompt;
pub(crate) mod read;
mod reply;
mod sampling;
pub(crate) mod segments;
mod stop;
mod thinking;
mod tools;
mod turns;
mod usage;

pub use body::body;
pub use decode::Decoder;
pub use encode::Encoder;
pub use fault::error_body;
pub use prompt::prompt;
pub use reply::{read_reply, write_reply};
pub(crate) use turns::is_own;

use crate::json::Value;
use crate::neutral::Raw;
use std::borrow::Cow;

/// A value as it came. The parser has checked that it is UTF-8.
fn raw(value: Value<'_>) -> Raw<'_> {
    String::from_utf8_lossy(value.raw())
}

/// A member that is a string.
fn text<'a>(value: Value<'a>, key: &str) -> Option<Cow<'a, str>> {
    value.get(key)?.as_str()
}

/// The `type` of a block, event or tool; empty if it has none.
fn kind<'a>(value: Value<'a>) -> Cow<'a, str> {
    text(value, "type").unwrap_or_default()
}
