//! Error bodies: ours in the caller's envelope, and what a provider's says.

use crate::json::{Json, Kind, Value, quote};
use bytes::Bytes;
use std::fmt;

/// Longest message of a provider that is passed on.
const MAX_MESSAGE_BYTES: usize = 2048;

/// What a provider said went wrong.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamError {
    /// For a person. Of a refused provider key only that it was refused: such messages quote the key.
    pub message: String,
    /// The provider's `type`, if it gave one.
    pub kind: Option<String>,
    /// The provider's `code`, if it gave one; a number as text.
    pub code: Option<String>,
    /// The field that the provider names, if any.
    pub param: Option<String>,
    /// What it means for the next attempt.
    pub hint: Hint,
}

/// A "no" in any API's words: what is needed to write the caller's error envelope.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Said<'a> {
    /// HTTP status, 400 to 599; in a stream the one that it would have had.
    pub status: u16,
    /// OpenAI's `error.type`; other APIs derive theirs from the status.
    pub kind: &'a str,
    /// OpenAI's `error.code`.
    pub code: Option<&'a str>,
    /// The field that is wrong.
    pub param: Option<&'a str>,
    /// What is wrong and what to do.
    pub message: &'a str,
    /// The gateway's id of the exchange.
    pub request_id: &'a str,
}

impl fmt::Debug for UpstreamError {
    /// What it means only: providers repeat content in their errors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamError({:?})", self.hint)
    }
}

impl fmt::Debug for Said<'_> {
    /// The status only: a policy's or a provider's message may be content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Said({})", self.status)
    }
}

/// What an upstream error means. The names are those of the policy contract's error classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hint {
    /// Too many requests or tokens a minute.
    RateLimited,
    /// No money or quota left: waiting a second does not help.
    Quota,
    /// The provider has no capacity now.
    Overloaded,
    /// The provider took too long.
    Timeout,
    /// Input and output do not fit the model's context.
    ContextTooLong,
    /// The provider's filter refused the content.
    ContentFilter,
    /// The provider refused our key, or the key may not do this.
    Auth,
    /// No such model there.
    ModelNotFound,
    /// The request is wrong for this provider.
    BadRequest,
    /// The provider failed.
    ServerError,
    /// None of these.
    Other,
}

impl Hint {
    /// The name of the policy contract's error class.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate-limited",
            Self::Quota => "quota",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout-first-token",
            Self::ContextTooLong => "context-too-long",
            Self::ContentFilter => "content-filter",
            Self::Auth => "auth",
            Self::ModelNotFound => "model-not-found",
            Self::BadRequest => "bad-request",
            Self::ServerError => "server-error",
            Self::Other => "other",
        }
    }
}

/// Words in code, type or message that tell more than the status does; the first row that matches counts.
const SIGNS: &[(Hint, &[&str])] = &[
    (
        Hint::ContextTooLong,
        &[
            "context_length_exceeded",
            "maximum context length",
            "context window",
            "prompt is too long",
            "string_above_max_length",
            "too many tokens",
            "input is too long",
            "exceeds the maximum number of tokens",
        ],
    ),
    (
        Hint::ContentFilter,
        &["content_filter", "content_policy", "content management policy", "responsibleai"],
    ),
    (
        Hint::Quota,
        &[
            "insufficient_quota",
            "insufficient balance",
            "billing_hard_limit",
            "exceeded your current quota",
            "spend limit",
        ],
    ),
    (
        Hint::ModelNotFound,
        &["model_not_found", "model not found", "unknown_model", "invalid_model", "no such model"],
    ),
    (Hint::Auth, &["invalid_api_key", "incorrect api key", "authentication_error", "invalid_authentication"]),
    (
        Hint::RateLimited,
        &["rate_limit_exceeded", "rate_limit_error", "rate limit reached", "too_many_requests"],
    ),
    (Hint::Overloaded, &["overloaded", "no capacity", "engine_overloaded", "server is busy"]),
];

/// Reads an error body of any provider: OpenAI's envelope, a bare error, FastAPI's `detail`, a list of one, a page of
/// HTML, or nothing.
#[must_use]
pub fn upstream_error(status: u16, body: &[u8]) -> UpstreamError {
    let json = Json::parse_lenient(Bytes::copy_from_slice(body)).ok();
    let root = json.as_ref().map(Json::root);
    let root = root.map(|value| value.elements().next().unwrap_or(value));
    let error = root.and_then(|value| error_member(value).or(Some(value)));
    let found = error.and_then(|value| describe(value, status));
    found.unwrap_or_else(|| UpstreamError {
        message: format!("The provider answered {status} without a readable error."),
        kind: None,
        code: None,
        param: None,
        hint: hint(status, ""),
    })
}

