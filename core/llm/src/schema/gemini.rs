//! Gemini's schemas: a subset of OpenAPI 3.0's. Every schema names one type or lists alternatives; what a type does not
//! know is refused.

use super::adapted;
use super::reference::inlined;
use super::walk::{
    Schema, add_words, merge, merge_all_of, object_at_root, one_of_as_any_of, take, types, weight,
};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::HashSet;

/// The types, and the keywords that each knows beside those of [`EVERY`].
const TYPES: [(&str, &[&str]); 6] = [
    ("object", &["properties", "required", "propertyOrdering"]),
    ("array", &["items", "minItems", "maxItems"]),
    ("string", &["enum", "format", "minLength", "maxLength", "pattern"]),
    ("integer", &["format", "minimum", "maximum"]),
    ("number", &["format", "minimum", "maximum"]),
    ("boolean", &[]),
];
/// How much of what stands beside alternatives may be written out, in bytes or so: it is written once for each of them,
/// and alternatives may hold alternatives.
const ROOM: usize = 1 << 20;
/// What each alternative counts at least.
const LEAST: usize = 64;
const EVERY: [&str; 5] = ["type", "title", "description", "nullable", "default"];
/// The formats that are taken, by type.
const FORMATS: [(&str, &[&str]); 3] =
    [("string", &["enum", "date-time"]), ("integer", &["int32", "int64"]), ("number", &["float", "double"])];

/// A schema as Gemini takes it. References are written out, alternatives stand alone, and what has no type gets one.
#[must_use]
pub fn for_gemini(schema: &str) -> Cow<'_, str> {
    adapted(schema, |schema| one(inlined(schema), &mut { ROOM }))
}

/// A schema as Gemini takes it for a function's parameters; `None` for a function that takes none.
#[must_use]
pub fn parameters_for_gemini(schema: &str) -> Option<Cow<'_, str>> {
    let mut empty = false;
    let adapted = adapted(schema, |schema| {
        let mut schema = inlined(schema);
        object_at_root(&mut schema);
        let schema = one(schema, &mut { ROOM });
        empty = schema.get("properties").and_then(Value::as_object).is_none_or(Schema::is_empty);
        schema
    });
    (!empty).then_some(adapted)
}

/// One schema without references.
fn one(mut schema: Schema, room: &mut usize) -> Schema {
    merge_all_of(&mut schema);
    one_of_as_any_of(&mut schema);
    if let Some(value) = schema.shift_remove("const") {
        schema.insert("enum".into(), json!([value]));
    }
    if let Some(Value::Array(alternatives)) = schema.shift_remove("anyOf")
        && alternatives.iter().any(is_shaped)
    {
        return any_of(schema, alternatives, room);
    }
    let mut types = types(&schema);
    types.retain(|word| word == "null" || TYPES.iter().any(|(known, _)| known == word));
    types.sort_by_key(|word| TYPES.iter().position(|(known, _)| known == word));
    types.dedup();
    if take_null(&mut types) {
        schema.insert("nullable".into(), json!(true));
    }
    if types.len() > 1 {
        schema.shift_remove("type");
        return any_of(schema, types.iter().map(|word| json!({"type": word})).collect(), room);
    }
    let kind = types.pop().unwrap_or_else(|| guessed(&schema).to_owned());
    schema.insert("type".into(), json!(kind));
    typed(schema, &kind, room)
}

/// Whether an alternative says what the value is, and not only which properties it needs.
fn is_shaped(alternative: &Value) -> bool {
    const SHAPES: [&str; 9] =
        ["type", "properties", "items", "enum", "const", "anyOf", "oneOf", "allOf", "format"];
    SHAPES.iter().any(|keyword| alternative.get(keyword).is_some())
}

fn take_null(types: &mut Vec<String>) -> bool {
    let before = types.len();
    types.retain(|word| word != "null");
    types.len() < before
}

/// Alternatives. Nothing may stand beside them, so each takes what its parent says, as long as there is room for it.
fn any_of(mut parent: Schema, alternatives: Vec<Value>, room: &mut usize) -> Schema {
    let is_null = |schema: &Value| schema.get("type") == Some(&json!("null"));
    let nullable = alternatives.iter().any(is_null) || parent.get("nullable") == Some(&json!(true));
    parent.shift_remove("nullable");
    let rest = alternatives.into_iter().filter(|schema| !is_null(schema));
    let mut adapted: Vec<Schema> = Vec::new();
    let mut known = HashSet::new();
    let each = if *room > 0 { parent.iter().map(|(key, value)| key.len() + weight(value)).sum() } else { 0 };
    for alternative in rest {
        let Value::Object(mut alternative) = alternative else { continue };
        if !take(room, LEAST + each) {
            break;
        }
        merge(&mut alternative, parent.clone());
        let alternative = one(alternative, room);
        if known.insert(Value::Object(alternative.clone()).to_string()) {
            adapted.push(alternative);
        }
    }
    if nullable && let Some(first) = adapted.first_mut() {
        first.insert("nullable".into(), json!(true));
    }
    match adapted.len() {
        0 => one(parent, room),
        1 => adapted.remove(0),
        _ => {
            let mut schema = Schema::new();
            schema.insert("anyOf".into(), adapted.into_iter().map(Value::Object).collect());
            schema
        }
    }
}

