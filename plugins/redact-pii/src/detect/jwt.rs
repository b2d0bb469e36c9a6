//! JSON Web Tokens (RFC 7515, 7516): parts of base64url with dots between them, the first of which is a JSON object that names
//! an algorithm.

use super::{LONGEST, Match, Tail, base64};
use crate::class::Class;
use crate::text::{Text, URL, is};
use serde::Deserialize;

/// Headers hold a key's name, sometimes a certificate.
const LONGEST_HEADER: usize = 2048;
/// `{}` and little more.
const SHORTEST_PART: usize = 4;

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "alg")]
    _alg: String,
}

/// A token that begins at `place`.
pub(crate) fn find(text: &Text<'_>, place: usize) -> Option<Match> {
    if !text.has(place, b"eyJ") || is(text.before(place), URL) {
        return None;
    }
    let header = text.run(place, LONGEST_HEADER, URL);
    if text.at(header) != b'.' || !names_algorithm(text.slice(place, header)) {
        return None;
    }
    let limit = place + LONGEST;
    let mut end = header;
    let mut parts = 1;
    // A signed token has three parts, an encrypted one five, of which the second may be empty.
    while parts < 5 && text.at(end) == b'.' {
        let part = end + 1;
        let stop = text.run(part, limit - part, URL);
        if stop == limit {
            return Some(Match { class: Class::Jwt, end: limit, tail: Some(Tail::Jwt) });
        }
        match (parts, stop - part) {
            (2, 0) => break,
            (1, 0) if text.at(stop) != b'.' => break,
            (1, 1..SHORTEST_PART) => break,
            _ => {}
        }
        parts += 1;
        end = stop;
    }
    let is_unsigned = parts == 2 && text.at(end) == b'.' && text.has(header, b".eyJ");
    let end = if is_unsigned { end + 1 } else { end };
    (parts >= 3 || is_unsigned).then(|| Match::new(Class::Jwt, end))
}

fn names_algorithm(header: &[u8]) -> bool {
    base64::decode(header).is_some_and(|json| serde_json::from_slice::<Header>(&json).is_ok())
}

/// How far a token goes on from `place`, and whether it ends there.
pub(crate) fn tail(text: &Text<'_>, place: usize) -> (usize, bool) {
    let end = text.run(place, LONGEST, URL);
    if end > place {
        return (end, false);
    }
    match text.at(place) == b'.' && is(text.at(place + 1), URL) {
        true => (place + 1, false),
        false => (place, true),
    }
}
