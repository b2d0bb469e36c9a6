//! The contract's types from Rust to WIT: what a component gets.

use crate::wit::weir::policy::{request as wr, targets as wt, types as w};
use weir_policy as p;

/// The head; a policy that is `shared` between organisations does not learn who asks.
pub(crate) fn head(head: &p::Head, shared: bool) -> w::Head {
    let who = |name: &str| if shared { String::new() } else { name.to_owned() };
    w::Head {
        request_id: head.request_id.to_string(),
        api: api(head.api),
        requested_model: head.requested_model.to_string(),
        stream: head.stream,
        tenant: who(&head.tenant),
        project: who(&head.project),
        key_id: who(&head.key_id),
        user_hash: head.user_hash.as_deref().filter(|_| !shared).map(str::to_owned),
        region: head.region.to_string(),
        class: data_class(head.class),
        retention: retention(head.retention),
        tags: head.tags.to_vec(),
        deadline_ms: head.deadline_ms,
        est_input_tokens: head.est_input_tokens,
        max_output_tokens: head.max_output_tokens,
        segment_count: head.segment_count,
        body_bytes: head.body_bytes,
        needs: needs(head.needs),
        attempt: head.attempt,
        budget: head.budget.filter(|_| !shared).map(|b| w::Budget { limit: b.limit.0, left: b.left.0 }),
    }
}

pub(crate) fn target(target: &p::Target) -> wt::Target {
    wt::Target {
        id: target.id.to_string(),
        provider: target.provider.to_string(),
        model: target.model.to_string(),
        region: target.region.to_string(),
        retention: retention(target.retention),
        trains: target.trains,
        ctx_tokens: target.ctx_tokens,
        max_output_tokens: target.max_output_tokens,
        quality: target.quality,
        rates: target
            .rates
            .iter()
            .map(|rate| w::Rate { class: rate.class.as_str().to_owned(), pico_per_unit: rate.pico_per_unit })
            .collect(),
        tags: target.tags.to_vec(),
        weight: target.weight,
    }
}

pub(crate) fn live(live: &p::Live) -> wt::Live {
    wt::Live {
        target: live.target,
        healthy: live.healthy,
        in_flight: live.in_flight,
        ttft_p50_ms: live.ttft_p50_ms,
        ttft_p95_ms: live.ttft_p95_ms,
        tps_p50: live.tps_p50,
        err_rate1m: live.err_rate_1m,
        headroom: live.headroom,
        breaker: match live.breaker {
            p::Breaker::Closed => wt::Breaker::Closed,
            p::Breaker::HalfOpen => wt::Breaker::HalfOpen,
            p::Breaker::Open => wt::Breaker::Open,
        },
        prompt_cache_warm: live.prompt_cache_warm,
    }
}

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

pub(crate) fn segment(segment: p::SegmentInfo) -> w::SegInfo {
    w::SegInfo {
        index: segment.index,
        role: role(segment.role),
        kind: kind(segment.kind),
        bytes: segment.bytes,
        tokens: segment.tokens,
        name: segment.name,
    }
}

pub(crate) fn hit(hit: &p::Hit) -> wr::Hit {
    wr::Hit { pattern: hit.pattern, segment: hit.segment, start: hit.start, end: hit.end }
}

pub(crate) fn access_error(error: p::AccessError) -> wr::AccessError {
    match error {
        p::AccessError::NotGranted => wr::AccessError::NotGranted,
        p::AccessError::OutOfRange => wr::AccessError::OutOfRange,
        p::AccessError::NotUtf8 => wr::AccessError::NotUtf8,
        p::AccessError::Redacted => wr::AccessError::Redacted,
        p::AccessError::Budget => wr::AccessError::Budget,
    }
}

fn api(api: p::Api) -> w::Api {
    match api {
        p::Api::Chat => w::Api::Chat,
        p::Api::Responses => w::Api::Responses,
        p::Api::Messages => w::Api::Messages,
        p::Api::Embeddings => w::Api::Embeddings,
        p::Api::Rerank => w::Api::Rerank,
        p::Api::Images => w::Api::Images,
        p::Api::Moderations => w::Api::Moderations,
        p::Api::Speech => w::Api::Speech,
        p::Api::Transcription => w::Api::Transcription,
        p::Api::CountTokens => w::Api::Other(api.as_str().to_owned()),
    }
}

