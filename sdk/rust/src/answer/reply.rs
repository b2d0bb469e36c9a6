//! Steps of a stream, spans, charges.

use crate::{
    Charge, Closing, Deny, Hit, Nanos, Next, RedactStep, Redaction, Replacement, Severity, Span, StreamStep,
    TextEdit,
};
use std::ops::Range;

impl StreamStep {
    /// Lets all of the window go.
    #[must_use]
    pub const fn pass() -> Self {
        Self { edits: Vec::new(), hold: 0, next: Next::More }
    }

    /// The end of the stream, with this error.
    #[must_use]
    pub const fn stop(deny: Deny) -> Self {
        Self { edits: Vec::new(), hold: 0, next: Next::Stop(deny) }
    }

    /// No more of this stream: the rest passes unseen.
    #[must_use]
    pub const fn detach() -> Self {
        Self { edits: Vec::new(), hold: 0, next: Next::Detach }
    }

    /// Lets the window go with these edits.
    #[must_use]
    pub const fn edit(edits: Vec<TextEdit>) -> Self {
        Self { edits, hold: 0, next: Next::More }
    }

    /// The same step with the last `bytes` held back.
    #[must_use]
    pub fn hold(mut self, bytes: usize) -> Self {
        self.hold = u32::try_from(bytes).unwrap_or(u32::MAX);
        self
    }

    /// Lets the window go but for a tail with which one of these words may begin.
    #[must_use]
    pub fn hold_start_of(text: &str, words: &[&str]) -> Self {
        Self::pass().hold(words.iter().map(|word| start_at_end(text, word)).max().unwrap_or(0))
    }
}

/// Length of the longest tail of `text` that `word` begins with, but is more than.
fn start_at_end(text: &str, word: &str) -> usize {
    let starts = word.char_indices().map(|(at, _)| at).skip(1).collect::<Vec<_>>();
    starts.into_iter().rev().find(|&length| text.ends_with(&word[..length])).unwrap_or(0)
}

impl TextEdit {
    /// Puts `text` in place of a range of the window.
    #[must_use]
    pub fn replace(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { start: offset(range.start), end: offset(range.end), replace: Replacement::Text(text.into()) }
    }
}

#[allow(clippy::derivable_impls, reason = "the type is generated")]
impl Default for Closing {
    fn default() -> Self {
        Self { findings: Vec::new(), tags: Vec::new() }
    }
}

impl RedactStep {
    /// Lets the window go with these spans replaced.
    #[must_use]
    pub const fn of(spans: Vec<Span>) -> Self {
        Self { spans, hold: 0, next: Next::More }
    }

    /// The same step with the last `bytes` held back.
    #[must_use]
    pub fn hold(mut self, bytes: usize) -> Self {
        self.hold = u32::try_from(bytes).unwrap_or(u32::MAX);
        self
    }
}

impl Span {
    /// A hit that is replaced; `rule` is an index into the manifest's `declares.rules`.
    #[must_use]
    pub const fn of(hit: &Hit, rule: u16, replace: Redaction) -> Self {
        let (segment, start, end) = (hit.segment, hit.start, hit.end);
        Self { segment, start, end, rule, severity: Severity::Medium, replace }
    }

    /// A range of a window that is replaced.
    #[must_use]
    pub fn in_stream(range: Range<usize>, rule: u16, replace: Redaction) -> Self {
        let (start, end) = (offset(range.start), offset(range.end));
        Self { segment: 0, start, end, rule, severity: Severity::Medium, replace }
    }
}

impl Charge {
    /// The sum of these items.
    #[must_use]
    pub fn of<N: Into<String>>(items: impl IntoIterator<Item = (N, Nanos)>) -> Self {
        let items: Vec<(String, Nanos)> =
            items.into_iter().map(|(name, amount)| (name.into(), amount)).collect();
        let total = items.iter().fold(0, |total: Nanos, (_, amount)| total.saturating_add(*amount));
        Self { total, items, tags: Vec::new() }
    }
}

/// A window is far below 4 GiB.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
