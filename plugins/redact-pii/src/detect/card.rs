//! Numbers of payment cards: a network's prefix, a length that it issues, the groups that are printed, and Luhn's check.

use super::{Match, word};
use crate::class::Class;
use crate::text::{ALNUM, DIGIT, Text, is};

/// How the digits are grouped on cards.
const GROUPS: [&[usize]; 6] =
    [&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 2], &[6, 13]];
/// ISO/IEC 7812 allows up to 19.
pub(super) const MOST: usize = 19;
/// Diners' cards. Shorter numbers are times and bar codes as a rule.
const FEWEST: usize = 14;
/// Maestro's and old Visa's numbers, which only a word tells.
const FEWEST_TOLD: usize = 12;

/// A card number that begins at `place`.
pub(crate) fn find(text: &Text<'_>, place: usize) -> Option<Match> {
    if is_inner(text, place) {
        return None;
    }
    let first = digits_end(text, place);
    if first - place >= FEWEST_TOLD {
        return (first - place <= MOST && is_over(text, first) && is_plain(text, place, first))
            .then(|| Match::new(Class::Card, first));
    }
    if first - place != 4 && first - place != 6 {
        return None;
    }
    GROUPS.iter().find_map(|groups| grouped(text, place, groups))
}

/// Whether digits in one piece are a card's, or said to be.
fn is_plain(text: &Text<'_>, place: usize, end: usize) -> bool {
    let written = text.slice(place, end);
    let is_known = end - place >= FEWEST && is_card(written);
    let says_so = |word: &str| {
        word.contains("card")
            || matches!(word, "visa" | "maestro" | "pan" | "karte" | "kreditkarte" | "tarjeta" | "carte")
    };
    is_known || (luhn(&digits(written).0[..end - place]) && word::tells(text, place, says_so))
}

fn grouped(text: &Text<'_>, place: usize, groups: &[usize]) -> Option<Match> {
    let mut at = place;
    for (index, length) in groups.iter().enumerate() {
        if index > 0 {
            if !matches!(text.at(at), b' ' | b'-') {
                return None;
            }
            at += 1;
        }
        if digits_end(text, at) != at + length {
            return None;
        }
        at += length;
    }
    (is_over(text, at) && is_card(text.slice(place, at))).then(|| Match::new(Class::Card, at))
}

fn digits_end(text: &Text<'_>, start: usize) -> usize {
    text.run(start, MOST + 1, DIGIT)
}

/// Whether this is the midst of a number: `0.4111111111111111`, `a-4111…`.
fn is_inner(text: &Text<'_>, place: usize) -> bool {
    let (before, before2) = (text.before(place), text.before2(place));
    is(before, ALNUM) || (matches!(before, b'.' | b',' | b'-') && is(before2, DIGIT))
}

/// Whether a number ends here.
fn is_over(text: &Text<'_>, end: usize) -> bool {
    let next = text.at(end);
    !(is(next, ALNUM) || next == b'_' || (matches!(next, b'.' | b'-') && is(text.at(end + 1), DIGIT)))
}

/// Whether digits, with signs between them, are a card's.
fn is_card(written: &[u8]) -> bool {
    let (digits, count) = digits(written);
    let digits = &digits[..count];
    is_issued(digits) && luhn(digits)
}

/// The digits of what is written, and how many there are.
fn digits(written: &[u8]) -> ([u8; MOST], usize) {
    let mut digits = [0; MOST];
    let mut count = 0;
    for (place, byte) in digits.iter_mut().zip(written.iter().filter(|byte| is(**byte, DIGIT))) {
        *place = byte - b'0';
        count += 1;
    }
    (digits, count)
}

/// Prefixes and lengths that networks issue.
fn is_issued(digits: &[u8]) -> bool {
    let first =
        |count: usize| digits.iter().take(count).fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let (two, three, four) = (first(2), first(3), first(4));
    let length = digits.len();
    match two {
        40..=49 => matches!(length, 16 | 19),
        51..=55 => length == 16,
        34 | 37 => length == 15,
        // JCB, formerly.
        18 | 21 if matches!(four, 1800 | 2131) => length == 15,
        36 | 38 | 39 => length == 14,
        60 | 64 | 65 => {
            matches!(length, 16..=19)
                && (four == 6011 || (644..=659).contains(&three) || four / 10 == 606 || four == 6082)
        }
        62 | 81 => matches!(length, 16..=19),
        35 => matches!(length, 16..=19) && (3528..=3589).contains(&four),
        _ if (300..=305).contains(&three) => length == 14,
        _ if (2221..=2720).contains(&four) || (2200..=2204).contains(&four) => length == 16,
        _ => {
            matches!(four, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 | 9792)
                && matches!(length, 16..=19)
        }
    }
}

/// Luhn's check (ISO/IEC 7812-1, annex B).
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}
