//! Whom to ask, about what, and what to do without an answer.

use serde::Deserialize;
use weir_sdk::{Direction, SegKind};

/// Full calls that one hook may need. Cutting at whole texts leaves up to a quarter of a call empty, and
/// `limits.http_calls` is 16.
const MAX_BATCHES: u32 = 10;

/// The operator's config.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) alias: String,
    pub(crate) path: String,
    directions: Vec<Way>,
    kinds: Vec<Kind>,
    pub(crate) timeout_ms: u32,
    pub(crate) on_error: OnError,
    pub(crate) max_bytes: u32,
    pub(crate) batch_bytes: u32,
    pub(crate) show_reason: bool,
}

/// What becomes of content that could not be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnError {
    Closed,
    Open,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    Request,
    Reply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Text,
    ToolCall,
    ToolResult,
    ToolSchema,
    Reasoning,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            alias: "moderation".into(),
            path: "/v1/check".into(),
            directions: vec![Way::Request, Way::Reply],
            kinds: vec![Kind::Text, Kind::ToolCall, Kind::ToolResult, Kind::Reasoning],
            timeout_ms: 1_000,
            on_error: OnError::Closed,
            max_bytes: 256 << 10,
            batch_bytes: 64 << 10,
            show_reason: false,
        }
    }
}

impl Settings {
    /// What the config schema cannot say.
    pub(crate) fn checked(self) -> Result<Self, String> {
        if self.max_bytes > self.batch_bytes.saturating_mul(MAX_BATCHES) {
            return Err(format!(
                "max_bytes ({}) is more than {MAX_BATCHES} times batch_bytes ({}): raise batch_bytes, or lower max_bytes",
                self.max_bytes, self.batch_bytes
            ));
        }
        Ok(self)
    }

    pub(crate) fn asks_about(&self, direction: Direction) -> bool {
        self.directions.contains(match direction {
            Direction::Request => &Way::Request,
            Direction::Reply => &Way::Reply,
        })
    }

    pub(crate) fn sends(&self, kind: SegKind) -> bool {
        let kind = match kind {
            SegKind::Text => Kind::Text,
            SegKind::ToolCall => Kind::ToolCall,
            SegKind::ToolResult => Kind::ToolResult,
            SegKind::ToolSchema => Kind::ToolSchema,
            SegKind::Reasoning => Kind::Reasoning,
            SegKind::ImageUrl | SegKind::ImageBytes | SegKind::Audio | SegKind::File => return false,
        };
        self.kinds.contains(&kind)
    }
}
