//! What the hooks of a reply are told and answer: `guard-response`, `stream`, `redact`.

use super::{Deny, Finding, Replacement, Severity};
use std::sync::Arc;
use weir_llm::usage::{Source, Usage};

/// Which way content flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the caller to a model.
    Request,
    /// From a model to the caller.
    Reply,
}

impl Direction {
    /// The WIT name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Reply => "reply",
        }
    }
}

/// What `guard-response` knows of a reply beside its content.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyMeta {
    /// Index into the target table.
    pub target: u16,
    /// The target's id.
    pub target_id: Arc<str>,
    /// Why the model stopped, in the caller's dialect; empty if it did not say.
    pub finish_reason: Arc<str>,
    /// What was used.
    pub usage: Usage,
    /// Who counted.
    pub source: Source,
    /// From the start to the first byte, ms.
    pub ttft_ms: u32,
    /// From the start to now, ms.
    pub total_ms: u32,
    /// Tries at targets.
    pub attempts: u8,
}

/// What part of a streamed reply a delta belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeltaKind {
    /// What the caller reads.
    Content,
    /// What the model thinks.
    Reasoning,
    /// Arguments of a tool call: JSON, in pieces.
    ToolArgs,
    /// A refusal in the model's words.
    Refusal,
}

impl DeltaKind {
    /// The WIT name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Reasoning => "reasoning",
            Self::ToolArgs => "tool-args",
            Self::Refusal => "refusal",
        }
    }
}

/// One ordered run of deltas within a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// Which of several answers.
    pub choice: u32,
    /// What part of it.
    pub kind: DeltaKind,
    /// Which block or call of this kind.
    pub index: u32,
}

/// What a stream hook wants after a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The next window.
    More,
    /// Windows of so many bytes from now on.
    Window(u32),
    /// No more of this stream: the rest passes unseen.
    Detach,
    /// The end of the stream, with this error.
    Stop(Deny),
}

/// A byte range of a window's text and what comes in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextEdit {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// What comes in its place.
    pub replace: Replacement,
}

/// The answer of `stream` to a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStep {
    /// In the part that is not held.
    pub edits: Vec<TextEdit>,
    /// Bytes at the end that stay back, for the next window.
    pub hold: u32,
    /// What next.
    pub next: Next,
}

impl StreamStep {
    /// Let all of it go.
    #[must_use]
    pub const fn pass() -> Self {
        Self { edits: Vec::new(), hold: 0, next: Next::More }
    }
}

/// What a stream hook says at the end of a stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Closing {
    /// What was found.
    pub findings: Vec<Finding>,
    /// Tags for logs and `complete`.
    pub tags: Vec<(String, String)>,
}

/// What comes in place of what a redactor found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redaction {
    /// An entry of the manifest's `redact.masks`.
    Mask(u16),
    /// A reversible token of an entry of `redact.classes`; in a reply, where nothing is given back, a keyed hash of it.
    Vault(u16),
    /// A keyed hash of an entry of `redact.classes`.
    Hash(u16),
    /// Nothing.
    Drop,
    /// All of the request or reply is refused; the caller is told the rule.
    Refuse,
    /// The text stays; only the finding is noted.
    Report,
}

/// What a redactor found, and what comes in its place. No text of its own making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Index of the segment; 0 in a stream.
    pub segment: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Index into the manifest's `declares.rules`.
    pub rule: u16,
    /// How bad.
    pub severity: Severity,
    /// What comes in its place.
    pub replace: Redaction,
}

/// The answer of a stream redactor to a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedactStep {
    /// In the part that is not held.
    pub spans: Vec<Span>,
    /// Bytes at the end that stay back, for the next window.
    pub hold: u32,
    /// What next.
    pub next: Next,
}
