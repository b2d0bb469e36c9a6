//! Requests in Gemini's dialect.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use serde_json::{Value, json};
use std::borrow::Cow;
use weir_llm::gemini::{body, count_body};
use weir_llm::neutral::prompt::Dropped;
use weir_llm::neutral::{
    Body, By, Call, Content, Effort, Format, Media, MediaKind, Param, Part, Prompt, Reasoning, Role, Seal,
    Source, Target, Thinking, Tool, ToolChoice, ToolResult, Turn,
};
use weir_llm::vendor::UNKNOWN;

const NO_SIGNATURE: &str = "skip_thought_signature_validator";

fn target(model: &str) -> Target<'_> {
    Target { model, cap: None, output_limit: 0, vendor: &UNKNOWN }
}

fn encoded(prompt: &Prompt<'_>, model: &str) -> (Value, Body) {
    let body = body(prompt, &target(model)).unwrap();
    (serde_json::from_slice(&body.json).unwrap(), body)
}

fn turn(role: Role, contents: Vec<Content<'static>>) -> Turn<'static> {
    Turn { role, parts: contents.into_iter().map(Part::new).collect(), name: None }
}

fn said(role: Role, text: &'static str) -> Turn<'static> {
    turn(role, vec![Content::text(text)])
}

fn call(id: &'static str, arguments: &'static str, seal: Option<&'static str>) -> Content<'static> {
    let seal = seal.map(|data| Seal { by: By::Gemini, data: data.into(), hidden: false });
    Content::Call(Call {
        id: id.into(),
        name: "look".into(),
        arguments: arguments.into(),
        custom: false,
        seal,
    })
}

fn result(id: &'static str, contents: Vec<Content<'static>>, is_error: bool) -> Content<'static> {
    let parts = contents.into_iter().map(Part::new).collect();
    Content::Result(ToolResult { id: id.into(), parts, is_error, custom: false })
}

fn thinking(by: By, text: &'static str, data: &'static str) -> Content<'static> {
    let seal = Some(Seal { by, data: data.into(), hidden: false });
    Content::Thinking(Thinking { text: text.into(), seal })
}

fn prompt(turns: Vec<Turn<'static>>) -> Prompt<'static> {
    Prompt { turns, ..Prompt::default() }
}

fn function(name: &'static str, parameters: Option<&'static str>) -> Tool<'static> {
    Tool::Function {
        name: name.into(),
        description: Some("D.".into()),
        parameters: parameters.map(Cow::Borrowed),
        strict: None,
        cache: None,
    }
}

fn contents(turns: Vec<Turn<'static>>, model: &str) -> Value {
    encoded(&prompt(turns), model).0["contents"].clone()
}

fn ask() -> Turn<'static> {
    said(Role::User, "go")
}

#[test]
fn instructions_lead_and_later_ones_keep_their_place() {
    let turns = vec![
        said(Role::System, "one"),
        said(Role::Developer, "two"),
        ask(),
        said(Role::Assistant, "yes"),
        said(Role::System, "three"),
    ];
    let (json, body) = encoded(&prompt(turns), "gemini-2.5-flash");
    assert_eq!(json["systemInstruction"], json!({"parts": [{"text": "one"}, {"text": "two"}]}));
    assert_eq!(
        json["contents"],
        json!([
            {"role": "user", "parts": [{"text": "go"}]},
            {"role": "model", "parts": [{"text": "yes"}]},
            {"role": "user", "parts": [{"text": "three"}]},
        ])
    );
    assert!(body.dropped.is_empty());
    // There must be contents.
    let (json, _) = encoded(&prompt(vec![said(Role::System, "alone")]), "gemini-2.5-flash");
    assert_eq!(json["contents"][0]["parts"][0]["text"], "alone");
    assert!(json.get("systemInstruction").is_none());
}

#[test]
fn case_04_and_05_arguments_are_always_an_object() {
    let turns = vec![ask(), turn(Role::Assistant, vec![call("a", "", None), call("b", "{\"x\":\"cu", None)])];
    let contents = contents(turns, "gemini-2.5-flash");
    assert_eq!(contents[1]["parts"][0]["functionCall"], json!({"name": "look", "args": {}}));
    assert_eq!(contents[1]["parts"][1]["functionCall"]["args"], json!({"x": "cu"}));
}

