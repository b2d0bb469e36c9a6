//! From bytes to the flat list of spans.

use super::error::{JsonError, JsonErrorKind};
use super::number::number_end;
use super::string::{string_end, unquote};
use super::value::Value;
use super::{MAX_DEPTH, MAX_VALUES};
use std::borrow::Cow;
use std::collections::HashSet;

/// Objects of up to so many keys are compared pair by pair; larger ones through a hash set with random keys.
const PAIRWISE: usize = 16;

/// What is refused besides broken syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Duplicate keys and lone surrogates too.
    Strict,
    /// Nothing else.
    Lenient,
}

/// One value or key. Its kind is told by its first byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// First byte.
    pub(super) start: u32,
    /// One past the last byte.
    pub(super) end: u32,
    /// Index of the node behind this one and all that is in it; the top bit says that a string has escapes.
    next: u32,
}

const ESCAPED: u32 = 1 << 31;

impl Node {
    #[inline]
    pub(super) const fn next(self) -> usize {
        (self.next & !ESCAPED) as usize
    }

    /// Bytes; of a string with its quotes.
    #[inline]
    pub(super) const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    #[inline]
    pub(super) const fn escaped(self) -> bool {
        self.next & ESCAPED != 0
    }
}

/// The spans of all values in document order; a member is its key followed by its value.
#[derive(Debug, Clone)]
pub(crate) struct Tape {
    nodes: Vec<Node>,
    rules: Rules,
}

impl Tape {
    /// Parses one document.
    pub(crate) fn parse(bytes: &[u8], rules: Rules) -> Result<Self, JsonError> {
        if bytes.len() >= ESCAPED as usize {
            return Err(JsonError { kind: JsonErrorKind::TooLarge, offset: 0 });
        }
        if bytes.starts_with(b"\xEF\xBB\xBF") {
            return Err(JsonError { kind: JsonErrorKind::ByteOrderMark, offset: 0 });
        }
        if let Err(error) = std::str::from_utf8(bytes) {
            return Err(JsonError { kind: JsonErrorKind::InvalidUtf8, offset: error.valid_up_to() });
        }
        // Chunks of streams have a value in every seven bytes or so, and no need to grow is a good part of their time.
        let nodes = Vec::with_capacity((bytes.len() / 7).clamp(16, 1024));
        let mut parser =
            Parser { bytes, at: 0, nodes, open: Open { stack: [0; MAX_DEPTH], depth: 0 }, rules };
        parser.document()?;
        Ok(Self { nodes: parser.nodes, rules })
    }

    /// The outermost value, over the bytes that were parsed.
    pub(crate) fn root<'a>(&'a self, bytes: &'a [u8]) -> Value<'a> {
        Value::new(bytes, &self.nodes, 0, self.rules)
    }

    /// How many nodes.
    pub(crate) const fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// The containers that are open, outermost first.
struct Open {
    stack: [u32; MAX_DEPTH],
    depth: usize,
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    open: Open,
    rules: Rules,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.at == self.bytes.len() {
            return Err(self.error(JsonErrorKind::Empty));
        }
        loop {
            if self.value()? {
                continue;
            }
            if self.after_value()? {
                break;
            }
        }
        if self.at < self.bytes.len() {
            return Err(self.error(JsonErrorKind::TrailingBytes));
        }
        Ok(())
    }

    /// Reads a scalar or an empty container whole (false), or the opening of a container up to its first value (true).
    fn value(&mut self) -> Result<bool, JsonError> {
        match self.bytes.get(self.at) {
            Some(b'"') => self.string()?,
            Some(b'{') => {
                self.open_container()?;
                if self.bytes.get(self.at) != Some(&b'}') {
                    self.key()?;
                    return Ok(true);
                }
                self.close()?;
            }
            Some(b'[') => {
                self.open_container()?;
                if self.bytes.get(self.at) != Some(&b']') {
                    return Ok(true);
                }
                self.close()?;
            }
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            Some(b'-' | b'0'..=b'9') => {
                let end = number_end(self.bytes, self.at)?;
                self.leaf(end, false)?;
            }
            Some(_) => return Err(self.error(JsonErrorKind::Unexpected("a value"))),
            None => return Err(self.error(JsonErrorKind::UnexpectedEnd)),
        }
        Ok(false)
    }

    /// Goes on behind a value: closes what ends here; true if the document has ended, false if a value follows.
    fn after_value(&mut self) -> Result<bool, JsonError> {
        loop {
            self.skip_space();
            let Some(top) = self.open.depth.checked_sub(1) else { return Ok(true) };
            let in_object = self.bytes[self.nodes[self.open.stack[top] as usize].start as usize] == b'{';
            match (self.bytes.get(self.at), in_object) {
                (Some(b','), true) => {
                    self.at += 1;
                    self.skip_space();
                    self.key()?;
                    return Ok(false);
                }
                (Some(b','), false) => {
                    self.at += 1;
                    self.skip_space();
                    return Ok(false);
                }
                (Some(b'}'), true) | (Some(b']'), false) => self.close()?,
                (None, _) => return Err(self.error(JsonErrorKind::UnexpectedEnd)),
                (_, true) => return Err(self.error(JsonErrorKind::Unexpected("`,` or `}`"))),
                (_, false) => return Err(self.error(JsonErrorKind::Unexpected("`,` or `]`"))),
            }
        }
    }

