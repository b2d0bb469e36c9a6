//! Streams, and replies in another API than the upstream's: they need not be its bytes, so they are compared by what they
//! say.

use memchr::memmem;
use serde_json::{Value, json};

use crate::failure::{Context, Failure, Result};
use crate::mock::{CACHED_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS};
use crate::prompt::{Api, STREAM_CHUNKS};

/// Where a reply says something, as a JSON pointer, and what it must say there.
type Facts = Vec<(&'static str, Value)>;

/// A whole reply of the right API, with this text and the upstream's tokens.
pub(super) fn whole(api: Api, body: &[u8], text: &str) -> Result<()> {
    let reply: Value = serde_json::from_slice(body).context("a reply that is no JSON")?;
    let mut facts = usage(api);
    facts.extend(match api {
        Api::Chat => vec![
            ("/object", json!("chat.completion")),
            ("/choices/0/message/content", json!(text)),
            ("/choices/0/finish_reason", json!("stop")),
        ],
        Api::Responses => vec![
            ("/object", json!("response")),
            ("/output/0/content/0/text", json!(text)),
            ("/status", json!("completed")),
        ],
        Api::Messages => vec![
            ("/type", json!("message")),
            ("/content/0/text", json!(text)),
            ("/stop_reason", json!("end_turn")),
        ],
    });
    says(&reply, &facts)
}

/// A stream with as many pieces of text as the upstream sent, its end, and the upstream's tokens.
pub(super) fn stream(api: Api, body: &[u8], text: &str) -> Result<()> {
    let piece: &[u8] = match api {
        Api::Chat => br#""delta":{"content""#,
        Api::Responses => br#""type":"response.output_text.delta""#,
        Api::Messages => br#""type":"text_delta""#,
    };
    if memmem::find_iter(body, piece).count() != STREAM_CHUNKS {
        return Err(Failure::new("a stream with the wrong number of chunks"));
    }
    let mut last = last_events(body);
    let mut next = || last.next().ok_or_else(|| Failure::new("a stream without its end"));
    match api {
        Api::Chat if next()? == b"data: [DONE]" => says(&event(next()?)?, &usage(api)),
        Api::Chat => Err(Failure::new("a stream without its end")),
        Api::Responses => {
            let completed = event(next()?)?;
            says(&completed, &[("/type", json!("response.completed"))])?;
            whole(api, completed["response"].to_string().as_bytes(), text)
        }
        Api::Messages => {
            says(&event(next()?)?, &[("/type", json!("message_stop"))])?;
            let mut facts = usage(api);
            facts.push(("/delta/stop_reason", json!("end_turn")));
            says(&event(next()?)?, &facts)
        }
    }
}

/// Every reply of the upstream's reports the same tokens; only Anthropic's input is without what was cached.
fn usage(api: Api) -> Facts {
    match api {
        Api::Chat => vec![
            ("/usage/prompt_tokens", json!(INPUT_TOKENS)),
            ("/usage/prompt_tokens_details/cached_tokens", json!(CACHED_TOKENS)),
            ("/usage/completion_tokens", json!(OUTPUT_TOKENS)),
        ],
        Api::Responses => vec![
            ("/usage/input_tokens", json!(INPUT_TOKENS)),
            ("/usage/input_tokens_details/cached_tokens", json!(CACHED_TOKENS)),
            ("/usage/output_tokens", json!(OUTPUT_TOKENS)),
        ],
        Api::Messages => vec![
            ("/usage/input_tokens", json!(INPUT_TOKENS - CACHED_TOKENS)),
            ("/usage/cache_read_input_tokens", json!(CACHED_TOKENS)),
            ("/usage/output_tokens", json!(OUTPUT_TOKENS)),
        ],
    }
}

fn says(reply: &Value, facts: &[(&'static str, Value)]) -> Result<()> {
    match facts.iter().find(|(pointer, due)| reply.pointer(pointer) != Some(due)) {
        None => Ok(()),
        Some((pointer, _)) => Err(Failure::new(format!("a reply whose {pointer} is not what was due"))),
    }
}

/// The events of a stream that ends where an event does, the last one first.
fn last_events(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = body.strip_suffix(b"\n\n").unwrap_or(b"");
    let mut rest = (!whole.is_empty()).then_some(whole);
    std::iter::from_fn(move || {
        let events = rest?;
        let Some(before) = memmem::rfind(events, b"\n\n") else { return rest.take() };
        rest = Some(&events[..before]);
        Some(&events[before + 2..])
    })
}

fn event(lines: &[u8]) -> Result<Value> {
    let mut data = lines.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data: "));
    let data = data.next().ok_or_else(|| Failure::new("an event without data"))?;
    serde_json::from_slice(data).context("an event that is no JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Value {
        json!({
            "type": "message",
            "content": [{ "type": "text", "text": "re bench" }],
            "stop_reason": "end_turn",
            "usage": { "input_tokens": 192, "cache_read_input_tokens": 64, "output_tokens": 180 },
        })
    }

    fn response() -> Value {
        json!({
            "object": "response",
            "status": "completed",
            "output": [{ "content": [{ "type": "output_text", "text": "re bench" }] }],
            "usage": {
                "input_tokens": 256, "input_tokens_details": { "cached_tokens": 64 }, "output_tokens": 180,
            },
        })
    }

    fn frames(events: &[Value]) -> Vec<u8> {
        let frame = |event: &Value| {
            format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
        };
        events.iter().map(frame).collect::<String>().into_bytes()
    }

    #[test]
    fn whole_replies_are_of_their_api_with_text_and_tokens() {
        for (api, reply) in [(Api::Messages, message()), (Api::Responses, response())] {
            let bytes = reply.to_string().into_bytes();
            assert!(whole(api, &bytes, "re bench").is_ok());
            assert!(whole(api, &bytes, "re other").is_err(), "another text");
            assert!(whole(api, &bytes[..bytes.len() - 1], "re bench").is_err(), "cut");
            assert!(whole(Api::Chat, &bytes, "re bench").is_err(), "another API");
            let mut dear = reply.clone();
            dear["usage"]["output_tokens"] = json!(181);
            assert!(whole(api, dear.to_string().as_bytes(), "re bench").is_err(), "other tokens");
        }
    }

    #[test]
    fn streams_have_every_piece_and_end_with_the_tokens() {
        let delta = |piece: Value| vec![piece; STREAM_CHUNKS];
        let mut messages = delta(json!({ "delta": { "type": "text_delta", "text": "a" } }));
        messages.push(json!({
            "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": message()["usage"],
        }));
        messages.push(json!({ "type": "message_stop" }));
        let mut responses = delta(json!({ "type": "response.output_text.delta", "delta": "a" }));
        responses.push(json!({ "type": "response.completed", "response": response() }));
        for (api, events) in [(Api::Messages, messages), (Api::Responses, responses)] {
            let bytes = frames(&events);
            assert!(stream(api, &bytes, "re bench").is_ok());
            assert!(stream(api, &frames(&events[1..]), "re bench").is_err(), "a piece is missing");
            assert!(stream(api, &frames(&events[..events.len() - 1]), "re bench").is_err(), "no end");
            assert!(stream(api, &bytes[..bytes.len() - 1], "re bench").is_err(), "cut");
        }
    }
}
