//! The dialect `openai-responses`: what a caller gets, whole and streamed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use serde_json::{Value, json};
use weir_llm::fault::Said;
use weir_llm::json::Json;
use weir_llm::neutral::event::Assembler;
use weir_llm::neutral::{Ask, By, Call, Choice, Citation, Content, Event, Finish, Reply, Seal, Thinking};
use weir_llm::responses::{Decoder, Encoder, read_reply, write_reply};
use weir_llm::sse;
use weir_llm::usage::Usage;

fn asked(body: &Value) -> Json {
    Json::parse(body.to_string().into()).unwrap()
}

fn ask(json: &Json) -> Ask<'_> {
    Ask { root: json.root(), include_usage: false, request_id: "req-1", now: 1_700_000_000, model: "asked" }
}

fn plain() -> Json {
    asked(&json!({"model": "asked", "input": "hi"}))
}

fn written(reply: &Reply) -> Value {
    serde_json::from_slice(&write_reply(reply, &ask(&plain()))).unwrap()
}

/// Frames of a stream: each is named by its type and numbered without gaps.
fn frames(bytes: &[u8]) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    sse::Parser::new(1 << 20)
        .push(bytes, &mut |event| {
            let data: Value = serde_json::from_slice(event.data).unwrap();
            assert_eq!(data["type"], json!(event.name));
            assert_eq!(data["sequence_number"], json!(all.len()));
            all.push(data);
        })
        .unwrap();
    all
}

/// A reply as a stream.
fn sent(reply: &Reply) -> Vec<u8> {
    let json = plain();
    let (mut encoder, mut out) = (Encoder::new(&ask(&json)), Vec::new());
    reply.events(&mut |event| encoder.push(&event, &mut out));
    out
}

fn streamed(events: &[Event<'_>]) -> Vec<Value> {
    let json = plain();
    let (mut encoder, mut out) = (Encoder::new(&ask(&json)), Vec::new());
    events.iter().for_each(|event| encoder.push(event, &mut out));
    frames(&out)
}

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().unwrap().trim_start_matches("response.")).collect()
}

fn reply(finish: Finish, parts: Vec<Content<'static>>) -> Reply {
    Reply {
        id: "msg_01".into(),
        model: "claude".into(),
        created: Some(7),
        choices: vec![Choice { parts, finish: Some(finish), ..Choice::default() }],
        usage: Some(Usage { input: 1, output: 2, ..Usage::default() }),
        service_tier: None,
    }
}

fn call(id: &'static str, arguments: &'static str, custom: bool) -> Content<'static> {
    Content::Call(Call { id: id.into(), name: "f".into(), arguments: arguments.into(), custom, seal: None })
}

fn seal(by: By, hidden: bool) -> Option<Seal<'static>> {
    Some(Seal { by, data: "c2ln".into(), hidden })
}

fn rich() -> Reply {
    let cited = Citation {
        url: Some("https://x".into()),
        title: Some("X".into()),
        cited: None,
        range: Some((0, 3)),
        json: None,
    };
    reply(
        Finish::ToolCalls,
        vec![
            Content::Thinking(Thinking { text: "hm".into(), seal: seal(By::Anthropic, false) }),
            Content::Thinking(Thinking { text: "".into(), seal: seal(By::Anthropic, true) }),
            Content::Thinking(Thinking { text: "own".into(), seal: seal(By::OpenAi, true) }),
            Content::Text { text: "one".into(), citations: vec![cited] },
            Content::text("two"),
            call("a", "{\"x\":1}", false),
            call("b", "*** Begin", true),
            Content::text("three"),
        ],
    )
}

/// Without what the dialect's own object adds to a citation.
fn bare(mut reply: Reply) -> Reply {
    for part in reply.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        if let Content::Text { citations, .. } = part {
            citations.iter_mut().for_each(|citation| citation.json = None);
        }
    }
    reply.id = String::new();
    reply.service_tier = None;
    reply
}

#[test]
fn a_reply_survives_being_written_and_read() {
    let back = read_reply(&write_reply(&rich(), &ask(&plain())).into()).unwrap();
    assert!(bare(back) == bare(rich()));
}

