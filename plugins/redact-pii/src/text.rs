//! The text under a scan, and kinds of bytes.

use std::cell::Cell;

/// How far back a detector may look. What a stream has let go is kept this far.
pub(crate) const BEHIND: usize = 64;

/// Decoded text. A detector that looks past the end of a text that goes on has not decided anything yet: what it says
/// is thrown away, and it is asked again when there is more. That is why a stream may be cut anywhere.
pub(crate) struct Text<'a> {
    bytes: &'a [u8],
    goes_on: bool,
    looked_past: Cell<bool>,
}

impl<'a> Text<'a> {
    pub(crate) const fn new(bytes: &'a [u8], goes_on: bool) -> Self {
        Self { bytes, goes_on, looked_past: Cell::new(false) }
    }

    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The byte at a place; 0, which nothing that is looked for contains, where there is none.
    #[inline]
    pub(crate) fn at(&self, place: usize) -> u8 {
        if let Some(byte) = self.bytes.get(place) {
            return *byte;
        }
        self.look_past();
        0
    }

    #[cold]
    fn look_past(&self) {
        self.looked_past.set(self.goes_on);
    }

    /// The byte before a place, 0 at the start of the text.
    #[inline]
    pub(crate) fn before(&self, place: usize) -> u8 {
        place.checked_sub(1).map_or(0, |before| self.bytes[before])
    }

    /// The byte two before a place.
    pub(crate) fn before2(&self, place: usize) -> u8 {
        place.checked_sub(2).map_or(0, |before| self.bytes[before])
    }

    /// Up to `count` bytes before a place, at most [`BEHIND`].
    pub(crate) fn behind(&self, place: usize, count: usize) -> &'a [u8] {
        &self.bytes[place.saturating_sub(count.min(BEHIND))..place]
    }

    /// A range that was looked at before.
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        let end = end.min(self.bytes.len());
        &self.bytes[start.min(end)..end]
    }

    /// Whether these bytes stand at a place.
    pub(crate) fn has(&self, place: usize, what: &[u8]) -> bool {
        what.iter().enumerate().all(|(at, byte)| self.at(place + at) == *byte)
    }

    /// The end of the run of bytes of a kind from a place on; no more than `most` are looked at.
    #[inline]
    pub(crate) fn run(&self, start: usize, most: usize, kind: u8) -> usize {
        let seen = self.slice(start, start.saturating_add(most));
        match seen.iter().position(|byte| KINDS[usize::from(*byte)] & kind == 0) {
            Some(length) => start + length,
            None => {
                let end = start + seen.len();
                if seen.len() < most {
                    self.at(end);
                }
                end
            }
        }
    }

    /// Whether anything looked past the end since the last time this was asked.
    pub(crate) fn take_looked_past(&self) -> bool {
        self.looked_past.replace(false)
    }
}

/// `0` to `9`.
pub(crate) const DIGIT: u8 = 1;
/// Letters and digits.
pub(crate) const ALNUM: u8 = 2;
/// Letters, digits, `-` and `_`: base64url.
pub(crate) const URL: u8 = 4;
/// Both alphabets of base64.
pub(crate) const B64: u8 = 8;
/// What the local part of an address is written with.
pub(crate) const LOCAL: u8 = 16;
/// `0` to `9`, `a` to `f`, `A` to `F`.
pub(crate) const HEX: u8 = 32;
/// Base64 as most people write it: letters, digits, `+` and `/`.
pub(crate) const STD: u8 = 64;
/// Something may begin here.
pub(crate) const START: u8 = 128;

/// The kinds of each byte.
pub(crate) static KINDS: [u8; 256] = kinds();

#[inline]
pub(crate) const fn is(byte: u8, kind: u8) -> bool {
    KINDS[byte as usize] & kind != 0
}

/// First byte of a letter of Latin-1 or Latin Extended in UTF-8 (`À` to `ɏ`).
#[inline]
pub(crate) const fn is_latin_lead(byte: u8) -> bool {
    matches!(byte, 0xC3..=0xC9)
}

/// Second and later bytes of a character.
#[inline]
pub(crate) const fn is_continuation(byte: u8) -> bool {
    matches!(byte, 0x80..=0xBF)
}

const fn kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = kind(byte as u8);
        byte += 1;
    }
    kinds
}

const fn kind(byte: u8) -> u8 {
    const WORD: u8 = ALNUM | URL | B64 | STD | LOCAL | START;
    match byte {
        b'0'..=b'9' => WORD | DIGIT | HEX,
        b'a'..=b'f' | b'A'..=b'F' => WORD | HEX,
        b'a'..=b'z' | b'A'..=b'Z' => WORD,
        b'_' => URL | B64 | LOCAL | START,
        b'-' => URL | B64 | LOCAL | START,
        b'+' => B64 | STD | LOCAL | START,
        b'/' => B64 | STD,
        b'.' | b'%' => LOCAL | START,
        b'(' | b':' => START,
        0xC3..=0xC9 => START,
        _ => 0,
    }
}
