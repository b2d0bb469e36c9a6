//! Keys and tokens that a prefix tells, or a structure: see the table. Where a token has a checksum, a right one is enough; a
//! wrong one is taken for a token of a new kind unless it looks like a placeholder, since a key that slips through costs
//! more than a placeholder that is replaced.

use super::key_table::{BY_FIRST, Check, ROWS, Row, Signs};
use super::{Match, base64};
use crate::class::Class;
use crate::text::{ALNUM, DIGIT, HEX, Text, URL, is};

/// A token that begins at `place`.
pub(crate) fn find(text: &Text<'_>, place: usize) -> Option<Match> {
    let first = text.at(place);
    let (from, count) = *BY_FIRST.get(usize::from(first))?;
    let rows = &ROWS[usize::from(from)..usize::from(from) + usize::from(count)];
    let end = rows
        .iter()
        .find_map(|row| by_prefix(text, place, row))
        .or_else(|| telegram(text, place))
        .or_else(|| discord(text, place))
        .or_else(|| azure(text, place))?;
    Some(Match::new(Class::Key, end))
}

fn by_prefix(text: &Text<'_>, place: usize, row: &Row) -> Option<usize> {
    if !text.has(place, row.prefix) {
        return None;
    }
    let start = place + row.prefix.len();
    let end = signs_end(text, start, row)?;
    let body = text.slice(start, end);
    let fits = match row.check {
        Check::Shape => true,
        Check::Mixed => is_mixed(body),
        Check::SendGrid => body.iter().position(|byte| *byte == b'.') == Some(22) && is_mixed(body),
        Check::Crc => has_checksum(row.prefix, body) || is_mixed(body),
    };
    fits.then_some(end)
}

/// Where the signs of a token end, if there are as many as there should be.
fn signs_end(text: &Text<'_>, start: usize, row: &Row) -> Option<usize> {
    let mut end = start;
    while end - start <= row.most && is_sign(text.at(end), row.signs) {
        end += 1;
    }
    if end - start > row.most {
        // `-` and `_` may belong to what follows, a letter does not.
        end = start + row.most;
        if is(text.at(end), ALNUM) || row.least < row.most {
            return None;
        }
    } else if is(text.at(end), ALNUM) {
        return None;
    }
    while row.least < row.most && end > start && !is(text.at(end - 1), ALNUM) {
        end -= 1;
    }
    (end - start >= row.least).then_some(end)
}

fn is_sign(byte: u8, signs: Signs) -> bool {
    match signs {
        Signs::Alnum => is(byte, ALNUM),
        Signs::Url => is(byte, URL),
        Signs::Dotted => is(byte, URL) || byte == b'.',
        Signs::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        Signs::Hex => is(byte, HEX) && !byte.is_ascii_uppercase(),
    }
}

/// Whether signs look drawn by lot: letters and digits, not the same few over and over.
pub(super) fn is_mixed(body: &[u8]) -> bool {
    let mut seen = [0_u8; 128];
    for byte in body {
        if let Some(count) = seen.get_mut(usize::from(*byte)) {
            *count = 1;
        }
    }
    let distinct: u8 = seen.iter().sum();
    let digits = body.iter().filter(|byte| is(**byte, DIGIT)).count();
    // Hugging Face's tokens are letters alone.
    let is_random = digits > 0 || (body.len() >= 30 && has_both_cases(body));
    distinct >= 6 && digits < body.len() && is_random && !is_sequence(body)
}

fn has_both_cases(body: &[u8]) -> bool {
    body.iter().filter(|byte| byte.is_ascii_uppercase()).count() > 3
        && body.iter().filter(|byte| byte.is_ascii_lowercase()).count() > 3
}

/// `your-key-here…`, `xxxxxxxx`: half of it repeats the letter before.
fn is_sequence(body: &[u8]) -> bool {
    let repeats = body.windows(2).filter(|pair| pair[0] == pair[1]).count();
    repeats * 2 > body.len()
}

fn has_checksum(prefix: &[u8], body: &[u8]) -> bool {
    let Some((secret, check)) = body.split_last_chunk::<6>() else { return false };
    // GitHub and npm sum what follows the prefix, Weir the prefix too.
    *check == base62(crc32(secret.iter())) || *check == base62(crc32(prefix.iter().chain(secret)))
}

fn crc32<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

fn base62(mut number: u32) -> [u8; 6] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut written = [0; 6];
    for digit in written.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    written
}

/// A bot's token: its id, a colon, `AA` and 33 signs.
fn telegram(text: &Text<'_>, place: usize) -> Option<usize> {
    let colon = text.run(place, 11, DIGIT);
    if !(8..=10).contains(&(colon - place)) || !text.has(colon, b":AA") {
        return None;
    }
    let end = text.run(colon + 1, 36, URL);
    (end - colon == 36).then_some(end)
}

/// A bot's token: its id in base64, a time, a signature.
fn discord(text: &Text<'_>, place: usize) -> Option<usize> {
    if !matches!(text.at(place), b'M' | b'N' | b'O') || is(text.before(place), URL) {
        return None;
    }
    let id = text.run(place, 29, URL);
    if !(24..=28).contains(&(id - place)) || text.at(id) != b'.' {
        return None;
    }
    let time = text.run(id + 1, 7, URL);
    if time - id != 7 || text.at(time) != b'.' {
        return None;
    }
    let end = text.run(time + 1, 40, URL);
    let names_bot = base64::decode(text.slice(place, id)).is_some_and(|id| id.iter().all(u8::is_ascii_digit));
    ((28..=39).contains(&(end - time)) && names_bot).then_some(end)
}

/// A client secret of Entra: three signs, a digit, `Q~` and 31 to 34 more; or a key of Azure AI: 84 signs with a mark.
fn azure(text: &Text<'_>, place: usize) -> Option<usize> {
    if text.at(place + 3).is_ascii_digit() && text.has(place + 4, b"Q~") {
        let mut end = place + 6;
        while end < place + 41 && (is(text.at(end), URL) || matches!(text.at(end), b'.' | b'~')) {
            end += 1;
        }
        return (37..=40).contains(&(end - place)).then_some(end);
    }
    if is(text.before(place), URL) {
        return None;
    }
    let end = text.run(place, 85, ALNUM);
    (end - place == 84 && text.has(place + 52, b"JQQJ99")).then_some(end)
}
