//! The tree against the JSON Schema: unknown, missing and repeated keys, and values of the wrong kind, all of them.
//!
//! What is wrong is reported once and taken out of the tree, so that the rest of the file can still be read.

use super::problem::{Problem, did_you_mean};
use super::tree::{Entry, NodeId, Tree, Value};
use serde_json::{Map, Value as Json};
use std::sync::LazyLock;

/// Checks the whole tree.
pub(super) fn check(tree: &mut Tree, schema: &Json) -> Vec<Problem> {
    let mut check = Check { tree, schema, problems: Vec::new() };
    check.node(0, schema);
    check.problems
}

struct Check<'a> {
    tree: &'a mut Tree,
    schema: &'a Json,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn node(&mut self, id: NodeId, schema: &'a Json) {
        let Some(schema) = self.pick(id, schema) else { return self.wrong_kind(id, schema) };
        match &self.tree.node(id).value {
            Value::Map(entries) => {
                let entries = entries.clone();
                self.map(id, entries, schema);
            }
            Value::Seq(items) => {
                let item_schema = schema.get("items").unwrap_or(&ANYTHING);
                for item in items.clone() {
                    self.node(item, item_schema);
                }
            }
            _ => {}
        }
    }

    /// The schema without references, and of several alternatives the one that takes a value of this kind.
    fn pick(&self, id: NodeId, schema: &'a Json) -> Option<&'a Map<String, Json>> {
        let schema = self.resolve(schema);
        let Some(schema) = schema.as_object() else { return Some(&EMPTY) };
        match schema.get("anyOf").and_then(Json::as_array) {
            Some(options) => options.iter().find_map(|option| self.pick(id, option)),
            None => takes(schema, &self.tree.node(id).value).then_some(schema),
        }
    }

    fn resolve(&self, schema: &'a Json) -> &'a Json {
        let target = schema.get("$ref").and_then(Json::as_str).and_then(|r| r.strip_prefix('#'));
        target.and_then(|pointer| self.schema.pointer(pointer)).unwrap_or(schema)
    }

    fn map(&mut self, id: NodeId, entries: Vec<Entry>, schema: &'a Map<String, Json>) {
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&EMPTY);
        let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(first) = kept.iter().find(|k| k.name == entry.name) {
                let line = self.tree.node(first.key).at.line;
                self.report(entry.key, id, format!("`{}` is already set in line {line}", entry.name));
                continue;
            }
            match properties.get(&entry.name).or_else(|| schema.get("additionalProperties")) {
                Some(Json::Bool(false)) => {
                    let message = unknown(&entry.name, properties);
                    self.report(entry.key, id, message);
                    continue;
                }
                Some(value_schema) => self.node(entry.value, value_schema),
                None => self.node(entry.value, &ANYTHING),
            }
            kept.push(entry);
        }
        let missing: Vec<_> = required(schema).filter(|name| !kept.iter().any(|k| k.name == *name)).collect();
        self.tree.set_entries(id, kept);
        for name in missing {
            self.report(id, id, format!("`{name}` is missing"));
            self.tree.poison_missing(id, name);
        }
    }

    /// `place` is where it stands, `owner` whose path goes before the message.
    fn report(&mut self, place: NodeId, owner: NodeId, message: String) {
        let path = self.tree.path(owner);
        let message = if path.is_empty() { message } else { format!("{path}: {message}") };
        self.problems.push(Problem::new(self.tree.node(place).at, message));
    }

    fn wrong_kind(&mut self, id: NodeId, schema: &'a Json) {
        let found = &self.tree.node(id).value;
        let expected = self.expected(schema);
        let message = match found {
            Value::Null if id == 0 => "the file is empty".to_owned(),
            Value::Null => format!("has no value: expected {expected}; leave the key out for the default"),
            _ => format!("expected {expected}, found {}", found.kind()),
        };
        self.report(id, id, message);
        self.stand_in(id, schema);
    }

    /// What was reported is replaced by what decodes silently: for a map, one with its required keys.
    fn stand_in(&mut self, id: NodeId, schema: &'a Json) {
        self.tree.poison(id);
        let Some(schema) = self.resolve(schema).as_object() else { return };
        if schema.get("type").is_some_and(|kind| kind == "object") {
            self.tree.set_entries(id, Vec::new());
            for name in required(schema) {
                self.tree.poison_missing(id, name);
            }
        }
    }

    fn expected(&self, schema: &'a Json) -> String {
        let schema = self.resolve(schema);
        if let Some(options) = schema.get("anyOf").and_then(Json::as_array) {
            let options: Vec<_> = options.iter().map(|option| self.expected(option)).collect();
            return options.join(" or ");
        }
        let name = |key| schema.get(key).and_then(Json::as_str);
        match (name("type"), name("title")) {
            (Some("object"), _) => "a map".to_owned(),
            (Some("array"), _) => "a list".to_owned(),
            (_, Some(title)) => format!("a {title}"),
            _ => "a value".to_owned(),
        }
    }
}

/// The schema that says nothing.
static EMPTY: LazyLock<Map<String, Json>> = LazyLock::new(Map::new);
static ANYTHING: Json = Json::Null;

fn required(schema: &Map<String, Json>) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

/// Scalars are interchangeable here: `"2"`, `2` and `${env:N}` may all stand for a number.
fn takes(schema: &Map<String, Json>, value: &Value) -> bool {
    let only = schema.get("type").and_then(Json::as_str);
    match value {
        Value::Reported => true,
        Value::Null => !schema.contains_key("type"),
        Value::Seq(_) => matches!(only, Some("array")) || !schema.contains_key("type"),
        Value::Map(_) => matches!(only, Some("object")) || !schema.contains_key("type"),
        _ => !matches!(only, Some("object" | "array")),
    }
}

fn unknown(name: &str, known: &Map<String, Json>) -> String {
    let hint = did_you_mean(name, known.keys().map(String::as_str));
    if hint.is_empty() {
        let known: Vec<_> = known.keys().map(|k| format!("`{k}`")).collect();
        return format!("unknown key `{name}`; known: {}", known.join(", "));
    }
    format!("unknown key `{name}`{hint}")
}
