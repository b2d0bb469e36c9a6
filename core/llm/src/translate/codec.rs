//! The dialects behind one name each.

use crate::api::{Api, Dialect};
use crate::fault::{self, Said};
use crate::neutral::event::Event;
use crate::neutral::{Ask, Body, Broken, Choice, Content, Finish, Prompt, Reply, Target, Untranslatable};
use crate::sse;
use crate::usage::Usage;
use crate::{anthropic, chat, gemini, responses};
use bytes::Bytes;

/// The body for a target of a dialect.
pub(super) fn body(
    dialect: Dialect,
    prompt: &Prompt<'_>,
    target: &Target<'_>,
) -> Result<Body, Untranslatable> {
    match dialect {
        Dialect::OpenAiChat => chat::body(prompt, target),
        Dialect::OpenAiResponses => responses::body(prompt, target),
        Dialect::Anthropic => anthropic::body(prompt, target),
        Dialect::Gemini => gemini::body(prompt, target),
    }
}

/// Reads a whole reply of a dialect.
pub(super) fn read_reply(dialect: Dialect, body: &Bytes) -> Result<Reply, Broken> {
    match dialect {
        Dialect::OpenAiChat => chat::read_reply(body),
        Dialect::OpenAiResponses => responses::read_reply(body),
        Dialect::Anthropic => anthropic::read_reply(body),
        Dialect::Gemini => gemini::read_reply(body),
    }
}

/// Writes a whole reply for callers of an API.
pub(super) fn write_reply(api: Api, reply: &Reply, ask: &Ask<'_>) -> Vec<u8> {
    match api {
        Api::Responses => responses::write_reply(reply, ask),
        Api::Messages => anthropic::write_reply(reply, ask),
        _ => chat::write_reply(reply, ask),
    }
}

/// Whether [`write_reply`] leaves out a part that only one dialect knows.
pub(super) fn leaves_out(api: Api, part: &Content<'_>) -> bool {
    let Content::Other { kind, .. } = part else { return false };
    match api {
        Api::Responses => !responses::is_own(kind),
        Api::Messages => !anthropic::is_own(kind),
        _ => true,
    }
}

/// Reads a stream of a dialect.
pub(super) enum Decoder {
    Chat(Box<chat::Decoder>),
    Responses(Box<responses::Decoder>),
    Anthropic(Box<anthropic::Decoder>),
    Gemini(Box<gemini::Decoder>),
}

impl Decoder {
    pub(super) fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAiChat => Self::Chat(Box::new(chat::Decoder::new())),
            Dialect::OpenAiResponses => Self::Responses(Box::new(responses::Decoder::new())),
            Dialect::Anthropic => Self::Anthropic(Box::new(anthropic::Decoder::new())),
            Dialect::Gemini => Self::Gemini(Box::new(gemini::Decoder::new())),
        }
    }

    pub(super) fn feed(&mut self, event: &sse::Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        match self {
            Self::Chat(decoder) => decoder.feed(event, sink),
            Self::Responses(decoder) => decoder.feed(event, sink),
            Self::Anthropic(decoder) => decoder.feed(event, sink),
            Self::Gemini(decoder) => decoder.feed(event, sink),
        }
    }

    pub(super) fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        match self {
            Self::Chat(decoder) => decoder.end(sink),
            Self::Responses(decoder) => decoder.end(sink),
            Self::Anthropic(decoder) => decoder.end(sink),
            Self::Gemini(decoder) => decoder.end(sink),
        }
    }
}

/// Writes a stream for callers of an API.
pub(super) enum Encoder {
    Chat(Box<chat::Encoder>),
    Responses(Box<responses::Encoder>),
    Messages(Box<anthropic::Encoder>),
}

impl Encoder {
    pub(super) fn new(api: Api, ask: &Ask<'_>) -> Self {
        match api {
            Api::Responses => Self::Responses(Box::new(responses::Encoder::new(ask))),
            Api::Messages => Self::Messages(Box::new(anthropic::Encoder::new(ask))),
            _ => Self::Chat(Box::new(chat::Encoder::new(ask))),
        }
    }

    pub(super) fn push(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Chat(encoder) => encoder.push(event, out),
            Self::Responses(encoder) => encoder.push(event, out),
            Self::Messages(encoder) => encoder.push(event, out),
        }
    }

    pub(super) fn fail(&mut self, said: &Said<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Chat(encoder) => encoder.fail(said, out),
            Self::Responses(encoder) => encoder.fail(said, out),
            Self::Messages(encoder) => encoder.fail(said, out),
        }
    }
}

/// The body of an error in the envelope of an API's callers.
#[must_use]
pub fn error_body(api: Api, said: &Said<'_>) -> Bytes {
    if api.is_anthropic() {
        return anthropic::error_body(said).into();
    }
    fault::error_body(said.message, said.kind, said.param, said.code)
}

/// The error that ends a stream whose bytes have passed through so far.
#[must_use]
pub fn stream_error(api: Api, said: &Said<'_>, ask: &Ask<'_>) -> Bytes {
    let mut out = Vec::new();
    Encoder::new(api, ask).fail(said, &mut out);
    out.into()
}

/// A complete reply in an API's own form as the stream that would have brought it, frame by frame. Empty if it is no
/// reply of that form.
#[must_use]
pub fn replay(api: Api, body: &Bytes, ask: &Ask<'_>) -> Vec<Bytes> {
    let dialect = match api {
        Api::Responses => Dialect::OpenAiResponses,
        Api::Messages => Dialect::Anthropic,
        _ => return chat::replay(body, ask.include_usage),
    };
    let Ok(reply) = read_reply(dialect, body) else { return Vec::new() };
    let parts = reply.choices.iter().flat_map(|choice| &choice.parts);
    let hosted = |part: &Content<'_>| matches!(part, Content::Other { .. } | Content::Media(_));
    if api == Api::Responses && parts.clone().any(hosted) {
        return responses::replay(body);
    }
    let mut encoder = Encoder::new(api, ask);
    let mut frames = Vec::new();
    reply.events(&mut |event| {
        let mut frame = Vec::new();
        encoder.push(&event, &mut frame);
        if !frame.is_empty() {
            frames.push(frame.into());
        }
    });
    frames
}

/// A reply that no model wrote, in an API's own form. It used no tokens, and says so.
#[must_use]
pub fn answer(api: Api, text: &str, ask: &Ask<'_>) -> Bytes {
    if api == Api::Chat {
        return chat::answer_body(ask.request_id, ask.model, text);
    }
    let choice = Choice {
        parts: vec![Content::text(text.to_owned())],
        finish: Some(Finish::Stop),
        ..Choice::default()
    };
    let reply = Reply {
        model: ask.model.to_owned(),
        created: Some(ask.now),
        choices: vec![choice],
        usage: Some(Usage::default()),
        ..Reply::default()
    };
    write_reply(api, &reply, ask).into()
}
