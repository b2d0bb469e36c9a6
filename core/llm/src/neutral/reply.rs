//! A whole reply.

use super::Raw;
use super::content::Content;
use crate::fault::UpstreamError;
use crate::json::Value;
use crate::usage::Usage;

/// A whole reply; owns its text, since it outlives the bytes that it was read from.
#[derive(Clone, Default, PartialEq)]
pub struct Reply {
    /// The provider's id of it; may be empty.
    pub id: String,
    /// The model that answered, in the provider's words; may be empty.
    pub model: String,
    /// When, in seconds since 1970.
    pub created: Option<u64>,
    /// The answers: one unless several were asked for.
    pub choices: Vec<Choice>,
    /// What was used.
    pub usage: Option<Usage>,
    /// The service tier that served it.
    pub service_tier: Option<String>,
}

/// One answer.
#[derive(Clone, Default, PartialEq)]
pub struct Choice {
    /// What it is made of, in order.
    pub parts: Vec<Content<'static>>,
    /// Why it ended; `None` if the provider did not say.
    pub finish: Option<Finish>,
    /// The stop text that was met, for [`Finish::StopSequence`].
    pub stop_sequence: Option<String>,
    /// OpenAI's `logprobs` object (`{"content":[…],"refusal":…}`), JSON text.
    pub logprobs: Option<Raw<'static>>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finish {
    /// It was done.
    Stop,
    /// A stop text was met.
    StopSequence,
    /// It calls tools. Decoders set this whenever an answer holds a call and ended otherwise well: Gemini says `STOP`.
    ToolCalls,
    /// It reached the caller's limit.
    Length,
    /// It reached the end of the model's context.
    ContextWindow,
    /// The provider's filter stopped it.
    Filter,
    /// The model would not answer.
    Refusal,
    /// The provider paused a long turn; the caller sends it back to go on (Anthropic's `pause_turn`).
    Paused,
}

impl Finish {
    /// The word of telemetry: the same whatever the dialect.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::StopSequence => "stop_sequence",
            Self::ToolCalls => "tool_calls",
            Self::Length => "length",
            Self::ContextWindow => "context_window",
            Self::Filter => "content_filter",
            Self::Refusal => "refusal",
            Self::Paused => "paused",
        }
    }
}

/// A reply with a good status that is no success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// No reply of its dialect: a page of HTML, a cut body. Says why, without content.
    #[error("{0}")]
    Unreadable(String),
    /// The provider reported an error inside of it.
    #[error("{}", .0.message)]
    Said(UpstreamError),
}

/// What a caller's request says of the form of its reply: all that a writer of replies needs besides the reply.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The caller's body. Responses repeat much of it.
    pub root: Value<'a>,
    /// Whether the caller asked for a stream's usage (chat's `stream_options.include_usage`).
    pub include_usage: bool,
    /// The gateway's id of the exchange; ids that no provider gave are derived from it.
    pub request_id: &'a str,
    /// Seconds since 1970; used where the provider gave no time.
    pub now: u64,
    /// The model name for replies that name none.
    pub model: &'a str,
}
