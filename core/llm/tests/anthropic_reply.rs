//! The dialect `anthropic`: whole replies.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, outside test functions")]

use bytes::Bytes;
use serde_json::{Value, json};
use weir_llm::anthropic;
use weir_llm::fault::Hint;
use weir_llm::json::Json;
use weir_llm::neutral::{Ask, Broken, By, Call, Choice, Citation, Content, Finish, Reply, Seal, Thinking};
use weir_llm::usage::{ServiceTier, Usage};

fn read(reply: &Value) -> Result<Reply, Broken> {
    anthropic::read_reply(&Bytes::from(reply.to_string()))
}

fn written(reply: &Reply) -> Value {
    let body = Json::parse(Bytes::from_static(b"{}")).unwrap();
    let ask = Ask { root: body.root(), include_usage: false, request_id: "req/1", now: 7, model: "asked" };
    serde_json::from_slice(&anthropic::write_reply(reply, &ask)).unwrap()
}

fn message(content: Value, stop_reason: &str) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": content,
        "stop_reason": stop_reason, "stop_sequence": null, "stop_details": null,
        "usage": {"input_tokens": 3, "output_tokens": 5}})
}

fn one(parts: Vec<Content<'static>>, finish: Finish) -> Reply {
    let choice = Choice { parts, finish: Some(finish), ..Choice::default() };
    Reply { id: "msg_1".into(), model: "m".into(), choices: vec![choice], ..Reply::default() }
}

fn thought(text: &'static str, by: By, hidden: bool) -> (Content<'static>, Seal<'static>) {
    let seal = Seal { by, data: "proof".into(), hidden };
    (Content::Thinking(Thinking { text: text.into(), seal: Some(seal.clone()) }), seal)
}

#[test]
fn a_rich_reply_survives_the_neutral_model() {
    let cited = json!({"type": "web_search_result_location", "cited_text": "c", "encrypted_index": "e", "title": "T", "url": "https://u"});
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "container": null, "diagnostics": null,
        "content": [
            {"type": "thinking", "thinking": "t", "signature": "sig"},
            {"type": "redacted_thinking", "data": "dark"},
            {"type": "text", "text": "A"},
            {"type": "text", "text": "B", "citations": [cited]},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1, "a": 2}, "caller": {"type": "direct"}, "toolset_name": null}],
        "stop_reason": "tool_use", "stop_sequence": null, "stop_details": null,
        "usage": {"cache_creation": {"ephemeral_1h_input_tokens": 2, "ephemeral_5m_input_tokens": 3},
            "cache_creation_input_tokens": 5, "cache_read_input_tokens": 7, "input_tokens": 11, "output_tokens": 13,
            "output_tokens_details": {"thinking_tokens": 4}, "server_tool_use": null, "inference_geo": null,
            "service_tier": "standard", "speed": null},
    });
    let reply = read(&body).unwrap();
    let want = Usage {
        input: 11,
        cached_input: 7,
        cache_write_5m: 3,
        cache_write_1h: 2,
        output: 9,
        reasoning: 4,
        ..Usage::default()
    };
    assert_eq!((reply.usage, reply.service_tier.as_deref()), (Some(want), Some("default")));
    let Content::Text { citations, .. } = &reply.choices[0].parts[3] else { panic!() };
    assert_eq!((citations[0].url.as_deref(), citations[0].cited.as_deref()), (Some("https://u"), Some("c")));
    assert_eq!(written(&reply), body);
}

