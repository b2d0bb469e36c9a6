//! Facts about models and providers that are no prices.

use serde::Deserialize;

/// What a model is called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is the endpoint of that name")]
pub enum Mode {
    #[default]
    Chat,
    Embedding,
    Image,
    Speech,
    Transcription,
    Moderation,
    Rerank,
}

/// Who serves models at the prices of this catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name here and in config.
    pub name: String,
    /// What others call it (`google` for `gemini`).
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What its own page says of content sent to its API; `None` is unknown, and counts as retained.
    #[serde(default)]
    pub retention: Option<RetentionTerms>,
}

/// A provider's published default terms for content.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionTerms {
    /// `zero`, `zero-except-safety` or `days-30`: the names that policies know.
    pub terms: String,
    /// Whether it may train on content; `None` if its page does not say.
    #[serde(default)]
    pub trains: Option<bool>,
    /// The page.
    pub evidence: String,
    /// When the page was read, `YYYY-MM-DD`.
    pub checked_on: String,
    /// What the terms leave out.
    #[serde(default)]
    pub note: String,
}
