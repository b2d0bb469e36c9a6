//! A streamed reply.
//!
//! Gemini has no last event: the body ends. A stream is whole if every answer gave a reason for its end before that.

use super::answer::{Out, Reader};
use crate::fault::{Hint, UpstreamError};
use crate::json::{Rules, Tape};
use crate::neutral::Event;
use crate::sse;

/// Reads the events of `streamGenerateContent?alt=sse`. Images in a stream have no event of their own and are left out.
#[derive(Default)]
pub struct Decoder {
    reader: Reader,
}

impl Decoder {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one event.
    pub fn feed(&mut self, event: &sse::Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        let data = event.data.trim_ascii();
        if data.is_empty() || data == b"[DONE]" {
            return;
        }
        let mut out = |out: Out<'_>| {
            if let Out::Event(event) = out {
                sink(event);
            }
        };
        match Tape::parse(data, Rules::Lenient) {
            Ok(tape) => self.reader.read(tape.root(data), &mut out),
            Err(_) => self.reader.fail(unreadable(), &mut out),
        }
    }

    /// The body ended well. What the answers still lack is handed out; if one of them has no reason for its end, the
    /// stream was cut and nothing is.
    pub fn end(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        let mut out = |out: Out<'_>| {
            if let Out::Event(event) = out {
                sink(event);
            }
        };
        if self.reader.is_whole() {
            self.reader.finish(&mut out);
            sink(Event::End);
        }
    }
}

fn unreadable() -> UpstreamError {
    UpstreamError {
        message: "The provider sent an event that is no JSON.".into(),
        kind: Some("server_error".into()),
        code: None,
        param: None,
        hint: Hint::ServerError,
    }
}
