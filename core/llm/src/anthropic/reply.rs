//! Whole replies.

use super::blocks::input;
use super::citation::citations;
use super::message::{self, Proof, proof};
use super::turns::is_own;
use super::{citation, fault, kind, raw, stop, text, usage};
use crate::json::{Json, Kind, Value, Writer};
use crate::neutral::{
    Ask, Broken, By, Call, Choice, Citation, Content, Finish, Reply, Seal, Thinking, arguments,
};
use bytes::Bytes;
use std::borrow::Cow;

/// Reads a reply.
///
/// # Errors
/// [`Broken`]: no message, or an error in the place of one.
pub fn read_reply(body: &Bytes) -> Result<Reply, Broken> {
    let unreadable = |why: &str| Broken::Unreadable(why.to_owned());
    let json = Json::parse_lenient(body.clone());
    let json = json.map_err(|_| unreadable("The provider's reply is no JSON."))?;
    let root = json.root();
    if kind(root) == "error" || root.get("error").is_some_and(|error| error.kind() == Kind::Object) {
        return Err(Broken::Said(fault::said(root)));
    }
    let content = root.get("content").filter(|content| content.kind() == Kind::Array);
    let content =
        content.ok_or_else(|| unreadable("The provider's reply is no message: it has no `content`."))?;
    let mut reply = Reply { id: own(root, "id"), model: own(root, "model"), ..Reply::default() };
    if let Some(found) = root.get("usage").filter(|usage| usage.kind() == Kind::Object) {
        usage::read(found, &mut reply);
    }
    reply.choices.push(choice(root, content));
    Ok(reply)
}

fn own(value: Value<'_>, key: &str) -> String {
    text(value, key).unwrap_or_default().into_owned()
}

fn choice(root: Value<'_>, content: Value<'_>) -> Choice {
    let mut parts: Vec<_> = content.elements().map(part).collect();
    let called = parts.iter().any(|part| matches!(part, Content::Call(_)));
    let finish = text(root, "stop_reason").map(|reason| stop::finish(&reason, called));
    parts.extend(explanation(root).map(|text| Content::Refusal(text.into_owned().into())));
    Choice { parts, finish, stop_sequence: text(root, "stop_sequence").map(Cow::into_owned), logprobs: None }
}

/// Why the model would not answer, out of `stop_details`.
pub(super) fn explanation(from: Value<'_>) -> Option<Cow<'_, str>> {
    text(from.get("stop_details")?, "explanation").filter(|text| !text.is_empty())
}

fn part(block: Value<'_>) -> Content<'static> {
    let seal = |data, hidden| Some(Seal { by: By::Anthropic, data: Cow::Owned(data), hidden });
    match kind(block).as_ref() {
        "text" => Content::Text {
            text: own(block, "text").into(),
            citations: citations(block).map(Citation::into_static).collect(),
        },
        "tool_use" => Content::Call(Call {
            id: own(block, "id").into(),
            name: own(block, "name").into(),
            arguments: input(block).into_owned().into(),
            custom: false,
            seal: None,
        }),
        "thinking" => Content::Thinking(Thinking {
            text: own(block, "thinking").into(),
            seal: Some(own(block, "signature"))
                .filter(|signature| !signature.is_empty())
                .and_then(|signature| seal(signature, false)),
        }),
        "redacted_thinking" => {
            Content::Thinking(Thinking { text: "".into(), seal: seal(own(block, "data"), true) })
        }
        other => Content::Other { kind: other.to_owned().into(), json: raw(block).into_owned().into() },
    }
}

/// A reply for a caller. It has room for one answer.
#[must_use]
pub fn write_reply(reply: &Reply, ask: &Ask<'_>) -> Vec<u8> {
    let empty = Choice::default();
    let choice = reply.choices.first().unwrap_or(&empty);
    let (id, model) = message::named(&reply.id, &reply.model, ask);
    let mut json = Writer::with_capacity(1024);
    json.begin_object();
    message::head(&id, &model, &mut json);
    json.key("content").begin_array();
    for part in &choice.parts {
        write_part(part, &mut json);
    }
    json.end_array();
    ending(choice, &mut json);
    json.key("usage");
    usage::write(reply.usage.as_ref(), reply.service_tier.as_deref(), &mut json);
    json.end_object();
    json.finish()
}

fn ending(choice: &Choice, json: &mut Writer) {
    let called = choice.parts.iter().any(|part| matches!(part, Content::Call(_)));
    let refusal = choice.parts.iter().find_map(|part| match part {
        Content::Refusal(text) => Some(&**text),
        _ => None,
    });
    let reason = stop::reason(choice.finish, called, refusal.is_some());
    let sequence = choice.stop_sequence.as_deref().filter(|_| choice.finish == Some(Finish::StopSequence));
    message::stop(reason, sequence, message::why(choice.finish, refusal), json);
}

fn write_part(part: &Content<'_>, json: &mut Writer) {
    match part {
        Content::Text { text, .. } | Content::Refusal(text) if text.is_empty() => {}
        Content::Text { text, citations } => {
            json.begin_object().text("type", "text").text("text", text);
            citation::write(citations, json);
            json.end_object();
        }
        Content::Refusal(text) => {
            json.begin_object().text("type", "text").text("text", text).end_object();
        }
        Content::Thinking(thinking) => write_thinking(thinking, json),
        Content::Call(call) => {
            let wrapped = call.custom.then(|| arguments::wrapped_text(&call.arguments));
            call_head(&call.id, &call.name, json);
            json.key("input").raw(&arguments::as_object(wrapped.as_deref().unwrap_or(&call.arguments)));
            json.end_object();
        }
        Content::Other { kind, json: own } if is_own(kind) => {
            json.raw(own);
        }
        // Messages has no place for what other models draw or say.
        Content::Media(_) | Content::Result(_) | Content::Other { .. } => {}
    }
}

/// Begins a call's block; its input comes next.
pub(super) fn call_head(id: &str, name: &str, json: &mut Writer) {
    json.begin_object().text("type", "tool_use").text("id", id).text("name", name);
    json.key("caller").begin_object().text("type", "direct").end_object().key("toolset_name").null();
}

fn write_thinking(thinking: &Thinking<'_>, json: &mut Writer) {
    let place = thinking.seal.as_ref().map(|seal| proof(seal, &thinking.text));
    let shown = !thinking.text.is_empty();
    let signature = match &place {
        Some(Proof::Signature(signature)) => Some(&**signature),
        _ if shown => Some(""),
        _ => None,
    };
    if let Some(signature) = signature {
        json.begin_object().text("type", "thinking").text("thinking", &thinking.text);
        json.text("signature", signature).end_object();
    }
    if let Some(Proof::Redacted(data)) = place {
        json.begin_object().text("type", "redacted_thinking").text("data", &data).end_object();
    }
}
