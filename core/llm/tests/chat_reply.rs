//! Chat replies and streams as neutral ones, and neutral ones for chat callers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_llm::chat::{Decoder, Encoder, read_reply, write_reply};
use weir_llm::fault::Said;
use weir_llm::json::Json;
use weir_llm::neutral::event::Assembler;
use weir_llm::neutral::{
    Ask, Broken, By, Call, Choice, Citation, Content, Event, Finish, Reply, Seal, Thinking,
};
use weir_llm::sse;
use weir_llm::usage::Usage;

/// Events of a stream of chunks, put together, and whether it ended by itself.
struct Decoded {
    reply: Reply,
    ended: bool,
    error: Option<String>,
    trace: Vec<String>,
}

fn decode(chunks: &[&[u8]], clean_end: bool) -> Decoded {
    let mut out = Decoded { reply: Reply::default(), ended: false, error: None, trace: Vec::new() };
    let (mut assembler, mut decoder, mut parser) =
        (Assembler::default(), Decoder::new(), sse::Parser::new(1 << 20));
    let mut sink = |event: Event<'_>| {
        assert!(!out.ended, "an event behind the last");
        out.ended |= event == Event::End;
        if let Event::Error(error) = &event {
            out.error = Some(error.message.clone());
        }
        out.trace.push(told(&event));
        assembler.push(&event);
    };
    for chunk in chunks {
        parser.push(chunk, &mut |event| decoder.feed(&event, &mut sink)).unwrap();
    }
    if clean_end {
        decoder.end(&mut sink);
    }
    out.reply = assembler.finish();
    out
}

fn told(event: &Event<'_>) -> String {
    match event {
        Event::Start { id, model, created } => format!("start {id} {model} {created:?}"),
        Event::Text { choice, text } => format!("text {choice} {text}"),
        Event::Thinking { choice, text } => format!("think {choice} {text}"),
        Event::Sealed { choice, seal } => format!("seal {choice} {}", seal.data),
        Event::Refusal { text, .. } => format!("refuse {text}"),
        Event::Break { choice } => format!("break {choice}"),
        Event::CallStart { call, id, name, .. } => format!("call {call} {id} {name}"),
        Event::CallArguments { call, text } => format!("args {call} {text}"),
        Event::CallEnd { call } => format!("end {call}"),
        Event::Finish { choice, reason, .. } => format!("finish {choice} {reason:?}"),
        Event::Citation { citation, .. } => format!("cite {}", citation.url.as_deref().unwrap_or_default()),
        Event::Logprobs { json, .. } => format!("logprobs {json}"),
        Event::Other { kind, .. } => format!("other {kind}"),
        Event::Usage(usage) => format!("usage {} {}", usage.total_input(), usage.total_output()),
        Event::Ping => "ping".into(),
        Event::Error(_) => "error".into(),
        Event::End => "done".into(),
    }
}

fn stream(chunks: &[Value]) -> Vec<u8> {
    let frames = chunks.iter().map(|chunk| format!("data: {chunk}\n\n"));
    (frames.collect::<String>() + "data: [DONE]\n\n").into_bytes()
}

