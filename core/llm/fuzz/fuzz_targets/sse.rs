//! Wherever a stream is cut, the events are the same, and the parser never panics. The first bytes say where to cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_llm::chat::StreamScan;
use weir_llm::sse::{Parser, TooLarge};

type Owned = (String, Vec<u8>, String);

fn events<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Owned>, TooLarge> {
    let mut parser = Parser::new(1 << 8);
    let mut scan = StreamScan::new();
    let mut all = Vec::new();
    for chunk in chunks {
        let mut at = 0;
        parser.push(chunk, &mut |event| {
            assert!(event.end >= at && event.end <= chunk.len());
            at = event.end;
            scan.feed(event.data);
            all.push((event.name.to_owned(), event.data.to_vec(), event.id.to_owned()));
        })?;
    }
    Ok(all)
}

fuzz_target!(|data: &[u8]| {
    let Some((&[first, second], stream)) = data.split_first_chunk::<2>() else { return };
    let (head, tail) = stream.split_at(usize::from(first).min(stream.len()));
    let (middle, tail) = tail.split_at(usize::from(second).min(tail.len()));
    assert_eq!(events([head, middle, tail]), events([stream]));
});
