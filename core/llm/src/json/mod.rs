//! A strict JSON document over the bytes as they came: *one parse, one truth*.
//!
//! Policy sees our parse, the provider parses the same bytes with its own parser. Whatever two sound parsers could read
//! differently is refused: duplicate keys at any depth (compared after unescaping), invalid UTF-8, lone surrogates, a
//! byte order mark, nesting over [`MAX_DEPTH`], trailing bytes, control characters in strings, numbers that are no JSON
//! or overflow an `f64`. Nothing is decoded ahead of need: a document is the bytes plus one flat list of spans.
//!
//! Replies of providers are read by [`Json::parse_lenient`], which minds syntax but takes duplicate keys (the last one
//! counts, as in Python and JavaScript) and lone surrogates (read as U+FFFD): what a provider sent is not ours to refuse.

mod error;
mod number;
mod parse;
mod splice;
mod string;
mod value;
mod write;

pub use error::{JsonError, JsonErrorKind};
pub(crate) use splice::parts;
pub use splice::splice;
pub use string::{quote, unquote};
pub use value::{Elements, Kind, Members, Value};
pub use write::Writer;

pub(crate) use parse::{Rules, Tape};
pub(crate) use string::{decoded_len, string_end};

use crate::payload::Payload;
use bytes::Bytes;
use std::fmt;

/// Deepest nesting that is read: the document's outermost array or object is level 1.
pub const MAX_DEPTH: usize = 128;

/// Most values (keys included) in one document. Bounds memory: a body of `[0,0,…]` would otherwise cost six times its
/// length in spans.
pub const MAX_VALUES: usize = 1 << 20;

/// A parsed document: the bytes and the spans of its values.
#[derive(Clone)]
pub struct Json {
    bytes: Payload,
    tape: Tape,
}

impl Json {
    /// Parses one strict document.
    ///
    /// # Errors
    /// [`JsonError`] says what is wrong and at which byte.
    pub fn parse(bytes: Bytes) -> Result<Self, JsonError> {
        let bytes = Payload::new(bytes);
        let tape = Tape::parse(bytes.expose(), Rules::Strict)?;
        Ok(Self { bytes, tape })
    }

    /// Parses what a provider sent: duplicate keys (the last counts) and lone surrogates (U+FFFD) are let through.
    ///
    /// # Errors
    /// As [`Json::parse`], for the rest.
    pub fn parse_lenient(bytes: Bytes) -> Result<Self, JsonError> {
        let bytes = Payload::new(bytes);
        let tape = Tape::parse(bytes.expose(), Rules::Lenient)?;
        Ok(Self { bytes, tape })
    }

    /// The outermost value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        self.tape.root(self.bytes.expose())
    }

    /// The bytes as they came.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        self.bytes.expose()
    }
}

impl fmt::Debug for Json {
    /// Sizes only: content is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes, {} values)", self.bytes.len(), self.tape.len())
    }
}
