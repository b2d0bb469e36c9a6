//! What a reply brought and the next request brings back.

use super::{calls_and_results, out};
use crate::fixture::{CALLERS, Fixture, ask, model, parse};
use bytes::Bytes;
use serde_json::{Value, json};
use weir_llm::api::{Api, Dialect};
use weir_llm::translate::dialect_of;

/// A conversation of an API's callers to which a reply is added as their SDKs do, calls answered with `ok`.
struct Loop {
    api: Api,
    call: Value,
}

impl Loop {
    fn new(api: Api) -> Self {
        let tool = json!({"name": "weather"});
        let more = match api {
            Api::Responses => {
                json!({"input": [{"role": "user", "content": "Go."}], "reasoning": {"effort": "high"},
                "tools": [{"type": "function", "name": "weather"}]})
            }
            Api::Messages => json!({"messages": [{"role": "user", "content": "Go."}], "max_tokens": 9000,
                "thinking": {"type": "enabled", "budget_tokens": 2048},
                "tools": [{"name": "weather", "input_schema": {"type": "object"}}]}),
            _ => json!({"messages": [{"role": "user", "content": "Go."}], "reasoning_effort": "high",
                "tools": [{"type": "function", "function": tool}]}),
        };
        let mut call = more;
        call["model"] = json!("m");
        Self { api, call }
    }

    /// What the model is sent.
    fn sent(&self, dialect: Dialect) -> Value {
        serde_json::from_slice(&out(self.api, &self.call, dialect, model(dialect)).body).unwrap()
    }

    /// Adds a provider's reply as the caller gets it, and the results of its calls.
    fn add(&mut self, dialect: Dialect, reply: &Value) {
        let back = out(self.api, &self.call, dialect, model(dialect)).back;
        let request = parse(self.api, &self.call);
        let turned = back.whole(&Bytes::from(reply.to_string()), &ask(&request)).unwrap();
        let reply: Value = serde_json::from_slice(turned.body.expose()).unwrap();
        drop(request);
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        match self.api {
            Api::Responses => {
                let input = self.call["input"].as_array_mut().unwrap();
                let output = list(&reply["output"]);
                input.extend(output.iter().cloned());
                let calls = output.iter().filter(|item| item["type"] == "function_call");
                input.extend(calls.map(|item| {
                    json!({"type": "function_call_output", "call_id": item["call_id"], "output": "ok"})
                }));
            }
            Api::Messages => {
                let messages = self.call["messages"].as_array_mut().unwrap();
                messages.push(json!({"role": "assistant", "content": reply["content"]}));
                let content = list(&reply["content"]);
                let calls = content.iter().filter(|block| block["type"] == "tool_use");
                let results = calls
                    .map(|block| json!({"type": "tool_result", "tool_use_id": block["id"], "content": "ok"}));
                messages.push(json!({"role": "user", "content": results.collect::<Vec<_>>()}));
            }
            _ => {
                let messages = self.call["messages"].as_array_mut().unwrap();
                let message = &reply["choices"][0]["message"];
                messages.push(message.clone());
                messages.extend(
                    list(&message["tool_calls"])
                        .iter()
                        .map(|call| json!({"role": "tool", "tool_call_id": call["id"], "content": "ok"})),
                );
            }
        }
    }
}

fn reply(name: &str, dialect: Dialect) -> Value {
    let all = Fixture::all("replies");
    let fixture = all.iter().find(|fixture| fixture.name == name).unwrap();
    fixture.json["replies"][dialect.as_str()].clone()
}

#[test]
fn case_08_the_signature_of_a_call_comes_back_with_it() {
    for api in CALLERS {
        let mut talk = Loop::new(api);
        talk.add(Dialect::Gemini, &reply("call_signature", Dialect::Gemini));
        let body = talk.sent(Dialect::Gemini);
        let parts = body["contents"][1]["parts"].as_array().unwrap();
        let signed: Vec<&Value> = parts.iter().map(|part| &part["thoughtSignature"]).collect();
        assert_eq!(signed, [&json!("Z2VtaW5p"), &Value::Null], "{}", api.as_str());
        let (calls, results) = calls_and_results(Dialect::Gemini, &body);
        assert_eq!(calls[0].0, "call_1", "{}", api.as_str());
        assert_eq!(results[0].0, "call_1", "{}", api.as_str());
        // Another maker's model gets the call under its own id, without the signature.
        for dialect in
            Dialect::ALL.into_iter().filter(|d| dialect_of(api) != Some(*d) && *d != Dialect::Gemini)
        {
            let body = talk.sent(dialect);
            assert!(!body.to_string().contains("weir1"), "{} to {}", api.as_str(), dialect.as_str());
        }
    }
}

