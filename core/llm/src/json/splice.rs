//! Edits of the bytes between values that stay as they are.

use bytes::Bytes;
use std::ops::Range;

/// `bytes` with each range replaced by its text. Ranges are sorted and do not overlap (an empty range inserts); of a
/// range that breaks the order only what lies behind the previous one is replaced. Without edits the same bytes come
/// back, not a copy.
#[must_use]
pub fn splice(bytes: &Bytes, edits: &[(Range<usize>, Vec<u8>)]) -> Bytes {
    if edits.is_empty() {
        bytes.clone()
    } else {
        Bytes::from(parts(bytes, edits).collect::<Vec<_>>().concat())
    }
}

/// What [`splice`] puts together: what is left of `bytes`, and the texts between, in their order.
pub(crate) fn parts<'a>(
    bytes: &'a [u8],
    edits: &'a [(Range<usize>, Vec<u8>)],
) -> impl Iterator<Item = &'a [u8]> {
    debug_assert!(edits.is_sorted_by(|a, b| a.0.end <= b.0.start), "edits sorted, without overlap");
    let place = |at: usize, range: &Range<usize>| {
        let start = range.start.clamp(at, bytes.len());
        (start, range.end.clamp(start, bytes.len()))
    };
    let end = edits.iter().fold(0, |at, (range, _)| place(at, range).1);
    let mut at = 0;
    let edited = edits.iter().flat_map(move |(range, text)| {
        let (start, end) = place(at, range);
        let kept = &bytes[at..start];
        at = end;
        [kept, text]
    });
    edited.chain([&bytes[end..]])
}
