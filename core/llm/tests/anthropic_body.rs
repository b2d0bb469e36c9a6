//! The dialect `anthropic`: requests as they go to a target.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, outside test functions")]

use serde_json::{Value, json};
use std::borrow::Cow;
use weir_llm::anthropic;
use weir_llm::neutral::prompt::Dropped;
use weir_llm::neutral::{
    Body, By, CacheTtl, Call, Content, Effort, Format, Media, MediaKind, Param, Part, Prompt, Reasoning,
    Role, Seal, Source, Target, Thinking, Tool, ToolChoice, ToolResult, Turn,
};
use weir_llm::vendor::UNKNOWN;

const OLD: &str = "claude-sonnet-4-5";
const NEW: &str = "claude-opus-4-6";
const NEWEST: &str = "claude-sonnet-5";

fn target(model: &str) -> Target<'_> {
    Target { model, cap: None, output_limit: 64_000, vendor: &UNKNOWN }
}

fn encoded(prompt: &Prompt<'_>, model: &str) -> (Value, Body) {
    let body = anthropic::body(prompt, &target(model)).unwrap();
    (serde_json::from_slice(&body.json).unwrap(), body)
}

fn json_of(prompt: &Prompt<'_>, model: &str) -> Value {
    encoded(prompt, model).0
}

fn dropped(body: &Body) -> Vec<String> {
    let name = |dropped: &Dropped| match dropped {
        Dropped::Param(param) => format!("{param:?}"),
        Dropped::Named(name) => name.clone(),
    };
    body.dropped.iter().map(name).collect()
}

fn turn<'a>(role: Role, parts: Vec<Content<'a>>) -> Turn<'a> {
    Turn { role, parts: parts.into_iter().map(Part::new).collect(), name: None }
}

fn text(text: &str) -> Content<'_> {
    Content::text(text)
}

fn call<'a>(id: &'a str, arguments: &'a str) -> Content<'a> {
    Content::Call(Call {
        id: id.into(),
        name: "f".into(),
        arguments: arguments.into(),
        custom: false,
        seal: None,
    })
}

fn result<'a>(id: &'a str, said: &'a str) -> Content<'a> {
    Content::Result(ToolResult {
        id: id.into(),
        parts: vec![Part::text(said)],
        is_error: false,
        custom: false,
    })
}

fn thought<'a>(text: &'a str, seal: Option<Seal<'a>>) -> Content<'a> {
    Content::Thinking(Thinking { text: text.into(), seal })
}

fn signed(data: &str, hidden: bool) -> Option<Seal<'_>> {
    Some(Seal { by: By::Anthropic, data: data.into(), hidden })
}

fn media(kind: MediaKind, source: Source<'static>, mime: Option<&'static str>) -> Content<'static> {
    Content::Media(Media { kind, source, mime: mime.map(Cow::Borrowed), name: None, detail: None })
}

fn function(name: &str) -> Tool<'_> {
    Tool::Function { name: name.into(), description: None, parameters: None, strict: None, cache: None }
}

fn talk<'a>(turns: Vec<Turn<'a>>) -> Prompt<'a> {
    Prompt { model: "m".into(), turns, tools: vec![function("f")], ..Prompt::default() }
}

fn hello<'a>() -> Prompt<'a> {
    Prompt { turns: vec![turn(Role::User, vec![text("Hi")])], ..Prompt::default() }
}

fn thinking(effort: Effort) -> Prompt<'static> {
    Prompt { reasoning: Some(Reasoning { effort: Some(effort), ..Reasoning::default() }), ..hello() }
}

