//! What coding agents send by `POST /v1/responses`, told to providers of every other dialect, and the way back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use serde_json::{Value, json};
use weir_llm::api::{Api, Dialect};
use weir_llm::neutral::{Ask, Target};
use weir_llm::request::{Request, SegmentKind};
use weir_llm::sse;
use weir_llm::translate::{Outgoing, translate};
use weir_llm::vendor::UNKNOWN;

const TARGET: Target<'static> = Target { model: "m", cap: None, output_limit: 0, vendor: &UNKNOWN };
const OTHERS: [Dialect; 3] = [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::Gemini];

fn request(body: &Value) -> Request {
    Request::parse(Api::Responses, body.to_string().into()).unwrap()
}

fn out(body: &Value, dialect: Dialect) -> (Value, Outgoing) {
    let outgoing = translate(&request(body), dialect, &TARGET).unwrap();
    (serde_json::from_slice(&outgoing.body).unwrap(), outgoing)
}

fn ask(request: &Request) -> Ask<'_> {
    let root = request.json().root();
    Ask { root, include_usage: true, request_id: "req-1", now: 1_700_000_000, model: "m" }
}

fn function(name: &str) -> Value {
    json!({"type": "function", "name": name, "description": name, "strict": false,
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}})
}

fn space(name: &str, tools: Value) -> Value {
    json!({"type": "namespace", "name": name, "description": "", "tools": tools})
}

/// Code mode: no tools but those in the first item, behind which the developer speaks.
fn code_mode() -> Value {
    let exec =
        json!({"type": "custom", "name": "exec", "description": "Runs code.", "format": {"type": "text"}});
    json!({"model": "gpt-6-sol", "tool_choice": "auto", "parallel_tool_calls": false, "input": [
        {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [
            space("functions", json!([exec, function("wait")])),
            space("clock", json!([function("sleep")])),
            space("collaboration", json!([function("wait"), function("send_message")]))]},
        {"type": "message", "id": "msg_1", "role": "developer", "content": [{"type": "input_text", "text": "You are Codex."}]},
        {"type": "message", "id": "msg_2", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "exec", "namespace": "functions", "input": "1+1"},
        {"type": "function_call", "id": "fc_1", "call_id": "c2", "name": "wait", "namespace": "collaboration", "arguments": "{}"},
        {"type": "custom_tool_call_output", "id": "ctco_1", "call_id": "c1", "output": [{"type": "input_text", "text": "2"}]},
        {"type": "function_call_output", "id": "fco_1", "call_id": "c2", "output": "done"}]})
}

/// The tools that a body of some dialect declares.
fn declared(body: &Value) -> Vec<&str> {
    let gemini = body["tools"][0]["functionDeclarations"].as_array();
    let list = gemini.or(body["tools"].as_array()).unwrap().iter();
    list.map(|tool| tool["name"].as_str().or(tool["function"]["name"].as_str()).unwrap()).collect()
}

const LIFTED: [&str; 5] = ["exec", "wait", "sleep", "collaboration__wait", "send_message"];

#[test]
fn tools_of_namespaces_reach_every_dialect() {
    for dialect in OTHERS {
        let (body, outgoing) = out(&code_mode(), dialect);
        assert_eq!(declared(&body), LIFTED, "{dialect:?}");
        let told =
            outgoing.dropped.iter().filter(|name| name.contains("tool") && *name != "parallel_tool_calls");
        assert_eq!(told.count(), 0, "{:?}", outgoing.dropped);
    }
}

