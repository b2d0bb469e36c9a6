//! Chat completions and streams as a provider writes them.

use serde_json::{Value, json};

/// A chat completion that says `text` and counts its tokens.
#[must_use]
pub fn completion(text: &str, input: u64, cached: u64, output: u64) -> Value {
    let mut reply = uncounted(text);
    reply["usage"] = usage(input, cached, output);
    reply
}

/// A chat completion without usage.
#[must_use]
pub fn uncounted(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m1",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
    })
}

/// A `usage` object.
#[must_use]
pub fn usage(input: u64, cached: u64, output: u64) -> Value {
    json!({
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": { "cached_tokens": cached },
    })
}

/// One event.
#[must_use]
pub fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

/// The event of one delta.
#[must_use]
pub fn delta(text: &str) -> Vec<u8> {
    event(&chunk(json!([{ "index": 0, "delta": { "content": text }, "finish_reason": null }])))
}

/// The event that finishes the choice.
#[must_use]
pub fn finish() -> Vec<u8> {
    event(&chunk(json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }])))
}

/// The event that carries usage alone.
#[must_use]
pub fn usage_event(input: u64, cached: u64, output: u64) -> Vec<u8> {
    let mut chunk = chunk(json!([]));
    chunk["usage"] = usage(input, cached, output);
    event(&chunk)
}

/// The last event.
#[must_use]
pub fn done() -> Vec<u8> {
    b"data: [DONE]\n\n".to_vec()
}

/// The events of a whole stream of these deltas: 100 tokens in, of which 40 cached, and 10 out.
#[must_use]
pub fn events(deltas: &[&str]) -> Vec<Vec<u8>> {
    let mut events: Vec<_> = deltas.iter().map(|text| delta(text)).collect();
    events.extend([finish(), usage_event(100, 40, 10), done()]);
    events
}

/// An error object as OpenAI writes it.
#[must_use]
pub fn error(kind: &str, code: &str, message: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
}

fn chunk(choices: Value) -> Value {
    json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m1", "choices": choices })
}