fn retention(retention: p::Retention) -> w::Retention {
    match retention {
        p::Retention::Zero => w::Retention::Zero,
        p::Retention::ZeroExceptSafety => w::Retention::ZeroExceptSafety,
        p::Retention::Days(days) => w::Retention::Days(days),
        p::Retention::Unknown => w::Retention::Unknown,
    }
}

fn data_class(class: p::DataClass) -> w::DataClass {
    match class {
        p::DataClass::Public => w::DataClass::Public,
        p::DataClass::Internal => w::DataClass::Internal,
        p::DataClass::Confidential => w::DataClass::Confidential,
        p::DataClass::Restricted => w::DataClass::Restricted,
    }
}

fn needs(needs: p::Needs) -> w::Needs {
    let flags = [
        (needs.tools, w::Needs::TOOLS),
        (needs.vision, w::Needs::VISION),
        (needs.audio_in, w::Needs::AUDIO_IN),
        (needs.audio_out, w::Needs::AUDIO_OUT),
        (needs.json_schema, w::Needs::JSON_SCHEMA),
        (needs.reasoning, w::Needs::REASONING),
        (needs.logprobs, w::Needs::LOGPROBS),
        (needs.prompt_cache, w::Needs::PROMPT_CACHE),
        (needs.parallel_tools, w::Needs::PARALLEL_TOOLS),
    ];
    flags.into_iter().filter(|(set, _)| *set).fold(w::Needs::empty(), |all, (_, flag)| all | flag)
}

fn role(role: p::Role) -> w::Role {
    match role {
        p::Role::System => w::Role::System,
        p::Role::Developer => w::Role::Developer,
        p::Role::User => w::Role::User,
        p::Role::Assistant => w::Role::Assistant,
        p::Role::Tool => w::Role::Tool,
    }
}

fn kind(kind: p::SegmentKind) -> w::SegKind {
    match kind {
        p::SegmentKind::Text => w::SegKind::Text,
        p::SegmentKind::ImageUrl => w::SegKind::ImageUrl,
        p::SegmentKind::ImageBytes => w::SegKind::ImageBytes,
        p::SegmentKind::Audio => w::SegKind::Audio,
        p::SegmentKind::File => w::SegKind::File,
        p::SegmentKind::ToolCall => w::SegKind::ToolCall,
        p::SegmentKind::ToolResult => w::SegKind::ToolResult,
        p::SegmentKind::ToolSchema => w::SegKind::ToolSchema,
        p::SegmentKind::Reasoning => w::SegKind::Reasoning,
    }
}

fn error_class(class: p::ErrorClass) -> w::ErrorClass {
    match class {
        p::ErrorClass::RateLimited => w::ErrorClass::RateLimited,
        p::ErrorClass::Overloaded => w::ErrorClass::Overloaded,
        p::ErrorClass::TimeoutConnect => w::ErrorClass::TimeoutConnect,
        p::ErrorClass::TimeoutFirstToken => w::ErrorClass::TimeoutFirstToken,
        p::ErrorClass::TimeoutIdle => w::ErrorClass::TimeoutIdle,
        p::ErrorClass::Auth => w::ErrorClass::Auth,
        p::ErrorClass::Quota => w::ErrorClass::Quota,
        p::ErrorClass::ContextTooLong => w::ErrorClass::ContextTooLong,
        p::ErrorClass::ContentFilter => w::ErrorClass::ContentFilter,
        p::ErrorClass::BadRequest => w::ErrorClass::BadRequest,
        p::ErrorClass::ModelNotFound => w::ErrorClass::ModelNotFound,
        p::ErrorClass::ServerError => w::ErrorClass::ServerError,
        p::ErrorClass::Network => w::ErrorClass::Network,
        p::ErrorClass::PluginDenied => w::ErrorClass::PluginDenied,
        p::ErrorClass::Cancelled => w::ErrorClass::Cancelled,
        p::ErrorClass::Other => w::ErrorClass::Other,
    }
}
