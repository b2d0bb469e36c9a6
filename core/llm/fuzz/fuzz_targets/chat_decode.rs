//! No stream makes the chat decoder panic or break the order of events, and what it read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_llm::chat::{Decoder, Encoder, prompt, read_reply};
use weir_llm::json::Json;
use weir_llm::neutral::event::Assembler;
use weir_llm::neutral::{Ask, Event, Reply};
use weir_llm::sse::Parser;

/// What a stream brought, and whether it ended by itself.
fn decode(stream: &[u8]) -> (Reply, bool) {
    let (mut assembler, mut decoder) = (Assembler::default(), Decoder::new());
    let (mut begun, mut over, mut done) = (false, false, false);
    let mut sink = |event: Event<'_>| {
        assert!(!over, "nothing follows the end or an error");
        assert!(begun || matches!(event, Event::Start { .. } | Event::Error(_)), "a stream begins with its start");
        assert!(!begun || !matches!(event, Event::Start { .. }), "a stream starts once");
        begun = true;
        done |= event == Event::End;
        over |= matches!(event, Event::End | Event::Error(_));
        assembler.push(&event);
    };
    let _ = Parser::new(1 << 16).push(stream, &mut |event| decoder.feed(&event, &mut sink));
    decoder.end(&mut sink);
    (assembler.finish(), done)
}

fuzz_target!(|data: &[u8]| {
    let body = bytes::Bytes::copy_from_slice(data);
    let _ = read_reply(&body);
    if let Ok(json) = Json::parse(body) {
        let _ = prompt(json.root());
    }
    let (reply, done) = decode(data);
    if !done {
        return;
    }
    let root = Json::parse("{}".to_owned().into()).unwrap();
    let ask = Ask { root: root.root(), include_usage: true, request_id: "r", now: 0, model: "m" };
    let (mut encoder, mut out) = (Encoder::new(&ask), Vec::new());
    reply.events(&mut |event| encoder.push(&event, &mut out));
    let (back, done) = decode(&out);
    assert!(done && back.choices.len() == reply.choices.len() && back.usage == reply.usage);
});