fn chunk(delta: Value, finish: Option<&str>) -> Value {
    json!({"id": "r", "model": "m", "created": 7, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

fn decoded(chunks: &[Value]) -> Decoded {
    decode(&[&stream(chunks)], false)
}

fn calls(reply: &Reply) -> Vec<(String, String, String)> {
    let parts = reply.choices.iter().flat_map(|choice| &choice.parts);
    let calls = parts.filter_map(|part| match part {
        Content::Call(call) => Some((call.id.to_string(), call.name.to_string(), call.arguments.to_string())),
        _ => None,
    });
    calls.collect()
}

fn owned(calls: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    calls.iter().map(|(id, name, args)| ((*id).into(), (*name).into(), (*args).into())).collect()
}

fn ask<R>(include_usage: bool, body: impl FnOnce(&Ask<'_>) -> R) -> R {
    let json = Json::parse("{}".to_owned().into()).unwrap();
    let (request_id, model) = ("req_1", "asked");
    body(&Ask { root: json.root(), include_usage, request_id, now: 9, model })
}

fn written(reply: &Reply) -> Value {
    serde_json::from_slice(&ask(true, |ask| write_reply(reply, ask))).unwrap()
}

fn read(body: &Value) -> Reply {
    read_reply(&body.to_string().into()).unwrap()
}

/// A reply with everything that chat can say.
fn full() -> Reply {
    let call = |id: &'static str, name: &'static str, arguments: &'static str, custom| {
        Content::Call(Call {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            custom,
            seal: None,
        })
    };
    let seal = |data: &'static str, by, hidden| Some(Seal { by, data: data.into(), hidden });
    let citation = Citation {
        url: Some("https://x".into()),
        title: Some("X".into()),
        cited: None,
        range: Some((0, 2)),
        json: None,
    };
    Reply {
        id: "chatcmpl-1".into(),
        model: "m".into(),
        created: Some(7),
        choices: vec![Choice {
            parts: vec![
                Content::Thinking(Thinking { text: "hm".into(), seal: seal("c2ln", By::Anthropic, false) }),
                Content::Thinking(Thinking { text: "".into(), seal: seal("cmVk", By::Anthropic, true) }),
                Content::Thinking(Thinking { text: "sum".into(), seal: seal("ZW5j", By::OpenAi, true) }),
                Content::Text { text: "né \"x\"".into(), citations: vec![citation.clone(), citation] },
                call("a", "f", "{\"a\":1}", false),
                call("b", "g", "{}", false),
            ],
            finish: Some(Finish::ToolCalls),
            stop_sequence: None,
            logprobs: Some(r#"{"content":[],"refusal":null}"#.into()),
        }],
        usage: Some(Usage {
            input: 1,
            cached_input: 2,
            cache_write_5m: 3,
            output: 4,
            reasoning: 5,
            ..Usage::default()
        }),
        service_tier: Some("default".into()),
    }
}

#[test]
fn a_reply_survives_being_written_and_read() {
    let mut back = read_reply(&ask(true, |ask| write_reply(&full(), ask)).into()).unwrap();
    // Chat has no place for the order of text and thinking but the usual one, which this is.
    assert!(back == full());
    back.id.clear();
    assert_eq!(written(&back)["id"], "chatcmpl-req_1");
}

#[test]
fn a_stream_survives_being_written_and_read() {
    let (mut out, mut reply) = (Vec::new(), full());
    ask(true, |ask| {
        let mut encoder = Encoder::new(ask);
        reply.events(&mut |event| encoder.push(&event, &mut out));
    });
    // A stream has no service tier.
    reply.service_tier = None;
    let back = decode(&[&out], false);
    assert!(back.ended && back.reply == reply);
}

#[test]
fn what_a_provider_left_out_is_there_all_the_same() {
    let reply = Reply { choices: vec![Choice::default()], ..Reply::default() };
    assert_eq!(
        written(&reply),
        json!({
            "id": "chatcmpl-req_1", "object": "chat.completion", "created": 9, "model": "asked",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "", "refusal": null, "annotations": []},
                "logprobs": null, "finish_reason": "stop"}],
            "usage": null, "system_fingerprint": null,
        })
    );
}

#[test]
fn case_20_refusals_keep_text_and_reason() {
    let refused = |parts| {
        let choice = Choice { parts, finish: Some(Finish::Refusal), ..Choice::default() };
        written(&Reply { choices: vec![choice], ..Reply::default() })["choices"][0].clone()
    };
    let silent = refused(vec![]);
    assert_eq!(silent["finish_reason"], "content_filter");
    let told = refused(vec![Content::Refusal("no".into())]);
    assert_eq!((&told["finish_reason"], &told["message"]["refusal"]), (&json!("stop"), &json!("no")));
    let back = read(&json!({"choices": [{"message": {"refusal": "no"}, "finish_reason": "stop"}]}));
    assert_eq!(back.choices[0].finish, Some(Finish::Refusal));
    assert_eq!(
        decoded(&[chunk(json!({"refusal": "no"}), Some("stop"))]).trace[1..3],
        ["refuse no", "finish 0 Refusal"]
    );
}

#[test]
fn case_22_texts_are_one_and_citations_keep_their_place() {
    let citation = |range| Citation { url: Some("u".into()), title: None, cited: None, range, json: None };
    let text =
        |text: &'static str, range| Content::Text { text: text.into(), citations: vec![citation(range)] };
    let choice = Choice { parts: vec![text("é1", None), text("abc", Some((1, 2)))], ..Choice::default() };
    let reply = Reply { choices: vec![choice], ..Reply::default() };
    let places = |list: &Value| {
        let cited = list.as_array().unwrap().iter().map(|one| one["url_citation"].clone());
        cited
            .map(|one| (one["start_index"].as_u64().unwrap(), one["end_index"].as_u64().unwrap()))
            .collect::<Vec<_>>()
    };
    let message = written(&reply)["choices"][0]["message"].clone();
    assert_eq!(message["content"], "é1abc");
    assert_eq!(places(&message["annotations"]), [(0, 2), (3, 4)]);
    let streamed: Vec<_> = frames(&reply, true)
        .iter()
        .filter_map(|frame| Some(places(frame.pointer("/choices/0/delta/annotations")?)))
        .collect();
    assert_eq!(streamed, [[(0, 2)], [(3, 4)]]);
}

#[test]
fn case_04_empty_arguments_become_an_object() {
    let call = Content::Call(Call {
        id: "a".into(),
        name: "f".into(),
        arguments: "".into(),
        custom: false,
        seal: None,
    });
    let reply =
        Reply { choices: vec![Choice { parts: vec![call], ..Choice::default() }], ..Reply::default() };
    assert_eq!(written(&reply)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}");
    let arguments = frames(&reply, false);
    let arguments = arguments
        .iter()
        .filter_map(|frame| frame.pointer("/choices/0/delta/tool_calls/0/function/arguments")?.as_str());
    assert_eq!(arguments.collect::<String>(), "{}");
    let whole = decoded(&[chunk(
        json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}),
        Some("stop"),
    )]);
    assert_eq!(calls(&whole.reply), owned(&[("a", "f", "")]));
}

