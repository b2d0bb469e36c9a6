//! `multipart/form-data`: an upload is taken apart, shown to policies as a JSON body, and written afresh for a provider.
//!
//! No two parsers of forms agree on everything, so a form that is passed on as it came could say to the provider what
//! no guard has read. Therefore none of the caller's bytes are passed on but those of its file: what the provider gets
//! is written from the JSON body as the guards left it. What has no single reading is refused all the same, so that
//! nobody wonders where a field went.
//!
//! # Layout
//!
//! - `parts`: where the parts of a form stand.
//! - `head`: what the head of a part says.
//! - `fields`: the texts of a form as one JSON object.
//! - `write`: the form that a provider gets.

mod fields;
mod head;
mod parts;
#[cfg(test)]
mod tests;
mod write;

use crate::refusal::Refusal;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use weir_llm::payload::Payload;

pub use write::Written;

/// What of a form is not in its JSON: the file's content.
pub struct Form {
    /// A slice of the body as it came.
    file: Option<Bytes>,
    /// All of that body. Let go of behind the slice, so that nobody else holds it then and it is wiped.
    _body: Payload,
}

impl Form {
    /// Takes a form apart: the file, and all else as a JSON body.
    ///
    /// # Errors
    /// 400 that says what is wrong with it.
    pub fn parse(boundary: &str, bytes: &Bytes) -> Result<(Self, Bytes), Refusal> {
        let mut fields = fields::Fields::default();
        let mut file = None;
        for range in parts::parts(bytes, boundary)? {
            let part = bytes.slice(range);
            let (head, content) = head::split(&part)?;
            match head.file {
                Some(about) => {
                    fields.file(head.name, &about)?;
                    file = Some(part.slice_ref(content));
                }
                None => fields.text(head.name, content)?,
            }
        }
        Ok((Self { file, _body: Payload::new(bytes.clone()) }, fields.json()))
    }
}

/// The boundary that a request's `Content-Type` names.
///
/// # Errors
/// 400, before the body is read, if the type is no form's or can be read in two ways.
pub fn boundary(headers: &HeaderMap) -> Result<String, Refusal> {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(broken("it must have one Content-Type").closing());
    };
    let found = line.to_str().ok().and_then(head::parameters).and_then(|(kind, parameters)| {
        let known = |(key, _): &(String, &str)| key == "boundary" || key == "charset";
        let fits = kind.eq_ignore_ascii_case("multipart/form-data") && parameters.iter().all(known);
        let (_, boundary) = parameters.into_iter().find(|(key, _)| key == "boundary").filter(|_| fits)?;
        parts::is_boundary(boundary).then(|| boundary.to_owned())
    });
    found.ok_or_else(|| {
        broken("its Content-Type must be multipart/form-data with one boundary of 1 to 70 letters, digits or '()+_,-./:=?").closing()
    })
}

fn broken(why: &str) -> Refusal {
    Refusal::invalid(
        "invalid_form",
        format!("The body is not multipart/form-data that can be read in one way only: {why}."),
    )
}
