//! Facts about a model that are no rates of tokens.

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

/// What is counted where it is not tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// An image that was made, of a size and a quality.
    Image,
    /// A second of audio that was heard.
    Second,
    /// A character that was spoken.
    Character,
    /// A web search that the model ran on its own; `size` is how much context it read.
    Search,
    /// What Cohere bills reranking by: a query with up to a hundred documents.
    SearchUnit,
    /// A request, whatever is in it.
    Request,
}

/// The price of one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitPrice {
    /// What is counted.
    pub unit: Unit,
    /// Pico-dollars (10⁻¹² USD) for each.
    pub pico_per_unit: u64,
    /// `1024x1024` of an image, `low`, `medium` or `high` of a search; `None` if it is the same for all.
    pub size: Option<String>,
    /// `low`, `medium`, `high`, `standard`; `None` if it is the same for all.
    pub quality: Option<String>,
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
