//! What goes to a provider: the request head, with the provider's own key and nothing of the caller's but what its API
//! says is the caller's to choose.

use crate::config::{DrainBounds, Speaks};
use crate::crowd::Room;
use crate::upstream::{Dialer, Patience, Request};
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue};
use pingora::http::RequestHeader;
use pingora::protocols::http::v1::client::http_req_header_to_wire;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use weir_llm::api::{Api, Dialect};
use weir_llm::gemini;
use weir_llm::request::Patched;
use weir_llm::terms::{Feature, Terms};
use weir_llm::vendor::Vendor;
use weir_policy::Retention;

/// One provider, ready to be called.
pub struct Endpoint {
    /// Name in config.
    pub name: Arc<str>,
    /// Where the endpoint is; may be empty.
    pub region: Arc<str>,
    /// What it does with content.
    pub retention: Retention,
    /// Whether it may train on content.
    pub trains: bool,
    /// What it does beside the model for which `retention` does not hold.
    pub excluded: Box<[Feature]>,
    /// The public terms that the two are of; `None`: the operator's word, or nobody's.
    pub public: Option<&'static Terms>,
    /// What it speaks.
    pub speaks: Speaks,
    /// Where it differs from the maker of its dialect.
    pub vendor: &'static Vendor,
    /// Connects to it.
    pub dialer: Arc<Dialer>,
    /// Until the first byte, and between two.
    pub patience: Patience,
    /// How far a stream is read on when its caller has left; `None`: it is cancelled.
    pub drain: Option<DrainBounds>,
    /// How many requests it takes at one time, if that is bounded.
    pub room: Option<Room>,
    /// For one attempt as a whole.
    pub total: Duration,
    /// What its requests begin with.
    pub heads: Heads,
    /// Whether it is told of the trace.
    pub propagate: bool,
    /// Its host and port, as telemetry names them.
    pub server: (Arc<str>, u16),
}

/// What a provider's requests begin with, made ready so that a request only copies it.
pub struct Heads {
    /// What stands before every path.
    prefix: String,
    /// The header lines that every request has, ready for the wire, one set a key; their order is the operator's.
    lines: Vec<Bytes>,
}

/// What a provider's requests are made of.
pub struct Parts<'a> {
    /// The path of its base URL, without a slash at its end.
    pub prefix: &'a str,
    /// The `Host` header.
    pub host: &'a str,
    /// The provider's keys; none for a provider that asks for none.
    pub keys: Vec<&'a str>,
    /// The operator's extra headers.
    pub headers: &'a [(HeaderName, HeaderValue)],
}

/// What one request differs in.
pub struct Call<'a> {
    /// The place of the key that it goes out with.
    pub key: usize,
    /// The API that the caller speaks.
    pub api: Api,
    /// The dialect in which it goes out.
    pub dialect: Dialect,
    /// The model name that the provider knows.
    pub model: &'a str,
    /// Piece by piece.
    pub stream: bool,
    /// What of the caller's query goes to this provider; may be empty.
    pub query: &'a str,
    /// The body's type.
    pub content_type: &'a str,
    /// Header lines of this request only, each with its line break.
    pub lines: &'a [u8],
    /// The trace that it belongs to, and what the caller's side says of it.
    pub traceparent: Option<&'a str>,
    /// The caller's own; goes nowhere without `traceparent`.
    pub tracestate: Option<&'a str>,
}

impl Heads {
    /// The heads for what a provider speaks.
    ///
    /// # Errors
    /// Says which part no HTTP head may carry.
    pub fn new(speaks: Speaks, parts: &Parts<'_>) -> Result<Self, String> {
        let keys: Vec<Option<&str>> =
            if parts.keys.is_empty() { vec![None] } else { parts.keys.iter().copied().map(Some).collect() };
        let lines = keys.into_iter().map(|key| wire(parts, speaks, key)).collect::<Result<_, _>>()?;
        Ok(Self { prefix: parts.prefix.to_owned(), lines })
    }

    /// The lines for a key.
    fn lines(&self, key: usize) -> &Bytes {
        &self.lines[key % self.lines.len()]
    }
}

impl Endpoint {
    /// How many keys there are to turn to.
    pub fn keys(&self) -> usize {
        self.heads.lines.len()
    }

