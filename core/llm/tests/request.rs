//! What is read of Responses and Messages requests, what guards see of them, and what is cut out for a target.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_llm::api::{Api, Dialect};
use weir_llm::estimate;
use weir_llm::neutral::{By, Seal, Target};
use weir_llm::request::{Patch, Request, Role, SegmentEdit, SegmentKind};
use weir_llm::sse::Parser;
use weir_llm::translate::{Scan, translate};
use weir_llm::vendor;

fn parse(api: Api, body: &Value) -> Request {
    Request::parse(api, body.to_string().into()).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// The segments: whose, what, and the text.
fn segments(request: &Request) -> Vec<(Role, SegmentKind, String)> {
    let texts = (0..).map(|index| request.text(index).unwrap().into_owned());
    request.segments().iter().zip(texts).map(|(segment, text)| (segment.role, segment.kind, text)).collect()
}

fn sent(request: &Request) -> Value {
    let patch = Patch { unseal: true, ..Patch::model("m1") };
    serde_json::from_slice(&request.patched(&patch)).unwrap()
}

fn sealed(by: By, text: &str) -> String {
    Seal { by, data: "cHJvb2Y=".into(), hidden: false }.wrap(text)
}

#[test]
fn what_is_missing_or_of_a_wrong_type_is_said_with_its_place() {
    let said = json!([{ "role": "user", "content": "hi" }]);
    for (api, body, param) in [
        (Api::Responses, json!({ "model": "m" }), "input"),
        (Api::Responses, json!({ "input": "x" }), "model"),
        (Api::Responses, json!({ "model": "m", "input": [] }), "input"),
        (Api::Responses, json!({ "model": "m", "input": [{ "content": "x" }] }), "input[0].role"),
        (
            Api::Responses,
            json!({ "model": "m", "input": [{ "role": "tool", "content": "x" }] }),
            "input[0].role",
        ),
        (
            Api::Responses,
            json!({ "model": "m", "input": [{ "role": "user", "content": [{ "text": "x" }] }] }),
            "input[0].content[0].type",
        ),
        (
            Api::Responses,
            json!({ "model": "m", "input": [{ "type": "function_call", "name": "f", "arguments": "{}" }] }),
            "input[0].call_id",
        ),
        (Api::Responses, json!({ "model": "m", "input": "x", "stream": "yes" }), "stream"),
        (Api::Responses, json!({ "model": "m", "input": "x", "Input": "y" }), "Input"),
        (Api::Messages, json!({ "model": "m", "messages": said }), "max_tokens"),
        (Api::Messages, json!({ "model": "m", "max_tokens": 1 }), "messages"),
        (Api::Messages, json!({ "model": "m", "max_tokens": 1, "messages": [] }), "messages"),
        (
            Api::Messages,
            json!({ "model": "m", "max_tokens": 1, "messages": [{ "role": "tool", "content": "x" }] }),
            "messages[0].role",
        ),
        (
            Api::Messages,
            json!({ "model": "m", "max_tokens": 1, "messages": [{ "role": "user", "content": [{ "type": "text" }] }] }),
            "messages[0].content[0].text",
        ),
        (
            Api::Messages,
            json!({ "model": "m", "max_tokens": 1, "messages": said, "tools": [{ "description": "d" }] }),
            "tools[0].name",
        ),
        (Api::Messages, json!({ "model": "m", "max_tokens": 1.5, "messages": said }), "max_tokens"),
    ] {
        let error = Request::parse(api, body.to_string().into()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}: {error}");
    }
    // Counting needs no bound.
    parse(Api::CountTokens, &json!({ "model": "m", "messages": said }));
}

#[test]
fn wishes_for_state_are_found() {
    for (mut body, wish) in [
        (json!({ "input": "x", "store": true }), None),
        (json!({ "input": "x", "previous_response_id": null, "background": false }), None),
        (json!({ "input": "x", "previous_response_id": "resp_1" }), Some("previous_response_id")),
        (json!({ "input": "x", "conversation": { "id": "conv_1" } }), Some("conversation")),
        (json!({ "prompt": { "id": "pmpt_1" } }), Some("prompt")),
        (json!({ "input": "x", "background": true }), Some("background")),
        (json!({ "input": [{ "type": "item_reference", "id": "msg_1" }] }), Some("item_reference")),
    ] {
        body["model"] = json!("m");
        assert_eq!(parse(Api::Responses, &body).state(), wish, "{body}");
    }
}

#[test]
fn guards_see_every_word_of_both_apis_and_whose_it_is() {
    let responses = parse(
        Api::Responses,
        &json!({ "model": "m", "instructions": "be kind", "input": [
            { "role": "user", "content": [{ "type": "input_text", "text": "look" },
                { "type": "input_image", "image_url": "data:image/png;base64,AA" },
                { "type": "input_file", "file_url": "https://x/y.pdf" }] },
            { "type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"a\":1}" },
            { "type": "function_call_output", "call_id": "c", "output": "found", "role": "hidden" },
        ]}),
    );
    let found = segments(&responses);
    for want in [
        (Role::System, SegmentKind::Text, "be kind"),
        (Role::User, SegmentKind::Text, "look"),
        (Role::User, SegmentKind::ImageBytes, "data:image/png;base64,AA"),
        (Role::User, SegmentKind::File, "https://x/y.pdf"),
        (Role::Assistant, SegmentKind::ToolCall, "{\"a\":1}"),
        (Role::Tool, SegmentKind::ToolResult, "found"),
        (Role::Tool, SegmentKind::ToolResult, "hidden"),
    ] {
        assert!(found.contains(&(want.0, want.1, want.2.to_owned())), "{want:?} of {found:?}");
    }
    let messages = parse(
        Api::Messages,
        &json!({ "model": "m", "max_tokens": 9, "system": [{ "type": "text", "text": "be kind" }], "messages": [
            { "role": "user", "content": [{ "type": "document", "source": { "type": "base64", "media_type": "application/pdf", "data": "JVBE" } }] },
            { "role": "assistant", "content": [{ "type": "thinking", "thinking": "hm", "signature": "c2ln" },
                { "type": "tool_use", "id": "t", "name": "f", "input": { "deep": { "key": "value" } } }] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t", "content": [{ "type": "text", "text": "found" }] }] },
        ]}),
    );
    let found = segments(&messages);
    for want in [
        (Role::System, SegmentKind::Text, "be kind"),
        (Role::User, SegmentKind::File, "JVBE"),
        (Role::Assistant, SegmentKind::Reasoning, "hm"),
        (Role::Assistant, SegmentKind::ToolCall, "value"),
        (Role::Assistant, SegmentKind::ToolCall, "deep"),
        (Role::Tool, SegmentKind::ToolResult, "found"),
    ] {
        assert!(found.contains(&(want.0, want.1, want.2.to_owned())), "{want:?} of {found:?}");
    }
}

#[test]
fn proofs_of_others_are_cut_out_for_a_target_and_only_then() {
    let thinking = |signature: &str| json!({ "type": "thinking", "thinking": "t", "signature": signature });
    let turn = |blocks: Value| {
        json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "a" },
            { "role": "assistant", "content": blocks }, { "role": "user", "content": "b" }] })
    };
    let (own, foreign, bare) = (thinking("c2ln"), thinking(&sealed(By::Gemini, "t")), thinking(""));
    let text = json!({ "type": "text", "text": "x" });
    for (blocks, kept) in [
        (json!([foreign, own, text]), json!([own, text])),
        (json!([own, foreign, text, bare]), json!([own, text])),
        (json!([bare, text, foreign]), json!([text])),
        (json!([bare, foreign]), json!([{ "type": "text", "text": "(no content)" }])),
        (json!([own, text]), json!([own, text])),
    ] {
        let body = turn(blocks);
        let request = parse(Api::Messages, &body);
        assert_eq!(sent(&request)["messages"][1]["content"], kept, "{body}");
        assert_eq!(request.patched(&Patch::model("m")), body.to_string(), "policies see it as it came");
    }
    let id = Seal { by: By::Gemini, data: "s".into(), hidden: false }.into_id("call_1");
    let body = turn(json!([{ "type": "tool_use", "id": id, "name": "f", "input": {} }]));
    assert_eq!(sent(&parse(Api::Messages, &body))["messages"][1]["content"][0]["id"], "call_1");
    let items = json!([{ "type": "reasoning", "id": id, "summary": [], "encrypted_content": sealed(By::Gemini, "") }]);
    let body = json!({ "model": "m", "input": items });
    assert_eq!(sent(&parse(Api::Responses, &body))["input"][0]["type"], "message");
}

