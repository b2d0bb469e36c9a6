//! From JSON to rules.
//!
//! - this file: subschemas, one after the other, and references between them.
//! - `read`: the values of keywords.
//! - `scalars`, `arrays`, `objects`, `logic`: which keywords make which rule.

mod arrays;
mod logic;
mod objects;
mod read;
mod scalars;

use super::rule::{Id, Rule};
use super::{Schema, Unsupported};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The keywords of a subschema.
type Keywords = Map<String, Value>;

/// What asks for something that is not checked here.
const UNSUPPORTED: [&str; 4] = ["$dynamicRef", "$recursiveRef", "unevaluatedItems", "unevaluatedProperties"];

/// Longest list of subschemas, references to them not counted.
const MAX_NODES: usize = 10_000;

pub(super) fn compile(schema: &Value) -> Result<Schema, Unsupported> {
    let mut compiler = Compiler {
        whole: schema,
        anchors: HashMap::new(),
        known: HashMap::new(),
        todo: Vec::new(),
        nodes: Vec::new(),
    };
    compiler.find_anchors(schema);
    let root = compiler.id(schema);
    while let Some((id, schema)) = compiler.todo.pop() {
        let rules = compiler.rules(schema)?;
        if let Some(node) = compiler.nodes.get_mut(id) {
            *node = rules;
        }
        if compiler.nodes.len() > MAX_NODES {
            return Err(unsupported(format!("it has more than {MAX_NODES} subschemas")));
        }
    }
    Ok(Schema { nodes: compiler.nodes, root })
}

/// Subschemas wait in a list, so that a chain of references costs no stack.
struct Compiler<'a> {
    whole: &'a Value,
    anchors: HashMap<&'a str, &'a Value>,
    /// By the address of the JSON value.
    known: HashMap<usize, Id>,
    todo: Vec<(Id, &'a Value)>,
    nodes: Vec<Vec<Rule>>,
}

impl<'a> Compiler<'a> {
    /// The index of a subschema, which is compiled later if it is new.
    fn id(&mut self, schema: &'a Value) -> Id {
        let address = std::ptr::from_ref(schema).addr();
        if let Some(id) = self.known.get(&address) {
            return *id;
        }
        let id = self.nodes.len();
        self.nodes.push(Vec::new());
        self.known.insert(address, id);
        self.todo.push((id, schema));
        id
    }

    fn rules(&mut self, schema: &'a Value) -> Result<Vec<Rule>, Unsupported> {
        let keywords = match schema {
            Value::Bool(true) => return Ok(Vec::new()),
            Value::Bool(false) => return Ok(vec![Rule::Never]),
            Value::Object(keywords) => keywords,
            _ => return Err(unsupported("a subschema is neither an object nor a boolean")),
        };
        if let Some(keyword) = UNSUPPORTED.iter().find(|keyword| keywords.contains_key(**keyword)) {
            return Err(unsupported(format!("`{keyword}` is not supported")));
        }
        // It would give the references below it another base.
        if keywords.contains_key("$id") && !std::ptr::eq(schema, self.whole) {
            return Err(unsupported("`$id` is supported at the top only"));
        }
        let mut rules = Vec::new();
        scalars::read(keywords, &mut rules)?;
        arrays::read(self, keywords, &mut rules)?;
        objects::read(self, keywords, &mut rules)?;
        logic::read(self, keywords, &mut rules)?;
        Ok(rules)
    }

    /// What a reference within this document names.
    fn referred(&self, reference: &str) -> Result<&'a Value, Unsupported> {
        let Some(fragment) = reference.strip_prefix('#') else {
            return Err(unsupported("a `$ref` leads to another document"));
        };
        let fragment = decode(fragment).ok_or_else(|| unsupported("a `$ref` is no reference"))?;
        let found = match fragment.as_str() {
            pointer if pointer.is_empty() || pointer.starts_with('/') => self.whole.pointer(pointer),
            anchor => self.anchors.get(anchor).copied(),
        };
        found.ok_or_else(|| unsupported("a `$ref` leads nowhere"))
    }

    fn find_anchors(&mut self, schema: &'a Value) {
        match schema {
            Value::Object(members) => {
                for keyword in ["$anchor", "$dynamicAnchor"] {
                    if let Some(name) = members.get(keyword).and_then(Value::as_str) {
                        self.anchors.insert(name, schema);
                    }
                }
                members.values().for_each(|value| self.find_anchors(value));
            }
            Value::Array(items) => items.iter().for_each(|item| self.find_anchors(item)),
            _ => {}
        }
    }
}

/// A fragment without its percent-encoding.
fn decode(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (code, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn unsupported(why: impl Into<String>) -> Unsupported {
    Unsupported(why.into())
}
