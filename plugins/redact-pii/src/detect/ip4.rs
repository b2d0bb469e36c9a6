//! IPv4 addresses in dotted form. A version number of four parts has the same form: words and signs that go with versions
//! tell it apart.

use super::{Leave, Match, word};
use crate::class::Class;
use crate::text::{ALNUM, DIGIT, Text, is};

/// Words before something that is numbered in parts.
const PARTS: [&str; 17] = [
    "version", "versions", "ver", "v", "rv", "release", "build", "firmware", "section", "chapter", "clause",
    "sec", "rev", "revision", "driver", "update", "oid",
];

/// An address that begins at `place`.
pub(crate) fn find(text: &Text<'_>, place: usize, leave: Leave) -> Option<Match> {
    let (octets, end) = octets(text, place)?;
    let kept = is_nobody(octets)
        || (leave.private && is_private(octets))
        || (leave.documentation && is_documentation(octets));
    (!kept && !is_version(text, place, end)).then(|| Match::new(Class::Ip, end))
}

/// Four numbers below 256 with dots between them, and where they end.
pub(crate) fn octets(text: &Text<'_>, place: usize) -> Option<([u8; 4], usize)> {
    if text.before(place) == b'.' || text.before(place) == b'_' {
        return None;
    }
    let mut octets = [0; 4];
    let mut at = place;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            if text.at(at) != b'.' {
                return None;
            }
            at += 1;
        }
        let end = text.run(at, 4, DIGIT);
        *octet = number(text.slice(at, end))?;
        at = end;
    }
    let next = text.at(at);
    let goes_on = is(next, ALNUM)
        || matches!(next, b'_' | b'@')
        || (matches!(next, b'.' | b'-' | b'+') && is(text.at(at + 1), ALNUM));
    (!goes_on).then_some((octets, at))
}

fn number(digits: &[u8]) -> Option<u8> {
    match digits {
        [b'0', _, ..] => None,
        _ => std::str::from_utf8(digits).ok()?.parse().ok(),
    }
}

/// Addresses that are no host's: this host, everybody, masks.
const fn is_nobody(octets: [u8; 4]) -> bool {
    matches!(octets, [0 | 127, ..] | [255, 255, _, _] | [255, 0..=254, 0, 0])
}

pub(crate) const fn is_private(octets: [u8; 4]) -> bool {
    matches!(octets, [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] | [169, 254, ..])
}

pub(crate) const fn is_documentation(octets: [u8; 4]) -> bool {
    matches!(octets, [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18 | 19, ..])
}

/// Whether what stands before tells of a version: `version 1.2.3.4`, `Agent/1.2.3.4`, `package==1.2.3.4`.
fn is_version(text: &Text<'_>, place: usize, end: usize) -> bool {
    let (before, before2) = (text.before(place), text.before2(place));
    let is_product = before == b'/' && is(before2, ALNUM) && text.at(end) != b':';
    let is_pinned = before == b'=' && matches!(before2, b'=' | b'>' | b'<' | b'~' | b'^' | b'!');
    let is_sign = matches!(before, b'~' | b'^' | b'@')
        || (before == b'-' && is(before2, ALNUM))
        || text.behind(place, 2) == "§".as_bytes();
    is_product || is_pinned || is_sign || word::tells(text, place, |word| PARTS.contains(&word))
}
