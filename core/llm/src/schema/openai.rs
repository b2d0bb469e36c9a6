//! OpenAI's functions and structured outputs.

use super::walk::{
    Schema, each_inside, is_object, merge_all_of, object_at_root, one_of_as_any_of, tell, texts, types,
};
use super::{adapted, is_plain_object};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Keywords that strict mode has no words for and that change what fits.
const NOT_STRICT: [&str; 14] = [
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
    "prefixItems",
    "contains",
    "minProperties",
    "maxProperties",
];
/// Keywords that strict mode refuses and that the model may be told of in words.
const TOLD: [&str; 3] = ["minLength", "maxLength", "uniqueItems"];
/// Annotations that strict mode refuses.
const LEFT_OUT: [&str; 7] = ["$schema", "$id", "$comment", "default", "examples", "example", "nullable"];
/// The string formats that strict mode takes.
const FORMATS: [&str; 9] =
    ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// A schema as OpenAI takes it without `strict`: anything whose root is an object.
#[must_use]
pub fn for_openai(schema: &str) -> Cow<'_, str> {
    if is_plain_object(schema) {
        return Cow::Borrowed(schema);
    }
    adapted(schema, |mut schema| {
        object_at_root(&mut schema);
        schema
    })
}

/// A schema as OpenAI takes it with `strict`: every object closed, every property required, and nullable where it was
/// optional. `None` if it cannot be said so: objects with free keys, values of any type, conditions.
#[must_use]
pub fn for_openai_strict(schema: &str) -> Option<Cow<'_, str>> {
    let mut strict = true;
    let adapted = adapted(schema, |mut schema| {
        object_at_root(&mut schema);
        strict = close(&mut schema);
        schema
    });
    strict.then_some(adapted)
}

/// Makes a schema and all inside of it strict; whether that went well.
fn close(schema: &mut Schema) -> bool {
    merge_all_of(schema);
    one_of_as_any_of(schema);
    if NOT_STRICT.iter().any(|keyword| schema.contains_key(*keyword)) {
        return false;
    }
    if schema.contains_key("$ref") {
        // Nothing may stand beside a reference.
        schema.retain(|key, _| matches!(key.as_str(), "$ref" | "$defs" | "definitions"));
    } else if !clean(schema) {
        return false;
    }
    if has_open_part(schema) || (is_object(schema) && !close_object(schema)) {
        return false;
    }
    let mut strict = true;
    each_inside(schema, &mut |inner| strict = strict && close(inner));
    strict
}

/// Takes out what strict mode refuses; `false` if the schema does not say what it is about.
fn clean(schema: &mut Schema) -> bool {
    let nullable = schema.get("nullable") == Some(&json!(true));
    for keyword in TOLD {
        tell(schema, keyword);
    }
    if !schema.get("format").and_then(Value::as_str).is_some_and(|format| FORMATS.contains(&format)) {
        tell(schema, "format");
    }
    for keyword in LEFT_OUT {
        schema.shift_remove(keyword);
    }
    if nullable {
        allow_null(schema);
    }
    let says = ["type", "anyOf", "enum", "const"].iter().any(|keyword| schema.contains_key(*keyword));
    if !says && is_object(schema) {
        schema.insert("type".into(), json!("object"));
        return true;
    }
    let is_array = types(schema).iter().any(|word| word == "array");
    says && (schema.contains_key("items") || !is_array)
}

/// Whether an alternative, an element or a property may be anything (`true`, `{}`).
fn has_open_part(schema: &Schema) -> bool {
    let is_open = |value: &Value| !value.is_object();
    let inside = |key: &str| schema.get(key).and_then(Value::as_object);
    schema.get("items").is_some_and(is_open)
        || schema.get("anyOf").and_then(Value::as_array).is_some_and(|list| list.iter().any(is_open))
        || inside("properties").is_some_and(|properties| properties.values().any(is_open))
}

fn close_object(schema: &mut Schema) -> bool {
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let free = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    if free || !(closed || schema.contains_key("properties")) {
        return false;
    }
    let required = schema.get("required").and_then(Value::as_array);
    let required: BTreeSet<String> =
        required.map(|names| texts(names).map(str::to_owned).collect()).unwrap_or_default();
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    let Value::Object(properties) = properties else { return false };
    for (name, property) in properties.iter_mut() {
        if let (Value::Object(property), false) = (property, required.contains(name)) {
            allow_null(property);
        }
    }
    // A list in another order says the same and needs no change.
    if properties.len() != required.len() || properties.keys().any(|name| !required.contains(name)) {
        let all: Value = properties.keys().map(String::as_str).collect();
        schema.insert("required".into(), all);
    }
    schema.insert("additionalProperties".into(), Value::Bool(false));
    true
}

