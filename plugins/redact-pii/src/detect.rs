//! The detectors. Each answers for one place: whether something of its class begins there, and where it ends. A detector
//! sees the text only through [`Text`], so that looking past the end is noticed.
//!
//! # Layout
//!
//! - [`email`], [`phone`], [`card`], [`iban`], [`ssn`], [`ip4`], [`ip6`], [`jwt`], [`pem`]: a class each (`ip`: two).
//! - [`key`]: tokens by prefix, from the table in [`key_table`]; [`secret`]: those that only their neighbourhood tells.
//! - [`base64`]: what is found in text that was encoded.
//! - [`word`]: which word stands before a place.

pub(crate) mod base64;
pub(crate) mod card;
pub(crate) mod email;
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

/// What begins at `place`, within a run that ends at `end`.
#[inline]
pub(crate) fn within_run(text: &Text<'_>, place: usize, end: usize, how: How) -> Option<Match> {
    let first = text.at(place);
    if is(text.before(place), ALNUM) && is(first, ALNUM) {
        return email::long(text, place, end);
    }
    let found = match first {
        b'-' => pem::find(text, place),
        b'+' => phone::international(text, place),
        b'0'..=b'9' => email::find(text, place, end).or_else(|| number(text, place, how)),
        _ if is(first, ALNUM) => named(text, place, end, how),
        _ => None,
    };
    let found = found.or_else(|| email::find(text, place, end));
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

fn number(text: &Text<'_>, place: usize, how: How) -> Option<Match> {
    card::find(text, place)
        .or_else(|| ssn::find(text, place))
        .or_else(|| ip4::find(text, place, how.leave))
        .or_else(|| ip6::find(text, place, how.leave))
        .or_else(|| key::find(text, place))
        .or_else(|| phone::national(text, place))
}

fn named(text: &Text<'_>, place: usize, end: usize, how: How) -> Option<Match> {
    let address = || match is(text.at(place), HEX) && end - place <= 4 && text.at(end) == b':' {
        true => ip6::find(text, place, how.leave),
        false => None,
    };
    jwt::find(text, place)
        .or_else(|| key::find(text, place))
        .or_else(|| iban::find(text, place))
        .or_else(address)
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
