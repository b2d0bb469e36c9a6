//! Images and documents of a request.

use crate::json::Writer;
use crate::neutral::{Media, MediaKind, Param, Source, Untranslatable};

/// The members of an image's or a document's block.
///
/// # Errors
/// What Anthropic cannot read: leaving it out would change what the model is asked.
pub(super) fn write(media: &Media<'_>, json: &mut Writer) -> Result<(), Untranslatable> {
    match media.kind {
        MediaKind::Image => {
            json.text("type", "image").key("source").begin_object();
            image(media, json)?;
        }
        MediaKind::Document => {
            json.text("type", "document").key("source").begin_object();
            document(media, json)?;
        }
        MediaKind::Audio => return refuse("This model does not take audio. Send a transcript instead."),
    }
    json.end_object();
    if media.kind == MediaKind::Document {
        json.maybe_text("title", media.name.as_deref().filter(|name| !name.is_empty()));
    }
    Ok(())
}

fn refuse(message: &str) -> Result<(), Untranslatable> {
    Err(Untranslatable { message: message.to_owned(), param: Param::Messages })
}

fn image(media: &Media<'_>, json: &mut Writer) -> Result<(), Untranslatable> {
    match &media.source {
        Source::Base64(data) => {
            let mime = media.mime.as_deref().filter(|mime| mime.starts_with("image/"));
            json.text("type", "base64").text("media_type", mime.unwrap_or_else(|| picture(data)));
            json.text("data", data);
            Ok(())
        }
        Source::Text(_) => refuse("An image must be given as base64, by URL or as a file."),
        source => elsewhere(source, json),
    }
}

/// The type of an image that came without one, from how its base64 begins.
fn picture(data: &str) -> &'static str {
    const BEGINNINGS: [(&str, &str); 3] =
        [("/9j/", "image/jpeg"), ("R0lG", "image/gif"), ("UklG", "image/webp")];
    BEGINNINGS.iter().find(|(begin, _)| data.starts_with(begin)).map_or("image/png", |(_, mime)| mime)
}

fn document(media: &Media<'_>, json: &mut Writer) -> Result<(), Untranslatable> {
    match &media.source {
        Source::Base64(data) if is_pdf(media.mime.as_deref(), data) => {
            json.text("type", "base64").text("media_type", "application/pdf").text("data", data);
            Ok(())
        }
        Source::Base64(data) if is_text(media.mime.as_deref()) => match decoded(data) {
            Some(text) => plain(&text, json),
            None => refuse("A text document must be UTF-8 in base64."),
        },
        Source::Base64(_) => {
            refuse("This model takes documents that are PDF or plain text. Convert the file first.")
        }
        Source::Text(text) => plain(text, json),
        source => elsewhere(source, json),
    }
}

fn plain(text: &str, json: &mut Writer) -> Result<(), Untranslatable> {
    json.text("type", "text").text("media_type", "text/plain").text("data", text);
    Ok(())
}

fn is_pdf(mime: Option<&str>, data: &str) -> bool {
    mime.map_or_else(|| data.starts_with("JVBERi"), |mime| mime == "application/pdf")
}

fn is_text(mime: Option<&str>) -> bool {
    mime.is_none_or(|mime| {
        mime.starts_with("text/")
            || matches!(mime, "application/json" | "application/xml" | "application/yaml")
    })
}

fn elsewhere(source: &Source<'_>, json: &mut Writer) -> Result<(), Untranslatable> {
    match source {
        Source::Url(url) => {
            json.text("type", "url").text("url", url);
            Ok(())
        }
        // Anthropic's own ids; OpenAI's begin with `file-`.
        Source::FileId(id) if id.starts_with("file_") => {
            json.text("type", "file").text("file_id", id);
            Ok(())
        }
        _ => refuse("The file was uploaded to another provider. Send its content instead of its id."),
    }
}

/// Standard base64 as text.
fn decoded(data: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(data.len() / 4 * 3);
    let (mut word, mut bits) = (0u32, 0);
    for letter in data.trim_end_matches('=').bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        word = word << 6 | u32::from(sextet(letter)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
            word &= (1 << bits) - 1;
        }
    }
    String::from_utf8(bytes).ok()
}

const fn sextet(letter: u8) -> Option<u8> {
    Some(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn base64_gives_back_every_text(text in ".{0,60}") {
            let data = base64::engine::general_purpose::STANDARD.encode(&text);
            prop_assert_eq!(decoded(&data), Some(text));
        }
    }

    #[test]
    fn what_is_no_base64_of_text_is_none() {
        assert_eq!(decoded("a*b="), None);
        assert_eq!(decoded("//79"), None);
    }
}