#[test]
fn case_05_truncated_arguments_are_passed_as_they_are() {
    let cut = decoded(&[chunk(
        json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\":"}}]}),
        Some("length"),
    )]);
    assert_eq!(calls(&cut.reply), owned(&[("a", "f", "{\"x\":")]));
    assert_eq!(cut.reply.choices[0].finish, Some(Finish::Length));
}

#[test]
fn case_01_interleaved_calls_stay_apart() {
    let part =
        |index: u64, text: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]});
    let begin = |index: u64, id: &str| json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": "f", "arguments": ""}}]});
    let got = decoded(&[
        chunk(begin(0, "a"), None),
        chunk(begin(1, "b"), None),
        chunk(part(1, "{\"y\""), None),
        chunk(part(0, "{\"x\""), None),
        chunk(part(1, ":2}"), None),
        chunk(part(0, ":1}"), Some("tool_calls")),
    ]);
    assert_eq!(calls(&got.reply), owned(&[("a", "f", "{\"x\":1}"), ("b", "f", "{\"y\":2}")]));
    assert!(got.ended);
}

#[test]
fn case_02_whole_calls_in_one_chunk() {
    let call = |index: u64, id: &str| json!({"index": index, "id": id, "function": {"name": "f", "arguments": "{\"q\":1}"}});
    // Gemini's endpoint gives every call the index 0.
    for indexes in [[0, 1], [0, 0]] {
        let both = json!({"tool_calls": [call(indexes[0], "a"), call(indexes[1], "b")]});
        let got = decoded(&[chunk(both, Some("stop"))]);
        assert_eq!(calls(&got.reply), owned(&[("a", "f", "{\"q\":1}"), ("b", "f", "{\"q\":1}")]));
        // The first ends before the second begins: whoever must write them in order need not wait.
        assert_eq!(
            got.trace[1..6],
            ["call 0 a f", "args 0 {\"q\":1}", "end 0", "call 1 b f", "args 1 {\"q\":1}"]
        );
    }
}

#[test]
fn case_03_deltas_without_an_index() {
    let call = |id: &str, name: &str, text: &str| {
        chunk(json!({"tool_calls": [{"id": id, "function": {"name": name, "arguments": text}}]}), None)
    };
    let got = decoded(&[
        call("a", "f", "{\"x\""),
        call("a", "", ":1}"),
        call("b", "g", "{}"),
        chunk(json!({}), Some("tool_calls")),
    ]);
    assert_eq!(calls(&got.reply), owned(&[("a", "f", "{\"x\":1}"), ("b", "g", "{}")]));
    // Neither index nor id: a call that is whole is not continued.
    let bare = |name: &str| json!({"function": {"name": name, "arguments": "{}"}});
    let got = decoded(&[
        chunk(json!({"tool_calls": [bare("f"), bare("g")]}), None),
        chunk(json!({"tool_calls": [bare("h")]}), Some("stop")),
    ]);
    let names: Vec<_> = calls(&got.reply).into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["f", "g", "h"]);
}

