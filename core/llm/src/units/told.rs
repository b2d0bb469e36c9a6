//! What a reply says of usage, of what an image came to, and of its own failing.

use crate::api::Api;
use crate::fault::error_in;
use crate::json::{Json, JsonError, JsonErrorKind, Kind, Value};
use crate::neutral::Broken;
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
    ///
    /// # Errors
    /// [`Broken`]: it is no JSON, or holds an error.
    pub fn read(api: Api, body: &Bytes) -> Result<Self, Broken> {
        let json = match Json::parse_lenient(body.clone()) {
            Ok(json) => json,
            // A batch of embeddings may have more numbers than are read.
            Err(JsonError { kind: JsonErrorKind::TooManyValues, .. }) => return Ok(Self::default()),
            Err(error) => return Err(Broken::Unreadable(format!("the reply is not JSON: {error}"))),
        };
        match error_in(json.root()) {
            Some(error) => Err(Broken::Said(error)),
            None => Ok(Self::of(api, json.root())),
        }
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

/// The last events of streams.
const LAST: [&str; 5] = [
    "image_generation.completed",
    "image_edit.completed",
    "speech.audio.done",
    "transcript.text.done",
    // Mistral's.
    "transcription.done",
];
/// What an event has in it that says more than a piece of the reply.
const SIGNS: [&[u8]; 4] = [b"\"usage\"", b"\"error\"", b".completed\"", b".done\""];

/// Looks for usage, and for how it ends, in a reply that passes piece by piece: only event streams say any.
pub struct Tail {
    api: Api,
    events: Option<sse::Parser>,
    told: Told,
    ended: bool,
    failed: bool,
}

impl Tail {
    /// Before the first piece.
    #[must_use]
    pub fn new(api: Api, events: bool) -> Self {
        // An image in base64 is one event.
        let parser = events.then(|| sse::Parser::new(32 << 20));
        Self { api, events: parser, told: Told::default(), ended: !events, failed: false }
    }

    /// Looks at a piece.
    pub fn push(&mut self, chunk: &[u8]) {
        let Some(mut parser) = self.events.take() else { return };
        if parser.push(chunk, &mut |event| self.note(event)).is_ok() {
            self.events = Some(parser);
        }
    }

    fn note(&mut self, event: sse::Event<'_>) {
        self.failed |= event.name == "error";
        // Some end their streams as those of chat end.
        self.ended |= LAST.contains(&event.name) || event.data == b"[DONE]";
        // Pictures are long, and most events are nothing else.
        if SIGNS.iter().all(|sign| memchr::memmem::find(event.data, sign).is_none()) {
            return;
        }
        let Ok(json) = Json::parse_lenient(Bytes::copy_from_slice(event.data)) else { return };
        let root = json.root();
        let kind = root.get("type").and_then(|kind| kind.as_str()).unwrap_or_default();
        self.failed |= kind == "error" || error_in(root).is_some();
        self.ended |= LAST.contains(&&*kind);
        let told = Told::of(self.api, root);
        if told.usage.is_some() {
            self.told = told;
        }
    }

    /// What the reply said.
    #[must_use]
    pub const fn told(&self) -> &Told {
        &self.told
    }

    /// Whether it is all that its provider had to say, if nothing more comes: no error was among it, and a stream had its
    /// last event.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.ended && !self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(api: Api, text: &'static str) -> Option<Usage> {
        Told::read(api, &Bytes::from_static(text.as_bytes())).ok()?.usage
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
    fn what_says_that_it_failed_is_not_read_as_a_reply() {
        let read = |text: &'static str| Told::read(Api::Embeddings, &Bytes::from_static(text.as_bytes()));
        for bad in ["", "{nonsense", "<html>", r#"{"data":["#] {
            assert!(matches!(read(bad), Err(Broken::Unreadable(_))), "{bad}");
        }
        assert!(matches!(read(r#"{"error":{"message":"no"}}"#), Err(Broken::Said(_))));
        assert!(read(r#"{"data":[],"error":null}"#).is_ok());
        let many = format!("[{}0]", "0,".repeat(crate::json::MAX_VALUES));
        assert_eq!(Told::read(Api::Embeddings, &many.into()), Ok(Told::default()), "it is only long");
    }

    #[test]
    fn a_stream_is_whole_with_its_last_event_and_without_an_error() {
        let whole = |events: bool, text: &str| {
            let mut tail = Tail::new(Api::Speech, events);
            text.as_bytes().chunks(7).for_each(|chunk| tail.push(chunk));
            tail.is_whole()
        };
        let (last, named) =
            ("data: {\"type\":\"speech.audio.done\"}\n\n", "event: speech.audio.done\ndata: {}\n\n");
        assert!(
            whole(true, "event: transcription.done\ndata: {\"type\":\"transcription.done\"}\n\n"),
            "Mistral"
        );
        assert!(whole(true, last) && whole(true, named) && whole(true, "data: [DONE]\n\n"));
        assert!(!whole(true, "") && !whole(true, "data: {\"type\":\"speech.audio.delta\"}\n\n"));
        assert!(!whole(true, last.trim_end()), "it was cut");
        for error in
            ["data: {\"type\":\"error\"}", "data: {\"error\":{\"message\":\"no\"}}", "event: error\ndata: no"]
        {
            assert!(!whole(true, &format!("{error}\n\n{last}")), "{error}");
        }
        assert!(whole(false, "ID3"), "sound ends where it ends");
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
