//! Whole replies and refusals, written to the caller.

use super::session::Session;
use crate::refusal::Refusal;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, StatusCode, response};
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

/// A reply's head until it is written. Pingora's own type spells each name anew when it is put in.
pub type Head = response::Parts;

/// A JSON reply's head.
///
/// # Errors
/// For a status that there is not, of which nobody here makes one.
pub fn json_head(status: u16, length: usize, request_id: &str) -> Result<Head, Gone> {
    typed(status, HeaderValue::from_static("application/json"), length, request_id)
}

/// The head of a reply whose length is known.
///
/// # Errors
/// As [`json_head`]; also for a type that no header may carry.
pub fn whole_head(status: u16, kind: &str, length: usize, request_id: &str) -> Result<Head, Gone> {
    typed(status, HeaderValue::from_str(kind).map_err(|_| Gone)?, length, request_id)
}

fn typed(status: u16, kind: HeaderValue, length: usize, request_id: &str) -> Result<Head, Gone> {
    let mut head = empty(status)?;
    put(&mut head, CONTENT_TYPE, kind);
    put(&mut head, CONTENT_LENGTH, HeaderValue::from(length));
    put_ids(&mut head, request_id);
    Ok(head)
}

fn empty(status: u16) -> Result<Head, Gone> {
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = StatusCode::from_u16(status).map_err(|_| Gone)?;
    head.headers.reserve(16);
    Ok(head)
}

/// The request's id under the names that the official SDKs read.
fn put_ids(head: &mut Head, request_id: &str) {
    let Ok(value) = HeaderValue::from_str(request_id) else { return };
    put(head, name::X_REQUEST_ID, value.clone());
    put(head, name::REQUEST_ID, value.clone());
    put(head, name::WEIR_REQUEST_ID, value);
}

/// Sets a header whose value is known to be good.
pub fn put(head: &mut Head, name: HeaderName, value: HeaderValue) {
    head.headers.insert(name, value);
}

/// Sets a header from text; text that no header may carry is left out.
pub fn put_text(head: &mut Head, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        put(head, name, value);
    }
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

/// Writes a refusal in the caller's envelope. A refusal that puts the framing in doubt ends the connection.
///
/// # Errors
/// The caller has gone.
pub async fn refuse(
    session: &mut Session,
    refusal: &Refusal,
    api: Api,
    request_id: &str,
) -> Result<(), Gone> {
    refuse_with(session, refusal, api, request_id, |_| {}).await
}

/// As [`refuse`], with headers that say how it came to that.
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
        put(&mut head, RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
        put(&mut head, HeaderName::from_static("retry-after-ms"), HeaderValue::from(ms));
    }
    for (name, value) in &refusal.headers {
        put(&mut head, name.clone(), value.clone());
    }
    if let Some(allow) = refusal.allow {
        put(&mut head, ALLOW, HeaderValue::from_static(allow));
    }
    mark(&mut head);
    whole(session, head, body).await
}

/// A stream's head.
///
/// # Errors
/// As [`json_head`].
pub fn stream_head(request_id: &str) -> Result<Head, Gone> {
    chunked_head("text/event-stream; charset=utf-8", request_id)
}

/// The head of a reply whose length is not known.
///
/// # Errors
/// As [`whole_head`].
pub fn chunked_head(kind: &str, request_id: &str) -> Result<Head, Gone> {
    let mut head = empty(200)?;
    put(&mut head, CONTENT_TYPE, HeaderValue::from_str(kind).map_err(|_| Gone)?);
    put(&mut head, CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    put(&mut head, TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    put_ids(&mut head, request_id);
    Ok(head)
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
