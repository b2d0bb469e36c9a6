//! Base64 (RFC 4648, both alphabets) that holds text: what is found in the text stands for the whole run, so that what comes
//! in its place does not leave half an encoding behind.

use super::{How, LONGEST, Match};
use crate::scan;
use crate::text::{B64, Text, URL, is};

/// Shorter runs are not opened: they hold fewer than twelve bytes, and words look like them.
const SHORTEST: usize = super::SHORTEST;
/// So much is decoded first, to see if it is text.
const PROBE: usize = 32;

/// A run that begins at `place` and holds something.
pub(crate) fn find(text: &Text<'_>, place: usize, how: How) -> Option<Match> {
    if how.layers == 0 {
        return None;
    }
    let before = text.before(place);
    let is_start = !is(before, B64);
    let whole = if is_start { run(text, place, B64, how) } else { None };
    match is_start || before == b'/' {
        true => whole.or_else(|| run(text, place, URL, how)),
        false => None,
    }
}

fn run(text: &Text<'_>, place: usize, kind: u8, how: How) -> Option<Match> {
    let end = text.run(place, LONGEST, kind);
    if end - place < SHORTEST || end - place == LONGEST {
        return None;
    }
    let encoded = text.slice(place, end);
    let probe = &encoded[..encoded.len().min(PROBE)];
    if !decode(probe).is_some_and(|decoded| is_text(&decoded)) {
        return None;
    }
    let decoded = decode(encoded)?;
    std::str::from_utf8(&decoded).ok()?;
    let class = scan::worst(&decoded, How { layers: how.layers - 1, ..how })?;
    Some(Match::new(class, padding_end(text, end)))
}

fn padding_end(text: &Text<'_>, end: usize) -> usize {
    match (text.at(end), end) {
        (b'=', end) if text.at(end + 1) == b'=' => end + 2,
        (b'=', end) => end + 1,
        _ => end,
    }
}

/// Whether bytes look like text; a character may be cut at the end.
fn is_text(bytes: &[u8]) -> bool {
    let is_utf8 = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    is_utf8 && bytes.iter().all(|byte| !matches!(byte, 0..=8 | 0x0B | 0x0E..=0x1F | 0x7F))
}

/// Decodes either alphabet, without padding. Bits that are left over are not looked at.
pub(crate) fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
    if encoded.len() % 4 == 1 {
        return None;
    }
    let mut decoded = Vec::with_capacity(encoded.len() / 4 * 3 + 2);
    for quad in encoded.chunks(4) {
        let mut bits = 0_u32;
        for byte in quad {
            bits = (bits << 6) | sextet(*byte)?;
        }
        let [_, bytes @ ..] = (bits << (6 * (4 - quad.len()))).to_be_bytes();
        decoded.extend_from_slice(&bytes[..quad.len() - 1]);
    }
    Some(decoded)
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_are_decoded() {
        assert_eq!(decode(b"YWRhQGV4YW1wbGUub3Jn").as_deref(), Some(&b"ada@example.org"[..]));
        assert_eq!(decode(b"_-8").as_deref(), Some(&[0xFF, 0xEF][..]));
        assert_eq!(decode(b"/+8").as_deref(), Some(&[0xFF, 0xEF][..]));
        assert_eq!(decode(b"YWRhQ"), None);
        assert_eq!(decode(b"YW!h"), None);
    }
}
