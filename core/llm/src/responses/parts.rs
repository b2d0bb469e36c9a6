//! A caller's content parts.

use super::wire::{citation, filled, kind, list, raw, text};
use crate::json::{Kind, Value};
use crate::neutral::content::{data_url, plain_mime};
use crate::neutral::{CacheTtl, Content, Media, MediaKind, Part, Source};
use std::borrow::Cow;

/// A string or a list of parts, as messages and outputs of tools have them.
pub(super) fn parts<'a>(content: Value<'a>) -> Vec<Part<'a>> {
    match content.kind() {
        Kind::String => content.as_str().map(Part::text).into_iter().collect(),
        _ => content.elements().filter_map(part).collect(),
    }
}

fn part<'a>(part: Value<'a>) -> Option<Part<'a>> {
    let content = match kind(part).as_ref() {
        "input_text" | "output_text" | "text" => Content::Text {
            text: text(part, "text")?,
            citations: list(part, "annotations").map(citation).collect(),
        },
        "refusal" => Content::Refusal(text(part, "refusal")?),
        "input_image" => Content::Media(image(part)?),
        "input_file" => Content::Media(file(part)?),
        "input_audio" => Content::Media(audio(part)?),
        other => Content::Other { kind: Cow::Owned(other.to_owned()), json: raw(part) },
    };
    Some(Part { content, cache: cache(part) })
}

/// OpenAI keeps what is marked for half an hour or for twelve; the nearest terms that others know.
fn cache(part: Value<'_>) -> Option<CacheTtl> {
    let mark = part.get("prompt_cache_breakpoint").filter(|mark| mark.kind() == Kind::Object)?;
    let long = mark.get("ttl").is_some_and(|ttl| ttl.is_text("12h"));
    Some(if long { CacheTtl::OneHour } else { CacheTtl::FiveMinutes })
}

fn image<'a>(part: Value<'a>) -> Option<Media<'a>> {
    let (source, mime) = match filled(part, "image_url") {
        Some(url) => located(url),
        None => (Source::FileId(filled(part, "file_id")?), None),
    };
    Some(Media { kind: MediaKind::Image, source, mime, name: None, detail: text(part, "detail") })
}

fn file<'a>(part: Value<'a>) -> Option<Media<'a>> {
    let name = filled(part, "filename");
    let (source, mime) = match filled(part, "file_data") {
        Some(data) if data_url(&data).is_some() => located(data),
        Some(data) => (Source::Base64(data), None),
        None => match filled(part, "file_url") {
            Some(url) => located(url),
            None => (Source::FileId(filled(part, "file_id")?), None),
        },
    };
    let mime = mime.or_else(|| mime_of(name.as_deref(), &source).map(Cow::Borrowed));
    let kind = match mime.as_deref().and_then(|mime| mime.split('/').next()) {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        _ => MediaKind::Document,
    };
    Some(Media { kind, source, mime, name, detail: text(part, "detail") })
}

fn audio<'a>(part: Value<'a>) -> Option<Media<'a>> {
    let audio = part.get("input_audio").unwrap_or(part);
    let mime = text(audio, "format").map(|format| match format.as_ref() {
        "mp3" => Cow::Borrowed("audio/mpeg"),
        "wav" => Cow::Borrowed("audio/wav"),
        other => Cow::Owned(format!("audio/{other}")),
    });
    let source = Source::Base64(filled(audio, "data")?);
    Some(Media { kind: MediaKind::Audio, source, mime, name: None, detail: None })
}

/// What an address points to: the bytes themselves if it is a `data:` URL.
fn located<'a>(url: Cow<'a, str>) -> (Source<'a>, Option<Cow<'a, str>>) {
    let split = match &url {
        Cow::Borrowed(url) => data_url(url).map(|(mime, data)| (Cow::Borrowed(data), mime.map(plain_mime))),
        Cow::Owned(url) => data_url(url).map(|(mime, data)| {
            (Cow::Owned(data.to_owned()), mime.map(|mime| Cow::Owned(plain_mime(mime).into_owned())))
        }),
    };
    match split {
        Some((data, mime)) => (Source::Base64(data), mime),
        None => (Source::Url(url), None),
    }
}

/// The media type of a file that came without one: by its name, else by its first bytes.
fn mime_of(name: Option<&str>, source: &Source<'_>) -> Option<&'static str> {
    const ENDINGS: [(&str, &str); 12] = [
        ("pdf", "application/pdf"),
        ("txt", "text/plain"),
        ("md", "text/markdown"),
        ("csv", "text/csv"),
        ("html", "text/html"),
        ("json", "application/json"),
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("gif", "image/gif"),
        ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ];
    let ending = name.and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
    let known =
        ENDINGS.iter().find(|(known, _)| ending.is_some_and(|ending| ending.eq_ignore_ascii_case(known)));
    match (known, source) {
        (Some((_, mime)), _) => Some(mime),
        // `%PDF` in base64.
        (None, Source::Base64(data)) if data.starts_with("JVBE") => Some("application/pdf"),
        _ => None,
    }
}
