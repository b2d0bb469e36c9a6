//! What replies that are no conversation say of usage: embeddings, images, transcriptions, scores.

use crate::json::{Json, Value};
use crate::sse;
use crate::usage::Usage;
use bytes::Bytes;

/// The `usage` of a JSON reply; `None` if it does not say any in tokens.
#[must_use]
pub fn usage(body: &Bytes) -> Option<Usage> {
    let json = Json::parse_lenient(body.clone()).ok()?;
    of(json.root())
}

/// Embeddings say `prompt_tokens`; images and transcriptions `input_tokens` and `output_tokens`, with details.
fn of(root: Value<'_>) -> Option<Usage> {
    let usage = root.get("usage")?;
    let number = |value: Option<Value<'_>>| value.and_then(|value| value.as_u64());
    if let Some(prompt) = number(usage.get("prompt_tokens")) {
        let output = number(usage.get("completion_tokens")).unwrap_or(0);
        return Some(Usage { input: prompt, output, ..Usage::default() });
    }
    let input = number(usage.get("input_tokens"))?;
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

/// Looks for usage in a reply that passes piece by piece: only event streams say any.
pub struct Tail {
    events: Option<sse::Parser>,
    usage: Option<Usage>,
}

impl Tail {
    /// Before the first piece.
    #[must_use]
    pub fn new(events: bool) -> Self {
        // An image in base64 is one event.
        Self { events: events.then(|| sse::Parser::new(32 << 20)), usage: None }
    }

    /// Looks at a piece.
    pub fn push(&mut self, chunk: &[u8]) {
        let Self { events, usage } = self;
        let Some(parser) = events else { return };
        let read = parser.push(chunk, &mut |event| {
            // Pictures are long, and what says usage is not.
            if memchr::memmem::find(event.data, b"\"usage\"").is_some() {
                *usage = self::usage(&Bytes::copy_from_slice(event.data)).or(*usage);
            }
        });
        if read.is_err() {
            *events = None;
        }
    }

    /// What was used, if the reply said so.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_is_read_into_disjoint_classes() {
        let read = |text: &'static str| usage(&Bytes::from_static(text.as_bytes()));
        assert_eq!(
            read(r#"{"data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}"#),
            Some(Usage { input: 8, ..Usage::default() })
        );
        assert_eq!(
            read(
                r#"{"usage":{"input_tokens":50,"output_tokens":100,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#
            ),
            Some(Usage { input: 10, image: 40, output: 100, ..Usage::default() })
        );
        assert_eq!(read(r#"{"usage":{"type":"duration","seconds":3}}"#), None);
        let mut tail = Tail::new(true);
        tail.push(b"event: x\ndata: {\"type\":\"transcript.text.done\",\"usage\":{\"input_tokens\":3,\"outp");
        tail.push(b"ut_tokens\":4}}\n\n");
        assert_eq!(tail.usage(), Some(Usage { input: 3, output: 4, ..Usage::default() }));
    }
}