/// The type of a schema that names none. What may be anything is asked for as text, which always fits.
fn guessed(schema: &Schema) -> &'static str {
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

/// A schema of one known type, without all that this type does not know.
fn typed(mut schema: Schema, kind: &str, room: &mut usize) -> Schema {
    mend_enum(&mut schema, kind);
    mend_format(&mut schema, kind);
    match kind {
        "object" => mend_object(&mut schema, room),
        "array" => mend_array(&mut schema, room),
        _ => {}
    }
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
    schema
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

fn mend_object(schema: &mut Schema, room: &mut usize) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        for keyword in ["properties", "required", "propertyOrdering"] {
            schema.shift_remove(keyword);
        }
        return;
    };
    for property in properties.values_mut() {
        let given = match property.take() {
            Value::Object(given) => given,
            _ => Schema::new(),
        };
        *property = Value::Object(one(given, room));
    }
    let names: HashSet<String> = properties.keys().cloned().collect();
    for keyword in ["required", "propertyOrdering"] {
        if let Some(Value::Array(list)) = schema.get_mut(keyword) {
            list.retain(|name| name.as_str().is_some_and(|name| names.contains(name)));
            if list.is_empty() {
                schema.shift_remove(keyword);
            }
        } else {
            schema.shift_remove(keyword);
        }
    }
}