#[test]
fn names_in_pieces_and_names_again_are_one_name() {
    let call = |name: &str, text: &str| {
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": name, "arguments": text}}]}),
            None,
        )
    };
    for pieces in [["get_", "time", ""], ["get_time", "get_time", "get_time"], ["get_", "get_time", ""]] {
        let got = decoded(&[
            call(pieces[0], ""),
            call(pieces[1], "{"),
            call(pieces[2], "}"),
            chunk(json!({}), Some("stop")),
        ]);
        assert_eq!(calls(&got.reply), owned(&[("a", "get_time", "{}")]), "{pieces:?}");
    }
}

#[test]
fn ids_that_are_missing_are_made() {
    let call = json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]});
    let got = decoded(&[chunk(call.clone(), Some("stop"))]);
    let whole = read(&json!({"id": "r", "choices": [{"message": call, "finish_reason": "stop"}]}));
    assert!(calls(&got.reply)[0].0.starts_with("call_"));
    assert_eq!(calls(&got.reply), calls(&whole));
}

#[test]
fn case_10_a_stop_with_calls_is_tool_calls() {
    let delta =
        json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]});
    assert_eq!(
        decoded(&[chunk(delta.clone(), Some("stop"))]).reply.choices[0].finish,
        Some(Finish::ToolCalls)
    );
    let whole = read(&json!({"choices": [{"message": delta, "finish_reason": "stop"}]}));
    assert_eq!(whole.choices[0].finish, Some(Finish::ToolCalls));
    let legacy = json!({"function_call": {"name": "f", "arguments": "{}"}});
    let got = decoded(&[chunk(legacy, Some("function_call"))]).reply;
    assert_eq!((got.choices[0].finish, calls(&got).len()), (Some(Finish::ToolCalls), 1));
}

#[test]
fn case_19_a_stop_text_that_was_met_is_kept() {
    let choice = json!({"message": {"content": "x"}, "finish_reason": "stop", "stop_reason": "END"});
    let reply = read(&json!({"choices": [choice]}));
    assert_eq!(reply.choices[0].finish, Some(Finish::StopSequence));
    assert_eq!(reply.choices[0].stop_sequence.as_deref(), Some("END"));
    // A token's number is none.
    let reply = read(
        &json!({"choices": [{"message": {"content": "x"}, "finish_reason": "stop", "stop_reason": 128001}]}),
    );
    assert_eq!(reply.choices[0].finish, Some(Finish::Stop));
}

#[test]
fn case_30_usage_is_found_wherever_it_stands() {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 4});
    let text = chunk(json!({"content": "x"}), Some("stop"));
    let with = |path: &[&str]| {
        let mut chunk = text.clone();
        let inner = path[1..].iter().rev().fold(usage.clone(), |inner, key| json!({*key: inner}));
        chunk[path[0]] = inner;
        chunk
    };
    let mut moonshot = text.clone();
    moonshot["choices"][0]["usage"] = usage.clone();
    for last in [with(&["usage"]), with(&["x_groq", "usage"]), moonshot] {
        let used = decoded(std::slice::from_ref(&last)).reply.usage.unwrap();
        assert_eq!((used.input, used.output), (3, 4), "{last}");
    }
    let later = json!({"id": "r", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 9}});
    let used = decoded(&[with(&["usage"]), later]).reply.usage.unwrap();
    assert_eq!(used.output, 9);
    assert!(decoded(&[text]).reply.usage.is_none());
}

