//! Requests on their way out.

use super::{calls_and_results, out, sent, sent_to, talk};
use crate::fixture::{model, pairs, plain};
use serde_json::{Value, json};
use weir_llm::api::{Api, Dialect};

/// A plain request with more members.
fn with(api: Api, more: Value) -> Value {
    let mut call = plain(api);
    for (key, value) in more.as_object().unwrap() {
        call[key] = value.clone();
    }
    call
}

/// One function in an API's own form.
fn function(api: Api, name: &str, schema: Option<Value>) -> Value {
    let mut inner = json!({"name": name});
    if let Some(schema) = schema {
        inner[if api == Api::Messages { "input_schema" } else { "parameters" }] = schema;
    }
    match api {
        Api::Chat => json!({"type": "function", "function": inner}),
        Api::Responses => {
            inner["type"] = json!("function");
            inner
        }
        _ => inner,
    }
}

/// The first tool's name and schema as a target has them.
fn first_tool(dialect: Dialect, body: &Value) -> (String, Value) {
    let tool = &body["tools"][0];
    let (name, schema) = match dialect {
        Dialect::OpenAiChat => (&tool["function"]["name"], &tool["function"]["parameters"]),
        Dialect::OpenAiResponses => (&tool["name"], &tool["parameters"]),
        Dialect::Anthropic => (&tool["name"], &tool["input_schema"]),
        Dialect::Gemini => {
            let function = &tool["functionDeclarations"][0];
            (&function["name"], &function["parameters"])
        }
    };
    (name.as_str().unwrap().to_owned(), schema.clone())
}

#[test]
fn case_04_and_05_past_arguments_are_objects_at_every_target() {
    for (api, dialect) in pairs() {
        for (given, want) in [("", json!({})), ("{}", json!({})), ("{\"a\":\"x", json!({"a": "x"}))] {
            if api == Api::Messages && want != json!({}) {
                continue; // Its callers send objects.
            }
            let (body, _) = sent(api, &talk(api, &[("call_1", given)], &[("call_1", "ok")]), dialect);
            let (calls, _) = calls_and_results(dialect, &body);
            assert_eq!(calls, [("call_1".to_owned(), want)], "{} to {}", api.as_str(), dialect.as_str());
        }
    }
}

#[test]
fn case_06_ids_are_fitted_alike_in_calls_and_results() {
    for (api, dialect) in pairs() {
        let (body, _) =
            sent(api, &talk(api, &[("functions.f:0", "{}")], &[("functions.f:0", "ok")]), dialect);
        let (calls, results) = calls_and_results(dialect, &body);
        assert_eq!(calls[0].0, results[0].0, "{} to {}", api.as_str(), dialect.as_str());
        assert!(
            calls[0].0.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'),
            "{}",
            calls[0].0
        );
    }
}

#[test]
fn case_11_empty_text_beside_calls_is_no_block() {
    for dialect in [Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini] {
        let (body, _) = sent(Api::Chat, &talk(Api::Chat, &[("call_1", "{}")], &[("call_1", "ok")]), dialect);
        assert!(!body.to_string().contains(r#""text":"""#), "{body}");
    }
}

#[test]
fn case_12_and_13_schemas_are_of_objects_and_in_the_targets_subset() {
    let odd = json!({"$schema": "x", "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"oneOf": [{"type": "string"},
        {"type": ["integer", "null"]}]}, "c": {"const": 1}}, "$defs": {"A": {"type": "string"}}});
    for (api, dialect) in pairs() {
        for schema in [(api != Api::Messages).then_some(None), Some(Some(odd.clone()))].into_iter().flatten()
        {
            let bare = schema.is_none();
            let (body, _) = sent(api, &with(api, json!({"tools": [function(api, "f", schema)]})), dialect);
            let (_, schema) = first_tool(dialect, &body);
            if bare && dialect == Dialect::Gemini {
                // There a function without arguments has no schema at all.
                assert_eq!(schema, Value::Null);
                continue;
            }
            let kind = schema["type"].as_str().unwrap().to_ascii_lowercase();
            assert_eq!(kind, "object", "{} to {}: {schema}", api.as_str(), dialect.as_str());
            if dialect == Dialect::Gemini {
                for word in ["$ref", "$schema", "$defs", "oneOf", "const"] {
                    assert!(!schema.to_string().contains(&format!("\"{word}\"")), "{schema}");
                }
            }
        }
    }
}

#[test]
fn case_14_a_choice_without_tools_is_not_sent() {
    for (api, dialect) in pairs() {
        let choice = if api == Api::Messages { json!({"type": "any"}) } else { json!("required") };
        for tools in [json!({"tool_choice": choice}), json!({"tool_choice": choice, "tools": []})] {
            let (body, _) = sent(api, &with(api, tools), dialect);
            for key in ["tools", "tool_choice", "toolConfig"] {
                assert_eq!(body.get(key), None, "{} to {}", api.as_str(), dialect.as_str());
            }
        }
    }
}