    /// A request with one of the keys.
    pub fn request(&self, call: &Call<'_>, body: &Patched) -> Request {
        let (ready, prefix, length) = (self.heads.lines(call.key), &self.heads.prefix, body.length());
        let room = ready.len() + call.lines.len() + Request::behind_its_head(length) + 320;
        let mut head = BytesMut::with_capacity(room);
        head.extend_from_slice(b"POST ");
        head.extend_from_slice(prefix.as_bytes());
        head.extend_from_slice(path(call, prefix).as_bytes());
        if !call.query.is_empty() {
            head.extend_from_slice(b"?");
            head.extend_from_slice(call.query.as_bytes());
        }
        head.extend_from_slice(b" HTTP/1.1\r\n");
        head.extend_from_slice(ready);
        head.extend_from_slice(call.lines);
        if let Some(parent) = call.traceparent {
            line(&mut head, "traceparent", parent);
            if let Some(state) = call.tracestate {
                line(&mut head, "tracestate", state);
            }
        }
        line(&mut head, "content-type", call.content_type);
        line(&mut head, "content-length", itoa::Buffer::new().format(length));
        head.extend_from_slice(b"\r\n");
        Request::patched(head, body)
    }
}

fn line(head: &mut BytesMut, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
}

/// What stands behind the prefix. Operators write the base URL with the version, as OpenAI's SDK has it, or without, as
/// Anthropic's and Google's have it: both mean the same.
fn path(call: &Call<'_>, prefix: &str) -> Cow<'static, str> {
    let versioned = |version: &str| prefix.ends_with(version);
    match (call.dialect, call.api) {
        (Dialect::Anthropic, Api::CountTokens) if versioned("/v1") => "/messages/count_tokens".into(),
        (Dialect::Anthropic, Api::CountTokens) => "/v1/messages/count_tokens".into(),
        (Dialect::Anthropic, _) if versioned("/v1") => "/messages".into(),
        (Dialect::Anthropic, _) => "/v1/messages".into(),
        (Dialect::Gemini, _) => {
            let version = if versioned("/v1beta") || versioned("/v1") { "" } else { "/v1beta" };
            format!("{version}/{}", gemini::path(call.model, call.stream)).into()
        }
        (_, Api::Embeddings) => "/embeddings".into(),
        (_, Api::Images) => "/images/generations".into(),
        (_, Api::Speech) => "/audio/speech".into(),
        (_, Api::Transcription) => "/audio/transcriptions".into(),
        (_, Api::Moderations) => "/moderations".into(),
        (_, Api::Rerank) => "/rerank".into(),
        (Dialect::OpenAiResponses, _) => "/responses".into(),
        (Dialect::OpenAiChat, _) => "/chat/completions".into(),
    }
}

/// The header lines of a key, in the form in which they go over the wire.
fn wire(parts: &Parts<'_>, speaks: Speaks, key: Option<&str>) -> Result<Bytes, String> {
    let mut wire = http_req_header_to_wire(&head(parts, speaks, key)?).ok_or("base_url: not a path")?;
    // The request line is each request's own, and the empty line comes after its length.
    wire.truncate(wire.len() - 2);
    let first = memchr::memchr(b'\n', &wire).map_or(0, |end| end + 1);
    Ok(wire.freeze().slice(first..))
}

fn head(parts: &Parts<'_>, speaks: Speaks, key: Option<&str>) -> Result<RequestHeader, String> {
    let path = if parts.prefix.is_empty() { "/" } else { parts.prefix };
    let mut head = RequestHeader::build("POST", path.as_bytes(), Some(12))
        .map_err(|_| "base_url: not a path".to_owned())?;
    let mut set = |name: &str, value: &str, secret: bool| {
        let mut value = HeaderValue::from_str(value).map_err(|_| format!("{name}: not a header value"))?;
        value.set_sensitive(secret);
        head.insert_header(name.to_owned(), value)
            .map_err(|_| format!("{name}: not a header name"))
            .map(|_| ())
    };
    set(HOST.as_str(), parts.host, false)?;
    set(ACCEPT.as_str(), "application/json, text/event-stream", false)?;
    set(ACCEPT_ENCODING.as_str(), "identity", false)?;
    set(USER_AGENT.as_str(), concat!("weir/", env!("CARGO_PKG_VERSION")), false)?;
    if let Some(key) = key {
        match speaks {
            Speaks::One(Dialect::Anthropic) => set("x-api-key", key, true)?,
            Speaks::One(Dialect::Gemini) => set("x-goog-api-key", key, true)?,
            _ => set(AUTHORIZATION.as_str(), &format!("Bearer {key}"), true)?,
        }
    }
    for (name, value) in parts.headers {
        head.insert_header(name.clone(), value.clone()).map_err(|_| format!("headers.{name}: not usable"))?;
    }
    Ok(head)
}