#[test]
fn case_06_odd_ids_are_mended_alike_in_call_and_response() {
    let turns = vec![
        ask(),
        turn(Role::Assistant, vec![call("functions.look:0", "{}", Some("c2ln"))]),
        turn(Role::User, vec![result("functions.look:0", vec![Content::text("ok")], false)]),
    ];
    let contents = contents(turns, "gemini-3-pro-preview");
    let id = contents[1]["parts"][0]["functionCall"]["id"].as_str().unwrap();
    assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{id}");
    assert_eq!(contents[2]["parts"][0]["functionResponse"]["id"], id);
}

#[test]
fn case_07_names_fit_and_come_back() {
    let long = "x".repeat(80);
    let tools = vec![
        function("plain", None),
        function("1st", None),
        function("-", None),
        Tool::Custom { name: long.clone().into(), description: None, format: None },
    ];
    let prompt = Prompt { turns: vec![ask()], tools, ..Prompt::default() };
    let (json, body) = encoded(&prompt, "gemini-2.5-flash");
    let declared = json["tools"][0]["functionDeclarations"].as_array().unwrap().clone();
    let names: Vec<&str> = declared.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names[0], "plain");
    for (name, own) in names.iter().zip(["plain", "1st", "-", &long]) {
        assert!(
            name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'),
            "{name}"
        );
        assert_eq!(body.names.at_caller(name), own);
    }
    assert!(body.names.is_wrapped(&long));
    assert_eq!(declared[3]["parameters"]["required"], json!(["input"]));
}

#[test]
fn case_08_signatures_come_back_and_others_calls_are_excused() {
    let step = |seal| vec![call("a", "{}", seal), call("b", "{}", None)];
    let parts =
        |model, seal| contents(vec![ask(), turn(Role::Assistant, step(seal))], model)[1]["parts"].clone();
    let own = parts("gemini-3-pro-preview", Some("c2ln"));
    assert_eq!((&own[0]["thoughtSignature"], own[1].get("thoughtSignature")), (&json!("c2ln"), None));
    let foreign = parts("gemini-3-pro-preview", None);
    assert_eq!(
        (&foreign[0]["thoughtSignature"], foreign[1].get("thoughtSignature")),
        (&json!(NO_SIGNATURE), None)
    );
    assert!(parts("gemini-2.5-flash", None)[0].get("thoughtSignature").is_none());
    assert_eq!(parts("gemini-2.5-flash", Some("c2ln"))[0]["thoughtSignature"], "c2ln");
}

#[test]
fn case_08_signatures_of_texts_come_back_with_them() {
    let parts = |contents_: Vec<Content<'static>>| {
        contents(vec![ask(), turn(Role::Assistant, contents_), ask()], "gemini-3-pro-preview")[1]["parts"]
            .clone()
    };
    let behind = parts(vec![Content::text("hi"), thinking(By::Gemini, "", "c2ln")]);
    assert_eq!(behind, json!([{"text": "hi", "thoughtSignature": "c2ln"}]));
    let before = parts(vec![thinking(By::Gemini, "hm", "c2ln"), Content::text("hi")]);
    assert_eq!(before, json!([{"text": "hi", "thoughtSignature": "c2ln"}]));
    let alone = parts(vec![thinking(By::Gemini, "", "c2ln")]);
    assert_eq!(alone, json!([{"text": "", "thoughtSignature": "c2ln"}]));
}

#[test]
fn case_11_an_empty_text_beside_calls_is_left_out() {
    let turns = vec![ask(), turn(Role::Assistant, vec![Content::text(""), call("a", "{}", None)])];
    assert_eq!(contents(turns, "gemini-2.5-flash")[1]["parts"].as_array().unwrap().len(), 1);
    // A content without parts would be refused.
    let turns = vec![ask(), said(Role::Assistant, ""), ask()];
    assert_eq!(contents(turns, "gemini-2.5-flash").as_array().unwrap().len(), 2);
}

