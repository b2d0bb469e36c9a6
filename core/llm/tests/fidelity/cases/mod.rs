//! The forty cases of PROTOCOLS.md that belong to translation, by number, in every pair of dialects to which they apply.
//!
//! - [`asked`]: requests on their way out.
//! - [`answered`]: replies and streams on their way back.
//! - [`again`]: what a reply brought and the next request brings back.

mod again;
mod answered;
mod asked;

use crate::fixture::{model, parse, target};
use serde_json::{Value, json};
use weir_llm::api::{Api, Dialect};
use weir_llm::translate::{Outgoing, translate};

/// A request at a target: its body, and what was dropped.
fn sent(api: Api, call: &Value, dialect: Dialect) -> (Value, Vec<String>) {
    sent_to(api, call, dialect, model(dialect))
}

fn sent_to(api: Api, call: &Value, dialect: Dialect, model: &str) -> (Value, Vec<String>) {
    let out = out(api, call, dialect, model);
    (serde_json::from_slice(&out.body).unwrap(), out.dropped)
}

fn out(api: Api, call: &Value, dialect: Dialect, model: &str) -> Outgoing {
    let out = translate(&parse(api, call), dialect, &target(dialect, model));
    out.unwrap_or_else(|no| panic!("{} to {}: {no}", api.as_str(), dialect.as_str()))
}

/// A conversation with calls and their results, as an API's callers send it: `(id, arguments)` and `(id, text)`.
fn talk(api: Api, calls: &[(&str, &str)], results: &[(&str, &str)]) -> Value {
    let object = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!({}));
    match api {
        Api::Responses => {
            let mut input = vec![json!({"role": "user", "content": "Go."})];
            input.extend(calls.iter().map(|(id, arguments)| {
                json!({"type": "function_call", "call_id": id, "name": "f", "arguments": arguments})
            }));
            input.extend(
                results
                    .iter()
                    .map(|(id, text)| json!({"type": "function_call_output", "call_id": id, "output": text})),
            );
            json!({"model": "m", "input": input, "tools": [{"type": "function", "name": "f"}]})
        }
        Api::Messages => {
            let uses = calls.iter().map(|(id, arguments)| {
                json!({"type": "tool_use", "id": id, "name": "f", "input": object(arguments)})
            });
            let found = results
                .iter()
                .map(|(id, text)| json!({"type": "tool_result", "tool_use_id": id, "content": text}));
            let mut messages = vec![json!({"role": "user", "content": "Go."})];
            messages.push(json!({"role": "assistant", "content": uses.collect::<Vec<_>>()}));
            messages.push(json!({"role": "user", "content": found.collect::<Vec<_>>()}));
            let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
            json!({"model": "m", "max_tokens": 100, "messages": messages, "tools": tools})
        }
        _ => {
            let calls = calls.iter().map(|(id, arguments)| {
                json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}})
            });
            let mut messages = vec![json!({"role": "user", "content": "Go."})];
            messages
                .push(json!({"role": "assistant", "content": "", "tool_calls": calls.collect::<Vec<_>>()}));
            messages.extend(
                results.iter().map(|(id, text)| json!({"role": "tool", "tool_call_id": id, "content": text})),
            );
            json!({"model": "m", "messages": messages, "tools": [{"type": "function", "function": {"name": "f"}}]})
        }
    }
}

/// Ids with arguments.
type Calls = Vec<(String, Value)>;
/// Ids with what the tool answered.
type Results = Vec<(String, String)>;

/// The calls of a body, and the results, each with its id and what it holds, in order.
fn calls_and_results(dialect: Dialect, body: &Value) -> (Calls, Results) {
    let mut calls = Vec::new();
    let mut results = Vec::new();
    let id = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let parsed = |text: &Value| serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap();
    match dialect {
        Dialect::OpenAiChat => {
            for message in list(&body["messages"]) {
                for call in list(&message["tool_calls"]) {
                    calls.push((id(&call["id"]), parsed(&call["function"]["arguments"])));
                }
                if message["role"] == "tool" {
                    results.push((id(&message["tool_call_id"]), id(&message["content"])));
                }
            }
        }
        Dialect::OpenAiResponses => {
            for item in list(&body["input"]) {
                match item["type"].as_str().unwrap() {
                    "function_call" => calls.push((id(&item["call_id"]), parsed(&item["arguments"]))),
                    "function_call_output" => {
                        results.push((id(&item["call_id"]), item["output"].to_string()))
                    }
                    _ => {}
                }
            }
        }
        Dialect::Anthropic => {
            for block in list(&body["messages"]).iter().flat_map(|message| list(&message["content"])) {
                match block["type"].as_str().unwrap() {
                    "tool_use" => calls.push((id(&block["id"]), block["input"].clone())),
                    "tool_result" => results.push((id(&block["tool_use_id"]), block["content"].to_string())),
                    _ => {}
                }
            }
        }
        Dialect::Gemini => {
            for part in list(&body["contents"]).iter().flat_map(|content| list(&content["parts"])) {
                if let Some(call) = part.get("functionCall") {
                    calls.push((id(&call["id"]), call["args"].clone()));
                }
                if let Some(answer) = part.get("functionResponse") {
                    results.push((id(&answer["id"]), answer["response"].to_string()));
                }
            }
        }
    }
    (calls, results)
}
