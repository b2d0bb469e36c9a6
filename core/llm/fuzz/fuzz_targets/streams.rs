//! Whatever a provider streams: no decoder panics, what it tells is in order, nothing follows an error or the end, what
//! the caller gets is frames of JSON, and where the stream is cut makes no difference.
#![no_main]

#[allow(dead_code)]
mod grown;

use bytes::Bytes;
use grown::Seed;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use weir_llm::api::{Api, Dialect};
use weir_llm::json::Json;
use weir_llm::neutral::{Ask, Event, Target};
use weir_llm::request::Request;
use weir_llm::sse::{self, Parser};
use weir_llm::translate::{Scan, Transcoder, translate};
use weir_llm::vendor::UNKNOWN;
use weir_llm::{anthropic, chat, gemini, responses};

const DIALECTS: [Dialect; 4] =
    [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::Gemini];

/// A stream: raw, or events of grown objects.
fn stream(data: &[u8]) -> Vec<u8> {
    let mut seed = Seed(data);
    if seed.byte() % 4 == 0 {
        return seed.0.to_vec();
    }
    let mut out = String::new();
    while seed.more() && out.len() < 1 << 16 {
        match seed.byte() % 16 {
            0 => out.push_str("data: [DONE]\n\n"),
            1 => out.push_str(": ping\r\n\r\n"),
            2 => out.push_str("event: error\n"),
            3 => out.push_str(&format!("event: {}\n", seed.word())),
            _ => {}
        }
        out.push_str("data: ");
        seed.object(0, &mut out);
        out.push_str("\n\n");
    }
    out.into_bytes()
}

/// What the documentation of `neutral::event` promises.
#[derive(Default)]
struct Order {
    started: bool,
    over: bool,
    open: BTreeSet<u32>,
    known: BTreeSet<u32>,
    finished: BTreeSet<u32>,
}

impl Order {
    fn note(&mut self, event: &Event<'_>) {
        assert!(!self.over, "something follows the end");
        match event {
            Event::Start { .. } => assert!(!std::mem::replace(&mut self.started, true), "two starts"),
            Event::CallStart { call, .. } => {
                assert!(self.known.insert(*call), "a call begins twice");
                self.open.insert(*call);
            }
            Event::CallArguments { call, .. } => assert!(self.open.contains(call), "arguments of no open call"),
            Event::CallEnd { call } => assert!(self.open.remove(call), "a call ends twice"),
            Event::Finish { choice, .. } => assert!(self.finished.insert(*choice), "an answer ends twice"),
            Event::End | Event::Error(_) => self.over = true,
            _ => {}
        }
    }
}

fn ordered(dialect: Dialect, stream: &[u8]) {
    let mut order = Order::default();
    macro_rules! read {
        ($decoder:expr) => {{
            let mut decoder = $decoder;
            let read = Parser::new(1 << 20).push(stream, &mut |event: sse::Event<'_>| {
                decoder.feed(&event, &mut |event| order.note(&event));
            });
            if read.is_ok() {
                decoder.end(&mut |event| order.note(&event));
            }
        }};
    }
    match dialect {
        Dialect::OpenAiChat => read!(chat::Decoder::new()),
        Dialect::OpenAiResponses => read!(responses::Decoder::new()),
        Dialect::Anthropic => read!(anthropic::Decoder::new()),
        Dialect::Gemini => read!(gemini::Decoder::new()),
    }
}

fn asked(api: Api, include_usage: bool) -> Request {
    let body = match api {
        Api::Responses => r#"{"model":"m","input":"a","tools":[{"type":"custom","name":"get_weather"}]}"#,
        Api::Messages => r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#,
        _ if include_usage => {
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"a"}]}"#
        }
        _ => r#"{"model":"m","messages":[{"role":"user","content":"a"}],"tools":[{"type":"custom","custom":{"name":"get_weather"}}]}"#,
    };
    Request::parse(api, Bytes::from_static(body.as_bytes())).unwrap()
}

/// What the caller gets, and what was counted.
fn turned<'s>(
    mut transcoder: Transcoder,
    ask: &Ask<'_>,
    chunks: impl IntoIterator<Item = &'s [u8]>,
) -> Option<(Vec<u8>, String)> {
    let mut parser = Parser::new(1 << 20);
    let (mut out, mut last) = (Vec::new(), Vec::new());
    for chunk in chunks {
        parser.push(chunk, &mut |event| {
            let _ = transcoder.feed(&event, &mut out, &mut last);
        }).ok()?;
    }
    let whole = transcoder.end(&mut out, &mut last);
    out.extend_from_slice(&last);
    if let Some(reply) = transcoder.recorded(ask) {
        Json::parse(reply).expect("the recorded reply is JSON");
    }
    let counted = format!("{whole} {:?} {} {:?}", transcoder.usage(), transcoder.content_bytes(), transcoder.error());
    Some((out, counted))
}

fn frames_are_json(out: &[u8]) {
    let mut parser = Parser::new(usize::MAX);
    let read = parser.push(out, &mut |event| {
        if event.data != b"[DONE]" {
            let json = Json::parse(Bytes::copy_from_slice(event.data));
            assert!(json.is_ok(), "{:?}: {}", json.err(), String::from_utf8_lossy(event.data));
        }
    });
    assert!(read.is_ok() && !parser.finish(), "the last frame is cut");
}

fuzz_target!(|data: &[u8]| {
    let Some((&[pair, first, second], rest)) = data.split_first_chunk::<3>() else { return };
    let dialect = DIALECTS[usize::from(pair) % 4];
    let api = [Api::Chat, Api::Responses, Api::Messages][usize::from(pair >> 2) % 3];
    let stream = stream(rest);
    ordered(dialect, &stream);
    let request = asked(api, pair & 0x40 > 0);
    let target = Target { model: "m", cap: None, output_limit: 0, vendor: &UNKNOWN };
    let back = translate(&request, dialect, &target).unwrap().back;
    let root = request.json().root();
    let ask = Ask { root, include_usage: request.include_usage(), request_id: "r", now: 1, model: "m" };
    let (head, tail) = stream.split_at(usize::from(first).min(stream.len()));
    let (middle, tail) = tail.split_at(usize::from(second).min(tail.len()));
    let whole = turned(back.stream(&ask).recording(pair & 0x80 > 0), &ask, [&stream[..]]);
    assert_eq!(turned(back.stream(&ask), &ask, [head, middle, tail]), whole, "cut elsewhere");
    if let Some((out, _)) = whole {
        frames_are_json(&out);
    }
    let mut scan = Scan::new(api, true);
    let _ = Parser::new(1 << 20).push(&stream, &mut |event| {
        let _ = scan.feed(&event);
    });
    let _ = (scan.end(u64::from(first % 3)), scan.recorded(&ask));
});