#[test]
fn case_32_only_a_stream_whose_choices_finished_counts_as_whole() {
    let frame = |chunk: Value| format!("data: {chunk}\n\n").into_bytes();
    let begun = frame(chunk(json!({"content": "x"}), None));
    let finished = frame(chunk(json!({}), Some("stop")));
    assert!(!decode(&[&begun], true).ended);
    assert!(!decode(&[&begun, &finished], false).ended);
    let whole = decode(&[&begun, &finished], true);
    assert_eq!(whole.trace[2..], ["finish 0 Stop", "done"]);
    assert!(!decode(&[], true).ended);
    // `[DONE]` without a finish reason: the provider says that it is done.
    let done = decode(&[&begun, b"data: [DONE]\n\n"], true);
    assert_eq!(done.trace[2..], ["finish 0 Stop", "done"]);
}

#[test]
fn case_33_an_error_in_the_stream_ends_it() {
    let errors = [
        json!({"error": {"message": "busy", "code": 529}}),
        json!({"error": "busy", "choices": []}),
        json!({"object": "error", "message": "busy", "type": "x", "code": 500}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"message": "busy"}}]}),
    ];
    for error in errors {
        let got = decoded(&[chunk(json!({"content": "x"}), None), error.clone()]);
        assert_eq!((got.error.as_deref(), got.ended), (Some("busy"), false), "{error}");
        assert_eq!(got.trace.last().unwrap(), "error");
    }
    let named = decode(&[b"event: error\ndata: {\"message\":\"busy\"}\n\ndata: [DONE]\n\n"], true);
    assert_eq!((named.error.as_deref(), named.ended), (Some("busy"), false));
}

#[test]
fn case_36_what_is_no_reply_is_told_without_content() {
    for body in
        ["<html>secret</html>", "", "{\"id\":\"secret", "[]", "{\"id\":\"secret\"}", "{\"choices\":null}"]
    {
        match read_reply(&body.to_owned().into()) {
            Err(Broken::Unreadable(message)) => assert!(!message.contains("secret"), "{message}"),
            _ => panic!("{body} is no reply"),
        }
    }
    let said = read_reply(&json!({"error": {"message": "busy"}}).to_string().into());
    assert!(matches!(said, Err(Broken::Said(error)) if error.message == "busy"));
}

