//! The dialect `openai-responses`: a caller's body as a prompt, and a prompt as a body for a provider.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use serde_json::{Value, json};
use weir_llm::api::Api;
use weir_llm::json::Json;
use weir_llm::neutral::names::fitted_id;
use weir_llm::neutral::prompt::Dropped;
use weir_llm::neutral::{
    By, CacheTtl, Call, Content, Effort, Format, Media, MediaKind, Part, Prompt, Reasoning, Role, Seal,
    Source, Target, Thinking, Tool, ToolChoice, ToolResult, Turn,
};
use weir_llm::responses::{body, prompt};
use weir_llm::vendor::{self, UNKNOWN};

const TARGET: Target<'static> = Target { model: "gpt", cap: None, output_limit: 0, vendor: &UNKNOWN };

fn parse(body: &Value) -> Json {
    Json::parse(body.to_string().into()).unwrap()
}

/// The body and what was dropped, in the words of chat's callers.
fn sent(prompt: &Prompt<'_>) -> (Value, Vec<String>) {
    sent_to(prompt, &TARGET)
}

fn sent_to(prompt: &Prompt<'_>, target: &Target<'_>) -> (Value, Vec<String>) {
    let body = body(prompt, target).unwrap();
    let dropped = body.dropped.iter().map(|dropped| match dropped {
        Dropped::Param(param) => param.name(Api::Chat).to_owned(),
        Dropped::Named(name) => name.clone(),
    });
    (serde_json::from_slice(&body.json).unwrap(), dropped.collect())
}

fn turn<'a>(role: Role, parts: Vec<Content<'a>>) -> Turn<'a> {
    Turn { role, parts: parts.into_iter().map(Part::new).collect(), name: None }
}

fn call(id: &'static str, arguments: &'static str) -> Content<'static> {
    let (name, custom) = ("f".into(), false);
    Content::Call(Call { id: id.into(), name, arguments: arguments.into(), custom, seal: None })
}

fn answer(id: &'static str, parts: Vec<Content<'static>>, is_error: bool) -> Content<'static> {
    let parts = parts.into_iter().map(Part::new).collect();
    Content::Result(ToolResult { id: id.into(), parts, is_error, custom: false })
}

fn input(turns: Vec<Turn<'_>>) -> Value {
    sent(&Prompt { turns, ..Prompt::default() }).0["input"].clone()
}

fn function(name: &'static str) -> Tool<'static> {
    Tool::Function { name: name.into(), description: None, parameters: None, strict: None, cache: None }
}

#[test]
fn reads_every_kind_of_item() {
    let envelope = Seal { by: By::Anthropic, data: "c2ln".into(), hidden: false }.wrap("I think");
    let json = parse(&json!({"model": "m", "instructions": "be nice", "input": [
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": envelope},
        {"type": "reasoning", "id": "rs_2", "encrypted_content": "gAAA",
            "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "see", "annotations": [
                {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 3}]},
            {"type": "refusal", "refusal": "no"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "text"},
        {"type": "function_call_output", "call_id": "c1", "output": "ok"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "fine"}]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "mind",
            "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}]},
    ]}));
    let prompt = prompt(json.root());
    let roles: Vec<_> = prompt.turns.iter().map(|turn| (turn.role, turn.parts.len())).collect();
    let want =
        [(Role::System, 1), (Role::User, 1), (Role::Assistant, 6), (Role::User, 2), (Role::Assistant, 1)];
    assert_eq!(roles[..5], want);
    assert_eq!(roles[5], (Role::Developer, 1));
    assert_eq!(prompt.turns[5].parts[0].cache, Some(CacheTtl::OneHour));
    let made = &prompt.turns[2].parts;
    let foreign = Seal { by: By::Anthropic, data: "c2ln".into(), hidden: false };
    assert!(made[0].content == Content::Thinking(Thinking { text: "I think".into(), seal: Some(foreign) }));
    let own = Seal { by: By::OpenAi, data: "gAAA".into(), hidden: true };
    assert!(made[1].content == Content::Thinking(Thinking { text: "a\n\nb".into(), seal: Some(own) }));
    let Content::Text { text, citations } = &made[2].content else { panic!("no text") };
    assert!(text == "see" && citations[0].url.as_deref() == Some("https://x"));
    assert_eq!(citations[0].range, Some((0, 3)));
    assert!(made[3].content == Content::Refusal("no".into()));
    assert!(matches!(&made[5].content, Content::Call(call) if call.custom && call.arguments == "text"));
    assert!(matches!(&prompt.turns[3].parts[1].content, Content::Result(result) if result.custom));
    assert!(
        matches!(&prompt.turns[4].parts[0].content, Content::Other { kind, .. } if kind == "web_search_call")
    );
}

