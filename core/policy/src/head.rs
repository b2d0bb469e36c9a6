//! The small facts about a request that every hook gets (≤ 1 KiB when lowered into a guest).

use sha2::{Digest, Sha256};
use std::sync::Arc;
use weir_llm::price::Nanos;

pub use weir_llm::api::Api;
pub use weir_llm::request::Needs;
pub use weir_llm::terms::{DataClass, Retention};

/// What an exchange asks of whoever gets its content, beside how long it may be kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demands {
    /// Nobody may train on it.
    pub no_training: bool,
    /// Lists of regions (`eu,ch`): it may go only to what lies in one of each.
    pub regions: Arc<[Arc<str>]>,
}

/// The head of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Weir's id of the exchange, `req_…`.
    pub request_id: Arc<str>,
    /// The API that the caller speaks.
    pub api: Api,
    /// The model name as the caller wrote it.
    pub requested_model: Arc<str>,
    /// Whether the caller wants a stream.
    pub stream: bool,
    /// Organisation id.
    pub tenant: Arc<str>,
    /// Team id; empty if the key has none.
    pub project: Arc<str>,
    /// Id of the key (never the key).
    pub key_id: Arc<str>,
    /// Keyed hash of the caller's `user` field.
    pub user_hash: Option<Arc<str>>,
    /// Where this gateway runs, from config; may be empty.
    pub region: Arc<str>,
    /// Sensitivity of the caller's data: the most sensitive of organisation, team, key and request.
    pub class: DataClass,
    /// The strictest of organisation, team, key and request; `Unknown` means: no wish.
    pub retention: Retention,
    /// What else they ask of whoever gets content; `None`: nothing. No policy sees it, the host's services do.
    pub demands: Option<Arc<Demands>>,
    /// Tags of the key and of `x-weir-tags`, sorted by name.
    pub tags: Arc<[(String, String)]>,
    /// Milliseconds until the exchange is cut.
    pub deadline_ms: u32,
    /// A guess at the input tokens, for routing; not for money.
    pub est_input_tokens: u32,
    /// What the caller allows the model to write.
    pub max_output_tokens: Option<u32>,
    /// How many segments of content the body has; 0 until something asks for content.
    pub segment_count: u32,
    /// Length of the body as received.
    pub body_bytes: u64,
    /// What the request needs of a model.
    pub needs: Needs,
    /// Attempts made so far.
    pub attempt: u8,
    /// The key's budget; `None` if it has no limit.
    pub budget: Option<Budget>,
}

impl Head {
    /// The head without who asks: no tenant, project, key, user or budget.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        let nobody: Arc<str> = "".into();
        Self {
            tenant: Arc::clone(&nobody),
            project: Arc::clone(&nobody),
            key_id: nobody,
            user_hash: None,
            budget: None,
            ..self.clone()
        }
    }

    /// A bucket from 0 to 9999 that is the same for all requests of a key, on every machine and in every version: for
    /// canaries and A/B.
    #[must_use]
    pub fn bucket(&self, salt: &str) -> u32 {
        let mut hash = Sha256::new();
        for part in [salt, &self.tenant, &self.key_id] {
            hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let word = digest.iter().take(4).fold(0_u32, |word, &byte| word << 8 | u32::from(byte));
        word % 10_000
    }
}

/// What a key may spend in the present period, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// In all.
    pub limit: Nanos,
    /// Not spent and not held.
    pub left: Nanos,
}
