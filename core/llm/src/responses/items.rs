//! Output items, as a whole reply and a stream both have them.

use super::part::array;
use crate::json::Writer;
use crate::neutral::names::fnv;
use crate::neutral::{By, Seal};

/// The id of an item: the same for the same response and place, so that every event and the final response agree.
pub(super) fn item_id(prefix: &str, response: &str, index: usize) -> String {
    format!("{prefix}_{:016x}{index:04x}", fnv(response.as_bytes()))
}

/// `in_progress`, `completed` or `incomplete`, and the parts as JSON.
pub(super) fn message(id: &str, status: &str, parts: &[String]) -> String {
    let mut json = Writer::with_capacity(128 + parts.iter().map(String::len).sum::<usize>());
    json.begin_object().text("id", id).text("type", "message").text("status", status);
    json.text("role", "assistant");
    array(&mut json, "content", parts);
    json.end_object();
    json.into_text()
}

/// A call of a function or a custom tool.
#[derive(Clone, Copy)]
pub(super) struct CallItem<'a> {
    /// The item's own id, which is not the call's.
    pub(super) id: &'a str,
    pub(super) call_id: &'a str,
    pub(super) name: &'a str,
    /// The namespace of the tool.
    pub(super) space: Option<&'a str>,
    pub(super) custom: bool,
}

impl CallItem<'_> {
    pub(super) fn json(&self, status: &str, arguments: &str) -> String {
        let mut json = Writer::with_capacity(arguments.len() + 160);
        let (kind, key) =
            if self.custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
        json.begin_object().text("id", self.id).text("type", kind).text("status", status);
        json.text(key, arguments).text("call_id", self.call_id).text("name", self.name);
        json.maybe_text("namespace", self.space).end_object();
        json.into_text()
    }
}

/// Thinking. It has no `status`: the provider refuses the item with one when the caller sends it back.
pub(super) fn reasoning(id: &str, text: &str, seal: Option<&Seal<'_>>) -> String {
    let mut json = Writer::with_capacity(text.len() + 128);
    json.begin_object().text("id", id).text("type", "reasoning").key("summary").begin_array();
    if !text.is_empty() {
        summary_text(&mut json, text);
    }
    json.end_array();
    let proof = seal.map(|seal| match seal.by {
        By::OpenAi => seal.data.to_string(),
        By::Anthropic | By::Gemini => seal.wrap(text),
    });
    json.text_or_null("encrypted_content", proof.as_deref()).end_object();
    json.into_text()
}

pub(super) fn summary_text(json: &mut Writer, text: &str) {
    json.begin_object().text("type", "summary_text").text("text", text).end_object();
}

/// An image that the model made.
pub(super) fn image(id: &str, data: &str) -> String {
    let mut json = Writer::with_capacity(data.len() + 96);
    json.begin_object().text("id", id).text("type", "image_generation_call");
    json.text("status", "completed").text("result", data).end_object();
    json.into_text()
}
