//! Whatever request we accept, what we send is one that we accept, with the target's model and the edits in place.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weir_llm::api::Api;
use weir_llm::request::{Patch, Request, SegmentEdit};
use weir_llm::estimate;

fuzz_target!(|data: &[u8]| {
    let Some((&[start, length, pick, flags], body)) = data.split_first_chunk::<4>() else { return };
    let Ok(request) = Request::parse(Api::Chat, Bytes::copy_from_slice(body)) else { return };
    let _ = (estimate::input_bound(&request), estimate::input_guess(&request));
    let segment = usize::from(pick) % request.segments().len().max(1);
    let (start, end) = (usize::from(start), usize::from(start) + usize::from(length));
    let edit = SegmentEdit { segment, start, end, text: (flags & 1 > 0).then_some("\"\\\u{1}é") };
    let edits = if flags & 2 > 0 { &[edit][..] } else { &[] };
    let target = Patch {
        model: "m\"1",
        ask_usage: flags & 4 > 0,
        max_tokens: (flags & 8 > 0).then_some(5),
        force_store_false: flags & 16 > 0,
        vendor: None,
        unseal: flags & 32 > 0,
        edits,
    };
    let sent = request.patched(&target);
    match Request::parse(Api::Chat, sent) {
        Ok(sent) => {
            assert_eq!(sent.model(), "m\"1");
            assert!(!target.ask_usage || !sent.stream() || sent.include_usage());
            assert!(target.max_tokens.is_none() || sent.max_output_tokens().is_some_and(|tokens| tokens <= 5));
        }
        // An edit of an object's key or of a `type` may break what it stands for; without edits nothing may break.
        Err(error) => assert!(!edits.is_empty(), "{error}"),
    }
});
