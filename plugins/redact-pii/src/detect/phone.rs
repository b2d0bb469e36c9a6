//! Phone numbers. There is no check digit, so only forms that little else has are taken:
//!
//! - international (ITU-T E.164): `+`, a country code, as many digits as its numbers have;
//! - national forms with their usual groups: North America, France, the United Kingdom, Japan, Brazil, Australia, and an area
//!   that begins with 0 and is set apart, as in `(030) 901820`, `0595-711777`;
//! - any 7 to 15 digits after a word that says so (`Tel. 030 901820`, `"phone": "01712345678"`).
//!
//! A plain run of digits without such a word is an order, an account, a time: it is left alone.

use super::groups::{Number, read};
use super::{Match, word};
use crate::class::Class;
use crate::text::{ALNUM, DIGIT, Text, is};

const FEWEST: usize = 7;

/// Country codes and the fewest and most digits after them; of two that fit, the longer comes first.
const COUNTRIES: &[(&str, usize, usize)] = &[
    ("1", 10, 10),
    ("7", 10, 10),
    ("20", 8, 10),
    ("27", 9, 9),
    ("30", 10, 10),
    ("31", 9, 9),
    ("32", 8, 9),
    ("33", 9, 9),
    ("34", 9, 9),
    ("36", 8, 9),
    ("39", 6, 11),
    ("40", 9, 9),
    ("41", 9, 9),
    ("43", 7, 13),
    ("44", 9, 10),
    ("45", 8, 8),
    ("46", 7, 9),
    ("47", 8, 8),
    ("48", 9, 9),
    ("49", 6, 11),
    ("51", 8, 9),
    ("52", 10, 10),
    ("54", 10, 11),
    ("55", 10, 11),
    ("56", 9, 9),
    ("57", 8, 10),
    ("58", 10, 10),
    ("60", 7, 10),
    ("61", 9, 9),
    ("62", 8, 12),
    ("63", 8, 10),
    ("64", 8, 10),
    ("65", 8, 8),
    ("66", 8, 9),
    ("81", 9, 10),
    ("82", 8, 10),
    ("84", 9, 10),
    ("86", 9, 11),
    ("90", 10, 10),
    ("91", 10, 10),
    ("92", 9, 10),
    ("93", 9, 9),
    ("94", 9, 9),
    ("95", 7, 10),
    ("98", 10, 10),
];