/// Lets a schema take `null` as well.
fn allow_null(schema: &mut Schema) {
    one_of_as_any_of(schema);
    let nothing = json!({"type": "null"});
    if let Some(Value::Array(alternatives)) = schema.get_mut("anyOf") {
        if !alternatives.contains(&nothing) {
            alternatives.push(nothing);
        }
        return;
    }
    let plain = !["$ref", "allOf", "const"].iter().any(|keyword| schema.contains_key(*keyword));
    match schema.get_mut("type") {
        Some(Value::Array(words)) if plain => {
            if !words.contains(&json!("null")) {
                words.push(json!("null"));
            }
        }
        Some(Value::String(word)) if plain => {
            if word != "null" {
                let both = json!([word, "null"]);
                schema.insert("type".into(), both);
            }
        }
        _ => {
            let words = schema.shift_remove("description");
            let own = Value::Object(std::mem::take(schema));
            schema.insert("anyOf".into(), json!([own, nothing]));
            if let Some(words) = words {
                schema.insert("description".into(), words);
            }
            return;
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict(schema: &str) -> Option<Value> {
        for_openai_strict(schema).map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn optional_properties_become_nullable_and_all_are_required() {
        let given = r##"{"type":"object","required":["b"],"properties":{
            "a":{"type":"string","minLength":2,"description":"A."},"b":{"type":"integer"},
            "c":{"$ref":"#/$defs/d","description":"C."},"e":{"enum":["x"],"type":"string"},
            "f":{"anyOf":[{"type":"string"},{"type":"number"}]},
            "g":{"type":"array","items":{"type":"object","properties":{"h":{"type":"boolean","default":true}}}}},
            "$defs":{"d":{"type":"object","properties":{"i":{"type":"string"}},"required":["i"]}}}"##;
        let want = r##"{"type":"object","required":["a","b","c","e","f","g"],"additionalProperties":false,"properties":{
            "a":{"type":["string","null"],"description":"A. (minLength: 2)"},"b":{"type":"integer"},
            "c":{"anyOf":[{"$ref":"#/$defs/d"},{"type":"null"}],"description":"C."},
            "e":{"enum":["x",null],"type":["string","null"]},
            "f":{"anyOf":[{"type":"string"},{"type":"number"},{"type":"null"}]},
            "g":{"type":["array","null"],"items":{"type":"object","required":["h"],"additionalProperties":false,
                "properties":{"h":{"type":["boolean","null"]}}}}},
            "$defs":{"d":{"type":"object","properties":{"i":{"type":"string"}},"required":["i"],
                "additionalProperties":false}}}"##;
        assert_eq!(strict(given).unwrap(), serde_json::from_str::<Value>(want).unwrap());
    }

    #[test]
    fn what_is_strict_already_is_lent() {
        let given = r#"{ "type":"object", "properties":{"b":{"type":"string"},"a":{"type":"string"}},
            "required":["a","b"], "additionalProperties":false }"#;
        assert!(matches!(for_openai_strict(given), Some(Cow::Borrowed(text)) if text == given));
        assert!(matches!(for_openai(given), Cow::Borrowed(_)));
    }

    #[test]
    fn what_cannot_be_strict_is_not() {
        for given in [
            r#"{"type":"object"}"#,
            r#"{"type":"object","properties":{},"additionalProperties":{"type":"string"}}"#,
            r#"{"type":"object","properties":{"a":{"type":"object","additionalProperties":true}}}"#,
            r#"{"type":"object","properties":{"a":{}}}"#,
            r#"{"type":"object","properties":{"a":true}}"#,
            r#"{"type":"object","properties":{"a":{"type":"array"}}}"#,
            r#"{"type":"object","properties":{"a":{"type":"array","items":{}}}}"#,
            r#"{"type":"object","properties":{"a":{"type":"string"}},"if":{"required":["a"]}}"#,
            r#"{"type":"object","properties":{"a":{"anyOf":[{"type":"string"},{}]}}}"#,
        ] {
            assert!(for_openai_strict(given).is_none(), "{given}");
        }
    }

    #[test]
    fn case_12_a_schema_without_a_root_type_becomes_an_object() {
        assert_eq!(for_openai("{}"), r#"{"type":"object"}"#);
        assert_eq!(for_openai("true"), r#"{"type":"object"}"#);
        assert_eq!(for_openai(r#"{"type":"null"}"#), r#"{"type":"object"}"#);
        assert_eq!(for_openai(r#"{"properties":{"a":{}}}"#), r#"{"type":"object","properties":{"a":{}}}"#);
        assert_eq!(
            for_openai(
                r#"{"anyOf":[{"type":"object","properties":{"a":{}},"required":["a"]},{"properties":{"b":{}}}]}"#
            ),
            r#"{"type":"object","properties":{"a":{},"b":{}}}"#
        );
    }
}
