//! What each of Gemini's types knows.

use super::walk::{Schema, add_words};
use serde_json::{Value, json};

/// The types, and the keywords that each knows beside those of [`EVERY`].
const TYPES: [(&str, &[&str]); 6] = [
    ("object", &["properties", "required", "propertyOrdering"]),
    ("array", &["items", "minItems", "maxItems"]),
    ("string", &["enum", "format", "minLength", "maxLength", "pattern"]),
    ("integer", &["format", "minimum", "maximum"]),
    ("number", &["format", "minimum", "maximum"]),
    ("boolean", &[]),
];
const EVERY: [&str; 5] = ["type", "title", "description", "nullable", "default"];
/// The formats that are taken, by type.
const FORMATS: [(&str, &[&str]); 3] =
    [("string", &["enum", "date-time"]), ("integer", &["int32", "int64"]), ("number", &["float", "double"])];

/// Whether Gemini knows a type of that name.
pub(super) fn is_type(word: &str) -> bool {
    TYPES.iter().any(|(known, _)| *known == word)
}

/// The type of a schema that names none. What may be anything is asked for as text, which always fits.
pub(super) fn guessed(schema: &Schema) -> &'static str {
    let has = |keywords: &[&str]| keywords.iter().any(|keyword| schema.contains_key(*keyword));
    if has(&["properties", "required", "additionalProperties", "patternProperties"]) {
        return "object";
    }
    if has(&["items", "prefixItems", "minItems", "maxItems"]) {
        return "array";
    }
    let values = schema.get("enum").and_then(Value::as_array);
    match values.and_then(|values| values.iter().find(|value| !value.is_null())) {
        Some(Value::Bool(_)) => return "boolean",
        Some(Value::Number(number)) => return if number.is_f64() { "number" } else { "integer" },
        Some(_) => return "string",
        None => {}
    }
    if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        return "number";
    }
    "string"
}

/// Takes out of a schema of one known type all that this type does not know.
pub(super) fn keep_known(schema: &mut Schema, kind: &str) {
    mend_enum(schema, kind);
    mend_format(schema, kind);
    let own = TYPES.iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, keywords)| keywords);
    schema.retain(|key, value| {
        let known = EVERY.contains(&key.as_str()) || own.contains(&key.as_str());
        let sound = match key.as_str() {
            "title" | "description" | "pattern" => value.is_string(),
            "nullable" => *value == json!(true),
            "minItems" | "maxItems" | "minLength" | "maxLength" => value.is_u64(),
            "minimum" | "maximum" => value.is_number(),
            _ => true,
        };
        known && sound
    });
}

/// Only texts can be listed, and none that is empty. Other values are told in words.
fn mend_enum(schema: &mut Schema, kind: &str) {
    let Some(Value::Array(values)) = schema.shift_remove("enum") else { return };
    if values.iter().any(Value::is_null) {
        schema.insert("nullable".into(), json!(true));
    }
    let texts: Vec<Value> =
        values.iter().filter(|value| value.as_str().is_some_and(|text| !text.is_empty())).cloned().collect();
    if kind == "string" && !texts.is_empty() {
        schema.insert("enum".into(), Value::Array(texts));
    } else if !values.is_empty() {
        let list: Vec<String> = values.iter().map(ToString::to_string).collect();
        add_words(schema, &format!("(one of: {})", list.join(", ")));
    }
}

fn mend_format(schema: &mut Schema, kind: &str) {
    let taken = FORMATS.iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, formats)| formats);
    let format = schema.get("format").and_then(Value::as_str).map(str::to_owned);
    if format.as_ref().is_none_or(|format| taken.contains(&format.as_str())) {
        return;
    }
    schema.shift_remove("format");
    if let (Some(format), "string") = (format, kind) {
        add_words(schema, &format!("(format: {format})"));
    }
}
