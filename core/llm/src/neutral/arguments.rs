//! A call's arguments as the JSON object that they are meant to be.

use crate::json::{Json, Kind};
use std::borrow::Cow;

/// The arguments as a JSON object: as they are if they are one, `{}` if there are none, and what was cut short (a model
/// that reached its limit) closed where it broke off. What is no object at all is carried as `{"input": …}`.
#[must_use]
pub fn as_object(arguments: &str) -> Cow<'_, str> {
    let bare = arguments.trim();
    if bare.is_empty() || bare == "null" {
        return Cow::Borrowed("{}");
    }
    match kind_of(bare) {
        Some(Kind::Object) => Cow::Borrowed(bare),
        Some(Kind::String) => {
            // Some models quote their arguments twice.
            let inner = crate::json::unquote(bare.as_bytes()).unwrap_or_default();
            if is_object(&inner) { Cow::Owned(inner.trim().to_owned()) } else { Cow::Owned(wrapped(bare)) }
        }
        Some(_) => Cow::Owned(wrapped(bare)),
        None => Cow::Owned(closed(bare).unwrap_or_else(|| "{}".to_owned())),
    }
}

/// Whether a text is one whole JSON object: nothing can be added to it but spaces.
#[must_use]
pub fn is_object(text: &str) -> bool {
    let bare = text.trim();
    bare.starts_with('{') && bare.ends_with('}') && kind_of(bare) == Some(Kind::Object)
}

/// The text of a custom tool's call out of `{"input": …}`; the whole if it is nothing of that form.
#[must_use]
pub fn unwrapped(arguments: &str) -> Cow<'_, str> {
    let json = Json::parse_lenient(bytes::Bytes::copy_from_slice(arguments.as_bytes())).ok();
    let input = json.as_ref().and_then(|json| Some(json.root().get("input")?.as_str()?.into_owned()));
    if let Some(input) = input {
        return Cow::Owned(input);
    }
    match closed(arguments.trim()) {
        Some(whole) if kind_of(arguments).is_none() => Cow::Owned(unwrapped(&whole).into_owned()),
        _ => Cow::Borrowed(arguments),
    }
}

/// A JSON object `{"input": …}` around a text.
#[must_use]
pub fn wrapped_text(text: &str) -> String {
    let mut json = crate::json::Writer::with_capacity(text.len() + 16);
    json.begin_object().text("input", text).end_object();
    json.into_text()
}

fn wrapped(json: &str) -> String {
    format!("{{\"input\":{json}}}")
}

fn kind_of(text: &str) -> Option<Kind> {
    let json = Json::parse_lenient(bytes::Bytes::copy_from_slice(text.as_bytes())).ok()?;
    Some(json.root().kind())
}

/// An object that was cut short, closed after its last whole member or inside its last string. `None` if it is no
/// beginning of an object.
fn closed(text: &str) -> Option<String> {
    if !text.starts_with('{') {
        return None;
    }
    let (mut open, mut string, mut escape) = (Vec::new(), false, false);
    // After each of these lengths the brackets that are open then can be closed.
    let mut ends: Vec<(usize, Vec<u8>, &str)> = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        match (string, byte) {
            (true, _) if escape => escape = false,
            (true, b'\\') => escape = true,
            (true, b'"') => string = false,
            (true, _) => {}
            (false, b'"') => string = true,
            (false, b'{') => {
                open.push(b'}');
                ends.push((at + 1, open.clone(), ""));
            }
            (false, b'[') => {
                open.push(b']');
                ends.push((at + 1, open.clone(), ""));
            }
            (false, b'}' | b']') => {
                open.pop();
            }
            (false, b',') => ends.push((at, open.clone(), "")),
            (false, _) => {}
        }
    }
    let tail = if string { "\"" } else { "" };
    ends.push((text.len(), open, tail));
    ends.iter().rev().take(64).find_map(|(length, open, tail)| {
        let mut whole = text.get(..*length)?.to_owned();
        if escape && *length == text.len() {
            whole.pop();
        }
        whole.push_str(tail);
        whole.extend(open.iter().rev().map(|&bracket| char::from(bracket)));
        is_object(&whole).then_some(whole)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_always_an_object() {
        for (given, want) in [
            ("", "{}"),
            (" ", "{}"),
            ("null", "{}"),
            ("{\"a\":1}", "{\"a\":1}"),
            ("\"{\\\"a\\\":1}\"", "{\"a\":1}"),
            ("[1]", "{\"input\":[1]}"),
            ("{\"a\":\"x", "{\"a\":\"x\"}"),
            ("{\"a\":\"x\\", "{\"a\":\"x\"}"),
            ("{\"a\":1,\"b\":[1,{\"c\":\"d\"", "{\"a\":1,\"b\":[1,{\"c\":\"d\"}]}"),
            ("{\"a\":1,\"b\":tr", "{\"a\":1}"),
            ("{\"a\":1,\"b", "{\"a\":1}"),
            ("{\"a\"", "{}"),
            ("nonsense", "{}"),
        ] {
            assert_eq!(as_object(given), want, "{given}");
        }
    }

    #[test]
    fn a_custom_tools_text_comes_out_of_its_wrapping() {
        assert_eq!(unwrapped(&wrapped_text("a \"b\"\n")), "a \"b\"\n");
        assert_eq!(unwrapped("{\"input\":\"cut"), "cut");
        assert_eq!(unwrapped("*** Begin Patch"), "*** Begin Patch");
    }
}
