//! The detectors. Each answers for one place: whether something of its class begins there, and where it ends. A detector
//! sees the text only through [`Text`], so that looking past the end is noticed.
//!
//! # Layout
//!
//! - [`email`], [`phone`], [`card`], [`iban`], [`ssn`], [`ip4`], [`ip6`], [`jwt`], [`pem`]: a class each (`ip`: two).
//! - [`key`]: tokens by prefix, from the table in [`key_table`]; [`secret`]: those that only their neighbourhood tells.
//! - [`base64`]: what is found in text that was encoded.
//! - [`groups`]: digits as phone numbers are written; [`word`]: which word stands before a place.

pub(crate) mod base64;
pub(crate) mod card;
pub(crate) mod email;
mod groups;
pub(crate) mod iban;
pub(crate) mod ip4;
pub(crate) mod ip6;
pub(crate) mod jwt;
pub(crate) mod key;
mod key_table;
pub(crate) mod pem;
pub(crate) mod phone;
pub(crate) mod secret;
pub(crate) mod ssn;
mod word;

use crate::class::Class;
use crate::text::{ALNUM, DIGIT, HEX, Text, is};

/// The longest value that is found as one, in decoded bytes; what is longer is found as one of this length and a tail.
pub(crate) const LONGEST: usize = 4096;

/// Something that begins at the place that was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) class: Class,
    pub(crate) end: usize,
    /// The value goes on beyond its first [`LONGEST`] bytes.
    pub(crate) tail: Option<Tail>,
}

impl Match {
    pub(crate) const fn new(class: Class, end: usize) -> Self {
        Self { class, end, tail: None }
    }
}

/// How a value goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// To the footer of a private key.
    Pem,
    /// While there is base64url.
    Jwt,
}

/// What an address is left alone for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leave {
    /// Addresses that only mean something within one network (RFC 1918, 6598, 3927, 4193).
    pub private: bool,
    /// Addresses kept for documentation and tests (RFC 5737, 3849, 2544).
    pub documentation: bool,
}

/// How a text is scanned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) leave: Leave,
    /// How many layers of base64 may still be opened.
    pub(crate) layers: u8,
}

/// From this length on a run may end in an address whose local part begins within a word.
pub(crate) const LONG: usize = email::LONGEST_LOCAL;

/// What begins at `place`, within a run that ends at `end`; `is_inner`: in the midst of a word.
#[inline]
pub(crate) fn within_run(
    text: &Text<'_>,
    place: usize,
    end: usize,
    how: How,
    is_inner: bool,
) -> Option<Match> {
    let first = text.at(place);
    if is_inner {
        return email::long(text, place, end);
    }
    let found = match first {
        b'-' => pem::find(text, place),
        b'+' => phone::international(text, place),
        b'0'..=b'9' => email::find(text, place, end).or_else(|| number(text, place, how)),
        _ if is(first, ALNUM) => named(text, place, end, how).or_else(|| email::find(text, place, end)),
        _ => email::find(text, place, end),
    };
    match first {
        _ if found.is_some() || !is(first, ALNUM) => found,
        _ => secret::find(text, place).or_else(|| base64::find(text, place, how)),
    }
}

/// What begins at a place outside of runs.
#[inline]
pub(crate) fn outside(text: &Text<'_>, place: usize, how: How) -> Option<Match> {
    match text.at(place) {
        b'(' => phone::area(text, place),
        b':' => ip6::find(text, place, how.leave),
        _ => None,
    }
}

/// What begins with a digit: how many there are and what follows tells what it may be.
fn number(text: &Text<'_>, place: usize, how: How) -> Option<Match> {
    let end = text.run(place, card::MOST + 1, DIGIT);
    let (count, next) = (end - place, text.at(end));
    let address = |place| match next {
        b'.' if count <= 3 => ip4::find(text, place, how.leave),
        b':' if count <= 4 => ip6::find(text, place, how.leave),
        _ if count <= 4 && is(next, HEX) => ip6::find(text, place, how.leave),
        _ => None,
    };
    let token = || match count <= 4 || next == b':' {
        true => key::find(text, place),
        false => None,
    };
    let is_grouped = matches!(next, b' ' | b'-' | b'.' | b'/' | b'(' | b')');
    if count < 7 && !is_grouped {
        return address(place).or_else(token);
    }
    card::find(text, place)
        .or_else(|| ssn::find(text, place))
        .or_else(|| address(place))
        .or_else(token)
        .or_else(|| phone::national(text, place))
}

fn named(text: &Text<'_>, place: usize, end: usize, how: How) -> Option<Match> {
    let second = text.at(place + 1);
    let iban = || match second.is_ascii_alphabetic() && text.at(place + 2).is_ascii_digit() {
        true => iban::find(text, place),
        false => None,
    };
    let address = || match is(text.at(place), HEX) && end - place <= 4 && text.at(end) == b':' {
        true => ip6::find(text, place, how.leave),
        false => None,
    };
    // Tokens are no shorter, but for the sign in the midst of Azure's.
    let token = match end - place >= SHORTEST || text.at(end) == b'~' {
        true => jwt::find(text, place).or_else(|| key::find(text, place)),
        false => None,
    };
    token.or_else(iban).or_else(address)
}

/// Whether a run of so many bytes can hold nothing: what is shorter than this and has no digit and no dash is only looked
/// at for what comes after it.
pub(crate) const SHORTEST: usize = 16;

/// Whether nothing can begin at any place of a run. Must be true of the rest of a run, from any place, if it is true of
/// the run, since a stream may go on in the midst of one.
#[inline]
pub(crate) fn is_dull(text: &Text<'_>, start: usize, end: usize, kinds: u8) -> bool {
    if end - start >= SHORTEST || kinds & DIGIT != 0 {
        return false;
    }
    match text.at(end) {
        b'@' | b'/' | b'~' => false,
        b':' => end - start > 4,
        b' ' => !text.slice(start, end).ends_with(b"-----BEGIN"),
        _ => true,
    }
}
