//! Anthropic's Messages.

use super::{Answer, Tool, named};
use serde_json::{Value, json};

pub(super) fn whole(answer: &Answer) -> Value {
    let content: Vec<Value> = blocks(answer).into_iter().map(|(block, ..)| block).collect();
    let mut whole = shell(answer);
    whole["content"] = json!(content);
    whole["stop_reason"] = json!(answer.ended("end_turn", "tool_use"));
    whole["usage"]["output_tokens"] = json!(10);
    whole
}

fn shell(answer: &Answer) -> Value {
    json!({ "id": answer.id, "type": "message", "role": "assistant", "model": answer.model, "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": { "input_tokens": 60, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 0, "output_tokens": 1 } })
}

/// A whole block, the same before anything is in it, and its deltas.
type Block = (Value, Value, Vec<Value>);

fn blocks(answer: &Answer) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let deltas = |kind: &str, field: &str, pieces: &[String]| -> Vec<Value> {
        pieces.iter().map(|piece| json!({ "type": kind, field: piece })).collect()
    };
    if let Some(thought) = answer.thinks() {
        let mut pieces = deltas("thinking_delta", "thinking", &answer.thought);
        pieces.push(json!({ "type": "signature_delta", "signature": "c2lnbmVk" }));
        blocks.push((
            json!({ "type": "thinking", "thinking": thought, "signature": "c2lnbmVk" }),
            json!({ "type": "thinking", "thinking": "", "signature": "" }),
            pieces,
        ));
    }
    if !answer.text.is_empty() {
        blocks.push((
            json!({ "type": "text", "text": answer.said() }),
            json!({ "type": "text", "text": "" }),
            deltas("text_delta", "text", &answer.text),
        ));
    }
    if let Some(tool @ Tool { name, arguments }) = &answer.tool {
        let block =
            |input: Value| json!({ "type": "tool_use", "id": "toolu_1", "name": name, "input": input });
        let pieces = deltas("input_json_delta", "partial_json", arguments);
        blocks.push((block(tool.json()), block(json!({})), pieces));
    }
    blocks
}

pub(super) fn events(answer: &Answer) -> Vec<Vec<u8>> {
    let mut all = vec![json!({ "type": "message_start", "message": shell(answer) })];
    for (index, (_, empty, deltas)) in blocks(answer).into_iter().enumerate() {
        all.push(json!({ "type": "content_block_start", "index": index, "content_block": empty }));
        let delta = |delta| json!({ "type": "content_block_delta", "index": index, "delta": delta });
        all.extend(deltas.into_iter().map(delta));
        all.push(json!({ "type": "content_block_stop", "index": index }));
    }
    let stop = json!({ "stop_reason": answer.ended("end_turn", "tool_use"), "stop_sequence": null });
    all.push(json!({ "type": "message_delta", "delta": stop, "usage": { "output_tokens": 10 } }));
    all.push(json!({ "type": "message_stop" }));
    all.iter().map(|event| named(event["type"].as_str().unwrap_or_default(), event)).collect()
}
