//! Google's `generateContent`.

use super::{Answer, Tool};
use crate::reply;
use serde_json::{Value, json};

pub(super) fn whole(answer: &Answer) -> Value {
    let mut parts: Vec<Value> = answer.thinks().iter().map(|thought| thinks(thought)).collect();
    if !answer.text.is_empty() {
        parts.push(json!({ "text": answer.said() }));
    }
    parts.extend(answer.tool.as_ref().map(calls));
    piece(answer, &parts, Some(answer.ended("STOP", "STOP")))
}

/// A call comes in one piece, as Google sends it.
pub(super) fn events(answer: &Answer) -> Vec<Vec<u8>> {
    let mut parts: Vec<Value> = answer.thought.iter().map(|thought| thinks(thought)).collect();
    parts.extend(answer.text.iter().map(|text| json!({ "text": text })));
    parts.extend(answer.tool.as_ref().map(calls));
    let mut pieces: Vec<Value> = parts.into_iter().map(|part| piece(answer, &[part], None)).collect();
    pieces.push(piece(answer, &[], Some(answer.ended("STOP", "STOP"))));
    pieces.iter().map(reply::event).collect()
}

fn thinks(text: &str) -> Value {
    json!({ "text": text, "thought": true })
}

fn calls(tool: &Tool) -> Value {
    json!({ "functionCall": { "name": tool.name, "args": tool.json() } })
}

fn piece(answer: &Answer, parts: &[Value], finish: Option<&str>) -> Value {
    let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "index": 0 });
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    json!({ "candidates": [candidate], "modelVersion": answer.model, "responseId": answer.id,
        "usageMetadata": { "promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 10, "totalTokenCount": 110 } })
}
