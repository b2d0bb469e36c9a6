//! `$ref` and recursion.

use super::walk::{Schema, any_object, each_inside, inside, merge, take, weight};
use serde_json::Value;
use std::collections::HashSet;

/// How often a schema may stand inside of itself once its references are written out.
const MAX_RECURSION: usize = 3;
/// Most that is written out in the place of references, in bytes or so: a few definitions that name each other, or a
/// large one that is named often, would else grow without bound.
const MAX_WRITTEN: usize = 1 << 20;
/// What each reference counts at least.
const LEAST: usize = 256;
/// Most schemas that are looked at to find out whether a schema is recursive; one that has more is taken to be.
const MAX_SEEN: usize = 1 << 16;
/// Deepest nesting that is written out; providers refuse far less.
const MAX_DEPTH: usize = 48;

/// The schema with every reference replaced by what it names, and without definitions. What would go on for ever, what
/// cannot be found and what lies elsewhere becomes any object.
pub(super) fn inlined(root: Schema) -> Schema {
    let whole = Value::Object(root.clone());
    let mut inliner = Inliner { whole: &whole, open: Vec::new(), room: MAX_WRITTEN };
    let mut schema = root;
    schema.shift_remove("$defs");
    schema.shift_remove("definitions");
    inliner.inline(&mut schema, 0);
    schema
}

/// Whether some definition holds itself.
pub(super) fn is_recursive(root: &Schema) -> bool {
    let whole = Value::Object(root.clone());
    let mut search = Search { whole: &whole, open: HashSet::new(), done: HashSet::new(), depth: 0, seen: 0 };
    search.schema(root)
}

/// Follows references depth first.
struct Search<'a> {
    whole: &'a Value,
    /// The references on the way here.
    open: HashSet<&'a str>,
    /// The references behind which there is no recursion.
    done: HashSet<&'a str>,
    depth: usize,
    seen: usize,
}

impl<'a> Search<'a> {
    /// Whether recursion lies in a schema or behind it.
    fn schema(&mut self, schema: &'a Schema) -> bool {
        self.seen += 1;
        self.depth += 1;
        let target = schema.get("$ref").and_then(Value::as_str);
        // The way here is on the stack, and so must not be long either.
        let found = self.seen > MAX_SEEN
            || self.depth > 4 * MAX_DEPTH
            || target.is_some_and(|target| self.reference(target))
            || inside(schema).into_iter().any(|inner| self.schema(inner));
        self.depth -= 1;
        found
    }

    fn reference(&mut self, target: &'a str) -> bool {
        if self.done.contains(target) {
            return false;
        }
        if !self.open.insert(target) {
            return true;
        }
        let found = find(self.whole, target).and_then(Value::as_object);
        let recursive = found.is_some_and(|schema| self.schema(schema));
        self.open.remove(target);
        self.done.insert(target);
        recursive
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
    /// How much may still be written out.
    room: usize,
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

    /// What a reference names, unless it was written out often enough or there is no room for it.
    fn target(&mut self, reference: &str) -> Option<&'a Schema> {
        let times = self.open.iter().filter(|open| *open == reference).count();
        if times >= MAX_RECURSION {
            return None;
        }
        let target = find(self.whole, reference)?;
        take(&mut self.room, LEAST + weight(target)).then_some(())?;
        target.as_object()
    }
}
