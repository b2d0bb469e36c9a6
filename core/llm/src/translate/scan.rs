//! What a reply or a stream says of usage and ending while its own bytes pass through.

use super::codec::{self, Decoder};
use super::dialect_of;
use crate::api::{Api, Dialect};
use crate::chat::{Chunk, StreamScan};
use crate::fault::{Said, UpstreamError};
use crate::neutral::event::{Assembler, Event};
use crate::neutral::label::{Label, ModelName};
use crate::neutral::{Ask, Broken, Content, Reply};
use crate::responses::Track;
use crate::sse;
use crate::usage::Usage;
use bytes::Bytes;

/// What a whole reply says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// What was used, if it says so.
    pub usage: Option<Usage>,
    /// Decoded bytes of what the model wrote.
    pub content_bytes: u64,
    /// Whether every answer says why it ended: only such a reply may be kept.
    pub complete: bool,
    /// Who wrote it, and why it ended.
    pub label: Label,
}

impl Summary {
    pub(super) fn of(reply: &Reply) -> Self {
        let parts = reply.choices.iter().flat_map(|choice| &choice.parts);
        let bytes = |part: &Content<'_>| match part {
            Content::Text { text, .. } | Content::Refusal(text) => text.len(),
            Content::Thinking(thinking) => thinking.text.len(),
            Content::Call(call) => call.name.len() + call.arguments.len(),
            _ => 0,
        };
        Self {
            usage: reply.usage,
            content_bytes: parts.map(|part| bytes(part) as u64).sum(),
            complete: !reply.choices.is_empty() && reply.choices.iter().all(|choice| choice.finish.is_some()),
            label: Label::of(reply),
        }
    }
}

/// Reads a whole reply in the caller's own dialect.
///
/// # Errors
/// [`Broken`]: it is no such reply, or holds an error.
pub fn summary(api: Api, body: &Bytes) -> Result<Summary, Broken> {
    let dialect = dialect_of(api).unwrap_or(Dialect::OpenAiChat);
    if dialect != Dialect::OpenAiChat {
        return codec::read_reply(dialect, body).map(|reply| Summary::of(&reply));
    }
    // Chat is by far the commonest, and has a reader that makes no neutral reply.
    let reply = crate::chat::Reply::parse(body)
        .map_err(|error| Broken::Unreadable(format!("the reply is not a chat completion: {error}")))?;
    match reply.error() {
        Some(error) => Err(Broken::Said(error.clone())),
        None => Ok(Summary {
            usage: reply.usage(),
            content_bytes: reply.content_bytes(),
            complete: reply.is_complete(),
            label: reply.label(),
        }),
    }
}

/// What one event of a stream was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A piece of the reply.
    Piece,
    /// Only usage: hidden from a chat caller who did not ask for it.
    UsageOnly,
    /// The provider's error, or what follows on it; it ends the stream.
    Error,
    /// The provider's own last event.
    Last,
    /// Nothing of the reply: a keep-alive.
    Nothing,
    /// No event of the dialect at all. Within a reply it passes, for the caller's SDK to judge; it begins none.
    Unreadable,
}

/// Reads a stream whose bytes pass through, or are turned.
pub struct Scan {
    reader: Reader,
}

#[allow(clippy::large_enum_variant, reason = "one a stream, and the large variant is the common one")]
enum Reader {
    /// Chat in and out: events are skimmed, hardly parsed.
    Chat(Box<Skim>),
    Other(Box<Watch>),
}

struct Skim {
    scan: StreamScan,
    recorded: Option<crate::chat::Collector>,
}

/// Reads a stream through its decoder.
pub(super) struct Watch {
    decoder: Decoder,
    tally: Tally,
    recorded: Option<Assembler>,
    /// Of a Responses stream: its end must name its response.
    track: Option<Track>,
    api: Api,
}

/// What is counted of any stream.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) usage: Option<Usage>,
    pub(super) content_bytes: u64,
    pub(super) pieces: u64,
    pub(super) error: Option<UpstreamError>,
    pub(super) last: bool,
    pub(super) label: Label,
}

impl Tally {
    pub(super) fn note(&mut self, event: &Event<'_>) {
        self.content_bytes += event.content_bytes();
        match event {
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Error(error) => {
                self.error.get_or_insert_with(|| error.clone());
            }
            Event::End => self.last = true,
            Event::Start { model, .. } => self.label.model = ModelName::of(model),
            Event::Finish { choice, reason, .. } => {
                self.label.ends.set(usize::try_from(*choice).unwrap_or(usize::MAX), *reason);
            }
            Event::Ping => return,
            _ => {}
        }
        self.pieces += 1;
    }
}

impl Scan {
    /// A stream in the dialect of an API's callers; `record` keeps what is needed to make a whole reply of it.
    #[must_use]
    pub fn new(api: Api, record: bool) -> Self {
        let reader = match dialect_of(api) {
            None | Some(Dialect::OpenAiChat) => {
                let recorded = record.then(crate::chat::Collector::new);
                Reader::Chat(Box::new(Skim { scan: StreamScan::new(), recorded }))
            }
            Some(dialect) => Reader::Other(Box::new(Watch {
                decoder: Decoder::new(dialect),
                tally: Tally::default(),
                recorded: record.then(Assembler::default),
                track: (api == Api::Responses).then(Track::new),
                api,
            })),
        };
        Self { reader }
    }

