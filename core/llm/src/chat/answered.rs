//! What an answer holds besides calls and thinking: content, citations, log probabilities.

use crate::json::{Kind, Value, Writer};
use crate::neutral::{Citation, Raw};
use std::borrow::Cow;

/// A piece of `content`.
pub(super) enum Answered<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// Thinking that stands among the content (Mistral).
    Thinking(Cow<'a, str>),
}

impl<'a> Answered<'a> {
    /// The pieces of a message's or delta's `content`: a string, or a list of parts. Empty ones are none; neighbouring
    /// texts of one list are one.
    pub(super) fn of(content: Option<Value<'a>>) -> Vec<Self> {
        let Some(content) = content else { return Vec::new() };
        if let Some(text) = content.as_str() {
            return if text.is_empty() { Vec::new() } else { vec![Self::Text(text)] };
        }
        let mut pieces: Vec<Self> = Vec::new();
        for part in content.elements() {
            match (Self::part(part), pieces.last_mut()) {
                (Some(Self::Text(more)), Some(Self::Text(text))) => text.to_mut().push_str(&more),
                (Some(piece), _) => pieces.push(piece),
                (None, _) => {}
            }
        }
        pieces
    }

    fn part(part: Value<'a>) -> Option<Self> {
        let text = |value: Value<'a>| value.as_str().filter(|text| !text.is_empty());
        if let Some(thinking) = part.get("thinking") {
            let joined =
                || thinking.elements().filter_map(|piece| piece.get("text")?.as_str()).collect::<String>();
            let joined = text(thinking).unwrap_or_else(|| Cow::Owned(joined()));
            return (!joined.is_empty()).then_some(Self::Thinking(joined));
        }
        part.get("text").and_then(text).map(Self::Text)
    }

    /// A choice's `logprobs` in OpenAI's form, on one line; nothing of another form.
    pub(super) fn logprobs(choice: Value<'a>) -> Option<Raw<'a>> {
        let logprobs = choice.get("logprobs")?;
        let lists = [logprobs.get("content"), logprobs.get("refusal")];
        lists.iter().flatten().any(|list| list.kind() == Kind::Array).then(|| {
            let text = String::from_utf8_lossy(logprobs.raw());
            // Strings hold no line breaks, and a frame of a stream is one line.
            if text.contains(['\n', '\r']) { Cow::Owned(text.replace(['\n', '\r'], " ")) } else { text }
        })
    }
}

/// The stop text that was met, where a provider says it (vLLM, SGLang).
pub(super) fn stop_text(choice: Value<'_>) -> Option<Cow<'_, str>> {
    let reason = choice.get("stop_reason").or_else(|| choice.get("matched_stop"))?;
    reason.as_str().filter(|text| !text.is_empty())
}

/// What a message or delta cites: `annotations`, else the addresses that Perplexity lists beside the choices.
pub(super) fn annotations<'a>(message: Value<'a>, root: Option<Value<'a>>) -> Vec<Citation<'a>> {
    let list = message.get("annotations");
    let cited: Vec<_> = list.iter().flat_map(|list| list.elements()).filter_map(citation).collect();
    if !cited.is_empty() {
        return cited;
    }
    let listed = root.and_then(|root| root.get("citations"));
    let addresses = listed.iter().flat_map(|list| list.elements()).filter_map(|url| url.as_str());
    let bare = |url| Citation { url: Some(url), title: None, cited: None, range: None, json: None };
    addresses.map(bare).collect()
}

/// Reads a `url_citation`.
pub(super) fn citation(annotation: Value<'_>) -> Option<Citation<'_>> {
    let inner = annotation.get("url_citation")?;
    let text = |key: &str| inner.get(key).and_then(|value| value.as_str());
    let number = |key: &str| inner.get(key).and_then(|value| value.as_u64());
    Some(Citation {
        url: Some(text("url")?),
        title: text("title").filter(|title| !title.is_empty()),
        cited: text("content"),
        range: number("start_index").zip(number("end_index")),
        json: None,
    })
}

/// Writes a `url_citation`; nothing for what has no address. All four members are required. In a stream it needs an
/// index too: OpenAI's SDK fails on a second list of entries without.
pub(super) fn write_annotation(
    json: &mut Writer,
    citation: &Citation<'_>,
    range: (u64, u64),
    index: Option<u64>,
) {
    let Some(url) = &citation.url else { return };
    json.begin_object();
    if let Some(index) = index {
        json.key("index").number(index);
    }
    json.text("type", "url_citation").key("url_citation").begin_object();
    json.key("start_index").number(range.0).key("end_index").number(range.1);
    json.text("title", citation.title.as_deref().unwrap_or_default()).text("url", url);
    json.end_object().end_object();
}
