//! Compiling and checking JSON Schema, as draft 2020-12 reads it; what older drafts write for the same is read too.
//!
//! Small, because a component carries it, and bounded, because schema and value come from strangers: compiling follows
//! references without recursion, checking counts its steps. A keyword that cannot be checked makes the schema unsupported
//! rather than weaker: `unevaluatedProperties`, `unevaluatedItems`, `$dynamicRef`, `$recursiveRef`, references to other
//! documents, patterns with look-around. `format` is an annotation, as the draft has it by default.
//!
//! # Layout
//!
//! - `compile`: from JSON to rules.
//! - `rule`: what a schema asks of a value.
//! - `check`: a value against the rules.
//! - `number`, `equal`, `pattern`: the parts that JSON leaves to the reader.

mod check;
mod compile;
mod equal;
mod number;
mod pattern;
mod rule;

#[cfg(test)]
mod tests;

use rule::{Id, Rule};
use serde_json::Value;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    /// The rules of each subschema.
    nodes: Vec<Vec<Rule>>,
    root: Id,
}

/// Why a schema cannot be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported(String);

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a value does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It is not what the schema asks for.
    Mismatch {
        /// An RFC 6901 pointer; empty for the whole value.
        path: String,
        /// A sentence without a subject, and nothing of the value.
        why: String,
    },
    /// Too deep, or too many steps.
    TooMuch,
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// It is none, or has what cannot be checked.
    pub fn compile(schema: &Value) -> Result<Self, Unsupported> {
        compile::compile(schema)
    }

    /// Checks a value.
    ///
    /// # Errors
    /// It does not fit, or it cannot be told within bounds.
    pub fn check(&self, value: &Value) -> Result<(), Failure> {
        check::check(self, value)
    }
}
