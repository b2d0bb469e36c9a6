//! What coding agents send by `POST /v1/messages`, told to providers of every other dialect.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use serde_json::{Value, json};
use weir_llm::api::{Api, Dialect};
use weir_llm::neutral::Target;
use weir_llm::request::Request;
use weir_llm::translate::translate;
use weir_llm::vendor::UNKNOWN;

const TARGET: Target<'static> = Target { model: "m", cap: None, output_limit: 0, vendor: &UNKNOWN };

fn out(body: &Value, dialect: Dialect) -> (Value, Vec<String>) {
    let request = Request::parse(Api::Messages, body.to_string().into()).unwrap();
    let outgoing = translate(&request, dialect, &TARGET).unwrap();
    (serde_json::from_slice(&outgoing.body).unwrap(), outgoing.dropped)
}

#[test]
fn a_search_for_tools_has_a_result() {
    let body = json!({"model": "m", "max_tokens": 9,
        "tools": [{"name": "ToolSearch", "input_schema": {"type": "object"}},
            {"name": "WebSearch", "input_schema": {"type": "object"}, "defer_loading": true}],
        "messages": [
            {"role": "user", "content": "find"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "ToolSearch", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [
                {"type": "tool_reference", "tool_name": "WebSearch"}]}]}]});
    let said = "Tool available: WebSearch";
    for (dialect, path) in [
        (Dialect::OpenAiChat, "/messages/2/content"),
        (Dialect::OpenAiResponses, "/input/2/output"),
        (Dialect::Gemini, "/contents/2/parts/0/functionResponse/response/output"),
    ] {
        let (sent, dropped) = out(&body, dialect);
        assert_eq!(sent.pointer(path), Some(&json!(said)), "{dialect:?}: {sent}");
        assert!(dropped.is_empty(), "{dropped:?}");
    }
}

#[test]
fn who_the_user_is_fits_and_is_no_news() {
    let id = format!("{{\"device_id\":\"{}\",\"session_id\":\"s\"}}", "d".repeat(80));
    let body = json!({"model": "m", "max_tokens": 9, "metadata": {"user_id": id},
        "messages": [{"role": "user", "content": "hi"}]});
    for dialect in [Dialect::OpenAiChat, Dialect::OpenAiResponses] {
        let (sent, dropped) = out(&body, dialect);
        let user = sent["user"].as_str().unwrap();
        assert!(user.len() <= 64 && dropped.is_empty(), "{user} {dropped:?}");
    }
}