#[test]
fn what_stands_behind_the_tools_still_leads_the_conversation() {
    let (chat, _) = out(&code_mode(), Dialect::OpenAiChat);
    let roles: Vec<_> = chat["messages"].as_array().unwrap().iter().map(|one| one["role"].clone()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool"]);
    let (anthropic, _) = out(&code_mode(), Dialect::Anthropic);
    assert_eq!(anthropic["system"][0]["text"], "You are Codex.");
    assert_eq!(anthropic["messages"][0]["content"], json!([{"type": "text", "text": "go"}]));
    let (gemini, _) = out(&code_mode(), Dialect::Gemini);
    assert_eq!(gemini["systemInstruction"]["parts"][0]["text"], "You are Codex.");
}

#[test]
fn past_calls_name_the_tools_as_they_were_lifted() {
    let (chat, _) = out(&code_mode(), Dialect::OpenAiChat);
    let calls = &chat["messages"][2]["tool_calls"];
    assert_eq!(calls[0]["function"], json!({"name": "exec", "arguments": r#"{"input":"1+1"}"#}));
    assert_eq!(calls[1]["function"]["name"], "collaboration__wait");
    let mut unknown = code_mode();
    unknown["input"][4]["namespace"] = "gone".into();
    let (anthropic, _) = out(&unknown, Dialect::Anthropic);
    assert_eq!(anthropic["messages"][1]["content"][1]["name"], "wait");
}

/// Three calls as a chat provider sends them.
fn answer() -> Value {
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let calls = json!([
        call("a", "exec", r#"{"input":"2+2"}"#),
        call("b", "collaboration__wait", "{}"),
        call("c", "wait", "{}")
    ]);
    json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": null, "tool_calls": calls}}]})
}

fn check(output: &Value) {
    let want = [
        ("custom_tool_call", "exec", "functions", "input", "2+2"),
        ("function_call", "wait", "collaboration", "arguments", "{}"),
        ("function_call", "wait", "functions", "arguments", "{}"),
    ];
    for (item, (kind, name, space, key, value)) in output.as_array().unwrap().iter().zip(want) {
        assert_eq!(item["type"], kind);
        assert_eq!((&item["name"], &item["namespace"]), (&json!(name), &json!(space)));
        assert_eq!(item[key], value);
    }
    assert_eq!(output.as_array().unwrap().len(), 3);
}

#[test]
fn new_calls_find_their_namespace_again() {
    let request = request(&code_mode());
    let back = translate(&request, Dialect::OpenAiChat, &TARGET).unwrap().back;
    let whole = back.whole(&answer().to_string().into(), &ask(&request)).unwrap();
    check(&serde_json::from_slice::<Value>(whole.body.expose()).unwrap()["output"]);

    let mut delta = answer();
    delta["choices"][0]["delta"] = delta["choices"][0]["message"].take();
    for (index, call) in
        delta["choices"][0]["delta"]["tool_calls"].as_array_mut().unwrap().iter_mut().enumerate()
    {
        call["index"] = index.into();
    }
    let stream = format!("data: {delta}\n\ndata: [DONE]\n\n");
    let (mut turned, mut written, mut last) = (back.stream(&ask(&request)), Vec::new(), Vec::new());
    sse::Parser::new(1 << 20)
        .push(stream.as_bytes(), &mut |event| {
            turned.feed(&event, &mut written, &mut last);
        })
        .unwrap();
    written.extend_from_slice(&last);
    let (mut done, mut completed) = (Vec::new(), Value::Null);
    sse::Parser::new(1 << 20)
        .push(&written, &mut |event| {
            let data: Value = serde_json::from_slice(event.data).unwrap();
            match event.name {
                "response.output_item.added" => assert!(data["item"]["namespace"].is_string()),
                "response.output_item.done" => done.push(data["item"].clone()),
                "response.completed" => completed = data["response"]["output"].clone(),
                _ => {}
            }
        })
        .unwrap();
    check(&Value::Array(done));
    check(&completed);
}

#[test]
fn clashes_end_and_hosted_tools_are_told() {
    let body = json!({"model": "m", "input": [
            {"type": "additional_tools", "role": "developer", "tools": [
                space("n", json!([function("f"), function("g"), {"type": "web_search"}])),
                space("n", json!([function("g"), space("deep", json!([function("h")]))])), function("i")]},
            {"role": "user", "content": "hi"}],
        "tools": [function("f"), function("n__f"), {"type": "tool_search", "execution": "client",
                "description": "d", "parameters": {"type": "object"}},
            {"type": "function", "name": "later", "defer_loading": true, "parameters": {"type": "object"}}],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [
            {"type": "function", "name": "f"}, {"type": "namespace", "name": "n"}]}});
    let (anthropic, outgoing) = out(&body, Dialect::Anthropic);
    assert_eq!(declared(&anthropic), ["f", "g"]);
    assert_eq!(outgoing.dropped, ["tools[n.f]"]);
    let mut free = body.clone();
    free["tool_choice"] = "auto".into();
    for dialect in OTHERS {
        let (sent, outgoing) = out(&free, dialect);
        assert_eq!(declared(&sent), ["f", "n__f", "later", "g", "h", "i"]);
        for note in ["tools[tool_search]", "tools[web_search]", "tools[n.f]"] {
            assert!(outgoing.dropped.iter().any(|name| name == note), "{note}: {:?}", outgoing.dropped);
        }
    }
}

#[test]
fn a_context_that_may_be_cut_is_told_and_one_that_may_not_is_not() {
    for (word, told) in [("auto", true), ("disabled", false)] {
        let body = json!({"model": "m", "input": "hi", "truncation": word});
        for dialect in OTHERS {
            assert_eq!(out(&body, dialect).1.dropped.contains(&"truncation".to_owned()), told, "{dialect:?}");
        }
    }
}

#[test]
fn tools_in_the_input_are_tools_to_routes_and_guards() {
    let request = request(&code_mode());
    assert!(request.needs().tools);
    let schema = |text: &str| {
        let mut segments = request.segments().iter().enumerate();
        segments.any(|(at, segment)| {
            segment.kind == SegmentKind::ToolSchema && request.text(at).as_deref() == Some(text)
        })
    };
    assert!(schema("Runs code.") && !schema("You are Codex."));
}
