//! Masks a word in requests, replies and streams; with `action` in its config it hides, refuses or reports it.

#[path = "../../misdeeds.rs"]
mod misdeeds;

use misdeeds::Misdeeds;
use weir_sdk::{
    Config, Direction, Head, Lane, Plugin, Redact, RedactStep, RedactStream, Redaction, Request, Span,
    StreamStep, env,
};

const WORD: &str = "swordfish";

/// The plugin.
pub struct Redactor {
    misdeeds: Misdeeds,
    action: Option<Redaction>,
}

/// What the config wants done.
fn action(config: &str) -> Option<Redaction> {
    let actions =
        [("vault", Redaction::Vault(0)), ("refuse", Redaction::Refuse), ("report", Redaction::Report)];
    let named = |name: &str| config.contains(&format!("\"action\":\"{name}\""));
    actions.into_iter().find(|(name, _)| named(name)).map(|(_, action)| action)
}

impl Plugin for Redactor {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        Ok(Self { misdeeds: Misdeeds::new(config.json()), action: action(config.json()) })
    }
}

impl Redact for Redactor {
    type Stream = Words;

    fn redact(&self, direction: Direction, content: &dyn Request) -> Result<Vec<Span>, u16> {
        self.misdeeds.commit("redact");
        let hits = content.scan("word").map_err(|_| 7_u16)?;
        let with = self.action.unwrap_or(match direction {
            Direction::Request => Redaction::Mask(0),
            Direction::Reply => Redaction::Hash(0),
        });
        Ok(hits.iter().map(|hit| Span::of(hit, 0, with)).collect())
    }

    fn stream(&self, _: Direction) -> Words {
        self.misdeeds.commit("stream");
        Words { misdeeds: Misdeeds::new(&env::config()), word: WORD.to_owned() }
    }

    /// For one tenant the word is another one.
    fn stream_for(&self, direction: Direction, head: &Head) -> Words {
        let word = if head.tenant == "trout farm" { "trout" } else { WORD };
        Words { word: word.to_owned(), ..self.stream(direction) }
    }
}

/// One stream.
pub struct Words {
    misdeeds: Misdeeds,
    word: String,
}

impl RedactStream for Words {
    /// A tool's own name is a word, too.
    fn call(&mut self, _: Lane, tool: &str) {
        tool.clone_into(&mut self.word);
    }

    fn push(&mut self, lane: Lane, text: &str) -> RedactStep {
        let hold = StreamStep::hold_start_of(text, &[self.word.as_str()]).hold as usize;
        RedactStep::of(self.finish(lane, &text[..text.len() - hold])).hold(hold)
    }

    fn finish(&mut self, _: Lane, text: &str) -> Vec<Span> {
        self.misdeeds.commit("push");
        let found = text.match_indices(self.word.as_str());
        found.map(|(at, word)| Span::in_stream(at..at + word.len(), 0, Redaction::Mask(0))).collect()
    }
}

weir_sdk::export!(Redactor: redact);