#[test]
fn reads_settings_and_keeps_what_only_this_api_knows() {
    let json = parse(
        &json!({"model": "m", "input": "hi", "max_output_tokens": 9, "temperature": 0.5, "top_p": 1,
        "top_logprobs": 2, "parallel_tool_calls": false, "user": "u", "safety_identifier": "s", "stream": true,
        "service_tier": "flex", "prompt_cache_key": "k", "metadata": {"a": "b"}, "store": false,
        "include": ["reasoning.encrypted_content"], "truncation": "auto", "client_metadata": {"x": 1},
        "stream_options": {"include_obfuscation": false}, "background": false, "conversation": null,
        "reasoning": {"effort": "none", "generate_summary": "auto", "mode": "pro"}, "max_tool_calls": 3,
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"},
            "strict": true}},
        "tools": [{"type": "function", "name": "f", "parameters": null}, {"type": "custom", "name": "g"},
            {"type": "namespace", "name": "n", "description": "d", "tools": []}, {"type": "tool_search"}],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}}),
    );
    let prompt = prompt(json.root());
    assert_eq!((prompt.max_output, prompt.logprobs, prompt.store), (Some(9), Some(2), Some(false)));
    assert_eq!((prompt.temperature.as_deref(), prompt.top_p.as_deref()), (Some("0.5"), Some("1")));
    assert_eq!((prompt.user.as_deref(), prompt.cache_key.as_deref()), (Some("s"), Some("k")));
    assert_eq!((prompt.service_tier.as_deref(), prompt.verbosity.as_deref()), (Some("flex"), Some("low")));
    assert!(prompt.stream && prompt.parallel_tools == Some(false));
    let reasoning = prompt.reasoning.unwrap();
    assert!(reasoning.off && reasoning.summary.as_deref() == Some("auto"));
    assert!(matches!(prompt.format, Some(Format::JsonSchema { strict: Some(true), .. })));
    let choice = ToolChoice::Allowed { names: vec!["f".into()], required: true };
    assert!(prompt.tool_choice == Some(choice));
    assert!(prompt.tools[0] == function("f"));
    assert!(matches!(&prompt.tools[2], Tool::Hosted { kind, .. } if kind == "tool_search"));
    let rest: Vec<_> = prompt.rest.iter().map(|(key, value)| (key.as_ref(), value.as_ref())).collect();
    assert_eq!(rest, [("reasoning.mode", "\"pro\""), ("truncation", "\"auto\""), ("max_tool_calls", "3")]);
}

#[test]
fn a_hosted_tools_choice_is_told_and_not_obeyed() {
    let json = parse(&json!({"model": "m", "input": "hi", "tool_choice": {"type": "file_search"}}));
    let prompt = prompt(json.root());
    assert!(prompt.tool_choice == Some(ToolChoice::Auto));
    assert_eq!(prompt.rest[0].0, "tool_choice");
}

