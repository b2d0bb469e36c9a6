//! `multipart/form-data`: what an upload says in words, as a JSON body that policies can read, and splices back into the
//! form as it came.

use crate::refusal::Refusal;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use memchr::memmem;
use serde_json::{Map, Value};
use std::ops::Range;
use weir_llm::json::splice;
use weir_llm::request::Request;

/// A form as it came.
pub struct Form {
    bytes: Bytes,
    content_type: String,
    fields: Vec<Field>,
}

/// One part of a form.
struct Field {
    name: String,
    /// A file: its content is not for policies to read.
    file: bool,
    /// Where its content stands.
    value: Range<usize>,
}

impl Form {
    /// Takes a form apart.
    ///
    /// # Errors
    /// 400 that says what is wrong with it.
    pub fn parse(content_type: &str, bytes: Bytes) -> Result<Self, Refusal> {
        let boundary = boundary(content_type).ok_or_else(|| broken("its Content-Type names no boundary"))?;
        let delimiter = [b"--", boundary.as_bytes()].concat();
        let places: Vec<usize> = memmem::find_iter(&bytes, &delimiter)
            .filter(|&at| at == 0 || bytes.get(at.wrapping_sub(2)..at) == Some(b"\r\n"))
            .collect();
        let mut fields = Vec::new();
        for pair in places.windows(2) {
            let part = pair[0] + delimiter.len()..pair[1].saturating_sub(2);
            fields.push(field(&bytes, part)?);
        }
        let closed = places
            .last()
            .is_some_and(|&at| bytes.get(at + delimiter.len()..).is_some_and(|rest| rest.starts_with(b"--")));
        if fields.is_empty() || !closed {
            return Err(broken("it has no parts, or breaks off before its last boundary"));
        }
        Ok(Self { bytes, content_type: content_type.to_owned(), fields })
    }

    /// The `Content-Type` with the boundary.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The texts of the form as a JSON object.
    ///
    /// # Errors
    /// 400 for two texts of one name (parsers differ in which one counts) and for text that is not UTF-8.
    pub fn json(&self) -> Result<Bytes, Refusal> {
        let mut object = Map::new();
        for field in self.fields.iter().filter(|field| !field.file) {
            let text = std::str::from_utf8(&self.bytes[field.value.clone()])
                .map_err(|_| broken("a text in it is not UTF-8").about(field.name.clone()))?;
            let value = match (field.name.as_str(), text) {
                ("stream", "true" | "True" | "1") => Value::Bool(true),
                ("stream", "false" | "False" | "0") => Value::Bool(false),
                _ => Value::from(text),
            };
            match (field.name.strip_suffix("[]"), object.get_mut(&field.name)) {
                (Some(_), Some(Value::Array(list))) => list.push(value),
                (Some(_), _) => {
                    object.insert(field.name.clone(), Value::Array(vec![value]));
                }
                (None, Some(_)) => return Err(broken("a field stands in it twice").about(field.name.clone())),
                (None, None) => {
                    object.insert(field.name.clone(), value);
                }
            }
        }
        Ok(Value::Object(object).to_string().into())
    }

    /// The form with another model and with what guards have changed of its texts.
    pub fn patched(&self, request: &Request, model: &str) -> Bytes {
        let root = request.json().root();
        let mut splices = Vec::new();
        for field in self.fields.iter().filter(|field| !field.file) {
            let now = match field.name.as_str() {
                "model" => Some(model.to_owned()),
                name => root.get(name).and_then(|value| Some(value.as_str()?.into_owned())),
            };
            if let Some(now) = now.filter(|now| now.as_bytes() != &self.bytes[field.value.clone()]) {
                splices.push((field.value.clone(), now.into_bytes()));
            }
        }
        splice(&self.bytes, &splices)
    }
}

/// The `Content-Type` of a request whose body is a form.
pub fn kind(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE)?.to_str().ok().filter(|kind| kind.starts_with("multipart/form-data"))
}

/// One part: its head up to an empty line, then its content.
fn field(bytes: &Bytes, part: Range<usize>) -> Result<Field, Refusal> {
    let inside = bytes.get(part.clone()).ok_or_else(|| broken("one of its parts is empty"))?;
    let split = memmem::find(inside, b"\r\n\r\n").ok_or_else(|| broken("one of its parts has no head"))?;
    let head =
        std::str::from_utf8(&inside[..split]).map_err(|_| broken("the head of a part is not UTF-8"))?;
    let disposition = head
        .lines()
        .find_map(|line| {
            line.split_once(':').filter(|(name, _)| name.trim().eq_ignore_ascii_case("content-disposition"))
        })
        .map(|(_, value)| value)
        .ok_or_else(|| broken("a part has no Content-Disposition"))?;
    let name = parameter(disposition, "name").ok_or_else(|| broken("a part has no name"))?;
    let file = parameter(disposition, "filename").is_some() || disposition.contains("filename*");
    Ok(Field { name, file, value: part.start + split + 4..part.end })
}

/// The boundary of a `Content-Type`.
fn boundary(content_type: &str) -> Option<String> {
    parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty() && boundary.len() <= 70)
}

/// A parameter of a header, quoted or not.
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn broken(why: &str) -> Refusal {
    Refusal::invalid("invalid_form", format!("The body is not multipart/form-data as we know it: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_llm::api::Api;

    const KIND: &str = "multipart/form-data; boundary=\"xyz\"";
    const FORM: &str = "--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--xyz\r\ncontent-disposition: form-data; name=\"prompt\"\r\n\r\nhello\r\n--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--xy\r\n\r\n\r\n--xyz--\r\n";

    #[test]
    fn texts_are_read_and_files_pass() {
        let form = Form::parse(KIND, FORM.into()).unwrap();
        assert_eq!(form.json().unwrap(), r#"{"model":"whisper","prompt":"hello"}"#);
        let request =
            Request::parse(Api::Transcription, r#"{"model":"whisper","prompt":"h***o"}"#.into()).unwrap();
        let patched = form.patched(&request, "other-model");
        assert_eq!(patched, FORM.replace("whisper", "other-model").replace("hello", "h***o"));
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        let twice = FORM.replace("\"prompt\"", "\"model\"");
        assert_eq!(Form::parse(KIND, twice.into()).unwrap().json().unwrap_err().status, 400);
        for bad in ["", "--xyz\r\n", &FORM[..FORM.len() - 10]] {
            assert!(Form::parse(KIND, Bytes::copy_from_slice(bad.as_bytes())).is_err(), "{bad}");
        }
        assert!(Form::parse("multipart/form-data", FORM.into()).is_err());
    }
}
