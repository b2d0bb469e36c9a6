//! Phone numbers. There is no check digit, so only forms that little else has are taken:
//!
//! - international (ITU-T E.164): `+`, a country code, as many digits as its numbers have;
//! - national forms with their usual groups: North America, France, the United Kingdom, Germany's and Japan's mobiles, Brazil,
//!   Australia, the Netherlands;
//! - any 7 to 15 digits after a word that says so (`Tel. 030 901820`, `"phone": "01712345678"`).
//!
//! A plain run of digits without such a word is an order, an account, a time: it is left alone.

use super::{Match, word};
use crate::class::Class;
use crate::text::{ALNUM, DIGIT, Text, is};

/// E.164 allows 15.
const MOST: usize = 15;
const FEWEST: usize = 7;

/// Country codes and the fewest and most digits after them; of two that fit, the longer comes first.
const COUNTRIES: &[(&str, usize, usize)] = &[
    ("1", 10, 10), ("7", 10, 10), ("20", 8, 10), ("27", 9, 9), ("30", 10, 10), ("31", 9, 9), ("32", 8, 9), ("33", 9, 9),
    ("34", 9, 9), ("36", 8, 9), ("39", 6, 11), ("40", 9, 9), ("41", 9, 9), ("43", 7, 13), ("44", 9, 10), ("45", 8, 8),
    ("46", 7, 9), ("47", 8, 8), ("48", 9, 9), ("49", 6, 11), ("51", 8, 9), ("52", 10, 10), ("54", 10, 11), ("55", 10, 11),
    ("56", 9, 9), ("57", 8, 10), ("58", 10, 10), ("60", 7, 10), ("61", 9, 9), ("62", 8, 12), ("63", 8, 10), ("64", 8, 10),
    ("65", 8, 8), ("66", 8, 9), ("81", 9, 10), ("82", 8, 10), ("84", 9, 10), ("86", 9, 11), ("90", 10, 10), ("91", 10, 10),
    ("92", 9, 10), ("93", 9, 9), ("94", 9, 9), ("95", 7, 10), ("98", 10, 10),
];

/// A number that begins with the `+` at `place`.
pub(crate) fn international(text: &Text<'_>, place: usize) -> Option<Match> {
    let before = text.before(place);
    if is(before, ALNUM) || matches!(before, b'+' | b'_' | b'%') || !matches!(text.at(place + 1), b'1'..=b'9') {
        return None;
    }
    let number = read(text, place + 1, MOST);
    let (code, least, most) = country(&number)?;
    let ends = number.ends.iter().take(number.groups).rev();
    let end = ends.copied().find(|(digits, end)| (code + least..=code + most).contains(digits) && is_over(text, *end))?;
    Some(Match::new(Class::Phone, end.1))
}

/// Length of the country code, fewest and most digits after it. Codes that are not listed have three digits.
fn country(number: &Number) -> Option<(usize, usize, usize)> {
    let digits = &number.digits[..number.count];
    let listed = COUNTRIES.iter().find(|(code, ..)| digits.starts_with(code.as_bytes()));
    match (listed, digits) {
        (Some((code, least, most)), _) => Some((code.len(), *least, *most)),
        (None, [b'2'..=b'9', _, _, ..]) => Some((3, 5, 12)),
        _ => None,
    }
}

/// `(555) 010-0199`, `(11) 91234-5678`: a number that begins with the area in parentheses at `place`.
pub(crate) fn area(text: &Text<'_>, place: usize) -> Option<Match> {
    let close = text.run(place + 1, 4, DIGIT);
    if text.at(close) != b')' || is(text.before(place), ALNUM) {
        return None;
    }
    let start = if matches!(text.at(close + 1), b' ' | b'-') { close + 2 } else { close + 1 };
    let shapes: &[&[usize]] = match close - place - 1 {
        3 if is_exchange(text, place + 1) && is_exchange(text, start) => &[&[3, 4]],
        2 => &[&[5, 4], &[4, 4]],
        _ => return None,
    };
    let end = shapes.iter().find_map(|groups| shape(text, start, groups, b"-. "))?;
    is_over(text, end).then(|| Match::new(Class::Phone, end))
}

/// A national form: how it begins, its groups, and what stands between them.
const FORMS: &[(&str, &[usize], &[u8])] = &[
    ("0", &[2, 2, 2, 2, 2], b" .-"),  // France: 06 12 34 56 78
    ("07", &[5, 6], b" "),            // United Kingdom: 07700 900123
    ("07", &[5, 3, 3], b" "),
    ("02", &[3, 4, 4], b" "),         // 020 7946 0958
    ("01", &[5, 6], b" "),            // 01632 960983
    ("01", &[4, 3, 4], b" "),         // 0113 496 0999
    ("080", &[3, 4, 4], b"-"),        // Japan: 090-1234-5678
    ("090", &[3, 4, 4], b"-"),
    ("070", &[3, 4, 4], b"-"),
    ("0", &[2, 4, 4], b"-"),          // 03-1234-5678
    ("04", &[4, 3, 3], b" "),         // Australia: 0412 345 678
    ("06", &[2, 8], b"-"),            // Netherlands: 06-12345678
    ("015", &[4, 7], b" /-"),         // Germany: 0151 2345678, 0151 23456789
    ("015", &[4, 8], b" /-"),
    ("016", &[4, 7], b" /-"),
    ("017", &[4, 7], b" /-"),
];