#[test]
fn a_guard_may_edit_thinking_that_will_be_cut_out() {
    let body = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "a" },
        { "role": "assistant", "content": [{ "type": "thinking", "thinking": "SSN 123", "signature": "" }, { "type": "text", "text": "x" }] }] });
    let request = parse(Api::Messages, &body);
    let segment = (0..).position(|index| request.text(index).unwrap() == "SSN 123").unwrap();
    let edits = [SegmentEdit { segment, start: 4, end: 7, text: Some("***") }];
    let edited = request.patched(&Patch { edits: &edits, ..Patch::model("m") });
    let edited = Request::parse(Api::Messages, edited).unwrap();
    assert!(segments(&edited).iter().any(|(_, _, text)| text == "SSN ***"));
    assert_eq!(sent(&edited)["messages"][1]["content"], json!([{ "type": "text", "text": "x" }]));
}

#[test]
fn what_an_envelope_says_never_reaches_a_model_that_cannot_check_it() {
    let hidden =
        json!({ "type": "thinking", "thinking": "", "signature": sealed(By::Gemini, "SECRET words") });
    let body = json!({ "model": "m", "max_tokens": 9, "tools": [{ "name": "f", "input_schema": { "type": "object" } }], "messages": [
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": [hidden, { "type": "tool_use", "id": "t", "name": "f", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t", "content": "r" }] }] });
    let request = parse(Api::Messages, &body);
    for vendor in vendor::all() {
        let target = Target { model: "m1", cap: None, output_limit: 0, vendor };
        for dialect in Dialect::ALL {
            let out = translate(&request, dialect, &target).unwrap();
            let text = String::from_utf8(out.body.to_vec()).unwrap();
            assert!(!text.contains("SECRET"), "{} {dialect:?}: {text}", vendor.name);
        }
    }
}

