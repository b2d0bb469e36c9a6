//! What whole and streamed replies have in common.

use crate::json::Writer;
use crate::neutral::names::fitted_id;
use crate::neutral::{Ask, By, Finish, Seal};
use std::borrow::Cow;

/// What a caller is told of an answer that the provider's filter cut off.
const FILTERED: &str = "The provider's content filter stopped the answer.";

/// A message's id and model, whatever the provider called them.
pub(super) fn named(id: &str, model: &str, ask: &Ask<'_>) -> (String, String) {
    let id = own_id(if id.is_empty() { ask.request_id } else { id });
    (id, if model.is_empty() { ask.model } else { model }.to_owned())
}

/// An id as Anthropic's look.
pub(super) fn own_id(id: &str) -> String {
    if id.starts_with("msg_") { id.to_owned() } else { format!("msg_{}", fitted_id(id)) }
}

/// The members of a message before its content.
pub(super) fn head(id: &str, model: &str, json: &mut Writer) {
    json.text("id", id).text("type", "message").text("role", "assistant").text("model", model);
    json.key("container").null().key("diagnostics").null();
}

/// The members `stop_reason`, `stop_sequence`, `stop_details`.
pub(super) fn stop(reason: &str, sequence: Option<&str>, why: Option<&str>, json: &mut Writer) {
    json.text("stop_reason", reason).text_or_null("stop_sequence", sequence).key("stop_details");
    if reason != "refusal" {
        json.null();
        return;
    }
    json.begin_object().text("type", "refusal").key("category").null();
    json.text_or_null("explanation", why).end_object();
}

/// Why a reply was refused, for a person.
pub(super) fn why(finish: Option<Finish>, refusal: Option<&str>) -> Option<&str> {
    refusal.filter(|text| !text.is_empty()).or((finish == Some(Finish::Filter)).then_some(FILTERED))
}

/// Where a caller keeps a proof for us.
pub(super) enum Proof<'a> {
    /// The `signature` of a thinking block.
    Signature(Cow<'a, str>),
    /// The `data` of a block of its own.
    Redacted(Cow<'a, str>),
}

/// The place of a proof. Another provider's goes into an envelope, together with its text; if there is a text that the
/// caller may see, both are one block.
pub(super) fn proof<'a>(seal: &'a Seal<'_>, text: &str) -> Proof<'a> {
    let data = match seal.by {
        By::Anthropic => Cow::Borrowed(&*seal.data),
        By::OpenAi | By::Gemini => Cow::Owned(seal.wrap(text)),
    };
    if seal.hidden && (seal.by == By::Anthropic || text.is_empty()) {
        Proof::Redacted(data)
    } else {
        Proof::Signature(data)
    }
}
