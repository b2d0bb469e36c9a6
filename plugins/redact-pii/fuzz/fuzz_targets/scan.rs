//! Spans lie on characters, in order, apart from each other; however the text is cut, the same is replaced; what is held
//! is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_plugin_redact_pii::{Found, Leave, Stream, scan};

/// Bytes of raw text that the longest value can take, short of hidden signs; beyond this the cut may show.
const HELD: usize = 48 << 10;

fuzz_target!(|data: &[u8]| {
    // The first byte says how long the pieces are.
    let Some((size, data)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(data);
    let mut whole = String::new();
    replace(&mut whole, &text, &scan(&text), text.len());
    if text.len() < HELD {
        assert_eq!(streamed(&text, usize::from(*size) + 1), whole);
    }
});

fn streamed(text: &str, size: usize) -> String {
    let mut stream = Stream::new(Leave::default());
    let (mut out, mut held, mut rest) = (String::new(), String::new(), text);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
        rest = after;
        held.push_str(piece);
        let (found, decided) = stream.push(&held);
        replace(&mut out, &held, &found, decided);
        held.drain(..decided);
    }
    let found = stream.finish(&held);
    replace(&mut out, &held, &found, held.len());
    out
}

/// The decided part of a window with a class in place of each value, and nothing for the rest of a long one.
fn replace(out: &mut String, window: &str, found: &[Found], decided: usize) {
    let mut at = 0;
    for Found { class, start, end, continues } in found {
        assert!(at <= *start && start < end && *end <= decided);
        out.push_str(&window[at..*start]);
        if !continues {
            out.push_str(class.as_str());
        }
        at = *end;
    }
    out.push_str(&window[at..decided]);
}
