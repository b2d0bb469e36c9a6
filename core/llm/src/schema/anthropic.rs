//! Anthropic's structured outputs and tools.

use super::reference::{inlined, is_recursive};
use super::walk::{Schema, each_inside, is_object, merge_all_of, object_at_root, one_of_as_any_of, tell};
use super::{adapted, is_plain_object};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Keywords that structured outputs refuse; the model is told of them in words.
const TOLD: [&str; 12] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];
/// Keywords that structured outputs refuse and that say nothing to the model.
const LEFT_OUT: [&str; 5] = ["$schema", "$id", "$comment", "patternProperties", "propertyNames"];
/// The string formats that structured outputs take.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// A schema as Anthropic's structured outputs take it: objects closed, bounds told in the description, recursion
/// written out a few levels deep.
#[must_use]
pub fn for_anthropic(schema: &str) -> Cow<'_, str> {
    adapted(schema, |schema| {
        let mut schema = if is_recursive(&schema) { inlined(schema) } else { schema };
        close(&mut schema);
        schema
    })
}

/// A schema as Anthropic's tools take it: anything whose root is an object without alternatives.
#[must_use]
pub fn tool_input(schema: &str) -> Cow<'_, str> {
    if is_plain_object(schema) {
        return Cow::Borrowed(schema);
    }
    adapted(schema, |mut schema| {
        object_at_root(&mut schema);
        schema
    })
}

/// A schema as Anthropic's strict tools take it: as its structured outputs, with an object at the root.
#[must_use]
pub fn strict_tool_input(schema: &str) -> Cow<'_, str> {
    match tool_input(schema) {
        Cow::Borrowed(object) => for_anthropic(object),
        Cow::Owned(object) => Cow::Owned(for_anthropic(&object).into_owned()),
    }
}

fn close(schema: &mut Schema) {
    merge_all_of(schema);
    one_of_as_any_of(schema);
    for keyword in LEFT_OUT {
        schema.shift_remove(keyword);
    }
    for keyword in TOLD {
        tell(schema, keyword);
    }
    if !schema.get("format").and_then(Value::as_str).is_some_and(|format| FORMATS.contains(&format)) {
        tell(schema, "format");
    }
    if schema.get("minItems").is_some_and(|least| *least != json!(0) && *least != json!(1)) {
        tell(schema, "minItems");
    }
    if is_object(schema) {
        schema.insert("additionalProperties".into(), Value::Bool(false));
    }
    each_inside(schema, &mut close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_closed_and_bounds_become_words() {
        let given = r#"{"$schema":"x","type":"object","properties":{
            "a":{"type":"integer","minimum":1,"maximum":5,"description":"How many."},
            "b":{"type":"array","minItems":2,"items":{"oneOf":[{"type":"string","format":"phone"},{"type":"null"}]}},
            "minimum":{"type":"string","format":"date"}}}"#;
        let want = r#"{"type":"object","properties":{
            "a":{"type":"integer","description":"How many. (minimum: 1) (maximum: 5)"},
            "b":{"type":"array","items":{"anyOf":[{"type":"string","description":"(format: \"phone\")"},
                {"type":"null"}]},"description":"(minItems: 2)"},
            "minimum":{"type":"string","format":"date"}},"additionalProperties":false}"#;
        let adapted: Value = serde_json::from_str(&for_anthropic(given)).unwrap();
        assert_eq!(adapted, serde_json::from_str::<Value>(want).unwrap());
    }

    #[test]
    fn recursion_is_written_out_and_ends() {
        let given = r##"{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{
            "next":{"$ref":"#/$defs/n"}}}}}"##;
        let adapted = for_anthropic(given);
        assert!(!adapted.contains("$ref") && !adapted.contains("$defs"), "{adapted}");
        assert_eq!(adapted.matches("\"next\"").count(), 3);
        assert_eq!(adapted.matches("\"additionalProperties\":false").count(), 4);
        // Plain references stay.
        let plain = r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/n"}},"additionalProperties":false,
            "$defs":{"n":{"type":"string"}}}"##;
        assert!(matches!(for_anthropic(plain), Cow::Borrowed(_)));
    }

    #[test]
    fn case_12_tools_take_objects_only() {
        assert_eq!(tool_input("null"), r#"{"type":"object"}"#);
        let given = r#"{"type":"object","properties":{"a":{"minimum":3}}}"#;
        assert!(matches!(tool_input(given), Cow::Borrowed(_)));
        assert_eq!(strict_tool_input("{}"), r#"{"type":"object","additionalProperties":false}"#);
        assert!(matches!(
            strict_tool_input(r#"{"type":"object","additionalProperties":false}"#),
            Cow::Borrowed(_)
        ));
    }
}
