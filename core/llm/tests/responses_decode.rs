//! The dialect `openai-responses`: what a provider's reply and stream say.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_llm::fault::Hint;
use weir_llm::neutral::event::Assembler;
use weir_llm::neutral::{Broken, By, Content, Event, Finish, Reply, Seal, Thinking};
use weir_llm::responses::{Decoder, read_reply};
use weir_llm::sse;
use weir_llm::usage::Usage;

fn read(body: &Value) -> Result<Reply, Broken> {
    read_reply(&Bytes::from(body.to_string()))
}

/// A message, thinking in two parts, two calls that interleave, a custom call: with deltas and whole.
fn output() -> Value {
    json!([
        {"id": "rs_1", "type": "reasoning", "encrypted_content": "gAAA", "summary": [
            {"type": "summary_text", "text": "first"}, {"type": "summary_text", "text": "second"}]},
        {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [
            {"type": "output_text", "text": "Hello", "logprobs": [], "annotations": [{"type": "url_citation",
                "url": "https://x", "title": "X", "start_index": 0, "end_index": 5}]}]},
        {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
        {"id": "fc_2", "type": "function_call", "call_id": "c2", "name": "g", "arguments": ""},
        {"id": "ctc_1", "type": "custom_tool_call", "call_id": "c3", "name": "h", "input": "*** Begin"},
    ])
}

fn response(status: &str, output: Value) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 1.7e9, "model": "gpt", "status": status,
        "error": null, "incomplete_details": null, "output": output, "service_tier": "default",
        "usage": {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
            "output_tokens": 8, "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 18}})
}

fn created() -> Value {
    let mut response = response("in_progress", json!([]));
    response["usage"] = json!(null);
    json!({"type": "response.created", "response": response})
}

fn done(index: usize) -> Value {
    json!({"type": "response.output_item.done", "output_index": index, "item": output()[index]})
}

fn added(index: usize) -> Value {
    let mut item = output()[index].clone();
    for key in ["arguments", "input"] {
        if item.get(key).is_some() {
            item[key] = json!("");
        }
    }
    for key in ["content", "summary"] {
        if item.get(key).is_some() {
            item[key] = json!([]);
        }
    }
    json!({"type": "response.output_item.added", "output_index": index, "item": item})
}

fn at(kind: &str, index: usize, more: Value) -> Value {
    let mut event = json!({"type": format!("response.{kind}"), "output_index": index, "content_index": 0});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

fn whole_stream() -> Vec<Value> {
    let thinking = |part: usize, text: &str| {
        at("reasoning_summary_text.delta", 0, json!({"summary_index": part, "delta": text}))
    };
    let arguments = |index, text: &str| at("function_call_arguments.delta", index, json!({"delta": text}));
    vec![
        created(),
        added(0),
        thinking(0, "fir"),
        thinking(0, "st"),
        thinking(1, "second"),
        done(0),
        added(1),
        at("output_text.delta", 1, json!({"delta": "Hel", "logprobs": []})),
        at("output_text.delta", 1, json!({"delta": "lo", "logprobs": []})),
        at(
            "output_text.annotation.added",
            1,
            json!({"annotation": output()[1]["content"][0]["annotations"][0]}),
        ),
        at("output_text.done", 1, json!({"text": "Hello"})),
        done(1),
        added(2),
        added(3),
        arguments(2, "{\"a\""),
        arguments(3, ""),
        arguments(2, ":1}"),
        at("function_call_arguments.done", 2, json!({"arguments": "{\"a\":1}"})),
        done(2),
        done(3),
        added(4),
        at("custom_tool_call_input.delta", 4, json!({"delta": "*** Begin"})),
        done(4),
        json!({"type": "response.completed", "response": response("completed", output())}),
    ]
}

fn bytes(events: &[Value]) -> Vec<u8> {
    let frame = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    events.iter().map(frame).collect::<String>().into_bytes()
}

/// What a stream said, the kinds of its events, and whether it was whole.
struct Heard {
    reply: Reply,
    kinds: Vec<&'static str>,
    error: Option<(Hint, String)>,
    ended: bool,
}

fn hear(stream: &[u8], cuts: &[usize]) -> Heard {
    let (mut parser, mut decoder) = (sse::Parser::new(1 << 20), Decoder::new());
    let mut assembler = Assembler::default();
    let mut heard = Heard { reply: Reply::default(), kinds: Vec::new(), error: None, ended: false };
    let mut sink = |event: Event<'_>| {
        assembler.push(&event);
        heard.kinds.push(name(&event));
        match &event {
            Event::Error(error) => heard.error = Some((error.hint, error.message.clone())),
            Event::End => heard.ended = true,
            _ => {}
        }
    };
    let mut from = 0;
    for &cut in cuts.iter().chain([&stream.len()]) {
        let to = cut.clamp(from, stream.len());
        parser.push(&stream[from..to], &mut |event| decoder.feed(&event, &mut sink)).unwrap();
        from = to;
    }
    decoder.end(&mut sink);
    heard.reply = assembler.finish();
    heard
}

const fn name(event: &Event<'_>) -> &'static str {
    match event {
        Event::Start { .. } => "start",
        Event::Text { .. } => "text",
        Event::Citation { .. } => "citation",
        Event::Refusal { .. } => "refusal",
        Event::Thinking { .. } => "thinking",
        Event::Sealed { .. } => "sealed",
        Event::Break { .. } => "break",
        Event::CallStart { .. } => "call",
        Event::CallArguments { .. } => "arguments",
        Event::CallEnd { .. } => "call end",
        Event::Logprobs { .. } => "logprobs",
        Event::Finish { .. } => "finish",
        Event::Usage(_) => "usage",
        Event::Ping => "ping",
        Event::Error(_) => "error",
        Event::Other { .. } => "other",
        Event::End => "end",
    }
}

#[test]
fn a_whole_reply_is_read() {
    let reply = read(&response("completed", output())).unwrap();
    assert_eq!(
        (reply.id.as_str(), reply.model.as_str(), reply.created),
        ("resp_1", "gpt", Some(1_700_000_000))
    );
    let usage =
        Usage { input: 5, cached_input: 4, cache_write_5m: 1, output: 5, reasoning: 3, ..Usage::default() };
    assert_eq!(reply.usage, Some(usage));
    let choice = &reply.choices[0];
    assert_eq!((choice.finish, choice.parts.len()), (Some(Finish::ToolCalls), 5));
    let seal = Seal { by: By::OpenAi, data: "gAAA".into(), hidden: true };
    let thinking = Thinking { text: "first\n\nsecond".into(), seal: Some(seal) };
    assert!(choice.parts[0] == Content::Thinking(thinking));
    assert!(
        matches!(&choice.parts[1], Content::Text { citations, .. } if citations[0].range == Some((0, 5)))
    );
    assert!(matches!(&choice.parts[4], Content::Call(call) if call.custom && call.arguments == "*** Begin"));
}

#[test]
fn a_stream_says_the_same_as_the_whole_reply() {
    let heard = hear(&bytes(&whole_stream()), &[]);
    let mut whole = read(&response("completed", output())).unwrap();
    // No event carries it.
    whole.service_tier = None;
    assert!(heard.reply == whole && heard.ended);
    assert_eq!(heard.kinds.iter().filter(|kind| **kind == "call end").count(), 3);
}

#[test]
fn case_02_items_that_only_come_whole_are_told_once() {
    let whole = hear(&bytes(&whole_stream()), &[]).reply;
    let last = whole_stream().pop().unwrap();
    let items: Vec<Value> = [created()].into_iter().chain((0..5).map(done)).chain([last.clone()]).collect();
    let only_last = hear(&bytes(&[last]), &[]);
    for heard in [hear(&bytes(&items), &[]), only_last] {
        assert!(heard.reply == whole && heard.ended, "{:?}", heard.kinds);
    }
}

#[test]
fn case_20_a_refusal_is_a_refusal() {
    let item = json!({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "refusal", "refusal": "I will not."}]});
    let last = json!({"type": "response.completed", "response": response("completed", json!([item]))});
    let stream = [
        created(),
        at("refusal.delta", 0, json!({"delta": "I will"})),
        at("refusal.delta", 0, json!({"delta": " not."})),
        at("refusal.done", 0, json!({"refusal": "I will not."})),
        last,
    ];
    let whole = read(&response("completed", json!([item]))).unwrap();
    for reply in [hear(&bytes(&stream), &[]).reply, whole] {
        assert_eq!(reply.choices[0].finish, Some(Finish::Refusal));
        assert!(reply.choices[0].parts == [Content::Refusal("I will not.".into())]);
    }
}

