//! Masks a word in requests, replies and streams.

#[path = "../../misdeeds.rs"]
mod misdeeds;

use misdeeds::Misdeeds;
use weir_sdk::{
    Config, Direction, Lane, Plugin, Redact, RedactStep, RedactStream, Redaction, Request, Span, StreamStep,
    env,
};

const WORD: &str = "swordfish";

/// The plugin.
pub struct Redactor {
    misdeeds: Misdeeds,
}

impl Plugin for Redactor {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        Ok(Self { misdeeds: Misdeeds::new(config.json()) })
    }
}

impl Redact for Redactor {
    type Stream = Words;

    fn redact(&self, direction: Direction, content: &dyn Request) -> Result<Vec<Span>, u16> {
        self.misdeeds.commit("redact");
        let hits = content.scan("word").map_err(|_| 7_u16)?;
        let with = match direction {
            Direction::Request => Redaction::Mask(0),
            Direction::Reply => Redaction::Hash(0),
        };
        Ok(hits.iter().map(|hit| Span::of(hit, 0, with)).collect())
    }

    fn stream(&self, _: Direction) -> Words {
        self.misdeeds.commit("stream");
        Words { misdeeds: Misdeeds::new(&env::config()) }
    }
}

/// One stream.
pub struct Words {
    misdeeds: Misdeeds,
}

impl RedactStream for Words {
    fn push(&mut self, lane: Lane, text: &str) -> RedactStep {
        let hold = StreamStep::hold_start_of(text, &[WORD]).hold as usize;
        RedactStep::of(self.finish(lane, &text[..text.len() - hold])).hold(hold)
    }

    fn finish(&mut self, _: Lane, text: &str) -> Vec<Span> {
        self.misdeeds.commit("push");
        let found = text.match_indices(WORD);
        found.map(|(at, word)| Span::in_stream(at..at + word.len(), 0, Redaction::Mask(0))).collect()
    }
}

weir_sdk::export!(Redactor: redact);
