//! A call's arguments as the JSON object that they are meant to be.

use crate::json::{Kind, MAX_DEPTH, Rules, Tape};
use std::borrow::Cow;
use std::collections::VecDeque;

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
    let Ok(tape) = Tape::parse(arguments.as_bytes(), Rules::Lenient) else {
        let whole = closed(arguments.trim());
        return whole.map_or(Cow::Borrowed(arguments), |whole| Cow::Owned(unwrapped(&whole).into_owned()));
    };
    let input = tape.root(arguments.as_bytes()).get("input").and_then(|input| input.as_str());
    input.map_or(Cow::Borrowed(arguments), |input| Cow::Owned(input.into_owned()))
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
    let tape = Tape::parse(text.as_bytes(), Rules::Lenient).ok()?;
    Some(tape.root(text.as_bytes()).kind())
}

/// Most places at which an object that was cut short is tried to be closed, from its end backwards.
const MAX_TRIES: usize = 64;

/// An object that was cut short, closed after its last whole member or inside its last string. `None` if it is no
/// beginning of an object.
fn closed(text: &str) -> Option<String> {
    if !text.starts_with('{') {
        return None;
    }
    let (mut open, mut string, mut escape) = (Vec::new(), false, false);
    // After each of these lengths the brackets that are open then can be closed. Only the last ones are kept.
    let mut ends: VecDeque<(usize, Vec<u8>)> = VecDeque::new();
    for (at, byte) in text.bytes().enumerate() {
        let end = match (string, byte) {
            (true, _) if escape => {
                escape = false;
                continue;
            }
            (true, b'\\') => {
                escape = true;
                continue;
            }
            (_, b'"') => {
                string = !string;
                continue;
            }
            (false, b'{' | b'[') => {
                open.push(if byte == b'{' { b'}' } else { b']' });
                at + 1
            }
            (false, b'}' | b']') => {
                open.pop();
                continue;
            }
            (false, b',') => at,
            _ => continue,
        };
        // What is deeper cannot be read by anybody, closed or not.
        if open.len() <= MAX_DEPTH {
            if ends.len() == MAX_TRIES {
                ends.pop_front();
            }
            ends.push_back((end, open.clone()));
        }
    }
    let close = |start: &str, tail: &str, open: &[u8]| {
        let mut whole = start.to_owned();
        whole.push_str(tail);
        whole.extend(open.iter().rev().map(|&bracket| char::from(bracket)));
        is_object(&whole).then_some(whole)
    };
    let (start, tail) = (text.get(..text.len() - usize::from(escape))?, if string { "\"" } else { "" });
    let earlier = |(length, open): &(usize, Vec<u8>)| close(text.get(..*length)?.trim_end(), "", open);
    close(start, tail, &open).or_else(|| ends.iter().rev().find_map(earlier))
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
    fn a_long_beginning_of_an_object_takes_no_long_time() {
        // Each bracket was once kept with all brackets before it: gigabytes of them.
        let deep = format!("{{\"a\":{}", "[".repeat(1 << 20));
        assert!(as_object(&deep).len() < 1024 && is_object(&as_object(&deep)));
        let wide = format!("{{\"a\":[{}", "1,".repeat(1 << 16));
        assert_eq!(as_object(&wide).len(), wide.len() + 1);
    }

    #[test]
    fn a_custom_tools_text_comes_out_of_its_wrapping() {
        assert_eq!(unwrapped(&wrapped_text("a \"b\"\n")), "a \"b\"\n");
        assert_eq!(unwrapped("{\"input\":\"cut"), "cut");
        assert_eq!(unwrapped("*** Begin Patch"), "*** Begin Patch");
    }
}
