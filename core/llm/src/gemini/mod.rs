//! The dialect `gemini`: `generateContent` and `streamGenerateContent`. Only this module knows its wire format.
//!
//! Gemini is a target only: nobody calls the gateway in it, so there is no reader of requests and no writer of replies.
//!
//! # Layout
//!
//! - [`body`], [`count_body`]: a request. `turns` writes what was said, `calls` and `media` its parts, `tools` what may be
//!   called, `config` the rest; `family` knows what each generation of models takes.
//! - [`read_reply`], [`Decoder`]: a reply, whole and streamed. Both feed `answer`, which reads candidates piece by
//!   `piece`; `grounding` reads citations, `usage` tokens.
//! - [`path`], [`count_path`]: where requests go. [`counted`], [`retry_delay_ms`]: small answers.

mod answer;
mod body;
mod calls;
mod config;
mod decode;
mod endpoint;
mod family;
mod grounding;
mod media;
mod piece;
mod reply;
mod tools;
mod turns;
mod usage;

pub use body::{body, count_body};
pub use decode::Decoder;
pub use endpoint::{count_path, counted, path, retry_delay_ms};
pub use reply::read_reply;
pub use usage::usage;
