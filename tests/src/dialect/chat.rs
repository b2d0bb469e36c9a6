//! OpenAI's chat completions.

use super::{Answer, Tool};
use crate::reply;
use serde_json::{Value, json};

pub(super) fn whole(answer: &Answer) -> Value {
    let mut whole = reply::completion(&answer.said(), 100, 40, 10);
    whole["id"] = json!(answer.id);
    whole["model"] = json!(answer.model);
    let choice = &mut whole["choices"][0];
    choice["finish_reason"] = json!(answer.ended("stop", "tool_calls"));
    if let Some(thought) = answer.thinks() {
        choice["message"]["reasoning_content"] = json!(thought);
    }
    if let Some(Tool { name, arguments }) = &answer.tool {
        choice["message"]["tool_calls"] = json!([{ "id": "call_1", "type": "function",
            "function": { "name": name, "arguments": arguments.concat() } }]);
    }
    whole
}

pub(super) fn events(answer: &Answer) -> Vec<Vec<u8>> {
    let chunk = |delta: Value, finish: Value| {
        reply::event(
            &json!({ "id": answer.id, "object": "chat.completion.chunk", "created": 1, "model": answer.model,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] }),
        )
    };
    let delta = |delta: Value| chunk(delta, Value::Null);
    let mut events = Vec::new();
    events.extend(answer.thought.iter().map(|piece| delta(json!({ "reasoning_content": piece }))));
    events.extend(answer.text.iter().map(|piece| delta(json!({ "content": piece }))));
    if let Some(Tool { name, arguments }) = &answer.tool {
        let call = json!([{ "index": 0, "id": "call_1", "type": "function", "function": { "name": name, "arguments": "" } }]);
        events.push(delta(json!({ "tool_calls": call })));
        let more = |piece: &String| json!([{ "index": 0, "function": { "arguments": piece } }]);
        events.extend(arguments.iter().map(|piece| delta(json!({ "tool_calls": more(piece) }))));
    }
    events.push(chunk(json!({}), json!(answer.ended("stop", "tool_calls"))));
    events.extend([reply::usage_event(100, 40, 10), reply::done()]);
    events
}