#[test]
fn case_13_schemas_are_made_to_fit_and_no_parameters_are_no_member() {
    let schema = r##"{"$schema":"s","type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"const":"x"}},
        "additionalProperties":false}"##;
    let tools =
        vec![function("f", Some(schema)), function("g", Some(r#"{"type":"object","properties":{}}"#))];
    let (json, _) = encoded(&Prompt { turns: vec![ask()], tools, ..Prompt::default() }, "gemini-2.5-flash");
    assert_eq!(
        json["tools"],
        json!([{"functionDeclarations": [
            {"name": "f", "description": "D.",
                "parameters": {"type": "object", "properties": {"a": {"type": "string", "enum": ["x"]}}}},
            {"name": "g", "description": "D."},
        ]}])
    );
}

#[test]
fn case_14_a_choice_without_tools_says_nothing() {
    let prompt = Prompt { turns: vec![ask()], tool_choice: Some(ToolChoice::Required), ..Prompt::default() };
    let (json, _) = encoded(&prompt, "gemini-2.5-flash");
    assert!(json.get("toolConfig").is_none() && json.get("tools").is_none());
}

#[test]
fn tool_choices_are_told() {
    let config = |choice| {
        let tools = vec![function("f", None), function("1", None)];
        let prompt = Prompt { turns: vec![ask()], tools, tool_choice: Some(choice), ..Prompt::default() };
        let (json, _) = encoded(&prompt, "gemini-2.5-flash");
        let declared = json["tools"][0]["functionDeclarations"].as_array().unwrap().len();
        (json["toolConfig"]["functionCallingConfig"].clone(), declared)
    };
    let allowed = |required| ToolChoice::Allowed { names: vec!["f".into(), "gone".into()], required };
    assert_eq!(config(ToolChoice::Auto), (json!({"mode": "AUTO"}), 2));
    assert_eq!(config(ToolChoice::None), (json!({"mode": "NONE"}), 2));
    assert_eq!(config(ToolChoice::Required), (json!({"mode": "ANY"}), 2));
    let (one, _) = config(ToolChoice::Tool("1".into()));
    assert!(one["allowedFunctionNames"][0].as_str().unwrap().starts_with("_1_"), "{one}");
    assert_eq!(config(allowed(true)), (json!({"mode": "ANY", "allowedFunctionNames": ["f"]}), 2));
    assert_eq!(config(allowed(false)), (json!({"mode": "AUTO"}), 1));
}

#[test]
fn hosted_tools_are_kept_where_there_is_the_like() {
    let hosted = |kind: &'static str| Tool::Hosted { kind: kind.into(), json: "{}".into() };
    let with = |tools| encoded(&Prompt { turns: vec![ask()], tools, ..Prompt::default() }, "gemini-3-flash");
    let (json, body) = with(vec![hosted("web_search_20250305"), hosted("mcp")]);
    assert_eq!(json["tools"], json!([{"googleSearch": {}}]));
    assert_eq!(body.dropped, [Dropped::Named("tools[mcp]".into())]);
    let (json, body) = with(vec![hosted("web_search"), function("f", None)]);
    assert!(
        json["tools"][0].get("functionDeclarations").is_some()
            && json["tools"].as_array().unwrap().len() == 1
    );
    assert_eq!(body.dropped, [Dropped::Named("tools[web_search]".into())]);
}

#[test]
fn custom_tools_become_functions_of_one_text() {
    let tool = Tool::Custom {
        name: "patch".into(),
        description: Some("Patches.".into()),
        format: Some(r#"{"type":"grammar","syntax":"lark","definition":"start: \"x\""}"#.into()),
    };
    let made = Content::Call(Call {
        id: "c".into(),
        name: "patch".into(),
        arguments: "*** Begin".into(),
        custom: true,
        seal: None,
    });
    let turns = vec![ask(), turn(Role::Assistant, vec![made])];
    let (json, body) = encoded(&Prompt { turns, tools: vec![tool], ..Prompt::default() }, "gemini-2.5-pro");
    let declared = &json["tools"][0]["functionDeclarations"][0];
    assert!(declared["description"].as_str().unwrap().ends_with("start: \"x\""), "{declared}");
    assert_eq!(declared["parameters"]["properties"], json!({"input": {"type": "string"}}));
    assert_eq!(json["contents"][1]["parts"][0]["functionCall"]["args"], json!({"input": "*** Begin"}));
    assert!(body.names.is_wrapped("patch"));
}

#[test]
fn case_17_limits_meet() {
    let most = |max_output, cap, output_limit| {
        let prompt = Prompt { turns: vec![ask()], max_output, ..Prompt::default() };
        let target = Target { cap, output_limit, ..target("gemini-2.5-flash") };
        let json: Value = serde_json::from_slice(&body(&prompt, &target).unwrap().json).unwrap();
        json["generationConfig"].get("maxOutputTokens").and_then(Value::as_u64)
    };
    assert_eq!(most(None, None, 8_192), None);
    assert_eq!(most(Some(50), None, 0), Some(50));
    assert_eq!(most(Some(50), Some(40), 8_192), Some(40));
    assert_eq!(most(None, Some(40), 0), Some(40));
    assert_eq!(most(Some(99_999), None, 8_192), Some(8_192));
}

#[test]
fn case_18_five_stop_texts_and_none_of_spaces() {
    let stops = |stop: &[&'static str]| {
        let stop = stop.iter().map(|&text| text.into()).collect();
        let (json, body) =
            encoded(&Prompt { turns: vec![ask()], stop, ..Prompt::default() }, "gemini-2.5-flash");
        (json["generationConfig"].get("stopSequences").cloned(), !body.dropped.is_empty())
    };
    assert_eq!(stops(&["a", "b"]), (Some(json!(["a", "b"])), false));
    assert_eq!(stops(&["1", "2", "3", "4", "5", "6"]), (Some(json!(["1", "2", "3", "4", "5"])), true));
    assert_eq!(stops(&[" \n", "x"]), (Some(json!(["x"])), true));
    assert_eq!(stops(&[" "]), (None, true));
    assert_eq!(stops(&[]), (None, false));
}

#[test]
fn case_24_foreign_thinking_stays_away() {
    let parts =
        vec![thinking(By::Anthropic, "secret", "c2ln"), thinking(By::OpenAi, "", "b"), Content::text("hi")];
    let contents = contents(vec![ask(), turn(Role::Assistant, parts)], "gemini-3-pro-preview");
    assert_eq!(contents[1]["parts"], json!([{"text": "hi"}]));
    assert!(!contents.to_string().contains("secret"));
}

#[test]
fn case_25_as_many_responses_as_calls() {
    let turns = vec![
        ask(),
        turn(Role::Assistant, vec![call("a", "{}", None), call("b", "{}", None)]),
        turn(
            Role::User,
            vec![
                result("gone", vec![Content::text("old")], false),
                result("b", vec![Content::text("B")], false),
                result("b", vec![Content::text("again")], false),
                Content::text("now?"),
            ],
        ),
    ];
    let contents = contents(turns, "gemini-2.5-flash");
    let responses = contents[2]["parts"].as_array().unwrap();
    assert_eq!(responses.len(), 2);
    assert!(responses[0]["functionResponse"]["response"]["error"].is_string());
    assert_eq!(responses[1], json!({"functionResponse": {"name": "look", "response": {"output": "B"}}}));
    let texts: Vec<&str> =
        contents[3]["parts"].as_array().unwrap().iter().map(|part| part["text"].as_str().unwrap()).collect();
    assert!(texts[0].ends_with("\nold") && texts[1].ends_with("\nagain") && texts[2] == "now?", "{texts:?}");
}

#[test]
fn case_25_calls_at_either_end_have_company() {
    let turns = vec![turn(Role::Assistant, vec![call("a", "{}", None)])];
    let contents = contents(turns, "gemini-2.5-flash");
    assert_eq!(contents[0]["role"], "user");
    assert!(contents[2]["parts"][0]["functionResponse"]["response"]["error"].is_string());
}

#[test]
fn case_26_failed_empty_and_pictured_results() {
    let image = Content::Media(Media {
        kind: MediaKind::Image,
        source: Source::Base64("iVBORw0K".into()),
        mime: None,
        name: None,
        detail: None,
    });
    let response = |contents_, is_error| {
        let turns = vec![
            ask(),
            turn(Role::Assistant, vec![call("a", "{}", None)]),
            turn(Role::User, vec![result("a", contents_, is_error)]),
        ];
        contents(turns, "gemini-2.5-flash")[2]["parts"].clone()
    };
    let of = |parts: &Value| parts[0]["functionResponse"]["response"].clone();
    assert_eq!(of(&response(vec![Content::text("no")], true)), json!({"error": "no"}));
    assert_eq!(of(&response(vec![], true)), json!({"error": "The tool failed."}));
    assert_eq!(of(&response(vec![], false)), json!({"output": ""}));
    assert_eq!(of(&response(vec![Content::text(" {\"a\":1}")], false)), json!({"a": 1}));
    assert_eq!(of(&response(vec![Content::text("[1]")], false)), json!({"output": "[1]"}));
    let pictured = response(vec![Content::text("see"), image], false);
    assert_eq!(of(&pictured), json!({"output": "see"}));
    assert_eq!(pictured[1], json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}}));
}