#[test]
fn a_rich_request() {
    let mut prompt = Prompt {
        turns: vec![
            turn(Role::System, vec![text("Be brief.")]),
            turn(Role::Developer, vec![text("Be kind.")]),
            turn(
                Role::User,
                vec![text("Look:"), media(MediaKind::Image, Source::Url("https://x/y.png".into()), None)],
            ),
            turn(Role::Assistant, vec![text("I call."), call("call_1", "{\"a\":1}"), call("call_2", "")]),
            turn(Role::User, vec![result("call_1", "one"), result("call_2", "two")]),
            turn(Role::System, vec![text("Hurry.")]),
            turn(Role::User, vec![text("Well?")]),
        ],
        tools: vec![Tool::Function {
            name: "f".into(),
            description: Some("does f".into()),
            parameters: Some(r#"{"type":"object","properties":{"a":{"type":"integer"}}}"#.into()),
            strict: Some(true),
            cache: None,
        }],
        tool_choice: Some(ToolChoice::Auto),
        parallel_tools: Some(false),
        max_output: Some(100),
        stop: vec!["END".into()],
        stream: true,
        temperature: Some("0.2".into()),
        user: Some("u1".into()),
        service_tier: Some("default".into()),
        ..Prompt::default()
    };
    prompt.format = Some(Format::JsonSchema {
        name: Some("n".into()),
        description: None,
        schema: r#"{"type":"object"}"#.into(),
        strict: Some(true),
    });
    let (json, body) = encoded(&prompt, OLD);
    assert_eq!(
        json,
        json!({
            "model": OLD, "max_tokens": 100, "stream": true, "temperature": 0.2, "stop_sequences": ["END"],
            "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}],
            "tools": [{"name": "f", "description": "does f", "strict": true,
                       "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}},
                                        "additionalProperties": false}}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
            "output_config": {"format": {"type": "json_schema",
                                         "schema": {"type": "object", "additionalProperties": false}}},
            "metadata": {"user_id": "u1"}, "service_tier": "auto",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Look:"},
                    {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}]},
                {"role": "assistant", "content": [{"type": "text", "text": "I call."},
                    {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
                    {"type": "tool_use", "id": "call_2", "name": "f", "input": {}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "one"}]},
                    {"type": "tool_result", "tool_use_id": "call_2", "content": [{"type": "text", "text": "two"}]},
                    {"type": "text", "text": "Hurry."}, {"type": "text", "text": "Well?"}]},
            ],
        })
    );
    assert!(dropped(&body).is_empty(), "{:?}", dropped(&body));
}

