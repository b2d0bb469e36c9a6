//! Images, documents and audio as parts.

use crate::json::Writer;
use crate::neutral::{Media, MediaKind, Param, Source, Untranslatable};

/// Where the Files API's names (`files/abc`) are addresses.
const FILES: &str = "https://generativelanguage.googleapis.com/v1beta/";

/// Writes what a media part holds into an open part.
///
/// # Errors
/// A file that was uploaded to another provider.
pub(super) fn write(media: &Media<'_>, json: &mut Writer) -> Result<(), Untranslatable> {
    match &media.source {
        Source::Text(text) => {
            json.text("text", text);
        }
        Source::Base64(data) => {
            let mime = media.mime.as_deref().or_else(|| sniffed(data)).unwrap_or_else(|| usual(media.kind));
            json.key("inlineData").begin_object().text("mimeType", mime).text("data", data).end_object();
        }
        Source::Url(url) => {
            let mime =
                media.mime.as_deref().or_else(|| by_extension(url)).unwrap_or_else(|| usual(media.kind));
            file(url, Some(mime), json);
        }
        Source::FileId(id) if id.contains("://") => file(id, media.mime.as_deref(), json),
        Source::FileId(id) if id.starts_with("files/") => {
            file(&format!("{FILES}{id}"), media.mime.as_deref(), json);
        }
        Source::FileId(_) => {
            return Err(Untranslatable {
                message: "The model's provider cannot read a file that was uploaded to another provider. \
                          Send the file's bytes or its address instead of its id."
                    .into(),
                param: Param::Messages,
            });
        }
    }
    Ok(())
}

/// Whether there is anything to write.
pub(super) fn is_empty(media: &Media<'_>) -> bool {
    matches!(&media.source, Source::Text(text) | Source::Base64(text) if text.is_empty())
}

fn file(uri: &str, mime: Option<&str>, json: &mut Writer) {
    json.key("fileData").begin_object().maybe_text("mimeType", mime).text("fileUri", uri).end_object();
}

const fn usual(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image/jpeg",
        MediaKind::Document => "application/pdf",
        MediaKind::Audio => "audio/mpeg",
    }
}

/// The media type that the first bytes tell, in base64.
fn sniffed(data: &str) -> Option<&'static str> {
    const SIGNS: [(&str, &str); 6] = [
        ("iVBORw0K", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("JVBERi", "application/pdf"),
        ("SUQz", "audio/mpeg"),
        ("T2dnUw", "audio/ogg"),
    ];
    if data.starts_with("UklGR") {
        // RIFF: the four letters behind its length say what it holds.
        return Some(if data.get(11..15) == Some("XQVZ") { "audio/wav" } else { "image/webp" });
    }
    SIGNS.iter().find(|(sign, _)| data.starts_with(sign)).map(|(_, mime)| *mime)
}

fn by_extension(url: &str) -> Option<&'static str> {
    const ENDS: [(&str, &str); 20] = [
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("gif", "image/gif"),
        ("webp", "image/webp"),
        ("heic", "image/heic"),
        ("heif", "image/heif"),
        ("pdf", "application/pdf"),
        ("txt", "text/plain"),
        ("md", "text/markdown"),
        ("csv", "text/csv"),
        ("html", "text/html"),
        ("json", "application/json"),
        ("mp3", "audio/mpeg"),
        ("wav", "audio/wav"),
        ("ogg", "audio/ogg"),
        ("flac", "audio/flac"),
        ("aac", "audio/aac"),
        ("mp4", "video/mp4"),
        ("mov", "video/quicktime"),
    ];
    let path = url.split(['?', '#']).next()?;
    let (_, end) = path.rsplit('/').next()?.rsplit_once('.')?;
    ENDS.iter().find(|(known, _)| end.eq_ignore_ascii_case(known)).map(|(_, mime)| *mime)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(source: Source<'_>, mime: Option<&'static str>) -> Result<String, Untranslatable> {
        let media =
            Media { kind: MediaKind::Image, source, mime: mime.map(Into::into), name: None, detail: None };
        let mut json = Writer::new();
        json.begin_object();
        write(&media, &mut json)?;
        json.end_object();
        Ok(json.into_text())
    }

    #[test]
    fn case_27_bytes_go_inline_with_their_type() {
        let pdf = written(Source::Base64("JVBERi0x".into()), None).unwrap();
        assert_eq!(pdf, r#"{"inlineData":{"mimeType":"application/pdf","data":"JVBERi0x"}}"#);
        let png = written(Source::Base64("AAAA".into()), Some("image/png")).unwrap();
        assert_eq!(png, r#"{"inlineData":{"mimeType":"image/png","data":"AAAA"}}"#);
        // "RIFF", a length, "WAVE" and "WEBP".
        let wave = written(Source::Base64("UklGRiQAAABXQVZF".into()), None).unwrap();
        assert!(wave.contains("audio/wav"), "{wave}");
        let webp = written(Source::Base64("UklGRiQAAABXRUJQ".into()), None).unwrap();
        assert!(webp.contains("image/webp"), "{webp}");
    }

    #[test]
    fn case_28_addresses_are_fetched_by_the_provider() {
        let url = written(Source::Url("https://x/y/cat.PNG?size=1.5".into()), None).unwrap();
        assert_eq!(url, r#"{"fileData":{"mimeType":"image/png","fileUri":"https://x/y/cat.PNG?size=1.5"}}"#);
        let plain = written(Source::Url("https://x.org".into()), None).unwrap();
        assert_eq!(plain, r#"{"fileData":{"mimeType":"image/jpeg","fileUri":"https://x.org"}}"#);
    }

    #[test]
    fn files_of_other_providers_are_refused() {
        assert_eq!(written(Source::FileId("file-abc".into()), None).unwrap_err().param, Param::Messages);
        let own = written(Source::FileId("files/abc".into()), None).unwrap();
        assert!(own.contains("/v1beta/files/abc"), "{own}");
    }
}
