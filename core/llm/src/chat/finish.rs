//! Why an answer ended, in chat's words.

use crate::neutral::Finish;
use crate::neutral::label::{Ends, Label, ModelName};

/// How a choice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// As an answer.
    Well(Finish),
    /// The provider broke off: it has no answer, whatever came before.
    Failed,
}

/// Reads a `finish_reason`; the words beyond OpenAI's are those of providers that copy it.
pub(super) fn read(word: &str) -> Option<Ended> {
    let finish = match word {
        "" => return None,
        "error" | "insufficient_system_resource" | "network_error" => return Some(Ended::Failed),
        "length" | "max_tokens" | "max_output_tokens" => Finish::Length,
        "model_length" | "model_context_window_exceeded" => Finish::ContextWindow,
        "tool_calls" | "tool_call" | "function_call" | "tool_use" => Finish::ToolCalls,
        "content_filter" | "sensitive" | "safety" => Finish::Filter,
        "refusal" => Finish::Refusal,
        "stop_sequence" => Finish::StopSequence,
        // `stop`, `eos`, `end_turn` and what is unknown: the answer is there.
        _ => Finish::Stop,
    };
    Some(Ended::Well(finish))
}

/// The label of a reply of which the reasons of its choices are known, by index.
pub(super) fn label<'w>(model: ModelName, words: impl Iterator<Item = (u64, &'w str)>) -> Label {
    let mut ends = Ends::default();
    for (index, word) in words {
        if let (Ok(index), Some(Ended::Well(finish))) = (usize::try_from(index), read(word)) {
            ends.set(index, finish);
        }
    }
    Label { model, ends }
}

/// The reason as it counts beside what the answer holds: one that ends well with calls waits for their results, one
/// with a refusal is one.
pub(super) fn settled(finish: Finish, calls: bool, refusal: bool) -> Finish {
    match finish {
        Finish::Stop if calls => Finish::ToolCalls,
        Finish::Stop if refusal => Finish::Refusal,
        other => other,
    }
}

/// OpenAI's word. A refusal in words is told by its text; one without words only by the reason.
pub(super) const fn word(finish: Finish, refusal_text: bool) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence | Finish::Paused => "stop",
        Finish::ToolCalls => "tool_calls",
        Finish::Length | Finish::ContextWindow => "length",
        Finish::Refusal if refusal_text => "stop",
        Finish::Filter | Finish::Refusal => "content_filter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_providers_word_has_a_meaning() {
        for (word, finish) in [
            ("stop", Finish::Stop),
            ("eos", Finish::Stop),
            ("length", Finish::Length),
            ("model_length", Finish::ContextWindow),
            ("function_call", Finish::ToolCalls),
            ("content_filter", Finish::Filter),
        ] {
            assert_eq!(read(word), Some(Ended::Well(finish)), "{word}");
        }
        assert_eq!(read("error"), Some(Ended::Failed));
        assert_eq!(read(""), None);
    }

    #[test]
    fn case_10_a_call_ends_an_answer_as_tool_calls() {
        assert_eq!(settled(Finish::Stop, true, false), Finish::ToolCalls);
        assert_eq!(settled(Finish::Length, true, false), Finish::Length);
    }

    #[test]
    fn case_20_a_refusal_has_two_encodings() {
        assert_eq!((word(Finish::Refusal, true), word(Finish::Refusal, false)), ("stop", "content_filter"));
    }
}
