//! Providers that copy a dialect of another's, as rows of a table: where each differs is a flag.

use crate::api::Dialect;

/// A provider as its public documentation describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vendor {
    /// Its name in config and in the catalogue.
    pub name: &'static str,
    /// Where its API is.
    pub base_url: &'static str,
    /// What it speaks.
    pub dialect: Dialect,
    /// Where it differs from the dialect's maker.
    pub quirks: Quirks,
}

/// Where an OpenAI-compatible provider differs. The default is a provider of which nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "a flag set, a row of the table sets few")]
pub struct Quirks {
    /// Knows `max_completion_tokens` and, for its reasoning models, only that.
    pub completion_tokens: bool,
}

/// A provider of which nothing is known but its dialect.
pub const UNKNOWN: Vendor = Vendor {
    name: "",
    base_url: "",
    dialect: Dialect::OpenAiChat,
    quirks: Quirks { completion_tokens: false },
};