#[test]
fn a_file_at_an_address_is_bounded_by_a_table_however_long_the_address() {
    let url = format!("https://x/{}.pdf", "a".repeat(400));
    let body = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": [
        { "type": "document", "source": { "type": "url", "url": url } }] }] });
    assert!(estimate::input_bound(&parse(Api::Messages, &body)) > estimate::NAMED_FILE_TOKENS);
}

#[test]
fn a_stream_of_two_answers_is_whole_only_when_both_have_ended() {
    let finish = |index: u32| {
        format!("data: {{\"choices\":[{{\"index\":{index},\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n")
    };
    let ended = |stream: &str| {
        let mut scan = Scan::new(Api::Chat, false);
        let mut parser = Parser::new(1 << 20);
        parser
            .push(&Bytes::from(stream.to_owned()), &mut |event| {
                scan.feed(&event);
            })
            .unwrap();
        scan.end(2).is_some()
    };
    assert!(!ended(&finish(0)));
    assert!(ended(&(finish(0) + &finish(1))));
}

/// The fuzz target of heads found it: what was put into an object without a member left its comma behind.
#[test]
fn an_empty_object_takes_a_model() {
    for body in ["{}", "{  }", " {\n} "] {
        let request = Request::parse(Api::Moderations, Bytes::from_static(body.as_bytes())).unwrap();
        assert_eq!(sent(&request), json!({ "model": "m1" }), "{body:?}");
    }
}

/// A body of any shape, its strings with escapes, its texts where the API has them.
fn any_body() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Value::from),
        "[\\\\\"\u{0}-\u{20}é😀a]{0,20}".prop_map(Value::from)
    ];
    let tree = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[a-zé\"]{0,6}", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    (tree.clone(), tree, any::<String>()).prop_map(|(content, extra, text)| {
        let said = json!([{ "role": "user", "content": text, "other": content }]);
        json!({ "model": "m", "max_tokens": 1, "messages": said, "input": said, "query": text, "documents": [text], "x": extra })
    })
}

proptest! {
    /// Each string of a body is one segment, and no longer than it is written: a guard whose bounds the body keeps need not
    /// be asked about the texts (`larger-body` in `when` of a manifest).
    #[test]
    fn all_texts_together_have_no_more_bytes_than_the_body(body in any_body()) {
        for api in [Api::Chat, Api::Responses, Api::Messages, Api::Embeddings, Api::Moderations, Api::Rerank] {
            let request = Request::parse(api, body.to_string().into());
            prop_assert!(request.is_ok() || api != Api::Chat, "{request:?}");
            let Ok(request) = request else { continue };
            let mut end = 0;
            for segment in request.segments() {
                prop_assert!(segment.span.start >= end, "{api:?}: one string, one segment");
                prop_assert!(segment.bytes as usize <= segment.span.len() - 2);
                end = segment.span.end;
            }
            prop_assert!(end <= request.body().len());
        }
    }
}