#[test]
fn case_22_parts_of_a_message_stay_apart() {
    let text = |part: usize, text: &str| json!({"type": "response.output_text.delta", "output_index": 0, "content_index": part, "delta": text});
    let last = json!({"type": "response.completed", "response": response("completed", json!([]))});
    let heard = hear(&bytes(&[created(), text(0, "a"), text(0, "b"), text(1, "c"), last]), &[]);
    assert!(heard.reply.choices[0].parts == [Content::text("ab"), Content::text("c")]);
}

#[test]
fn case_23_a_proof_alone_is_a_block_of_its_own() {
    let hidden = |index: usize| {
        json!({"type": "response.output_item.done", "output_index": index,
            "item": {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAA"}})
    };
    let last = json!({"type": "response.completed", "response": response("completed", json!([]))});
    let delta = at("reasoning_text.delta", 0, json!({"delta": "hm"}));
    let unsealed = json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "reasoning", "id": "r"}});
    let heard = hear(&bytes(&[created(), delta, unsealed, hidden(1), hidden(2), last]), &[]);
    let seal = || Some(Seal { by: By::OpenAi, data: "gAAA".into(), hidden: true });
    let want = [("hm", None), ("", seal()), ("", seal())]
        .map(|(text, seal)| Content::Thinking(Thinking { text: text.into(), seal }));
    assert!(heard.reply.choices[0].parts == want);
}

