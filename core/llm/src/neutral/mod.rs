//! What callers and models say to each other, in no dialect's words. Each dialect is translated to and from this and to
//! nothing else, so that N dialects need 2 N translations and not N².
//!
//! Typed fields hold what at least two dialects know. What only one knows stays beside them as JSON text
//! ([`Prompt::rest`], [`Content::Other`], [`Tool::Hosted`]): a target of another dialect drops it on purpose and says so
//! ([`Body::dropped`]).
//!
//! # Layout
//!
//! - [`prompt`]: a request: turns, tools, format, reasoning, sampling.
//! - [`content`]: what turns and replies are made of.
//! - [`reply`]: a whole reply.
//! - [`label`]: who wrote it and why it ended.
//! - [`event`]: a streamed reply, piece by piece.
//! - [`param`]: request fields and what each API calls them.
//! - [`seal`]: proofs that a provider wants back unchanged: thinking signatures, encrypted reasoning.
//! - [`names`]: tool names and call ids that every target takes.
//! - [`arguments`]: a call's arguments as the JSON object that they are meant to be.

pub mod arguments;
pub mod content;
pub mod event;
pub mod label;
pub mod names;
pub mod param;
pub mod prompt;
pub mod reply;
pub mod seal;

pub use content::{CacheTtl, Call, Citation, Content, Media, MediaKind, Part, Source, Thinking, ToolResult};
pub use event::Event;
pub use names::Names;
pub use param::Param;
pub use prompt::{
    Body, Effort, Format, Prompt, Reasoning, Role, Target, Tool, ToolChoice, Turn, Untranslatable,
};
pub use reply::{Ask, Broken, Choice, Finish, Reply};
pub use seal::{By, Seal};

use std::borrow::Cow;

/// JSON text that is kept as it came.
pub type Raw<'a> = Cow<'a, str>;
