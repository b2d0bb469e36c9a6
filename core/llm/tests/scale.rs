//! Requests that are far larger than any sound one take time by their length, not by its square: whoever waits for them
//! shares a core with others.

use bytes::Bytes;
use std::time::{Duration, Instant};
use weir_llm::api::{Api, Dialect};
use weir_llm::neutral::Target;
use weir_llm::request::Request;
use weir_llm::translate::translate;
use weir_llm::vendor::UNKNOWN;

const MANY: usize = 12_000;
/// Optimised it takes some hundredth parts of a second; the square of the length took a minute.
const LONG: Duration = Duration::from_secs(4);

fn many(item: impl Fn(usize) -> String) -> String {
    (0..MANY).map(item).collect::<Vec<_>>().join(",")
}

/// One turn with many calls and their results in the opposite order.
fn calls(api: Api) -> String {
    let last = MANY - 1;
    match api {
        Api::Responses => {
            let calls = many(|n| {
                format!(r#"{{"type":"function_call","call_id":"c{n:05}","name":"f.{n}","arguments":"{{}}"}}"#)
            });
            let results = many(|n| {
                format!(r#"{{"type":"function_call_output","call_id":"c{:05}","output":"x"}}"#, last - n)
            });
            format!(r#"{{"model":"m","input":[{calls},{results}]}}"#)
        }
        Api::Messages => {
            let calls =
                many(|n| format!(r#"{{"type":"tool_use","id":"c{n:05}","name":"f.{n}","input":{{}}}}"#));
            let results = many(|n| {
                format!(r#"{{"type":"tool_result","tool_use_id":"c{:05}","content":"x"}}"#, last - n)
            });
            format!(
                r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"assistant","content":[{calls}]}},{{"role":"user","content":[{results}]}}]}}"#
            )
        }
        _ => {
            let calls = many(|n| {
                format!(
                    r#"{{"id":"c{n:05}","type":"function","function":{{"name":"f.{n}","arguments":"{{}}"}}}}"#
                )
            });
            let results =
                many(|n| format!(r#"{{"role":"tool","tool_call_id":"c{:05}","content":"x"}}"#, last - n));
            format!(
                r#"{{"model":"m","messages":[{{"role":"assistant","content":null,"tool_calls":[{calls}]}},{results}]}}"#
            )
        }
    }
}

/// Many tools with names that no target takes.
fn tools(api: Api) -> String {
    match api {
        Api::Responses => {
            let tools = many(|n| format!(r#"{{"type":"custom","name":"f.{n}"}}"#));
            format!(r#"{{"model":"m","input":"a","tools":[{tools}]}}"#)
        }
        Api::Messages => {
            let tools = many(|n| format!(r#"{{"name":"f.{n}","input_schema":{{"type":"object"}}}}"#));
            format!(
                r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}}],"tools":[{tools}]}}"#
            )
        }
        _ => {
            let tools = many(|n| format!(r#"{{"type":"function","function":{{"name":"f.{n}"}}}}"#));
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"tools":[{tools}]}}"#)
        }
    }
}

#[test]
fn many_calls_and_tools_take_no_square_of_the_time() {
    for api in [Api::Chat, Api::Responses, Api::Messages] {
        for body in [calls(api), tools(api)] {
            let request = Request::parse(api, Bytes::from(body)).unwrap();
            for dialect in
                [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini]
            {
                let started = Instant::now();
                let target = Target { model: "m", cap: None, output_limit: 0, vendor: &UNKNOWN };
                assert!(translate(&request, dialect, &target).is_ok());
                let took = started.elapsed();
                assert!(took < LONG, "{api:?} for {dialect:?}: {took:?}");
            }
        }
    }
}
