//! The enums and flags.

use crate::wit::weir::policy::{request as wr, types as w};
use weir_policy as p;

pub(crate) fn access_error(error: p::AccessError) -> wr::AccessError {
    match error {
        p::AccessError::NotGranted => wr::AccessError::NotGranted,
        p::AccessError::OutOfRange => wr::AccessError::OutOfRange,
        p::AccessError::NotUtf8 => wr::AccessError::NotUtf8,
        p::AccessError::Redacted => wr::AccessError::Redacted,
        p::AccessError::Budget => wr::AccessError::Budget,
    }
}

pub(super) fn api(api: p::Api) -> w::Api {
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

pub(super) fn retention(retention: p::Retention) -> w::Retention {
    match retention {
        p::Retention::Zero => w::Retention::Zero,
        p::Retention::ZeroExceptSafety => w::Retention::ZeroExceptSafety,
        p::Retention::Days(days) => w::Retention::Days(days),
        p::Retention::Unknown => w::Retention::Unknown,
    }
}

pub(super) fn data_class(class: p::DataClass) -> w::DataClass {
    match class {
        p::DataClass::Public => w::DataClass::Public,
        p::DataClass::Internal => w::DataClass::Internal,
        p::DataClass::Confidential => w::DataClass::Confidential,
        p::DataClass::Restricted => w::DataClass::Restricted,
    }
}

pub(super) fn needs(needs: p::Needs) -> w::Needs {
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

pub(super) fn role(role: p::Role) -> w::Role {
    match role {
        p::Role::System => w::Role::System,
        p::Role::Developer => w::Role::Developer,
        p::Role::User => w::Role::User,
        p::Role::Assistant => w::Role::Assistant,
        p::Role::Tool => w::Role::Tool,
    }
}

pub(super) fn kind(kind: p::SegmentKind) -> w::SegKind {
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

pub(super) fn error_class(class: p::ErrorClass) -> w::ErrorClass {
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

pub(crate) const fn direction(direction: p::Direction) -> w::Direction {
    match direction {
        p::Direction::Request => w::Direction::Request,
        p::Direction::Reply => w::Direction::Reply,
    }
}
