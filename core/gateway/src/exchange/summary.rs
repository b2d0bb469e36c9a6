//! What the `complete` hook learns of an exchange, handed over when all is done.

use super::Exchange;
use crate::telemetry::record;
use std::sync::Arc;
use std::time::Duration;
use weir_llm::usage::Source;
use weir_policy::verdict::{CacheState, Outcome};
use weir_policy::{Hook, Summary};

impl Exchange<'_> {
    /// Hands the summary to whoever asks for it; off the way of the request.
    pub fn complete(&mut self) {
        let Some((view, _)) = self.seen.take().filter(|(_, asked)| asked.has(Hook::Complete)) else { return };
        let (target_id, source) = match self.served.take() {
            Some((target, source)) => (Some(target), source),
            None => (None, Source::Provider),
        };
        let record = &self.record;
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let summary = Summary {
            outcome: outcome(record.outcome),
            target_id,
            status: record.status,
            usage: record.usage,
            source,
            charged: record.charged,
            provider_cost: record.provider_cost,
            ttft_ms: record.ttft.map(ms),
            total_ms: ms(record.total),
            errors: record.attempts.iter().filter_map(|attempt| attempt.error).collect(),
            attempts: u8::try_from(record.attempts.len()).unwrap_or(u8::MAX),
            tags: view.notes(),
            cache: cache(record.cache),
            head: Arc::new(view.head().clone()),
        };
        self.gateway.completions.put(Arc::clone(&self.snapshot), summary);
    }
}

const fn outcome(outcome: record::Outcome) -> Outcome {
    match outcome {
        record::Outcome::Ok => Outcome::Ok,
        record::Outcome::CacheHit => Outcome::CacheHit,
        record::Outcome::Refused => Outcome::Refused,
        record::Outcome::Failed => Outcome::Failed,
        record::Outcome::UpstreamCut => Outcome::UpstreamCut,
        record::Outcome::ClientAbort => Outcome::ClientAbort,
    }
}

const fn cache(state: record::CacheState) -> CacheState {
    match state {
        record::CacheState::Hit => CacheState::Hit,
        record::CacheState::Miss => CacheState::Miss,
        record::CacheState::Bypass => CacheState::Bypass,
    }
}