#[test]
fn what_is_served_at_another_price_is_a_tier_of_its_own() {
    for (told, tier) in [
        (json!({}), ServiceTier::Ordinary),
        (
            json!({"service_tier": "standard", "speed": "standard", "inference_geo": "global"}),
            ServiceTier::Ordinary,
        ),
        (json!({"speed": null, "inference_geo": "not_available"}), ServiceTier::Ordinary),
        (json!({"service_tier": "standard", "speed": "fast"}), ServiceTier::Fast),
        (json!({"inference_geo": "us"}), ServiceTier::Us),
        (json!({"speed": "fast", "inference_geo": "us"}), ServiceTier::FastUs),
        (json!({"service_tier": "priority"}), ServiceTier::Priority),
        (json!({"service_tier": "priority", "speed": "fast"}), ServiceTier::Unknown),
    ] {
        let mut usage = json!({"input_tokens": 3, "output_tokens": 5});
        usage.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
        let body = json!({"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [],
            "stop_reason": "end_turn", "usage": usage});
        assert_eq!(read(&body).unwrap().usage.unwrap().tier, tier, "{told}");
    }
}

#[test]
fn every_ending_there_and_back() {
    for (reason, finish) in [
        ("end_turn", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("stop_sequence", Finish::StopSequence),
        ("tool_use", Finish::ToolCalls),
        ("pause_turn", Finish::Paused),
        ("refusal", Finish::Refusal),
        ("model_context_window_exceeded", Finish::ContextWindow),
    ] {
        let reply = read(&message(json!([{"type": "text", "text": "x"}]), reason)).unwrap();
        assert_eq!(reply.choices[0].finish, Some(finish));
        assert_eq!(written(&reply)["stop_reason"], reason);
    }
    let odd = read(&message(json!([]), "something_new")).unwrap();
    assert_eq!(odd.choices[0].finish, Some(Finish::Stop));
    let filtered = written(&one(vec![], Finish::Filter));
    assert_eq!(
        (&filtered["stop_reason"], &filtered["stop_details"]["type"]),
        (&json!("refusal"), &json!("refusal"))
    );
}

#[test]
fn case_04_empty_arguments_become_an_object() {
    let call = Call { id: "a".into(), name: "f".into(), arguments: "".into(), custom: false, seal: None };
    assert_eq!(written(&one(vec![Content::Call(call)], Finish::ToolCalls))["content"][0]["input"], json!({}));
}

#[test]
fn case_05_truncated_arguments_stay_an_object() {
    let call =
        Call { id: "a".into(), name: "f".into(), arguments: "{\"a\":\"b".into(), custom: false, seal: None };
    let body = written(&one(vec![Content::Call(call)], Finish::Length));
    assert_eq!(
        (&body["content"][0]["input"], &body["stop_reason"]),
        (&json!({"a": "b"}), &json!("max_tokens"))
    );
}

#[test]
fn case_10_a_reply_that_calls_ends_in_tool_use() {
    let body = message(json!([{"type": "tool_use", "id": "a", "name": "f", "input": {}}]), "end_turn");
    let reply = read(&body).unwrap();
    assert_eq!(reply.choices[0].finish, Some(Finish::ToolCalls));
    let call = Call { id: "a".into(), name: "f".into(), arguments: "{}".into(), custom: false, seal: None };
    assert_eq!(written(&one(vec![Content::Call(call)], Finish::Stop))["stop_reason"], "tool_use");
}

#[test]
fn case_19_the_stop_text_is_kept() {
    let mut body = message(json!([{"type": "text", "text": "x"}]), "stop_sequence");
    body["stop_sequence"] = json!("END");
    let reply = read(&body).unwrap();
    assert_eq!(reply.choices[0].stop_sequence.as_deref(), Some("END"));
    assert_eq!(written(&reply)["stop_sequence"], "END");
}

#[test]
fn case_20_refusals_keep_their_text_and_reason() {
    let mut body = message(json!([{"type": "text", "text": "Well, "}]), "refusal");
    body["stop_details"] = json!({"type": "refusal", "category": "bio", "explanation": "Too dangerous."});
    let reply = read(&body).unwrap();
    assert!(reply.choices[0].parts[1] == Content::Refusal("Too dangerous.".into()));
    let body = written(&one(vec![Content::Refusal("No.".into())], Finish::Stop));
    assert_eq!((&body["stop_reason"], &body["content"][0]["text"]), (&json!("refusal"), &json!("No.")));
    assert_eq!(body["stop_details"], json!({"type": "refusal", "category": null, "explanation": "No."}));
}

#[test]
fn case_22_citations_that_cannot_be_made_whole_are_left_out() {
    let citation = Citation {
        url: Some("https://u".into()),
        title: None,
        cited: None,
        range: Some((0, 1)),
        json: Some(r#"{"type":"url_citation","url":"https://u"}"#.into()),
    };
    let body =
        written(&one(vec![Content::Text { text: "x".into(), citations: vec![citation] }], Finish::Stop));
    assert_eq!(body["content"], json!([{"type": "text", "text": "x"}]));
}

#[test]
fn case_23_proofs_travel_in_the_callers_own_fields() {
    let (own, _) = thought("a", By::Anthropic, false);
    let (dark, _) = thought("", By::Anthropic, true);
    let (gemini, gemini_seal) = thought("b", By::Gemini, false);
    let (shown, shown_seal) = thought("summary", By::OpenAi, true);
    let (hidden, hidden_seal) = thought("", By::OpenAi, true);
    let bare = Content::Thinking(Thinking { text: "c".into(), seal: None });
    let body = written(&one(vec![own, dark, gemini, shown, hidden, bare], Finish::Stop));
    assert_eq!(
        body["content"],
        json!([
            {"type": "thinking", "thinking": "a", "signature": "proof"},
            {"type": "redacted_thinking", "data": "proof"},
            {"type": "thinking", "thinking": "b", "signature": gemini_seal.wrap("b")},
            {"type": "thinking", "thinking": "summary", "signature": shown_seal.wrap("summary")},
            {"type": "redacted_thinking", "data": hidden_seal.wrap("")},
            {"type": "thinking", "thinking": "c", "signature": ""},
        ])
    );
}

#[test]
fn ids_and_models_are_never_missing() {
    let name = |id: &str| {
        let body = written(&Reply { id: id.into(), ..Reply::default() });
        (body["id"].as_str().unwrap().to_owned(), body["model"].as_str().unwrap().to_owned())
    };
    assert_eq!(name("msg_9"), ("msg_9".into(), "asked".into()));
    assert_eq!(name("chatcmpl-9").0, "msg_chatcmpl-9");
    let (made, _) = name("");
    assert!(made.starts_with("msg_req_1_") && !made.contains('/'), "{made}");
}

#[test]
fn input_is_told_without_what_the_cache_holds() {
    let usage = Usage {
        input: 10,
        cached_input: 20,
        cache_write_5m: 3,
        cache_write_1h: 4,
        output: 5,
        reasoning: 6,
        image: 7,
        input_audio: 8,
        output_audio: 9,
        ..Usage::default()
    };
    let mut reply = one(vec![], Finish::Stop);
    reply.usage = Some(usage);
    let told = written(&reply)["usage"].clone();
    assert_eq!((&told["input_tokens"], &told["output_tokens"]), (&json!(25), &json!(20)));
    assert_eq!(
        (&told["cache_read_input_tokens"], &told["cache_creation_input_tokens"]),
        (&json!(20), &json!(7))
    );
}

#[test]
fn case_36_what_is_no_message_is_unreadable() {
    for body in [
        "",
        "<html></html>",
        "{\"type\":\"message\",\"content\":[",
        "{}",
        "[]",
        "null",
        "{\"content\":\"x\"}",
    ] {
        let found = anthropic::read_reply(&Bytes::from_static(body.as_bytes()));
        assert!(matches!(found, Err(Broken::Unreadable(_))), "{body}");
    }
    let error =
        read(&json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}));
    assert!(
        matches!(error, Err(Broken::Said(said)) if said.hint == Hint::Overloaded && said.message == "Overloaded")
    );
}
