//! Who wrote a reply, and why it ended: the same in every dialect, whole or streamed, passed through or turned.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, outside test functions")]

use bytes::Bytes;
use serde_json::{Value, json};
use weir_llm::api::{Api, Dialect};
use weir_llm::neutral::label::Label;
use weir_llm::neutral::{Ask, Target};
use weir_llm::request::Request;
use weir_llm::sse;
use weir_llm::translate::{Back, Scan, summary, translate};
use weir_llm::vendor::UNKNOWN;

/// What a label says, as telemetry shows it.
fn said(label: &Label) -> (String, Vec<&'static str>) {
    (label.model.as_str().to_owned(), label.ends.iter().map(|end| end.as_str()).collect())
}

fn expected(model: &str, ends: &[&'static str]) -> (String, Vec<&'static str>) {
    (model.to_owned(), ends.to_vec())
}

fn bytes(value: &Value) -> Bytes {
    value.to_string().into()
}

fn stream(events: &[Value]) -> String {
    let frame = |event: &Value| match event["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    };
    events.iter().map(frame).collect()
}

fn scanned(api: Api, wire: &str) -> Label {
    let mut scan = Scan::new(api, false);
    let mut feed = |event: sse::Event<'_>| {
        scan.feed(&event);
    };
    sse::Parser::new(1 << 20).push(wire.as_bytes(), &mut feed).unwrap();
    scan.label()
}

/// A request of an API, and what turns a reply of a dialect back for it.
fn back(api: Api, dialect: Dialect) -> (Request, Back) {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 9 });
    let request = Request::parse(api, bytes(&body)).unwrap();
    let target = Target { model: "up", cap: None, output_limit: 0, vendor: &UNKNOWN };
    let back = translate(&request, dialect, &target).map(|outgoing| outgoing.back).unwrap();
    (request, back)
}

fn turned(dialect: Dialect, whole: &Value, wire: &str) -> [Label; 2] {
    let (request, back) = back(Api::Chat, dialect);
    let root = request.json().root();
    let ask = Ask { root, include_usage: false, request_id: "r", now: 1, model: "m" };
    let whole = back.whole(&bytes(whole), &ask).unwrap_or_else(|error| panic!("{error}")).summary.label;
    let mut transcoder = back.stream(&ask);
    let (mut out, mut last) = (Vec::new(), Vec::new());
    let mut feed = |event: sse::Event<'_>| {
        transcoder.feed(&event, &mut out, &mut last);
    };
    sse::Parser::new(1 << 20).push(wire.as_bytes(), &mut feed).unwrap();
    // Gemini's streams end with their body.
    transcoder.end(&mut out, &mut last);
    [whole, transcoder.label()]
}

#[test]
fn chat() {
    let choice = |index, reason| json!({ "index": index, "message": { "role": "assistant", "content": "a" }, "finish_reason": reason });
    let whole = json!({ "id": "c", "model": "gpt-9-2026-01-01", "choices": [choice(0, "stop"), choice(1, "length")] });
    let delta = |index: u64, reason: Value| {
        json!({ "id": "c", "model": "gpt-9-2026-01-01",
            "choices": [{ "index": index, "delta": { "content": "a" }, "finish_reason": reason }] })
    };
    let wire = stream(&[delta(0, Value::Null), delta(1, json!("length")), delta(0, json!("stop"))]);
    let expected = expected("gpt-9-2026-01-01", &["stop", "length"]);
    assert_eq!(said(&summary(Api::Chat, &bytes(&whole)).unwrap().label), expected);
    assert_eq!(said(&scanned(Api::Chat, &wire)), expected);
    let odd = json!({ "model": "what the caller said", "choices": [choice(0, "stop")] });
    assert_eq!(said(&summary(Api::Chat, &bytes(&odd)).unwrap().label).0, "", "no name, so none");
}

#[test]
fn messages() {
    let message = |stop: Value, content: Value| {
        json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-9-20260101",
            "content": content, "stop_reason": stop, "stop_sequence": null, "usage": { "input_tokens": 1, "output_tokens": 1 } })
    };
    let whole = message(json!("max_tokens"), json!([{ "type": "text", "text": "a" }]));
    let wire = stream(&[
        json!({ "type": "message_start", "message": message(Value::Null, json!([])) }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "a" } }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "max_tokens", "stop_sequence": null }, "usage": { "output_tokens": 1 } }),
        json!({ "type": "message_stop" }),
    ]);
    let expected = expected("claude-9-20260101", &["length"]);
    assert_eq!(said(&summary(Api::Messages, &bytes(&whole)).unwrap().label), expected);
    assert_eq!(said(&scanned(Api::Messages, &wire)), expected);
    for label in turned(Dialect::Anthropic, &whole, &wire) {
        assert_eq!(said(&label), expected);
    }
}

#[test]
fn responses() {
    let output = json!([{ "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{ "type": "output_text", "text": "a", "annotations": [] }] }]);
    let response = |status: &str, output: Value| {
        json!({ "id": "resp_1", "object": "response", "created_at": 1, "status": status,
            "model": "gpt-9-2026-01-01", "output": output, "usage": null })
    };
    let whole = response("completed", output.clone());
    let wire = stream(&[
        json!({ "type": "response.created", "sequence_number": 0, "response": response("in_progress", json!([])) }),
        json!({ "type": "response.output_item.added", "sequence_number": 1, "output_index": 0,
            "item": { "id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": [] } }),
        json!({ "type": "response.output_text.delta", "sequence_number": 2, "item_id": "msg_1",
            "output_index": 0, "content_index": 0, "delta": "a" }),
        json!({ "type": "response.completed", "sequence_number": 3, "response": response("completed", output) }),
    ]);
    let expected = expected("gpt-9-2026-01-01", &["stop"]);
    assert_eq!(said(&summary(Api::Responses, &bytes(&whole)).unwrap().label), expected);
    assert_eq!(said(&scanned(Api::Responses, &wire)), expected);
    for label in turned(Dialect::OpenAiResponses, &whole, &wire) {
        assert_eq!(said(&label), expected);
    }
}

#[test]
fn gemini() {
    let answer = json!({ "candidates": [{ "index": 0, "finishReason": "STOP", "content": { "role": "model",
            "parts": [{ "functionCall": { "name": "look", "args": {} } }] } }],
        "usageMetadata": { "promptTokenCount": 1, "candidatesTokenCount": 1 }, "modelVersion": "gemini-9-pro", "responseId": "r" });
    let expected = expected("gemini-9-pro", &["tool_calls"]);
    for label in turned(Dialect::Gemini, &answer, &stream(std::slice::from_ref(&answer))) {
        assert_eq!(said(&label), expected);
    }
}
