//! The SSE parser: the specification's own examples, and every split of recorded streams.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use proptest::prelude::*;
use weir_llm::sse::{Parser, TooLarge};

type Owned = (String, Vec<u8>, String);

fn events<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> Result<Vec<Owned>, TooLarge> {
    let mut parser = Parser::new(limit);
    let mut all = Vec::new();
    for chunk in chunks {
        parser.push(chunk, &mut |event| all.push((event.name.into(), event.data.into(), event.id.into())))?;
    }
    Ok(all)
}

fn data(text: &[u8]) -> Vec<String> {
    events([text], 1 << 20)
        .unwrap()
        .into_iter()
        .map(|(_, data, _)| String::from_utf8(data).unwrap())
        .collect()
}

#[test]
fn reads_the_examples_of_the_specification() {
    assert_eq!(data(b"data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
    assert_eq!(data(b"data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
    assert_eq!(data(b"data:test\n\ndata: test\n\ndata:  test\n\n"), ["test", "test", " test"]);
    let all = events(
        [&b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event"[..]],
        99,
    );
    let all = all.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].2.as_str(), all[1].2.as_str()), ("1", ""));
}

#[test]
fn takes_every_line_break_names_comments_and_a_byte_order_mark() {
    assert_eq!(data(b"\xEF\xBB\xBFdata: a\r\n\r\ndata: b\r\rdata: c\n\n"), ["a", "b", "c"]);
    assert_eq!(data(b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\ndata: b\n\n"), ["b"]);
    assert_eq!(data(b":keep-alive\n\n:\ndata: a\n:\ndata: b\nretry: 10\nunknown\n\n"), ["a\nb"]);
    let all =
        events([&b"event: error\ndata: x\n\ndata: y\n\nevent: lost\n\ndata: z\nid: \0\n\n"[..]], 99).unwrap();
    let names: Vec<_> = all.iter().map(|(name, _, _)| name.as_str()).collect();
    assert_eq!(names, ["error", "message", "message"]);
}

#[test]
fn knows_whether_the_stream_was_cut() {
    for (text, cut) in
        [("data: a\n\n", false), ("data: a\n", true), ("data: a\n\nda", true), ("", false), (": c\n", false)]
    {
        let mut parser = Parser::new(99);
        parser.push(text.as_bytes(), &mut |_| {}).unwrap();
        assert_eq!(parser.finish(), cut, "{text:?}");
    }
}

const FIXTURES: [&[u8]; 3] = [
    include_bytes!("fixtures/text.sse"),
    include_bytes!("fixtures/tools.sse"),
    include_bytes!("fixtures/odd.sse"),
];

#[test]
fn every_split_in_two_gives_the_same_events() {
    for stream in FIXTURES {
        let whole = events([stream], 1 << 20).unwrap();
        assert!(whole.len() > 3);
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            assert_eq!(events([head, tail], 1 << 20).unwrap(), whole, "split at {at}");
        }
        assert_eq!(events(stream.chunks(1), 1 << 20).unwrap(), whole, "byte by byte");
    }
}

/// Cutting the chunks where events end gives the same bytes: what a pass-through sends on.
#[test]
fn the_ends_of_events_cut_the_stream_without_loss() {
    for stream in FIXTURES {
        for size in [1, 7, 64, stream.len()] {
            let mut parser = Parser::new(1 << 20);
            let mut sent = Vec::new();
            for chunk in stream.chunks(size) {
                let mut at = 0;
                parser
                    .push(chunk, &mut |event| {
                        assert!(event.end > at || event.end == chunk.len());
                        sent.extend_from_slice(&chunk[at..event.end]);
                        at = event.end;
                    })
                    .unwrap();
                sent.extend_from_slice(&chunk[at..]);
            }
            assert_eq!(sent, stream);
        }
    }
}

proptest! {
    #[test]
    fn any_split_of_anything_gives_the_same_events_or_the_same_refusal(
        pieces in prop::collection::vec(prop::sample::select(vec![
            &b"data: "[..], b"data", b":", b"\r", b"\n", b"\r\n", b"\n\n", b"event: e", b"id: 7",
            b"\xEF\xBB\xBF", b"\xEF", b"\xF0\x9F\x98\x80", b"xy",
        ]), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        limit in 3usize..60,
    ) {
        let stream = pieces.concat();
        let mut points: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        points.extend([0, stream.len()]);
        points.sort_unstable();
        let chunks = points.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
        prop_assert_eq!(events(chunks, limit), events([&stream[..]], limit));
    }
}
