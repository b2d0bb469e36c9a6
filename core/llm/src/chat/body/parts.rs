//! What messages are made of.

use super::tools::write_mark;
use crate::json::Writer;
use crate::neutral::content::file_by;
use crate::neutral::{By, Content, Media, MediaKind, Param, Part, Source, Untranslatable};
use crate::vendor::Quirks;
use std::borrow::Cow;

/// Whether a part can be said at all.
///
/// # Errors
/// [`Untranslatable`] for media at places that chat cannot name.
pub(super) fn check(part: &Part<'_>, quirks: &Quirks) -> Result<(), Untranslatable> {
    let Content::Media(media) = &part.content else { return Ok(()) };
    let what = match (media.kind, &media.source) {
        (MediaKind::Image, Source::FileId(_)) => "An image by file id: send its address or its data",
        (_, Source::FileId(id)) if matches!(file_by(id), Some(By::Anthropic | By::Gemini)) => {
            "A file that was uploaded to another provider: send its data"
        }
        (MediaKind::Document, Source::Url(_)) if !quirks.file_urls => {
            "A document at an address: send its data"
        }
        (MediaKind::Audio, Source::Url(_) | Source::FileId(_)) => {
            "Audio at an address or by file id: send its data"
        }
        _ => return Ok(()),
    };
    Err(Untranslatable {
        message: format!("This model's provider does not take it. {what}."),
        param: Param::Messages,
    })
}

/// A part as text, if it is one.
pub(super) fn as_text<'p>(content: &'p Content<'_>) -> Option<Cow<'p, str>> {
    match content {
        Content::Text { text, .. } | Content::Refusal(text) => Some(Cow::Borrowed(text.as_ref())),
        Content::Media(Media { source: Source::Text(text), name, .. }) => Some(match name {
            Some(name) => Cow::Owned(format!("{name}\n\n{text}")),
            None => Cow::Borrowed(text.as_ref()),
        }),
        _ => None,
    }
}

/// Writes a message's `content`: a string if one will do, else a list of parts.
pub(super) fn content_json(json: &mut Writer, parts: &[Part<'_>], quirks: &Quirks) {
    let texts: Vec<_> = parts.iter().map_while(|part| as_text(&part.content)).collect();
    let marked = quirks.cache_marks && parts.iter().any(|part| part.cache.is_some());
    if texts.len() == parts.len() && !marked && (texts.len() < 2 || quirks.string_content) {
        json.string(&texts.join("\n"));
        return;
    }
    json.begin_array();
    for part in parts {
        write_part(json, part, quirks);
    }
    json.end_array();
}

fn write_part(json: &mut Writer, part: &Part<'_>, quirks: &Quirks) {
    // A part of chat's own that came as it goes.
    if let Content::Other { json: raw, .. } = &part.content {
        json.raw(raw);
        return;
    }
    json.begin_object();
    match (&part.content, as_text(&part.content)) {
        (_, Some(text)) => {
            json.text("type", "text").text("text", &text);
        }
        (Content::Media(media), None) => write_media(json, media),
        _ => {}
    }
    if let Some(ttl) = part.cache.filter(|_| quirks.cache_marks) {
        write_mark(json, ttl);
    }
    json.end_object();
}

fn write_media(json: &mut Writer, media: &Media<'_>) {
    match media.kind {
        MediaKind::Image => {
            json.text("type", "image_url").key("image_url").begin_object();
            json.text("url", &address(media, "image/png"));
            json.maybe_text("detail", media.detail.as_deref()).end_object();
        }
        MediaKind::Audio => {
            let data = if let Source::Base64(data) = &media.source { data.as_ref() } else { "" };
            json.text("type", "input_audio").key("input_audio").begin_object().text("data", data);
            json.text("format", audio_format(media.mime.as_deref())).end_object();
        }
        MediaKind::Document => {
            json.text("type", "file").key("file").begin_object();
            if let Source::FileId(id) = &media.source {
                json.text("file_id", id).end_object();
                return;
            }
            // OpenAI wants a name beside data.
            json.text("filename", media.name.as_deref().unwrap_or_else(|| name_for(media.mime.as_deref())));
            json.text("file_data", &address(media, "application/pdf")).end_object();
        }
    }
}

/// An address, or the data as one.
fn address<'m>(media: &'m Media<'_>, usual: &str) -> Cow<'m, str> {
    match &media.source {
        Source::Url(url) => Cow::Borrowed(url.as_ref()),
        Source::Base64(data) => {
            Cow::Owned(format!("data:{};base64,{data}", media.mime.as_deref().unwrap_or(usual)))
        }
        Source::Text(text) | Source::FileId(text) => Cow::Borrowed(text.as_ref()),
    }
}

fn audio_format(mime: Option<&str>) -> &str {
    match mime.unwrap_or("audio/wav") {
        "audio/wav" | "audio/x-wav" | "audio/wave" => "wav",
        "audio/mpeg" | "audio/mp3" => "mp3",
        other => other.rsplit('/').next().unwrap_or(other),
    }
}

fn name_for(mime: Option<&str>) -> &'static str {
    match mime {
        Some("text/plain") => "document.txt",
        Some("text/csv") => "document.csv",
        Some("text/html") => "document.html",
        _ => "document.pdf",
    }
}
