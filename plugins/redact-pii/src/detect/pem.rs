//! Private keys in PEM (RFC 7468), OpenSSH's and PGP's too: header, base64, footer. Line ends may be escaped.

use super::{LONGEST, Match, Tail};
use crate::class::Class;
use crate::text::{STD, Text, is};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
/// `-----BEGIN ENCRYPTED PRIVATE KEY-----` and the like.
const LONGEST_LABEL: usize = 40;
/// So much base64 follows a header; prose does not.
const SHORTEST_BODY: usize = 16;
/// Between the header and the key: line ends and `Proc-Type: 4,ENCRYPTED`, `Version: …`.
const LONGEST_HEADERS: usize = 256;

/// A key that begins at `place`.
pub(crate) fn find(text: &Text<'_>, place: usize) -> Option<Match> {
    if !text.has(place, BEGIN) {
        return None;
    }
    let header = label(text, place + BEGIN.len())?;
    let limit = place + LONGEST;
    let mut at = body(text, header)?;
    while at < limit {
        match tail(text, at) {
            (end, true) => return Some(Match::new(Class::PrivateKey, ended(text, at, end))),
            (end, false) => at = end,
        }
    }
    Some(Match { class: Class::PrivateKey, end: limit, tail: Some(Tail::Pem) })
}

/// The end of a key that is over: its footer, else the last of its base64, not the quote after it.
fn ended(text: &Text<'_>, at: usize, end: usize) -> usize {
    match end > at {
        true => end,
        false => text.slice(0, end).iter().rposition(|byte| is(*byte, STD)).map_or(end, |last| last + 1),
    }
}

/// The end of `RSA PRIVATE KEY-----` or `PGP PRIVATE KEY BLOCK-----`.
fn label(text: &Text<'_>, start: usize) -> Option<usize> {
    let mut end = start;
    while end < start + LONGEST_LABEL && matches!(text.at(end), b'A'..=b'Z' | b'0'..=b'9' | b' ') {
        end += 1;
    }
    let name = text.slice(start, end);
    let is_private = name.ends_with(b"PRIVATE KEY") || name.ends_with(b"PRIVATE KEY BLOCK");
    (is_private && text.has(end, b"-----")).then_some(end + 5)
}

/// Where base64 begins, after line ends and headers.
fn body(text: &Text<'_>, start: usize) -> Option<usize> {
    let mut at = start;
    while at < start + LONGEST_HEADERS {
        let end = text.run(at, SHORTEST_BODY, STD);
        if end - at == SHORTEST_BODY {
            return Some(at);
        }
        let byte = text.at(end);
        if !(is_around(byte) || matches!(byte, b' ' | b':' | b'.')) || text.has(end, END) {
            return None;
        }
        at = end + 1;
    }
    None
}

/// How far a key goes on from `place`, and whether it ends there: at its footer, or where something stands that no key holds.
pub(crate) fn tail(text: &Text<'_>, place: usize) -> (usize, bool) {
    let end = text.run(place, LONGEST, STD);
    if end > place {
        return (end, false);
    }
    match text.at(place) {
        b'-' if text.has(place, END) => (label(text, place + END.len()).unwrap_or(place), true),
        b' ' if goes_on_after_space(text, place + 1) => (place + 1, false),
        byte if is_around(byte) => (place + 1, false),
        _ => (place, true),
    }
}

/// A key on one line has spaces for line ends; prose has words.
fn goes_on_after_space(text: &Text<'_>, place: usize) -> bool {
    let next = text.at(place);
    matches!(next, b' ' | b'-')
        || is_around(next)
        || text.run(place, SHORTEST_BODY, STD) == place + SHORTEST_BODY
}

/// What stands between base64: line ends, padding, and what code puts around lines.
const fn is_around(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | b'\t' | b'=' | b',' | b'-' | b'"' | b'\'' | b'\\')
}
