//! International bank account numbers (ISO 13616): the country's length and the check modulo 97.

use super::Match;
use crate::class::Class;
use crate::text::{ALNUM, Text, is};

/// Lengths by country, from the SWIFT registry of IBAN formats.
const LENGTHS: &[u8] = b"\
AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22\
GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31\
MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24\
XK20YE30";

/// An IBAN that begins at `place`, in one piece or in groups of four.
pub(crate) fn find(text: &Text<'_>, place: usize) -> Option<Match> {
    let first = text.at(place);
    let second = text.at(place + 1);
    if !first.is_ascii_alphabetic() || !second.is_ascii_alphabetic() || !text.at(place + 2).is_ascii_digit() {
        return None;
    }
    if !text.at(place + 3).is_ascii_digit() || text.before(place) == b'_' {
        return None;
    }
    let length = length(first.to_ascii_uppercase(), second.to_ascii_uppercase())?;
    let mut written = [0; 34];
    let end = read(text, place, &mut written[..length])?;
    let is_over = !is(text.at(end), ALNUM) && text.at(end) != b'_';
    (is_over && remainder(&written[..length]) == 1).then(|| Match::new(Class::Iban, end))
}

fn length(first: u8, second: u8) -> Option<usize> {
    let row = LENGTHS.chunks_exact(4).find(|row| row[0] == first && row[1] == second)?;
    Some(usize::from(row[2] - b'0') * 10 + usize::from(row[3] - b'0'))
}

/// Reads as many letters and digits as there is room for; where they end. Between groups of four there may be a space.
fn read(text: &Text<'_>, place: usize, written: &mut [u8]) -> Option<usize> {
    let mut at = place;
    let is_spaced = text.at(place + 4) == b' ';
    for (index, letter) in written.iter_mut().enumerate() {
        if is_spaced && index > 0 && index % 4 == 0 {
            if text.at(at) != b' ' {
                return None;
            }
            at += 1;
        }
        let byte = text.at(at);
        if !is(byte, ALNUM) {
            return None;
        }
        *letter = byte;
        at += 1;
    }
    Some(at)
}

/// The first four moved to the end, letters as 10 to 35, modulo 97.
fn remainder(written: &[u8]) -> u32 {
    let (head, rest) = written.split_at(4);
    rest.iter().chain(head).fold(0, |remainder, byte| match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte.to_ascii_uppercase() - b'A') + 10) % 97,
    })
}
