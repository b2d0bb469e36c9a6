//! Edits of the bytes between values that stay as they are.

use bytes::Bytes;
use std::ops::Range;

/// `bytes` with each range replaced by its text. Ranges are sorted and do not overlap (an empty range inserts); of a
/// range that breaks the order only what lies behind the previous one is replaced. Without edits the same bytes come
/// back, not a copy.
#[must_use]
pub fn splice(bytes: &Bytes, edits: &[(Range<usize>, Vec<u8>)]) -> Bytes {
    if edits.is_empty() {
        return bytes.clone();
    }
    debug_assert!(edits.is_sorted_by(|a, b| a.0.end <= b.0.start), "edits sorted, without overlap");
    let added: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut out = Vec::with_capacity(bytes.len() + added);
    let mut at = 0;
    for (range, text) in edits {
        let start = range.start.clamp(at, bytes.len());
        out.extend_from_slice(&bytes[at..start]);
        out.extend_from_slice(text);
        at = range.end.clamp(start, bytes.len());
    }
    out.extend_from_slice(&bytes[at..]);
    Bytes::from(out)
}
