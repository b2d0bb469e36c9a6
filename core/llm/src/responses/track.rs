//! What a stream that passes through has said of its response, so that it can be ended in the response's own name.

use super::blocks::Frames;
use super::echo::Status;
use super::wire::raw;
use crate::fault::Said;
use crate::json::{Json, Kind, Value, Writer};
use crate::sse;
use bytes::Bytes;
use memchr::memmem;
use std::borrow::Cow;

/// Events that bring the response before its end.
const BEGINNINGS: [&str; 3] = ["response.created", "response.in_progress", "response.queued"];
/// Events that end it.
const ENDINGS: [&str; 4] =
    ["response.completed", "response.incomplete", "response.failed", "response.cancelled"];

/// Follows a stream of this dialect. Clients want the same id in each event of a response's life and numbers without
/// gaps, so that nobody can end a stream who has not read its beginning.
#[derive(Default)]
pub struct Track {
    /// The Response object as it came last.
    response: Option<Bytes>,
    /// The number of the next event.
    next: u64,
    /// An `error` event has passed.
    erred: bool,
    /// The response has ended.
    ended: bool,
}

impl Track {
    /// Before the first event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one event. Only the few that bring the response are parsed.
    pub fn feed(&mut self, event: &sse::Event<'_>) {
        let kind = kind(event);
        if ENDINGS.contains(&kind.as_ref()) {
            // Whoever ends the stream in another way does so in the place of this event.
            self.ended = true;
            return;
        }
        self.next = 1 + sequence_number(event.data).unwrap_or(self.next);
        self.erred |= kind == "error";
        if BEGINNINGS.contains(&kind.as_ref())
            && let Ok(json) = Json::parse_lenient(Bytes::copy_from_slice(event.data))
            && let Some(response) = json.root().get("response").filter(|found| found.kind() == Kind::Object)
        {
            self.response = Some(json.bytes().slice(response.span()));
        }
    }

    /// Whether an `error` event has passed and the failed response, which the protocol wants behind it, has not come.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.erred && !self.ended
    }

    /// The events that end the stream as failed; `None` if it has not said which response it is.
    #[must_use]
    pub fn fail(&self, said: &Said<'_>) -> Option<Vec<u8>> {
        let json = Json::parse_lenient(self.response.clone()?).ok()?;
        let (mut sequence, mut out) = (self.next, Vec::new());
        let mut frames = Frames { sequence: &mut sequence, out: &mut out };
        if !self.erred {
            frames.error(said);
        }
        frames.event("response.failed", |writer| {
            writer.key("response");
            write_failed(writer, json.root(), said);
        });
        Some(out)
    }
}

/// The response as it came, but failed.
fn write_failed(json: &mut Writer, response: Value<'_>, said: &Said<'_>) {
    json.begin_object();
    let changed = |key: &str| matches!(key, "status" | "error" | "output");
    for (key, value) in response.members().filter(|(key, _)| !changed(key)) {
        json.key(&key).raw(&raw(value));
    }
    let status = Status::failed(said);
    json.text("status", status.as_str()).key("error");
    status.write_error(json);
    let output = response.get("output").filter(|output| output.kind() == Kind::Array);
    json.key("output").raw(output.map(raw).as_deref().unwrap_or("[]")).end_object();
}

/// The event's type. Those who leave out its name say it in the data.
fn kind<'e>(event: &sse::Event<'e>) -> Cow<'e, str> {
    if event.name != "message" {
        return Cow::Borrowed(event.name);
    }
    let json = Json::parse_lenient(Bytes::copy_from_slice(event.data));
    json.map_or(Cow::Borrowed(""), |json| Cow::Owned(super::wire::kind(json.root()).into_owned()))
}

/// Found without parsing: inside of a text the key's quotes would be escaped. None that a client in JavaScript could not
/// count on from.
fn sequence_number(data: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"sequence_number\"";
    memmem::find_iter(data, KEY).find_map(|at| {
        let rest = data.get(at + KEY.len()..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok();
        number.filter(|number| *number < 1 << 53)
    })
}