#[test]
fn thinking_is_told_in_the_words_of_the_generation() {
    let config = |model, reasoning| {
        let prompt = Prompt { turns: vec![ask()], reasoning: Some(reasoning), ..Prompt::default() };
        let (json, body) = encoded(&prompt, model);
        (json["generationConfig"].get("thinkingConfig").cloned(), body.dropped)
    };
    let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
    let off = || Reasoning { off: true, ..Reasoning::default() };
    let (said, _) = config("gemini-3-pro-preview", effort(Effort::Xhigh));
    assert_eq!(said, Some(json!({"thinkingLevel": "high", "includeThoughts": true})));
    let (said, _) = config("gemini-3-flash-preview", off());
    assert_eq!(said, Some(json!({"thinkingLevel": "minimal"})));
    let (said, _) = config("gemini-2.5-flash", effort(Effort::Medium));
    assert_eq!(said, Some(json!({"thinkingBudget": 4096, "includeThoughts": true})));
    assert_eq!(config("gemini-2.5-pro", off()).0, Some(json!({"thinkingBudget": 128})));
    let (said, dropped) = config("gemini-2.0-flash", effort(Effort::Low));
    assert_eq!((said, dropped), (None, vec![Dropped::Param(Param::Reasoning)]));
    assert_eq!(config("gemini-2.0-flash", off()), (None, vec![]));
}

