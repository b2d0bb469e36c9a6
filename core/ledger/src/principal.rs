//! Who asks: a key with its team and organisation, ready for the request path.

use std::sync::Arc;
use std::time::Instant;

use weir_llm::terms::DataClass;

use crate::account::{Account, Budget};
use crate::limit::{Limiter, RateLimited};
use crate::people::KeyRow;
use crate::seat::Seats;

/// A key and what it may do. Shared by all its exchanges; holds no part of the key's text.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Public id of the key, `key_…`.
    pub key_id: Arc<str>,
    /// The name its owner gave it.
    pub key_name: Arc<str>,
    /// Public id of the team.
    pub team_id: Arc<str>,
    /// Public id of the organisation.
    pub organisation_id: Arc<str>,
    /// The strictest wish of organisation, team and key: `zero`, `zero-except-safety`, `days-N` or `unknown` (none).
    pub retention: Arc<str>,
    /// The regions that organisation, team and key ask for: a list each (`eu,ch`), and all hold.
    pub regions: Arc<[String]>,
    /// Whether one of them says that nobody may train on content.
    pub no_training: bool,
    /// The most sensitive class that organisation, team and key say; `None`: none says any.
    pub class: Option<DataClass>,
    /// Tags of the key, sorted by name.
    pub tags: Arc<[(String, String)]>,
    /// Requests per minute.
    pub rpm: Option<u32>,
    /// Exchanges at one time; `None`: the gateway's default.
    pub concurrency: Option<u32>,
    /// The exchanges that are under way, where they are counted.
    pub seats: Seats,
    /// What it may spend.
    pub budget: Option<Budget>,
    /// `x-weir-*` request headers that it may send, as their owner wrote them.
    pub scopes: Arc<[String]>,
    /// Model names that it may ask for; `None`: all.
    pub models: Option<Arc<[String]>>,
    /// Unix milliseconds at which the key ends.
    pub expires_ms: Option<i64>,
    pub(crate) row: i64,
    pub(crate) account: Option<Arc<Account>>,
    pub(crate) limiter: Option<Arc<Limiter>>,
}

impl Principal {
    /// Takes one request from the key's requests per minute.
    ///
    /// # Errors
    /// If they are used up.
    pub fn admit(&self, now: Instant) -> Result<(), RateLimited> {
        self.limiter.as_ref().map_or(Ok(()), |limiter| limiter.admit(now))
    }

    /// The same key with the wishes that its row has now: limits, seats and budget go on.
    pub(crate) fn rewished(&self, key: &KeyRow) -> Self {
        Self {
            retention: key.retention.as_str().into(),
            regions: key.regions.clone().into(),
            no_training: key.no_training,
            class: key.class,
            ..self.clone()
        }
    }

    /// How many requests would be admitted now; `None`: no limit.
    #[must_use]
    pub fn remaining(&self, now: Instant) -> Option<u32> {
        self.limiter.as_ref().map(|limiter| limiter.remaining(now))
    }

    /// Whether the key may ask for `model`.
    #[must_use]
    pub fn may_use(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|name| name == model))
    }

    /// Whether the key may send an `x-weir-*` header, by its scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|name| name == scope)
    }

    /// Whether a reservation is a row, in the journal or committed before the first attempt.
    #[must_use]
    pub fn has_hard_budget(&self) -> bool {
        self.budget.as_ref().is_some_and(|budget| budget.hard)
    }
}
