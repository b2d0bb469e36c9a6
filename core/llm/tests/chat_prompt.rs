//! Chat bodies as neutral requests, and neutral requests as bodies for chat targets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use serde_json::{Value, json};
use weir_llm::chat::{body, prompt};
use weir_llm::json::Json;
use weir_llm::neutral::prompt::Dropped;
use weir_llm::neutral::{
    By, CacheTtl, Call, Content, Effort, Format, Media, MediaKind, Param, Part, Prompt, Reasoning, Role,
    Seal, Source, Target, Thinking, Tool, ToolChoice, ToolResult, Turn,
};
use weir_llm::vendor::{self, Vendor};

fn read<R>(body: &Value, check: impl FnOnce(Prompt<'_>) -> R) -> R {
    let json = Json::parse(body.to_string().into()).unwrap();
    check(prompt(json.root()))
}

fn messages<R>(messages: Value, check: impl FnOnce(Prompt<'_>) -> R) -> R {
    read(&json!({"model": "m", "messages": messages}), check)
}

fn target(vendor: &Vendor) -> Target<'_> {
    Target { model: "up", cap: None, output_limit: 0, vendor }
}

fn named(name: &str) -> &'static Vendor {
    vendor::by_name(name).unwrap()
}

fn write(prompt: &Prompt<'_>, vendor: &str) -> (Value, Vec<Dropped>) {
    let vendor = if vendor.is_empty() { &vendor::UNKNOWN } else { named(vendor) };
    let body = body(prompt, &target(vendor)).unwrap();
    (serde_json::from_slice(&body.json).unwrap(), body.dropped)
}

/// A chat body read and written for a vendor.
fn across(body: Value, vendor: &str) -> (Value, Vec<Dropped>) {
    read(&body, |prompt| write(&prompt, vendor))
}

fn asking(more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn turn<'a>(role: Role, parts: Vec<Content<'a>>) -> Turn<'a> {
    Turn { role, parts: parts.into_iter().map(Part::new).collect(), name: None }
}

fn call(id: &'static str, arguments: &'static str) -> Content<'static> {
    Content::Call(Call {
        id: id.into(),
        name: "f".into(),
        arguments: arguments.into(),
        custom: false,
        seal: None,
    })
}

fn result<'a>(id: &'a str, parts: Vec<Content<'a>>) -> Content<'a> {
    let parts = parts.into_iter().map(Part::new).collect();
    Content::Result(ToolResult { id: id.into(), parts, is_error: false, custom: false })
}

fn said<'a>(turns: Vec<Turn<'a>>) -> Prompt<'a> {
    Prompt { model: "m".into(), turns, ..Prompt::default() }
}

fn image() -> Content<'static> {
    Content::Media(Media {
        kind: MediaKind::Image,
        source: Source::Base64("AA==".into()),
        mime: Some("image/png".into()),
        name: None,
        detail: None,
    })
}

fn pdf(source: Source<'static>) -> Content<'static> {
    let (mime, name) = (Some("application/pdf".into()), Some("a.pdf".into()));
    Content::Media(Media { kind: MediaKind::Document, source, mime, name, detail: None })
}

#[test]
fn a_chat_body_survives_the_neutral_model() {
    let body = json!({
        "model": "up",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "user", "content": [
                {"type": "text", "text": "look \"here\""},
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "input_audio", "input_audio": {"data": "BB==", "format": "mp3"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,CC=="}},
                {"type": "file", "file": {"file_id": "file-1"}},
            ], "name": "ann"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"id": "c2", "type": "custom", "custom": {"name": "patch", "input": "*** x"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "1"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "2"}, {"type": "text", "text": "3"}]},
            {"role": "assistant", "content": null, "refusal": "no"},
            {"role": "user", "content": "why"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}, "strict": false}},
            {"type": "custom", "custom": {"name": "patch", "description": "p", "format": {"type": "text"}}},
        ],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
            {"type": "custom", "custom": {"name": "patch"}}]}},
        "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "r", "strict": true, "schema": {"type": "object", "properties": {}, "additionalProperties": false}}},
        "n": 2,
        "max_completion_tokens": 5,
        "stop": ["x"],
        "temperature": 0.5, "top_p": 1, "seed": 7, "frequency_penalty": 0.1, "presence_penalty": -1,
        "logprobs": true, "top_logprobs": 3,
        "reasoning_effort": "high",
        "logit_bias": {"1": 2},
        "user": "u", "service_tier": "flex", "verbosity": "low", "prompt_cache_key": "k", "store": true,
        "metadata": {"a": "b"},
        "stream": true, "stream_options": {"include_usage": true},
    });
    let (back, dropped) = across(body.clone(), "openai");
    assert_eq!(dropped, []);
    assert_eq!(back, body);
}

