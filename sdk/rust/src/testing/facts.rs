//! Small facts with everything filled in: a test changes what it is about.

use crate::{
    Api, AttemptError, Base, CacheState, DataClass, DeltaKind, ErrorClass, Head, Lane, Line, Meta, Nanos,
    Needs, RequestOutcome, Retention, Summary, Usage, UsageSource,
};

/// The head of a chat request of organisation `test`.
#[must_use]
pub fn head() -> Head {
    Head {
        request_id: "req_test".into(),
        api: Api::Chat,
        requested_model: "test".into(),
        stream: false,
        tenant: "test".into(),
        project: String::new(),
        key_id: "key_test".into(),
        user_hash: None,
        region: String::new(),
        class: DataClass::Internal,
        retention: Retention::Unknown,
        tags: Vec::new(),
        deadline_ms: 60_000,
        est_input_tokens: 0,
        max_output_tokens: None,
        segment_count: 0,
        body_bytes: 0,
        needs: Needs::empty(),
        attempt: 0,
        budget: None,
    }
}

/// A failed attempt at target 0.
#[must_use]
pub fn attempt_error(class: ErrorClass) -> AttemptError {
    AttemptError {
        target: 0,
        target_id: "test/model".into(),
        class,
        status: None,
        provider_code: None,
        retry_after_ms: None,
        elapsed_ms: 1,
    }
}

/// What was used, by class.
#[must_use]
pub fn usage(lines: &[(&str, u64)]) -> Usage {
    Usage { lines: lines_of(lines), source: UsageSource::Provider }
}

/// What a pricer is told: these units, no rates, and what they come to by the list.
#[must_use]
pub fn base(lines: &[(&str, u64)], list_price: Nanos) -> Base {
    Base { lines: lines_of(lines), rates: Vec::new(), list_price }
}

fn lines_of(lines: &[(&str, u64)]) -> Vec<Line> {
    lines.iter().map(|&(class, quantity)| Line { class: class.into(), quantity }).collect()
}

/// What is known of a complete reply.
#[must_use]
pub fn meta() -> Meta {
    Meta {
        target: 0,
        target_id: "test/model".into(),
        finish_reason: "stop".into(),
        usage: usage(&[]),
        ttft_ms: 1,
        total_ms: 2,
        attempts: 1,
    }
}

/// An exchange that went well and cost nothing.
#[must_use]
pub fn summary() -> Summary {
    Summary {
        head: head(),
        outcome: RequestOutcome::Ok,
        target_id: Some("test/model".into()),
        status: 200,
        usage: usage(&[]),
        charged: 0,
        provider_cost: None,
        ttft_ms: Some(1),
        total_ms: 2,
        errors: Vec::new(),
        attempts: 1,
        tags: Vec::new(),
        cache: CacheState::Miss,
    }
}

/// The text of the first answer.
#[must_use]
pub const fn lane() -> Lane {
    Lane { choice: 0, kind: DeltaKind::Content, index: 0 }
}