#[test]
fn what_cannot_be_said_is_listed() {
    let prompt = Prompt {
        seed: Some("1".into()),
        frequency_penalty: Some("0.5".into()),
        presence_penalty: Some("0.0".into()),
        logprobs: Some(2),
        verbosity: Some("low".into()),
        cache_key: Some("k".into()),
        metadata: Some("{}".into()),
        store: Some(true),
        service_tier: Some("flex".into()),
        tools: vec![Tool::Hosted { kind: "web_search".into(), json: r#"{"type":"web_search"}"#.into() }],
        tool_choice: Some(ToolChoice::Required),
        rest: vec![("logit_bias".into(), "{}".into()), ("speed".into(), "\"fast\"".into())],
        ..hello()
    };
    let (json, body) = encoded(&prompt, OLD);
    assert_eq!(
        json,
        json!({"model": OLD, "max_tokens": 32_000, "speed": "fast",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]})
    );
    assert_eq!(
        dropped(&body),
        [
            "tools[web_search]",
            "ToolChoice",
            "ServiceTier",
            "logit_bias",
            "Seed",
            "FrequencyPenalty",
            "Logprobs",
            "Verbosity",
            "CacheKey",
            "Metadata",
            "Store"
        ]
    );
}

#[test]
fn several_answers_are_refused() {
    let refused = anthropic::body(&Prompt { choices: 2, ..hello() }, &target(OLD)).unwrap_err();
    assert_eq!(refused.param, Param::Choices);
}

#[test]
fn case_05_truncated_arguments_are_an_object() {
    let prompt = talk(vec![
        turn(Role::Assistant, vec![call("a", "{\"x\":\"y")]),
        turn(Role::User, vec![result("a", "r")]),
    ]);
    assert_eq!(json_of(&prompt, OLD)["messages"][1]["content"][0]["input"], json!({"x": "y"}));
}

#[test]
fn case_06_ids_are_fitted_alike_in_call_and_result() {
    let id = "functions.x:0";
    let prompt =
        talk(vec![turn(Role::Assistant, vec![call(id, "{}")]), turn(Role::User, vec![result(id, "r")])]);
    let json = json_of(&prompt, OLD);
    let fitted = json["messages"][1]["content"][0]["id"].as_str().unwrap();
    assert!(fitted.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{fitted}");
    assert_eq!(json["messages"][2]["content"][0]["tool_use_id"], fitted);
}

#[test]
fn case_07_long_and_odd_names_are_fitted_everywhere() {
    let name = format!("mcp.{}", "x".repeat(150));
    let mut made = talk(vec![
        turn(Role::User, vec![text("Hi")]),
        turn(
            Role::Assistant,
            vec![Content::Call(Call {
                id: "a".into(),
                name: name.as_str().into(),
                arguments: "".into(),
                custom: false,
                seal: None,
            })],
        ),
        turn(Role::User, vec![result("a", "r")]),
    ]);
    made.tools = vec![function(&name)];
    made.tool_choice = Some(ToolChoice::Tool(name.as_str().into()));
    let (json, body) = encoded(&made, OLD);
    let fitted = json["tools"][0]["name"].as_str().unwrap();
    assert!(fitted.len() <= 128 && body.names.at_caller(fitted) == name);
    assert_eq!(
        (&json["tool_choice"]["name"], &json["messages"][1]["content"][0]["name"]),
        (&json!(fitted), &json!(fitted))
    );
}

#[test]
fn case_11_no_empty_text_block() {
    let prompt = talk(vec![
        turn(Role::System, vec![text("")]),
        turn(Role::User, vec![text("Hi"), text(" \n")]),
        turn(Role::Assistant, vec![text(""), call("a", "{}")]),
        turn(Role::User, vec![result("a", "")]),
    ]);
    let json = json_of(&prompt, OLD);
    assert!(json.get("system").is_none());
    assert_eq!(
        json["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
        ])
    );
}

#[test]
fn case_12_tools_without_parameters_or_type() {
    let with = |parameters: Option<&'static str>| {
        let tool = Tool::Function {
            name: "f".into(),
            description: Some("".into()),
            parameters: parameters.map(Cow::Borrowed),
            strict: None,
            cache: None,
        };
        json_of(&Prompt { tools: vec![tool], ..hello() }, OLD)["tools"][0].clone()
    };
    let empty = json!({"name": "f", "input_schema": {"type": "object", "properties": {}}});
    assert_eq!(with(None), empty);
    assert_eq!(with(Some("true")), empty);
    assert_eq!(with(Some("{}"))["input_schema"], json!({"type": "object"}));
    assert_eq!(with(Some(r#" {"properties":{}}"#)), empty);
}

#[test]
fn case_14_no_choice_without_tools() {
    for choice in [ToolChoice::Auto, ToolChoice::None, ToolChoice::Required, ToolChoice::Tool("f".into())] {
        let json =
            json_of(&Prompt { tool_choice: Some(choice), parallel_tools: Some(false), ..hello() }, OLD);
        assert!(json.get("tool_choice").is_none() && json.get("tools").is_none());
    }
}

#[test]
fn calls_of_tools_no_longer_declared_are_declared_and_forbidden() {
    let mut prompt = talk(vec![
        turn(Role::User, vec![text("x")]),
        turn(Role::Assistant, vec![call("a", "{}")]),
        turn(Role::User, vec![result("a", "r")]),
    ]);
    prompt.tools.clear();
    let json = json_of(&prompt, OLD);
    assert_eq!(
        (&json["tools"], &json["tool_choice"]),
        (&json!([{"name": "f", "input_schema": {"type": "object"}}]), &json!({"type": "none"}))
    );
}

#[test]
fn a_subset_of_tools_and_each_choice() {
    let with = |choice| {
        let prompt =
            Prompt { tools: vec![function("f"), function("g")], tool_choice: Some(choice), ..hello() };
        let (json, body) = encoded(&prompt, OLD);
        (json["tools"].as_array().unwrap().len(), json["tool_choice"].clone(), dropped(&body))
    };
    assert_eq!(
        with(ToolChoice::Allowed { names: vec!["g".into()], required: true }),
        (1, json!({"type": "any"}), vec![])
    );
    assert_eq!(with(ToolChoice::Required), (2, json!({"type": "any"}), vec![]));
    assert_eq!(with(ToolChoice::None), (2, json!({"type": "none"}), vec![]));
    assert_eq!(with(ToolChoice::Tool("g".into())), (2, json!({"type": "tool", "name": "g"}), vec![]));
    assert_eq!(with(ToolChoice::Tool("h".into())), (2, Value::Null, vec!["ToolChoice".to_owned()]));
}

#[test]
fn custom_tools_are_functions_with_one_text() {
    let grammar = r#"{"type":"grammar","syntax":"lark","definition":"start: /x/"}"#;
    let custom = Call {
        id: "a".into(),
        name: "patch".into(),
        arguments: "*** Begin".into(),
        custom: true,
        seal: None,
    };
    let mut prompt = talk(vec![
        turn(Role::User, vec![text("x")]),
        turn(Role::Assistant, vec![Content::Call(custom)]),
        turn(Role::User, vec![result("a", "ok")]),
    ]);
    prompt.tools = vec![Tool::Custom {
        name: "patch".into(),
        description: Some("Patches.".into()),
        format: Some(grammar.into()),
    }];
    let (json, body) = encoded(&prompt, OLD);
    assert_eq!(json["tools"][0]["input_schema"]["required"], json!(["input"]));
    assert!(json["tools"][0]["description"].as_str().unwrap().ends_with("start: /x/"));
    assert_eq!(json["messages"][1]["content"][0]["input"], json!({"input": "*** Begin"}));
    assert!(body.names.is_wrapped("patch"));
}

#[test]
fn anthropics_own_tools_and_blocks_pass() {
    let own = r#"{"type":"web_search_20250305","name":"web_search"}"#;
    let block = r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#;
    let mut prompt = talk(vec![
        turn(Role::User, vec![text("x")]),
        turn(
            Role::Assistant,
            vec![
                Content::Other { kind: "server_tool_use".into(), json: block.into() },
                Content::Other { kind: "web_search_call".into(), json: "{}".into() },
                text("y"),
            ],
        ),
        turn(Role::User, vec![text("z")]),
    ]);
    prompt.tools = vec![Tool::Hosted { kind: "web_search_20250305".into(), json: own.into() }];
    let (json, body) = encoded(&prompt, OLD);
    assert_eq!(json["tools"][0]["type"], "web_search_20250305");
    assert_eq!(json["messages"][1]["content"][0]["type"], "server_tool_use");
    assert_eq!(dropped(&body), ["messages[web_search_call]"]);
}

#[test]
fn case_15_a_forced_tool_excludes_thinking() {
    let forced = |model| {
        let prompt = Prompt {
            tools: vec![function("f")],
            tool_choice: Some(ToolChoice::Required),
            ..thinking(Effort::High)
        };
        let (json, body) = encoded(&prompt, model);
        (json["thinking"].clone(), json["tool_choice"]["type"].clone(), dropped(&body))
    };
    let off = json!({"type": "disabled"});
    assert_eq!(forced(OLD), (off.clone(), json!("any"), vec!["Reasoning".to_owned()]));
    assert_eq!(forced(NEWEST), (off, json!("any"), vec!["Reasoning".to_owned()]));
    let (thinking, choice, dropped) = forced("claude-fable-5");
    assert_eq!(
        (thinking["type"].as_str(), choice, dropped),
        (Some("adaptive"), json!("auto"), vec!["ToolChoice".to_owned()])
    );
    // Those that think by themselves must be told not to.
    let prompt = Prompt { tools: vec![function("f")], tool_choice: Some(ToolChoice::Required), ..hello() };
    assert_eq!(json_of(&prompt, NEWEST)["thinking"], json!({"type": "disabled"}));
    assert!(json_of(&prompt, OLD).get("thinking").is_none());
}

#[test]
fn case_16_a_budget_fits_or_goes() {
    let budget = |effort, max_output| {
        let (json, body) = encoded(&Prompt { max_output, ..thinking(effort) }, OLD);
        let thinking = json.get("thinking").map(|thinking| thinking["budget_tokens"].as_u64().unwrap());
        (thinking, json["max_tokens"].as_u64().unwrap(), dropped(&body).len())
    };
    assert_eq!(budget(Effort::Low, None), (Some(1024), 32_000, 0));
    assert_eq!(budget(Effort::High, None), (Some(16_384), 32_000, 0));
    assert_eq!(budget(Effort::Max, None), (Some(32_768), 47_786, 0), "raised where the caller sets no limit");
    assert_eq!(budget(Effort::High, Some(8_000)), (Some(6_000), 8_000, 0));
    assert_eq!(budget(Effort::High, Some(1_100)), (Some(1_024), 1_100, 0));
    assert_eq!(budget(Effort::Low, Some(1_024)), (None, 1_024, 1));
    assert_eq!(budget(Effort::Low, Some(10)), (None, 10, 1));
}

#[test]
fn effort_in_each_models_words() {
    let said = |model, effort| {
        let json = json_of(&thinking(effort), model);
        (
            json["thinking"]["type"].as_str().map(str::to_owned),
            json["output_config"]["effort"].as_str().map(str::to_owned),
        )
    };
    let pair = |kind: &str, effort: &str| (Some(kind.to_owned()), Some(effort.to_owned()));
    assert_eq!(said(NEW, Effort::Minimal), pair("adaptive", "low"));
    assert_eq!(said(NEW, Effort::Xhigh), pair("adaptive", "high"));
    assert_eq!(said(NEW, Effort::Max), pair("adaptive", "max"));
    assert_eq!(said("claude-opus-4-7", Effort::Xhigh), pair("adaptive", "xhigh"));
    assert_eq!(said(OLD, Effort::None), (Some("disabled".to_owned()), None));
    assert_eq!(said("claude-opus-4-7", Effort::None), (None, None));
    assert_eq!(said("claude-3-haiku-20240307", Effort::High), (None, None));
    let budget = Reasoning { budget: Some(5_000), summary: Some("auto".into()), ..Reasoning::default() };
    let json = json_of(&Prompt { reasoning: Some(budget), ..hello() }, NEW);
    assert_eq!(
        (&json["thinking"], &json["output_config"]),
        (&json!({"type": "adaptive", "display": "summarized"}), &json!({"effort": "medium"}))
    );
    let (_, body) = encoded(&thinking(Effort::None), "claude-mythos-5");
    assert_eq!(dropped(&body), ["Reasoning"]);
}

#[test]
fn case_17_max_tokens_is_always_said() {
    let max = |cap, output_limit, max_output| {
        let target = Target { model: OLD, cap, output_limit, vendor: &UNKNOWN };
        let body = anthropic::body(&Prompt { max_output, ..hello() }, &target).unwrap();
        serde_json::from_slice::<Value>(&body.json).unwrap()["max_tokens"].as_u64().unwrap()
    };
    assert_eq!(max(None, 0, None), 8_192);
    assert_eq!(max(None, 4_096, None), 4_096);
    assert_eq!(max(None, 64_000, None), 32_000);
    assert_eq!(max(Some(500), 64_000, None), 500);
    assert_eq!(max(Some(500), 64_000, Some(900)), 500);
    assert_eq!(max(None, 4_096, Some(9_000)), 4_096);
    assert_eq!(max(None, 0, Some(9_000)), 9_000);
}

#[test]
fn case_18_blank_stop_strings_are_dropped() {
    let (json, body) = encoded(&Prompt { stop: vec!["\n".into(), "a".into(), "".into()], ..hello() }, OLD);
    assert_eq!((json["stop_sequences"].clone(), dropped(&body)), (json!(["a"]), vec!["Stop".to_owned()]));
    let (json, _) = encoded(&Prompt { stop: vec!["\n".into()], ..hello() }, OLD);
    assert!(json.get("stop_sequences").is_none());
}

#[test]
fn sampling_as_each_model_takes_it() {
    let with = |model, thinks: bool| {
        let reasoning = thinks.then(|| Reasoning { effort: Some(Effort::Low), ..Reasoning::default() });
        let prompt = Prompt {
            temperature: Some("1.7".into()),
            top_p: Some("0.5".into()),
            top_k: Some("3".into()),
            reasoning,
            ..hello()
        };
        let (json, body) = encoded(&prompt, model);
        (json["temperature"].clone(), json["top_p"].clone(), json["top_k"].clone(), dropped(&body).join(" "))
    };
    let none = Value::Null;
    assert_eq!(with("claude-sonnet-4", false), (json!(1), json!(0.5), json!(3), String::new()));
    assert_eq!(with(OLD, false), (json!(1), none.clone(), json!(3), "TopP".into()));
    assert_eq!(with(OLD, true), (none.clone(), none.clone(), none.clone(), "Temperature TopP TopK".into()));
    assert_eq!(with(NEWEST, false), (none.clone(), none.clone(), none, "Temperature TopP TopK".into()));
    // Defaults say nothing, so that leaving them out drops nothing.
    let prompt = Prompt { temperature: Some("1.0".into()), top_p: Some("1".into()), ..thinking(Effort::Low) };
    assert!(dropped(&encoded(&prompt, NEWEST).1).is_empty());
}

#[test]
fn case_23_thinking_stands_before_its_calls() {
    let mut prompt = talk(vec![
        turn(Role::User, vec![text("x")]),
        turn(
            Role::Assistant,
            vec![thought("a", signed("s1", false)), thought("", signed("d", true)), call("1", "{}")],
        ),
        turn(Role::User, vec![result("1", "r")]),
        turn(Role::Assistant, vec![thought("b", signed("s2", false)), text("t"), call("2", "{}")]),
        turn(Role::User, vec![result("2", "r")]),
    ]);
    prompt.reasoning = thinking(Effort::Medium).reasoning;
    let json = json_of(&prompt, OLD);
    assert_eq!(
        json["messages"][1]["content"].as_array().unwrap()[..2],
        [
            json!({"type": "thinking", "thinking": "a", "signature": "s1"}),
            json!({"type": "redacted_thinking", "data": "d"})
        ]
    );
    assert_eq!(json["messages"][3]["content"][0]["signature"], "s2");
    assert_eq!(json["thinking"]["type"], "enabled");
}

#[test]
fn case_24_foreign_and_unsigned_thinking_is_stripped() {
    let foreign = Some(Seal { by: By::Gemini, data: "g".into(), hidden: false });
    let mut prompt = talk(vec![
        turn(Role::User, vec![text("x")]),
        turn(Role::Assistant, vec![thought("a", None), thought("b", foreign), call("1", "{}")]),
        turn(Role::User, vec![result("1", "r")]),
    ]);
    prompt.reasoning = thinking(Effort::Medium).reasoning;
    let (json, body) = encoded(&prompt, OLD);
    assert_eq!(json["messages"][1]["content"].as_array().unwrap().len(), 1);
    // With a budget the loop would have to begin with thinking that is not there.
    assert!(json.get("thinking").is_none());
    assert_eq!(dropped(&body), ["Reasoning"]);
    let (json, body) = encoded(&prompt, NEW);
    assert_eq!(json["thinking"]["type"], "adaptive");
    assert!(dropped(&body).is_empty());
}

#[test]
fn a_turn_does_not_end_with_thinking() {
    let prompt = talk(vec![
        turn(Role::User, vec![text("x")]),
        turn(Role::Assistant, vec![thought("a", signed("s", false))]),
        turn(Role::User, vec![text("y")]),
    ]);
    assert_eq!(
        json_of(&prompt, OLD)["messages"],
        json!([{"role": "user", "content": [
        {"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}])
    );
}

#[test]
fn case_25_every_call_has_one_result_and_every_result_a_call() {
    let prompt = talk(vec![
        turn(Role::User, vec![result("gone", "old"), text("x")]),
        turn(Role::Assistant, vec![call("a", "{}"), call("b", "{}")]),
        turn(Role::User, vec![text("between"), result("b", "first"), result("b", "second")]),
        turn(Role::Assistant, vec![call("a", "{}")]),
    ]);
    let json = json_of(&prompt, OLD);
    let lost = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "There is no result of this call.", "is_error": true});
    assert_eq!(
        json["messages"][0]["content"],
        json!([
        {"type": "text", "text": "The result of an earlier tool call:"}, {"type": "text", "text": "old"}, {"type": "text", "text": "x"}])
    );
    assert_eq!(
        json["messages"][2]["content"],
        json!([
        lost("a"), {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "second"}]},
        {"type": "text", "text": "between"}])
    );
    // An id that came before is made unique, and the end of the conversation is answered.
    assert_eq!(json["messages"][3]["content"][0]["id"], "a_2");
    assert_eq!(json["messages"][4]["content"], json!([lost("a_2")]));
}

#[test]
fn case_25_an_empty_orphan_leaves_no_gap() {
    let prompt = talk(vec![
        turn(Role::Assistant, vec![text("a")]),
        turn(Role::User, vec![result("gone", "")]),
        turn(Role::Assistant, vec![call("x", "{}")]),
    ]);
    lawful(&json_of(&prompt, OLD));
}

#[test]
fn results_that_come_late_or_apart_are_one_turn() {
    let prompt = talk(vec![
        turn(Role::User, vec![text("x")]),
        turn(Role::Assistant, vec![call("a", "{}")]),
        turn(Role::Assistant, vec![call("b", "{}")]),
        turn(Role::User, vec![result("b", "2")]),
        turn(Role::User, vec![result("a", "1")]),
    ]);
    let json = json_of(&prompt, OLD);
    assert_eq!(json["messages"].as_array().unwrap().len(), 3);
    let ids: Vec<_> =
        json["messages"][2]["content"].as_array().unwrap().iter().map(|r| r["tool_use_id"].clone()).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn case_26_images_errors_and_empty_results() {
    let failed = |parts| Content::Result(ToolResult { id: "a".into(), parts, is_error: true, custom: false });
    let with = |content| {
        let prompt = talk(vec![
            turn(Role::User, vec![text("x")]),
            turn(Role::Assistant, vec![call("a", "{}")]),
            turn(Role::User, vec![content]),
        ]);
        json_of(&prompt, OLD)["messages"][2]["content"][0].clone()
    };
    assert_eq!(
        with(failed(vec![])),
        json!({"type": "tool_result", "tool_use_id": "a", "content": "The tool failed.", "is_error": true})
    );
    let image = media(MediaKind::Image, Source::Base64("/9j/4A".into()), None);
    let found = with(failed(vec![Part::text("see"), Part::new(image)]));
    assert_eq!(
        found["content"][1],
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4A"}})
    );
}

#[test]
fn case_27_documents_of_every_kind() {
    let with = |source, mime| {
        let prompt = Prompt {
            turns: vec![turn(Role::User, vec![media(MediaKind::Document, source, mime)])],
            ..Prompt::default()
        };
        let body = anthropic::body(&prompt, &target(OLD));
        body.map(|body| {
            serde_json::from_slice::<Value>(&body.json).unwrap()["messages"][0]["content"][0]["source"]
                .clone()
        })
    };
    let pdf = json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"});
    assert_eq!(with(Source::Base64("JVBERi0x".into()), Some("application/pdf")).unwrap(), pdf);
    assert_eq!(with(Source::Base64("JVBERi0x".into()), None).unwrap(), pdf);
    let plain = json!({"type": "text", "media_type": "text/plain", "data": "hi"});
    assert_eq!(with(Source::Base64("aGk=".into()), Some("text/markdown")).unwrap(), plain);
    assert_eq!(with(Source::Text("hi".into()), None).unwrap(), plain);
    assert_eq!(
        with(Source::Url("https://x/y.pdf".into()), None).unwrap(),
        json!({"type": "url", "url": "https://x/y.pdf"})
    );
    assert_eq!(
        with(Source::FileId("file_1".into()), None).unwrap(),
        json!({"type": "file", "file_id": "file_1"})
    );
    for (source, mime) in [
        (Source::FileId("file-abc".into()), None),
        (Source::Base64("UEsDBA".into()), Some("application/zip")),
    ] {
        assert_eq!(with(source, mime).unwrap_err().param, Param::Messages);
    }
}

#[test]
fn audio_is_refused_rather_than_lost() {
    let prompt = Prompt {
        turns: vec![turn(
            Role::User,
            vec![media(MediaKind::Audio, Source::Base64("AA".into()), Some("audio/wav"))],
        )],
        ..Prompt::default()
    };
    assert_eq!(anthropic::body(&prompt, &target(OLD)).unwrap_err().param, Param::Messages);
}

#[test]
fn the_user_has_the_first_and_the_last_word() {
    let turns = || vec![turn(Role::Assistant, vec![text("Welcome. ")])];
    let json = json_of(&talk(turns()), OLD);
    assert_eq!(json["messages"][0]["role"], "user");
    assert_eq!(
        json["messages"][1]["content"][0]["text"], "Welcome.",
        "a text to go on from does not end in a space"
    );
    let json = json_of(&talk(turns()), NEW);
    assert_eq!(json["messages"][2], json!({"role": "user", "content": [{"type": "text", "text": "Go on."}]}));
    let only = talk(vec![turn(Role::System, vec![text("A")]), turn(Role::System, vec![text("B")])]);
    let json = json_of(&only, OLD);
    assert_eq!(
        (&json["system"][0]["text"], &json["messages"][0]["content"][0]["text"]),
        (&json!("A"), &json!("B"))
    );
}

#[test]
fn json_mode_is_asked_for_in_words() {
    let (json, body) = encoded(&Prompt { format: Some(Format::JsonObject), ..hello() }, OLD);
    assert!(json["system"][0]["text"].as_str().unwrap().contains("JSON object"));
    assert_eq!(dropped(&body), ["Format"]);
}

#[test]
fn the_last_four_cache_marks_are_kept() {
    let marked =
        |text: &'static str| Part { content: Content::text(text), cache: Some(CacheTtl::FiveMinutes) };
    let mut prompt = talk(vec![
        Turn { role: Role::System, parts: vec![marked("a"), marked("b")], name: None },
        Turn { role: Role::User, parts: vec![marked("c"), marked(" "), marked("d")], name: None },
    ]);
    prompt.turns[1].parts.push(Part { content: Content::text("e"), cache: Some(CacheTtl::OneHour) });
    prompt.tools = vec![Tool::Function {
        name: "f".into(),
        description: None,
        parameters: None,
        strict: None,
        cache: Some(CacheTtl::OneHour),
    }];
    let json = json_of(&prompt, OLD);
    assert!(
        json["tools"][0].get("cache_control").is_none() && json["system"][0].get("cache_control").is_none()
    );
    let marks = [
        &json["system"][1],
        &json["messages"][0]["content"][0],
        &json["messages"][0]["content"][1],
        &json["messages"][0]["content"][2],
    ];
    let marks = marks.map(|block| block["cache_control"].clone());
    let five = json!({"type": "ephemeral"});
    assert_eq!(marks, [five.clone(), five.clone(), five, json!({"type": "ephemeral", "ttl": "1h"})]);
}

#[test]
fn a_request_of_anthropics_own_survives_the_neutral_model() {
    let body = json!({
        "model": NEWEST, "max_tokens": 4000, "stream": true,
        "system": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Q"},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JV"}, "title": "T"}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "t", "signature": "s=="},
                {"type": "text", "text": "A", "citations": [{"type": "page_location", "cited_text": "c", "document_index": 0,
                    "document_title": "T", "start_page_number": 1, "end_page_number": 2}]},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, 2]}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "is_error": true,
                "content": [{"type": "text", "text": "no"}, {"type": "image", "source": {"type": "url", "url": "https://x"}}]}]},
        ],
        "tools": [{"name": "f", "description": "d", "strict": true,
                   "input_schema": {"type": "object", "additionalProperties": false}},
                  {"type": "web_search_20250305", "name": "web_search"}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "xhigh", "format": {"type": "json_schema",
                          "schema": {"type": "object", "additionalProperties": false}}},
        "stop_sequences": ["X"], "metadata": {"user_id": "u"}, "service_tier": "standard_only",
        "context_management": {"edits": []}, "mcp_servers": [],
    });
    let json = weir_llm::json::Json::parse(bytes::Bytes::from(body.to_string())).unwrap();
    let prompt = anthropic::prompt(json.root());
    let (again, made) = encoded(&prompt, NEWEST);
    assert_eq!(again, body);
    assert!(dropped(&made).is_empty(), "{:?}", dropped(&made));
}