#[test]
fn mistrals_content_is_a_list_with_thinking() {
    let content = json!([
        {"type": "thinking", "thinking": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}]},
        {"type": "text", "text": "so"},
        {"type": "reference", "reference_ids": [1]},
        {"type": "text", "text": "!"},
    ]);
    let thought = Content::Thinking(Thinking { text: "hm".into(), seal: None });
    let want = [thought, Content::text("so!")];
    let whole = read(&json!({"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}));
    assert!(whole.choices[0].parts == want);
    assert!(decoded(&[chunk(json!({"content": content}), Some("stop"))]).reply.choices[0].parts == want);
}

#[test]
fn case_23_thinking_is_told_once_and_blocks_stay_apart() {
    let detail = |index: u64, more: Value| {
        let mut entry = json!({"index": index, "format": "anthropic-claude-v1"});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        entry
    };
    let text = |index, text: &str| {
        json!({
        "reasoning": text, "reasoning_details": [detail(index, json!({"type": "reasoning.text", "text": text}))]})
    };
    let proof = |index, data: &str| {
        json!({
        "reasoning_details": [detail(index, json!({"type": "reasoning.text", "signature": data}))]})
    };
    let redacted =
        json!({"reasoning_details": [detail(1, json!({"type": "reasoning.encrypted", "data": "red"}))]});
    let got = decoded(&[
        chunk(text(0, "a"), None),
        chunk(text(0, "b"), None),
        chunk(proof(0, "s0"), None),
        chunk(redacted, None),
        chunk(text(2, "c"), None),
        chunk(proof(2, "s2"), None),
        chunk(json!({"content": "x"}), Some("stop")),
    ]);
    assert_eq!(
        got.trace[1..8],
        ["think 0 a", "think 0 b", "seal 0 s0", "seal 0 red", "think 0 c", "seal 0 s2", "text 0 x"]
    );
    assert_eq!(got.reply.choices[0].parts.len(), 4);
    // Details alone, without proofs between the blocks.
    let bare = |index, text: &str| json!({"reasoning_details": [detail(index, json!({"type": "reasoning.text", "text": text}))]});
    let got = decoded(&[chunk(bare(0, "a"), None), chunk(bare(1, "b"), Some("stop"))]);
    assert_eq!(got.trace[1..4], ["think 0 a", "break 0", "think 0 b"]);
}

#[test]
fn perplexitys_addresses_are_citations() {
    let mut first = chunk(json!({"content": "x"}), None);
    let mut last = chunk(json!({"content": "y"}), Some("stop"));
    first["citations"] = json!(["https://a"]);
    last["citations"] = json!(["https://a", "https://b"]);
    assert_eq!(
        decoded(&[first, last]).trace[1..5],
        ["text 0 x", "text 0 y", "cite https://a", "cite https://b"]
    );
}

#[test]
fn azures_first_chunk_begins_nothing() {
    let first = json!({"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": []});
    let got = decoded(&[first, chunk(json!({"content": "x"}), Some("stop"))]);
    assert_eq!(got.trace[0], "start r m Some(7)");
}

#[test]
fn recorded_streams_are_read() {
    let text = decode(&[include_bytes!("fixtures/text.sse")], false);
    assert!(text.ended);
    assert!(text.reply.choices[0].parts == [Content::text("A weir stands across\na \"river\": 水门 😀\\.")]);
    let usage = text.reply.usage.unwrap();
    assert_eq!((usage.input, usage.cached_input, usage.output, usage.reasoning), (56, 64, 14, 20));
    let tools = decode(&[include_bytes!("fixtures/tools.sse")], false);
    assert_eq!(calls(&tools.reply).len(), 2);
    let odd = decode(&[include_bytes!("fixtures/odd.sse")], false);
    assert!(odd.reply.choices[0].parts == [Content::text("é水x😀")]);
    assert_eq!(odd.reply.choices[0].finish, Some(Finish::Length));
}

proptest! {
    #[test]
    fn case_35_any_split_gives_the_same_events(cuts in prop::collection::vec(0usize..4000, 0..8), which in 0..3usize) {
        let recorded: [&[u8]; 3] =
            [include_bytes!("fixtures/text.sse"), include_bytes!("fixtures/tools.sse"), include_bytes!("fixtures/odd.sse")];
        let bytes = recorded[which];
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([bytes.len()]);
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let pieces: Vec<&[u8]> = starts.zip(ends).map(|(from, to)| &bytes[from..to]).collect();
        prop_assert_eq!(decode(&pieces, true).trace, decode(&[bytes], true).trace);
    }

    #[test]
    fn no_chunk_breaks_the_order(deltas in prop::collection::vec(delta(), 0..12)) {
        let chunks: Vec<Value> = deltas.into_iter().map(|(delta, finish)| chunk(delta, finish)).collect();
        let got = decoded(&chunks);
        prop_assert!(got.trace.first().unwrap().starts_with("start"));
        prop_assert_eq!(got.trace.iter().filter(|told| told.starts_with("start")).count(), 1);
        for call in 0..16 {
            let ends = got.trace.iter().filter(|told| **told == format!("end {call}")).count();
            let begins = got.trace.iter().filter(|told| told.starts_with(&format!("call {call} "))).count();
            prop_assert_eq!(begins, ends);
            prop_assert!(begins <= 1);
        }
        // What was read can be written and read again.
        let (mut out, reply) = (Vec::new(), got.reply);
        ask(true, |ask| {
            let mut encoder = Encoder::new(ask);
            reply.events(&mut |event| encoder.push(&event, &mut out));
        });
        prop_assert!(decode(&[&out], false).ended);
    }
}

fn delta() -> impl Strategy<Value = (Value, Option<&'static str>)> {
    let word = || prop::sample::select(vec!["", "a", "{}", "{\"x\":", "1}", "f"]);
    let maybe = |strategy: BoxedStrategy<Value>| prop_oneof![Just(Value::Null), strategy];
    let call = (maybe((0u64..3).prop_map(|i| json!(i)).boxed()), maybe(word().prop_map(|w| json!(w)).boxed()), word(), word())
        .prop_map(|(index, id, name, arguments)| {
            json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]})
        });
    let text = (prop::sample::select(vec!["content", "refusal", "reasoning", "reasoning_content"]), word())
        .prop_map(|(key, word)| json!({key: word}));
    let finish = prop_oneof![8 => Just(None), 1 => Just(Some("stop")), 1 => Just(Some("length"))];
    (prop_oneof![call, text], finish)
}

