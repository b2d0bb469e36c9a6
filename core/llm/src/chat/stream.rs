//! What a stream's chunks say of usage, ending and errors, while their bytes pass through.

use super::finish::label;
use super::skim::skim;
use super::tally::{content_bytes, usage_of};
use crate::fault::{UpstreamError, error_in};
use crate::json::{Kind, Rules, Tape, Value};
use crate::neutral::label::{Label, ModelName};
use crate::usage::{ServiceTier, Usage};

/// Reads the data of a stream's events one by one.
#[derive(Debug, Clone, Default)]
pub struct StreamScan {
    usage: Option<Usage>,
    /// By choice index; bounded by [`MAX_CHOICES`].
    finish_reasons: Vec<(u64, String)>,
    /// As the first chunk that was parsed names it.
    model: ModelName,
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

    /// Reads the data of one event. Most chunks carry text and nothing else: but for the first, which names the model, they
    /// are not parsed, only skimmed, and one that is broken where the skim does not look counts as [`Chunk::Delta`].
    pub fn feed(&mut self, data: &[u8]) -> Chunk {
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Chunk::Done;
        }
        self.chunks += 1;
        if self.chunks > 1
            && let Some(content) = skim(data)
        {
            self.content_bytes += content;
            return Chunk::Delta;
        }
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
        if self.model.is_empty()
            && let Some(model) = root.get("model").and_then(|model| model.as_str())
        {
            self.model = ModelName::of(&model);
        }
        let usage =
            root.get("usage").and_then(usage_of).map(|usage| Usage { tier: ServiceTier::of(root), ..usage });
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

    /// Who writes it, once a chunk has come, and why its choices ended.
    #[must_use]
    pub fn label(&self) -> Label {
        label(self.model, self.finish_reasons.iter().map(|(index, word)| (*index, word.as_str())))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn text() -> impl Strategy<Value = String> {
        let marker = prop::sample::select(vec![
            "usage",
            "error",
            "\"usage\":{}",
            "\"error\":1",
            "\"delta\":{",
            "finish_reason",
            "\\",
            "\\u00",
        ]);
        prop_oneof![any::<String>(), marker.prop_map(str::to_owned)]
    }

    fn chunk() -> impl Strategy<Value = Value> {
        let usage = prop_oneof![
            3 => Just(Value::Null),
            1 => (0u64..9, 0u64..9).prop_map(|(p, c)| json!({"prompt_tokens": p, "completion_tokens": c})),
        ];
        let finish = prop_oneof![3 => Just(Value::Null), 1 => Just(json!("stop"))];
        let delta = prop_oneof![
            4 => (prop::sample::select(vec!["content", "refusal", "reasoning", "role", "usage", "error"]), text())
                .prop_map(|(key, text)| json!({key: text})),
            1 => Just(json!({})),
            1 => Just(json!({"role": "assistant", "content": null})),
            1 => text().prop_map(|text| json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})),
            1 => text().prop_map(|text| json!({"content": [{"type": "text", "text": text}]})),
        ];
        let choice = (delta, finish, 0u64..3).prop_map(
            |(delta, finish, index)| json!({"index": index, "delta": delta, "finish_reason": finish}),
        );
        let error = prop_oneof![6 => Just(None), 1 => Just(Some(Value::Null)), 1 => Just(Some(json!({"message": "m"})))];
        (prop::collection::vec(choice, 0..3), prop::option::of(usage), error, text()).prop_map(
            |(choices, usage, error, id)| {
                let mut chunk = json!({"id": id, "choices": choices});
                for (key, value) in [("usage", usage), ("error", error)] {
                    if let Some(value) = value {
                        chunk[key] = value;
                    }
                }
                chunk
            },
        )
    }

    /// The same document with every non-ASCII character, and some keys, written as escapes.
    fn escaped(text: &str) -> String {
        let ascii = text.chars().map(|c| match c {
            c if c.is_ascii() => c.to_string(),
            c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        });
        ascii
            .collect::<String>()
            .replace("\"usage\":", "\"us\\u0061ge\":")
            .replace("\"error\":", "\"erro\\u0072\":")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn skimming_sees_what_parsing_sees(chunk in chunk(), style in 0..3u8) {
            let text = match style {
                0 => chunk.to_string(),
                1 => serde_json::to_string_pretty(&chunk).unwrap(),
                _ => escaped(&chunk.to_string()),
            };
            let after = |chunks| StreamScan { chunks, ..StreamScan::new() };
            let (mut quick, mut thorough) = (after(1), after(2));
            prop_assert_eq!(quick.feed(text.as_bytes()), thorough.feed_parsed(text.as_bytes()), "{}", text);
            prop_assert_eq!(format!("{quick:?}"), format!("{thorough:?}"), "{}", text);
        }
    }

    #[test]
    fn the_commonest_chunks_are_only_skimmed() {
        for data in [
            r#"{"id":"a","choices":[{"index":0,"delta":{"content":" weir"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
            r#"{"id": "a", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "\n\"x\""}, "finish_reason": null}]}"#,
            r#"{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"\u6c34","refusal":null}}]}"#,
        ] {
            assert!(skim(data.as_bytes()).is_some(), "{data}");
        }
    }
}
