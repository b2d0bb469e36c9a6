//! The enums of the WIT whose cases are texts in Rhai.

use crate::api::plan::RETRY_ON;
use crate::api::target::breaker_name;
use crate::api::verdict::SEVERITIES;
use weir_llm::usage::Source;
use weir_policy::services::{HttpError, KvError, Level, Scope};
use weir_policy::verdict::{CacheState, Outcome};
use weir_policy::{
    AccessError, Breaker, DataClass, DeltaKind, Direction, ErrorClass, Role, SegmentKind as Kind,
};

/// Each enum by its WIT name, with its cases as scripts see or say them.
#[must_use]
pub fn words() -> Vec<(&'static str, Vec<&'static str>)> {
    [of_content(), of_capabilities(), of_outcomes()].concat()
}

fn of_content() -> Vec<(&'static str, Vec<&'static str>)> {
    let roles = [Role::System, Role::Developer, Role::User, Role::Assistant, Role::Tool];
    let kinds = [
        Kind::Text,
        Kind::ImageUrl,
        Kind::ImageBytes,
        Kind::Audio,
        Kind::File,
        Kind::ToolCall,
        Kind::ToolResult,
        Kind::ToolSchema,
        Kind::Reasoning,
    ];
    let deltas = [DeltaKind::Content, DeltaKind::Reasoning, DeltaKind::ToolArgs, DeltaKind::Refusal];
    let access = [
        AccessError::NotGranted,
        AccessError::OutOfRange,
        AccessError::NotUtf8,
        AccessError::Redacted,
        AccessError::Budget,
    ];
    vec![
        ("types.role", roles.map(Role::as_str).to_vec()),
        ("types.seg-kind", kinds.map(Kind::as_str).to_vec()),
        ("types.data-class", DataClass::ALL.map(DataClass::name).to_vec()),
        ("types.delta-kind", deltas.map(DeltaKind::as_str).to_vec()),
        ("types.direction", [Direction::Request, Direction::Reply].map(Direction::as_str).to_vec()),
        ("types.severity", SEVERITIES.map(|(name, _)| name).to_vec()),
        ("request.access-error", access.map(AccessError::as_str).to_vec()),
        ("annotate.annotate-error", vec![AccessError::Budget.as_str()]),
    ]
}

fn of_capabilities() -> Vec<(&'static str, Vec<&'static str>)> {
    let breakers = [Breaker::Closed, Breaker::HalfOpen, Breaker::Open];
    vec![
        ("targets.breaker", breakers.map(breaker_name).to_vec()),
        ("kv.kv-error", KvError::ALL.map(KvError::as_str).to_vec()),
        ("kv.scope", Scope::ALL.map(Scope::as_str).to_vec()),
        ("http.http-error", HttpError::ALL.map(HttpError::as_str).to_vec()),
        ("telemetry.level", Level::ALL.map(Level::as_str).to_vec()),
    ]
}

fn of_outcomes() -> Vec<(&'static str, Vec<&'static str>)> {
    let sources = [Source::Provider, Source::GatewayCount, Source::Estimate];
    let outcomes = [
        Outcome::Ok,
        Outcome::CacheHit,
        Outcome::Refused,
        Outcome::Failed,
        Outcome::UpstreamCut,
        Outcome::ClientAbort,
    ];
    let states = [CacheState::Miss, CacheState::Hit, CacheState::Bypass];
    vec![
        ("types.error-class", ErrorClass::ALL.map(ErrorClass::as_str).to_vec()),
        ("types.retry-on", RETRY_ON.map(|(name, _)| name).to_vec()),
        ("types.usage-source", sources.map(Source::as_str).to_vec()),
        ("hook-complete.outcome", outcomes.map(Outcome::as_str).to_vec()),
        ("hook-complete.cache-state", states.map(CacheState::as_str).to_vec()),
    ]
}
