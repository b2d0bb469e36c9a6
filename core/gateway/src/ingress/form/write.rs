//! The form that a provider gets: written from the JSON body as the guards left it.

use super::head::{is_kind, is_name};
use super::{Form, broken};
use crate::refusal::Refusal;
use bytes::Bytes;
use memchr::memmem;
use std::borrow::Cow;
use std::collections::HashSet;
use weir_llm::json::{Kind, Value};
use weir_llm::request::Request;

/// How our boundaries begin; [`DIGITS`] hexadecimal digits follow.
const PREFIX: &str = "weir-form-";
/// So many that no body can hold all of them.
const DIGITS: usize = 16;

/// A form, ready for the wire.
pub struct Written {
    /// The body.
    pub bytes: Bytes,
    /// Its `Content-Type`, with the boundary.
    pub content_type: String,
}

/// One part: its header lines, and its content.
struct Part<'a> {
    head: String,
    content: Cow<'a, [u8]>,
}

impl Form {
    /// The form for a provider that knows the model as `model`.
    ///
    /// # Errors
    /// 400 if a policy gave a field a name that no form can carry.
    pub fn write(&self, request: &Request, model: &str) -> Result<Written, Refusal> {
        let mut parts = Vec::new();
        for (key, value) in request.json().root().members() {
            match (key.as_ref(), value.kind(), &self.file) {
                ("model", _, _) => parts.push(Part::text("model", Cow::Borrowed(model.as_bytes()))?),
                ("file", Kind::Object, Some(content)) => parts.push(Part::file(value, content)),
                (name, Kind::Array, _) => {
                    let name = format!("{}[]", name.strip_suffix("[]").unwrap_or(name));
                    for item in value.elements() {
                        parts.push(Part::text(&name, text(item))?);
                    }
                }
                (name, _, _) => parts.push(Part::text(name, text(value))?),
            }
        }
        Ok(assemble(&parts))
    }
}

impl<'a> Part<'a> {
    fn text(name: &str, content: Cow<'a, [u8]>) -> Result<Self, Refusal> {
        if !is_name(name) {
            return Err(broken("a policy gave a field a name that no form can carry"));
        }
        Ok(Self { head: format!("Content-Disposition: form-data; name=\"{name}\""), content })
    }

    fn file(about: Value<'_>, content: &'a Bytes) -> Self {
        let told = |key| about.get(key).and_then(|value| value.as_str()).unwrap_or_default();
        let mut head = format!(
            "Content-Disposition: form-data; name=\"file\"; filename=\"{}\"",
            filename(&told("filename"))
        );
        let kind = told("type");
        if is_kind(&kind) {
            head.push_str("\r\nContent-Type: ");
            head.push_str(&kind);
        }
        Self { head, content: Cow::Borrowed(content) }
    }
}

/// A file name without what some reader of headers takes for anything but itself; never empty, since a file without a
/// name is a text to some.
pub(super) fn filename(name: &str) -> String {
    if name.is_empty() {
        return "file".to_owned();
    }
    let strange = |c: char| c.is_control() || "\"\\;%?/".contains(c);
    name.chars().map(|c| if strange(c) { '_' } else { c }).collect()
}

/// A value as a form says it: a string's own text, all else as JSON has it.
fn text(value: Value<'_>) -> Cow<'_, [u8]> {
    match value.as_str() {
        Some(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
        Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        None => Cow::Borrowed(value.raw()),
    }
}

fn assemble(parts: &[Part<'_>]) -> Written {
    let boundary = boundary(parts);
    let frame = boundary.len() + 10;
    let length: usize = parts.iter().map(|part| part.head.len() + part.content.len() + frame).sum();
    let mut out = Vec::with_capacity(length + frame);
    for part in parts {
        for piece in ["--", &boundary, "\r\n", &part.head, "\r\n\r\n"] {
            out.extend_from_slice(piece.as_bytes());
        }
        out.extend_from_slice(&part.content);
        out.extend_from_slice(b"\r\n");
    }
    for piece in ["--", &boundary, "--\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
    Written { bytes: out.into(), content_type: format!("multipart/form-data; boundary={boundary}") }
}

/// The first of our boundaries that stands nowhere in the parts. One pass finds all that do, so content that is full of
/// them costs no more than other content.
fn boundary(parts: &[Part<'_>]) -> String {
    let finder = memmem::Finder::new(PREFIX);
    let mut taken = HashSet::new();
    for text in parts.iter().flat_map(|part| [part.head.as_bytes(), &part.content]) {
        let ends = finder.find_iter(text).map(|at| at + PREFIX.len());
        let digits = ends.filter_map(|end| std::str::from_utf8(text.get(end..end + DIGITS)?).ok());
        taken.extend(digits.filter_map(|digits| u64::from_str_radix(digits, 16).ok()));
    }
    let free = (0..).find(|number| !taken.contains(number)).unwrap_or_default();
    format!("{PREFIX}{free:0DIGITS$x}")
}
