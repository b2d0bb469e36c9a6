//! What `price` is told and answers. Integers only: nano-dollars, pico-dollars a unit.

use std::sync::Arc;
use weir_llm::price::{Nanos, Rate};
use weir_llm::usage::Usage;

/// What was used or, for a quote, the most that may be; what a unit of it costs; what that comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    /// The target's id.
    pub target_id: Arc<str>,
    /// By class.
    pub usage: Usage,
    /// The target's rates.
    pub rates: Arc<[Rate]>,
    /// By the catalogue's or the operator's rates.
    pub list_price: Nanos,
}

/// The answer of `price`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// What the customer pays.
    pub total: Nanos,
    /// Itemised, for the explanation.
    pub items: Vec<(String, Nanos)>,
    /// Tags for logs and `complete`.
    pub tags: Vec<(String, String)>,
}

/// What `complete` learns of one exchange; without content.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The head, as the other hooks had it.
    pub head: Arc<crate::head::Head>,
    /// How it ended.
    pub outcome: Outcome,
    /// What served it.
    pub target_id: Option<Arc<str>>,
    /// HTTP status that the caller saw; 0 if none.
    pub status: u16,
    /// What was used.
    pub usage: Usage,
    /// Who counted.
    pub source: weir_llm::usage::Source,
    /// What the customer paid.
    pub charged: Nanos,
    /// What the provider takes; `None` if its price is unknown.
    pub provider_cost: Option<Nanos>,
    /// To the first byte, ms.
    pub ttft_ms: Option<u32>,
    /// To the last byte, ms.
    pub total_ms: u32,
    /// The class of each failed attempt, in order.
    pub errors: Vec<super::ErrorClass>,
    /// Tries at targets.
    pub attempts: u8,
    /// What policies noted.
    pub tags: Vec<(String, String)>,
    /// What the response cache did.
    pub cache: CacheState,
}

impl Summary {
    /// The summary without who asked.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { head: Arc::new(self.head.anonymous()), ..self.clone() }
    }
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "as in the ledger and in metrics")]
pub enum Outcome {
    Ok,
    CacheHit,
    Refused,
    Failed,
    UpstreamCut,
    ClientAbort,
}

/// What the response cache did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "as in `x-weir-cache`")]
pub enum CacheState {
    Miss,
    Hit,
    Bypass,
}

impl Outcome {
    /// The name in Rhai and cases.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::CacheHit => "cache-hit",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::UpstreamCut => "upstream-cut",
            Self::ClientAbort => "client-abort",
        }
    }
}

impl CacheState {
    /// The name in Rhai and cases.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::Hit => "hit",
            Self::Bypass => "bypass",
        }
    }
}