#[test]
fn results_of_neighbouring_messages_are_one_turn() {
    let body = json!([
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"type": "custom", "custom": {"name": "g", "input": "x"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "content": "2"},
        {"role": "user", "content": "and"},
    ]);
    messages(body, |prompt| {
        assert_eq!(prompt.turns.len(), 3);
        let parts = &prompt.turns[1].parts;
        let ids: Vec<_> = parts
            .iter()
            .map(|part| match &part.content {
                Content::Result(result) => (result.id.to_string(), result.custom),
                _ => panic!("a result"),
            })
            .collect();
        // The second has no id: it answers the call that is open.
        let Content::Call(open) = &prompt.turns[0].parts[1].content else { panic!("a call") };
        assert_eq!(ids, [("a".to_owned(), false), (open.id.to_string(), true)]);
        assert!(open.id.starts_with("call_"));
    });
}

#[test]
fn case_11_empty_content_beside_calls_is_no_text() {
    let call = json!([{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    for content in [json!(""), json!([{"type": "text", "text": ""}]), Value::Null] {
        messages(json!([{"role": "assistant", "content": content, "tool_calls": call}]), |prompt| {
            assert!(matches!(prompt.turns[0].parts.as_slice(), [Part { content: Content::Call(_), .. }]));
        });
    }
}

#[test]
fn legacy_functions_are_tools() {
    let body = json!({"model": "m", "messages": [
        {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
    ], "functions": [{"name": "f"}], "function_call": {"name": "f"}});
    read(&body, |prompt| {
        let Content::Call(call) = &prompt.turns[0].parts[0].content else { panic!("a call") };
        let Content::Result(result) = &prompt.turns[1].parts[0].content else { panic!("a result") };
        assert_eq!(call.id, result.id);
        assert!(prompt.tool_choice == Some(ToolChoice::Tool("f".into())));
        assert!(matches!(&prompt.tools[..], [Tool::Function { parameters: None, .. }]));
        assert_eq!(prompt.rest.len(), 0);
    });
}

#[test]
fn cache_marks_are_read_wherever_callers_put_them() {
    let mark = json!({"type": "ephemeral", "ttl": "1h"});
    let body = json!({"model": "m", "messages": [
        {"role": "system", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": "b", "cache_control": mark},
    ], "tools": [{"type": "function", "function": {"name": "f"}, "cache_control": mark}]});
    read(&body, |prompt| {
        assert_eq!(prompt.turns[0].parts[0].cache, Some(CacheTtl::FiveMinutes));
        assert_eq!(prompt.turns[1].parts[0].cache, Some(CacheTtl::OneHour));
        assert!(matches!(prompt.tools[0], Tool::Function { cache: Some(CacheTtl::OneHour), .. }));
    });
}

#[test]
fn case_29_data_urls_are_media_of_their_type() {
    for (url, kind, mime) in [
        ("data:image/jpg;base64,AA", MediaKind::Image, "image/jpeg"),
        ("data:image/PNG;name=x;base64,AA", MediaKind::Image, "image/png"),
        ("data:application/pdf;base64,AA", MediaKind::Document, "application/pdf"),
    ] {
        messages(
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]),
            |p| {
                let Content::Media(media) = &p.turns[0].parts[0].content else { panic!("media") };
                assert_eq!((media.kind, media.mime.as_deref()), (kind, Some(mime)), "{url}");
            },
        );
    }
}

#[test]
fn how_hard_to_think_is_read_in_three_forms() {
    let on = |effort, budget| Reasoning { effort, budget, off: false, summary: Some("auto".into()) };
    let off = |effort| Reasoning { effort, budget: None, off: true, summary: None };
    for (given, want) in [
        (json!({"reasoning_effort": "low"}), Reasoning { effort: Some(Effort::Low), ..Reasoning::default() }),
        (json!({"reasoning_effort": "none"}), off(Some(Effort::None))),
        (json!({"reasoning": {"effort": "high"}}), on(Some(Effort::High), None)),
        (
            json!({"reasoning": {"max_tokens": 9, "exclude": true}}),
            Reasoning { budget: Some(9), ..Reasoning::default() },
        ),
        (json!({"reasoning": {"enabled": false}}), off(None)),
        (json!({"thinking": {"type": "enabled", "budget_tokens": 9}}), on(None, Some(9))),
        (json!({"thinking": {"type": "disabled"}}), off(None)),
    ] {
        read(&asking(given.clone()), |prompt| assert!(prompt.reasoning == Some(want), "{given}"));
    }
    read(&asking(json!({"reasoning_effort": "default"})), |prompt| {
        assert!(prompt.reasoning.is_none());
        assert_eq!(prompt.rest[0].0, "reasoning_effort");
    });
}

#[test]
fn a_model_that_reasons_takes_no_sampling() {
    let sent = |model| {
        read(
            &asking(json!({"temperature": 0.2, "top_p": 0.9, "logprobs": true, "top_logprobs": 2})),
            |prompt| {
                let body = body(&prompt, &Target { model, ..target(named("openai")) }).unwrap();
                let json: Value = serde_json::from_slice(&body.json).unwrap();
                let kept =
                    ["temperature", "top_p", "logprobs", "top_logprobs"].map(|key| json.get(key).is_some());
                (kept, body.dropped)
            },
        )
    };
    let left_out = [Param::Temperature, Param::TopP, Param::Logprobs].map(Dropped::Param);
    assert_eq!(sent("gpt-6.1-sol"), ([false; 4], left_out.to_vec()));
    assert_eq!(sent("gpt-4o"), ([true; 4], vec![]));
}

#[test]
fn case_17_the_smaller_bound_counts_and_has_the_targets_name() {
    let (openai, _) = across(asking(json!({"max_tokens": 9, "max_completion_tokens": 7})), "openai");
    assert_eq!((&openai["max_completion_tokens"], &openai["max_tokens"]), (&json!(7), &Value::Null));
    let prompt = Prompt { max_output: Some(100), ..said(vec![]) };
    let bounded = Target { cap: Some(40), output_limit: 60, ..target(&vendor::UNKNOWN) };
    let written: Value = serde_json::from_slice(&body(&prompt, &bounded).unwrap().json).unwrap();
    assert_eq!(written["max_tokens"], 40);
    let limited = Target { output_limit: 60, ..target(&vendor::UNKNOWN) };
    let written: Value = serde_json::from_slice(&body(&prompt, &limited).unwrap().json).unwrap();
    assert_eq!(written["max_tokens"], 60);
}

#[test]
fn case_18_more_stop_texts_than_the_target_takes_are_noted() {
    let stop = json!({"stop": ["a", "b", " ", "c", "d", "e"]});
    let (body, dropped) = across(asking(stop.clone()), "openai");
    assert_eq!(body["stop"], json!(["a", "b", "c", "d"]));
    assert_eq!(dropped, [Dropped::Param(Param::Stop)]);
    let (body, _) = across(asking(stop), "deepseek");
    assert_eq!(body["stop"].as_array().unwrap().len(), 5);
}

#[test]
fn case_12_a_tool_without_parameters_takes_an_empty_object() {
    let (body, _) = across(asking(json!({"tools": [{"type": "function", "function": {"name": "f"}}]})), "");
    assert_eq!(body["tools"][0]["function"]["parameters"], json!({"type": "object", "properties": {}}));
}

#[test]
fn case_14_a_choice_without_tools_is_left_out() {
    let (body, dropped) =
        across(asking(json!({"tools": [], "tool_choice": "auto", "parallel_tool_calls": true})), "openai");
    assert_eq!(dropped, []);
    assert!(["tools", "tool_choice", "parallel_tool_calls"].iter().all(|key| body.get(key).is_none()));
    let (body, dropped) = across(asking(json!({"tool_choice": "required"})), "openai");
    assert!(body.get("tool_choice").is_none());
    assert_eq!(dropped, [Dropped::Param(Param::ToolChoice)]);
}

#[test]
fn hosted_tools_are_dropped_by_name() {
    let hosted = Tool::Hosted { kind: "web_search".into(), json: "{}".into() };
    let prompt = Prompt { tools: vec![hosted], ..said(vec![]) };
    let (body, dropped) = write(&prompt, "openai");
    assert!(body.get("tools").is_none());
    assert_eq!(dropped, [Dropped::Named("tools[web_search]".into())]);
}

#[test]
fn case_06_ids_are_fitted_alike_in_call_and_result() {
    let turns = || {
        vec![
            turn(Role::Assistant, vec![call("functions.x:0", "{}")]),
            turn(Role::User, vec![result("functions.x:0", vec![Content::text("1")])]),
        ]
    };
    for vendor in ["openai", "mistral"] {
        let (body, _) = write(&said(turns()), vendor);
        let id = body["messages"][0]["tool_calls"][0]["id"].as_str().unwrap();
        assert!(id.len() <= 40 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
        assert_eq!(body["messages"][1]["tool_call_id"], id);
    }
}

#[test]
fn case_07_long_names_are_cut_and_come_back() {
    let long = "n".repeat(70);
    let body_json = asking(json!({
        "tools": [{"type": "function", "function": {"name": long}}],
        "tool_choice": {"type": "function", "function": {"name": long}},
    }));
    read(&body_json, |prompt| {
        let body = body(&prompt, &target(&vendor::UNKNOWN)).unwrap();
        let json: Value = serde_json::from_slice(&body.json).unwrap();
        let name = json["tools"][0]["function"]["name"].as_str().unwrap();
        assert!(name.len() <= 64);
        assert_eq!(json["tool_choice"]["function"]["name"], name);
        assert_eq!(body.names.at_caller(name), long);
    });
}

#[test]
fn case_25_every_call_has_one_result_right_behind_it() {
    let prompt = said(vec![
        turn(Role::Assistant, vec![Content::text("on it"), call("a", "{}")]),
        turn(Role::Assistant, vec![call("b", "{}"), call("c", "{}")]),
        turn(Role::User, vec![Content::text("meanwhile"), result("b", vec![Content::text("B")])]),
        turn(
            Role::User,
            vec![
                result("a", vec![Content::text("A")]),
                result("a", vec![Content::text("twice")]),
                result("zzz", vec![Content::text("whose?")]),
            ],
        ),
    ]);
    let (body, _) = write(&prompt, "openai");
    let told = body["messages"].as_array().unwrap().iter().map(|message| {
        (message["role"].as_str().unwrap(), message["tool_call_id"].as_str(), message["content"].clone())
    });
    let orphan =
        |text: &str| json!({"type": "text", "text": format!("Result of an earlier tool call:\n{text}")});
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("assistant", None, json!("on it")),
            ("tool", Some("a"), json!("A")),
            ("tool", Some("b"), json!("B")),
            ("tool", Some("c"), json!("(no result)")),
            ("user", None, json!("meanwhile")),
            ("user", None, json!([orphan("twice"), orphan("whose?")])),
        ]
    );
}

#[test]
fn case_26_images_of_results_move_into_a_message_of_the_users() {
    let prompt = said(vec![
        turn(Role::Assistant, vec![call("a", "{}"), call("b", "{}")]),
        turn(Role::User, vec![result("a", vec![Content::text("seen"), image()]), result("b", vec![])]),
    ]);
    let (body, _) = write(&prompt, "openai");
    assert_eq!(body["messages"][1]["content"], "seen");
    assert_eq!(body["messages"][2]["content"], "");
    assert_eq!(
        body["messages"][3],
        json!({"role": "user", "content": [
            {"type": "text", "text": "Attached to the result of tool call a:"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        ]})
    );
}

#[test]
fn case_27_documents_are_files() {
    let prompt = said(vec![turn(Role::User, vec![pdf(Source::Base64("AA".into()))])]);
    let (body, _) = write(&prompt, "openai");
    assert_eq!(
        body["messages"][0]["content"][0]["file"],
        json!({
            "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA",
        })
    );
    let prompt = said(vec![turn(Role::User, vec![pdf(Source::Text("words".into()))])]);
    assert_eq!(write(&prompt, "openai").0["messages"][0]["content"], "a.pdf\n\nwords");
    let prompt = said(vec![turn(Role::User, vec![pdf(Source::Url("https://x/a.pdf".into()))])]);
    let refused = weir_llm::chat::body(&prompt, &target(named("openai"))).unwrap_err();
    assert_eq!(refused.param, Param::Messages);
    assert!(!refused.message.contains("x/a.pdf"));
}

#[test]
fn case_05_truncated_arguments_stay_an_object() {
    let prompt = said(vec![turn(Role::Assistant, vec![call("a", "{\"x\":\"y")])]);
    assert_eq!(
        write(&prompt, "").0["messages"][0]["tool_calls"][0]["function"]["arguments"],
        "{\"x\":\"y\"}"
    );
}

#[test]
fn several_answers_are_refused_where_the_target_gives_one() {
    let prompt = Prompt { choices: 2, ..said(vec![]) };
    let refused = weir_llm::chat::body(&prompt, &target(named("groq"))).unwrap_err();
    assert_eq!(refused.param, Param::Choices);
}

#[test]
fn keys_that_are_too_long_are_shortened() {
    let prompt = Prompt { user: Some("u".repeat(200).into()), ..said(vec![]) };
    let user = write(&prompt, "openai").0["user"].as_str().unwrap().to_owned();
    assert!(user.len() <= 64 && user.starts_with("uuu"));
}

fn thinking(seal: Option<Seal<'static>>) -> Content<'static> {
    Content::Thinking(Thinking { text: "hm".into(), seal })
}

// One test for each quirk, named after it.

#[test]
fn quirk_completion_tokens() {
    let body = |vendor| across(asking(json!({"max_tokens": 5})), vendor).0;
    assert_eq!(body("groq")["max_completion_tokens"], 5);
    assert_eq!(body("together")["max_tokens"], 5);
}

#[test]
fn quirk_developer_role() {
    let body = json!({"model": "m", "messages": [{"role": "developer", "content": "x"}]});
    assert_eq!(across(body.clone(), "openai").0["messages"][0]["role"], "developer");
    assert_eq!(across(body, "deepseek").0["messages"][0]["role"], "system");
}

#[test]
fn quirk_stream_usage() {
    let body = |vendor| across(asking(json!({"stream": true})), vendor).0;
    assert_eq!(body("")["stream_options"], json!({"include_usage": true}));
    assert_eq!(body("mistral").get("stream_options"), None);
}

#[test]
fn quirk_tool_choice_any() {
    let body = |vendor| {
        let tools =
            json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"});
        across(asking(tools), vendor).0["tool_choice"].clone()
    };
    assert_eq!((body("mistral"), body("openai")), (json!("any"), json!("required")));
}

#[test]
fn quirk_nine_letter_ids() {
    let prompt = said(vec![turn(Role::Assistant, vec![call("call_1", "{}")])]);
    let id =
        |vendor| write(&prompt, vendor).0["messages"][0]["tool_calls"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!((id("mistral").len(), id("openai")), (9, "call_1".to_owned()));
}

#[test]
fn quirk_random_seed() {
    let body = |vendor| across(asking(json!({"seed": 7})), vendor).0;
    assert_eq!((&body("mistral")["random_seed"], &body("openai")["seed"]), (&json!(7), &json!(7)));
}

#[test]
fn quirk_json_schema() {
    let format = Format::JsonSchema {
        name: None,
        description: None,
        schema: r#"{"type":"object"}"#.into(),
        strict: None,
    };
    let prompt = Prompt { format: Some(format), ..said(vec![turn(Role::User, vec![Content::text("hi")])]) };
    let (body, dropped) = write(&prompt, "deepseek");
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    assert!(body["messages"][0]["content"].as_str().unwrap().contains(r#"{"type":"object"}"#));
    assert_eq!(dropped, []);
    assert_eq!(
        write(&prompt, "openai").0["response_format"],
        json!({
            "type": "json_schema", "json_schema": {"name": "response", "schema": {"type": "object"}},
        })
    );
}

#[test]
fn quirk_custom_tools() {
    let tools = json!({
        "tools": [{"type": "custom", "custom": {"name": "patch"}}, {"type": "function", "function": {"name": "f"}}],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "custom", "custom": {"name": "patch"}}]}},
    });
    let mut asked = asking(tools);
    asked["messages"] = json!([{"role": "assistant", "content": null, "refusal": null, "tool_calls": [
        {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "x"}}]}, {"role": "tool", "tool_call_id": "c", "content": "done"}, {"role": "assistant", "refusal": "no"}]);
    read(&asked, |prompt| {
        let body = body(&prompt, &target(&vendor::UNKNOWN)).unwrap();
        assert!(body.names.is_wrapped("patch") && !body.names.is_wrapped("f"));
        let json: Value = serde_json::from_slice(&body.json).unwrap();
        assert_eq!(json["tools"].as_array().unwrap().len(), 1);
        assert_eq!(json["tools"][0]["function"]["parameters"]["required"], json!(["input"]));
        assert_eq!(json["tool_choice"], "auto");
        assert_eq!(json["messages"][0]["tool_calls"][0]["function"]["arguments"], r#"{"input":"x"}"#);
        assert_eq!(json["messages"][1]["content"], "done");
        assert_eq!(json["messages"][2]["content"], "no");
        let (json, _) = write(&prompt, "openai");
        assert_eq!(json["tools"].as_array().unwrap().len(), 2);
        assert_eq!(json["tool_choice"]["allowed_tools"]["tools"][0]["custom"]["name"], "patch");
        assert_eq!(json["messages"][2]["refusal"], "no");
    });
}

#[test]
fn quirk_string_content() {
    let prompt = said(vec![turn(Role::User, vec![Content::text("a"), Content::text("b")])]);
    assert_eq!(write(&prompt, "deepseek").0["messages"][0]["content"], "a\nb");
    assert_eq!(write(&prompt, "openai").0["messages"][0]["content"].as_array().unwrap().len(), 2);
}

#[test]
fn quirk_speaker_names() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x", "name": "ann"}]});
    assert_eq!(across(body.clone(), "openai").0["messages"][0]["name"], "ann");
    let (groq, dropped) = across(body, "groq");
    assert_eq!(groq["messages"][0].get("name"), None);
    assert_eq!(dropped, [Dropped::Named("messages[name]".into())]);
}

#[test]
fn quirk_cache_marks() {
    let part = Part { content: Content::text("a"), cache: Some(CacheTtl::OneHour) };
    let prompt = said(vec![Turn { role: Role::System, parts: vec![part], name: None }]);
    assert_eq!(
        write(&prompt, "openrouter").0["messages"][0]["content"],
        json!([
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}])
    );
    let (body, dropped) = write(&prompt, "openai");
    assert_eq!(body["messages"][0]["content"], "a");
    assert_eq!(dropped, []);
}

#[test]
fn quirk_file_urls() {
    let prompt = said(vec![turn(Role::User, vec![pdf(Source::Url("https://x/a.pdf".into()))])]);
    let (body, _) = write(&prompt, "openrouter");
    assert_eq!(body["messages"][0]["content"][0]["file"]["file_data"], "https://x/a.pdf");
}

#[test]
fn quirk_reasoning() {
    let effort = |effort, vendor| {
        let reasoning = Reasoning { effort: Some(effort), ..Reasoning::default() };
        write(&Prompt { reasoning: Some(reasoning), ..said(vec![]) }, vendor)
    };
    assert_eq!(effort(Effort::Xhigh, "openai").0["reasoning_effort"], "xhigh");
    assert_eq!(effort(Effort::Xhigh, "groq").0["reasoning_effort"], "high");
    assert_eq!(effort(Effort::None, "openai").0["reasoning_effort"], "none");
    let (body, dropped) = effort(Effort::None, "groq");
    assert_eq!(body.get("reasoning_effort"), None);
    assert_eq!(dropped, [Dropped::Param(Param::Reasoning)]);
    assert_eq!(effort(Effort::Low, "openrouter").0["reasoning"], json!({"effort": "low"}));
    assert_eq!(effort(Effort::None, "openrouter").0["reasoning"], json!({"enabled": false}));
    let (deepseek, _) = effort(Effort::Medium, "deepseek");
    assert_eq!(deepseek["thinking"], json!({"type": "enabled"}));
    assert_eq!(deepseek["reasoning_effort"], "high");
    let (deepseek, dropped) = effort(Effort::None, "deepseek");
    assert_eq!((&deepseek["thinking"]["type"], deepseek.get("reasoning_effort")), (&json!("disabled"), None));
    assert_eq!(dropped, []);
    assert_eq!(effort(Effort::None, "vllm").0["chat_template_kwargs"], json!({"enable_thinking": false}));
    let budget = Reasoning { budget: Some(4_000), ..Reasoning::default() };
    let prompt = Prompt { reasoning: Some(budget), ..said(vec![]) };
    assert_eq!(write(&prompt, "openai").0["reasoning_effort"], "medium");
    assert_eq!(write(&prompt, "openrouter").0["reasoning"], json!({"max_tokens": 4_000}));
}

#[test]
fn quirk_reasoning_echo() {
    let seal = Seal { by: By::Anthropic, data: "c2ln".into(), hidden: false };
    let prompt = said(vec![
        turn(Role::User, vec![Content::text("1")]),
        turn(Role::Assistant, vec![thinking(None), Content::text("2")]),
        turn(Role::User, vec![Content::text("3")]),
        turn(Role::Assistant, vec![thinking(Some(seal)), thinking(None), call("a", "{}")]),
        turn(Role::User, vec![result("a", vec![])]),
    ]);
    let echoed = |vendor, key: &str| {
        let (body, _) = write(&prompt, vendor);
        [1, 3].map(|at| body["messages"][at].get(key).cloned())
    };
    assert_eq!(echoed("deepseek", "reasoning_content"), [None, Some(json!("hm"))]);
    assert_eq!(echoed("openai", "reasoning_content"), [None, None]);
    assert_eq!(echoed("openrouter", "reasoning"), [Some(json!("hm")), None]);
    let [_, sealed] = echoed("openrouter", "reasoning_details");
    assert_eq!(
        sealed.unwrap()[0],
        json!({
            "type": "reasoning.text", "text": "hm", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0,
        })
    );
}

#[test]
fn quirk_max_stop() {
    assert!(vendor::all().iter().all(|vendor| vendor.quirks.max_stop >= 4));
    let (_, dropped) = across(asking(json!({"stop": ["a", "b", "c", "d", "e"]})), "groq");
    assert_eq!(dropped, [Dropped::Param(Param::Stop)]);
}

#[test]
fn quirk_fields() {
    let asked = json!({
        "top_k": 4, "verbosity": "low", "service_tier": "flex", "store": true, "prompt_cache_key": "k",
        "metadata": {"a": "b"}, "logprobs": true, "user": "u",
    });
    let (body, dropped) = across(asking(asked.clone()), "mistral");
    for key in asked.as_object().unwrap().keys() {
        assert_eq!(body.get(key), None, "{key}");
    }
    let params = [
        Param::TopK,
        Param::Logprobs,
        Param::ServiceTier,
        Param::Verbosity,
        Param::CacheKey,
        Param::Store,
        Param::Metadata,
    ];
    assert_eq!(dropped, params.map(Dropped::Param));
    let (body, dropped) = across(asking(asked), "openai");
    assert_eq!(dropped, [Dropped::Param(Param::TopK)]);
    assert_eq!(body["metadata"], json!({"a": "b"}));
    assert_eq!(across(asking(json!({"top_k": 4})), "openrouter").0["top_k"], 4);
    // Not to store is what all do who have no store.
    assert_eq!(across(asking(json!({"store": false})), "groq").1, []);
}

/// The same as for bytes that pass: what may be stored is not, and who has no store is not asked.
#[test]
fn what_nobody_may_store_says_so_where_there_may_be_a_store() {
    for (asked, vendor, told) in [
        (json!({}), "openai", json!(false)),
        (json!({ "store": true }), "openai", json!(false)),
        (json!({}), "", json!(false)),
        (json!({}), "mistral", Value::Null),
        (json!({ "store": false }), "groq", Value::Null),
    ] {
        let (body, dropped) = read(&asking(asked.clone()), |prompt| {
            write(&Prompt { store: Some(false), unstored: true, ..prompt }, vendor)
        });
        assert_eq!((&body["store"], dropped.as_slice()), (&told, &[][..]), "{asked} for {vendor}");
    }
    assert_eq!(across(asking(json!({})), "openai").0.get("store"), None, "it is said only where it must be");
    assert_eq!(across(asking(json!({ "store": false })), "").0.get("store"), None);
}

#[test]
fn quirk_own() {
    let asked = asking(json!({"min_p": 0.1, "logit_bias": {"1": 1}, "context_management": {}}));
    let (body, dropped) = across(asked, "together");
    assert_eq!((&body["min_p"], body.get("context_management")), (&json!(0.1), None));
    assert_eq!(dropped, [Dropped::Named("context_management".into())]);
}
