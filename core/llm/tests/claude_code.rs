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

#[test]
fn case_13_a_demanded_schema_is_strict_where_it_can_be() {
    let with = |schema: &Value, dialect| {
        let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
            "tools": [{"name": "f", "strict": true, "input_schema": schema}, {"name": "g", "input_schema": schema}],
            "output_config": {"format": {"type": "json_schema", "schema": schema}}});
        let (sent, dropped) = out(&body, dialect);
        let chat = dialect == Dialect::OpenAiChat;
        let format = if chat { &sent["response_format"]["json_schema"] } else { &sent["text"]["format"] };
        let tool =
            |at: usize| if chat { sent["tools"][at]["function"].clone() } else { sent["tools"][at].clone() };
        (format.clone(), tool(0), tool(1), dropped)
    };
    let plain = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let closed = json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"],
        "additionalProperties": false});
    let free = json!({"type": "object", "properties": {"a": {"type": "object"}}});
    for (dialect, unasked, note) in [
        (Dialect::OpenAiChat, Value::Null, "response_format.strict"),
        (Dialect::OpenAiResponses, json!(false), "text.format.strict"),
    ] {
        let (format, strict, lax, dropped) = with(&plain, dialect);
        assert_eq!((&format["schema"], &format["strict"]), (&closed, &json!(true)));
        assert_eq!((&strict["parameters"], &strict["strict"]), (&closed, &json!(true)));
        assert_eq!((&lax["parameters"], &lax["strict"]), (&plain, &unasked));
        assert!(dropped.is_empty(), "{dropped:?}");
        let (format, strict, lax, mut dropped) = with(&free, dialect);
        assert_eq!((&format["schema"], &format["strict"]), (&free, &json!(false)));
        assert_eq!((&strict["parameters"], &strict["strict"]), (&free, &json!(false)));
        assert_eq!(lax["parameters"], free);
        dropped.sort();
        assert_eq!(dropped, [note, "tools[f].strict"]);
    }
}
