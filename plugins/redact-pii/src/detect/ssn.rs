//! US social security and taxpayer numbers, with dashes: `ddd-dd-dddd`. There is no check digit; parts that are never issued
//! (area 000 or 666, zeros in a part) are no number. Written with spaces or in one piece only after a word that says so.

use super::{Match, word};
use crate::class::Class;
use crate::text::{ALNUM, DIGIT, Text, is};

/// A number that begins at `place`.
pub(crate) fn find(text: &Text<'_>, place: usize) -> Option<Match> {
    if matches!(text.before(place), b'-' | b'.' | b'_' | b'/') && text.before2(place) != b'/' {
        return None;
    }
    let first = text.run(place, 10, DIGIT);
    let (end, needs_word) = match (first - place, text.at(first)) {
        (3, b'-') => (dashed(text, place, b'-')?, false),
        (3, b' ') => (dashed(text, place, b' ')?, true),
        (9, _) => (first, true),
        _ => return None,
    };
    let next = text.at(end);
    let is_over =
        !(is(next, ALNUM) || next == b'_' || (matches!(next, b'-' | b'.') && is(text.at(end + 1), ALNUM)));
    let says_so = |word: &str| matches!(word, "ssn" | "ssns" | "itin" | "tin" | "security");
    (is_over && is_issued(text.slice(place, end)) && (!needs_word || word::tells(text, place, says_so)))
        .then(|| Match::new(Class::Ssn, end))
}

fn dashed(text: &Text<'_>, place: usize, sign: u8) -> Option<usize> {
    let shape = text.run(place + 4, 3, DIGIT) == place + 6
        && text.at(place + 6) == sign
        && text.run(place + 7, 5, DIGIT) == place + 11;
    shape.then_some(place + 11)
}

fn is_issued(written: &[u8]) -> bool {
    let mut digits = [0; 9];
    for (place, byte) in digits.iter_mut().zip(written.iter().filter(|byte| is(**byte, DIGIT))) {
        *place = *byte;
    }
    let (area, rest) = digits.split_at(3);
    let (group, serial) = rest.split_at(2);
    !matches!(area, b"000" | b"666") && group != b"00" && serial != b"0000"
}
