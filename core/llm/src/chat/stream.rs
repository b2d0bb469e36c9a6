//! What a stream's chunks say of usage, ending and errors, while their bytes pass through.

use super::fault::{UpstreamError, error_in};
use super::tally::{content_bytes, usage_of};
use crate::json::{Kind, Rules, Tape, Value};
use crate::usage::Usage;

/// Reads the data of a stream's events one by one.
#[derive(Debug, Clone, Default)]
pub struct StreamScan {
    usage: Option<Usage>,
    /// By choice index; bounded by [`MAX_CHOICES`].
    finish_reasons: Vec<(u64, String)>,
    content_bytes: u64,
    chunks: u64,
    malformed: u64,
    done: bool,
    error: Option<UpstreamError>,
}

/// Choices whose finish reasons are kept; a request can ask for no more.
const MAX_CHOICES: usize = 128;

/// What one event was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// A chunk of choices.
    Delta,
    /// A chunk without choices that carries usage: hidden from a caller who did not ask for it.
    UsageOnly,
    /// An error object.
    Error,
    /// `[DONE]`
    Done,
    /// No JSON object. It passes through; it is for the caller's SDK to judge.
    Malformed,
}

impl StreamScan {
    /// Before the first event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the data of one event.
    pub fn feed(&mut self, data: &[u8]) -> Chunk {
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Chunk::Done;
        }
        self.chunks += 1;
        self.feed_parsed(data)
    }

    /// Reads a chunk through the whole parser.
    fn feed_parsed(&mut self, data: &[u8]) -> Chunk {
        let Ok(tape) = Tape::parse(data, Rules::Lenient) else {
            self.malformed += 1;
            return Chunk::Malformed;
        };
        let root = tape.root(data);
        if root.kind() != Kind::Object {
            self.malformed += 1;
            return Chunk::Malformed;
        }
        if let Some(error) = error_in(root) {
            self.error.get_or_insert(error);
            return Chunk::Error;
        }
        let usage = root.get("usage").and_then(usage_of);
        if usage.is_some() {
            self.usage = usage;
        }
        let mut choices = 0;
        for choice in root.get("choices").iter().flat_map(|choices| choices.elements()) {
            choices += 1;
            self.read_choice(choice);
        }
        if choices == 0 && usage.is_some() { Chunk::UsageOnly } else { Chunk::Delta }
    }

    fn read_choice(&mut self, choice: Value<'_>) {
        self.content_bytes += choice.get("delta").map_or(0, content_bytes);
        if let Some(reason) = choice.get("finish_reason").and_then(|reason| reason.as_str()) {
            let index = choice.get("index").and_then(|index| index.as_u64()).unwrap_or(0);
            let reasons = &mut self.finish_reasons;
            match reasons.iter().position(|(of, _)| *of == index) {
                Some(known) => reasons[known].1 = reason.into_owned(),
                None if reasons.len() < MAX_CHOICES => reasons.push((index, reason.into_owned())),
                None => {}
            }
        }
    }

    /// The last usage that was reported. Some providers report a running sum in every chunk: the last one counts.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Why the choices ended, by index, in the order in which they ended.
    #[must_use]
    pub fn finish_reasons(&self) -> &[(u64, String)] {
        &self.finish_reasons
    }

    /// Why the first choice ended.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&str> {
        self.finish_reasons.iter().min_by_key(|(index, _)| *index).map(|(_, reason)| reason.as_str())
    }

    /// Decoded bytes of what the model wrote so far.
    #[must_use]
    pub const fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Events read so far, without `[DONE]`.
    #[must_use]
    pub const fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Events that were no JSON object.
    #[must_use]
    pub const fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Whether `[DONE]` came.
    #[must_use]
    pub const fn done(&self) -> bool {
        self.done
    }

    /// The first error that came in the stream.
    #[must_use]
    pub const fn error(&self) -> Option<&UpstreamError> {
        self.error.as_ref()
    }

    /// Whether the stream ended as a success: no error, a finish reason, and `[DONE]`. An end without `[DONE]` is
    /// taken as an end by some SDKs; whether it was one is for the caller to decide by [`StreamScan::finish_reason`].
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done && self.error.is_none() && !self.finish_reasons.is_empty()
    }
}