#[test]
fn reasons_of_incomplete_responses() {
    for (reason, finish) in [
        ("max_output_tokens", Finish::Length),
        ("content_filter", Finish::Filter),
        ("steered", Finish::ToolCalls),
    ] {
        let mut response = response("incomplete", output());
        response["incomplete_details"] = json!({"reason": reason});
        assert_eq!(read(&response).unwrap().choices[0].finish, Some(finish));
        let mut stream = whole_stream();
        let last = stream.len() - 1;
        stream[last] = json!({"type": "response.incomplete", "response": response});
        assert_eq!(hear(&bytes(&stream), &[]).reply.choices[0].finish, Some(finish));
    }
}

#[test]
fn logprobs_are_collected() {
    let token = json!({"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []});
    let item =
        json!({"type": "message", "content": [{"type": "output_text", "text": "a", "logprobs": [token]}]});
    let want = json!({"content": [token], "refusal": null}).to_string();
    let reply = read(&response("completed", json!([item]))).unwrap();
    assert_eq!(reply.choices[0].logprobs.as_deref(), Some(want.as_str()));
    let delta = at("output_text.delta", 0, json!({"delta": "a", "logprobs": [token]}));
    let whole = json!({"type": "response.output_item.done", "output_index": 0, "item": item});
    let last = json!({"type": "response.completed", "response": response("completed", json!([item]))});
    for stream in [vec![created(), delta, whole.clone(), last.clone()], vec![created(), whole, last]] {
        let told = hear(&bytes(&stream), &[]).reply.choices[0].logprobs.clone();
        assert_eq!(told.as_deref(), Some(want.as_str()));
    }
}

#[test]
fn case_30_a_missing_usage_does_not_keep_the_end_away() {
    let mut stream = whole_stream();
    let last = stream.len() - 1;
    stream[last]["response"]["usage"] = json!(null);
    let heard = hear(&bytes(&stream), &[]);
    assert!(heard.ended && heard.reply.usage.is_none());
}

#[test]
fn case_32_a_stream_without_its_last_event_has_no_end() {
    let mut stream = whole_stream();
    stream.pop();
    let heard = hear(&bytes(&stream), &[]);
    assert!(!heard.ended && !heard.kinds.contains(&"finish"));
}

#[test]
fn case_33_errors_in_the_stream_end_it_once() {
    let nested = json!({"type": "error", "error": {"type": "tokens", "code": "rate_limit_exceeded",
        "message": "slow down", "param": null}});
    let flat = json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": null});
    let mut response = response("failed", json!([]));
    response["error"] = json!({"code": "rate_limit_exceeded", "message": "slow down"});
    let failed = json!({"type": "response.failed", "response": response});
    for stream in [vec![created(), nested, failed.clone()], vec![created(), flat], vec![created(), failed]] {
        let heard = hear(&bytes(&stream), &[]);
        assert_eq!(heard.error, Some((Hint::RateLimited, "slow down".into())));
        assert!(!heard.ended && heard.kinds.iter().filter(|kind| **kind == "error").count() == 1);
    }
    assert!(matches!(read(&response), Err(Broken::Said(error)) if error.message == "slow down"));
}

#[test]
fn case_35_unknown_events_and_noise_are_skipped() {
    let mut stream =
        b": hello\n\ndata: [DONE]\n\nevent: response.new\ndata: {\"type\":\"response.new\"}\n\n".to_vec();
    stream.extend(bytes(&whole_stream()));
    assert!(hear(&stream, &[]).reply == hear(&bytes(&whole_stream()), &[]).reply);
}

#[test]
fn case_36_what_is_no_reply_is_unreadable() {
    for body in ["<html>", "", "{\"id\":\"resp_1\",\"out", "[]", "{}", "null"] {
        assert!(matches!(read_reply(&Bytes::from(body)), Err(Broken::Unreadable(_))), "{body}");
    }
    assert!(matches!(read(&response("failed", json!([]))), Err(Broken::Said(_))));
}

proptest! {
    #[test]
    fn any_split_gives_the_same(mut cuts in prop::collection::vec(0..4000usize, 0..12)) {
        cuts.sort_unstable();
        let stream = bytes(&whole_stream());
        let (whole, split) = (hear(&stream, &[]), hear(&stream, &cuts));
        prop_assert!(whole.reply == split.reply && whole.kinds == split.kinds);
    }

    #[test]
    fn nothing_that_a_provider_sends_is_a_panic(
        kinds in prop::collection::vec(0..24usize, 0..12),
        index in 0..6usize,
    ) {
        let all = whole_stream();
        let mut events: Vec<Value> = kinds.iter().map(|&kind| all[kind].clone()).collect();
        for event in &mut events {
            event["output_index"] = json!(index);
        }
        let heard = hear(&bytes(&events), &[]);
        prop_assert!(heard.kinds.iter().filter(|kind| **kind == "end").count() <= 1);
    }
}
