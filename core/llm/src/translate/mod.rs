//! From the caller's dialect to a target's and back.
//!
//! # Layout
//!
//! - this file: the request on its way out, and what is kept for the way back ([`Back`]).
//! - `codec`: the dialects behind one name each.
//! - `gate`: somebody who sees a stream's text on its way and says what of it may leave.
//! - `restore`: tool names, custom tools and proofs on the way back.
//! - `stream`: a stream on the way back, chunk by chunk.
//! - `scan`: what a stream says of usage and ending while its own bytes pass through.

mod codec;
mod gate;
mod restore;
mod scan;
mod stream;

pub use codec::{answer, error_body, replay, stream_error};
pub use gate::{Flow, Gate, Lane, LaneKind};
pub use scan::{Scan, Seen, Summary, summary};
pub use stream::Transcoder;

use crate::api::{Api, Dialect};
use crate::estimate;
use crate::neutral::prompt::Dropped;
use crate::neutral::seal::split_id;
use crate::neutral::{Ask, Broken, Content, Names, Prompt, Seal, Target, Thinking, Untranslatable};
use crate::payload::Payload;
use crate::request::Request;
use crate::usage::Usage;
use bytes::Bytes;
use std::borrow::Cow;

/// The dialect that an API's callers speak; `None`: it is no conversation.
#[must_use]
pub const fn dialect_of(api: Api) -> Option<Dialect> {
    match api {
        Api::Chat => Some(Dialect::OpenAiChat),
        Api::Responses => Some(Dialect::OpenAiResponses),
        Api::Messages | Api::CountTokens => Some(Dialect::Anthropic),
        _ => None,
    }
}

/// A request in a target's dialect.
pub struct Outgoing {
    /// What is sent.
    pub body: Bytes,
    /// What the caller asked for and the target cannot be told, in the caller's words.
    pub dropped: Vec<String>,
    /// What turns the reply back.
    pub back: Back,
}

/// What turns a target's reply into the caller's dialect.
#[derive(Debug, Clone)]
pub struct Back {
    api: Api,
    dialect: Dialect,
    names: Names,
    /// A guess at the input tokens, for replies that do not say what they used.
    input_guess: u64,
}

/// A whole reply in the caller's dialect.
pub struct Turned {
    /// The body.
    pub body: Payload,
    /// What the provider's own reply said.
    pub summary: Summary,
}

/// Says a request in a target's dialect.
///
/// # Errors
/// [`Untranslatable`] names what cannot be said there at all.
pub fn translate(
    request: &Request,
    dialect: Dialect,
    target: &Target<'_>,
) -> Result<Outgoing, Untranslatable> {
    say(request, request.prompt().unwrap_or_default(), dialect, target)
}

/// As [`translate`], for what no provider may keep for later requests: a target that could is told not to, whatever the
/// caller said.
///
/// # Errors
/// As [`translate`].
pub fn unstored(
    request: &Request,
    dialect: Dialect,
    target: &Target<'_>,
) -> Result<Outgoing, Untranslatable> {
    let prompt = request.prompt().unwrap_or_default();
    say(request, Prompt { store: Some(false), unstored: true, ..prompt }, dialect, target)
}

fn say(
    request: &Request,
    mut prompt: Prompt<'_>,
    dialect: Dialect,
    target: &Target<'_>,
) -> Result<Outgoing, Untranslatable> {
    give_calls_their_proofs(&mut prompt);
    let body = codec::body(dialect, &prompt, target)?;
    let api = request.api();
    let mut dropped: Vec<String> = Vec::with_capacity(body.dropped.len());
    for one in body.dropped {
        let name = match one {
            Dropped::Param(param) => param.name(api).to_owned(),
            Dropped::Named(name) => name,
        };
        if !dropped.contains(&name) {
            dropped.push(name);
        }
    }
    Ok(Outgoing {
        body: body.json.into(),
        dropped,
        back: Back { api, dialect, names: body.names, input_guess: estimate::input_guess(request) },
    })
}

impl Back {
    /// The way back from a target that speaks the caller's own dialect, for a stream that somebody must be able to change.
    /// What neutral events have no place for is lost: token probabilities, the provider's fingerprint, fields that Weir
    /// does not know. `None`: the API has no streams of words.
    #[must_use]
    pub fn same(request: &Request) -> Option<Self> {
        let api = request.api();
        let dialect = dialect_of(api)?;
        Some(Self { api, dialect, names: Names::default(), input_guess: estimate::input_guess(request) })
    }

    /// Turns a whole reply.
    ///
    /// # Errors
    /// [`Broken`]: it is no reply of the target's dialect, or holds an error.
    pub fn whole(&self, body: &Bytes, ask: &Ask<'_>) -> Result<Turned, Broken> {
        let mut reply = codec::read_reply(self.dialect, body)?;
        let summary = Summary::of(&reply);
        restore::reply(&mut reply, &self.names, self.api);
        reply.usage.get_or_insert_with(|| guessed(self.input_guess, summary.content_bytes));
        Ok(Turned { body: codec::write_reply(self.api, &reply, ask).into(), summary })
    }

    /// Turns a stream.
    #[must_use]
    pub fn stream(&self, ask: &Ask<'_>) -> Transcoder {
        Transcoder::new(self, ask)
    }
}

/// What a reply that does not count is shown to have used: a caller that adds up tokens must not read zero by accident.
/// Whoever bills marks it as an estimate.
fn guessed(input: u64, content_bytes: u64) -> Usage {
    Usage { input, output: estimate::output_guess(content_bytes), ..Usage::default() }
}

/// Gives calls their proofs back, which a caller of another dialect carried at the end of their ids or before them.
fn give_calls_their_proofs(prompt: &mut Prompt<'_>) {
    for turn in &mut prompt.turns {
        let mut before: Vec<(String, Seal<'static>)> = Vec::new();
        turn.parts.retain(|part| match &part.content {
            Content::Thinking(Thinking { seal: Some(seal), .. }) => match seal.of_call() {
                Some((id, seal)) => {
                    before.push((id.to_owned(), seal));
                    false
                }
                None => true,
            },
            _ => true,
        });
        for part in &mut turn.parts {
            match &mut part.content {
                Content::Call(call) => {
                    let (own, seal) = split_id(&call.id);
                    let beside = before.iter().find(|(id, _)| *id == call.id).map(|(_, seal)| seal.clone());
                    if let Some(seal) = seal {
                        call.id = Cow::Owned(own.to_owned());
                        call.seal = Some(seal);
                    } else if beside.is_some() {
                        call.seal = beside;
                    }
                }
                Content::Result(result) => {
                    let (own, seal) = split_id(&result.id);
                    if seal.is_some() {
                        result.id = Cow::Owned(own.to_owned());
                    }
                }
                _ => {}
            }
        }
    }
}
