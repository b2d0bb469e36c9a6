//! The dialect `anthropic`: streamed replies.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, outside test functions")]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_llm::anthropic::{self, Decoder, Encoder};
use weir_llm::fault::{Hint, Said};
use weir_llm::json::Json;
use weir_llm::neutral::event::Assembler;
use weir_llm::neutral::{Ask, By, Call, Choice, Content, Event, Finish, Reply, Seal, Thinking};
use weir_llm::sse;
use weir_llm::usage::{ServiceTier, Usage};

const RICH: &[u8] = include_bytes!("fixtures/anthropic.sse");

/// What a decoder makes of a stream: the reply, what else came, and whether it ended.
#[derive(Default)]
struct Decoded {
    assembler: Assembler,
    pings: usize,
    errors: Vec<Hint>,
    usages: Vec<Usage>,
    ended: bool,
}

impl Decoded {
    fn push(&mut self, event: &Event<'_>) {
        self.assembler.push(event);
        match event {
            Event::Ping => self.pings += 1,
            Event::Error(error) => self.errors.push(error.hint),
            Event::Usage(usage) => self.usages.push(*usage),
            Event::End => self.ended = true,
            _ => {}
        }
    }
}

fn decoded(chunks: &[&[u8]]) -> Decoded {
    let (mut parser, mut decoder, mut all) = (sse::Parser::new(1 << 20), Decoder::new(), Decoded::default());
    for chunk in chunks {
        parser.push(chunk, &mut |event| decoder.feed(&event, &mut |event| all.push(&event))).unwrap();
    }
    decoder.end(&mut |event| all.push(&event));
    all
}

fn ask_with<T>(run: impl FnOnce(&Ask<'_>) -> T) -> T {
    let body = Json::parse(Bytes::from_static(b"{}")).unwrap();
    run(&Ask { root: body.root(), include_usage: false, request_id: "req_1", now: 7, model: "asked" })
}

fn frames(out: &[u8]) -> Vec<Value> {
    let mut all = Vec::new();
    let read = &mut |event: sse::Event<'_>| {
        let value: Value = serde_json::from_slice(event.data).unwrap();
        assert_eq!(value["type"], event.name, "every event has its name");
        all.push(value);
    };
    sse::Parser::new(1 << 20).push(out, read).unwrap();
    all
}

fn encoded(events: &[Event<'_>]) -> Vec<Value> {
    let mut out = Vec::new();
    let mut encoder = ask_with(Encoder::new);
    for event in events {
        encoder.push(event, &mut out);
    }
    frames(&out)
}

/// The blocks of a stream, checked to come one after the other: what each began with and its deltas.
fn blocks(frames: &[Value]) -> Vec<(Value, Vec<Value>)> {
    let mut blocks: Vec<(Value, Vec<Value>)> = Vec::new();
    let mut open = false;
    for frame in frames {
        match frame["type"].as_str().unwrap() {
            "content_block_start" => {
                assert!(!open, "one block at a time");
                assert_eq!(frame["index"], blocks.len());
                blocks.push((frame["content_block"].clone(), Vec::new()));
                open = true;
            }
            "content_block_delta" => {
                assert!(open && frame["index"] == blocks.len() - 1);
                blocks.last_mut().unwrap().1.push(frame["delta"].clone());
            }
            "content_block_stop" => {
                assert!(open && frame["index"] == blocks.len() - 1);
                open = false;
            }
            _ => assert!(!open || frame["type"] == "ping", "nothing else stands inside of a block"),
        }
    }
    assert!(!open);
    blocks
}

fn start() -> Event<'static> {
    Event::Start { id: "chatcmpl-1".into(), model: "gpt".into(), created: None }
}

fn call(call: u32) -> Event<'static> {
    Event::CallStart {
        choice: 0,
        call,
        id: format!("c{call}").into(),
        name: "f".into(),
        custom: false,
        seal: None,
    }
}

