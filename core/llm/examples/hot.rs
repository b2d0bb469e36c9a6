//! What the hot calls cost, for whoever changes them: `cargo run --release -p weir-llm --example hot`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints a table")]

use bytes::Bytes;
use std::hint::black_box;
use std::time::Instant;
use weir_llm::api::Api;
use weir_llm::chat::{Reply, StreamScan};
use weir_llm::json::Json;
use weir_llm::request::{Patch, Request};
use weir_llm::sse::Parser;

fn main() {
    let text =
        "The weir stands across the river; it steers the flow, holds it back, and \\\"measures\\\" it.\\n"
            .repeat(8);
    let body = Bytes::from(format!(
        r#"{{"model":"fast","stream":true,"temperature":0.7,"max_tokens":256,"user":"u-1","messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"{text}"}},{{"role":"assistant","content":"Yes."}},{{"role":"user","content":"Go on."}}]}}"#
    ));
    let request = Request::parse(Api::Chat, body.clone()).unwrap();
    let chunk = br#"{"id":"chatcmpl-7","object":"chat.completion.chunk","created":1767225600,"model":"sim-small-2026-01-01","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" river"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"aZ9"}"#;
    let reply = Bytes::from(format!(
        r#"{{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30,"prompt_tokens_details":{{"cached_tokens":4}}}}}}"#
    ));
    let stream = [b"data: ", &chunk[..], b"\n\n"].concat();
    println!("body {} bytes, chunk {} bytes, reply {} bytes", body.len(), chunk.len(), reply.len());
    time("json parse", || Json::parse(body.clone()).unwrap());
    time("request parse", || Request::parse(Api::Chat, body.clone()).unwrap());
    time("request parse + segments", || {
        let request = Request::parse(Api::Chat, body.clone()).unwrap();
        request.segments().len()
    });
    time("encode, model only", || request.patched(&Patch::model("gpt-4o-mini")));
    time("encode, model and usage", || {
        request.patched(&Patch { ask_usage: true, ..Patch::model("gpt-4o-mini") })
    });
    let mut scan = StreamScan::new();
    time("scan a chunk", || scan.feed(chunk));
    let mut parser = Parser::new(1 << 20);
    time("sse parse a chunk", || {
        parser
            .push(&stream, &mut |event| {
                black_box(event.data.len());
            })
            .unwrap()
    });
    time("reply parse", || Reply::parse(&reply).unwrap());
    time("from_utf8 alone", || std::str::from_utf8(black_box(&body)).unwrap().len());
}

/// The best and the median of 41 rounds of 5,000 calls.
fn time<T>(name: &str, mut call: impl FnMut() -> T) {
    const CALLS: u32 = 5_000;
    let mut rounds: Vec<_> = (0..41)
        .map(|_| {
            let start = Instant::now();
            (0..CALLS).for_each(|_| drop(black_box(call())));
            start.elapsed() / CALLS
        })
        .collect();
    rounds.sort_unstable();
    println!("{name:<28} {:>6} ns {:>6} ns", rounds[0].as_nanos(), rounds[rounds.len() / 2].as_nanos());
}
