//! The content blocks of a request.

use super::citation::citations;
use super::{kind, raw, text};
use crate::json::{Kind, Value};
use crate::neutral::content::plain_mime;
use crate::neutral::{
    By, CacheTtl, Call, Content, Media, MediaKind, Part, Raw, Seal, Source, Thinking, ToolResult,
};
use std::borrow::Cow;

/// What a message says: a string, or blocks.
pub(super) fn parts(content: Value<'_>) -> Vec<Part<'_>> {
    match content.as_str() {
        Some(text) => vec![Part::text(text)],
        None => content.elements().flat_map(block).collect(),
    }
}

/// A cache mark.
pub(super) fn cache(value: Value<'_>) -> Option<CacheTtl> {
    let mark = value.get("cache_control").filter(|mark| mark.kind() == Kind::Object)?;
    let hour = mark.get("ttl").is_some_and(|ttl| ttl.is_text("1h"));
    Some(if hour { CacheTtl::OneHour } else { CacheTtl::FiveMinutes })
}

/// One block. A document may be several parts: its context, its text, the images in it.
fn block(value: Value<'_>) -> Vec<Part<'_>> {
    let kind = kind(value);
    let contents = match kind.as_ref() {
        "document" => document(value),
        _ => vec![content(value, kind)],
    };
    let last = contents.len().saturating_sub(1);
    let marked = |(at, content)| Part { content, cache: if at == last { cache(value) } else { None } };
    contents.into_iter().enumerate().map(marked).collect()
}

fn content<'a>(value: Value<'a>, kind: Cow<'a, str>) -> Content<'a> {
    match kind.as_ref() {
        "text" => Content::Text {
            text: text(value, "text").unwrap_or_default(),
            citations: citations(value).collect(),
        },
        "image" => image(value).map_or_else(|| other(value, kind), Content::Media),
        "tool_use" => Content::Call(call(value)),
        "tool_result" => Content::Result(result(value)),
        "thinking" => Content::Thinking(thinking(value)),
        "redacted_thinking" => Content::Thinking(redacted(value)),
        "search_result" => Content::Media(search_result(value)),
        // A tool that a search found. Other providers have it among the tools already, and must not see an empty result.
        "tool_reference" => {
            Content::text(format!("Tool available: {}", text(value, "tool_name").unwrap_or_default()))
        }
        _ => other(value, kind),
    }
}

fn other<'a>(value: Value<'a>, kind: Cow<'a, str>) -> Content<'a> {
    Content::Other { kind, json: raw(value) }
}

/// A call's input as it came; none is an empty text.
pub(super) fn input(value: Value<'_>) -> Raw<'_> {
    value.get("input").map(raw).unwrap_or_default()
}

fn call(value: Value<'_>) -> Call<'_> {
    Call {
        id: text(value, "id").unwrap_or_default(),
        name: text(value, "name").unwrap_or_default(),
        arguments: input(value),
        custom: false,
        seal: None,
    }
}

fn result(value: Value<'_>) -> ToolResult<'_> {
    ToolResult {
        id: text(value, "tool_use_id").unwrap_or_default(),
        parts: value.get("content").map(parts).unwrap_or_default(),
        is_error: value.get("is_error").and_then(|flag| flag.as_bool()) == Some(true),
        custom: false,
    }
}

/// A thinking block. Its signature may be ours: another provider's proof in an envelope, with the text that it proves.
fn thinking(value: Value<'_>) -> Thinking<'_> {
    let signature = text(value, "signature").filter(|signature| !signature.is_empty());
    let shown = text(value, "thinking").unwrap_or_default();
    match signature {
        None => Thinking { text: shown, seal: None },
        Some(signature) => enveloped(&signature).unwrap_or(Thinking {
            text: shown,
            seal: Some(Seal { by: By::Anthropic, data: signature, hidden: false }),
        }),
    }
}

fn redacted(value: Value<'_>) -> Thinking<'_> {
    let data = text(value, "data").unwrap_or_default();
    enveloped(&data).unwrap_or(Thinking {
        text: Cow::Borrowed(""),
        seal: Some(Seal { by: By::Anthropic, data, hidden: true }),
    })
}

fn enveloped(envelope: &str) -> Option<Thinking<'static>> {
    let (seal, text) = Seal::unwrap(envelope)?;
    Some(Thinking { text: text.into(), seal: Some(seal) })
}

fn image(value: Value<'_>) -> Option<Media<'_>> {
    let source = value.get("source")?;
    let at = located(source)?;
    Some(Media { kind: MediaKind::Image, source: at, mime: mime(source), name: None, detail: None })
}

/// Sources that images and documents share.
fn located(source: Value<'_>) -> Option<Source<'_>> {
    match kind(source).as_ref() {
        "base64" => Some(Source::Base64(text(source, "data")?)),
        "url" => Some(Source::Url(text(source, "url")?)),
        "text" => Some(Source::Text(text(source, "data")?)),
        "file" => Some(Source::FileId(text(source, "file_id")?)),
        _ => None,
    }
}

fn mime(source: Value<'_>) -> Option<Cow<'_, str>> {
    let mime = text(source, "media_type")?;
    Some(match mime {
        Cow::Borrowed(mime) => plain_mime(mime),
        Cow::Owned(mime) => Cow::Owned(plain_mime(&mime).into_owned()),
    })
}

fn document(value: Value<'_>) -> Vec<Content<'_>> {
    let Some(source) = value.get("source") else { return vec![other(value, kind(value))] };
    let title = text(value, "title");
    let media = |source, mime| {
        Content::Media(Media { kind: MediaKind::Document, source, mime, name: title.clone(), detail: None })
    };
    // What the caller tells the model of the document stands before it.
    let mut contents: Vec<_> = text(value, "context").map(Content::text).into_iter().collect();
    match located(source) {
        Some(Source::Text(text)) => contents.push(media(Source::Text(text), Some("text/plain".into()))),
        Some(at) => contents.push(media(at, mime(source))),
        None => match source.get("content") {
            Some(inner) => {
                let (texts, images) = split(inner);
                contents.push(media(Source::Text(texts.into()), Some("text/plain".into())));
                contents.extend(images.map(Content::Media));
            }
            None => contents.push(other(value, kind(value))),
        },
    }
    contents
}

/// A document that is given as blocks: its texts as one, and its images.
fn split(inner: Value<'_>) -> (String, impl Iterator<Item = Media<'_>>) {
    let texts = inner.as_str().map(Cow::into_owned).unwrap_or_else(|| joined(inner));
    (texts, inner.elements().filter(|block| kind(*block) == "image").filter_map(image))
}

fn joined(blocks: Value<'_>) -> String {
    let texts: Vec<_> = blocks.elements().filter_map(|block| text(block, "text")).collect();
    texts.join("\n\n")
}

/// What a caller's own search found: a short document with a title and a source.
fn search_result(value: Value<'_>) -> Media<'_> {
    let found = value.get("content").map(joined).unwrap_or_default();
    let found = match text(value, "source") {
        Some(source) => format!("{source}\n\n{found}"),
        None => found,
    };
    Media {
        kind: MediaKind::Document,
        source: Source::Text(found.into()),
        mime: Some("text/plain".into()),
        name: text(value, "title"),
        detail: None,
    }
}