#[test]
fn a_stream_survives_being_written_and_read_and_ends_in_the_whole_reply() {
    let out = sent(&rich());
    let (mut decoder, mut assembler) = (Decoder::new(), Assembler::default());
    sse::Parser::new(1 << 20)
        .push(&out, &mut |event| decoder.feed(&event, &mut |event| assembler.push(&event)))
        .unwrap();
    assert!(bare(assembler.finish()) == bare(rich()));
    let frames = frames(&out);
    assert_eq!(frames.last().unwrap()["response"], written(&rich()));
    assert!(!String::from_utf8(out).unwrap().contains("[DONE]"));
}

#[test]
fn events_come_in_the_protocols_order() {
    let frames = streamed(&[
        Event::Start { id: "x".into(), model: "m".into(), created: None },
        Event::Thinking { choice: 0, text: "hm".into() },
        Event::Text { choice: 0, text: "a".into() },
        Event::Text { choice: 0, text: "b".into() },
        Event::Finish { choice: 0, reason: Finish::Stop, stop_sequence: None },
        Event::End,
        Event::Text { choice: 0, text: "after the end".into() },
    ]);
    let want = [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&frames), want);
    let id = &frames[8]["item"]["id"];
    assert!(frames[9..14].iter().all(|frame| &frame["item_id"] == id && frame["output_index"] == json!(1)));
    assert!(id == &frames[14]["item"]["id"] && id == &frames[15]["response"]["output"][1]["id"]);
    assert_eq!((&frames[12]["text"], &frames[12]["logprobs"]), (&json!("ab"), &json!([])));
    let response = |at: usize| &frames[at]["response"]["id"];
    assert!(response(0) == response(1) && response(0) == response(15) && response(0) == &json!("resp_x"));
}

#[test]
fn case_01_interleaved_calls_have_places_of_their_own() {
    let start = |call, id: &'static str| Event::CallStart {
        choice: 0,
        call,
        id: id.into(),
        name: "f".into(),
        custom: call == 1,
        seal: None,
    };
    let more = |call, text: &'static str| Event::CallArguments { call, text: text.into() };
    let frames = streamed(&[
        Event::Start { id: "x".into(), model: "m".into(), created: None },
        start(0, "a"),
        start(1, "b"),
        more(0, "{\"x\""),
        more(1, "free"),
        more(0, ":1}"),
        Event::CallEnd { call: 1 },
        Event::CallEnd { call: 0 },
        Event::Finish { choice: 0, reason: Finish::ToolCalls, stop_sequence: None },
        Event::End,
    ]);
    let want = [
        "created",
        "in_progress",
        "output_item.added",
        "output_item.added",
        "function_call_arguments.delta",
        "custom_tool_call_input.delta",
        "function_call_arguments.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(kinds(&frames), want);
    let output = &frames[11]["response"]["output"];
    assert_eq!((&output[0]["arguments"], &output[1]["input"]), (&json!("{\"x\":1}"), &json!("free")));
    assert_eq!((&frames[10]["item"], &frames[8]["item"]), (&output[0], &output[1]));
    assert_eq!((&output[0]["call_id"], &output[1]["type"]), (&json!("a"), &json!("custom_tool_call")));
}

#[test]
fn case_04_empty_arguments_become_an_object() {
    let whole = reply(Finish::ToolCalls, vec![call("a", "", false)]);
    assert_eq!(written(&whole)["output"][0]["arguments"], json!("{}"));
    let frames = frames(&sent(&whole));
    let deltas: String = frames.iter().filter_map(|frame| frame["delta"].as_str()).collect();
    let done = frames.iter().find(|frame| frame["arguments"].is_string()).unwrap();
    assert_eq!((deltas.as_str(), &done["arguments"]), ("{}", &json!("{}")));
}

#[test]
fn case_05_truncated_arguments_are_closed_and_marked() {
    let cut = reply(Finish::Length, vec![call("a", "{\"x\":\"cu", false)]);
    let whole = written(&cut);
    assert_eq!(whole["output"][0]["arguments"], json!("{\"x\":\"cu\"}"));
    assert_eq!(
        (&whole["output"][0]["status"], &whole["status"]),
        (&json!("incomplete"), &json!("incomplete"))
    );
    let frames = frames(&sent(&cut));
    let deltas: String = frames.iter().filter_map(|frame| frame["delta"].as_str()).collect();
    assert_eq!(deltas, "{\"x\":\"cu\"}");
    assert_eq!(frames.last().unwrap()["response"], whole);
}