#[test]
fn case_15_a_forced_tool_and_thinking_never_meet_at_anthropic() {
    for (api, think, choice, told) in [
        (Api::Chat, json!("high"), json!("required"), "reasoning_effort"),
        (Api::Responses, json!({"effort": "high"}), json!("required"), "reasoning"),
    ] {
        let key = if api == Api::Chat { "reasoning_effort" } else { "reasoning" };
        let more = json!({key: think, "tool_choice": choice, "tools": [function(api, "f", None)]});
        let (body, dropped) = sent(api, &with(api, more.clone()), Dialect::Anthropic);
        assert_eq!(body["tool_choice"]["type"], "any");
        assert_ne!(body["thinking"]["type"], "enabled");
        assert_eq!(dropped, [told]);
        // One that always thinks cannot be forced.
        let (body, dropped) = sent_to(api, &with(api, more), Dialect::Anthropic, "claude-fable-5-1");
        assert_eq!(body["tool_choice"]["type"], "auto");
        assert_eq!(dropped, ["tool_choice"]);
    }
}

#[test]
fn case_16_effort_that_does_not_fit_into_the_limit_is_dropped() {
    let chat = with(Api::Chat, json!({"reasoning_effort": "high", "max_tokens": 600}));
    let responses = with(Api::Responses, json!({"reasoning": {"effort": "high"}, "max_output_tokens": 600}));
    for (api, call, told) in [(Api::Chat, chat, "reasoning_effort"), (Api::Responses, responses, "reasoning")]
    {
        let (body, dropped) = sent(api, &call, Dialect::Anthropic);
        assert_eq!((body.get("thinking"), &body["max_tokens"]), (None, &json!(600)));
        assert_eq!(dropped, [told]);
        let (body, _) = sent_to(api, &call, Dialect::Gemini, "gemini-2.5-flash");
        assert!(
            body["generationConfig"]["thinkingConfig"]["thinkingBudget"].as_u64().unwrap() < 600,
            "{body}"
        );
    }
}

#[test]
fn case_17_limits_have_the_targets_name_and_a_default() {
    for (api, dialect) in pairs() {
        let (body, _) = sent(api, &plain(api), dialect);
        let asked = (api == Api::Messages).then_some(json!(1000));
        let (found, want) = match dialect {
            Dialect::OpenAiChat => (body.get("max_completion_tokens").cloned(), asked),
            Dialect::OpenAiResponses => (body.get("max_output_tokens").cloned(), asked),
            Dialect::Anthropic => (body.get("max_tokens").cloned(), asked.or(Some(json!(32_000)))),
            Dialect::Gemini => (body["generationConfig"].get("maxOutputTokens").cloned(), asked),
        };
        assert_eq!(found, want, "{} to {}", api.as_str(), dialect.as_str());
    }
}

#[test]
fn case_18_stop_texts_are_as_many_as_the_target_takes_and_never_blank() {
    for (api, dialect) in pairs().filter(|(api, _)| *api != Api::Responses) {
        let key = if api == Api::Messages { "stop_sequences" } else { "stop" };
        let (body, dropped) = sent(api, &with(api, json!({key: ["A", " \n", "B", "C", "D"]})), dialect);
        let found = match dialect {
            Dialect::OpenAiChat => &body["stop"],
            Dialect::OpenAiResponses => &Value::Null,
            Dialect::Anthropic => &body["stop_sequences"],
            Dialect::Gemini => &body["generationConfig"]["stopSequences"],
        };
        let want =
            if dialect == Dialect::OpenAiResponses { Value::Null } else { json!(["A", "B", "C", "D"]) };
        assert_eq!(
            (found, dropped),
            (&want, vec![key.to_owned()]),
            "{} to {}",
            api.as_str(),
            dialect.as_str()
        );
    }
}

#[test]
fn case_25_every_call_has_one_answer_and_every_answer_a_call() {
    let calls = [("call_1", "{}"), ("call_2", "{}")];
    for (api, dialect) in pairs() {
        for results in [
            // Missing, twice, of no call, none at all.
            vec![("call_2", "two")],
            vec![("call_1", "one"), ("call_1", "one"), ("call_2", "two")],
            vec![("call_9", "nine"), ("call_2", "two"), ("call_1", "one")],
            vec![],
        ] {
            let given = talk(api, &calls, &results);
            let (body, _) = sent(api, &given, dialect);
            let (made, answered) = calls_and_results(dialect, &body);
            let ids: Vec<&str> = made.iter().map(|(id, _)| id.as_str()).collect();
            let mut answers: Vec<&str> = answered.iter().map(|(id, _)| id.as_str()).collect();
            answers.sort_unstable();
            let pair = format!("{} to {}: {results:?}", api.as_str(), dialect.as_str());
            assert_eq!(
                (ids.as_slice(), answers.as_slice()),
                (&["call_1", "call_2"][..], &["call_1", "call_2"][..]),
                "{pair}"
            );
            if results.first() == Some(&("call_9", "nine")) {
                assert!(body.to_string().contains("nine"), "{pair}: {body}");
            }
        }
    }
}

