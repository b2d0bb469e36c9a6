//! E-mail addresses (RFC 5321 as it is used): a local part of up to 64 bytes without quotes, a domain of at least two labels
//! whose last one could be a top-level domain.

use super::Match;
use crate::class::Class;
use crate::text::{ALNUM, LOCAL, Text, is, is_continuation, is_latin_lead};

/// RFC 5321, 4.5.3.1.1.
pub(super) const LONGEST_LOCAL: usize = 64;
/// RFC 1035, 2.3.4.
const LONGEST_DOMAIN: usize = 253;
const LONGEST_LABEL: usize = 63;

/// What follows an `@` in names of files, packages and scales and is no top-level domain.
const ENDINGS: [&str; 22] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "css", "scss", "js", "mjs", "jsx", "tsx", "json",
    "html", "xml", "yaml", "yml", "txt", "beta", "alpha", "lock",
];

/// An address that begins at `place`, in a run that ends at `end`.
pub(crate) fn find(text: &Text<'_>, place: usize, end: usize) -> Option<Match> {
    let first = text.at(place);
    if !(is(first, ALNUM) || first == b'_' || is_latin_lead(first)) || is_inner(text, place) {
        return None;
    }
    match end - place <= LONGEST_LOCAL && text.at(end) == b'@' {
        true => with_domain(text, place, end),
        false => long(text, place, end),
    }
}

/// An address whose local part is the last 64 bytes of a longer run: it is found however long the run is.
pub(crate) fn long(text: &Text<'_>, place: usize, end: usize) -> Option<Match> {
    let sign = place + LONGEST_LOCAL;
    if end < sign || is_continuation(text.at(place)) || text.at(sign) != b'@' {
        return None;
    }
    match text.slice(place, sign).iter().all(|byte| is_local(*byte)) {
        true => with_domain(text, place, sign),
        false => None,
    }
}

/// Whether the local part would have begun before this place.
fn is_inner(text: &Text<'_>, place: usize) -> bool {
    let before = text.before(place);
    is(before, ALNUM) || before == b'_' || (is_continuation(before) && is_latin_lead(text.before2(place)))
}

const fn is_local(byte: u8) -> bool {
    is(byte, LOCAL) || is_latin_lead(byte) || is_continuation(byte)
}

fn with_domain(text: &Text<'_>, place: usize, sign: usize) -> Option<Match> {
    if text.at(sign - 1) == b'.' {
        return None;
    }
    let end = domain(text, sign + 1)?;
    // `git@github.com:owner/name` is an address of a repository, everybody's.
    let is_repository = text.slice(place, sign) == b"git" && text.at(end) == b':';
    (!is_repository).then(|| Match::new(Class::Email, end))
}

/// The end of a domain.
fn domain(text: &Text<'_>, start: usize) -> Option<usize> {
    let mut label = start;
    let mut end = None;
    while label < start + LONGEST_DOMAIN {
        let stop = label_end(text, label);
        if stop == label || stop - label > LONGEST_LABEL || text.at(label) == b'-' {
            break;
        }
        if label > start {
            end = top(text, label, stop).or(end);
        }
        if text.at(stop) != b'.' {
            break;
        }
        label = stop + 1;
    }
    end
}

fn label_end(text: &Text<'_>, start: usize) -> usize {
    let mut end = start;
    while end < start + LONGEST_LABEL + 1 {
        let byte = text.at(end);
        match byte {
            _ if is(byte, ALNUM) || byte == b'-' => end += 1,
            _ if is_latin_lead(byte) && is_continuation(text.at(end + 1)) => end += 2,
            _ => break,
        }
    }
    end
}

/// The end of a top-level domain that a label is, or begins with.
fn top(text: &Text<'_>, start: usize, end: usize) -> Option<usize> {
    let label = text.slice(start, end);
    if label.starts_with(b"xn--") {
        return Some(end);
    }
    let letters =
        label.iter().position(|byte| !byte.is_ascii_alphabetic() && *byte < 0x80).unwrap_or(label.len());
    let is_whole = letters == label.len() || label[letters] == b'-';
    let name = std::str::from_utf8(&label[..letters]).ok()?;
    let is_ending = ENDINGS.iter().any(|ending| name.eq_ignore_ascii_case(ending));
    (is_whole && letters >= 2 && !is_ending).then_some(start + letters)
}