#[test]
fn settings_are_written_and_what_has_no_field_is_listed() {
    let prompt = Prompt {
        turns: vec![
            turn(Role::System, vec![Content::text("one")]),
            turn(Role::Developer, vec![Content::text("two")]),
            turn(Role::User, vec![Content::text("hi")]),
            turn(Role::System, vec![Content::text("later")]),
        ],
        tools: vec![
            function("f"),
            Tool::Custom { name: "g".into(), description: None, format: None },
            Tool::Hosted { kind: "bash_20250124".into(), json: r#"{"type":"bash_20250124"}"#.into() },
            Tool::Hosted {
                kind: "web_search_20250305".into(),
                json: r#"{"type":"web_search_20250305","name":"web_search","allowed_domains":["a.b"]}"#
                    .into(),
            },
        ],
        tool_choice: Some(ToolChoice::Tool("g".into())),
        parallel_tools: Some(true),
        reasoning: Some(Reasoning {
            budget: Some(4096),
            summary: Some("auto".into()),
            ..Reasoning::default()
        }),
        max_output: Some(3),
        stop: vec!["x".into()],
        top_k: Some("1".into()),
        seed: Some("1".into()),
        logprobs: Some(0),
        user: Some("u".repeat(100).into()),
        service_tier: Some("standard_only".into()),
        store: Some(true),
        stream: true,
        rest: vec![("logit_bias".into(), "{}".into()), ("prompt_cache_retention".into(), "\"24h\"".into())],
        ..Prompt::default()
    };
    let (mut body, dropped) = sent(&prompt);
    let user = body["user"].take();
    assert_eq!(user.as_str().map(str::len), Some(64));
    let message = |role: &str, text: &str| json!({"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]});
    let want = json!({"model": "gpt", "instructions": "one\n\ntwo",
        "input": [message("user", "hi"), message("system", "later")],
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": false},
            {"type": "custom", "name": "g"},
            {"type": "web_search", "filters": {"allowed_domains": ["a.b"]}}],
        "tool_choice": {"type": "custom", "name": "g"}, "parallel_tool_calls": true,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "max_output_tokens": 16, "top_logprobs": 0, "user": null, "service_tier": "default", "store": false,
        "stream": true, "prompt_cache_retention": "24h"});
    assert_eq!(body, want);
    assert_eq!(dropped, ["tools[bash_20250124]", "logit_bias", "stop", "top_k", "seed", "store"]);
}

#[test]
fn case_17_limits_come_from_caller_plan_and_model() {
    for (wish, cap, limit, want) in [
        (None, None, 100, json!(null)),
        (Some(50), None, 0, json!(50)),
        (Some(50), None, 40, json!(40)),
        (Some(50), Some(30), 40, json!(30)),
        (None, Some(30), 40, json!(30)),
        (Some(1), None, 0, json!(16)),
    ] {
        let prompt = Prompt { max_output: wish, ..Prompt::default() };
        let target = Target { cap, output_limit: limit, ..TARGET };
        assert_eq!(sent_to(&prompt, &target).0["max_output_tokens"], want);
    }
}

#[test]
fn a_model_that_reasons_takes_no_sampling() {
    let asking = |effort| Prompt {
        temperature: Some("0.2".into()),
        top_p: Some("0.9".into()),
        logprobs: Some(2),
        reasoning: Some(Reasoning { effort, ..Reasoning::default() }),
        ..Prompt::default()
    };
    let sent = |model, vendor, effort| {
        let (body, dropped) = sent_to(&asking(effort), &Target { model, vendor, ..TARGET });
        let include = body["include"].as_array().cloned().unwrap_or_default();
        let told = include.contains(&json!("message.output_text.logprobs"));
        let kept = ["temperature", "top_p", "top_logprobs"].map(|key| !body[key].is_null());
        assert!(kept.iter().all(|kept| *kept == told), "{body}");
        assert_eq!(dropped.is_empty(), told, "{dropped:?}");
        dropped
    };
    let openai = vendor::by_name("openai").unwrap();
    assert_eq!(sent("gpt-6.1-sol", openai, None), ["temperature", "top_p", "logprobs"]);
    assert!(!sent("gpt-5.2", openai, Some(Effort::High)).is_empty());
    assert!(sent("gpt-5.2", openai, None).is_empty());
    assert!(sent("gpt-6-sol", openai, Some(Effort::None)).is_empty());
    assert!(sent("gpt-4o", openai, None).is_empty());
    // Who only serves such a model knows what to do.
    assert!(sent("gpt-6.1-sol", &UNKNOWN, None).is_empty());
    let default = Prompt { temperature: Some("1.0".into()), top_p: Some("1".into()), ..Prompt::default() };
    let target = Target { model: "gpt-6.1-sol", vendor: openai, ..TARGET };
    let (body, dropped) = sent_to(&default, &target);
    assert!(body.get("temperature").is_none() && body.get("top_p").is_none() && dropped.is_empty());
}

#[test]
fn thinking_turned_off_is_said() {
    for reasoning in [
        Reasoning { off: true, ..Reasoning::default() },
        Reasoning { effort: Some(Effort::None), ..Reasoning::default() },
        Reasoning { budget: Some(0), ..Reasoning::default() },
    ] {
        let (body, _) = sent(&Prompt { reasoning: Some(reasoning), ..Prompt::default() });
        assert_eq!((&body["reasoning"], &body["include"]), (&json!({"effort": "none"}), &json!(null)));
    }
}

#[test]
fn several_answers_and_audio_are_refused() {
    let several = Prompt { choices: 2, ..Prompt::default() };
    assert!(body(&several, &TARGET).unwrap_err().message.contains("n: 1"));
    let source = Source::Base64("AA".into());
    let audio = Media { kind: MediaKind::Audio, source, mime: None, name: None, detail: None };
    let turns = vec![turn(Role::User, vec![Content::Media(audio)])];
    assert!(body(&Prompt { turns, ..Prompt::default() }, &TARGET).is_err());
}

#[test]
fn strictness_is_sent_only_with_schemas_that_the_provider_takes() {
    let closed = r#"{"type":"object","properties":{},"additionalProperties":false}"#;
    for (schema, strict, dropped) in [(closed, true, 0), (r#"{"type":"object"}"#, false, 2)] {
        let prompt = Prompt {
            tools: vec![Tool::Function {
                name: "f".into(),
                description: None,
                parameters: Some(schema.into()),
                strict: Some(true),
                cache: None,
            }],
            format: Some(Format::JsonSchema {
                name: None,
                description: None,
                schema: schema.into(),
                strict: Some(true),
            }),
            ..Prompt::default()
        };
        let (body, list) = sent(&prompt);
        assert_eq!(body["tools"][0]["strict"], json!(strict));
        assert_eq!(body["text"]["format"]["name"], json!("response"));
        assert_eq!((&body["text"]["format"]["strict"], list.len()), (&json!(strict), dropped));
    }
}

#[test]
fn instructions_alone_are_an_input() {
    let items = input(vec![turn(Role::System, vec![Content::text("hi")])]);
    assert_eq!(items[0]["role"], json!("system"));
}

#[test]
fn case_04_and_05_arguments_become_an_object() {
    let items = input(vec![
        turn(Role::Assistant, vec![call("a", ""), call("b", "{\"x\":\"cut")]),
        turn(Role::User, vec![answer("a", vec![], false), answer("b", vec![], false)]),
    ]);
    assert_eq!((&items[0]["arguments"], &items[1]["arguments"]), (&json!("{}"), &json!("{\"x\":\"cut\"}")));
    assert_eq!(items[2]["output"], json!(""));
}

#[test]
fn case_06_ids_are_fitted_alike_in_call_and_output() {
    let items = input(vec![
        turn(Role::Assistant, vec![call("functions.f:0", "{}")]),
        turn(Role::User, vec![answer("functions.f:0", vec![Content::text("x")], false)]),
    ]);
    let id = items[0]["call_id"].as_str().unwrap();
    assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
    assert_eq!(items[1], json!({"type": "function_call_output", "call_id": id, "output": "x"}));
}

/// Some providers count anew in each turn, so that an id is that of several calls.
#[test]
fn case_06_each_call_of_an_id_keeps_its_own_result() {
    let calls = |ids: &[&'static str]| turn(Role::Assistant, ids.iter().map(|id| call(id, "{}")).collect());
    let said = |id, text| turn(Role::User, vec![answer(id, vec![Content::text(text)], false)]);
    let (get, first, second) =
        ("functions.get:0", fitted_id("functions.get:0"), fitted_id("functions.get:0_2"));
    let pairs = |turns: Vec<Turn<'_>>| -> Vec<(String, Option<String>)> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let items = input(turns).as_array().unwrap().clone();
        items.iter().map(|item| (text(&item["call_id"]).unwrap(), text(&item["output"]))).collect()
    };
    let of = |id: &str, output: Option<&str>| (id.to_owned(), output.map(str::to_owned));
    assert_eq!(
        pairs(vec![calls(&[get]), said(get, "A"), calls(&[get]), said(get, "B")]),
        [of(&first, None), of(&first, Some("A")), of(&second, None), of(&second, Some("B"))]
    );
    let lost = "No output was recorded.";
    assert_eq!(
        pairs(vec![calls(&["a", "a"]), said("a", "1"), said("a", "2"), calls(&["a"])]),
        [
            of("a", None),
            of("a_2", None),
            of("a", Some("1")),
            of("a_2", Some("2")),
            of("a_3", None),
            of("a_3", Some(lost))
        ]
    );
    // The answer is the new call's, not the old one's whose answer the caller cut away.
    assert_eq!(
        pairs(vec![calls(&["a"]), turn(Role::User, vec![]), calls(&["a"]), said("a", "2")]),
        [of("a", None), of("a", Some(lost)), of("a_2", None), of("a_2", Some("2"))]
    );
}

#[test]
fn case_07_long_names_are_fitted_and_come_back() {
    let name: &'static str = Box::leak("n".repeat(200).into_boxed_str());
    let prompt = Prompt {
        tools: vec![function(name)],
        tool_choice: Some(ToolChoice::Allowed { names: vec![name.into()], required: false }),
        ..Prompt::default()
    };
    let body = body(&prompt, &TARGET).unwrap();
    let json: Value = serde_json::from_slice(&body.json).unwrap();
    let fitted = json["tools"][0]["name"].as_str().unwrap();
    assert!(fitted.len() <= 128 && body.names.at_caller(fitted) == name);
    let choice =
        json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": fitted}]});
    assert_eq!(json["tool_choice"], choice);
}

#[test]
fn case_11_empty_text_is_no_part() {
    let items = input(vec![
        turn(Role::Assistant, vec![Content::text(""), call("a", "{}")]),
        turn(Role::User, vec![answer("a", vec![], false)]),
    ]);
    assert_eq!(items.as_array().unwrap().len(), 2);
}

#[test]
fn case_12_and_13_schemas_are_those_of_objects() {
    let given =
        [None, Some("{}"), Some(r#"{"$schema":"x","type":"object"}"#), Some(r#"{"properties":{"a":{}}}"#)];
    let want = [
        json!({"type": "object", "properties": {}}),
        json!({"type": "object", "properties": {}}),
        json!({"$schema": "x", "type": "object", "properties": {}}),
        json!({"type": "object", "properties": {"a": {}}}),
    ];
    for (schema, want) in given.into_iter().zip(want) {
        let tool = Tool::Function {
            name: "f".into(),
            description: None,
            parameters: schema.map(Into::into),
            strict: None,
            cache: None,
        };
        let (body, _) = sent(&Prompt { tools: vec![tool], ..Prompt::default() });
        assert_eq!(body["tools"][0]["parameters"], want);
    }
}

#[test]
fn case_18_stop_texts_are_dropped_and_said() {
    let (body, dropped) = sent(&Prompt { stop: vec!["x".into()], ..Prompt::default() });
    assert!(body.get("stop").is_none() && dropped == ["stop"]);
}

#[test]
fn case_14_a_choice_without_tools_is_left_out() {
    let prompt =
        Prompt { tool_choice: Some(ToolChoice::Auto), parallel_tools: Some(true), ..Prompt::default() };
    let (body, _) = sent(&prompt);
    assert!(body.get("tools").is_none() && body.get("tool_choice").is_none());
    assert!(body.get("parallel_tool_calls").is_none());
}

#[test]
fn case_23_and_24_only_the_providers_own_thinking_is_replayed() {
    let thought = |by, text: &'static str| {
        let seal = Some(Seal { by, data: "gAAA".into(), hidden: true });
        Content::Thinking(Thinking { text: text.into(), seal })
    };
    let unsigned = Content::Thinking(Thinking { text: "x".into(), seal: None });
    let items = input(vec![turn(
        Role::Assistant,
        vec![
            thought(By::OpenAi, ""),
            Content::text("a"),
            thought(By::Anthropic, "x"),
            thought(By::OpenAi, "s"),
            unsigned,
            Content::text("b"),
        ],
    )]);
    let message = |text: &str| {
        json!({"type": "message", "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": []}]})
    };
    let summary = json!([{"type": "summary_text", "text": "s"}]);
    let want = json!([
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
        message("a"),
        {"type": "reasoning", "summary": summary, "encrypted_content": "gAAA"},
        message("b"),
    ]);
    assert_eq!(items, want);
}

#[test]
fn case_25_calls_and_outputs_are_paired() {
    let items = input(vec![
        turn(Role::User, vec![answer("gone", vec![Content::text("orphan")], false)]),
        turn(Role::Assistant, vec![call("a", "{}"), call("b", "{}")]),
        turn(
            Role::User,
            vec![answer("a", vec![Content::text("1")], false), answer("a", vec![Content::text("2")], false)],
        ),
    ]);
    let kinds: Vec<_> = items.as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    let output = "function_call_output";
    assert_eq!(kinds, ["message", "function_call", "function_call", output, output]);
    assert_eq!(items[0]["content"][0]["text"], json!("orphan"));
    assert_eq!((&items[3]["call_id"], &items[4]["output"]), (&json!("b"), &json!("1")));
}

#[test]
fn case_26_failed_and_rich_results_are_told() {
    let source = Source::Base64("AA==".into());
    let mime = Some("image/png".into());
    let image = Content::Media(Media { kind: MediaKind::Image, source, mime, name: None, detail: None });
    let items = input(vec![
        turn(Role::Assistant, vec![call("a", "{}"), call("b", "{}"), call("c", "{}")]),
        turn(
            Role::User,
            vec![
                answer("a", vec![Content::text("no such file")], true),
                answer("b", vec![Content::text("error: x")], true),
                answer("c", vec![Content::text("see"), image], false),
            ],
        ),
    ]);
    assert_eq!(items[3]["output"], json!("Error: no such file"));
    assert_eq!(items[4]["output"], json!("error: x"));
    let parts = json!([{"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"}]);
    assert_eq!(items[5]["output"], parts);
}

#[test]
fn case_27_to_29_files_and_images_keep_their_form() {
    let parts = json!([
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
        {"type": "input_file", "filename": "document.pdf", "file_data": "JVBERi0x"},
        {"type": "input_file", "file_url": "https://x/y.pdf"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_image", "image_url": "data:image/jpg;name=a;base64,AA==", "detail": "low"},
        {"type": "input_image", "image_url": "https://x/y.png", "detail": "auto"},
    ]);
    let json = parse(&json!({"model": "m", "input": [{"role": "user", "content": parts}]}));
    let prompt = prompt(json.root());
    let media = prompt.turns[0].parts.iter().map(|part| match &part.content {
        Content::Media(media) => (media.kind, media.mime.as_deref()),
        _ => panic!("no media"),
    });
    let mimes: Vec<_> = media.collect();
    let pdf = (MediaKind::Document, Some("application/pdf"));
    assert_eq!(mimes[..2], [pdf, pdf]);
    assert_eq!(mimes[4], (MediaKind::Image, Some("image/jpeg")));
    let (body, _) = sent(&prompt);
    let content = &body["input"][0]["content"];
    let mut want = parts;
    want[1]["file_data"] = json!("data:application/pdf;base64,JVBERi0x");
    want[4]["image_url"] = json!("data:image/jpeg;base64,AA==");
    assert_eq!(content, &want);
}

#[test]
fn case_40_foreign_fields_and_blocks_are_dropped_by_name() {
    let kind = "server_tool_use";
    let other = Content::Other { kind: kind.into(), json: r#"{"type":"server_tool_use"}"#.into() };
    let own = Content::Other { kind: "web_search_call".into(), json: r#"{"type":"web_search_call"}"#.into() };
    let prompt = Prompt {
        turns: vec![turn(Role::Assistant, vec![other, own])],
        rest: vec![("context_management".into(), "{}".into())],
        ..Prompt::default()
    };
    let (body, dropped) = sent(&prompt);
    assert_eq!(body["input"], json!([{"type": "web_search_call"}]));
    assert_eq!(dropped, ["input[server_tool_use]", "context_management"]);
}
