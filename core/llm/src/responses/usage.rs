//! Tokens. On the wire `input_tokens` includes what a cache held and what was written to it, `output_tokens` includes
//! reasoning.

use crate::json::{Kind, Value, Writer};
use crate::usage::Usage;

/// Reads a `usage` object into disjoint classes. `None` if it does not say both how much went in and how much came out:
/// unknown is not zero, an explicit zero is.
pub(super) fn read(usage: Value<'_>) -> Option<Usage> {
    if usage.kind() != Kind::Object {
        return None;
    }
    let number =
        |object: Option<Value<'_>>, key: &str| object.and_then(|o| o.get(key)).and_then(|n| n.as_u64());
    let top = Some(usage);
    let total = number(top, "total_tokens");
    let (input, output) = match (number(top, "input_tokens"), number(top, "output_tokens")) {
        (Some(input), Some(output)) => (input, output),
        (Some(input), None) => (input, total?.saturating_sub(input)),
        (None, Some(output)) => (total?.saturating_sub(output), output),
        (None, None) => return None,
    };
    let details = usage.get("input_tokens_details");
    let terms = details.and_then(|details| details.get("cache_write_tokens_details"));
    let mut split = Usage::default();
    let mut rest = input;
    split.cached_input = take(&mut rest, number(details, "cached_tokens"));
    let mut written = take(&mut rest, number(details, "cache_write_tokens"));
    // Two terms exist, half an hour and twelve; the longer one has the dearer class.
    split.cache_write_1h = take(&mut written, number(terms, "ttl_12h_tokens"));
    split.cache_write_5m = written;
    split.input_audio = take(&mut rest, number(details, "audio_tokens"));
    split.image = take(&mut rest, number(details, "image_tokens"));
    split.input = rest;
    let details = usage.get("output_tokens_details");
    let mut rest = output;
    split.reasoning = take(&mut rest, number(details, "reasoning_tokens"));
    split.output_audio = take(&mut rest, number(details, "audio_tokens"));
    split.output = rest;
    Some(split)
}

/// Writes the member `usage`: every field that the SDK's type demands, or `null` if nobody counted.
pub(super) fn write(json: &mut Writer, usage: Option<&Usage>) {
    json.key("usage");
    let Some(usage) = usage else {
        json.null();
        return;
    };
    let (input, output) = (usage.total_input(), usage.total_output());
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    json.begin_object().key("input_tokens").number(input).key("input_tokens_details").begin_object();
    json.key("cached_tokens").number(usage.cached_input).key("cache_write_tokens").number(written);
    json.end_object().key("output_tokens").number(output).key("output_tokens_details").begin_object();
    json.key("reasoning_tokens").number(usage.reasoning).end_object();
    json.key("total_tokens").number(input.saturating_add(output)).end_object();
}

/// Moves a part out of the rest; never more than there is.
fn take(rest: &mut u64, part: Option<u64>) -> u64 {
    let part = part.unwrap_or(0).min(*rest);
    *rest -= part;
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    fn of(json: &'static str) -> Option<Usage> {
        read(Json::parse(json.into()).unwrap().root())
    }

    #[test]
    fn classes_are_disjoint_and_come_back() {
        let usage =
            of(r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":30},
            "output_tokens":50,"output_tokens_details":{"reasoning_tokens":20},"total_tokens":150}"#)
            .unwrap();
        let want = Usage {
            input: 10,
            cached_input: 60,
            cache_write_5m: 30,
            output: 30,
            reasoning: 20,
            ..Usage::default()
        };
        assert_eq!(usage, want);
        let mut json = Writer::new();
        json.begin_object();
        write(&mut json, Some(&usage));
        let text = json.end_object().clone().into_text();
        let back = Json::parse(text.into()).unwrap();
        assert_eq!(read(back.root().get("usage").unwrap()), Some(want));
    }

    #[test]
    fn unknown_is_not_zero() {
        assert_eq!(of("null"), None);
        assert_eq!(of(r#"{"total_tokens":3}"#), None);
        assert_eq!(of(r#"{"input_tokens":1,"total_tokens":3}"#).unwrap().output, 2);
        assert_eq!(of(r#"{"input_tokens":0,"output_tokens":0}"#), Some(Usage::default()));
    }
}
