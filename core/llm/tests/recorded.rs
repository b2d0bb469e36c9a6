//! Streams whose bytes pass through, kept as one whole reply: hosted items among what the model says.
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

use bytes::Bytes;
use serde_json::{Value, json};
use weir_llm::api::Api;
use weir_llm::json::Json;
use weir_llm::neutral::Ask;
use weir_llm::sse;
use weir_llm::translate::{Scan, replay};

fn ask_with<T>(run: impl FnOnce(&Ask<'_>) -> T) -> T {
    let body = Json::parse(Bytes::from_static(b"{}")).unwrap();
    run(&Ask { root: body.root(), include_usage: false, request_id: "req_1", now: 7, model: "asked" })
}

/// The whole reply that these frames bring.
fn recorded(api: Api, stream: &[u8]) -> Option<Bytes> {
    let mut scan = Scan::new(api, true);
    sse::Parser::new(1 << 20)
        .push(stream, &mut |event| {
            scan.feed(&event);
        })
        .unwrap();
    ask_with(|ask| scan.recorded(ask))
}

fn stream(events: &[Value]) -> Vec<u8> {
    let frames =
        events.iter().map(|data| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()));
    frames.collect::<String>().into_bytes()
}

fn read(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap()
}

fn response(items: &[Value]) -> Vec<u8> {
    let response = |status: &str| json!({"id": "resp_1", "model": "m", "status": status, "output": []});
    let done = (0..).zip(items).map(
        |(index, item): (usize, _)| json!({"type": "response.output_item.done", "output_index": index, "item": item}),
    );
    let mut events = vec![json!({"type": "response.created", "response": response("in_progress")})];
    events.extend(done);
    events.push(json!({"type": "response.completed", "response": response("completed")}));
    stream(&events)
}

#[test]
fn hosted_items_of_a_response_are_kept() {
    let items = [
        json!({"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"}),
        json!({"type": "web_search_call", "id": "ws_1", "status": "completed"}),
        json!({"type": "mcp_call", "id": "mcp_1", "output": "found"}),
        json!({"type": "code_interpreter_call", "id": "ci_1", "code": "1+1"}),
        json!({"type": "compaction", "id": "cmp_1", "encrypted_content": "x"}),
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}),
    ];
    let body = recorded(Api::Responses, &response(&items)).unwrap();
    let reply = read(&body);
    assert_eq!(reply["status"], "completed");
    assert_eq!(reply["output"].as_array().unwrap()[..5], items[..5]);
    assert_eq!(reply["output"][5]["content"][0]["text"], "hi");
    let again = ask_with(|ask| replay(Api::Responses, &body, ask)).concat();
    assert_eq!(read(&recorded(Api::Responses, &again).unwrap())["output"], reply["output"]);
}

#[test]
fn a_response_with_what_nobody_knows_is_not_kept() {
    assert_eq!(recorded(Api::Responses, &response(&[json!({"type": "news", "id": "n_1"})])), None);
}

/// Each block: how it begins, and its deltas.
fn message(blocks: &[(Value, Vec<Value>)]) -> Vec<u8> {
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 1}}}),
    ];
    for (index, (block, deltas)) in blocks.iter().enumerate() {
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        let delta = |delta| json!({"type": "content_block_delta", "index": index, "delta": delta});
        events.extend(deltas.iter().map(delta));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
    );
    events.push(json!({"type": "message_stop"}));
    stream(&events)
}

#[test]
fn hosted_blocks_of_a_message_are_kept() {
    let found = json!({"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [{"url": "https://a.b"}]});
    let said =
        |text| (json!({"type": "text", "text": ""}), vec![json!({"type": "text_delta", "text": text})]);
    let piece = |text| json!({"type": "input_json_delta", "partial_json": text});
    let body = recorded(
        Api::Messages,
        &message(&[
            (json!({"type": "compaction"}), vec![json!({"type": "compaction_delta", "content": "so far"})]),
            said("I look."),
            (
                json!({"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}}),
                vec![piece(""), piece("{\"query\":"), piece("\"weir\"}")],
            ),
            (found.clone(), vec![]),
            said("A weir."),
        ]),
    )
    .unwrap();
    let content = read(&body)["content"].take();
    let want = json!([
        {"type": "compaction", "content": "so far"},
        {"type": "text", "text": "I look."},
        {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "weir"}},
        found,
        {"type": "text", "text": "A weir."},
    ]);
    let plain = |content: &Value| {
        let mut blocks = content.clone();
        for block in blocks.as_array_mut().unwrap() {
            block.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        }
        blocks
    };
    assert_eq!(plain(&content), want);
    let again = ask_with(|ask| replay(Api::Messages, &body, ask)).concat();
    assert_eq!(plain(&read(&recorded(Api::Messages, &again).unwrap())["content"]), want);
}

#[test]
fn a_message_with_what_nobody_knows_is_not_kept() {
    let unknown = (json!({"type": "server_tool_use", "id": "s"}), vec![json!({"type": "news_delta"})]);
    assert_eq!(recorded(Api::Messages, &message(&[unknown])), None);
}
