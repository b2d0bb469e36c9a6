//! Reading a parsed document.

use super::number::parse_f64;
use super::parse::{Node, Rules};
use super::string::{decoded_len, unquote};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "JSON's own words")]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// For messages: `an array`.
    #[must_use]
    pub const fn with_article(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// One value of a document; cheap to copy.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    bytes: &'a [u8],
    nodes: &'a [Node],
    index: usize,
    rules: Rules,
}

impl<'a> Value<'a> {
    #[inline]
    pub(super) const fn new(bytes: &'a [u8], nodes: &'a [Node], index: usize, rules: Rules) -> Self {
        Self { bytes, nodes, index, rules }
    }

    /// The kind.
    #[must_use]
    #[inline]
    pub fn kind(&self) -> Kind {
        match self.bytes[self.node().start as usize] {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// Where it stands in the document; of a string with its quotes.
    #[must_use]
    #[inline]
    pub fn span(&self) -> Range<usize> {
        let node = self.node();
        node.start as usize..node.end as usize
    }

    /// Its bytes as they came.
    #[must_use]
    #[inline]
    pub fn raw(&self) -> &'a [u8] {
        &self.bytes[self.span()]
    }

    /// Whether it is `null`.
    #[must_use]
    #[inline]
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// The decoded text of a string; borrowed if it has no escapes.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        if self.node().escaped() {
            return unquote(self.raw());
        }
        let inner = self.raw().strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        std::str::from_utf8(inner).ok().map(Cow::Borrowed)
    }

    /// Length in bytes of the decoded text of a string, without decoding it.
    #[inline]
    pub(crate) fn text_len(&self) -> usize {
        let node = self.node();
        if node.escaped() { decoded_len(self.raw()) } else { (node.end - node.start) as usize - 2 }
    }

    /// `true` or `false`.
    #[must_use]
    #[inline]
    pub fn as_bool(&self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.raw() == b"true")
    }

    /// An integer without sign, fraction or exponent that fits. `1.0` and `1e3` are not integers to every parser.
    #[must_use]
    #[inline]
    pub fn as_u64(&self) -> Option<u64> {
        if self.kind() != Kind::Number {
            return None;
        }
        std::str::from_utf8(self.raw()).ok()?.parse().ok()
    }

    /// Any number, rounded to the nearest `f64`.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        (self.kind() == Kind::Number).then(|| parse_f64(self.raw())).flatten()
    }

    /// The member of an object with this key, compared after unescaping.
    #[must_use]
    #[inline]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        let mut found = None;
        let (mut at, end) = (self.index + 1, self.inside(Kind::Object));
        while at < end {
            let name = self.nodes[at];
            let value = at + 1;
            at = self.nodes[value].next();
            // Most keys differ in length already.
            if (name.len() == key.len() + 2 || name.escaped()) && self.at(value - 1).is_text(key) {
                found = Some(self.at(value));
                if self.rules == Rules::Strict {
                    break;
                }
            }
        }
        found
    }

    /// The members of an object in document order; nothing for other kinds.
    #[inline]
    pub fn members(&self) -> impl Iterator<Item = (Cow<'a, str>, Value<'a>)> + use<'a> {
        self.members_raw().map(|(key, value)| (key.as_str().unwrap_or_default(), value))
    }

    /// As [`Value::members`], with each key as a string value.
    #[must_use]
    #[inline]
    pub fn members_raw(&self) -> Members<'a> {
        Members { value: *self, at: self.index + 1, end: self.inside(Kind::Object) }
    }

    /// The elements of an array; nothing for other kinds.
    #[must_use]
    #[inline]
    pub fn elements(&self) -> Elements<'a> {
        Elements { value: *self, at: self.index + 1, end: self.inside(Kind::Array) }
    }

    /// The value that an RFC 6901 pointer names, from here.
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<Value<'a>> {
        if pointer.is_empty() {
            return Some(*self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(*self, |value, token| value.step(token))
    }

    /// Whether it is a string with this text.
    #[must_use]
    #[inline]
    pub fn is_text(&self, text: &str) -> bool {
        let node = self.node();
        if node.escaped() {
            return self.as_str().is_some_and(|decoded| decoded == text);
        }
        node.len() == text.len() + 2
            && self.bytes[node.start as usize] == b'"'
            && &self.bytes[node.start as usize + 1..node.end as usize - 1] == text.as_bytes()
    }

    #[inline]
    const fn at(&self, index: usize) -> Value<'a> {
        Value { index, ..*self }
    }

    fn step(&self, token: &str) -> Option<Value<'a>> {
        match self.kind() {
            Kind::Object if token.contains('~') => self.get(&pointer_token(token)?),
            Kind::Object => self.get(token),
            Kind::Array if token == "0" || !token.starts_with(['0', '+']) => {
                self.elements().nth(token.parse().ok()?)
            }
            _ => None,
        }
    }

    /// End of the nodes inside, if this is a container of that kind.
    #[inline]
    fn inside(&self, kind: Kind) -> usize {
        if self.kind() == kind { self.node().next() } else { self.index + 1 }
    }

    #[inline]
    fn node(&self) -> Node {
        self.nodes[self.index]
    }
}

impl fmt::Debug for Value<'_> {
    /// Kind and place only: content is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:?}", self.kind(), self.span())
    }
}

/// `~1` is `/`, `~0` is `~`, a lone `~` is an error.
fn pointer_token(token: &str) -> Option<String> {
    let mut text = String::with_capacity(token.len());
    let mut parts = token.split('~');
    text.push_str(parts.next()?);
    for part in parts {
        let (escape, rest) = part.split_at_checked(1)?;
        text.push(match escape {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        text.push_str(rest);
    }
    Some(text)
}

/// Iterator over the members of an object.
#[derive(Clone)]
pub struct Members<'a> {
    value: Value<'a>,
    at: usize,
    end: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Value<'a>, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let key = Value { index: self.at, ..self.value };
        let value = Value { index: self.at + 1, ..self.value };
        self.at = value.node().next();
        Some((key, value))
    }
}

/// Iterator over the elements of an array.
#[derive(Clone)]
pub struct Elements<'a> {
    value: Value<'a>,
    at: usize,
    end: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let value = Value { index: self.at, ..self.value };
        self.at = value.node().next();
        Some(value)
    }
}
