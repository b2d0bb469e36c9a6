//! Numbers: the grammar of RFC 8259, and the bound of an `f64`.

use super::error::{JsonError, JsonErrorKind};

/// Integers of up to so many digits are below `f64::MAX` (1.8e308) whatever the digits are.
const SAFE_DIGITS: usize = 300;

/// One past the last byte of the number that starts at `start`.
#[inline]
pub(super) fn number_end(bytes: &[u8], start: usize) -> Result<usize, JsonError> {
    let bad = |offset| JsonError { kind: JsonErrorKind::BadNumber, offset };
    let mut at = start;
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    let whole = at;
    at = digits_end(bytes, at);
    if at == whole || (bytes[whole] == b'0' && at - whole > 1) {
        return Err(bad(start));
    }
    let mut checked = at - whole <= SAFE_DIGITS;
    if bytes.get(at) == Some(&b'.') {
        let fraction = at + 1;
        at = digits_end(bytes, fraction);
        if at == fraction {
            return Err(bad(start));
        }
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        let exponent = at;
        at = digits_end(bytes, exponent);
        if at == exponent {
            return Err(bad(start));
        }
        checked = false;
    }
    if !checked && parse_f64(&bytes[start..at]).is_none_or(f64::is_infinite) {
        return Err(JsonError { kind: JsonErrorKind::NumberOverflow, offset: start });
    }
    Ok(at)
}

/// The number as an `f64`, correctly rounded.
pub(super) fn parse_f64(raw: &[u8]) -> Option<f64> {
    std::str::from_utf8(raw).ok()?.parse().ok()
}

fn digits_end(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}
