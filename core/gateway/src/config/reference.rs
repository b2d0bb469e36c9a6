//! The JSON Schema for editors, and the reference for readers: both from the doc comments of the file's shape.

use super::file::File;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::sync::LazyLock;

/// The JSON Schema of `weir.yaml` (draft 2020-12).
#[must_use]
pub fn schema() -> Value {
    shared_schema().clone()
}

/// The same, made once.
pub(super) fn shared_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let mut schema = SchemaGenerator::default().into_root_schema_for::<File>();
        NoNull.transform(&mut schema);
        schema.to_value()
    });
    &SCHEMA
}

/// The reference as Markdown: one table per section.
#[must_use]
pub fn reference_markdown() -> String {
    let root = shared_schema();
    let mut out = String::new();
    if let Some(text) = root.get("description").and_then(Value::as_str) {
        let _ = writeln!(out, "{}\n", one_line(text));
    }
    let (plain, sections): (Vec<_>, Vec<_>) =
        properties(root).into_iter().partition(|(_, s)| rows_below(root, s).is_empty());
    table(&mut out, &plain.iter().map(|(name, schema)| row(root, name, schema)).collect::<Vec<_>>());
    for (name, section) in sections {
        let _ = writeln!(out, "\n### `{name}`\n\n{}\n", describe(root, section));
        let mut rows = Vec::new();
        collect(root, section, "", &mut rows);
        table(&mut out, &rows);
    }
    out
}

/// A key that is there has a value: `null` is no value.
#[derive(Clone)]
struct NoNull;

impl Transform for NoNull {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(object) = schema.as_object_mut() {
            drop_null(object);
        }
        transform_subschemas(self, schema);
    }
}

fn drop_null(schema: &mut Map<String, Value>) {
    for key in ["type", "enum", "anyOf"] {
        let Some(Value::Array(options)) = schema.get_mut(key) else { continue };
        options.retain(|option| {
            !option.is_null() && option != "null" && option.get("type").is_none_or(|kind| kind != "null")
        });
        if let [only] = options.as_slice() {
            let only = only.clone();
            match (key, only) {
                ("type", only) => drop(schema.insert("type".to_owned(), only)),
                ("anyOf", Value::Object(only)) => {
                    schema.remove("anyOf");
                    for (key, value) in only {
                        schema.entry(key).or_insert(value);
                    }
                }
                _ => {}
            }
        }
    }
}

struct Row {
    key: String,
    kind: String,
    default: String,
    text: String,
}

fn table(out: &mut String, rows: &[Row]) {
    out.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
    for Row { key, kind, default, text } in rows {
        let _ = writeln!(out, "| `{key}` | {kind} | {default} | {text} |");
    }
}

/// Everything below a schema, depth first.
fn collect(root: &Value, schema: &Value, prefix: &str, rows: &mut Vec<Row>) {
    let list = |schema: &Value| schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut required = list(resolve(root, schema));
    let alternatives = resolve(root, schema).get("anyOf").and_then(Value::as_array);
    required.extend(alternatives.into_iter().flatten().flat_map(|option| list(resolve(root, option))));
    for (name, schema, separator) in children(root, schema) {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}{separator}{name}") };
        // What stands for any name or any item says nothing; what holds it does.
        if !key.ends_with(['>', ']']) {
            let mut row = row(root, &key, schema);
            if required.iter().any(|r| *r == name) {
                "required".clone_into(&mut row.default);
            }
            rows.push(row);
        }
        collect(root, schema, &key, rows);
    }
}

/// What stands below: named keys, `<name>` of a table, or what a list's maps hold.
fn children<'a>(root: &'a Value, schema: &'a Value) -> Vec<(String, &'a Value, &'static str)> {
    let schema = resolve(root, schema);
    let alternatives = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let mut found: Vec<_> = alternatives.flat_map(|option| children(root, option)).collect();
    found.extend(properties(schema).into_iter().map(|(name, child)| (name.to_owned(), child, ".")));
    if let Some(entry) = schema.get("additionalProperties").filter(|entry| entry.is_object()) {
        found.push(("<name>".to_owned(), entry, "."));
    }
    if let Some(item) = schema.get("items").filter(|item| !children(root, item).is_empty()) {
        found.push(("[]".to_owned(), item, ""));
    }
    found
}

fn rows_below(root: &Value, schema: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    collect(root, schema, "", &mut rows);
    rows
}

fn properties(schema: &Value) -> Vec<(&str, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(name, child)| (name.as_str(), child)).collect()
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

fn describe(root: &Value, schema: &Value) -> String {
    let own = schema.get("description").or_else(|| resolve(root, schema).get("description"));
    own.and_then(Value::as_str).map(one_line).unwrap_or_default()
}

fn row(root: &Value, key: &str, schema: &Value) -> Row {
    let text = describe(root, schema).replace('|', "\\|");
    let default = match schema.get("default") {
        Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(Value::Array(_) | Value::Object(_)) | None => String::new(),
        Some(value) => format!("`{value}`"),
    };
    Row { key: key.to_owned(), kind: kind(resolve(root, schema)), default, text }
}

fn kind(schema: &Value) -> String {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<_> = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    let text = |key| schema.get(key).and_then(Value::as_str);
    match text("type") {
        Some("object") => "map".to_owned(),
        Some("array") => {
            match schema.get("items").and_then(|item| item.get("title")).and_then(Value::as_str) {
                Some("capability") => "list of capabilities".to_owned(),
                Some(item) => format!("list of {item}s"),
                None => "list".to_owned(),
            }
        }
        _ => text("title").unwrap_or("value").to_owned(),
    }
}

/// Doc comments are wrapped; a table cell is not.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
