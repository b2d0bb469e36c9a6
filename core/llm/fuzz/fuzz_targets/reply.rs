//! Replies, error bodies and replays never panic; a complete reply survives the way through a stream.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weir_llm::chat::{Reply, collect, replay, upstream_error};
use weir_llm::sse::Parser;

fuzz_target!(|data: &[u8]| {
    let _ = upstream_error(500, data);
    let body = Bytes::copy_from_slice(data);
    let reply = Reply::parse(&body);
    let frames = replay(&body, true);
    let mut events = Vec::new();
    for frame in &frames {
        let before = events.len();
        Parser::new(usize::MAX).push(frame, &mut |event| events.push(event.data.to_vec())).unwrap();
        assert_eq!(events.len(), before + 1, "a frame is one event");
    }
    if let (Ok(reply), Some(back)) = (reply, collect(events.iter().map(Vec::as_slice))) {
        let back = Reply::parse(&back).unwrap();
        assert!(back.finish_reasons().len() <= reply.finish_reasons().len());
    }
});
