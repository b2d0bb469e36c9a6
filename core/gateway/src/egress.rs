//! What goes to a provider: the request head, with the provider's own key and nothing of the caller's.

use crate::upstream::{Dialer, Patience, Request};
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue};
use pingora::http::RequestHeader;
use pingora::protocols::http::v1::client::http_req_header_to_wire;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
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
    /// Connects to it.
    pub dialer: Arc<Dialer>,
    /// Until the first byte, and between two.
    pub patience: Patience,
    /// For one attempt as a whole.
    pub total: Duration,
    /// One ready request head a key; their order is the operator's.
    heads: Vec<Bytes>,
    turn: AtomicUsize,
}

/// What a request head is made of.
pub struct Parts<'a> {
    /// The path of the endpoint's chat completions, prefix included.
    pub path: &'a str,
    /// The `Host` header.
    pub host: &'a str,
    /// The provider's keys; none for a provider that asks for none.
    pub keys: Vec<&'a str>,
    /// The operator's extra headers.
    pub headers: &'a [(HeaderName, HeaderValue)],
}

impl Endpoint {
    /// An endpoint with its heads made ready, so that a request only copies one.
    ///
    /// # Errors
    /// Says which part no HTTP head may carry.
    #[allow(clippy::too_many_arguments, reason = "a row of facts, named at the one call")]
    pub fn new(
        name: Arc<str>,
        region: Arc<str>,
        retention: Retention,
        trains: bool,
        dialer: Arc<Dialer>,
        patience: Patience,
        total: Duration,
        parts: &Parts<'_>,
    ) -> Result<Self, String> {
        let keys: Vec<Option<&str>> =
            if parts.keys.is_empty() { vec![None] } else { parts.keys.iter().copied().map(Some).collect() };
        let heads = keys.into_iter().map(|key| wire(parts, key)).collect::<Result<_, _>>()?;
        Ok(Self {
            name,
            region,
            retention,
            trains,
            dialer,
            patience,
            total,
            heads,
            turn: AtomicUsize::new(0),
        })
    }

    /// How many keys there are to turn to.
    pub fn keys(&self) -> usize {
        self.heads.len()
    }

    /// A request for the next key in turn.
    pub fn request(&self, body: &Bytes, traceparent: Option<&str>) -> Request {
        let turn = if self.heads.len() > 1 {
            self.turn.fetch_add(1, Ordering::Relaxed) % self.heads.len()
        } else {
            0
        };
        let ready = &self.heads[turn];
        let mut head = BytesMut::with_capacity(ready.len() + body.len() + 128);
        head.extend_from_slice(ready);
        if let Some(parent) = traceparent {
            head.extend_from_slice(b"traceparent: ");
            head.extend_from_slice(parent.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"content-length: ");
        head.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
        Request::new(head, body)
    }
}

/// A head in the form in which it goes over the wire, but for its length and its empty line.
fn wire(parts: &Parts<'_>, key: Option<&str>) -> Result<Bytes, String> {
    let mut wire = http_req_header_to_wire(&head(parts, key)?).ok_or("base_url: not a path")?;
    // The empty line comes after the length.
    wire.truncate(wire.len() - 2);
    Ok(wire.freeze())
}

fn head(parts: &Parts<'_>, key: Option<&str>) -> Result<RequestHeader, String> {
    let path = parts.path.as_bytes();
    let mut head =
        RequestHeader::build("POST", path, Some(12)).map_err(|_| "base_url: not a path".to_owned())?;
    let mut set = |name: &str, value: &str, secret: bool| {
        let mut value = HeaderValue::from_str(value).map_err(|_| format!("{name}: not a header value"))?;
        value.set_sensitive(secret);
        head.insert_header(name.to_owned(), value)
            .map_err(|_| format!("{name}: not a header name"))
            .map(|_| ())
    };
    set(HOST.as_str(), parts.host, false)?;
    set(CONTENT_TYPE.as_str(), "application/json", false)?;
    set(ACCEPT.as_str(), "application/json, text/event-stream", false)?;
    set(ACCEPT_ENCODING.as_str(), "identity", false)?;
    set(USER_AGENT.as_str(), concat!("weir/", env!("CARGO_PKG_VERSION")), false)?;
    if let Some(key) = key {
        set(AUTHORIZATION.as_str(), &format!("Bearer {key}"), true)?;
    }
    for (name, value) in parts.headers {
        head.insert_header(name.clone(), value.clone()).map_err(|_| format!("headers.{name}: not usable"))?;
    }
    Ok(head)
}
