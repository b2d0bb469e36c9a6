//! OpenAI's Responses.

use super::{Answer, Tool, named};
use serde_json::{Value, json};

pub(super) fn whole(answer: &Answer) -> Value {
    let mut whole = shell(answer, "completed");
    whole["output"] = items(answer).into_iter().map(|(item, _)| item).collect();
    whole["usage"] = json!({ "input_tokens": 100, "input_tokens_details": { "cached_tokens": 40 },
        "output_tokens": 10, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 110 });
    if let Some(finish) = &answer.finish {
        whole["status"] = json!("incomplete");
        whole["incomplete_details"] = json!({ "reason": finish });
    }
    whole
}

fn shell(answer: &Answer, status: &str) -> Value {
    json!({ "id": answer.id, "object": "response", "created_at": 1, "status": status, "model": answer.model,
        "error": null, "incomplete_details": null, "instructions": answer.instructions, "metadata": { "note": answer.id },
        "output": [], "usage": null })
}

/// The name of the events that bring an item's pieces, and the pieces.
type Pieces<'a> = (&'static str, &'a [String]);

fn items(answer: &Answer) -> Vec<(Value, Pieces<'_>)> {
    let mut items: Vec<(Value, Pieces<'_>)> = Vec::new();
    if let Some(thought) = answer.thinks() {
        let summary = json!([{ "type": "summary_text", "text": thought }]);
        let item = json!({ "id": "rs_1", "type": "reasoning", "summary": summary });
        items.push((item, ("response.reasoning_summary_text.delta", &answer.thought)));
    }
    if !answer.text.is_empty() {
        let content = json!([{ "type": "output_text", "text": answer.said(), "annotations": [] }]);
        let item = json!({ "id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content });
        items.push((item, ("response.output_text.delta", &answer.text)));
    }
    if let Some(Tool { name, arguments }) = &answer.tool {
        let item = json!({ "id": "fc_1", "type": "function_call", "call_id": "call_1", "name": name,
            "arguments": arguments.concat(), "status": "completed" });
        items.push((item, ("response.function_call_arguments.delta", arguments)));
    }
    items
}

pub(super) fn events(answer: &Answer) -> Vec<Vec<u8>> {
    let mut all = vec![json!({ "type": "response.created", "response": shell(answer, "in_progress") })];
    for (index, (item, (delta, pieces))) in items(answer).into_iter().enumerate() {
        let id = item["id"].clone();
        let mut empty = item.clone();
        for field in ["summary", "content"].into_iter().filter(|field| item.get(field).is_some()) {
            empty[field] = json!([]);
        }
        if item.get("arguments").is_some() {
            empty["arguments"] = json!("");
        }
        all.push(json!({ "type": "response.output_item.added", "output_index": index, "item": empty }));
        if let Some(part) = item["content"].get(0) {
            let part = json!({ "type": part["type"], "text": "", "annotations": [] });
            all.push(json!({ "type": "response.content_part.added", "output_index": index, "content_index": 0, "item_id": id, "part": part }));
        }
        all.extend(pieces.iter().map(|piece| {
            json!({ "type": delta, "output_index": index, "content_index": 0, "summary_index": 0, "item_id": id, "delta": piece })
        }));
        all.extend(finished(index, &item));
        all.push(json!({ "type": "response.output_item.done", "output_index": index, "item": item }));
    }
    let whole = whole(answer);
    let last = format!("response.{}", whole["status"].as_str().unwrap_or_default());
    all.push(json!({ "type": last, "response": whole }));
    let write = |(number, mut event): (usize, Value)| {
        event["sequence_number"] = json!(number);
        named(event["type"].as_str().unwrap_or_default(), &event)
    };
    all.into_iter().enumerate().map(write).collect()
}

/// What repeats the whole of an item's text.
fn finished(index: usize, item: &Value) -> Vec<Value> {
    let at = json!({ "output_index": index, "content_index": 0, "item_id": item["id"] });
    let with = |more: Value| {
        let mut event = at.clone();
        event.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        event
    };
    match item["type"].as_str() {
        Some("message") => {
            let part = &item["content"][0];
            vec![
                with(json!({ "type": "response.output_text.done", "text": part["text"] })),
                with(json!({ "type": "response.content_part.done", "part": part })),
            ]
        }
        Some("function_call") => {
            vec![with(
                json!({ "type": "response.function_call_arguments.done", "arguments": item["arguments"] }),
            )]
        }
        _ => {
            let text = &item["summary"][0]["text"];
            vec![with(
                json!({ "type": "response.reasoning_summary_text.done", "summary_index": 0, "text": text }),
            )]
        }
    }
}
