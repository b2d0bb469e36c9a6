//! Whole replies and refusals, written to the caller.

use super::session::Session;
use crate::refusal::Refusal;
use crate::spare;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use weir_llm::api::Api;
use weir_llm::payload::Payload;

/// Why writing to the caller failed: it has gone, or reads too slowly.
#[derive(Debug)]
pub struct Gone;

/// The names of our own headers.
pub mod name {
    use http::HeaderName;

    /// The request's id, as OpenAI's SDKs read it.
    pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    /// The same for Anthropic's.
    pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
    /// The same beyond doubt.
    pub const WEIR_REQUEST_ID: HeaderName = HeaderName::from_static("x-weir-request-id");
    /// Which policies were asked.
    pub const GENERATION: HeaderName = HeaderName::from_static("x-weir-policy-generation");
    /// What the response cache did.
    pub const CACHE: HeaderName = HeaderName::from_static("x-weir-cache");
    /// How many targets were asked.
    pub const ATTEMPTS: HeaderName = HeaderName::from_static("x-weir-attempts");
    /// How it was decided.
    pub const EXPLAIN: HeaderName = HeaderName::from_static("x-weir-explain");
    /// Who answered.
    pub const TARGET: HeaderName = HeaderName::from_static("x-weir-target");
    /// What the caller pays.
    pub const COST: HeaderName = HeaderName::from_static("x-weir-cost");
    /// What of the request no target could be told.
    pub const DROPPED: HeaderName = HeaderName::from_static("x-weir-dropped-params");
    /// Who counted.
    pub const USAGE_SOURCE: HeaderName = HeaderName::from_static("x-weir-usage-source");
}

/// A reply's head until it is written, in the form in which HTTP/1.1 has it: most go out that way, and each header is said
/// once.
pub struct Head {
    status: StatusCode,
    /// How long the body is, if that is known.
    length: Option<usize>,
    /// The status line, and a line a header.
    text: Vec<u8>,
}

impl Head {
    /// A head without headers.
    pub fn new(status: StatusCode, length: Option<usize>) -> Self {
        let mut text = spare::take();
        for part in ["HTTP/1.1 ", status.as_str(), " ", status.canonical_reason().unwrap_or_default(), "\r\n"]
        {
            text.extend_from_slice(part.as_bytes());
        }
        Self { status, length, text }
    }

    /// The reply's status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// How long the body is; `None`: that is not known yet.
    pub const fn length(&self) -> Option<usize> {
        self.length
    }

    /// The status line and the headers, but for those that say how long the body is: each a name, `: `, a value and CRLF. The
    /// empty line is missing.
    pub fn into_text(self) -> Vec<u8> {
        self.text
    }

    /// The headers one by one, as in [`Head::into_text`].
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = std::str::from_utf8(&self.text).unwrap_or_default();
        text.split_terminator("\r\n").skip(1).filter_map(|line| line.split_once(": "))
    }

    fn line(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.text.extend_from_slice(part);
        }
    }
}

/// A JSON reply's head.
///
/// # Errors
/// For a status that there is not, of which nobody here makes one.
pub fn json_head(status: u16, length: usize, request_id: &str) -> Result<Head, Gone> {
    whole_head(status, "application/json", length, request_id)
}

/// The head of a reply whose length is known.
///
/// # Errors
/// As [`json_head`].
pub fn whole_head(status: u16, kind: &str, length: usize, request_id: &str) -> Result<Head, Gone> {
    let status = StatusCode::from_u16(status).map_err(|_| Gone)?;
    let mut head = Head::new(status, Some(length));
    put_text(&mut head, CONTENT_TYPE, kind);
    put_ids(&mut head, request_id);
    Ok(head)
}

/// The request's id under the names that the official SDKs read.
fn put_ids(head: &mut Head, request_id: &str) {
    for name in [name::X_REQUEST_ID, name::REQUEST_ID, name::WEIR_REQUEST_ID] {
        put_text(head, name, request_id);
    }
}

/// Adds a header whose value is another's.
pub fn put(head: &mut Head, name: &HeaderName, value: &HeaderValue) {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => head.line(name.as_str(), text.as_bytes()),
        // No SDK reads it.
        Err(_) => tracing::debug!(%name, "a header's value is no text"),
    }
}

