//! The plugin over requests and replies.

use crate::JsonSchemaOutput;
use serde_json::{Value, json};
use weir_sdk::testing::{self, FakeRequest};
use weir_sdk::{Api, Config, Deny, Guard, GuardResponse, Meta, Outcome, Plugin, Verdict};

fn plugin(config: &Value) -> JsonSchemaOutput {
    JsonSchemaOutput::configure(Config::new(&config.to_string())).expect("a config")
}

fn numbers() -> Value {
    json!({ "schema": { "type": "array", "items": { "type": "number" } } })
}

/// A Chat reply with these choices.
fn chat(texts: &[&str]) -> FakeRequest {
    let reply = texts.iter().fold(FakeRequest::new(), |reply, text| reply.assistant(text));
    texts.iter().enumerate().fold(reply, |reply, (at, text)| {
        reply
            .json(&format!("/choices/{at}"), "{}")
            .json(&format!("/choices/{at}/message/content"), &Value::from(*text).to_string())
    })
}

fn asked(plugin: &JsonSchemaOutput, reply: &FakeRequest, meta: &Meta) -> Verdict {
    let mut head = testing::head();
    head.api = weir_sdk::Request::head(reply).api;
    plugin.guard_response(&head, meta, reply)
}

fn refused(verdict: Verdict) -> Deny {
    match verdict.outcome {
        Outcome::Block(deny) => deny,
        other => panic!("{other:?}"),
    }
}

#[test]
fn json_that_fits_passes_untouched() {
    let verdict = asked(&plugin(&numbers()), &chat(&[" [1, 2.5]\n"]), &testing::meta());
    assert_eq!(verdict, Verdict::pass());
}

#[test]
fn what_does_not_fit_is_refused_with_the_place() {
    let message = |text| refused(asked(&plugin(&numbers()), &chat(&[text]), &testing::meta()));
    let deny = message("[1, \"two\"]");
    assert_eq!((deny.status, deny.code.as_str()), (502, "schema_mismatch"));
    assert!(deny.message.ends_with("at \"/1\" is not a number."), "{}", deny.message);
    for text in ["", "Sure!", "[1", "[1] [2]", "{\"a\":1,\"a\":2}"] {
        assert_eq!(message(text).code, "schema_mismatch", "{text}");
    }
}

#[test]
fn a_reply_that_was_cut_says_so() {
    let meta = Meta { finish_reason: "length".into(), ..testing::meta() };
    let deny = refused(asked(&plugin(&numbers()), &chat(&["[1, 2"]), &meta));
    assert!(deny.message.contains("cut off"), "{}", deny.message);
}

#[test]
fn json_is_taken_out_of_a_fence() {
    let reply = chat(&["Sure:\n```json\n[1]\n```\nü!", "[2]", "```\n[3]\n```"]);
    let verdict = asked(&plugin(&numbers()), &reply, &testing::meta());
    assert_eq!(reply.edited(&verdict), ["[1]\n", "[2]", "[3]\n"]);
    assert!(verdict.findings.iter().all(|finding| finding.rule == "repaired"));
    let mut config = numbers();
    config["repair"] = json!(false);
    assert!(asked(&plugin(&config), &reply, &testing::meta()).is_block());
    assert!(asked(&plugin(&numbers()), &chat(&["```json\n[\"x\"]\n```"]), &testing::meta()).is_block());
}

#[test]
fn choices_that_say_the_same_are_both_repaired() {
    let reply = chat(&["```\n[1]\n```", "```\n[1]\n```"]);
    let verdict = asked(&plugin(&numbers()), &reply, &testing::meta());
    assert_eq!(reply.edited(&verdict), ["[1]\n", "[1]\n"]);
}

#[test]
fn every_choice_must_fit() {
    assert!(asked(&plugin(&numbers()), &chat(&["[1]", "no"]), &testing::meta()).is_block());
}