/// A number without a country code that begins with the digit at `place`.
pub(crate) fn national(text: &Text<'_>, place: usize) -> Option<Match> {
    let (before, before2) = (text.before(place), text.before2(place));
    let is_inner = matches!(before, b'-' | b'.' | b'_' | b',' | b'/' | b'$' | b'#') && !(before == b'/' && before2 == b'/');
    if is_inner && (is(before2, ALNUM) || matches!(before, b'$' | b'_')) {
        return None;
    }
    let end = match is_inner {
        true => None,
        false => north_american(text, place).or_else(|| formed(text, place)),
    };
    let end = end.filter(|end| is_over(text, *end)).or_else(|| told(text, place))?;
    Some(Match::new(Class::Phone, end))
}

/// `555-010-0199`, `555.010.0199`, `1-555-010-0199`; with spaces only after a word.
fn north_american(text: &Text<'_>, place: usize) -> Option<usize> {
    let is_long = text.at(place) == b'1' && matches!(text.at(place + 1), b'-' | b'.');
    let start = if is_long { place + 2 } else { place };
    let sign = text.at(start + 3);
    let is_number = matches!(sign, b'-' | b'.') && is_exchange(text, start) && is_exchange(text, start + 4);
    if !is_number || (is_long && text.at(place + 1) != sign) {
        return None;
    }
    shape(text, start, &[3, 3, 4], &[sign])
}

/// Areas and exchanges have three digits and begin with 2 to 9.
fn is_exchange(text: &Text<'_>, place: usize) -> bool {
    matches!(text.at(place), b'2'..=b'9') && text.run(place, 4, DIGIT) == place + 3
}

fn formed(text: &Text<'_>, place: usize) -> Option<usize> {
    if text.at(place) != b'0' || text.at(place + 1) == b'0' {
        return None;
    }
    let fits = |(lead, groups, signs): &(&str, &[usize], &[u8])| match text.has(place, lead.as_bytes()) {
        true => shape(text, place, groups, signs),
        false => None,
    };
    FORMS.iter().find_map(fits)
}

/// The end of groups of so many digits, with the same sign of a list between all of them.
fn shape(text: &Text<'_>, place: usize, groups: &[usize], signs: &[u8]) -> Option<usize> {
    let mut at = place;
    let mut sign = None;
    for (index, length) in groups.iter().enumerate() {
        if index > 0 {
            let next = text.at(at);
            if !signs.contains(&next) || *sign.get_or_insert(next) != next {
                return None;
            }
            at += 1;
        }
        if text.run(at, length + 1, DIGIT) != at + length {
            return None;
        }
        at += length;
    }
    Some(at)
}

/// Digits after a word that says that they are a phone number.
fn told(text: &Text<'_>, place: usize) -> Option<usize> {
    let number = read(text, place, MOST);
    let is_number = number.count >= FEWEST && !number.is_date && word::tells(text, place, is_telling);
    let mut ends = number.ends.iter().take(number.groups).rev();
    let (_, end) = ends.find(|(digits, end)| *digits >= FEWEST && is_over(text, *end)).filter(|_| is_number)?;
    Some(*end)
}

/// Words before phone numbers, in the languages that we can read.
fn is_telling(word: &str) -> bool {
    const WHOLE: [&str; 25] = [
        "tel", "tél", "call", "ring", "dial", "mob", "cell", "fax", "sms", "text", "handy", "mobil", "móvil", "portable", "ruf",
        "cellulare", "celular", "rufen", "тел", "телефон", "电话", "手机", "電話", "전화", "tlf",
    ];
    const PARTS: [&str; 8] = ["phone", "telef", "téléphone", "teléf", "mobile", "whatsapp", "rufnummer", "telnr"];
    WHOLE.contains(&word) || PARTS.iter().any(|part| word.contains(part))
        || WHOLE[19..24].iter().any(|part| word.ends_with(part))
}

/// Digits with signs between their groups.
struct Number {
    digits: [u8; MOST],
    count: usize,
    /// For each group the count of digits up to its end, and the end.
    ends: [(usize, usize); MOST],
    groups: usize,
    /// Groups of 4, 2 and 2 digits, or of 2, 2 and 4.
    is_date: bool,
}

/// Reads groups of digits up to `most` in all; `(0)` may stand among them.
fn read(text: &Text<'_>, place: usize, most: usize) -> Number {
    let mut number = Number { digits: [0; MOST], count: 0, ends: [(0, 0); MOST], groups: 0, is_date: false };
    let mut lengths = [0; MOST];
    let mut at = place;
    while number.groups < MOST {
        let end = text.run(at, most + 1, DIGIT);
        let length = end - at;
        if length == 0 || number.count + length > most {
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
    number.is_date = matches!(lengths, [4, 2, 2, ..] | [2, 2, 4, ..]) ;
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
        b' ' | b'-' | b'/' if text.at(close + 2).is_ascii_digit() => Some(close + 2),
        _ => None,
    }
}

/// Whether a number ends here.
fn is_over(text: &Text<'_>, end: usize) -> bool {
    let next = text.at(end);
    let goes_on = is(next, ALNUM) && !matches!(next, b'x' | b'e');
    !(goes_on || matches!(next, b'_' | b'@' | b'%') || (matches!(next, b'-' | b'.' | b',' | b':' | b'/') && is(text.at(end + 1), ALNUM)))
}