#[test]
fn endings_have_the_protocols_words() {
    let text = || Content::text("x");
    let refusal = || Content::Refusal("no".into());
    for (finish, part, status, reason) in [
        (Finish::Stop, text(), "completed", None),
        (Finish::StopSequence, text(), "completed", None),
        (Finish::Paused, text(), "completed", None),
        (Finish::Length, text(), "incomplete", Some("max_output_tokens")),
        (Finish::ContextWindow, text(), "incomplete", Some("max_output_tokens")),
        (Finish::Filter, text(), "incomplete", Some("content_filter")),
        (Finish::Refusal, text(), "incomplete", Some("content_filter")),
        (Finish::Refusal, refusal(), "completed", None),
    ] {
        let reply = reply(finish, vec![part]);
        let whole = written(&reply);
        assert_eq!(whole["status"], json!(status), "{finish:?}");
        assert_eq!(whole["incomplete_details"]["reason"], json!(reason), "{finish:?}");
        assert_eq!(whole["output"][0]["status"], json!(status), "{finish:?}");
        let last = frames(&sent(&reply)).pop().unwrap();
        assert_eq!((&last["response"], &last["type"]), (&whole, &json!(format!("response.{status}"))));
    }
}

#[test]
fn case_24_proofs_come_back_as_they_were() {
    let output = written(&rich())["output"].clone();
    let proof = |at: usize| Seal::unwrap(output[at]["encrypted_content"].as_str().unwrap());
    assert!(proof(0) == Some((seal(By::Anthropic, false).unwrap(), "hm".into())));
    assert!(proof(1) == Some((seal(By::Anthropic, true).unwrap(), String::new())));
    assert_eq!((&output[1]["summary"], &output[2]["encrypted_content"]), (&json!([]), &json!("c2ln")));
    let unsigned = Content::Thinking(Thinking { text: "x".into(), seal: None });
    assert!(written(&reply(Finish::Stop, vec![unsigned]))["output"][0]["encrypted_content"].is_null());
}

#[test]
fn case_22_citations_are_native_annotations() {
    let bare = Citation { url: Some("https://y".into()), title: None, cited: None, range: None, json: None };
    let document = Citation { url: None, title: Some("d".into()), ..bare.clone() };
    let text = Content::Text { text: "né".into(), citations: vec![bare, document] };
    let reply = reply(Finish::Stop, vec![text]);
    let want = json!([{"type": "url_citation", "url": "https://y", "title": "https://y", "start_index": 0, "end_index": 2}]);
    assert_eq!(written(&reply)["output"][0]["content"][0]["annotations"], want);
    let frames = frames(&sent(&reply));
    let added = frames.iter().filter(|frame| frame["annotation"].is_object()).collect::<Vec<_>>();
    assert_eq!(
        (added.len(), &added[0]["annotation"], &added[0]["annotation_index"]),
        (1, &want[0], &json!(0))
    );
}

