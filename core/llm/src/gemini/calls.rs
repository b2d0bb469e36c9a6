//! Calls and the responses to them.

use super::family::{Family, Thinks};
use crate::json::Writer;
use crate::neutral::names::fitted_id;
use crate::neutral::{By, Call, Content, Part, ToolResult, arguments};
use std::borrow::Cow;

/// Google's own word for a call whose signature nobody has: one that another model made.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";
/// Stands for the result that a client cut away.
const LOST: &str = "The result of this call is not known.";

/// A call that waits for its response.
pub(super) struct Asked<'p> {
    /// As the caller has it.
    pub(super) id: &'p str,
    /// As the target has it.
    pub(super) name: Cow<'p, str>,
}

/// Writes a call into an open part; `first`: of the calls of its content.
pub(super) fn write_call(json: &mut Writer, call: &Call<'_>, name: &str, family: Family, first: bool) {
    let arguments = if call.custom {
        Cow::Owned(arguments::wrapped_text(&call.arguments))
    } else {
        arguments::as_object(&call.arguments)
    };
    json.key("functionCall").begin_object();
    if family.is_third() {
        json.text("id", &fitted_id(&call.id));
    }
    json.text("name", name).key("args").raw(&arguments).end_object();
    let seal = call.seal.as_ref().filter(|seal| seal.by == By::Gemini).map(|seal| seal.data.as_ref());
    // Of parallel calls only the first is signed. The word stands in every step and not just in the current turn's, so
    // that the beginning of a conversation, and with it the provider's cache of it, stays what it was.
    let none = (first && family.is_third()).then_some(NO_SIGNATURE);
    let seal = if family.thinks == Thinks::No { none } else { seal.or(none) };
    json.maybe_text("thoughtSignature", seal).end_object();
}

/// Writes the response to a call into an open part.
pub(super) fn respond(json: &mut Writer, call: &Asked<'_>, result: Option<&ToolResult<'_>>, with_id: bool) {
    json.key("functionResponse").begin_object();
    if with_id {
        json.text("id", &fitted_id(call.id));
    }
    json.text("name", &call.name).key("response");
    let text = result.map_or(Cow::Borrowed(LOST), text_of_result);
    if result.is_none_or(|result| result.is_error) {
        let text = if text.is_empty() { "The tool failed." } else { &text };
        json.begin_object().text("error", text).end_object();
    } else if arguments::is_object(&text) {
        json.raw(text.trim());
    } else {
        json.begin_object().text("output", &text).end_object();
    }
    json.end_object().end_object();
}

/// The texts of a result, one a line.
pub(super) fn text_of_result<'p>(result: &'p ToolResult<'_>) -> Cow<'p, str> {
    let texts: Vec<&str> = result.parts.iter().filter_map(text_of).collect();
    match texts.as_slice() {
        [] => Cow::Borrowed(""),
        [one] => Cow::Borrowed(one),
        several => Cow::Owned(several.join("\n")),
    }
}

/// The text of a part that has some.
pub(super) fn text_of<'p>(part: &'p Part<'_>) -> Option<&'p str> {
    match &part.content {
        Content::Text { text, .. } | Content::Refusal(text) => {
            Some(text).filter(|text| !text.is_empty()).map(AsRef::as_ref)
        }
        _ => None,
    }
}
