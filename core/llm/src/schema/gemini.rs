//! Gemini's schemas: a subset of OpenAPI 3.0's. Every schema names one type or lists alternatives; what a type does not
//! know is refused.

use super::adapted;
use super::reference::inlined;
use super::typed::{guessed, is_type, keep_known};
use super::walk::{Schema, add_words, merge, merge_all_of, object_at_root, one_of_as_any_of, types, weight};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Most bytes that alternatives may take over from their parents, about.
const MAX_TAKEN_OVER: usize = 512 << 10;
/// The property of an object that has none of its own.
const PLACEHOLDER: &str = "key";
/// Most alternatives among which equal ones are sought.
const MAX_COMPARED: usize = 64;

/// A schema as Gemini takes it. References are written out, alternatives stand alone, and what has no type gets one.
#[must_use]
pub fn for_gemini(schema: &str) -> Cow<'_, str> {
    adapted(schema, |schema| Adapter::default().one(inlined(schema)))
}

/// A schema as Gemini takes it for a function's parameters; `None` for a function that takes none.
#[must_use]
pub fn parameters_for_gemini(schema: &str) -> Option<Cow<'_, str>> {
    let mut empty = false;
    let adapted = adapted(schema, |schema| {
        let mut schema = inlined(schema);
        object_at_root(&mut schema);
        empty = !has_properties(&schema);
        Adapter::default().one(schema)
    });
    (!empty).then_some(adapted)
}

/// Adapts one document.
#[derive(Default)]
struct Adapter {
    /// About how many bytes alternatives took over from their parents.
    taken_over: usize,
}

impl Adapter {
    /// One schema without references.
    fn one(&mut self, mut schema: Schema) -> Schema {
        merge_all_of(&mut schema);
        one_of_as_any_of(&mut schema);
        if let Some(value) = schema.shift_remove("const") {
            schema.insert("enum".into(), json!([value]));
        }
        if let Some(Value::Array(alternatives)) = schema.shift_remove("anyOf")
            && alternatives.iter().any(is_shaped)
        {
            return self.any_of(schema, alternatives);
        }
        let mut types = types(&schema);
        types.retain(|word| word == "null" || is_type(word));
        if take_null(&mut types) {
            schema.insert("nullable".into(), json!(true));
        }
        if types.len() > 1 {
            schema.shift_remove("type");
            return self.any_of(schema, types.iter().map(|word| json!({"type": word})).collect());
        }
        let kind = types.pop().unwrap_or_else(|| guessed(&schema).to_owned());
        schema.insert("type".into(), json!(kind));
        match kind.as_str() {
            "object" => self.object(&mut schema),
            "array" => self.array(&mut schema),
            _ => {}
        }
        keep_known(&mut schema, &kind);
        schema
    }

    /// Alternatives. Nothing may stand beside them, so each takes what its parent says.
    fn any_of(&mut self, mut parent: Schema, alternatives: Vec<Value>) -> Schema {
        let is_null = |schema: &Value| schema.get("type") == Some(&json!("null"));
        let nullable = alternatives.iter().any(is_null) || parent.get("nullable") == Some(&json!(true));
        parent.shift_remove("nullable");
        self.taken_over = self.taken_over.saturating_add(weight(&parent).saturating_mul(alternatives.len()));
        if self.taken_over > MAX_TAKEN_OVER {
            parent.retain(|key, _| key == "type");
        }
        let rest = alternatives.into_iter().filter(|schema| !is_null(schema));
        let mut adapted: Vec<Schema> = Vec::new();
        for alternative in rest {
            let Value::Object(mut alternative) = alternative else { continue };
            merge(&mut alternative, parent.clone());
            let alternative = self.one(alternative);
            if adapted.len() > MAX_COMPARED || !adapted.contains(&alternative) {
                adapted.push(alternative);
            }
        }
        if nullable && let Some(first) = adapted.first_mut() {
            first.insert("nullable".into(), json!(true));
        }
        match adapted.len() {
            0 => self.one(parent),
            1 => adapted.remove(0),
            _ => {
                let mut schema = Schema::new();
                schema.insert("anyOf".into(), adapted.into_iter().map(Value::Object).collect());
                schema
            }
        }
    }

