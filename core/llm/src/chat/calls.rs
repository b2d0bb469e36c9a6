//! Calls in whole messages.

use crate::json::{Kind, Value, Writer};
use crate::neutral::Call;
use crate::neutral::names::fnv;
use std::borrow::Cow;

/// The calls of a reply's message. Ids that the provider left out are made of the reply's id and the call's place.
pub(super) fn of_message(message: Value<'_>, reply: &str, choice: usize) -> Vec<Call<'static>> {
    let calls = read(message).into_iter().enumerate().map(|(number, call)| {
        let id = match call.id.as_ref() {
            "" => made_id(reply, choice as u64, number as u64, &call.name),
            own => own.to_owned(),
        };
        Call {
            id: Cow::Owned(id),
            name: Cow::Owned(call.name.into_owned()),
            arguments: Cow::Owned(call.arguments.into_owned()),
            custom: call.custom,
            seal: None,
        }
    });
    calls.collect()
}

/// The calls of any message: those in `tool_calls`, and the legacy `function_call`. Ids may be empty.
pub(super) fn read(message: Value<'_>) -> Vec<Call<'_>> {
    let list = message.get("tool_calls");
    let listed = list.iter().flat_map(|list| list.elements()).filter_map(one);
    let legacy = object(message, "function_call");
    let legacy = legacy.and_then(|function| made(function, "arguments", Cow::Borrowed("")));
    listed.chain(legacy).collect()
}

fn one(call: Value<'_>) -> Option<Call<'_>> {
    let id = call.get("id").and_then(|id| id.as_str()).unwrap_or_default();
    match (object(call, "function"), object(call, "custom")) {
        (Some(function), _) => made(function, "arguments", id),
        (None, Some(custom)) => Some(Call { custom: true, ..made(custom, "input", id)? }),
        (None, None) => None,
    }
}

fn object<'a>(call: Value<'a>, key: &str) -> Option<Value<'a>> {
    call.get(key).filter(|value| value.kind() == Kind::Object)
}

fn made<'a>(function: Value<'a>, key: &str, id: Cow<'a, str>) -> Option<Call<'a>> {
    let name = function.get("name").and_then(|name| name.as_str())?;
    let arguments = function.get(key).map(arguments).unwrap_or_default();
    Some(Call { id, name, arguments, custom: false, seal: None })
}

/// Arguments are JSON in a string; some providers send the object itself.
pub(super) fn arguments(value: Value<'_>) -> Cow<'_, str> {
    match value.kind() {
        Kind::String => value.as_str().unwrap_or_default(),
        Kind::Object => String::from_utf8_lossy(value.raw()),
        _ => Cow::Borrowed(""),
    }
}

/// An id for a call that has none: the same for the same place in the same reply.
pub(super) fn made_id(reply: &str, choice: u64, number: u64, name: &str) -> String {
    format!("call_{:016x}", fnv(format!("{reply}/{choice}/{number}/{name}").as_bytes()))
}

/// Writes a call. Arguments that are missing are an empty object; a custom tool's are text as they are.
pub(super) fn write(json: &mut Writer, call: &Call<'_>) {
    json.begin_object().text("id", &call.id);
    if call.custom {
        json.text("type", "custom").key("custom").begin_object();
        json.text("name", &call.name).text("input", &call.arguments);
    } else {
        let bare = call.arguments.trim().is_empty();
        json.text("type", "function").key("function").begin_object();
        json.text("name", &call.name).text("arguments", if bare { "{}" } else { &call.arguments });
    }
    json.end_object().end_object();
}
