//! The schemas inside of a schema, merging, notes.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// One schema.
pub(super) type Schema = Map<String, Value>;

/// Keywords whose value is one schema (or `true` or `false`).
const SINGLE: [&str; 10] = [
    "items",
    "additionalProperties",
    "additionalItems",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedProperties",
];
/// Keywords whose value is a list of schemas. Before 2020-12 `items` could be one too.
const LISTS: [&str; 5] = ["anyOf", "oneOf", "allOf", "prefixItems", "items"];
/// Keywords whose value maps names to schemas.
const MAPS: [&str; 5] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// Visits every schema that stands directly inside of this one. Values that merely look like schemas (`enum`, `const`,
/// `default`, `examples`) are none.
pub(super) fn each_inside(schema: &mut Schema, visit: &mut dyn FnMut(&mut Schema)) {
    for (key, value) in schema.iter_mut() {
        match value {
            Value::Object(inner) if MAPS.contains(&key.as_str()) => {
                inner.values_mut().filter_map(Value::as_object_mut).for_each(&mut *visit);
            }
            Value::Object(inner) if SINGLE.contains(&key.as_str()) => visit(inner),
            Value::Array(inner) if LISTS.contains(&key.as_str()) => {
                inner.iter_mut().filter_map(Value::as_object_mut).for_each(&mut *visit);
            }
            _ => {}
        }
    }
}

/// `{"type":"object"}`
pub(super) fn any_object() -> Schema {
    let mut schema = Schema::new();
    schema.insert("type".into(), json!("object"));
    schema
}

/// The types that a schema names.
pub(super) fn types(schema: &Schema) -> Vec<String> {
    let words = match schema.get("type") {
        Some(Value::Array(words)) => words.iter().collect(),
        Some(word) => vec![word],
        None => Vec::new(),
    };
    words.into_iter().filter_map(Value::as_str).map(str::to_ascii_lowercase).collect()
}

/// Whether a schema is about objects, by its type or, if it names none, by what it holds.
pub(super) fn is_object(schema: &Schema) -> bool {
    let types = types(schema);
    types.iter().any(|word| word == "object") || (types.is_empty() && schema.contains_key("properties"))
}

/// Adds all that `more` demands. Where both say something of the same keyword, what is there already counts, but
/// properties and required names are joined.
pub(super) fn merge(into: &mut Schema, more: Schema) {
    for (key, value) in more {
        let Some(known) = into.get_mut(&key) else {
            into.insert(key, value);
            continue;
        };
        match (key.as_str(), known, value) {
            ("properties" | "$defs" | "definitions", Value::Object(known), Value::Object(more)) => {
                for (name, schema) in more {
                    match (known.get_mut(&name), schema) {
                        (Some(Value::Object(known)), Value::Object(schema)) => merge(known, schema),
                        (Some(_), _) => {}
                        (None, schema) => {
                            known.insert(name, schema);
                        }
                    }
                }
            }
            ("required", Value::Array(known), Value::Array(more)) => {
                let names = texts(known).map(str::to_owned).collect::<BTreeSet<String>>();
                known.extend(
                    more.into_iter().filter(|name| name.as_str().is_some_and(|name| !names.contains(name))),
                );
            }
            _ => {}
        }
    }
}

/// Merges each `allOf` into the schema that has it.
pub(super) fn merge_all_of(schema: &mut Schema) {
    while let Some(Value::Array(all)) = schema.remove("allOf") {
        for more in all {
            if let Value::Object(more) = more {
                merge(schema, more);
            }
        }
    }
}

/// `oneOf` by the name that all providers know. That exactly one must fit is lost.
pub(super) fn one_of_as_any_of(schema: &mut Schema) {
    if let Some(one) = schema.remove("oneOf") {
        schema.entry("anyOf").or_insert(one);
    }
}

/// Makes the root an object without alternatives: providers take nothing else as a function's parameters. Alternatives
/// become properties of one object, required where all alternatives require them.
pub(super) fn object_at_root(schema: &mut Schema) {
    merge_all_of(schema);
    one_of_as_any_of(schema);
    if let Some(Value::Array(alternatives)) = schema.remove("anyOf") {
        let alternatives = alternatives.into_iter().filter_map(|one| match one {
            Value::Object(one) => Some(one),
            _ => None,
        });
        join(schema, alternatives.collect());
    }
    if schema.get("type") != Some(&json!("object")) {
        schema.shift_remove("type");
        let rest = std::mem::replace(schema, any_object());
        merge(schema, rest);
    }
}

fn join(schema: &mut Schema, alternatives: Vec<Schema>) {
    let required = |one: &Schema| -> BTreeSet<String> {
        let names = one.get("required").and_then(Value::as_array);
        names.map(|names| texts(names).map(str::to_owned).collect()).unwrap_or_default()
    };
    let own = required(schema);
    let common = alternatives.iter().map(required).reduce(|common, more| &common & &more).unwrap_or_default();
    for mut alternative in alternatives {
        merge_all_of(&mut alternative);
        // Its type and words are those of one alternative only.
        alternative.retain(|key, _| matches!(key.as_str(), "properties" | "$defs" | "definitions"));
        merge(schema, alternative);
    }
    let all: Value = own.union(&common).map(String::as_str).collect();
    if all.as_array().is_some_and(|all| !all.is_empty()) {
        schema.insert("required".into(), all);
    }
}

/// The texts of a list.
pub(super) fn texts(list: &[Value]) -> impl Iterator<Item = &str> {
    list.iter().filter_map(Value::as_str)
}

/// About how many bytes a schema takes.
pub(super) fn weight(schema: &Schema) -> usize {
    schema.iter().map(|(key, value)| key.len() + value_weight(value)).sum()
}

fn value_weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 8,
        Value::Array(list) => list.iter().map(value_weight).sum::<usize>() + 8,
        Value::Object(object) => weight(object) + 8,
        _ => 8,
    }
}

/// Takes a keyword out and tells the model of it in the description.
pub(super) fn tell(schema: &mut Schema, keyword: &str) {
    if let Some(value) = schema.shift_remove(keyword) {
        let text = format!("({keyword}: {value})");
        add_words(schema, &text);
    }
}

/// Adds a sentence to the description.
pub(super) fn add_words(schema: &mut Schema, words: &str) {
    let text = match schema.get("description").and_then(Value::as_str) {
        Some(known) if !known.is_empty() => format!("{known} {words}"),
        _ => words.to_owned(),
    };
    schema.insert("description".into(), Value::String(text));
}