/// A number that begins with the `+` at `place`.
pub(crate) fn international(text: &Text<'_>, place: usize) -> Option<Match> {
    let before = text.before(place);
    if is(before, ALNUM) || matches!(before, b'+' | b'_' | b'%') || !matches!(text.at(place + 1), b'1'..=b'9')
    {
        return None;
    }
    let number = read(text, place + 1);
    let (code, least, most) = country(&number)?;
    let ends = number.ends.iter().take(number.groups).rev();
    let end = ends
        .copied()
        .find(|(digits, end)| (code + least..=code + most).contains(digits) && is_over(text, *end))?;
    Some(Match::new(Class::Phone, extension(text, end.1)))
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

/// `(555) 010-0199`, `(11) 91234-5678`, `(030) 901820`: a number that begins with the area in parentheses at `place`.
pub(crate) fn area(text: &Text<'_>, place: usize) -> Option<Match> {
    let close = text.run(place + 1, 6, DIGIT);
    if text.at(close) != b')' || close == place + 1 || is(text.before(place), ALNUM) {
        return None;
    }
    let start = if matches!(text.at(close + 1), b' ' | b'-' | b'.') { close + 2 } else { close + 1 };
    let shapes: &[&[usize]] = match close - place - 1 {
        3 if is_exchange(text, place + 1) && is_exchange(text, start) => &[&[3, 4], &[3, 2, 2]],
        2 if text.at(place + 1) != b'0' => &[&[5, 4], &[4, 4]],
        _ => &[],
    };
    let shaped = shapes.iter().find_map(|groups| shape(text, start, groups, b"-. "));
    let end = shaped
        .filter(|end| is_over(text, *end))
        .or_else(|| trunk(text, place))
        .or_else(|| told(text, place, place + 1))?;
    Some(Match::new(Class::Phone, extension(text, end)))
}

/// `(0` begins an area where numbers within a country do; all in all 9 to 12 digits.
fn trunk(text: &Text<'_>, place: usize) -> Option<usize> {
    let number = read(text, place + 1);
    let is_trunk = number.digits[0] == b'0' && number.digits[1] != b'0' && (9..=12).contains(&number.count);
    let (_, end) = number.ends[number.groups.checked_sub(1)?];
    (is_trunk && number.groups > 1 && is_over(text, end)).then_some(end)
}

/// The end of a number with its extension, `x123`.
fn extension(text: &Text<'_>, end: usize) -> usize {
    let digits = text.at(end) == b'x' && text.at(end + 1).is_ascii_digit();
    match digits.then(|| text.run(end + 1, 7, DIGIT)) {
        Some(over) if over - end <= 7 && !is(text.at(over), ALNUM) => over,
        _ => end,
    }
}

/// A national form: how it begins, its groups, and what stands between them.
const FORMS: &[(&str, &[usize], &[u8])] = &[
    ("0", &[2, 2, 2, 2, 2], b" .-"), // France: 06 12 34 56 78
    ("07", &[5, 6], b" "),           // United Kingdom: 07700 900123
    ("07", &[5, 3, 3], b" "),
    ("02", &[3, 4, 4], b" "),  // 020 7946 0958
    ("01", &[5, 6], b" "),     // 01632 960983
    ("01", &[4, 3, 4], b" "),  // 0113 496 0999
    ("080", &[3, 4, 4], b"-"), // Japan: 090-1234-5678
    ("090", &[3, 4, 4], b"-"),
    ("070", &[3, 4, 4], b"-"),
    ("0", &[2, 4, 4], b"-"),   // 03-1234-5678
    ("04", &[4, 3, 3], b" -"), // Australia: 0412 345 678
    ("06", &[2, 8], b"-"),     // Netherlands: 06-12345678
    ("015", &[4, 7], b" /-"),  // Germany: 0151 2345678, 0151 23456789
    ("015", &[4, 8], b" /-"),
    ("016", &[4, 7], b" /-"),
    ("017", &[4, 7], b" /-"),
];

/// A number without a country code that begins with the digit at `place`.
pub(crate) fn national(text: &Text<'_>, place: usize) -> Option<Match> {
    let (before, before2) = (text.before(place), text.before2(place));
    let is_inner = matches!(before, b'-' | b'.' | b'_' | b',' | b'/' | b'$' | b'#')
        && !(before == b'/' && before2 == b'/');
    if is_inner && (is(before2, ALNUM) || matches!(before, b'$' | b'_')) {
        return None;
    }
    let end = match is_inner {
        true => None,
        false => north_american(text, place).or_else(|| formed(text, place)),
    };
    let end = end.filter(|end| is_over(text, *end)).or_else(|| told(text, place, place))?;
    Some(Match::new(Class::Phone, extension(text, end)))
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
    FORMS.iter().find_map(fits).or_else(|| two_parts(text, place))
}

/// An area of three to five digits and a number, ten to twelve digits all in all: `0595-711777`, `09868 282880`.
fn two_parts(text: &Text<'_>, place: usize) -> Option<usize> {
    let area = text.run(place, 6, DIGIT);
    let end = text.run(area + 1, 9, DIGIT);
    let fits = (3..=5).contains(&(area - place)) && (5..=8).contains(&(end.saturating_sub(area + 1)));
    let count = end.saturating_sub(place + 1);
    match text.at(area) {
        b' ' | b'/' if fits && (10..=12).contains(&count) => Some(end),
        b'-' if fits && count == 10 => Some(end),
        _ => None,
    }
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

/// Digits from `first` on, after a word before `place` that says that they are a phone number.
fn told(text: &Text<'_>, place: usize, first: usize) -> Option<usize> {
    let number = read(text, first);
    let is_number = number.count >= FEWEST && !number.is_date && word::tells(text, place, is_telling);
    let mut ends = number.ends.iter().take(number.groups).rev();
    let (_, end) =
        ends.find(|(digits, end)| *digits >= FEWEST && is_over(text, *end)).filter(|_| is_number)?;
    Some(*end)
}

/// Words before phone numbers, in the languages that we can read.
fn is_telling(word: &str) -> bool {
    const WHOLE: [&str; 25] = [
        "tel",
        "tél",
        "call",
        "ring",
        "dial",
        "mob",
        "cell",
        "fax",
        "sms",
        "text",
        "handy",
        "mobil",
        "móvil",
        "portable",
        "ruf",
        "cellulare",
        "celular",
        "rufen",
        "тел",
        "телефон",
        "电话",
        "手机",
        "電話",
        "전화",
        "tlf",
    ];
    const PARTS: [&str; 8] =
        ["phone", "telef", "téléphone", "teléf", "mobile", "whatsapp", "rufnummer", "telnr"];
    WHOLE.contains(&word)
        || PARTS.iter().any(|part| word.contains(part))
        || WHOLE[19..24].iter().any(|part| word.ends_with(part))
}

/// Whether a number ends here.
fn is_over(text: &Text<'_>, end: usize) -> bool {
    let next = text.at(end);
    let goes_on = is(next, ALNUM) && !matches!(next, b'x' | b'e');
    !(goes_on
        || matches!(next, b'_' | b'@' | b'%')
        || (matches!(next, b'-' | b'.' | b',' | b':' | b'/') && is(text.at(end + 1), ALNUM)))
}
