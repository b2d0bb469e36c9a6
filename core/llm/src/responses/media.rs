//! Text, images and files as the provider takes them in messages and in what tools answered.

use crate::json::Writer;
use crate::neutral::content::file_by;
use crate::neutral::{By, Media, MediaKind, Param, Source, Untranslatable};

pub(super) fn input_text(json: &mut Writer, text: &str) {
    json.begin_object().text("type", "input_text").text("text", text).end_object();
}

/// Writes one part.
///
/// # Errors
/// For audio, which the API does not take, and for another provider's files.
pub(super) fn media(json: &mut Writer, media: &Media<'_>) -> Result<(), Untranslatable> {
    let mime = media.mime.as_deref();
    match (media.kind, &media.source) {
        (MediaKind::Audio, _) => {
            let message = "The Responses API takes no audio; use a model behind Chat Completions or Gemini.";
            return Err(Untranslatable { message: message.into(), param: Param::Messages });
        }
        // What a text is called stands before it, as there is no field for it.
        (_, Source::Text(text)) => match &media.name {
            Some(name) => input_text(json, &format!("{name}\n\n{text}")),
            None => input_text(json, text),
        },
        (_, Source::FileId(id)) if matches!(file_by(id), Some(By::Anthropic | By::Gemini)) => {
            let message = "The file was uploaded to another provider. Send its content instead of its id.";
            return Err(Untranslatable { message: message.into(), param: Param::Messages });
        }
        (MediaKind::Image, source) => {
            json.begin_object().text("type", "input_image");
            match source {
                Source::Base64(data) => json.text("image_url", &data_url(mime.unwrap_or("image/png"), data)),
                Source::FileId(id) => json.text("file_id", id),
                Source::Url(text) | Source::Text(text) => json.text("image_url", text),
            };
            json.text("detail", media.detail.as_deref().unwrap_or("auto")).end_object();
        }
        (MediaKind::Document, source) => {
            json.begin_object().text("type", "input_file");
            match source {
                Source::Base64(data) => {
                    let mime = mime.unwrap_or("application/pdf");
                    json.text("filename", &file_name(media, mime)).text("file_data", &data_url(mime, data))
                }
                Source::FileId(id) => json.text("file_id", id),
                Source::Url(text) | Source::Text(text) => json.text("file_url", text),
            };
            json.end_object();
        }
    }
    Ok(())
}

fn data_url(mime: &str, data: &str) -> String {
    format!("data:{mime};base64,{data}")
}

/// The provider tells a file's form by its name, which it demands.
fn file_name(media: &Media<'_>, mime: &str) -> String {
    let ending = match mime {
        "text/plain" => "txt",
        "text/markdown" => "md",
        "text/csv" => "csv",
        "text/html" => "html",
        "application/json" => "json",
        _ => "pdf",
    };
    match media.name.as_deref() {
        Some(name) if name.contains('.') => name.to_owned(),
        Some(name) => format!("{name}.{ending}"),
        None => format!("document.{ending}"),
    }
}
