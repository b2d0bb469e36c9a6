//! The hooks of a reply: `guard-response`, `stream`, and `redact`, which sees requests as well.

use crate::{
    Closing, Direction, Head, Lane, Meta, Plugin, RedactStep, Request, Span, StreamStep, Usage, Verdict,
};

/// The hook `guard-response`: a complete reply, or a stream that the manifest wants collected first
/// (`buffer_streams: true`).
///
/// ```
/// use weir_sdk::{Config, Deny, GuardResponse, Head, Meta, Plugin, Request, Verdict};
/// use weir_sdk::testing::{self, FakeRequest};
///
/// /// Lets only JSON out.
/// struct OnlyJson;
/// impl Plugin for OnlyJson {
///     fn configure(_: Config<'_>) -> Result<Self, String> { Ok(Self) }
/// }
/// impl GuardResponse for OnlyJson {
///     fn guard_response(&self, _: &Head, _: &Meta, reply: &dyn Request) -> Verdict {
///         let starts = |segment| reply.text(segment, 0, 1).is_ok_and(|start| start == "{");
///         match reply.segments().all(|segment| starts(segment.index)) {
///             true => Verdict::pass(),
///             false => Verdict::block(Deny::new(502, "no_json", "The model did not answer in JSON.")),
///         }
///     }
/// }
/// weir_sdk::export!(OnlyJson: guard_response);
///
/// let ask = |text| OnlyJson.guard_response(&testing::head(), &testing::meta(), &FakeRequest::new().assistant(text));
/// assert_eq!(ask("{}"), Verdict::pass());
/// assert!(ask("Sure! {}").is_block());
/// ```
pub trait GuardResponse: Plugin {
    /// Pass, edit, block or answer (which replaces all text of the reply). `reply` shows the reply.
    fn guard_response(&self, head: &Head, meta: &Meta, reply: &dyn Request) -> Verdict;
}

/// The hook `stream`: a streamed reply. Each stream has an instance of its own, and an object in it.
///
/// ```
/// use weir_sdk::{Config, Deny, Head, Lane, Plugin, Stream, StreamGuard, StreamStep};
/// use weir_sdk::testing;
///
/// /// Stops a stream that says a word.
/// struct NoSecrets;
/// impl Plugin for NoSecrets {
///     fn configure(_: Config<'_>) -> Result<Self, String> { Ok(Self) }
/// }
/// impl Stream for NoSecrets {
///     type Guard = Watch;
///     fn stream(&self, _: &Head) -> Watch { Watch }
/// }
///
/// struct Watch;
/// impl StreamGuard for Watch {
///     fn push(&mut self, _: Lane, text: &str) -> StreamStep {
///         match text.contains("swordfish") {
///             true => StreamStep::stop(Deny::new(451, "secret", "The reply was cut.")),
///             // The word may cross the edge of the window: its beginning stays back.
///             false => StreamStep::hold_start_of(text, &["swordfish"]),
///         }
///     }
/// }
/// weir_sdk::export!(NoSecrets: stream);
///
/// let stream = |text| testing::split_everywhere(|| NoSecrets.stream(&testing::head()), text);
/// assert_eq!(stream("nothing to see").text, "nothing to see");
/// assert!(stream("it is swordfish, they say").stopped.is_some());
/// ```
pub trait Stream: Plugin {
    /// What guards one stream.
    type Guard: StreamGuard;

    /// A stream begins.
    fn stream(&self, head: &Head) -> Self::Guard;
}

/// One stream's guard. Asked per window of a lane, never per token: `text` is what the last answer held back, then what
/// is new; offsets are bytes of `text`.
pub trait StreamGuard: 'static {
    /// A window.
    fn push(&mut self, lane: Lane, text: &str) -> StreamStep;

    /// The last window of a lane, nothing of which can be held; as `push` unless written.
    fn finish_lane(&mut self, lane: Lane, text: &str) -> StreamStep {
        StreamStep { hold: 0, ..self.push(lane, text) }
    }

    /// The stream has ended.
    fn finish(&mut self, usage: &Usage) -> Closing {
        let _ = usage;
        Closing::default()
    }
}

/// The hook `redact`: content-bearing but egress-free. Answers are offsets and indices into the manifest
/// (`redact.masks`, `redact.classes`, `declares.rules`), so that nothing that was read can leave; such a plugin has no
/// capability but `env` and `tokens`, and the place of its panics is not known.
///
/// ```
/// use weir_sdk::{Config, Direction, Lane, Plugin, Redact, RedactStep, RedactStream, Redaction, Request, Span};
/// use weir_sdk::testing::{self, FakeRequest};
///
/// /// Masks what the matcher `email` finds in whole texts, and anything with an `@` in streams.
/// struct Mails;
/// impl Plugin for Mails {
///     fn configure(_: Config<'_>) -> Result<Self, String> { Ok(Self) }
/// }
/// impl Redact for Mails {
///     type Stream = Words;
///     fn redact(&self, _: Direction, content: &dyn Request) -> Result<Vec<Span>, u16> {
///         let hits = content.scan("email").map_err(|_| 1_u16)?;
///         Ok(hits.iter().map(|hit| Span::of(hit, 0, Redaction::Mask(0))).collect())
///     }
///     fn stream(&self, _: Direction) -> Words { Words }
/// }
///
/// struct Words;
/// impl RedactStream for Words {
///     fn push(&mut self, lane: Lane, text: &str) -> RedactStep {
///         let whole = text.rfind(' ').map_or(0, |at| at + 1);
///         RedactStep::of(self.finish(lane, &text[..whole])).hold(text.len() - whole)
///     }
///     fn finish(&mut self, _: Lane, text: &str) -> Vec<Span> {
///         let mut at = 0;
///         let mut spans = Vec::new();
///         for word in text.split_inclusive(' ') {
///             let end = at + word.trim_end().len();
///             if word.contains('@') {
///                 spans.push(Span::in_stream(at..end, 0, Redaction::Mask(0)));
///             }
///             at += word.len();
///         }
///         spans
///     }
/// }
/// weir_sdk::export!(Mails: redact);
///
/// let request = FakeRequest::new().user("to a@b.c").literals("email", &["a@b.c"]);
/// assert_eq!(Mails.redact(Direction::Request, &request).unwrap()[0].start, 3);
/// let out = testing::split_everywhere_redacted(|| Mails.stream(Direction::Reply), &["[email]"], "to a@b.c now");
/// assert_eq!(out.text, "to [email] now");
/// ```
pub trait Redact: Plugin {
    /// What redacts one stream.
    type Stream: RedactStream;

    /// What to replace in a request or a whole reply.
    ///
    /// # Errors
    /// A code of the plugin's own: the call failed.
    fn redact(&self, direction: Direction, content: &dyn Request) -> Result<Vec<Span>, u16>;

    /// A stream begins.
    fn stream(&self, direction: Direction) -> Self::Stream;

    /// As `stream`, for a plugin that cares who asks. The gateway calls this one.
    fn stream_for(&self, direction: Direction, head: &Head) -> Self::Stream {
        let _ = head;
        self.stream(direction)
    }
}

/// One stream's redactor; windows are those of [`StreamGuard`], and `segment` of a span is 0.
pub trait RedactStream: 'static {
    /// The model calls a tool, whose arguments come in this lane; before its first window.
    fn call(&mut self, lane: Lane, tool: &str) {
        let _ = (lane, tool);
    }

    /// A window.
    fn push(&mut self, lane: Lane, text: &str) -> RedactStep;

    /// The lane has ended: the rest of what was held.
    fn finish(&mut self, lane: Lane, text: &str) -> Vec<Span>;
}