    #[inline]
    fn key(&mut self) -> Result<(), JsonError> {
        match self.bytes.get(self.at) {
            Some(b'"') => self.string()?,
            Some(_) => return Err(self.error(JsonErrorKind::Unexpected("a key"))),
            None => return Err(self.error(JsonErrorKind::UnexpectedEnd)),
        }
        self.skip_space();
        match self.bytes.get(self.at) {
            Some(b':') => self.at += 1,
            Some(_) => return Err(self.error(JsonErrorKind::Unexpected("`:`"))),
            None => return Err(self.error(JsonErrorKind::UnexpectedEnd)),
        }
        self.skip_space();
        Ok(())
    }

    #[inline]
    fn string(&mut self) -> Result<(), JsonError> {
        let found = string_end(self.bytes, self.at, self.rules == Rules::Lenient)?;
        self.leaf(found.end, found.escaped)
    }

    #[inline]
    fn literal(&mut self, word: &[u8]) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.error(JsonErrorKind::Unexpected("a value")));
        }
        self.leaf(self.at + word.len(), false)
    }

    #[inline]
    fn leaf(&mut self, end: usize, escaped: bool) -> Result<(), JsonError> {
        let next = self.nodes.len() as u32 + 1;
        self.push(Node {
            start: self.at as u32,
            end: end as u32,
            next: if escaped { next | ESCAPED } else { next },
        })?;
        self.at = end;
        Ok(())
    }

    fn open_container(&mut self) -> Result<(), JsonError> {
        let Some(slot) = self.open.stack.get_mut(self.open.depth) else {
            return Err(self.error(JsonErrorKind::TooDeep));
        };
        *slot = self.nodes.len() as u32;
        self.open.depth += 1;
        self.push(Node { start: self.at as u32, end: 0, next: 0 })?;
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// Closes the innermost container, whose closing byte is at `at`.
    fn close(&mut self) -> Result<(), JsonError> {
        self.open.depth -= 1;
        self.at += 1;
        let index = self.open.stack[self.open.depth] as usize;
        let behind = self.nodes.len() as u32;
        let node = &mut self.nodes[index];
        node.end = self.at as u32;
        node.next = behind;
        if self.rules == Rules::Strict && self.bytes[node.start as usize] == b'{' {
            self.unique_keys(index)?;
        }
        Ok(())
    }

    #[inline]
    fn push(&mut self, node: Node) -> Result<(), JsonError> {
        if self.nodes.len() >= MAX_VALUES {
            return Err(self.error(JsonErrorKind::TooManyValues));
        }
        self.nodes.push(node);
        Ok(())
    }

    /// Refuses an object that has a key twice.
    fn unique_keys(&self, object: usize) -> Result<(), JsonError> {
        let mut seen = [Node { start: 0, end: 0, next: 0 }; PAIRWISE];
        let mut count = 0;
        let mut index = object + 1;
        while let Some(&key) = self.nodes.get(index) {
            let Some(slot) = seen.get_mut(count) else { return self.unique_keys_hashed(object) };
            *slot = key;
            if seen[..count].iter().any(|&earlier| self.same_key(earlier, key)) {
                return Err(self.duplicate(key));
            }
            count += 1;
            index = self.nodes[index + 1].next();
        }
        Ok(())
    }

    fn unique_keys_hashed(&self, object: usize) -> Result<(), JsonError> {
        let mut seen = HashSet::new();
        let mut index = object + 1;
        while let Some(&key) = self.nodes.get(index) {
            if !seen.insert(self.key_text(key)) {
                return Err(self.duplicate(key));
            }
            index = self.nodes[index + 1].next();
        }
        Ok(())
    }

    #[inline]
    fn same_key(&self, a: Node, b: Node) -> bool {
        if a.escaped() || b.escaped() {
            return self.key_text(a) == self.key_text(b);
        }
        a.end - a.start == b.end - b.start && self.raw(a) == self.raw(b)
    }

    fn key_text(&self, key: Node) -> Cow<'_, str> {
        unquote(self.raw(key)).unwrap_or_default()
    }

    #[inline]
    fn raw(&self, node: Node) -> &[u8] {
        &self.bytes[node.start as usize..node.end as usize]
    }

    fn duplicate(&self, key: Node) -> JsonError {
        let name = self.key_text(key).chars().take(64).collect();
        JsonError { kind: JsonErrorKind::DuplicateKey(name), offset: key.start as usize }
    }

    #[inline]
    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    #[cold]
    fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError { kind, offset: self.at }
    }
}
