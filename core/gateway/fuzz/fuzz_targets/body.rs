//! Whatever bytes stand where the body of a message should, and in whatever pieces they come: the same body is read, it ends
//! in the same place, and what is read is no more than what came.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use weir_fuzzed::body::{Body, Step};

/// Bytes that a fuzzer seldom guesses, for those of its input that are no ASCII.
const WORDS: [&[u8]; 8] =
    [b"\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b"a;x=y\r\n", b"X: y\r\n", b"\n", b"fffffffffffffff\r\n", b"0\r\n"];

fn spelled(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in data {
        match byte {
            0x80.. => out.extend_from_slice(WORDS[usize::from(byte & 7)]),
            byte => out.push(*byte),
        }
    }
    out
}

/// The body, whether it ended or was none, and what stands behind it.
fn read(mut body: Body, wire: &[u8], size: usize) -> (Vec<u8>, Option<bool>, Vec<u8>) {
    let (mut buffer, mut all) = (BytesMut::new(), Vec::new());
    for piece in wire.chunks(size) {
        buffer.extend_from_slice(piece);
        loop {
            match body.step(&mut buffer) {
                Ok(Step::Piece(length)) => {
                    assert!(length > 0 && length <= buffer.len(), "a piece of nothing, or of what has not come");
                    all.extend_from_slice(&buffer.split_to(length));
                }
                // What comes behind its end is not of it.
                Ok(Step::More | Step::End) => break,
                Err(_) => return (all, None, Vec::new()),
            }
        }
    }
    (all, Some(body == Body::Done), buffer.to_vec())
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let wire = spelled(rest);
    let body = match first & 3 {
        0 => Body::of_length(u64::from(first >> 2)),
        1 => Body::Close,
        _ => Body::in_chunks(),
    };
    let (all, end, behind) = read(body, &wire, wire.len().max(1));
    assert!(all.len() + behind.len() <= wire.len(), "more than came");
    for size in [1, 3, 7] {
        let (pieces, ended, left) = read(body, &wire, size);
        match end {
            // An error may be seen before or after what stands in front of it.
            None => assert!(ended.is_none() && all.starts_with(&pieces[..pieces.len().min(all.len())]), "none at once"),
            Some(_) => assert!((&pieces, ended, &left) == (&all, end, &behind), "another body in pieces of {size}"),
        }
    }
});
