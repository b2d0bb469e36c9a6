//! Groups of digits, as people write phone numbers.

use crate::text::{DIGIT, Text};

/// E.164 allows 15.
pub(super) const MOST: usize = 15;

/// Digits with signs between their groups.
pub(super) struct Number {
    pub(super) digits: [u8; MOST],
    pub(super) count: usize,
    /// For each group the count of digits up to its end, and the end.
    pub(super) ends: [(usize, usize); MOST],
    pub(super) groups: usize,
    /// Groups of 4, 2 and 2 digits, or of 2, 2 and 4.
    pub(super) is_date: bool,
}

/// Reads groups of digits up to [`MOST`] in all; `(0)` may stand among them.
pub(super) fn read(text: &Text<'_>, place: usize) -> Number {
    let mut number = Number { digits: [0; MOST], count: 0, ends: [(0, 0); MOST], groups: 0, is_date: false };
    let mut lengths = [0; MOST];
    let mut at = place;
    while number.groups < MOST {
        let end = text.run(at, MOST + 1, DIGIT);
        let length = end - at;
        if length == 0 || number.count + length > MOST {
            break;
        }
        number.digits[number.count..number.count + length].copy_from_slice(text.slice(at, end));
        number.count += length;
        number.ends[number.groups] = (number.count, end);
        lengths[number.groups] = length;
        number.groups += 1;
        match between(text, end) {
            Some(next) => at = next,
            None => break,
        }
    }
    number.is_date = matches!(lengths, [4, 2, 2, ..] | [2, 2, 4, ..]);
    number
}

/// Where the next group begins after a sign, a space or parentheses.
fn between(text: &Text<'_>, end: usize) -> Option<usize> {
    let one = match text.at(end) {
        b' ' | b'-' | b'.' | b'/' => end + 1,
        b'(' | b')' => end,
        _ => return None,
    };
    match text.at(one) {
        b'0'..=b'9' => Some(one),
        b'(' if text.at(one + 1) == b'0' && text.at(one + 2) == b')' => after_close(text, one + 2),
        b'(' if text.at(one + 1).is_ascii_digit() => Some(one + 1),
        b')' => after_close(text, one),
        _ => None,
    }
}

fn after_close(text: &Text<'_>, close: usize) -> Option<usize> {
    match text.at(close + 1) {
        b'0'..=b'9' => Some(close + 1),
        b' ' | b'-' | b'/' | b'.' if text.at(close + 2).is_ascii_digit() => Some(close + 2),
        _ => None,
    }
}