/// What Anthropic refuses, checked on a body.
fn lawful(body: &Value) {
    let messages = body["messages"].as_array().unwrap();
    let mut open: Vec<&str> = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    for (at, message) in messages.iter().enumerate() {
        assert_eq!(message["role"], if at % 2 == 0 { "user" } else { "assistant" }, "turns alternate");
        let content = message["content"].as_array().unwrap();
        assert!(!content.is_empty());
        for block in content {
            assert!(block["type"] != "text" || !block["text"].as_str().unwrap().trim().is_empty());
            assert!(
                block["type"] != "tool_use" || known.insert(block["id"].as_str().unwrap()),
                "ids are unique"
            );
        }
        let answered = content.iter().map_while(|block| block["tool_use_id"].as_str()).collect::<Vec<_>>();
        assert_eq!(answered, open, "every call is answered at once and nothing else is");
        assert_eq!(content.iter().filter(|block| block["type"] == "tool_result").count(), open.len());
        open = content
            .iter()
            .filter(|block| block["type"] == "tool_use")
            .map(|block| block["id"].as_str().unwrap())
            .collect();
        assert!(open.is_empty() || message["role"] == "assistant");
        let last = content.last().unwrap()["type"].as_str().unwrap();
        assert!(!last.ends_with("thinking"));
    }
    assert!(open.is_empty());
}

proptest::proptest! {
    #[test]
    fn whatever_was_said_becomes_lawful(said in proptest::collection::vec((0..4usize, proptest::collection::vec(0..7usize, 0..4)), 0..9), new: bool) {
        let roles = [Role::User, Role::Assistant, Role::User, Role::System];
        let part = |which: &usize| match which {
            0 => text("a"),
            1 => text(" "),
            2 => call("x", "{}"),
            3 => call("y", "{"),
            4 => result("x", "r"),
            5 => result("y", ""),
            _ => thought("t", signed("s", false)),
        };
        let turns = said.iter().map(|(role, parts)| turn(roles[*role], parts.iter().map(part).collect()));
        let prompt = talk(turns.collect());
        lawful(&json_of(&prompt, if new { NEW } else { OLD }));
    }
}
