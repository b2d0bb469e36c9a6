//! The small things that candidates are made of.

use crate::fault::{Hint, UpstreamError};
use crate::json::{Kind, Value, Writer};
use crate::neutral::content::plain_mime;
use crate::neutral::{Finish, Media, MediaKind, Source};
use std::borrow::Cow;

/// What a `finishReason` means.
pub(super) enum Reason {
    /// With an answer.
    Ended(Finish),
    /// The provider's own failure.
    Broken(&'static str),
    /// None given.
    Open,
}

/// Reads a candidate's `finishReason`.
pub(super) fn reason(candidate: Value<'_>) -> Reason {
    let Some(word) = candidate.get("finishReason").and_then(|reason| reason.as_str()) else {
        return Reason::Open;
    };
    match word.as_ref() {
        "" | "FINISH_REASON_UNSPECIFIED" => Reason::Open,
        "MAX_TOKENS" | "CONTINUATION" => Reason::Ended(Finish::Length),
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "ESCALATION"
        | "PUP_LIMITED_DISABLED" => Reason::Ended(Finish::Filter),
        image if image.starts_with("IMAGE_") => Reason::Ended(Finish::Filter),
        "MALFORMED_FUNCTION_CALL" => Reason::Broken("MALFORMED_FUNCTION_CALL"),
        "UNEXPECTED_TOOL_CALL" => Reason::Broken("UNEXPECTED_TOOL_CALL"),
        "TOO_MANY_TOOL_CALLS" => Reason::Broken("TOO_MANY_TOOL_CALLS"),
        "MALFORMED_RESPONSE" => Reason::Broken("MALFORMED_RESPONSE"),
        "MISSING_THOUGHT_SIGNATURE" => Reason::Broken("MISSING_THOUGHT_SIGNATURE"),
        _ => Reason::Ended(Finish::Stop),
    }
}

/// The model's answer was of no use. Google's own message quotes it, so ours stands instead.
pub(super) fn broken(code: &'static str) -> UpstreamError {
    UpstreamError {
        message: format!("The model's answer could not be used by its provider ({code}). A retry may help."),
        kind: Some("server_error".into()),
        code: Some(code.into()),
        param: None,
        hint: Hint::ServerError,
    }
}

/// Code or its output, told from prose.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("```{language}\n{text}{end}```\n")
}

/// What an `inlineData` holds.
pub(super) fn media(data: Value<'_>) -> Option<Media<'static>> {
    let text = |key: &str| data.get(key).and_then(|text| text.as_str());
    let mime = text("mimeType").map(|mime| plain_mime(&mime).into_owned());
    let kind = match mime.as_deref().and_then(|mime| mime.split('/').next()) {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        _ => MediaKind::Document,
    };
    let source = Source::Base64(text("data")?.into_owned().into());
    Some(Media { kind, source, mime: mime.map(Cow::Owned), name: None, detail: None })
}

/// JSON without the spaces between its tokens: whole replies come indented.
pub(super) fn compact(raw: &[u8]) -> Cow<'_, str> {
    let text = std::str::from_utf8(raw).unwrap_or("{}");
    let (mut string, mut escape) = (false, false);
    let mut is_space = |c: char| {
        match (string, c) {
            (true, _) if escape => escape = false,
            (true, '\\') => escape = true,
            (_, '"') => string = !string,
            _ => {}
        }
        !string && matches!(c, ' ' | '\n' | '\r' | '\t')
    };
    let bare: String = text.chars().filter(|&c| !is_space(c)).collect();
    if bare.len() == text.len() { Cow::Borrowed(text) } else { Cow::Owned(bare) }
}

/// OpenAI's `logprobs` object out of a `logprobsResult`.
pub(super) fn logprobs(result: Value<'_>) -> Option<String> {
    let chosen = result.get("chosenCandidates")?;
    let mut tops = result.get("topCandidates").map(|tops| tops.elements());
    let mut json = Writer::new();
    json.begin_object().key("content").begin_array();
    for token in chosen.elements() {
        json.begin_object();
        logprob(token, &mut json);
        json.key("top_logprobs").begin_array();
        let top = tops.as_mut().and_then(Iterator::next).and_then(|top| top.get("candidates"));
        for token in top.iter().flat_map(Value::elements) {
            json.begin_object();
            logprob(token, &mut json);
            json.end_object();
        }
        json.end_array().end_object();
    }
    json.end_array().key("refusal").null().end_object();
    Some(json.into_text())
}

fn logprob(token: Value<'_>, json: &mut Writer) {
    let text = token.get("token").and_then(|text| text.as_str()).unwrap_or_default();
    let number = token.get("logProbability").filter(|number| number.kind() == Kind::Number);
    let number = number.and_then(|number| std::str::from_utf8(number.raw()).ok()).unwrap_or("0");
    json.text("token", &text).key("logprob").raw(number).key("bytes").begin_array();
    for byte in text.bytes() {
        json.number(byte.into());
    }
    json.end_array();
}