fn arguments(call: u32, text: &'static str) -> Event<'static> {
    Event::CallArguments { call, text: text.into() }
}

fn text(text: &'static str) -> Event<'static> {
    Event::Text { choice: 0, text: text.into() }
}

fn finish(reason: Finish) -> Event<'static> {
    Event::Finish { choice: 0, reason, stop_sequence: None }
}

fn inputs(frames: &[Value]) -> Vec<(String, String)> {
    let calls = blocks(frames).into_iter().filter(|(block, _)| block["type"] == "tool_use");
    calls
        .map(|(block, deltas)| {
            let input: String = deltas.iter().map(|delta| delta["partial_json"].as_str().unwrap()).collect();
            (block["id"].as_str().unwrap().to_owned(), input)
        })
        .collect()
}

#[test]
fn a_recorded_stream_is_read_whole() {
    let all = decoded(&[RICH]);
    assert!(all.ended && all.errors.is_empty());
    assert_eq!(all.pings, 1);
    let reply = all.assembler.finish();
    assert_eq!((reply.id.as_str(), reply.model.as_str()), ("msg_01Rich", "claude-sonnet-5"));
    let choice = &reply.choices[0];
    let own = |data: &'static str, hidden| Some(Seal { by: By::Anthropic, data: data.into(), hidden });
    assert!(
        choice.parts[0]
            == Content::Thinking(Thinking { text: "Let me think.".into(), seal: own("EqQBCg==", false) })
    );
    assert!(choice.parts[1] == Content::Thinking(Thinking { text: "".into(), seal: own("EmwKAh==", true) }));
    let hosted = choice.parts[2..4].iter().map(|part| match part {
        Content::Other { kind, json } => (kind.as_ref(), json.contains(r#""input":{"query":"#)),
        _ => panic!(),
    });
    assert!(hosted.eq([("server_tool_use", true), ("web_search_tool_result", false)]));
    let Content::Text { text, citations } = &choice.parts[4] else { panic!() };
    assert_eq!((text.as_ref(), citations.len()), ("It is 21 °C in Zürich.", 1));
    let calls: Vec<_> = choice.parts[5..]
        .iter()
        .map(|part| match part {
            Content::Call(call) => (call.id.to_string(), call.arguments.to_string()),
            _ => panic!(),
        })
        .collect();
    assert_eq!(
        calls,
        [("toolu_01A".into(), r#"{"city":"Zürich"}"#.into()), ("toolu_01B".into(), String::new())]
    );
    assert_eq!(choice.finish, Some(Finish::ToolCalls));
    let want = Usage {
        input: 25,
        cached_input: 1000,
        cache_write_5m: 40,
        cache_write_1h: 60,
        output: 62,
        reasoning: 28,
        ..Usage::default()
    };
    assert_eq!(reply.usage, Some(want));
}

proptest! {
    #[test]
    fn case_35_any_split_gives_the_same_events(mut cuts in prop::collection::vec(0..RICH.len(), 0..6)) {
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts {
            chunks.push(&RICH[from..cut]);
            from = cut;
        }
        chunks.push(&RICH[from..]);
        let (split, whole) = (decoded(&chunks), decoded(&[RICH]));
        prop_assert!(split.assembler.finish() == whole.assembler.finish());
        prop_assert_eq!((split.pings, split.ended, split.usages), (whole.pings, whole.ended, whole.usages));
    }
}

#[test]
fn case_31_usage_of_the_start_stands_where_the_end_is_silent() {
    let body = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":9,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":7}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let all = decoded(&[body]);
    let snapshot = Usage { input: 9, cached_input: 4, output: 1, ..Usage::default() };
    assert_eq!(all.usages, [snapshot, Usage { output: 7, ..snapshot }]);
}

#[test]
fn the_speed_of_the_start_stands_where_the_end_is_silent() {
    let body = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":9,\"output_tokens\":1,\"speed\":\"fast\"}}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":7}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let tiers: Vec<_> = decoded(&[body]).usages.iter().map(|usage| usage.tier).collect();
    assert_eq!(tiers, [ServiceTier::Fast; 2]);
}

#[test]
fn case_32_a_stream_without_its_last_event_was_cut() {
    let cut = RICH.windows(19).rposition(|window| window == b"event: message_stop").unwrap();
    let all = decoded(&[&RICH[..cut]]);
    assert!(!all.ended && all.assembler.reply().choices[0].finish.is_some());
}

#[test]
fn case_33_an_error_ends_the_stream() {
    let body = b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let all = decoded(&[body]);
    assert_eq!((all.errors, all.ended), (vec![Hint::Overloaded], false));
}

#[test]
fn odd_events_do_no_harm() {
    let body = b"event: vendor_thing\ndata: {\"type\":\"vendor_thing\"}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":9,\"delta\":{\"type\":\"new_delta\"}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"web_search_tool_result\",\"tool_use_id\":\"s\",\"content\":[]}}\n\n\
        event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\ndata: [1]\n\ndata: [DONE]\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let all = decoded(&[body]);
    assert!(
        all.ended
            && all.errors.is_empty()
            && matches!(all.assembler.reply().choices[0].parts[..], [Content::Other { .. }])
    );
    let all = decoded(&[b"data: {\"type\":\n\n"]);
    assert_eq!(all.errors, [Hint::ServerError]);
}

#[test]
fn case_20_a_refusals_reason_is_told() {
    let body = b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\",\"stop_details\":{\"type\":\"refusal\",\"category\":\"cyber\",\"explanation\":\"No.\"}},\"usage\":{\"output_tokens\":7}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let reply = decoded(&[body]).assembler.finish();
    assert!(reply.choices[0].parts == [Content::Refusal("No.".into())]);
    assert_eq!(reply.choices[0].finish, Some(Finish::Refusal));
}

#[test]
fn a_plain_stream_to_the_letter() {
    let usage = Usage { input: 3, ..Usage::default() };
    let frames = encoded(&[
        start(),
        Event::Usage(usage),
        Event::Ping,
        text("Hel"),
        text(""),
        text("lo"),
        Event::Finish { choice: 0, reason: Finish::StopSequence, stop_sequence: Some("END".into()) },
        Event::Usage(Usage { input: 3, output: 2, ..Usage::default() }),
        Event::End,
        text("after the end"),
    ]);
    let kinds: Vec<_> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "ping",
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(frames[2]["content_block"], json!({"type": "text", "text": ""}));
    let message = &frames[1]["message"];
    assert_eq!(
        (&message["id"], &message["model"], &message["usage"]["input_tokens"]),
        (&json!("msg_chatcmpl-1"), &json!("gpt"), &json!(3))
    );
    assert_eq!((&message["content"], &message["stop_reason"]), (&json!([]), &Value::Null));
    assert_eq!(
        frames[6]["delta"],
        json!({"container": null, "stop_reason": "stop_sequence", "stop_sequence": "END", "stop_details": null})
    );
    assert_eq!(
        (&frames[6]["usage"]["input_tokens"], &frames[6]["usage"]["output_tokens"]),
        (&json!(3), &json!(2))
    );
}

#[test]
fn case_01_parallel_calls_become_blocks_in_a_row() {
    let frames = encoded(&[
        start(),
        call(0),
        call(1),
        arguments(0, "{\"a\""),
        arguments(1, "{\"b\":"),
        call(2),
        arguments(0, ":1}"),
        arguments(2, "{}"),
        arguments(1, "2}"),
        Event::CallEnd { call: 0 },
        Event::CallEnd { call: 1 },
        Event::CallEnd { call: 2 },
        finish(Finish::ToolCalls),
        Event::End,
    ]);
    let want = [("c0", "{\"a\":1}"), ("c1", "{\"b\":2}"), ("c2", "{}")];
    assert_eq!(inputs(&frames), want.map(|(id, input)| (id.to_owned(), input.to_owned())));
    assert_eq!(frames[frames.len() - 2]["delta"]["stop_reason"], "tool_use");
}

#[test]
fn an_open_call_streams_without_waiting() {
    let mut encoder = ask_with(Encoder::new);
    let mut out = Vec::new();
    for event in [start(), call(0), arguments(0, "{\"a\"")] {
        encoder.push(&event, &mut out);
    }
    assert!(String::from_utf8_lossy(&out).contains(r#""partial_json":"{\"a\"""#));
}

#[test]
fn what_comes_between_the_pieces_of_a_call_waits() {
    let frames = encoded(&[
        start(),
        call(0),
        arguments(0, "{\"a\":"),
        text("meanwhile"),
        Event::Break { choice: 0 },
        text("more"),
        arguments(0, "1}"),
        text("!"),
        finish(Finish::ToolCalls),
        Event::End,
    ]);
    assert_eq!(inputs(&frames), [("c0".to_owned(), "{\"a\":1}".to_owned())]);
    let texts: Vec<_> = blocks(&frames).into_iter().skip(1).map(|(_, deltas)| deltas.len()).collect();
    assert_eq!(texts, [1, 2]);
}

#[test]
fn case_02_whole_calls_in_one_chunk() {
    let frames = encoded(&[
        start(),
        call(0),
        arguments(0, "{\"a\":1}"),
        call(1),
        arguments(1, "{\"b\":2}"),
        finish(Finish::Stop),
        Event::End,
    ]);
    assert_eq!(inputs(&frames).len(), 2);
    assert_eq!(frames[frames.len() - 2]["delta"]["stop_reason"], "tool_use", "case 10");
}

#[test]
fn case_04_a_call_without_arguments_has_one_empty_delta() {
    let frames = encoded(&[
        start(),
        call(0),
        Event::CallEnd { call: 0 },
        call(1),
        finish(Finish::ToolCalls),
        Event::End,
    ]);
    for (block, deltas) in blocks(&frames) {
        assert_eq!(block["input"], json!({}));
        assert_eq!(deltas, [json!({"type": "input_json_delta", "partial_json": ""})]);
    }
}

#[test]
fn case_05_truncated_arguments_are_closed() {
    let frames = encoded(&[
        start(),
        call(0),
        arguments(0, "{\"a\":[\"b"),
        call(1),
        finish(Finish::Length),
        Event::End,
    ]);
    assert_eq!(inputs(&frames)[0].1, "{\"a\":[\"b\"]}");
    assert_eq!(inputs(&frames).len(), 2, "what was kept back is not lost");
}

#[test]
fn case_23_each_proof_ends_its_own_block() {
    let seal = |by, hidden| Seal { by, data: "p".into(), hidden };
    let think = |text: &'static str| Event::Thinking { choice: 0, text: text.into() };
    let sealed = |by, hidden| Event::Sealed { choice: 0, seal: seal(by, hidden) };
    let frames = encoded(&[
        start(),
        think("a"),
        think("b"),
        sealed(By::Gemini, false),
        think("c"),
        sealed(By::Anthropic, false),
        sealed(By::Anthropic, true),
        sealed(By::OpenAi, true),
        think("d"),
        sealed(By::OpenAi, true),
        think("e"),
        text("t"),
        finish(Finish::Stop),
        Event::End,
    ]);
    let blocks = blocks(&frames);
    let kinds: Vec<_> = blocks.iter().map(|(block, _)| block["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["thinking", "thinking", "redacted_thinking", "redacted_thinking", "thinking", "thinking", "text"]
    );
    let signature = |at: usize| blocks[at].1.last().unwrap()["signature"].clone();
    assert_eq!(signature(0), json!(seal(By::Gemini, false).wrap("ab")));
    assert_eq!(signature(1), json!("p"));
    assert_eq!(blocks[2].0["data"], "p");
    assert_eq!(blocks[3].0["data"], json!(seal(By::OpenAi, true).wrap("")));
    assert_eq!(signature(4), json!(seal(By::OpenAi, true).wrap("d")));
    assert_eq!(blocks[5].1.len(), 1, "no proof is invented");
}

#[test]
fn case_30_the_end_comes_even_without_usage_or_reason() {
    let frames = encoded(&[start(), Event::End]);
    let kinds: Vec<_> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message_start", "message_delta", "message_stop"]);
    assert_eq!(
        (&frames[1]["delta"]["stop_reason"], &frames[1]["usage"]["output_tokens"]),
        (&json!("end_turn"), &json!(0))
    );
}

#[test]
fn case_33_an_error_in_the_stream_is_an_error_event() {
    let mut out = Vec::new();
    let mut encoder = ask_with(Encoder::new);
    encoder.push(&start(), &mut out);
    encoder.push(&text("x"), &mut out);
    let said =
        Said { status: 529, kind: "x", code: None, param: None, message: "Busy.", request_id: "req_1" };
    encoder.fail(&said, &mut out);
    encoder.push(&Event::End, &mut out);
    let frames = frames(&out);
    let last = frames.last().unwrap();
    assert_eq!(
        last,
        &json!({"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}, "request_id": "req_1"})
    );
    assert!(!frames.iter().any(|frame| frame["type"] == "message_stop"));
}

#[test]
fn only_the_first_answer_is_told() {
    let frames = encoded(&[
        start(),
        text("a"),
        Event::Text { choice: 1, text: "b".into() },
        finish(Finish::Length),
        Event::Finish { choice: 1, reason: Finish::Stop, stop_sequence: None },
        Event::End,
    ]);
    assert_eq!(blocks(&frames).len(), 1);
    assert_eq!(frames[frames.len() - 2]["delta"]["stop_reason"], "max_tokens");
}

/// A reply as whole bytes and as a stream tell the same.
fn agree(reply: &Reply) -> (Value, Value) {
    let whole = ask_with(|ask| serde_json::from_slice::<Value>(&anthropic::write_reply(reply, ask)).unwrap());
    let mut out = Vec::new();
    let mut encoder = ask_with(Encoder::new);
    reply.events(&mut |event| encoder.push(&event, &mut out));
    let frames = frames(&out);
    let content = blocks(&frames).into_iter().map(|(mut block, deltas)| {
        let joined = |key: &str| deltas.iter().filter_map(|delta| delta[key].as_str()).collect::<String>();
        match block["type"].as_str().unwrap() {
            "text" => block["text"] = joined("text").into(),
            "thinking" => {
                block["thinking"] = joined("thinking").into();
                block["signature"] = joined("signature").into();
            }
            "tool_use" => block["input"] = serde_json::from_str(&joined("partial_json")).unwrap_or(json!({})),
            _ => {}
        }
        block
    });
    let mut streamed =
        frames.iter().find(|frame| frame["type"] == "message_start").unwrap()["message"].clone();
    streamed["content"] = content.collect();
    let delta = &frames[frames.len() - 2]["delta"];
    for key in ["stop_reason", "stop_sequence", "stop_details"] {
        streamed[key] = delta[key].clone();
    }
    streamed["usage"] = whole["usage"].clone();
    (whole, streamed)
}

#[test]
fn streamed_and_whole_replies_agree() {
    let parts = |which: u32| {
        let seal = Seal { by: By::OpenAi, data: "enc".into(), hidden: true };
        let all = [
            Content::Thinking(Thinking { text: "hm".into(), seal: Some(seal.clone()) }),
            Content::Thinking(Thinking { text: "".into(), seal: Some(seal) }),
            Content::text("one"),
            Content::text("two"),
            Content::Refusal("no".into()),
            Content::Call(Call {
                id: "a".into(),
                name: "f".into(),
                arguments: "{\"x\":1}".into(),
                custom: false,
                seal: None,
            }),
            Content::Call(Call {
                id: "b".into(),
                name: "g".into(),
                arguments: "".into(),
                custom: false,
                seal: None,
            }),
        ];
        all.into_iter().enumerate().filter(|(at, _)| which & (1 << at) != 0).map(|(_, part)| part).collect()
    };
    for which in 0..128 {
        for finish in [Finish::Stop, Finish::ToolCalls, Finish::Length, Finish::Filter] {
            let choice = Choice { parts: parts(which), finish: Some(finish), ..Choice::default() };
            let reply =
                Reply { id: "r".into(), model: "m".into(), choices: vec![choice], ..Reply::default() };
            let (whole, streamed) = agree(&reply);
            assert_eq!(whole, streamed);
        }
    }
}

#[test]
fn a_stream_of_anthropics_own_survives_the_neutral_model() {
    let mut out = Vec::new();
    let mut encoder = ask_with(Encoder::new);
    let mut decoder = Decoder::new();
    let read = &mut |event: sse::Event<'_>| decoder.feed(&event, &mut |event| encoder.push(&event, &mut out));
    sse::Parser::new(1 << 20).push(RICH, read).unwrap();
    let (again, before) = (decoded(&[&out]), decoded(&[RICH]));
    assert!(again.ended && again.usages.last() == before.usages.last());
    assert!(again.assembler.finish() == before.assembler.finish());
}

proptest! {
    /// Pieces of three calls and of texts, in any order that keeps each call's own.
    #[test]
    fn case_01_any_interleaving_gives_whole_blocks(order in prop::collection::vec(0..5usize, 0..40)) {
        let pieces = ["{\"k", "ey\":[1,", "{\"a\":\"}\"}", "]}"];
        let mut sent = [0usize; 3];
        let mut events = vec![start()];
        for which in order {
            match which {
                3 => events.push(text("t")),
                4 => events.push(Event::Break { choice: 0 }),
                which => {
                    let id = u32::try_from(which).unwrap();
                    match sent[which] {
                        0 => events.push(call(id)),
                        at @ 1..=4 => events.push(arguments(id, pieces[at - 1])),
                        5 => events.push(Event::CallEnd { call: id }),
                        _ => continue,
                    }
                    sent[which] += 1;
                }
            }
        }
        events.push(finish(Finish::Stop));
        events.push(Event::End);
        let texts = events.iter().filter(|event| matches!(event, Event::Text { .. })).count();
        let frames = encoded(&events);
        let inputs = inputs(&frames);
        prop_assert_eq!(inputs.len(), sent.iter().filter(|sent| **sent > 0).count());
        for (id, input) in inputs {
            let which: usize = id.trim_start_matches('c').parse().unwrap();
            let whole = pieces[..sent[which].saturating_sub(1).min(4)].concat();
            prop_assert!(input.starts_with(&whole), "{} {}", input, whole);
        }
        let told = frames.iter().filter(|frame| frame["delta"]["type"] == "text_delta").count();
        prop_assert_eq!(told, texts);
    }
}

/// A provider that begins twice: the reply begins once, and a block in the place of another ends that one.
#[test]
fn what_begins_twice_is_told_once() {
    let begin = r#"{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":1,"output_tokens":1}}}"#;
    let block = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#;
    let stream: String = [begin, begin, block, block, r#"{"type":"message_stop"}"#]
        .map(|data| format!("data: {data}\n\n"))
        .concat();
    let (mut starts, mut begun, mut ended) = (0, Vec::new(), Vec::new());
    let mut decoder = Decoder::new();
    let read = sse::Parser::new(1 << 20).push(stream.as_bytes(), &mut |event| {
        decoder.feed(&event, &mut |event| match event {
            Event::Start { .. } => starts += 1,
            Event::CallStart { call, .. } => begun.push(call),
            Event::CallEnd { call } => ended.push(call),
            _ => {}
        });
    });
    assert!(read.is_ok());
    assert_eq!((starts, begun, ended), (1, vec![0, 1], vec![0, 1]));
}
