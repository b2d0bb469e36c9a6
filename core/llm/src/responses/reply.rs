//! A provider's Response object.

use super::usage;
use super::wire::{citation, filled, kind, list, own, raw, text, thinking};
use crate::fault::{Hint, UpstreamError, error_in};
use crate::json::{Json, Kind, Value};
use crate::neutral::{Broken, Call, Choice, Content, Finish, Reply};
use crate::usage::{ServiceTier, Usage};
use bytes::Bytes;
use std::borrow::Cow;

/// Reads a whole reply.
///
/// # Errors
/// [`Broken`] if it is none, or if it says that the provider failed.
pub fn read_reply(body: &Bytes) -> Result<Reply, Broken> {
    let json = Json::parse_lenient(body.clone())
        .map_err(|error| Broken::Unreadable(format!("The provider's reply is no JSON: {error}.")))?;
    let root = json.root();
    if let Some(error) = failure(root) {
        return Err(Broken::Said(error));
    }
    let is_list = root.get("output").is_some_and(|output| output.kind() == Kind::Array);
    if root.kind() != Kind::Object || !is_list {
        return Err(Broken::Unreadable("The provider's reply has no output.".into()));
    }
    let mut choice = Choice::default();
    let mut logprobs = Vec::new();
    for item in list(root, "output") {
        choice.parts.extend(contents(item));
        let parts = list(item, "content").flat_map(|part| list(part, "logprobs"));
        logprobs.extend(parts.map(|token| raw(token).into_owned()));
    }
    if !logprobs.is_empty() {
        choice.logprobs = Some(logprobs_of(&logprobs).into());
    }
    let called = choice.parts.iter().any(|part| matches!(part, Content::Call(_)));
    let refused = choice.parts.iter().any(|part| matches!(part, Content::Refusal(_)));
    choice.finish = Some(finish(root, called, refused));
    Ok(Reply {
        id: text(root, "id").unwrap_or_default().into_owned(),
        model: text(root, "model").unwrap_or_default().into_owned(),
        created: created(root),
        choices: vec![choice],
        usage: root
            .get("usage")
            .and_then(usage::read)
            .map(|usage| Usage { tier: ServiceTier::of(root), ..usage }),
        service_tier: text(root, "service_tier").map(Cow::into_owned),
    })
}

/// When the response was made; some providers write `1.7e9`.
pub(super) fn created(response: Value<'_>) -> Option<u64> {
    let at = response.get("created_at")?;
    at.as_u64().or_else(|| at.as_f64().filter(|at| (0.0..1e15).contains(at)).map(|at| at as u64))
}

/// What a response says of its failure: an error, or a status that is no end of an answer.
pub(super) fn failure(response: Value<'_>) -> Option<UpstreamError> {
    if let Some(error) = error_in(response) {
        return Some(error);
    }
    let status = text(response, "status")?;
    matches!(status.as_ref(), "failed" | "cancelled").then(|| UpstreamError {
        message: format!("The provider's response is {status}."),
        kind: None,
        code: None,
        param: None,
        hint: Hint::ServerError,
    })
}

/// Why a finished response ended.
pub(super) fn finish(response: Value<'_>, called: bool, refused: bool) -> Finish {
    let details = response.get("incomplete_details");
    match details.and_then(|details| text(details, "reason")).as_deref() {
        Some("max_output_tokens") => Finish::Length,
        Some("content_filter") => Finish::Filter,
        _ if called => Finish::ToolCalls,
        _ if refused => Finish::Refusal,
        _ => Finish::Stop,
    }
}

/// OpenAI's `logprobs` object of tokens.
pub(super) fn logprobs_of(tokens: &[String]) -> String {
    format!(r#"{{"content":[{}],"refusal":null}}"#, tokens.join(","))
}

/// What an output item holds.
fn contents(item: Value<'_>) -> Vec<Content<'static>> {
    let kind = kind(item);
    match kind.as_ref() {
        "message" => list(item, "content").filter_map(message_part).collect(),
        "reasoning" => thinking(item).map(Content::Thinking).into_iter().collect(),
        "function_call" | "custom_tool_call" => {
            let custom = kind == "custom_tool_call";
            let member = |key: &str| text(item, key).map(own).unwrap_or_default();
            vec![Content::Call(Call {
                id: call_id(item),
                name: member("name"),
                arguments: member(if custom { "input" } else { "arguments" }),
                custom,
                seal: None,
            })]
        }
        other => vec![Content::Other { kind: other.to_owned().into(), json: own(raw(item)) }],
    }
}

/// The id that the answer to a call repeats; some providers give only the item's.
pub(super) fn call_id(item: Value<'_>) -> Cow<'static, str> {
    filled(item, "call_id").or_else(|| filled(item, "id")).map(own).unwrap_or_default()
}

fn message_part(part: Value<'_>) -> Option<Content<'static>> {
    match kind(part).as_ref() {
        "output_text" | "text" => {
            let citations = list(part, "annotations").map(|found| citation(found).into_static()).collect();
            let text = text(part, "text").filter(|text| !text.is_empty())?;
            Some(Content::Text { text: own(text), citations })
        }
        "refusal" => Some(Content::Refusal(text(part, "refusal").map(own)?)),
        other => Some(Content::Other { kind: other.to_owned().into(), json: own(raw(part)) }),
    }
}
