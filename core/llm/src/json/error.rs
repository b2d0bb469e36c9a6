//! Why a document was refused.

use std::fmt;

/// What is wrong, and at which byte of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Byte offset into the document.
    pub offset: usize,
}

/// What can be wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// Nothing but white space.
    Empty,
    /// Longer than spans can address (2 GiB).
    TooLarge,
    /// More than [`super::MAX_VALUES`] values.
    TooManyValues,
    /// Nested deeper than [`super::MAX_DEPTH`].
    TooDeep,
    /// Starts with a byte order mark.
    ByteOrderMark,
    /// Not UTF-8.
    InvalidUtf8,
    /// Ends inside a value.
    UnexpectedEnd,
    /// A byte that cannot stand there; the text says what could.
    Unexpected(&'static str),
    /// Something follows the document.
    TrailingBytes,
    /// The same key twice in one object, compared after unescaping. The key is cut to 64 characters.
    DuplicateKey(String),
    /// An unescaped control character in a string.
    ControlCharacter,
    /// A backslash that starts no JSON escape.
    BadEscape,
    /// Half of a surrogate pair.
    LoneSurrogate,
    /// Not a JSON number.
    BadNumber,
    /// Too large for an `f64`.
    NumberOverflow,
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Empty => "the body is empty, expected a JSON document",
            Self::TooLarge => "document too large",
            Self::TooManyValues => "too many values",
            Self::TooDeep => "nested deeper than 128 levels",
            Self::ByteOrderMark => "byte order mark",
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::UnexpectedEnd => "unexpected end",
            Self::Unexpected(wanted) => return write!(f, "expected {wanted}"),
            Self::TrailingBytes => "trailing bytes after the document",
            Self::DuplicateKey(key) => return write!(f, "duplicate key {key:?}"),
            Self::ControlCharacter => "unescaped control character in a string",
            Self::BadEscape => "bad escape in a string",
            Self::LoneSurrogate => "lone surrogate in a string",
            Self::BadNumber => "bad number",
            Self::NumberOverflow => "number too large",
        };
        f.write_str(text)
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.offset)
    }
}

impl std::error::Error for JsonError {}
