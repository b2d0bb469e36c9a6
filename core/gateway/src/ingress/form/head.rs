//! What the head of a part says.

use super::broken;
use crate::refusal::Refusal;
use memchr::memmem;

/// Space that may stand around the pieces of a header.
const SPACE: [char; 2] = [' ', '\t'];
/// Longest name of a field.
const MAX_NAME: usize = 128;

/// What is told of a part.
pub(super) struct Head<'a> {
    pub(super) name: &'a str,
    pub(super) file: Option<About<'a>>,
}

/// What is told of a file.
pub(super) struct About<'a> {
    pub(super) filename: &'a str,
    /// Its `type/subtype`, without parameters.
    pub(super) kind: Option<&'a str>,
}

/// A part's head and its content.
pub(super) fn split(part: &[u8]) -> Result<(Head<'_>, &[u8]), Refusal> {
    let end = memmem::find(part, b"\r\n\r\n").ok_or_else(|| broken("a part has no head"))?;
    let (head, content) = (part.get(..end).unwrap_or_default(), part.get(end + 4..).unwrap_or_default());
    let head = std::str::from_utf8(head).map_err(|_| broken("the head of a part is not UTF-8"))?;
    Ok((read(head, content.len())?, content))
}

/// The lines of a head. Those that would change how the content is read must say that it stands there as it is; those
/// that we do not know might.
fn read(head: &str, length: usize) -> Result<Head<'_>, Refusal> {
    let (mut disposition, mut kind) = (None, None);
    for line in head.split("\r\n") {
        let (name, value) = header(line)?;
        let value = value.trim_matches(SPACE);
        match name.to_ascii_lowercase().as_str() {
            "content-disposition" => once(&mut disposition, value, "two Content-Disposition lines")?,
            "content-type" => once(&mut kind, value, "two Content-Type lines")?,
            "content-length" if value.parse() == Ok(length) => {}
            "content-length" => return Err(broken("the Content-Length of a part is not its length")),
            "content-transfer-encoding" if plain(value) => {}
            "content-transfer-encoding" => {
                return Err(broken("a part has a Content-Transfer-Encoding; send it as it is"));
            }
            _ => {
                return Err(broken(
                    "a part has a header other than Content-Disposition, Content-Type, Content-Length and Content-Transfer-Encoding",
                ));
            }
        }
    }
    let disposition = disposition.ok_or_else(|| broken("a part has no Content-Disposition"))?;
    let kind = kind.map(content_type).transpose()?;
    let (name, filename) = disposed(disposition)?;
    Ok(Head { name, file: filename.map(|filename| About { filename, kind }) })
}

/// One line, in which no parser can see the end of another.
fn header(line: &str) -> Result<(&str, &str), Refusal> {
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err(broken("a control character or a bare line end stands in the head of a part"));
    }
    line.split_once(':')
        .filter(|(name, _)| is_token(name))
        .ok_or_else(|| broken("a line in the head of a part is no header, or is folded"))
}

fn once<'a>(place: &mut Option<&'a str>, value: &'a str, twice: &str) -> Result<(), Refusal> {
    match place.replace(value) {
        Some(_) => Err(broken(&format!("a part has {twice}"))),
        None => Ok(()),
    }
}

/// Encodings that are none.
fn plain(encoding: &str) -> bool {
    ["binary", "8bit", "7bit"].iter().any(|known| encoding.eq_ignore_ascii_case(known))
}

/// Name and file name of a part.
fn disposed(line: &str) -> Result<(&str, Option<&str>), Refusal> {
    let unclear = || {
        broken(
            "a Content-Disposition must be form-data with one name and at most one filename, without backslashes",
        )
    };
    let (kind, parameters) = parameters(line).ok_or_else(unclear)?;
    if !kind.eq_ignore_ascii_case("form-data") {
        return Err(unclear());
    }
    let (mut name, mut filename, mut extended) = (None, None, None);
    for (key, value) in parameters {
        match key.as_str() {
            "name" => name = Some(value),
            "filename" => filename = Some(value),
            "filename*" => extended = Some(value),
            _ => return Err(unclear()),
        }
    }
    let name = name.filter(|name| is_name(name)).ok_or_else(|| {
        broken("a name must be 1 to 128 printable ASCII characters without quotes, backslashes, semicolons, % and ?")
    })?;
    if filename == Some("") {
        return Err(broken("a filename is empty: some parsers take that for a file, others for a text"));
    }
    match extended {
        Some(extended) if !same(extended, filename) => {
            Err(broken("a `filename*` does not say the same as a plain `filename` beside it"))
        }
        _ => Ok((name, filename)),
    }
}

/// Whether the extended form of a file name says what the plain one says: .NET sends both.
fn same(extended: &str, filename: Option<&str>) -> bool {
    let plain =
        extended.get(..7).filter(|start| start.eq_ignore_ascii_case("utf-8''")).and(extended.get(7..));
    plain.is_some() && plain == filename && !extended.contains('%')
}

/// Whether a name is the same to every reader of forms, quoted as we write it.
pub(super) fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b' '..=b'~') && !b"\"\\;%?".contains(&b))
        && name.trim_ascii() == name
}

/// The `type/subtype` of a part, whose text must be UTF-8 if it is one.
fn content_type(line: &str) -> Result<&str, Refusal> {
    let (kind, parameters) = parameters(line)
        .filter(|(kind, _)| is_kind(kind))
        .ok_or_else(|| broken("the Content-Type of a part is no type/subtype with parameters"))?;
    let strange = |(key, value): &(String, &str)| {
        key == "charset"
            && !["utf-8", "utf8", "us-ascii"].iter().any(|known| value.eq_ignore_ascii_case(known))
    };
    if parameters.iter().any(strange) {
        return Err(broken("a part has a charset other than UTF-8"));
    }
    let nests = |start: &str| kind.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start));
    if nests("multipart/") || nests("message/") {
        return Err(broken("a part is a form or a message itself"));
    }
    Ok(kind)
}

/// Whether a text is a plain `type/subtype`.
pub(super) fn is_kind(text: &str) -> bool {
    text.len() <= MAX_NAME && text.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub))
}

/// A header's value and its parameters, their keys in lower case; nothing if a key stands there twice, something is
/// escaped, or two parsers could cut it in two ways.
pub(super) fn parameters(header: &str) -> Option<(&str, Vec<(String, &str)>)> {
    let (first, mut rest) = header.split_at(header.find(';').unwrap_or(header.len()));
    let mut parameters: Vec<(String, &str)> = Vec::new();
    while !rest.is_empty() {
        let (key, after) = rest.strip_prefix(';')?.trim_start_matches(SPACE).split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => bare(after)?,
        };
        let key = key.to_ascii_lowercase();
        if !is_token(&key) || value.contains('\\') || parameters.iter().any(|(known, _)| *known == key) {
            return None;
        }
        parameters.push((key, value));
        rest = after.trim_start_matches(SPACE);
    }
    Some((first.trim_matches(SPACE), parameters))
}

/// A value without quotes, and what stands behind it.
fn bare(text: &str) -> Option<(&str, &str)> {
    let (value, rest) = text.split_at(text.find([';', ' ', '\t']).unwrap_or(text.len()));
    is_token(value).then_some((value, rest))
}

/// RFC 9110's token.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
