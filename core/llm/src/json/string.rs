//! Strings: finding their end, decoding and encoding them.

use super::error::{JsonError, JsonErrorKind};
use std::borrow::Cow;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Offset of the first byte at or after `at` that ends a run of plain string bytes: a quote, a backslash, a control
/// character, or the end.
#[inline]
fn run_end(bytes: &[u8], mut at: usize) -> usize {
    // Keys and short values end within a few words.
    for _ in 0..4 {
        let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) else { break };
        if let Some(place) = first_stop(*block) {
            return at + place;
        }
        at += 8;
    }
    // Longer ones: 32 bytes at a step in a form that the compiler turns into vector instructions.
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<32>) {
        if block.iter().fold(false, |hit, &b| hit | (b < 0x20) | (b == b'"') | (b == b'\\')) {
            break;
        }
        at += 32;
    }
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        if let Some(place) = first_stop(*block) {
            return at + place;
        }
        at += 8;
    }
    // The last few bytes as a word filled up with spaces.
    let Some(rest) = bytes.get(at..) else { return at };
    let mut block = [b' '; 8];
    block.iter_mut().zip(rest).for_each(|(to, &from)| *to = from);
    first_stop(block).map_or(bytes.len(), |place| at + place)
}

/// The first of eight bytes that ends a run.
#[inline]
fn first_stop(block: [u8; 8]) -> Option<usize> {
    let word = u64::from_le_bytes(block);
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    // `x - n` sets the high bit of each byte below n; a borrow can only spoil bytes above the first hit.
    let hits = ((quote.wrapping_sub(ONES) & !quote)
        | (slash.wrapping_sub(ONES) & !slash)
        | (word.wrapping_sub(ONES * 0x20) & !word))
        & HIGHS;
    (hits != 0).then(|| (hits.trailing_zeros() / 8) as usize)
}

/// What [`string_end`] found.
#[derive(Clone, Copy)]
pub(crate) struct StringEnd {
    /// One past the closing quote.
    pub(crate) end: usize,
    /// Whether there is an escape inside.
    pub(crate) escaped: bool,
}

/// The end of the string whose opening quote is at `start`.
#[inline]
pub(crate) fn string_end(bytes: &[u8], start: usize, lone_surrogates: bool) -> Result<StringEnd, JsonError> {
    let mut at = start + 1;
    let mut escaped = false;
    loop {
        at = run_end(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok(StringEnd { end: at + 1, escaped }),
            Some(b'\\') => {
                escaped = true;
                at = escape_end(bytes, at, lone_surrogates)?;
            }
            Some(_) => return Err(JsonError { kind: JsonErrorKind::ControlCharacter, offset: at }),
            None => return Err(JsonError { kind: JsonErrorKind::UnexpectedEnd, offset: at }),
        }
    }
}

/// One past the escape whose backslash is at `at`; a surrogate pair is one escape.
#[inline]
fn escape_end(bytes: &[u8], at: usize, lone_surrogates: bool) -> Result<usize, JsonError> {
    let error = |kind| JsonError { kind, offset: at };
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let unit = hex4(bytes, at + 2).ok_or_else(|| error(JsonErrorKind::BadEscape))?;
            match unit {
                0xD800..=0xDBFF if low_surrogate(bytes, at + 6).is_some() => Ok(at + 12),
                0xD800..=0xDFFF if !lone_surrogates => Err(error(JsonErrorKind::LoneSurrogate)),
                _ => Ok(at + 6),
            }
        }
        Some(_) => Err(error(JsonErrorKind::BadEscape)),
        None => Err(JsonError { kind: JsonErrorKind::UnexpectedEnd, offset: at + 1 }),
    }
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |sum, &b| Some(sum * 16 + char::from(b).to_digit(16)?))
}

/// The second half of a pair, if `\uDC00`…`\uDFFF` stands at `at`.
fn low_surrogate(bytes: &[u8], at: usize) -> Option<u32> {
    if bytes.get(at..at + 2)? != b"\\u" {
        return None;
    }
    hex4(bytes, at + 2).filter(|unit| (0xDC00..=0xDFFF).contains(unit))
}

/// The text of a JSON string given with its quotes; `None` if it is not one. Lone surrogates become U+FFFD.
#[must_use]
pub fn unquote(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    unescape(inner).map(Cow::Owned)
}

/// Decodes the escapes of the inside of a string.
fn unescape(inner: &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(inner.len());
    let mut rest = 0;
    while let Some(slash) = memchr::memchr(b'\\', &inner[rest..]).map(|found| rest + found) {
        text.extend_from_slice(&inner[rest..slash]);
        let (decoded, next) = escape_at(inner, slash)?;
        text.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
        rest = next;
    }
    text.extend_from_slice(&inner[rest..]);
    String::from_utf8(text).ok()
}

/// The character that the escape at `slash` stands for, and one past the escape.
#[inline]
fn escape_at(inner: &[u8], slash: usize) -> Option<(char, usize)> {
    let simple = match inner.get(slash + 1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode_at(inner, slash),
        _ => return None,
    };
    Some((simple, slash + 2))
}

fn unicode_at(inner: &[u8], slash: usize) -> Option<(char, usize)> {
    let unit = hex4(inner, slash + 2)?;
    if (0xD800..=0xDBFF).contains(&unit)
        && let Some(low) = low_surrogate(inner, slash + 6)
    {
        let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        return Some((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), slash + 12));
    }
    Some((char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), slash + 6))
}

/// Length in bytes of the decoded text of a valid JSON string given with its quotes, without decoding it.
pub(crate) fn decoded_len(raw: &[u8]) -> usize {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    let mut length = inner.len();
    let mut rest = 0;
    while let Some(slash) =
        memchr::memchr(b'\\', inner.get(rest..).unwrap_or_default()).map(|found| rest + found)
    {
        let Some((decoded, next)) = escape_at(inner, slash) else { return length };
        length = length + decoded.len_utf8() - (next - slash);
        rest = next;
    }
    length
}

/// Appends `text` as a JSON string with its quotes. Escapes only what JSON demands.
pub fn quote(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut from = 0;
    loop {
        let stop = run_end(bytes, from);
        out.extend_from_slice(&bytes[from..stop]);
        let Some(&byte) = bytes.get(stop) else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]]);
            }
        }
        from = stop + 1;
    }
    out.push(b'"');
}
