//! Keeps a word out of requests and of replies, streamed or not.

use serde::Deserialize;
use std::ops::Range;
use weir_sdk::{
    Closing, Config, Deny, Edit, Finding, Guard, GuardResponse, Head, Hit, Lane, Meta, Plugin, Request,
    Severity, Stream, StreamGuard, StreamStep, TextEdit, Usage, Verdict,
};

/// The plugin and its config.
#[derive(Clone, Deserialize)]
#[serde(default)]
pub struct KeepOut {
    word: String,
    mask: String,
}

impl Default for KeepOut {
    fn default() -> Self {
        Self { word: "swordfish".into(), mask: "***".into() }
    }
}

impl Plugin for KeepOut {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        config.parse()
    }
}

impl Guard for KeepOut {
    fn guard(&self, request: &dyn Request) -> Verdict {
        self.mask_all(request)
    }
}

impl GuardResponse for KeepOut {
    fn guard_response(&self, _: &Head, _: &Meta, reply: &dyn Request) -> Verdict {
        self.mask_all(reply)
    }
}

impl Stream for KeepOut {
    type Guard = Watch;

    fn stream(&self, _: &Head) -> Watch {
        Watch { plugin: self.clone(), found: 0 }
    }
}

impl KeepOut {
    fn mask_all(&self, content: &dyn Request) -> Verdict {
        let (mut edits, mut findings) = (Vec::new(), Vec::new());
        for segment in content.segments() {
            // What cannot be checked does not pass.
            let Ok(text) = content.text(segment.index, 0, u32::MAX) else {
                return Verdict::block(Deny::new(500, "not_checked", "The text could not be checked."));
            };
            for place in self.places(&text) {
                let hit = hit(segment.index, place);
                edits.push(Edit::replace(&hit, &self.mask));
                findings.push(Finding::of(&hit, "word", Severity::High));
            }
        }
        Verdict::edit(edits).because(findings)
    }

    fn places(&self, text: &str) -> Vec<Range<usize>> {
        text.match_indices(&self.word).map(|(at, word)| at..at + word.len()).collect()
    }
}

/// One stream.
pub struct Watch {
    plugin: KeepOut,
    found: usize,
}

impl StreamGuard for Watch {
    fn push(&mut self, _: Lane, text: &str) -> StreamStep {
        let places = self.plugin.places(text);
        self.found += places.len();
        // What comes after the last one may be the beginning of the next: it stays back until more has come.
        let rest = places.last().map_or(0, |place| place.end);
        let hold = StreamStep::hold_start_of(&text[rest..], &[&self.plugin.word]).hold;
        let edits = places.into_iter().map(|place| TextEdit::replace(place, &self.plugin.mask)).collect();
        StreamStep { hold, ..StreamStep::edit(edits) }
    }

    fn finish(&mut self, _: &Usage) -> Closing {
        let found = (self.found > 0)
            .then(|| Finding { segment: None, ..Finding::of(&hit(0, 0..0), "word", Severity::High) });
        Closing { findings: found.into_iter().collect(), ..Closing::default() }
    }
}

/// A text is far below 4 GiB.
fn hit(segment: u32, place: Range<usize>) -> Hit {
    let offset = |at| u32::try_from(at).unwrap_or(u32::MAX);
    Hit { pattern: 0, segment, start: offset(place.start), end: offset(place.end) }
}

weir_sdk::export!(KeepOut: guard, guard_response, stream);

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::{self, FakeRequest};

    #[test]
    fn a_request_is_masked() {
        let request = FakeRequest::new().user("the word is swordfish");
        let verdict = KeepOut::default().guard(&request);
        assert_eq!(request.edited(&verdict), ["the word is ***"]);
    }

    #[test]
    fn a_stream_is_masked_wherever_it_is_cut() {
        let stream = || KeepOut::default().stream(&testing::head());
        assert_eq!(testing::split_everywhere(stream, "say swordfish, sword").text, "say ***, sword");
    }
}
