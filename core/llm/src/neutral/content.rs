//! What turns and replies are made of.

use super::Raw;
use super::seal::{By, Seal};
use std::borrow::Cow;

/// One piece of a turn.
#[derive(Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// What it is.
    pub content: Content<'a>,
    /// The prompt up to here is to be kept in the provider's cache (Anthropic's `cache_control`).
    pub cache: Option<CacheTtl>,
}

/// How long a prompt cache keeps what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheTtl {
    /// `5m`, the default.
    FiveMinutes,
    /// `1h`
    OneHour,
}

/// What a piece of a turn or a reply is.
#[derive(Clone, PartialEq, Eq)]
pub enum Content<'a> {
    /// Text, and where it comes from.
    Text {
        /// The text.
        text: Cow<'a, str>,
        /// What it cites.
        citations: Vec<Citation<'a>>,
    },
    /// An image, a document or audio.
    Media(Media<'a>),
    /// The model's call of a tool.
    Call(Call<'a>),
    /// What a tool answered; stands in a user's turn.
    Result(ToolResult<'a>),
    /// What the model thought.
    Thinking(Thinking<'a>),
    /// Why the model would not answer.
    Refusal(Cow<'a, str>),
    /// What only one dialect knows: a hosted tool's call or result, a container upload, …
    Other {
        /// Its `type` there.
        kind: Cow<'a, str>,
        /// The whole object.
        json: Raw<'a>,
    },
}

/// What a media part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// PNG, JPEG, WebP, GIF.
    Image,
    /// PDF, plain text and the like.
    Document,
    /// WAV, MP3 and the like.
    Audio,
}

/// An image, a document or audio.
#[derive(Clone, PartialEq, Eq)]
pub struct Media<'a> {
    /// What it is.
    pub kind: MediaKind,
    /// Where it is.
    pub source: Source<'a>,
    /// `image/png`, `application/pdf`; `image/jpg` is mended to `image/jpeg` and parameters are gone.
    pub mime: Option<Cow<'a, str>>,
    /// A file name or title.
    pub name: Option<Cow<'a, str>>,
    /// How closely to look: `low`, `high`, `auto`, `original`.
    pub detail: Option<Cow<'a, str>>,
}

/// Where media are.
#[derive(Clone, PartialEq, Eq)]
pub enum Source<'a> {
    /// At an address that the provider fetches. Never a `data:` URL.
    Url(Cow<'a, str>),
    /// Here, in standard base64.
    Base64(Cow<'a, str>),
    /// Here, as plain text (a document).
    Text(Cow<'a, str>),
    /// At the provider, uploaded before.
    FileId(Cow<'a, str>),
}

/// The model's call of a tool.
#[derive(Clone, PartialEq, Eq)]
pub struct Call<'a> {
    /// Its id, which the result repeats; never empty.
    pub id: Cow<'a, str>,
    /// The tool's name.
    pub name: Cow<'a, str>,
    /// JSON text of an object; of a custom tool free text. May be empty or cut short: see [`super::arguments`].
    pub arguments: Cow<'a, str>,
    /// The tool takes free text (OpenAI's `custom` tools).
    pub custom: bool,
    /// The provider's proof that this call is its own (Gemini's `thoughtSignature`).
    pub seal: Option<Seal<'a>>,
}

/// What a tool answered.
#[derive(Clone, PartialEq, Eq)]
pub struct ToolResult<'a> {
    /// The call's id.
    pub id: Cow<'a, str>,
    /// Text, images, documents; may be empty.
    pub parts: Vec<Part<'a>>,
    /// The tool failed.
    pub is_error: bool,
    /// The answer to a custom tool's call.
    pub custom: bool,
}

/// What the model thought.
#[derive(Clone, PartialEq, Eq)]
pub struct Thinking<'a> {
    /// The text, or a summary of it; empty if the provider keeps it to itself.
    pub text: Cow<'a, str>,
    /// The provider's proof or encrypted form, which it wants back unchanged.
    pub seal: Option<Seal<'a>>,
}

/// Where a text comes from. Dialects without addresses (Anthropic's document locations) keep theirs in `json` only.
#[derive(Clone, PartialEq, Eq)]
pub struct Citation<'a> {
    /// Where the source is.
    pub url: Option<Cow<'a, str>>,
    /// What it is called.
    pub title: Option<Cow<'a, str>>,
    /// The words that are cited.
    pub cited: Option<Cow<'a, str>>,
    /// Which characters of the text it stands behind.
    pub range: Option<(u64, u64)>,
    /// The dialect's own object, for the way back into the same dialect.
    pub json: Option<Raw<'a>>,
}

impl Citation<'_> {
    /// A copy that owns its text.
    #[must_use]
    pub fn into_static(self) -> Citation<'static> {
        let own = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        Citation {
            url: own(self.url),
            title: own(self.title),
            cited: own(self.cited),
            range: self.range,
            json: own(self.json),
        }
    }
}

impl<'a> Part<'a> {
    /// A part without a cache mark.
    #[must_use]
    pub const fn new(content: Content<'a>) -> Self {
        Self { content, cache: None }
    }

    /// Plain text.
    #[must_use]
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Content::text(text))
    }
}

impl<'a> Content<'a> {
    /// Plain text.
    #[must_use]
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text { text: text.into(), citations: Vec::new() }
    }
}

impl CacheTtl {
    /// `5m` or `1h`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::OneHour => "1h",
        }
    }
}

/// Who keeps an uploaded file, as far as its id tells: OpenAI's begin with `file-`, Anthropic's with `file_`, Gemini's with
/// `files/` or are addresses.
#[must_use]
pub fn file_by(id: &str) -> Option<By> {
    match id {
        id if id.starts_with("file-") => Some(By::OpenAi),
        id if id.starts_with("file_") => Some(By::Anthropic),
        id if id.starts_with("files/") || id.contains("://") => Some(By::Gemini),
        _ => None,
    }
}

/// What a `data:` URL holds: its media type and its base64. `None` if it is no `data:` URL in base64.
#[must_use]
pub fn data_url(url: &str) -> Option<(Option<&str>, &str)> {
    let rest = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).and(url.get(5..))?;
    let (head, data) = rest.split_once(',')?;
    let mut fields = head.split(';');
    let mime = fields.next().map(str::trim).filter(|mime| !mime.is_empty());
    fields.any(|field| field.trim().eq_ignore_ascii_case("base64")).then_some((mime, data))
}

/// The media type as every provider knows it: without parameters, in lower case, `image/jpg` mended.
#[must_use]
pub fn plain_mime(mime: &str) -> Cow<'_, str> {
    let bare = mime.split(';').next().unwrap_or(mime).trim();
    if bare.eq_ignore_ascii_case("image/jpg") {
        return Cow::Borrowed("image/jpeg");
    }
    if bare.bytes().any(|b| b.is_ascii_uppercase()) {
        return Cow::Owned(bare.to_ascii_lowercase());
    }
    Cow::Borrowed(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls_with_and_without_parameters() {
        assert_eq!(data_url("data:image/png;base64,AA=="), Some((Some("image/png"), "AA==")));
        assert_eq!(data_url("DATA:image/png;name=x;base64,AA"), Some((Some("image/png"), "AA")));
        assert_eq!(data_url("data:;base64,AA"), Some((None, "AA")));
        assert_eq!(data_url("data:text/plain,hello"), None);
        assert_eq!(data_url("https://x/y.png"), None);
        assert_eq!(plain_mime("image/JPG; q=1"), "image/jpeg");
        assert_eq!(plain_mime("Image/PNG"), "image/png");
    }
}
