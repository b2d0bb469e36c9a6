//! Schemas of OpenAI's as a request asks for them: strict if that can be.

use super::openai::{for_openai, for_openai_strict};
use crate::json::{Kind, Rules, Tape};
use std::borrow::Cow;

/// The arguments of a function that takes none.
const NOTHING: &str = r#"{"type":"object","properties":{}}"#;

/// A schema of a function's arguments, and whether it can be strict, if that is what was asked for.
#[must_use]
pub fn arguments_for_openai(schema: Option<&str>, strict: bool) -> (Cow<'_, str>, bool) {
    let schema = schema.unwrap_or(NOTHING);
    match strict.then(|| for_openai_strict(schema)).flatten() {
        Some(schema) => (schema, true),
        None => (with_properties(for_openai(schema)), false),
    }
}

/// A schema of an answer, and whether it can be strict, if that is what was asked for.
#[must_use]
pub fn format_for_openai(schema: &str, strict: bool) -> (Cow<'_, str>, bool) {
    if !strict {
        return (Cow::Borrowed(schema), false);
    }
    match for_openai_strict(schema) {
        Some(schema) => (schema, true),
        // A list made an object would be another answer than the caller can read.
        None if is_of_another_kind(schema) => (Cow::Borrowed(schema), false),
        None => (for_openai(schema), false),
    }
}

fn is_of_another_kind(schema: &str) -> bool {
    let tape = Tape::parse(schema.as_bytes(), Rules::Lenient);
    tape.is_ok_and(|tape| {
        tape.root(schema.as_bytes()).get("type").is_some_and(|kind| !kind.is_text("object"))
    })
}

/// Functions must list their properties, even if there are none.
fn with_properties(schema: Cow<'_, str>) -> Cow<'_, str> {
    let Ok(tape) = Tape::parse(schema.as_bytes(), Rules::Lenient) else { return Cow::Borrowed(NOTHING) };
    let root = tape.root(schema.as_bytes());
    let listed = root.get("properties").is_some_and(|properties| properties.kind() == Kind::Object);
    if listed || root.get("$ref").is_some() {
        return schema;
    }
    if root.members_raw().nth(1).is_none() {
        return Cow::Borrowed(NOTHING);
    }
    match schema.trim_start().strip_prefix('{') {
        Some(rest) => Cow::Owned(format!("{{\"properties\":{{}},{rest}")),
        None => schema,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_13_schemas_of_arguments_are_always_objects() {
        for (given, want) in [
            (None, NOTHING),
            (Some("{}"), NOTHING),
            (Some("true"), NOTHING),
            (Some(r#"{"type":"object"}"#), NOTHING),
            (Some(r#"{"type":"object","title":"T"}"#), r#"{"properties":{},"type":"object","title":"T"}"#),
            (Some(r#"{"properties":{"a":{}}}"#), r#"{"type":"object","properties":{"a":{}}}"#),
            (
                Some(r##"{"$ref":"#/$defs/A","$defs":{}}"##),
                r##"{"type":"object","$ref":"#/$defs/A","$defs":{}}"##,
            ),
        ] {
            assert_eq!(arguments_for_openai(given, false), (want.into(), false));
        }
    }

    #[test]
    fn strict_is_what_can_be() {
        let closed = r#"{"type":"object","properties":{},"additionalProperties":false,"required":[]}"#;
        let (schema, strict) = arguments_for_openai(None, true);
        let same = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert!(strict && schema.contains("\"additionalProperties\":false"), "{schema}");
        assert!(arguments_for_openai(Some(closed), true).1);
        let map = r#"{"type":"object","properties":{"m":{"type":"object","additionalProperties":true}}}"#;
        assert_eq!(arguments_for_openai(Some(map), true), (map.into(), false));
        assert_eq!(format_for_openai(map, true), (map.into(), false));
        let list = r#"{"type":"array","items":{"type":"string"}}"#;
        assert_eq!(format_for_openai(list, true), (list.into(), false));
        let open = r#"{"properties":{"a":{"type":"string"}}}"#;
        assert_eq!(format_for_openai(open, false), (open.into(), false));
        let (schema, strict) = format_for_openai(open, true);
        let want = r#"{"type":"object","properties":{"a":{"type":["string","null"]}},"required":["a"],"additionalProperties":false}"#;
        assert!(strict);
        assert_eq!(same(&schema), same(want));
    }
}
