//! What a reply says of usage, and of what an image came to.

use crate::api::Api;
use crate::json::{Json, Kind, Value};
use crate::sse;
use crate::usage::Usage;
use bytes::Bytes;

/// What a reply says that a bill needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// What the provider counted; `None` if it does not say.
    pub usage: Option<Usage>,
    /// How many images there are.
    pub images: Option<u64>,
    /// Of which size they are, where `auto` was asked for.
    pub size: Option<String>,
    /// Of which quality.
    pub quality: Option<String>,
}

impl Told {
    /// Reads a JSON reply of an API.
    #[must_use]
    pub fn read(api: Api, body: &Bytes) -> Self {
        Json::parse_lenient(body.clone()).map_or_else(|_| Self::default(), |json| Self::of(api, json.root()))
    }

    fn of(api: Api, root: Value<'_>) -> Self {
        let mut usage = root.get("usage").and_then(tokens_or_seconds);
        match api {
            Api::Rerank => {
                let units = root.pointer("/meta/billed_units/search_units").and_then(begun);
                usage = units.map(|search_units| Usage { search_units, ..Usage::default() }).or(usage);
            }
            // Verbose transcriptions say how long they are, whoever made them.
            Api::Transcription => {
                let length = || root.get("duration").and_then(begun).map(seconds);
                usage = usage.or_else(length);
            }
            Api::Images => return Self { usage, ..images(root) },
            _ => {}
        }
        Self { usage, ..Self::default() }
    }
}

fn images(root: Value<'_>) -> Told {
    let data = root.get("data").filter(|data| data.kind() == Kind::Array);
    let word = |key: &str| root.get(key).and_then(|value| value.as_str()).map(std::borrow::Cow::into_owned);
    Told {
        usage: None,
        images: data.map(|data| data.elements().count() as u64),
        size: word("size").filter(|size| size != "auto"),
        quality: word("quality").filter(|quality| quality != "auto"),
    }
}

/// Embeddings say `prompt_tokens`; images and transcriptions `input_tokens` and `output_tokens`, with details, or
/// `seconds`; reranking by tokens only says their total.
fn tokens_or_seconds(usage: Value<'_>) -> Option<Usage> {
    let number = |value: Option<Value<'_>>| value.and_then(|value| value.as_u64());
    if let Some(prompt) = number(usage.get("prompt_tokens")) {
        let output = number(usage.get("completion_tokens")).unwrap_or(0);
        return Some(Usage { input: prompt, output, ..Usage::default() });
    }
    let Some(input) = number(usage.get("input_tokens")) else {
        let total = || number(usage.get("total_tokens")).map(|input| Usage { input, ..Usage::default() });
        return usage.get("seconds").and_then(begun).map(seconds).or_else(total);
    };
    let detail =
        |of: &str, key: &str| number(usage.get(of).and_then(|details| details.get(key))).unwrap_or(0);
    let image = detail("input_tokens_details", "image_tokens").min(input);
    let audio = detail("input_tokens_details", "audio_tokens").min(input - image);
    Some(Usage {
        input: input - image - audio,
        image,
        input_audio: audio,
        output: number(usage.get("output_tokens")).unwrap_or(0),
        ..Usage::default()
    })
}

fn seconds(seconds: u64) -> Usage {
    Usage { seconds, ..Usage::default() }
}

/// A count that may be written with decimals, or as a string: what is begun counts whole.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is positive and a cast saturates"
)]
fn begun(value: Value<'_>) -> Option<u64> {
    let text = value.as_str();
    let number = text.map_or_else(|| value.as_f64(), |text| text.parse().ok());
    number.filter(|number| number.is_finite() && *number >= 0.0).map(|number| number.ceil() as u64)
}

/// Looks for usage in a reply that passes piece by piece: only event streams say any.
pub struct Tail {
    api: Api,
    events: Option<sse::Parser>,
    told: Told,
}

impl Tail {
    /// Before the first piece.
    #[must_use]
    pub fn new(api: Api, events: bool) -> Self {
        // An image in base64 is one event.
        Self { api, events: events.then(|| sse::Parser::new(32 << 20)), told: Told::default() }
    }

    /// Looks at a piece.
    pub fn push(&mut self, chunk: &[u8]) {
        let Self { api, events, told } = self;
        let Some(parser) = events else { return };
        let read = parser.push(chunk, &mut |event| {
            // Pictures are long, and what says usage is not.
            if memchr::memmem::find(event.data, b"\"usage\"").is_some() {
                let now = Told::read(*api, &Bytes::copy_from_slice(event.data));
                if now.usage.is_some() {
                    *told = now;
                }
            }
        });
        if read.is_err() {
            *events = None;
        }
    }

    /// What the reply said.
    #[must_use]
    pub const fn told(&self) -> &Told {
        &self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(api: Api, text: &'static str) -> Option<Usage> {
        Told::read(api, &Bytes::from_static(text.as_bytes())).usage
    }

    #[test]
    fn each_shape_is_read_into_disjoint_classes() {
        assert_eq!(
            read(Api::Embeddings, r#"{"data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}"#),
            Some(Usage { input: 8, ..Usage::default() })
        );
        assert_eq!(
            read(
                Api::Images,
                r#"{"usage":{"input_tokens":50,"output_tokens":100,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#
            ),
            Some(Usage { input: 10, image: 40, output: 100, ..Usage::default() })
        );
        let mut tail = Tail::new(Api::Transcription, true);
        tail.push(b"event: x\ndata: {\"type\":\"transcript.text.done\",\"usage\":{\"input_tokens\":3,\"outp");
        tail.push(b"ut_tokens\":4}}\n\n");
        assert_eq!(tail.told().usage, Some(Usage { input: 3, output: 4, ..Usage::default() }));
    }

    #[test]
    fn a_second_or_a_search_unit_that_is_begun_counts_whole() {
        let heard = |text| read(Api::Transcription, text).map(|usage| usage.seconds);
        assert_eq!(heard(r#"{"usage":{"type":"duration","seconds":3}}"#), Some(3));
        assert_eq!(heard(r#"{"usage":{"type":"duration","seconds":3.01},"duration":9}"#), Some(4));
        assert_eq!(heard(r#"{"duration":"8.47","text":"x"}"#), Some(9));
        for odd in [r#"{"duration":-1}"#, r#"{"duration":"nan"}"#, r#"{"duration":[]}"#, "{}", "no JSON"] {
            assert_eq!(heard(odd), None, "{odd}");
        }
        let ranked =
            r#"{"results":[],"meta":{"billed_units":{"search_units":1.0}},"usage":{"total_tokens":9}}"#;
        assert_eq!(read(Api::Rerank, ranked), Some(Usage { search_units: 1, ..Usage::default() }));
        let tokens = r#"{"usage":{"total_tokens":9}}"#;
        assert_eq!(read(Api::Rerank, tokens), Some(Usage { input: 9, ..Usage::default() }));
    }
}
