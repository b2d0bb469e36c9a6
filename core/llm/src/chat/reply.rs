//! A complete reply.

use super::finish::label;
use super::tally::{content_bytes, usage_of};
use crate::fault::{UpstreamError, error_in};
use crate::json::{Json, JsonError, Kind};
use crate::neutral::label::{Label, ModelName};
use crate::usage::{ServiceTier, Usage};
use bytes::Bytes;

/// What a complete reply says of itself.
#[derive(Debug, Clone)]
pub struct Reply {
    json: Json,
    usage: Option<Usage>,
    finish_reasons: Vec<Option<String>>,
    error: Option<UpstreamError>,
    content_bytes: u64,
}

/// A reply that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Not JSON (a page of HTML, a cut body …).
    #[error("the provider's reply is not JSON: {0}")]
    Json(#[from] JsonError),
    /// JSON, but neither choices nor an error.
    #[error("the provider's reply is no chat completion")]
    Shape,
}

impl Reply {
    /// Reads a reply with status 200.
    ///
    /// # Errors
    /// [`ReplyError`] if it is neither a chat completion nor an error object.
    pub fn parse(body: &Bytes) -> Result<Self, ReplyError> {
        let json = Json::parse_lenient(body.clone())?;
        let root = json.root();
        let error = error_in(root);
        let choices = root.get("choices").filter(|choices| choices.kind() == Kind::Array);
        if choices.is_none() && error.is_none() {
            return Err(ReplyError::Shape);
        }
        let mut finish_reasons = Vec::new();
        let mut bytes = 0;
        for choice in choices.iter().flat_map(|choices| choices.elements()) {
            let reason = choice.get("finish_reason").and_then(|reason| reason.as_str());
            finish_reasons.push(reason.map(std::borrow::Cow::into_owned));
            bytes += choice.get("message").map_or(0, content_bytes);
        }
        let usage =
            root.get("usage").and_then(usage_of).map(|usage| Usage { tier: ServiceTier::of(root), ..usage });
        Ok(Self { usage, finish_reasons, error, content_bytes: bytes, json })
    }

    /// What was used, if the reply says so.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Why the first choice ended.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&str> {
        self.finish_reasons.first()?.as_deref()
    }

    /// Why each choice ended.
    #[must_use]
    pub fn finish_reasons(&self) -> &[Option<String>] {
        &self.finish_reasons
    }

    /// Who wrote it, and why its answers ended.
    #[must_use]
    pub fn label(&self) -> Label {
        let model = self.json.root().get("model").and_then(|model| model.as_str());
        let words = self.finish_reasons.iter().map(|word| word.as_deref().unwrap_or_default());
        label(model.map_or_else(ModelName::default, |model| ModelName::of(&model)), (0..).zip(words))
    }

    /// The error inside a 200.
    #[must_use]
    pub const fn error(&self) -> Option<&UpstreamError> {
        self.error.as_ref()
    }

    /// Whether this is a success that may be kept: at least one choice, each with its finish reason, and no error.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.error.is_none()
            && !self.finish_reasons.is_empty()
            && self.finish_reasons.iter().all(Option::is_some)
    }

    /// Decoded bytes of what the model wrote.
    #[must_use]
    pub const fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// The parsed reply.
    #[must_use]
    pub const fn json(&self) -> &Json {
        &self.json
    }
}