#[test]
fn a_form_of_the_answer_and_tools_go_together_from_the_third_generation_on() {
    let format = || {
        Some(Format::JsonSchema {
            name: None,
            description: None,
            schema: r#"{"type":"object","properties":{"a":{"type":["string","null"]}},"additionalProperties":false}"#.into(),
            strict: Some(true),
        })
    };
    let config = |model, tools| {
        let prompt = Prompt { turns: vec![ask()], tools, format: format(), ..Prompt::default() };
        let (json, body) = encoded(&prompt, model);
        (json["generationConfig"].clone(), body.dropped)
    };
    let asked = json!({"responseMimeType": "application/json", "responseSchema":
        {"type": "object", "properties": {"a": {"type": "string", "nullable": true}}}});
    assert_eq!(config("gemini-2.5-flash", vec![]), (asked.clone(), vec![]));
    assert_eq!(config("gemini-3-flash-preview", vec![function("f", None)]), (asked, vec![]));
    let (json, dropped) = config("gemini-2.5-flash", vec![function("f", None)]);
    assert_eq!((json, dropped), (json!({}), vec![Dropped::Param(Param::Format)]));
}

#[test]
fn sampling_is_passed_and_what_is_unknown_is_told() {
    let prompt = Prompt {
        turns: vec![ask()],
        temperature: Some("0.5".into()),
        top_p: Some("0.9".into()),
        top_k: Some("40".into()),
        seed: Some("7".into()),
        presence_penalty: Some("0".into()),
        frequency_penalty: Some("1.5".into()),
        choices: 2,
        logprobs: Some(3),
        user: Some("u".into()),
        service_tier: Some("flex".into()),
        verbosity: Some("low".into()),
        cache_key: Some("k".into()),
        metadata: Some("{}".into()),
        store: Some(true),
        rest: vec![("logit_bias".into(), "{}".into()), ("stream_options".into(), "{}".into())],
        ..Prompt::default()
    };
    let (json, body) = encoded(&prompt, "gemini-2.5-flash");
    assert_eq!(
        json["generationConfig"],
        json!({"temperature": 0.5, "topP": 0.9, "topK": 40, "seed": 7, "frequencyPenalty": 1.5, "candidateCount": 2,
            "responseLogprobs": true, "logprobs": 3})
    );
    let params =
        [Param::User, Param::ServiceTier, Param::Verbosity, Param::CacheKey, Param::Metadata, Param::Store];
    let mut want: Vec<Dropped> = params.map(Dropped::Param).into();
    want.push(Dropped::Named("logit_bias".into()));
    assert_eq!(body.dropped, want);
    let prompt = Prompt {
        turns: vec![ask()],
        seed: Some("99999999999".into()),
        store: Some(false),
        service_tier: Some("auto".into()),
        ..Prompt::default()
    };
    assert_eq!(encoded(&prompt, "gemini-2.5-flash").1.dropped, [Dropped::Param(Param::Seed)]);
}

#[test]
fn counting_wraps_the_whole_request() {
    let counted = count_body(&prompt(vec![ask()]), &target("gemini-2.5-flash")).unwrap();
    let json: Value = serde_json::from_slice(&counted.json).unwrap();
    assert_eq!(json["generateContentRequest"]["model"], "models/gemini-2.5-flash");
    assert_eq!(json["generateContentRequest"]["contents"][0]["parts"][0]["text"], "go");
}
