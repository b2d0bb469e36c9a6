//! `$ref` and recursion.

use super::walk::{Schema, any_object, each_inside, merge};
use serde_json::Value;

/// How often a schema may stand inside of itself once its references are written out.
const MAX_RECURSION: usize = 3;
/// Most schemas that are written out: a few definitions that name each other would else grow without bound.
const MAX_SCHEMAS: usize = 4_000;
/// Deepest nesting that is written out; providers refuse far less.
const MAX_DEPTH: usize = 48;

/// The schema with every reference replaced by what it names, and without definitions. What would go on for ever, what
/// cannot be found and what lies elsewhere becomes any object.
pub(super) fn inlined(root: Schema) -> Schema {
    let whole = Value::Object(root.clone());
    let mut inliner = Inliner { whole: &whole, open: Vec::new(), schemas: 0 };
    let mut schema = root;
    schema.shift_remove("$defs");
    schema.shift_remove("definitions");
    inliner.inline(&mut schema, 0);
    schema
}

/// Whether some definition holds itself.
pub(super) fn is_recursive(root: &Schema) -> bool {
    let whole = Value::Object(root.clone());
    let mut seen = Vec::new();
    let mut targets = Vec::new();
    references(&mut root.clone(), &mut targets);
    while let Some(target) = targets.pop() {
        if seen.contains(&target) {
            continue;
        }
        if reaches(&whole, &target) {
            return true;
        }
        seen.push(target);
    }
    false
}

/// Whether what a reference names refers, over any number of steps, to itself.
fn reaches(whole: &Value, start: &str) -> bool {
    let (mut seen, mut next) = (Vec::new(), vec![start.to_owned()]);
    while let Some(at) = next.pop() {
        let Some(Value::Object(found)) = find(whole, &at) else { continue };
        let mut targets = Vec::new();
        references(&mut found.clone(), &mut targets);
        for target in targets {
            if target == start {
                return true;
            }
            if !seen.contains(&target) {
                seen.push(target.clone());
                next.push(target);
            }
        }
    }
    false
}

fn references(schema: &mut Schema, found: &mut Vec<String>) {
    if let Some(Value::String(target)) = schema.get("$ref")
        && !found.contains(target)
    {
        found.push(target.clone());
    }
    each_inside(schema, &mut |inner| references(inner, found));
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
    schemas: usize,
}

impl<'a> Inliner<'a> {
    fn inline(&mut self, schema: &mut Schema, depth: usize) {
        self.schemas += 1;
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
    fn target(&self, reference: &str) -> Option<&'a Schema> {
        let times = self.open.iter().filter(|open| *open == reference).count();
        if times >= MAX_RECURSION || self.schemas > MAX_SCHEMAS {
            return None;
        }
        find(self.whole, reference)?.as_object()
    }
}