/// Adds a header from text; text that no header may carry is left out.
pub fn put_text(head: &mut Head, name: HeaderName, value: &str) {
    if !value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        head.line(name.as_str(), value.as_bytes());
    }
}

/// Adds a header that is a number.
pub fn put_number(head: &mut Head, name: HeaderName, value: u64) {
    head.line(name.as_str(), itoa::Buffer::new().format(value).as_bytes());
}

/// Writes a whole reply.
///
/// # Errors
/// The caller has gone.
pub async fn whole(session: &mut Session, head: Head, body: Bytes) -> Result<(), Gone> {
    session.say(head).await?;
    session.write(body, true).await
}

/// Writes a whole reply that is content: wiped once it is written, unless HTTP/2 has it queued still.
///
/// # Errors
/// The caller has gone.
pub async fn content(session: &mut Session, head: Head, body: Payload) -> Result<(), Gone> {
    whole(session, head, body.expose().clone()).await
}

/// Writes a refusal in the caller's envelope, with headers that say how it came to that. A refusal that puts the framing in
/// doubt ends the connection.
///
/// # Errors
/// The caller has gone.
pub async fn refuse_with(
    session: &mut Session,
    refusal: &Refusal,
    api: Api,
    request_id: &str,
    mark: impl FnOnce(&mut Head),
) -> Result<(), Gone> {
    if refusal.close {
        session.close();
    }
    let body = refusal.body(api, request_id);
    let mut head = json_head(refusal.status_for(api), body.len(), request_id)?;
    if let Some(ms) = refusal.retry_after_ms {
        put_number(&mut head, RETRY_AFTER, ms.div_ceil(1000).into());
        put_number(&mut head, HeaderName::from_static("retry-after-ms"), ms.into());
    }
    let is_said = |name: &HeaderName| name == RETRY_AFTER && refusal.retry_after_ms.is_some();
    for (name, value) in refusal.headers.iter().filter(|(name, _)| !is_said(name)) {
        put(&mut head, name, value);
    }
    if let Some(allow) = refusal.allow {
        put_text(&mut head, ALLOW, allow);
    }
    mark(&mut head);
    whole(session, head, body).await
}

/// A stream's head.
pub fn stream_head(request_id: &str) -> Head {
    chunked_head("text/event-stream; charset=utf-8", request_id)
}

/// The head of a reply whose length is not known.
pub fn chunked_head(kind: &str, request_id: &str) -> Head {
    let mut head = Head::new(StatusCode::OK, None);
    put_text(&mut head, CONTENT_TYPE, kind);
    put_text(&mut head, CACHE_CONTROL, "no-cache");
    put_ids(&mut head, request_id);
    head
}

/// Writes ready frames as a stream; they are content, as in [`content`].
///
/// # Errors
/// The caller has gone.
pub async fn frames(session: &mut Session, head: Head, frames: Vec<Bytes>) -> Result<(), Gone> {
    let frames: Vec<Payload> = frames.into_iter().map(Payload::new).collect();
    session.say(head).await?;
    for frame in frames {
        session.write(frame.expose().clone(), false).await?;
    }
    session.write(Bytes::new(), true).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_line_whatever_is_put_into_it() {
        let mut head = Head::new(StatusCode::OK, None);
        for value in ["local/模型", "a\tb", "", "a\r\nSet-Cookie: b", "a\nb", "a\rb", "\0", "\u{7f}"] {
            put_text(&mut head, name::TARGET, value);
        }
        put(&mut head, &name::DROPPED, &HeaderValue::from_bytes("top_k, é".as_bytes()).unwrap());
        put(&mut head, &name::DROPPED, &HeaderValue::from_bytes(b"\xff").unwrap());
        put_number(&mut head, name::ATTEMPTS, 0);
        let expected = [
            ("x-weir-target", "local/模型"),
            ("x-weir-target", "a\tb"),
            ("x-weir-target", ""),
            ("x-weir-dropped-params", "top_k, é"),
            ("x-weir-attempts", "0"),
        ];
        assert_eq!(head.fields().collect::<Vec<_>>(), expected);
        let text = head.into_text();
        assert!(text.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert_eq!(text.split(|byte| *byte == b'\n').count(), expected.len() + 2);
    }
}
