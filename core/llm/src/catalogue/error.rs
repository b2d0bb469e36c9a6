//! Why a catalogue file was refused.

use crate::price::DecimalError;

/// A catalogue that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Not JSON of the catalogue's shape.
    #[error("catalogue: {0}")]
    Shape(#[from] serde_json::Error),
    /// A rate of a class that does not exist.
    #[error("catalogue: {model}: unknown token class {class:?}")]
    Class {
        /// `provider/name`
        model: String,
        /// As written.
        class: String,
    },
    /// A price that is no exact decimal.
    #[error("catalogue: {model}: {what}: {error}")]
    Price {
        /// `provider/name`
        model: String,
        /// The class or unit it is for.
        what: &'static str,
        /// What is wrong with it.
        error: DecimalError,
    },
    /// Thresholds that do not grow.
    #[error(
        "catalogue: {model}: `over` wants growing numbers of tokens, and {tokens} is not over the one before it"
    )]
    Threshold {
        /// `provider/name`
        model: String,
        /// As written.
        tokens: u64,
    },
    /// An ability that does not exist.
    #[error("catalogue: {model}: unknown ability {cap:?}")]
    Cap {
        /// `provider/name`
        model: String,
        /// As written.
        cap: String,
    },
    /// Numbers that nobody vouches for.
    #[error(
        "catalogue: {0}: say where its numbers are from: `source` and `checked_on`, or `by` with names of `sources`"
    )]
    Unsourced(String),
    /// The same `provider/name` twice.
    #[error("catalogue: {0} stands there twice")]
    Twice(String),
}