#[test]
fn case_26_a_failed_tool_is_told_to_have_failed() {
    let mut call = talk(Api::Messages, &[("call_1", "{}")], &[("call_1", "No such file.")]);
    call["messages"][2]["content"][0]["is_error"] = json!(true);
    for dialect in [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Gemini] {
        let (body, _) = sent(Api::Messages, &call, dialect);
        let (_, results) = calls_and_results(dialect, &body);
        assert!(results[0].1.to_ascii_lowercase().contains("error"), "{results:?}");
        assert!(results[0].1.contains("No such file."), "{results:?}");
    }
    // Without a word it failed all the same; what says so already is not told twice.
    for (text, want) in [("", "Error"), ("error: none", "error: none")] {
        call["messages"][2]["content"][0]["content"] = json!(text);
        let (body, _) = sent(Api::Messages, &call, Dialect::OpenAiChat);
        assert_eq!(calls_and_results(Dialect::OpenAiChat, &body).1[0].1, want);
        let (body, _) = sent(Api::Messages, &call, Dialect::OpenAiResponses);
        assert_eq!(calls_and_results(Dialect::OpenAiResponses, &body).1[0].1, format!("{want:?}"));
    }
}

#[test]
fn case_27_and_28_and_29_files_keep_their_kind_their_place_and_their_type() {
    let image = |url: &str| {
        match url {
            "jpg" => "data:image/jpg;charset=utf-8;base64,/9j/",
            url => url,
        }
        .to_owned()
    };
    for (given, mime) in [("jpg", Some("image/jpeg")), ("https://example.com/a.png", None)] {
        let url = image(given);
        let chat = json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url",
            "image_url": {"url": url}}]}]});
        let responses = json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_image",
            "image_url": url}]}]});
        for (api, call) in [(Api::Chat, chat), (Api::Responses, responses)] {
            let (anthropic, _) = sent(api, &call, Dialect::Anthropic);
            let source = &anthropic["messages"][0]["content"][0]["source"];
            let (gemini, _) = sent(api, &call, Dialect::Gemini);
            let part = &gemini["contents"][0]["parts"][0];
            if mime.is_some() {
                assert_eq!(source, &json!({"type": "base64", "media_type": "image/jpeg", "data": "/9j/"}));
                assert_eq!(part["inlineData"], json!({"mimeType": "image/jpeg", "data": "/9j/"}));
            } else {
                assert_eq!(source, &json!({"type": "url", "url": url}));
                assert_eq!(part["fileData"]["fileUri"], json!(url));
            }
        }
    }
    let (pdf, _) = sent(
        Api::Messages,
        &json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}]}]}),
        Dialect::OpenAiChat,
    );
    assert_eq!(pdf["messages"][0]["content"][0]["file"]["file_data"], "data:application/pdf;base64,JVBE");
}

#[test]
fn case_40_unknown_fields_are_named_and_never_cross() {
    for (api, dialect) in pairs() {
        let (body, dropped) = sent(api, &with(api, json!({"glitter": {"x": 1}})), dialect);
        assert_eq!(dropped, ["glitter"], "{} to {}", api.as_str(), dialect.as_str());
        assert!(!body.to_string().contains("glitter"));
    }
}

#[test]
fn case_07_names_fit_the_target_and_tools_of_one_request_stay_different() {
    let long = ["a".repeat(100), format!("{}b", "a".repeat(99))];
    for (api, dialect) in pairs().filter(|(api, _)| *api != Api::Chat) {
        let tools: Vec<Value> =
            long.iter().map(|name| function(api, name, Some(json!({"type": "object"})))).collect();
        let call = with(api, json!({"tools": tools}));
        let body: Value = serde_json::from_slice(&out(api, &call, dialect, model(dialect)).body).unwrap();
        let (first, _) = first_tool(dialect, &body);
        let most = if matches!(dialect, Dialect::OpenAiChat | Dialect::Gemini) { 64 } else { 128 };
        assert!(first.len() <= most, "{} to {}: {first}", api.as_str(), dialect.as_str());
        assert_eq!(body.to_string().matches(&first).count(), 1, "two tools share a name");
    }
}