fn frames(reply: &Reply, include_usage: bool) -> Vec<Value> {
    let mut out = Vec::new();
    ask(include_usage, |ask| {
        let mut encoder = Encoder::new(ask);
        reply.events(&mut |event| encoder.push(&event, &mut out));
    });
    let text = String::from_utf8(out).unwrap();
    let mut frames: Vec<&str> = text.split("\n\n").collect();
    assert_eq!(frames.pop(), Some(""));
    assert_eq!(frames.pop(), Some("data: [DONE]"));
    frames
        .into_iter()
        .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

#[test]
fn chunks_are_those_of_openai() {
    let all = frames(&full(), true);
    assert!(
        all.iter().all(|chunk| chunk["id"] == "chatcmpl-1" && chunk["object"] == "chat.completion.chunk")
    );
    assert_eq!(all[0]["choices"][0]["delta"], json!({"role": "assistant", "content": "", "refusal": null}));
    let (last, rest) = all.split_last().unwrap();
    assert!(
        rest.iter().all(|chunk| chunk.as_object().unwrap().contains_key("usage") && chunk["usage"].is_null())
    );
    assert_eq!(last["choices"], json!([]));
    assert_eq!(
        (&last["usage"]["prompt_tokens"], &last["usage"]["completion_tokens"]),
        (&json!(6), &json!(9))
    );
    assert_eq!(last["usage"]["prompt_tokens_details"]["cache_write_tokens"], 3);
    let finish = rest.last().unwrap();
    assert_eq!(finish["choices"][0]["delta"], json!({}));
    assert_eq!(finish["choices"][0]["finish_reason"], "tool_calls");
    let begun: Vec<_> =
        rest.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0")).collect();
    assert_eq!(
        begun[0],
        &json!({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}})
    );
    assert_eq!(begun[1], &json!({"index": 0, "function": {"arguments": "{\"a\":1}"}}));
    assert_eq!(begun[2]["index"], 1);
    assert!(frames(&full(), false).iter().all(|chunk| chunk.get("usage").is_none()));
}

#[test]
fn choices_stay_apart() {
    let choice = |text: &'static str| Choice { parts: vec![Content::text(text)], ..Choice::default() };
    let reply = Reply { choices: vec![choice("a"), choice("b")], ..Reply::default() };
    let roles = frames(&reply, false);
    let roles = roles.iter().filter(|chunk| chunk.pointer("/choices/0/delta/role").is_some());
    assert_eq!(roles.count(), 2);
    let (mut out, back) = (Vec::new(), reply.clone());
    ask(false, |ask| {
        let mut encoder = Encoder::new(ask);
        back.events(&mut |event| encoder.push(&event, &mut out));
    });
    let got = decode(&[&out], false).reply;
    assert!(got.choices.len() == 2 && got.choices[1].parts == reply.choices[1].parts);
}

#[test]
fn keep_alives_are_comments_and_errors_end_the_stream() {
    let mut out = Vec::new();
    ask(true, |ask| {
        let mut encoder = Encoder::new(ask);
        encoder.push(&Event::Ping, &mut out);
        let said = Said {
            status: 502,
            kind: "server_error",
            code: Some("x"),
            param: None,
            message: "gone",
            request_id: "r",
        };
        encoder.fail(&said, &mut out);
        encoder.push(&Event::End, &mut out);
        encoder.fail(&said, &mut out);
    });
    let want = ": keep-alive\n\ndata: {\"error\":{\"message\":\"gone\",\"type\":\"server_error\",\"param\":null,\"code\":\"x\"}}\n\n";
    assert_eq!(String::from_utf8(out).unwrap(), want);
}

#[test]
fn custom_tools_calls_are_text() {
    let delta = json!({"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "patch", "input": "*** x"}}]});
    let got = decoded(&[chunk(delta.clone(), Some("tool_calls"))]).reply;
    let Content::Call(call) = &got.choices[0].parts[0] else { panic!("a call") };
    assert!(call.custom && call.arguments == "*** x");
    assert_eq!(
        written(&got)["choices"][0]["message"]["tool_calls"][0]["custom"],
        json!({"name": "patch", "input": "*** x"})
    );
    let whole = read(&json!({"choices": [{"message": delta, "finish_reason": "tool_calls"}]}));
    assert!(whole.choices[0].parts == got.choices[0].parts);
}
