//! Sums over postings, for people.

use weir_llm::price::Nanos;
use weir_llm::usage::Usage;

/// What to sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Query {
    /// Unix milliseconds, inclusive; `None`: from the first row on.
    pub since_ms: Option<i64>,
    /// Unix milliseconds, exclusive; `None`: up to the last row.
    pub until_ms: Option<i64>,
    /// One row per what.
    pub group_by: GroupBy,
}

/// What a row of sums stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupBy {
    /// A key: its public id.
    #[default]
    Key,
    /// A model that served.
    Model,
    /// A provider.
    Provider,
    /// A day, UTC: `2026-01-31`.
    Day,
}

impl GroupBy {
    /// `key`, `model`, `provider`, `day`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "key" => Some(Self::Key),
            "model" => Some(Self::Model),
            "provider" => Some(Self::Provider),
            "day" => Some(Self::Day),
            _ => None,
        }
    }
}

/// The sums of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// Key id, model, provider or day; empty for exchanges that nobody served.
    pub group: String,
    /// The key's name, if grouped by key.
    pub name: Option<String>,
    /// Exchanges.
    pub exchanges: u64,
    /// Of those, how many did not end in a complete reply or a cache hit.
    pub unfinished: u64,
    /// Of those, how many came from the response cache.
    pub cache_hits: u64,
    /// Tokens and other units by class.
    pub usage: Usage,
    /// What customers pay.
    pub charged: Nanos,
    /// What providers charge, as far as it is known.
    pub provider_cost: Nanos,
    /// Exchanges whose provider cost is not known and so not in the sum.
    pub unpriced: u64,
    /// What cached input saved.
    pub saved_by_cached_input: Nanos,
    /// What the response cache saved.
    pub saved_by_cache: Nanos,
}
