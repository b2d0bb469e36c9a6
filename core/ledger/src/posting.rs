//! What is written down about an exchange when it ends.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_llm::price::Nanos;
use weir_llm::usage::{Source, Usage};

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// A complete reply.
    Ok,
    /// The client went away.
    ClientAbort,
    /// The upstream broke off after the reply had begun.
    UpstreamCut,
    /// No attempt gave a reply.
    Failed,
    /// A policy or a limit said no after the reservation.
    Refused,
    /// Answered from the response cache.
    CacheHit,
}

impl Outcome {
    /// `ok`, `client-abort`, `upstream-cut`, `failed`, `refused`, `cache-hit`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientAbort => "client-abort",
            Self::UpstreamCut => "upstream-cut",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::CacheHit => "cache-hit",
        }
    }

    /// The stored number.
    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::Ok => 0,
            Self::ClientAbort => 1,
            Self::UpstreamCut => 2,
            Self::Failed => 3,
            Self::Refused => 4,
            Self::CacheHit => 5,
        }
    }
}

/// One row per exchange, written once. The exchange and the key are those of the reservation that it settles.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Posting {
    /// The id that the client was told, if it is not the exchange's.
    pub request_id: Option<Arc<str>>,
    /// Unix milliseconds at which the exchange ended.
    pub at_ms: i64,
    /// The API that the caller spoke, such as `chat`.
    pub api: Arc<str>,
    /// The model name that the caller asked for, as configured.
    pub alias: Arc<str>,
    /// Who served it; empty if nobody did.
    pub provider: Arc<str>,
    /// The model that served it; empty if none did.
    pub model: Arc<str>,
    /// How it ended.
    pub status: Outcome,
    /// Attempts made.
    pub attempts: u32,
    /// Whether the reply was a stream.
    pub stream: bool,
    /// Tokens and other units by class.
    pub usage: Usage,
    /// Who counted them.
    pub usage_source: Source,
    /// What the customer pays.
    pub charged: Nanos,
    /// What the provider charges; `None`: its price is not known, which is not zero.
    pub provider_cost: Option<Nanos>,
    /// What cached input saved against the list price.
    pub saved_by_cached_input: Nanos,
    /// What the response cache saved.
    pub saved_by_cache: Nanos,
    /// The catalogue that the prices are from.
    pub catalogue_version: Arc<str>,
    /// The snapshot of config and policies that the exchange ran under.
    pub generation: u64,
    /// Milliseconds to the first byte of content, if one came.
    pub ttft_ms: Option<u32>,
    /// Milliseconds from accept to end.
    pub total_ms: u32,
}

/// More than this is not believed of one exchange: it keeps sums of rows inside 64 bits.
const MAX_CHARGE: i64 = 1_000_000 * 1_000_000_000;

impl Posting {
    /// Its reply is withheld, so nobody pays for it; what the provider takes is taken.
    pub(crate) fn withhold(&mut self) {
        if matches!(self.status, Outcome::Ok | Outcome::CacheHit) {
            self.status = Outcome::Failed;
            self.charged = Nanos(0);
            self.saved_by_cached_input = Nanos(0);
            self.saved_by_cache = Nanos(0);
        }
    }

    /// Charges and costs are between nothing and a million dollars, savings (which may be losses) within that.
    pub(crate) fn is_sane(&self) -> bool {
        let owed = [self.charged.0, self.provider_cost.map_or(0, |cost| cost.0)];
        let saved = [self.saved_by_cached_input.0, self.saved_by_cache.0];
        owed.iter().all(|amount| (0..=MAX_CHARGE).contains(amount))
            && saved.iter().all(|amount| (-MAX_CHARGE..=MAX_CHARGE).contains(amount))
    }
}
