//! Where the parts of a form stand.

use super::broken;
use crate::refusal::Refusal;
use memchr::memmem;
use std::ops::Range;

/// Most parts that a form may have; the longest that OpenAI documents has fewer than thirty.
const MAX_PARTS: usize = 256;

/// Whether a text can be a boundary: RFC 2046's characters but the space, which some parsers trim.
pub(super) fn is_boundary(text: &str) -> bool {
    (1..=70).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b))
}

/// The parts, without the line ends that belong to the delimiters around them.
///
/// Every place where the delimiter's text stands must be a delimiter. RFC 2046 wants the same of whoever writes a form,
/// but for the inside of lines, and no client that draws its boundary by lot comes near it.
pub(super) fn parts(bytes: &[u8], boundary: &str) -> Result<Vec<Range<usize>>, Refusal> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut open: Option<usize> = None;
    for at in memmem::find_iter(bytes, &delimiter) {
        match open {
            None if at > 0 => return Err(broken("something stands before its first boundary")),
            None => {}
            Some(start) => parts.push(start..end_of_part(bytes, start, at)?),
        }
        let end = at + delimiter.len();
        match bytes.get(end..).unwrap_or_default() {
            b"--" | b"--\r\n" if !parts.is_empty() => return Ok(parts),
            b"--" | b"--\r\n" => return Err(broken("it has no parts")),
            [b'\r', b'\n', ..] => open = Some(end + 2),
            [b'-', b'-', ..] => return Err(broken("something stands behind its last boundary")),
            _ => return Err(broken("its boundary stands in it without the end of a line behind it")),
        }
        if parts.len() > MAX_PARTS {
            return Err(broken("it has more than 256 parts"));
        }
    }
    Err(broken("it breaks off before its last boundary"))
}

/// The end of a part whose next delimiter's text stands at `at`.
fn end_of_part(bytes: &[u8], start: usize, at: usize) -> Result<usize, Refusal> {
    match bytes.get(start..at) {
        Some(part) if part.ends_with(b"\r\n") => Ok(at - 2),
        Some([]) => Err(broken("a part is empty")),
        _ => Err(broken("its boundary stands in the middle of a line")),
    }
}
