//! What a text cites.

use super::{kind, raw, text};
use crate::json::{Json, Value, Writer};
use crate::neutral::Citation;
use bytes::Bytes;

/// The citations of a text block.
pub(super) fn citations(block: Value<'_>) -> impl Iterator<Item = Citation<'_>> {
    let list = block.get("citations");
    list.into_iter().flat_map(|list| list.elements()).map(citation)
}

/// One citation. Only what was found by search has an address; places in documents travel as JSON only.
pub(super) fn citation(value: Value<'_>) -> Citation<'_> {
    let url = match kind(value).as_ref() {
        "web_search_result_location" => text(value, "url"),
        "search_result_location" => text(value, "source"),
        _ => None,
    };
    Citation {
        url,
        title: text(value, "title").or_else(|| text(value, "document_title")),
        cited: text(value, "cited_text"),
        range: None,
        json: Some(raw(value)),
    }
}

/// The citation as Anthropic's own object. One of another dialect has none: `web_search_result_location` wants an
/// `encrypted_index` that nobody else can make.
pub(super) fn own_json<'a>(citation: &'a Citation<'_>) -> Option<&'a str> {
    let json = citation.json.as_deref()?;
    let parsed = Json::parse_lenient(Bytes::copy_from_slice(json.as_bytes())).ok()?;
    kind(parsed.root()).ends_with("_location").then_some(json)
}

/// The member `citations`, if any of them can be said: some clients refuse `null`, which others take for its absence.
pub(super) fn write(citations: &[Citation<'_>], json: &mut Writer) {
    let known: Vec<_> = citations.iter().filter_map(own_json).collect();
    if known.is_empty() {
        return;
    }
    json.key("citations").begin_array();
    for citation in known {
        json.raw(citation);
    }
    json.end_array();
}