    /// Reads one event.
    pub fn feed(&mut self, event: &sse::Event<'_>) -> Seen {
        match &mut self.reader {
            Reader::Chat(skim) => {
                let Skim { scan, recorded } = &mut **skim;
                if let Some(recorded) = recorded {
                    recorded.push(event.data);
                }
                match scan.feed(event.data) {
                    Chunk::Delta => Seen::Piece,
                    // `data:` alone is a keep-alive of those who do not know of comments.
                    Chunk::Malformed if event.data.trim_ascii().is_empty() => Seen::Nothing,
                    Chunk::Malformed => Seen::Unreadable,
                    Chunk::UsageOnly => Seen::UsageOnly,
                    Chunk::Error => Seen::Error,
                    Chunk::Done => Seen::Last,
                }
            }
            Reader::Other(watch) => watch.feed(event),
        }
    }

    /// The body ended cleanly without a last event: whether the reply is whole all the same, and what its caller is sent
    /// in the place of the last event. It is if as many answers finished as were asked for.
    pub fn end(&mut self, choices: u64) -> Option<&'static [u8]> {
        match &self.reader {
            Reader::Chat(skim) => (skim.scan.error().is_none()
                && skim.scan.finish_reasons().len() as u64 >= choices.max(1))
            .then_some(b"data: [DONE]\n\n"),
            // Their last events carry what nobody else can say.
            Reader::Other(_) => None,
        }
    }

    /// The last usage that was reported.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        match &self.reader {
            Reader::Chat(skim) => skim.scan.usage(),
            Reader::Other(watch) => watch.tally.usage,
        }
    }

    /// Decoded bytes of what the model wrote so far.
    #[must_use]
    pub fn content_bytes(&self) -> u64 {
        match &self.reader {
            Reader::Chat(skim) => skim.scan.content_bytes(),
            Reader::Other(watch) => watch.tally.content_bytes,
        }
    }

    /// Who writes it, and why its answers ended, as far as it has said so.
    #[must_use]
    pub fn label(&self) -> Label {
        match &self.reader {
            Reader::Chat(skim) => skim.scan.label(),
            Reader::Other(watch) => watch.tally.label,
        }
    }

    /// The error that the provider reported in the stream.
    #[must_use]
    pub fn error(&self) -> Option<&UpstreamError> {
        match &self.reader {
            Reader::Chat(skim) => skim.scan.error(),
            Reader::Other(watch) => watch.tally.error.as_ref(),
        }
    }

    /// What ends a stream that cannot be completed.
    pub fn fail(&mut self, api: Api, said: &Said<'_>, ask: &Ask<'_>) -> Bytes {
        let track = match &self.reader {
            Reader::Chat(_) => None,
            Reader::Other(watch) => watch.track.as_ref(),
        };
        let own = track.and_then(|track| track.fail(said));
        own.map_or_else(|| codec::stream_error(api, said, ask), Bytes::from)
    }

    /// Whether the stream is recorded.
    #[must_use]
    pub const fn records(&self) -> bool {
        match &self.reader {
            Reader::Chat(skim) => skim.recorded.is_some(),
            Reader::Other(watch) => watch.recorded.is_some(),
        }
    }

    /// Ends the recording, and drops what it has.
    pub fn forget(&mut self) {
        match &mut self.reader {
            Reader::Chat(skim) => skim.recorded = None,
            Reader::Other(watch) => watch.recorded = None,
        }
    }

    /// The stream as one whole reply of the same API; `None` if it held what cannot be written again.
    pub fn recorded(&mut self, ask: &Ask<'_>) -> Option<Bytes> {
        match &mut self.reader {
            Reader::Chat(skim) => skim.recorded.take()?.finish(),
            Reader::Other(watch) => {
                let reply = watch.recorded.take()?.finish();
                let mut parts = reply.choices.iter().flat_map(|choice| &choice.parts);
                if parts.any(|part| codec::leaves_out(watch.api, part)) {
                    return None;
                }
                Some(codec::write_reply(watch.api, &reply, ask).into())
            }
        }
    }
}

impl Watch {
    fn feed(&mut self, event: &sse::Event<'_>) -> Seen {
        let Self { decoder, tally, recorded, track, .. } = self;
        let before = tally.pieces;
        if let Some(track) = track {
            track.feed(event);
        }
        decoder.feed(event, &mut |event| {
            if let Some(recorded) = recorded {
                recorded.push(&event);
            }
            tally.note(&event);
        });
        // The failed response that follows on an error is the stream's last event.
        let goes_on = track.as_ref().is_some_and(Track::waits);
        match () {
            () if tally.error.is_some() && !goes_on => Seen::Error,
            () if tally.last => Seen::Last,
            () if tally.pieces == before => Seen::Nothing,
            () => Seen::Piece,
        }
    }
}
