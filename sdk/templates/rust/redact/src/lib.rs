//! Hides a project's code name from models, and from callers.
//!
//! A redactor sees content and has no way out for it: no log, no tag, no text of its own. It answers with places, and what
//! comes there is the manifest's.

use weir_sdk::{
    Config, Direction, Lane, Plugin, Redact, RedactStep, RedactStream, Redaction, Request, Span, StreamStep,
};

const WORD: &str = "swordfish";
/// Indices into the manifest's `declares.rules` and `redact.masks`.
const RULE: u16 = 0;
const MASK: Redaction = Redaction::Mask(0);

/// The plugin.
pub struct Hide;

impl Plugin for Hide {
    fn configure(_: Config<'_>) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Redact for Hide {
    type Stream = Words;

    fn redact(&self, _: Direction, content: &dyn Request) -> Result<Vec<Span>, u16> {
        let hits = content.scan("word").map_err(|_| 1_u16)?;
        Ok(hits.iter().map(|hit| Span::of(hit, RULE, MASK)).collect())
    }

    fn stream(&self, _: Direction) -> Words {
        Words
    }
}

/// One stream.
pub struct Words;

impl RedactStream for Words {
    fn push(&mut self, lane: Lane, text: &str) -> RedactStep {
        // The word may cross the edge of the window: what may be its beginning stays back.
        let hold = StreamStep::hold_start_of(text, &[WORD]).hold as usize;
        RedactStep::of(self.finish(lane, &text[..text.len() - hold])).hold(hold)
    }

    fn finish(&mut self, _: Lane, text: &str) -> Vec<Span> {
        let found = text.match_indices(WORD);
        found.map(|(at, word)| Span::in_stream(at..at + word.len(), RULE, MASK)).collect()
    }
}

weir_sdk::export!(Hide: redact);

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::{self, FakeRequest};

    #[test]
    fn a_request_is_redacted() {
        let request = FakeRequest::new().user("it is swordfish").literals("word", &[WORD]);
        let spans = Hide.redact(Direction::Request, &request).expect("spans");
        assert_eq!((spans[0].start, spans[0].end), (6, 15));
    }

    #[test]
    fn a_stream_is_redacted_wherever_it_is_cut() {
        let stream = || Hide.stream(Direction::Reply);
        let out = testing::split_everywhere_redacted(stream, &["[project]"], "say swordfish, sword");
        assert_eq!(out.text, "say [project], sword");
    }
}
