//! What messages are made of.

use super::{raw, text};
use crate::json::Value;
use crate::neutral::content::{data_url, plain_mime};
use crate::neutral::{CacheTtl, Content, Media, MediaKind, Part, Source};
use std::borrow::Cow;

/// The parts of a message's `content`: a string, or a list. Empty texts are no parts.
pub(super) fn parts(content: Value<'_>) -> Vec<Part<'_>> {
    match content.as_str() {
        Some(text) if text.is_empty() => Vec::new(),
        Some(text) => vec![Part::text(text)],
        None => content.elements().filter(|part| !is_empty(*part)).map(part).collect(),
    }
}

fn part(part: Value<'_>) -> Part<'_> {
    Part { content: one(part), cache: cache(part) }
}

/// Whether it is a text without text, which other dialects refuse.
fn is_empty(part: Value<'_>) -> bool {
    part.get("text").is_some_and(|text| text.is_text(""))
}

fn one(part: Value<'_>) -> Content<'_> {
    let kind = text(part, "type").unwrap_or_default();
    let known = match kind.as_ref() {
        // Responses' words stand in chat bodies of some callers.
        "text" | "input_text" | "output_text" => text(part, "text").map(Content::text),
        "refusal" => text(part, "refusal").map(Content::Refusal),
        "image_url" => image(part),
        "input_audio" => audio(part),
        "file" => file(part),
        _ => None,
    };
    known.unwrap_or_else(|| Content::Other { kind, json: raw(part) })
}

fn image(part: Value<'_>) -> Option<Content<'_>> {
    let image = part.get("image_url")?;
    let url = image.as_str().or_else(|| text(image, "url"))?;
    let detail = text(image, "detail");
    if !is_data(&url) {
        let media =
            Media { kind: MediaKind::Image, source: Source::Url(url), mime: None, name: None, detail };
        return Some(Content::Media(media));
    }
    let (mime, data) = split_data(url)?;
    // Some callers send PDFs and sound as if they were images.
    let kind = mime.as_deref().map_or(MediaKind::Image, kind_of);
    let mime = mime.or(Some(Cow::Borrowed("image/png")));
    Some(Content::Media(Media { kind, source: Source::Base64(data), mime, name: None, detail }))
}

fn audio(part: Value<'_>) -> Option<Content<'_>> {
    let audio = part.get("input_audio")?;
    let data = text(audio, "data")?;
    let (named, data) = if is_data(&data) { split_data(data)? } else { (None, data) };
    let mime = text(audio, "format").map(|format| match format.as_ref() {
        "wav" => Cow::Borrowed("audio/wav"),
        "mp3" => Cow::Borrowed("audio/mpeg"),
        other => Cow::Owned(format!("audio/{other}")),
    });
    let source = Source::Base64(data);
    Some(Content::Media(Media {
        kind: MediaKind::Audio,
        source,
        mime: mime.or(named),
        name: None,
        detail: None,
    }))
}

fn file(part: Value<'_>) -> Option<Content<'_>> {
    let file = part.get("file")?;
    let name = text(file, "filename").filter(|name| !name.is_empty());
    let (mime, source) = match (text(file, "file_data"), text(file, "file_id")) {
        (Some(data), _) if is_data(&data) => {
            let (mime, data) = split_data(data)?;
            (mime, Source::Base64(data))
        }
        // OpenRouter's callers put an address there.
        (Some(url), _) | (None, Some(url)) if is_address(&url) => (None, Source::Url(url)),
        (Some(data), _) => (None, Source::Base64(data)),
        (None, Some(id)) => (None, Source::FileId(id)),
        (None, None) => return None,
    };
    let mime = mime.or_else(|| text(file, "format")).or_else(|| match (&source, &name) {
        (Source::FileId(_), _) => None,
        (_, Some(name)) => Some(Cow::Borrowed(mime_of(name))),
        (_, None) => Some(Cow::Borrowed("application/pdf")),
    });
    let kind = mime.as_deref().map_or(MediaKind::Document, kind_of);
    Some(Content::Media(Media { kind, source, mime, name, detail: None }))
}

fn is_data(url: &str) -> bool {
    url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

fn is_address(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// Media type and base64 of a `data:` URL; none if it is not in base64.
fn split_data(url: Cow<'_, str>) -> Option<(Option<Cow<'_, str>>, Cow<'_, str>)> {
    match url {
        Cow::Borrowed(url) => data_url(url).map(|(mime, data)| (mime.map(plain_mime), Cow::Borrowed(data))),
        Cow::Owned(url) => data_url(&url).map(|(mime, data)| {
            (mime.map(|mime| Cow::Owned(plain_mime(mime).into_owned())), Cow::Owned(data.to_owned()))
        }),
    }
}

fn kind_of(mime: &str) -> MediaKind {
    match mime.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        _ => MediaKind::Document,
    }
}

/// The media type that a file's name tells of.
fn mime_of(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    match ending.as_str() {
        "txt" | "md" | "log" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        _ => "application/pdf",
    }
}

/// A cache mark: Anthropic's, which many callers send in chat bodies, or OpenAI's own.
pub(super) fn cache(object: Value<'_>) -> Option<CacheTtl> {
    if let Some(mark) = object.get("cache_control").filter(|mark| mark.get("type").is_some()) {
        let hour = mark.get("ttl").is_some_and(|ttl| ttl.is_text("1h"));
        return Some(if hour { CacheTtl::OneHour } else { CacheTtl::FiveMinutes });
    }
    let mark = object.get("prompt_cache_breakpoint").filter(|mark| mark.get("mode").is_some())?;
    Some(if mark.get("ttl").is_some() { CacheTtl::OneHour } else { CacheTtl::FiveMinutes })
}