#[test]
fn case_08_a_call_without_a_signature_gets_googles_own_word() {
    for api in CALLERS {
        let mut talk = Loop::new(api);
        talk.add(Dialect::Anthropic, &reply("parallel_calls", Dialect::Anthropic));
        if dialect_of(api) == Some(Dialect::Anthropic) {
            continue;
        }
        let body = talk.sent(Dialect::Gemini);
        let signed = body.to_string().matches("skip_thought_signature_validator").count();
        assert_eq!(signed, 1, "{}", api.as_str());
    }
}

#[test]
fn case_23_blocks_of_thinking_come_back_whole_and_in_order() {
    for api in [Api::Responses, Api::Chat] {
        let mut talk = Loop::new(api);
        let given = reply("thinking_interleaved", Dialect::Anthropic);
        talk.add(Dialect::Anthropic, &given);
        let body = talk.sent(Dialect::Anthropic);
        let content = body["messages"][1]["content"].as_array().unwrap();
        let proofs = |content: &[Value]| -> Vec<Value> {
            let proof = |block: &Value| block.get("signature").or(block.get("data")).cloned();
            content.iter().filter_map(proof).collect()
        };
        assert_eq!(proofs(content), proofs(given["content"].as_array().unwrap()), "{}", api.as_str());
        if api == Api::Responses {
            // Chat has no order between thinking and calls.
            let kinds = |content: &[Value]| -> Vec<Value> {
                content.iter().map(|block| block["type"].clone()).collect()
            };
            assert_eq!(kinds(content), kinds(given["content"].as_array().unwrap()));
        }
    }
}

#[test]
fn case_24_thinking_of_another_maker_is_not_forwarded() {
    let makers = [Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini];
    let proof = |dialect| match dialect {
        Dialect::OpenAiResponses => "gAAAAsecret",
        Dialect::Anthropic => "c2lnbmVk",
        _ => "Z2VtaW5p",
    };
    for api in CALLERS {
        for from in makers.into_iter().filter(|from| dialect_of(api) != Some(*from)) {
            let mut talk = Loop::new(api);
            talk.add(from, &reply("thinking_signed", from));
            // Something to answer, so that the thinking is not the last word.
            let next = json!({"role": "user", "content": "And now?"});
            let key = if api == Api::Responses { "input" } else { "messages" };
            talk.call[key].as_array_mut().unwrap().push(next);
            for to in Dialect::ALL.into_iter().filter(|to| dialect_of(api) != Some(*to)) {
                let body = talk.sent(to).to_string();
                let pair = format!("{} from {} to {}: {body}", api.as_str(), from.as_str(), to.as_str());
                assert_eq!(body.contains(proof(from)), from == to, "{pair}");
                assert!(!body.contains("weir1"), "{pair}");
                assert!(to == from || !body.contains("They greet."), "{pair}");
            }
        }
    }
}

#[test]
fn case_22_citations_and_several_texts_stay_with_their_words() {
    for api in CALLERS {
        for from in Dialect::ALL.into_iter().filter(|from| dialect_of(api) != Some(*from)) {
            let mut talk = Loop::new(api);
            talk.add(from, &reply("citations", from));
            let key = if api == Api::Responses { "input" } else { "messages" };
            let said = talk.call[key].to_string();
            assert!(said.contains("See there."), "{} from {}", api.as_str(), from.as_str());
            if api != Api::Messages {
                assert!(
                    said.contains("https://example.com"),
                    "{} from {}: {said}",
                    api.as_str(),
                    from.as_str()
                );
            }
        }
    }
}
