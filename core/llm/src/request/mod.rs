//! A caller's request: the bytes as they came, one strict parse, and what the gateway reads of it.
//!
//! # Layout
//!
//! - `read`: typed fields, with errors that say where.
//! - `needs`: what a request asks a model to be able to do.
//! - `hosted`: what it asks of the provider beside the model.
//! - `beginning`: what the model reads before the conversation.
//! - `segments`: every string that carries content to the model, for guards.
//! - `patch`: splices into the body as it came: model name, usage wish, token limit, guards' edits.
//! - `plain`: APIs of which only the model is read.
//! - `seals`: proofs of other providers, cut out.
//! - `wishes`: terms asked for in the body.
//!
//! What the fields are called and where they stand is each dialect's own knowledge.

mod beginning;
mod hosted;
mod needs;
pub(crate) mod patch;
mod plain;
pub(crate) mod read;
mod seals;

pub(crate) mod segments;
mod wishes;

pub use hosted::Hosted;
pub use needs::Needs;
pub use patch::{Patch, Patched, SegmentEdit};
pub use segments::{Role, Segment, SegmentKind};
pub use wishes::{DataWishes, MaxPrice, told};

use crate::api::Api;
use crate::json::{Json, JsonError, Kind, Value};
use crate::neutral::Prompt;
use crate::usage::ServiceTier;
use crate::{anthropic, chat, responses};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

/// A body that is refused, in words for the caller. The message never quotes content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// What is wrong and what would be right.
    pub message: String,
    /// The field, as `messages[0].role`; none if the body is no JSON.
    pub param: Option<String>,
    /// `invalid_json`, `missing_field`, `invalid_type`, `invalid_value`, `ambiguous_field`.
    pub code: &'static str,
}

impl From<JsonError> for RequestError {
    fn from(error: JsonError) -> Self {
        Self { message: format!("The body is not valid JSON: {error}."), param: None, code: "invalid_json" }
    }
}

/// A request body: the bytes as they came and what the gateway reads of them.
pub struct Request {
    api: Api,
    json: Json,
    pub(crate) fields: Fields,
    segments: OnceLock<Vec<Segment>>,
}

/// What the one pass over the body found.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) model: String,
    /// Where the model's name stands; empty if the body does not name one.
    pub(crate) model_span: Range<usize>,
    pub(crate) stream: bool,
    pub(crate) stream_options: StreamOptions,
    /// Bounds of the output: chat has two names for it.
    pub(crate) bounds: Vec<Bound>,
    pub(crate) store: Option<(bool, Range<usize>)>,
    pub(crate) choices: u64,
    pub(crate) user: Option<Range<usize>>,
    /// Where the conversation stands.
    pub(crate) messages: Range<usize>,
    pub(crate) needs: Needs,
    pub(crate) media: bool,
    /// The first field that asks the provider to keep state for later requests, or to take it up.
    pub(crate) state: Option<&'static str>,
    /// It holds thinking that no provider has signed.
    pub(crate) unsigned: bool,
}

/// A field that bounds the output.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) key: &'static str,
    /// Where the key stands, with its quotes.
    pub(crate) key_span: Range<usize>,
    /// `None`: `null` stands there.
    pub(crate) tokens: Option<u64>,
    pub(crate) span: Range<usize>,
}

/// How the body speaks of `stream_options`.
#[derive(Default)]
pub(crate) enum StreamOptions {
    /// Not at all.
    #[default]
    Absent,
    /// `null`, here.
    Null(Range<usize>),
    /// An object without `include_usage`; its inside starts here, and whether it has members.
    Open(usize, bool),
    /// `include_usage` is false or null, here.
    Off(Range<usize>),
    /// `include_usage` is true.
    On,
}

impl Request {
    /// Parses a body: the strict rules of [`crate::json`], and the type of every field that the gateway acts on.
    ///
    /// # Errors
    /// [`RequestError`], ready for the caller's error envelope.
    pub fn parse(api: Api, body: Bytes) -> Result<Self, RequestError> {
        let json = Json::parse(body)?;
        let root = json.root();
        if root.kind() != Kind::Object {
            return Err(RequestError {
                message: format!("The body must be a JSON object, not {}.", root.kind().with_article()),
                param: None,
                code: "invalid_type",
            });
        }
        let fields = match api {
            Api::Chat => chat::read::fields(root),
            Api::Responses => responses::read::fields(root),
            Api::Messages | Api::CountTokens => anthropic::read::fields(root),
            _ => plain::fields(root, api),
        }?;
        if api == Api::Messages && fields.bounds.iter().all(|bound| bound.tokens.is_none()) {
            return Err(read::missing(&read::Path::Root("max_tokens")));
        }
        Ok(Self { api, json, fields, segments: OnceLock::new() })
    }

