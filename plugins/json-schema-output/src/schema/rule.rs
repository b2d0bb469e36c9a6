//! What a schema asks of a value.

use super::pattern::Pattern;
use serde_json::{Number, Value};

/// A subschema, as an index.
pub(super) type Id = usize;

/// One keyword, or several that mean something together only. A rule about one type of value lets all others pass.
#[derive(Debug)]
pub(super) enum Rule {
    /// The schema `false`.
    Never,
    Types(Vec<Type>),
    /// `enum`, and `const` as the only one.
    OneOf(Vec<Value>),
    Limit(Limit, Number),
    MultipleOf(Number),
    /// In characters.
    Length(Range),
    Pattern(Pattern),
    Items {
        prefix: Vec<Id>,
        rest: Option<Id>,
    },
    Contains {
        id: Id,
        count: Range,
    },
    ItemCount(Range),
    Unique,
    Properties {
        known: Vec<(String, Id)>,
        patterns: Vec<(Pattern, Id)>,
        rest: Option<Id>,
    },
    Names(Id),
    Required(Vec<String>),
    PropertyCount(Range),
    /// A property, and what must be there with it.
    RequiredWith(String, Vec<String>),
    /// A property, and what the object must fit with it.
    FitsWith(String, Id),
    All(Vec<Id>),
    Any(Vec<Id>),
    One(Vec<Id>),
    Not(Id),
    If {
        test: Id,
        then: Option<Id>,
        otherwise: Option<Id>,
    },
}

/// The types of JSON, and `integer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl Type {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "string" => Self::String,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// Which side of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Min,
    Above,
    Max,
    Below,
}

/// How many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) min: usize,
    pub(super) max: usize,
}

impl Range {
    pub(super) const fn holds(self, count: usize) -> bool {
        self.min <= count && count <= self.max
    }
}
