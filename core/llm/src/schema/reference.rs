//! `$ref` and recursion.

use super::walk::{Schema, any_object, each_inside, merge, weight};
use serde_json::Value;
use std::collections::BTreeSet;

/// How often a schema may stand inside of itself once its references are written out.
const MAX_RECURSION: usize = 3;
/// Most bytes that references may add, about: a few definitions that name each other would else grow without bound.
const MAX_ADDED: usize = 512 << 10;
/// What each reference counts at least.
const LEAST: usize = 256;
/// Deepest nesting that is written out; providers refuse far less.
const MAX_DEPTH: usize = 48;

/// The schema with every reference replaced by what it names, and without definitions. What would go on for ever, what
/// cannot be found and what lies elsewhere becomes any object.
pub(super) fn inlined(root: Schema) -> Schema {
    let mut targets = Vec::new();
    root.values().for_each(|value| references(value, &mut targets));
    let whole = match (targets.is_empty(), root.get("$ref")) {
        (true, None) => Value::Null,
        _ => Value::Object(root.clone()),
    };
    let mut schema = root;
    schema.shift_remove("$defs");
    schema.shift_remove("definitions");
    if !whole.is_null() {
        Inliner { whole: &whole, open: Vec::new(), added: 0 }.inline(&mut schema, 0);
    }
    schema
}

/// Whether some definition holds itself.
pub(super) fn is_recursive(root: &Schema) -> bool {
    let whole = Value::Object(root.clone());
    // Depth first: what is on the way to here, each with the references that are still to be followed.
    let mut way = vec![(None, targets(&whole))];
    let mut open = BTreeSet::new();
    let mut done = BTreeSet::new();
    while let Some((at, rest)) = way.last_mut() {
        match rest.pop() {
            Some(next) if open.contains(next) => return true,
            Some(next) if done.contains(next) => {}
            Some(next) => {
                open.insert(next);
                way.push((Some(next), find(&whole, next).map(targets).unwrap_or_default()));
            }
            None => {
                if let Some(at) = *at {
                    open.remove(at);
                    done.insert(at);
                }
                way.pop();
            }
        }
    }
    false
}

fn targets(value: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    references(value, &mut found);
    found
}

/// The references in a value, whatever stands around them.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        Value::Object(schema) => {
            found.extend(schema.get("$ref").and_then(Value::as_str));
            schema.values().for_each(|value| references(value, found));
        }
        _ => {}
    }
}

fn find<'a>(whole: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    // Names with brackets (`Page[Item]`) come percent-encoded from some libraries.
    whole.pointer(pointer).or_else(|| whole.pointer(&percent_decoded(pointer)?))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |digit: Option<u8>| char::from(digit?).to_digit(16);
        bytes.push(match byte {
            b'%' => u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

struct Inliner<'a> {
    whole: &'a Value,
    /// The references that are being written out.
    open: Vec<String>,
    added: usize,
}

impl<'a> Inliner<'a> {
    fn inline(&mut self, schema: &mut Schema, depth: usize) {
        if depth > MAX_DEPTH {
            *schema = any_object();
            return;
        }
        let opened = self.open.len();
        while let Some(reference) = schema.shift_remove("$ref") {
            let target = reference.as_str().and_then(|reference| self.target(reference));
            // What stands beside a reference (a description) is meant for this place and counts more.
            merge(schema, target.cloned().unwrap_or_else(any_object));
            schema.shift_remove("$defs");
            schema.shift_remove("definitions");
            if let (Value::String(reference), true) = (reference, target.is_some()) {
                self.open.push(reference);
            }
        }
        each_inside(schema, &mut |inner| self.inline(inner, depth + 1));
        self.open.truncate(opened);
    }

    /// What a reference names, unless it was written out often enough.
    fn target(&mut self, reference: &str) -> Option<&'a Schema> {
        let times = self.open.iter().filter(|open| *open == reference).count();
        let target = find(self.whole, reference)?.as_object()?;
        if times >= MAX_RECURSION || self.added > MAX_ADDED {
            return None;
        }
        self.added += LEAST + weight(target);
        Some(target)
    }
}