    /// The API that it came by.
    #[must_use]
    pub const fn api(&self) -> Api {
        self.api
    }

    /// The body as it came.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        self.json.bytes()
    }

    /// The parsed body.
    #[must_use]
    pub const fn json(&self) -> &Json {
        &self.json
    }

    /// The model name as the caller wrote it.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.fields.model
    }

    /// Whether the caller wants a stream.
    #[must_use]
    pub const fn stream(&self) -> bool {
        self.fields.stream
    }

    /// Whether the caller asked for usage in a stream; APIs other than chat have it always.
    #[must_use]
    pub const fn include_usage(&self) -> bool {
        !matches!(self.api, Api::Chat) || matches!(self.fields.stream_options, StreamOptions::On)
    }

    /// The caller's bound of output tokens per choice; the smaller if several fields stand there.
    #[must_use]
    pub fn max_output_tokens(&self) -> Option<u64> {
        self.fields.bounds.iter().filter_map(|bound| bound.tokens).min()
    }

    /// The provider's service tier that is asked for.
    #[must_use]
    pub fn service_tier(&self) -> ServiceTier {
        let root = self.json().root();
        let says = |key: &str, word: &str| {
            root.get(key).and_then(|value| value.as_str()).is_some_and(|said| said == word)
        };
        let is_messages = self.api == Api::Messages;
        let is_fast = is_messages && says("speed", "fast");
        let is_us = is_messages && says("inference_geo", "us");
        ServiceTier::of(root).at_anthropic(is_fast, is_us)
    }

    /// How many choices are asked for (`n`).
    #[must_use]
    pub const fn choices(&self) -> u64 {
        self.fields.choices
    }

    /// The caller's `user` field.
    #[must_use]
    pub fn user(&self) -> Option<Cow<'_, str>> {
        crate::json::unquote(self.body().get(self.fields.user.clone()?)?)
    }

    /// What the request needs a model to be able to do.
    #[must_use]
    pub const fn needs(&self) -> Needs {
        self.fields.needs
    }

    /// Whether there are images, audio or files among the content.
    #[must_use]
    pub const fn has_media(&self) -> bool {
        self.fields.media
    }

    /// The first field that asks the provider for state beyond this request (`previous_response_id`, …).
    #[must_use]
    pub const fn state(&self) -> Option<&'static str> {
        self.fields.state
    }

    /// Where the conversation stands in the body.
    #[must_use]
    pub fn messages_span(&self) -> Range<usize> {
        self.fields.messages.clone()
    }

    /// The request in no dialect's words; `None` for an API that has no conversation.
    #[must_use]
    pub fn prompt(&self) -> Option<Prompt<'_>> {
        let root = self.json.root();
        Some(match self.api {
            Api::Chat => chat::prompt(root),
            Api::Responses => responses::prompt(root),
            Api::Messages | Api::CountTokens => anthropic::prompt(root),
            _ => return None,
        })
    }

    /// Every string that carries content to the model, in document order; found at the first call, kept after it.
    pub fn segments(&self) -> &[Segment] {
        self.segments.get_or_init(|| segments::collect(self.api, self.json.root()))
    }

    /// The decoded text of a segment; borrowed if it has no escapes.
    #[must_use]
    pub fn text(&self, segment: usize) -> Option<Cow<'_, str>> {
        let span = self.segments().get(segment)?.span.clone();
        crate::json::unquote(self.body().get(span)?)
    }
}

impl Bound {
    /// Reads a bound; its key was found as `key`.
    pub(crate) fn read(
        name: &'static str,
        key: Value<'_>,
        value: Value<'_>,
        path: &read::Path<'_>,
    ) -> Result<Self, RequestError> {
        let tokens = read::optional_integer(value, path)?;
        Ok(Self { key: name, key_span: key.span(), tokens, span: value.span() })
    }
}

impl fmt::Debug for Request {
    /// Sizes and flags only: content is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("api", &self.api)
            .field("json", &self.json)
            .field("stream", &self.fields.stream)
            .finish_non_exhaustive()
    }
}