/// The error in a reply or chunk that has one; a truthy `error` is one, as the official SDKs have it.
pub fn error_in(root: Value<'_>) -> Option<UpstreamError> {
    let error = error_member(root)?;
    let status = error.get("code").and_then(|code| code.as_u64()).and_then(|code| u16::try_from(code).ok());
    let status = status.filter(|status| (400..600).contains(status)).unwrap_or(500);
    Some(describe(error, status).unwrap_or_else(|| UpstreamError {
        message: "The provider reported an error without a message.".into(),
        kind: None,
        code: None,
        param: None,
        hint: hint(status, ""),
    }))
}

/// A truthy `error` member.
fn error_member(root: Value<'_>) -> Option<Value<'_>> {
    root.get("error").filter(|error| match error.kind() {
        Kind::Null => false,
        Kind::Bool => error.as_bool() == Some(true),
        Kind::Number => error.as_f64() != Some(0.0),
        Kind::String => !error.is_text(""),
        Kind::Object => error.members_raw().next().is_some(),
        Kind::Array => error.elements().next().is_some(),
    })
}

/// Reads an error object or string; nothing if it says nothing.
fn describe(error: Value<'_>, status: u16) -> Option<UpstreamError> {
    let field = |key: &str| error.get(key).and_then(text_or_number);
    let message = error
        .as_str()
        .map(std::borrow::Cow::into_owned)
        .or_else(|| field("message"))
        .or_else(|| field("detail"))
        .or_else(|| error.get("message").or_else(|| error.get("detail")).and_then(nested_message));
    let (kind, code, param) = (field("type"), field("code"), field("param"));
    let message = match (message, &kind, &code) {
        (Some(message), _, _) if !message.is_empty() => message,
        (_, None, None) => return None,
        (_, kind, code) => code.as_ref().or(kind.as_ref())?.clone(),
    };
    let words = [Some(message.as_str()), kind.as_deref(), code.as_deref()];
    let words = words.into_iter().flatten().collect::<Vec<_>>().join("\n").to_ascii_lowercase();
    let hint = hint(status, &words);
    let message = if hint == Hint::Auth {
        "The provider refused the gateway's credentials.".into()
    } else {
        shorten(message)
    };
    Some(UpstreamError { message, kind, code, param, hint })
}

/// FastAPI and Mistral: `{"detail":[{"msg":…}]}`.
fn nested_message(value: Value<'_>) -> Option<String> {
    let inner = value.elements().next().or_else(|| value.get("detail")).unwrap_or(value);
    let inner = inner.elements().next().unwrap_or(inner);
    inner.get("msg").or_else(|| inner.get("message")).and_then(text_or_number)
}

fn text_or_number(value: Value<'_>) -> Option<String> {
    match value.kind() {
        Kind::String => value.as_str().map(std::borrow::Cow::into_owned),
        Kind::Number => std::str::from_utf8(value.raw()).ok().map(str::to_owned),
        _ => None,
    }
}

fn shorten(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        message.push('…');
    }
    message
}

fn hint(status: u16, words: &str) -> Hint {
    if matches!(status, 401 | 403) && !words.contains("content") {
        return Hint::Auth;
    }
    let sign = SIGNS.iter().find(|(_, signs)| signs.iter().any(|sign| words.contains(sign)));
    if let Some((hint, _)) = sign {
        return *hint;
    }
    match status {
        401 | 403 => Hint::Auth,
        402 => Hint::Quota,
        404 => Hint::ModelNotFound,
        408 | 504 => Hint::Timeout,
        429 => Hint::RateLimited,
        503 | 529 => Hint::Overloaded,
        400..=499 => Hint::BadRequest,
        500..=599 => Hint::ServerError,
        _ => Hint::Other,
    }
}

/// The envelope of an error: `{"error":{"message","type","param","code"}}`, all four always.
#[must_use]
pub fn error_body(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Bytes {
    let mut out = br#"{"error":{"message":"#.to_vec();
    quote(message, &mut out);
    for (key, value) in [("type", Some(kind)), ("param", param), ("code", code)] {
        out.push(b',');
        quote(key, &mut out);
        out.push(b':');
        match value {
            Some(text) => quote(text, &mut out),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(b"}}");
    Bytes::from(out)
}
