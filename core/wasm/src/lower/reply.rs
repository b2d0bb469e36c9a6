//! What the hooks of an attempt and a reply are told.

use super::money::usage;
use super::names::error_class;
use crate::wit::exports::weir::policy::{hook_attempt as wa, hook_guard_response as wg};
use crate::wit::weir::policy::types as w;
use weir_policy as p;

pub(crate) fn attempt_error(error: &p::AttemptError) -> w::AttemptError {
    w::AttemptError {
        target: error.target,
        target_id: error.target_id.to_string(),
        class: error_class(error.class),
        status: error.status,
        provider_code: error.provider_code.clone(),
        retry_after_ms: error.retry_after_ms,
        elapsed_ms: error.elapsed_ms,
    }
}

pub(crate) fn attempt_facts(facts: &p::AttemptFacts) -> wa::AttemptFacts {
    wa::AttemptFacts { target: facts.target, target_id: facts.target_id.to_string(), number: facts.number }
}

pub(crate) fn meta(meta: &p::ReplyMeta) -> wg::Meta {
    wg::Meta {
        target: meta.target,
        target_id: meta.target_id.to_string(),
        finish_reason: meta.finish_reason.to_string(),
        usage: usage(&meta.usage, meta.source),
        ttft_ms: meta.ttft_ms,
        total_ms: meta.total_ms,
        attempts: meta.attempts,
    }
}

pub(crate) const fn lane(lane: p::Lane) -> w::Lane {
    w::Lane {
        choice: lane.choice,
        kind: match lane.kind {
            p::DeltaKind::Content => w::DeltaKind::Content,
            p::DeltaKind::Reasoning => w::DeltaKind::Reasoning,
            p::DeltaKind::ToolArgs => w::DeltaKind::ToolArgs,
            p::DeltaKind::Refusal => w::DeltaKind::Refusal,
        },
        index: lane.index,
    }
}