#[test]
fn case_30_usage_has_every_field_and_may_come_last() {
    let usage =
        Usage { input: 5, cached_input: 4, cache_write_1h: 1, output: 5, reasoning: 3, ..Usage::default() };
    let frames = streamed(&[
        Event::Text { choice: 0, text: "x".into() },
        Event::Usage(Usage::default()),
        Event::Finish { choice: 0, reason: Finish::Stop, stop_sequence: None },
        Event::Usage(usage),
        Event::End,
    ]);
    let want = json!({"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "output_tokens": 8, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 18});
    assert_eq!(frames.last().unwrap()["response"]["usage"], want);
    assert!(frames[0]["response"]["usage"].is_null());
}

#[test]
fn case_33_an_error_after_the_first_byte_is_in_protocol() {
    let json = plain();
    let (mut encoder, mut out) = (Encoder::new(&ask(&json)), Vec::new());
    encoder.push(&Event::Text { choice: 0, text: "x".into() }, &mut out);
    let message = "slow down";
    let said = Said {
        status: 429,
        kind: "rate_limit_error",
        code: Some("rate_limit_exceeded"),
        param: None,
        message,
        request_id: "r",
    };
    encoder.fail(&said, &mut out);
    encoder.fail(&said, &mut out);
    encoder.push(&Event::End, &mut out);
    let frames = frames(&out);
    let [.., error, failed] = frames.as_slice() else { panic!("no frames") };
    let nested =
        json!({"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": message, "param": null});
    assert_eq!(
        (&error["type"], &error["error"], &error["message"]),
        (&json!("error"), &nested, &json!(message))
    );
    assert_eq!(
        (&failed["type"], &failed["response"]["status"]),
        (&json!("response.failed"), &json!("failed"))
    );
    let want = json!({"code": "rate_limit_exceeded", "message": message});
    assert_eq!(failed["response"]["error"], want);
    assert_eq!(failed["response"]["id"], frames[0]["response"]["id"]);
}

#[test]
fn a_response_repeats_the_request() {
    let body = json!({"model": "asked", "input": "hi", "instructions": "be nice", "temperature": 0.5,
        "max_output_tokens": 9, "metadata": {"a": "b"}, "user": "u", "store": true, "truncation": "auto",
        "text": {"verbosity": "low"}, "reasoning": {"effort": "low"}, "tool_choice": {"type": "web_search"},
        "tools": [{"type": "function", "name": "f"}, {"type": "unheard_of"}, {"type": "tool_search"}]});
    let json = asked(&body);
    let reply =
        Reply { id: String::new(), model: String::new(), created: None, ..reply(Finish::Stop, vec![]) };
    let whole: Value = serde_json::from_slice(&write_reply(&reply, &ask(&json))).unwrap();
    for key in
        ["instructions", "temperature", "max_output_tokens", "metadata", "user", "truncation", "reasoning"]
    {
        assert_eq!(whole[key], body[key], "{key}");
    }
    assert_eq!(whole["tools"], json!([{"type": "function", "name": "f"}, {"type": "tool_search"}]));
    assert_eq!(whole["text"], json!({"format": {"type": "text"}, "verbosity": "low"}));
    assert_eq!((&whole["tool_choice"], &whole["parallel_tool_calls"]), (&json!("auto"), &json!(true)));
    assert_eq!((&whole["top_p"], &whole["store"]), (&json!(1.0), &json!(false)));
    assert_eq!((&whole["id"], &whole["model"]), (&json!("resp_req-1"), &json!("asked")));
    assert_eq!(whole["created_at"], json!(1_700_000_000));
    for key in ["error", "incomplete_details", "previous_response_id"] {
        assert!(whole.get(key).is_some_and(Value::is_null), "{key}");
    }
}

#[test]
fn logprobs_have_every_field() {
    let mut reply = reply(Finish::Stop, vec![Content::text("é")]);
    let given = json!({"content": [{"token": "é", "logprob": -1, "bytes": null}], "refusal": null});
    reply.choices[0].logprobs = Some(given.to_string().into());
    let want = json!([{"token": "é", "logprob": -1, "bytes": [195, 169], "top_logprobs": []}]);
    let whole = written(&reply);
    assert_eq!(whole["output"][0]["content"][0]["logprobs"], want);
    let frames = frames(&sent(&reply));
    assert_eq!(frames.last().unwrap()["response"], whole);
    assert!(frames.iter().any(|frame| frame["delta"] == json!("") && frame["logprobs"] == want));
}

#[test]
fn other_answers_are_not_mixed_in_and_pings_are_comments() {
    let json = plain();
    let (mut encoder, mut out) = (Encoder::new(&ask(&json)), Vec::new());
    encoder.push(&Event::Ping, &mut out);
    assert_eq!(out, b": ping\n\n");
    encoder.push(&Event::Text { choice: 0, text: "a".into() }, &mut out);
    encoder.push(&Event::Text { choice: 1, text: "b".into() }, &mut out);
    encoder.push(&Event::Finish { choice: 1, reason: Finish::Length, stop_sequence: None }, &mut out);
    encoder.push(&Event::End, &mut out);
    let last = frames(&out).pop().unwrap();
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], json!("a"));
    assert_eq!(last["response"]["status"], json!("completed"));
}
