//! The file as it is written: a tree in which every key and value knows its line and column.
//!
//! Numbers keep their text: a price never passes through a float.

use super::problem::{Pos, Problem};
use serde::{Deserialize, de};
use serde_saphyr::{Options, Spanned};
use std::fmt;

/// Where a node stands in [`Tree`].
pub(super) type NodeId = usize;

/// The root.
pub(super) const ROOT: NodeId = 0;

/// All nodes of one file; node 0 is the root.
pub(super) struct Tree {
    nodes: Vec<Node>,
}

/// One key or value.
pub(super) struct Node {
    pub(super) at: Pos,
    pub(super) value: Value,
    parent: Option<NodeId>,
    label: Label,
}

enum Label {
    Root,
    Key(String),
    Index(usize),
}

/// What a node holds.
pub(super) enum Value {
    Null,
    Bool(bool),
    /// The number as written.
    Number(String),
    /// A string, before interpolation.
    Text(String),
    Seq(Vec<NodeId>),
    Map(Vec<Entry>),
    /// Found wrong and reported: whoever reads it says nothing more.
    Reported,
}

/// A key with its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) key: NodeId,
    pub(super) value: NodeId,
}

impl Value {
    /// How an error calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Seq(_) => "a list",
            Self::Map(_) => "a map",
            Self::Reported => "an error",
        }
    }
}

impl Tree {
    /// Parses YAML; what is no YAML at all is one problem.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let options: Options = serde_saphyr::options! {
            duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
            strict_booleans: true,
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let raw =
            serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options).map_err(|e| syntax(&e))?;
        let mut tree = Self { nodes: Vec::new() };
        tree.add(raw, None, Label::Root, text);
        Ok(tree)
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// Marks a node as wrong and reported.
    pub(super) fn poison(&mut self, id: NodeId) {
        self.nodes[id].value = Value::Reported;
    }

    /// Puts a reported value in the place of a missing one, so that nothing stumbles over the hole.
    pub(super) fn poison_missing(&mut self, map: NodeId, name: &str) {
        let at = self.nodes[map].at;
        let id = self.push(at, Value::Reported, Some(map), Label::Key(name.to_owned()));
        if let Value::Map(entries) = &mut self.nodes[map].value {
            entries.push(Entry { name: name.to_owned(), key: id, value: id });
        }
    }

    /// Keeps only these entries of a map.
    pub(super) fn set_entries(&mut self, map: NodeId, entries: Vec<Entry>) {
        self.nodes[map].value = Value::Map(entries);
    }

    /// `providers.openai.keys[0]`; empty for the root.
    pub(super) fn path(&self, id: NodeId) -> String {
        let node = &self.nodes[id];
        let parent = node.parent.map(|p| self.path(p)).unwrap_or_default();
        match &node.label {
            Label::Root => parent,
            Label::Key(name) if parent.is_empty() => name.clone(),
            Label::Key(name) => format!("{parent}.{name}"),
            Label::Index(i) => format!("{parent}[{i}]"),
        }
    }

    fn push(&mut self, at: Pos, value: Value, parent: Option<NodeId>, label: Label) -> NodeId {
        self.nodes.push(Node { at, value, parent, label });
        self.nodes.len() - 1
    }

    fn add(&mut self, raw: Spanned<Raw>, parent: Option<NodeId>, label: Label, source: &str) -> NodeId {
        let written = || written(&raw.defined, source);
        let leaf = match &raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(b) => Value::Bool(*b),
            Raw::Integer(n) => Value::Number(written().unwrap_or_else(|| n.clone())),
            Raw::Float(f) => Value::Number(written().unwrap_or_else(|| f.to_string())),
            Raw::Text(t) => Value::Text(t.clone()),
            Raw::Seq(_) | Raw::Map(_) => Value::Null,
        };
        let id = self.push(pos(&raw.referenced), leaf, parent, label);
        match raw.value {
            Raw::Seq(items) => {
                let ids = items.into_iter().enumerate();
                let ids = ids.map(|(i, item)| self.add(item, Some(id), Label::Index(i), source)).collect();
                self.nodes[id].value = Value::Seq(ids);
            }
            Raw::Map(pairs) => {
                let entries = pairs.into_iter().map(|pair| self.add_entry(pair, id, source)).collect();
                self.nodes[id].value = Value::Map(entries);
            }
            _ => {}
        }
        id
    }

    fn add_entry(
        &mut self,
        (key, value): (Spanned<String>, Spanned<Raw>),
        map: NodeId,
        source: &str,
    ) -> Entry {
        let name = key.value;
        let key_value = Value::Text(name.clone());
        let key = self.push(pos(&key.referenced), key_value, Some(map), Label::Key(name.clone()));
        let value = self.add(value, Some(map), Label::Key(name.clone()), source);
        Entry { name, key, value }
    }
}

fn pos(location: &serde_saphyr::Location) -> Pos {
    let fit = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Pos { line: fit(location.line()), column: fit(location.column()) }
}

/// The text of a plain scalar, cut out of the source: a float would have lost digits.
fn written(location: &serde_saphyr::Location, source: &str) -> Option<String> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let end = start.checked_add(usize::try_from(span.byte_len()?).ok()?)?;
    let text = source.get(start..end)?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The parser's message without its excerpt of the file: the line may hold a secret.
fn syntax(error: &serde_saphyr::Error) -> Problem {
    let at = error.location().map(|l| pos(&l)).unwrap_or_default();
    let mut message = error.without_snippet().to_string();
    if let Some(cut) = message.rfind(" at line ") {
        message.truncate(cut);
    }
    if message.starts_with("multiple YAML documents") {
        "a second YAML document: the file must hold one".clone_into(&mut message);
    }
    Problem::new(at, format!("not valid YAML: {message}"))
}

enum Raw {
    Null,
    Bool(bool),
    Integer(String),
    Float(f64),
    Text(String),
    Seq(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> de::Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Integer(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::Seq(items))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Raw::Map(pairs))
    }
}