    /// Properties, and names of none but these.
    fn object(&mut self, schema: &mut Schema) {
        if !has_properties(schema) {
            keep_open(schema);
        }
        let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
        for property in properties.values_mut() {
            let given = match std::mem::take(property) {
                Value::Object(given) => given,
                _ => Schema::new(),
            };
            *property = Value::Object(self.one(given));
        }
        let names: BTreeSet<String> = properties.keys().cloned().collect();
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
    fn array(&mut self, schema: &mut Schema) {
        let listed = schema.shift_remove("prefixItems");
        let items = match (listed, schema.shift_remove("items")) {
            (Some(Value::Array(list)), _) | (_, Some(Value::Array(list))) => self.any_of(Schema::new(), list),
            (_, Some(Value::Object(items))) => self.one(items),
            _ => self.one(Schema::new()),
        };
        schema.insert("items".into(), Value::Object(items));
    }
}

fn has_properties(schema: &Schema) -> bool {
    schema.get("properties").and_then(Value::as_object).is_some_and(|properties| !properties.is_empty())
}

/// An object must have properties: one whose keys are free gets one that stands for all.
fn keep_open(schema: &mut Schema) {
    let more = schema.shift_remove("additionalProperties");
    let patterns = schema.shift_remove("patternProperties");
    let pattern = patterns.as_ref().and_then(Value::as_object).and_then(|patterns| patterns.values().next());
    let closed = more == Some(Value::Bool(false)) && pattern.is_none();
    let value = more.filter(Value::is_object).or_else(|| pattern.cloned()).unwrap_or_else(|| json!({}));
    schema.insert("properties".into(), json!({ PLACEHOLDER: value }));
    add_words(
        schema,
        if closed { "(Has no keys: leave `key` out.)" } else { "(Any keys; `key` stands for each.)" },
    );
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
        same(r#"{"type":"integer","format":"int64"}"#, r#"{"type":"integer","format":"int64"}"#);
    }

    #[test]
    fn case_13_objects_with_free_keys_have_one_that_stands_for_all() {
        let (open, closed) = ("(Any keys; `key` stands for each.)", "(Has no keys: leave `key` out.)");
        for (given, value, words) in [
            (r#"{"type":"object"}"#, r#"{"type":"string"}"#, open),
            (r#"{"type":"object","properties":{},"required":["x"]}"#, r#"{"type":"string"}"#, open),
            (r#"{"type":"object","additionalProperties":true}"#, r#"{"type":"string"}"#, open),
            (r#"{"type":"object","additionalProperties":false}"#, r#"{"type":"string"}"#, closed),
            (
                r#"{"additionalProperties":{"type":["integer","null"]}}"#,
                r#"{"type":"integer","nullable":true}"#,
                open,
            ),
            (r#"{"patternProperties":{"^a":{"type":"boolean"}}}"#, r#"{"type":"boolean"}"#, open),
        ] {
            let want =
                format!(r#"{{"type":"object","properties":{{"key":{value}}},"description":"{words}"}}"#);
            same(given, &want);
            let nested = format!(r#"{{"type":"object","properties":{{"env":{given}}}}}"#);
            let parameters: Value = serde_json::from_str(&parameters_for_gemini(&nested).unwrap()).unwrap();
            assert_eq!(parameters["properties"]["env"], serde_json::from_str::<Value>(&want).unwrap());
            assert!(parameters_for_gemini(given).is_none(), "{given}");
        }
        same(
            r#"{"additionalProperties":{"type":"object","description":"D."}}"#,
            r#"{"type":"object","description":"(Any keys; `key` stands for each.)","properties":{
                "key":{"type":"object","description":"D. (Any keys; `key` stands for each.)",
                    "properties":{"key":{"type":"string"}}}}}"#,
        );
    }

    #[test]
    fn recursion_and_bombs_end() {
        let tree = r##"{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"v":{"type":"string"},
            "kids":{"type":"array","items":{"$ref":"#/$defs/n"}}}}}}"##;
        let adapted = for_gemini(tree);
        assert!(!adapted.contains("$ref"));
        assert_eq!(adapted.matches("\"kids\"").count(), 3);
        let open = r#"{"type":"object","properties":{"key":{"type":"string"}},"description":"(Any keys; `key` stands for each.)"}"#;
        assert!(adapted.contains(&format!(r#""items":{open}"#)), "{adapted}");
        same(r##"{"$ref":"#"}"##, open);
        same(r##"{"$ref":"#/nowhere"}"##, open);
        let defs: Vec<String> = (0..30)
            .map(|n| {
                let next = format!("{{\"$ref\":\"#/$defs/{}\"}}", (n + 1) % 30);
                format!("\"{n}\":{{\"type\":\"object\",\"properties\":{{\"a\":{next},\"b\":{next}}}}}")
            })
            .collect();
        let bomb = format!("{{\"$ref\":\"#/$defs/0\",\"$defs\":{{{}}}}}", defs.join(","));
        assert!(for_gemini(&bomb).len() < 2 << 20);
        let leaf = r#"{"type":"string"}"#.to_owned();
        let nested = (0..14).fold(leaf, |inner, _| format!(r#"{{"anyOf":[{inner},{inner}]}}"#));
        let wide =
            format!(r#"{{"description":"{}","anyOf":[{nested},{{"type":"number"}}]}}"#, "d".repeat(9_000));
        assert!(for_gemini(&wide).len() < wide.len() + (2 << 20));
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
