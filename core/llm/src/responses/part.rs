//! One part of a message's content: text or a refusal, with what it cites and how likely its tokens were.

use super::wire::{kind, list, number, raw, text};
use crate::json::{Json, Kind, Value, Writer};
use crate::neutral::{Citation, Raw};
use bytes::Bytes;

/// A part as it grows.
#[derive(Clone, Default)]
pub(super) struct MessagePart {
    /// It is a refusal.
    pub(super) refusal: bool,
    pub(super) text: String,
    /// JSON objects.
    pub(super) annotations: Vec<String>,
    /// JSON objects, one a token.
    pub(super) logprobs: Vec<String>,
}

impl MessagePart {
    pub(super) fn json(&self) -> String {
        let mut json = Writer::with_capacity(self.text.len() + 96);
        json.begin_object();
        if self.refusal {
            json.text("type", "refusal").text("refusal", &self.text);
        } else {
            json.text("type", "output_text").text("text", &self.text);
            array(&mut json, "annotations", &self.annotations);
            array(&mut json, "logprobs", &self.logprobs);
        }
        json.end_object();
        json.into_text()
    }

    /// Adds what the text so far cites, if this API has words for it; the annotation as it was written.
    pub(super) fn cite(&mut self, citation: &Citation<'_>) -> Option<&str> {
        let annotation = annotation(citation, &self.text)?;
        self.annotations.push(annotation);
        self.annotations.last().map(String::as_str)
    }
}

/// A member whose value is an array of JSON texts.
pub(super) fn array(json: &mut Writer, key: &str, values: &[String]) {
    json.key(key).begin_array();
    for value in values {
        json.raw(value);
    }
    json.end_array();
}

/// Citations of files keep the form in which they came from a provider of this dialect. What has an address becomes a
/// `url_citation`, of the whole text if it does not say of which part. What has neither cannot be said.
fn annotation(citation: &Citation<'_>, cited: &str) -> Option<String> {
    if let Some(own) = citation.json.as_deref().filter(|json| is_file_citation(json)) {
        return Some(own.to_owned());
    }
    let url = citation.url.as_deref()?;
    let (start, end) = citation.range.unwrap_or((0, cited.chars().count() as u64));
    let mut json = Writer::with_capacity(url.len() + 128);
    json.begin_object().text("type", "url_citation").text("url", url);
    json.text("title", citation.title.as_deref().unwrap_or(url));
    json.key("start_index").number(start).key("end_index").number(end).end_object();
    Some(json.into_text())
}

fn is_file_citation(json: &str) -> bool {
    let parsed = Json::parse_lenient(Bytes::copy_from_slice(json.as_bytes()));
    parsed.is_ok_and(|json| {
        let root = json.root();
        let kind = kind(root);
        matches!(kind.as_ref(), "file_citation" | "container_file_citation" | "file_path")
            && text(root, "file_id").is_some()
    })
}

/// The tokens of OpenAI's `logprobs` object, each with every member that the SDK's type demands.
pub(super) fn tokens(logprobs: &Raw<'_>) -> Vec<String> {
    let Ok(parsed) = Json::parse_lenient(Bytes::copy_from_slice(logprobs.as_bytes())) else {
        return Vec::new();
    };
    list(parsed.root(), "content").filter(|token| token.kind() == Kind::Object).map(token).collect()
}

fn token(value: Value<'_>) -> String {
    let mut json = Writer::with_capacity(value.raw().len() + 32);
    json.begin_object();
    probability(&mut json, value);
    json.key("top_logprobs").begin_array();
    for other in list(value, "top_logprobs") {
        json.begin_object();
        probability(&mut json, other);
        json.end_object();
    }
    json.end_array().end_object();
    json.into_text()
}

fn probability(json: &mut Writer, value: Value<'_>) {
    let token = text(value, "token").unwrap_or_default();
    json.text("token", &token);
    json.key("logprob").raw(number(value, "logprob").as_deref().unwrap_or("0.0")).key("bytes");
    match value.get("bytes").filter(|bytes| bytes.kind() == Kind::Array) {
        Some(bytes) => {
            json.raw(&raw(bytes));
        }
        None => {
            json.begin_array();
            for byte in token.bytes() {
                json.number(byte.into());
            }
            json.end_array();
        }
    }
}