/// Arrays must say what they hold; a list of schemas, one for each place, becomes alternatives for all places.
fn mend_array(schema: &mut Schema, room: &mut usize) {
    let listed = schema.shift_remove("prefixItems");
    let items = match (listed, schema.shift_remove("items")) {
        (Some(Value::Array(list)), _) | (_, Some(Value::Array(list))) => any_of(Schema::new(), list, room),
        (_, Some(Value::Object(items))) => one(items, room),
        _ => one(Schema::new(), room),
    };
    schema.insert("items".into(), Value::Object(items));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(given: &str, want: &str) {
        let adapted: Value = serde_json::from_str(&for_gemini(given)).unwrap();
        assert_eq!(adapted, serde_json::from_str::<Value>(want).unwrap(), "{given}");
    }

    #[test]
    fn case_13_references_types_and_alternatives() {
        same(
            r##"{"$schema":"s","$id":"i","type":"object","additionalProperties":false,"properties":{
                "a":{"$ref":"#/$defs/a","description":"Here."},"b":{"type":["string","null"],"format":"uuid"},
                "c":{"const":"x"},"d":{"oneOf":[{"type":"string"},{"type":"integer","exclusiveMinimum":0}]},
                "e":{"allOf":[{"properties":{"f":{"type":"number"}}},{"required":["f","gone"]}]},
                "$ref":{"type":"string"}},
                "required":["a","zz"],"$defs":{"a":{"type":"integer","description":"There.","minimum":1}}}"##,
            r##"{"type":"object","properties":{
                "a":{"type":"integer","description":"Here.","minimum":1},
                "b":{"type":"string","nullable":true,"description":"(format: uuid)"},
                "c":{"type":"string","enum":["x"]},"d":{"anyOf":[{"type":"string"},{"type":"integer"}]},
                "e":{"type":"object","properties":{"f":{"type":"number"}},"required":["f"]},
                "$ref":{"type":"string"}},"required":["a"]}"##,
        );
    }

    #[test]
    fn case_13_alternatives_stand_alone() {
        same(
            r#"{"description":"D.","anyOf":[{"type":"string"},{"type":"null"}]}"#,
            r#"{"description":"D.","type":"string","nullable":true}"#,
        );
        same(
            r#"{"description":"D.","type":["string","number"],"minimum":2,"minLength":3}"#,
            r#"{"anyOf":[{"type":"string","description":"D.","minLength":3},
                {"type":"number","description":"D.","minimum":2}]}"#,
        );
        same(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"anyOf":[{"required":["a"]},{"required":["b"]}]}"#,
            r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
        );
    }

    #[test]
    fn case_13_what_has_no_type_gets_one() {
        same("{}", r#"{"type":"string"}"#);
        same("true", r#"{"type":"string"}"#);
        same(r#"{"type":"array"}"#, r#"{"type":"array","items":{"type":"string"}}"#);
        same(r#"{"items":{"minimum":1}}"#, r#"{"type":"array","items":{"type":"number","minimum":1}}"#);
        same(
            r#"{"type":"array","prefixItems":[{"type":"string"},{"type":"string"}]}"#,
            r#"{"type":"array","items":{"type":"string"}}"#,
        );
        same(r#"{"enum":["a","",null]}"#, r#"{"type":"string","enum":["a"],"nullable":true}"#);
        same(r#"{"enum":[1,2]}"#, r#"{"type":"integer","description":"(one of: 1, 2)"}"#);
        same(r#"{"type":"object","additionalProperties":{"type":"string"}}"#, r#"{"type":"object"}"#);
        same(r#"{"type":"integer","format":"int64"}"#, r#"{"type":"integer","format":"int64"}"#);
    }

    #[test]
    fn recursion_and_bombs_end() {
        let tree = r##"{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"v":{"type":"string"},
            "kids":{"type":"array","items":{"$ref":"#/$defs/n"}}}}}}"##;
        let adapted = for_gemini(tree);
        assert!(!adapted.contains("$ref"));
        assert_eq!(adapted.matches("\"kids\"").count(), 3);
        assert!(adapted.contains(r#""items":{"type":"object"}"#), "{adapted}");
        same(r##"{"$ref":"#"}"##, r#"{"type":"object"}"#);
        same(r##"{"$ref":"#/nowhere"}"##, r#"{"type":"object"}"#);
        let defs: Vec<String> = (0..30)
            .map(|n| {
                let next = format!("{{\"$ref\":\"#/$defs/{}\"}}", (n + 1) % 30);
                format!("\"{n}\":{{\"type\":\"object\",\"properties\":{{\"a\":{next},\"b\":{next}}}}}")
            })
            .collect();
        let bomb = format!("{{\"$ref\":\"#/$defs/0\",\"$defs\":{{{}}}}}", defs.join(","));
        assert!(for_gemini(&bomb).len() < 1 << 20);
    }

    /// Schemas that would grow by the square of their length or worse.
    #[test]
    fn what_is_written_often_is_bounded() {
        let words = "w".repeat(1 << 16);
        let named: Vec<String> = (0..3000).map(|n| format!("\"{n}\":{{\"$ref\":\"#/$defs/d\"}}")).collect();
        let often = format!(
            "{{\"type\":\"object\",\"properties\":{{{}}},\"$defs\":{{\"d\":{{\"type\":\"string\",\"description\":\"{words}\"}}}}}}",
            named.join(",")
        );
        assert!(for_gemini(&often).len() < 4 << 20);
        let alternatives: Vec<String> =
            (0..3000).map(|n| format!("{{\"type\":\"string\",\"title\":\"{n}\"}}")).collect();
        let beside = format!("{{\"description\":\"{words}\",\"anyOf\":[{}]}}", alternatives.join(","));
        assert!(for_gemini(&beside).len() < 4 << 20);
        let chain: Vec<String> = (0..20_000)
            .map(|n| format!("\"{n}\":{{\"items\":{{\"$ref\":\"#/$defs/{}\"}}}}", n + 1))
            .collect();
        let chain = format!("{{\"$ref\":\"#/$defs/0\",\"$defs\":{{{}}}}}", chain.join(","));
        assert!(crate::schema::for_anthropic(&chain).len() < 4 << 20);
        let required: Vec<String> = (0..60_000).map(|n| format!("\"{n}\"")).collect();
        let required = required.join(",");
        let list = format!(
            "{{\"type\":\"object\",\"required\":[{required}],\"allOf\":[{{\"required\":[{required}]}}]}}"
        );
        assert!(crate::schema::for_openai(&list).len() <= list.len());
    }

    #[test]
    fn what_fits_is_lent_and_empty_parameters_are_none() {
        let fits = r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#;
        assert!(matches!(for_gemini(fits), Cow::Borrowed(_)));
        assert!(matches!(parameters_for_gemini(fits), Some(Cow::Borrowed(_))));
        for empty in ["{}", r#"{"type":"object","properties":{}}"#, r#"{"type":"object"}"#, "null"] {
            assert!(parameters_for_gemini(empty).is_none(), "{empty}");
        }
        let union = r#"{"oneOf":[{"type":"object","properties":{"a":{"type":"string"}}},{"type":"string"}]}"#;
        assert_eq!(
            parameters_for_gemini(union).unwrap(),
            r#"{"type":"object","properties":{"a":{"type":"string"}}}"#
        );
    }
}
