//! A look at a stream's chunk that is enough for most: those that carry text and say nothing of usage, ending or errors.

use super::tally::TEXT_KEYS;
use crate::json::{decoded_len, string_end};
use memchr::memchr;
use memchr::memmem::Finder;
use std::sync::LazyLock;

/// The keys that matter, with their quotes. A quote inside a string is escaped, so each match is a whole string: the
/// key, or a text that reads the same (then no colon follows, and the chunk is parsed).
struct Marks {
    error: Finder<'static>,
    usage: Finder<'static>,
    finish: Finder<'static>,
    delta: Finder<'static>,
    /// How an ASCII letter of a key could be hidden.
    escape: Finder<'static>,
}

static MARKS: LazyLock<Marks> = LazyLock::new(|| Marks {
    error: Finder::new(b"\"error\""),
    usage: Finder::new(b"\"usage\""),
    finish: Finder::new(b"\"finish_reason\""),
    delta: Finder::new(b"\"delta\""),
    escape: Finder::new(b"\\u00"),
});

/// The decoded bytes of text in a chunk that certainly has no usage, no finish reason and no error. `None`: parse it.
pub(super) fn skim(data: &[u8]) -> Option<u64> {
    let marks = &*MARKS;
    let whole = data.first() == Some(&b'{') && data.last() == Some(&b'}');
    if !whole || marks.error.find(data).is_some() {
        return None;
    }
    if memchr(b'\\', data).is_some_and(|slash| marks.escape.find(&data[slash..]).is_some()) {
        return None;
    }
    for finder in [&marks.usage, &marks.finish] {
        for at in finder.find_iter(data) {
            let rest = after_colon(&data[at + finder.needle().len()..])?;
            if !rest.starts_with(b"null") {
                return None;
            }
        }
    }
    let mut sum = 0;
    let mut deltas = 0;
    for at in marks.delta.find_iter(data) {
        sum += delta_text(after_colon(&data[at + marks.delta.needle().len()..])?)?;
        deltas += 1;
    }
    (deltas > 0).then_some(sum)
}

/// What stands behind a colon and white space.
fn after_colon(bytes: &[u8]) -> Option<&[u8]> {
    Some(bytes.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())
}

/// The decoded bytes of text in a delta whose members are all texts or null.
fn delta_text(delta: &[u8]) -> Option<u64> {
    let mut rest = delta.strip_prefix(b"{")?.trim_ascii_start();
    let mut sum = 0;
    if rest.first() == Some(&b'}') {
        return Some(0);
    }
    loop {
        let (key, behind) = string(rest)?;
        let value = after_colon(behind)?;
        rest = if let Some(behind) = value.strip_prefix(b"null") {
            behind
        } else {
            let (text, behind) = string(value)?;
            if TEXT_KEYS.iter().any(|name| name.as_bytes() == &key[1..key.len() - 1]) {
                sum += decoded_len(text) as u64;
            }
            behind
        };
        rest = rest.trim_ascii_start();
        match rest.first()? {
            b'}' => return Some(sum),
            b',' => rest = rest[1..].trim_ascii_start(),
            _ => return None,
        }
    }
}

/// The string at the start with its quotes, and what is behind it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let end = string_end(bytes, 0, true).ok()?.end;
    Some(bytes.split_at(end))
}