#[test]
fn calls_and_refusals_are_no_answers() {
    let call = chat(&[""]).json("/choices/0/message/tool_calls/0", r#"{"id":"call_1"}"#);
    assert_eq!(asked(&plugin(&numbers()), &call, &testing::meta()), Verdict::pass());
    let mut strict = numbers();
    strict["tool_calls"] = json!("block");
    assert!(asked(&plugin(&strict), &call, &testing::meta()).is_block());
    let declined = chat(&[""]).json("/choices/0/message/refusal", "\"I will not.\"");
    assert_eq!(asked(&plugin(&strict), &declined, &testing::meta()), Verdict::pass());
    let null = chat(&["x"]).json("/choices/0/message/refusal", "null");
    assert!(asked(&plugin(&strict), &null, &testing::meta()).is_block());
}

#[test]
fn responses_and_messages_have_their_own_places() {
    let part = |reply: FakeRequest, at: &str, kind: &str, text: &str| {
        reply
            .json(at, "{}")
            .json(&format!("{at}/type"), &Value::from(kind).to_string())
            .json(&format!("{at}/text"), &Value::from(text).to_string())
    };
    let responses = FakeRequest::new().head(|head| head.api = Api::Responses).assistant("[1]");
    let responses = part(part(responses, "/output/0", "reasoning", ""), "/output/1", "message", "");
    let good = part(responses, "/output/1/content/0", "output_text", "[1]");
    assert_eq!(asked(&plugin(&numbers()), &good, &testing::meta()), Verdict::pass());
    let bad = part(good, "/output/1/content/1", "output_text", ", 2");
    assert!(asked(&plugin(&numbers()), &bad, &testing::meta()).is_block());

    let messages = FakeRequest::new().head(|head| head.api = Api::Messages);
    let good = part(part(messages, "/content/0", "thinking", ""), "/content/1", "text", "[1,");
    let good = part(good, "/content/2", "text", "2]");
    assert_eq!(asked(&plugin(&numbers()), &good, &testing::meta()), Verdict::pass());
    let call = part(part(good, "/content/1", "text", "Let me see."), "/content/3", "tool_use", "");
    assert_eq!(asked(&plugin(&numbers()), &call, &testing::meta()), Verdict::pass());
}

#[test]
fn other_apis_answer_with_no_text() {
    let reply = FakeRequest::new().head(|head| head.api = Api::Embeddings);
    assert_eq!(asked(&plugin(&numbers()), &reply, &testing::meta()), Verdict::pass());
}

#[test]
fn the_schema_of_the_request_holds_beside_the_operators() {
    let request = FakeRequest::new().json("/response_format/json_schema/schema", r#"{"maxItems":1}"#);
    let plugin = plugin(&numbers());
    assert_eq!(plugin.guard(&request), Verdict::pass());
    assert_eq!(asked(&plugin, &chat(&["[1]"]), &testing::meta()), Verdict::pass());
    assert!(asked(&plugin, &chat(&["[1, 2]"]), &testing::meta()).is_block());
    assert!(asked(&plugin, &chat(&["[null]"]), &testing::meta()).is_block());
}

#[test]
fn without_any_schema_everything_passes() {
    let plugin = plugin(&json!({}));
    assert_eq!(plugin.guard(&FakeRequest::new().user("hi")), Verdict::pass());
    assert_eq!(asked(&plugin, &chat(&["hello"]), &testing::meta()), Verdict::pass());
}

#[test]
fn a_schema_that_cannot_be_checked_is_refused_before_a_model_is_asked() {
    let code = |schema: &str| {
        let request = FakeRequest::new().json("/response_format/json_schema/schema", schema);
        let deny = refused(plugin(&json!({})).guard(&request));
        (deny.status, deny.code)
    };
    let unsupported = (400, "schema_unsupported".to_owned());
    assert_eq!(code(r#"{"unevaluatedProperties":false}"#), unsupported);
    assert_eq!(code(r#"{"type":"text"}"#), unsupported);
    assert_eq!(code(&format!("[{}]", "[".repeat(60) + &"]".repeat(60))), unsupported);
    assert_eq!(code(&" ".repeat(70_000)), unsupported);
}

#[test]
fn the_request_is_not_asked_if_the_operator_does_not_want_it() {
    let plugin = plugin(&json!({ "request_schema": false }));
    let request = FakeRequest::new().json("/response_format/json_schema/schema", r#"{"type":"text"}"#);
    assert_eq!(plugin.guard(&request), Verdict::pass());
    assert_eq!(asked(&plugin, &chat(&["hello"]), &testing::meta()), Verdict::pass());
}

#[test]
fn an_operators_schema_that_cannot_be_checked_is_refused_at_load() {
    for config in [r#"{"schema":{"$ref":"https://x.example"}}"#, r#"{"schema":1}"#, r#"{"repair":"no"}"#] {
        assert!(JsonSchemaOutput::configure(Config::new(config)).is_err(), "{config}");
    }
}
