//! The schemas inside of a schema, merging, notes.

use serde_json::{Map, Value, json};
use std::collections::HashSet;

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

/// As [`each_inside`], only to look at.
pub(super) fn inside(schema: &Schema) -> Vec<&Schema> {
    let mut found = Vec::new();
    for (key, value) in schema {
        match value {
            Value::Object(inner) if MAPS.contains(&key.as_str()) => {
                found.extend(inner.values().filter_map(Value::as_object));
            }
            Value::Object(inner) if SINGLE.contains(&key.as_str()) => found.push(inner),
            Value::Array(inner) if LISTS.contains(&key.as_str()) => {
                found.extend(inner.iter().filter_map(Value::as_object));
            }
            _ => {}
        }
    }
    found
}

/// How much a value is, in bytes of text or so.
pub(super) fn weight(value: &Value) -> usize {
    const TOKEN: usize = 4;
    TOKEN
        + match value {
            Value::String(text) => text.len(),
            Value::Array(list) => list.iter().map(weight).sum(),
            Value::Object(members) => members.iter().map(|(key, value)| key.len() + weight(value)).sum(),
            _ => TOKEN,
        }
}

/// Takes so much of what room there is; `false`, and none is left, if there is not so much.
pub(super) fn take(room: &mut usize, weight: usize) -> bool {
    let left = room.checked_sub(weight);
    *room = left.unwrap_or(0);
    left.is_some()
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
                let had = texts(known);
                let new =
                    more.into_iter().filter(|name| name.as_str().is_some_and(|name| !had.contains(name)));
                known.extend(new.collect::<Vec<_>>());
            }
            _ => {}
        }
    }
}

/// The texts of a list.
pub(super) fn texts(list: &[Value]) -> HashSet<String> {
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
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
    let names = |one: &Schema| -> Vec<Value> {
        one.get("required").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let mut lists = alternatives.iter().map(names);
    let mut common = lists.next().unwrap_or_default();
    for list in lists {
        let list = texts(&list);
        common.retain(|name| name.as_str().is_some_and(|name| list.contains(name)));
    }
    let own = names(schema);
    let named = texts(&own);
    for mut alternative in alternatives {
        merge_all_of(&mut alternative);
        // Its type and words are those of one alternative only.
        alternative.retain(|key, _| matches!(key.as_str(), "properties" | "$defs" | "definitions"));
        merge(schema, alternative);
    }
    let all: Vec<Value> = own
        .into_iter()
        .chain(common.into_iter().filter(|name| !name.as_str().is_some_and(|name| named.contains(name))))
        .collect();
    if !all.is_empty() {
        schema.insert("required".into(), Value::Array(all));
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
