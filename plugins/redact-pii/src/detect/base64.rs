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
    if !may_be_text(&encoded[..encoded.len().min(PROBE)]) {
        return None;
    }
    let decoded = decode(encoded)?;
    std::str::from_utf8(&decoded).ok()?;
    let class = scan::worst(&decoded, How { layers: how.layers - 1, ..how })?;
    Some(Match::new(class, padding_end(text, end)))
}

/// Whether the start of a run decodes to text. Text in base64 has capitals; most names of code, paths and words have none,
/// and most that have some decode to control characters or to no UTF-8.
fn may_be_text(encoded: &[u8]) -> bool {
    let mut decoded = [0; PROBE];
    if !encoded.iter().any(u8::is_ascii_uppercase) {
        return false;
    }
    decode_into(encoded, &mut decoded).is_some_and(|length| is_text(&decoded[..length]))
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
    let mut decoded = vec![0; encoded.len() / 4 * 3 + 3];
    let length = decode_into(encoded, &mut decoded)?;
    decoded.truncate(length);
    Some(decoded)
}

/// Decodes to where there is room for it; how many bytes.
fn decode_into(encoded: &[u8], room: &mut [u8]) -> Option<usize> {
    if encoded.len() % 4 == 1 {
        return None;
    }
    let mut length = 0;
    for (quad, place) in encoded.chunks(4).zip(room.chunks_mut(3)) {
        let mut bits = 0_u32;
        for byte in quad {
            bits = (bits << 6) | sextet(*byte)?;
        }
        let [_, bytes @ ..] = (bits << (6 * (4 - quad.len()))).to_be_bytes();
        place[..quad.len() - 1].copy_from_slice(&bytes[..quad.len() - 1]);
        length += quad.len() - 1;
    }
    Some(length)
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
