//! What a request tells of the units that it uses.

use crate::api::Api;
use crate::json::Kind;
use crate::request::Request;
use crate::units::Told;
use crate::usage::{Source, Usage};

/// Bytes of a second of audio, for a guess: 128 kbit/s, at which most recordings are compressed.
const AUDIO_GUESS: u64 = 16_000;
/// As few bytes as a second of audio commonly takes: 32 kbit/s.
const AUDIO_LEAST: u64 = 4_000;
/// Documents in a search unit.
const SEARCH_UNIT: u64 = 100;
/// A document of more tokens counts as several; a token covers at least one byte.
const DOCUMENT_TOKENS: usize = 500;

/// What was used as far as the request tells, and who counted; `None` for an API that providers bill by tokens only.
pub(super) fn used(request: &Request, uploaded: u64, told: &Told) -> Option<(Usage, Source)> {
    let none = Usage::default();
    Some(match request.api() {
        Api::Images => {
            let images = told.images.unwrap_or_else(|| request.choices());
            (Usage { images, ..none }, Source::GatewayCount)
        }
        Api::Speech => (Usage { characters: characters(request), ..none }, Source::GatewayCount),
        Api::Transcription => (Usage { seconds: uploaded.div_ceil(AUDIO_GUESS), ..none }, Source::Estimate),
        Api::Rerank => {
            let search_units = documents(request, |_| 1).div_ceil(SEARCH_UNIT).max(1);
            (Usage { search_units, ..none }, Source::Estimate)
        }
        _ => return None,
    })
}

/// The most units that a request can use.
pub(super) fn bound(request: &Request, uploaded: u64) -> u64 {
    match request.api() {
        Api::Images => request.choices(),
        Api::Speech => characters(request),
        Api::Transcription => uploaded.div_ceil(AUDIO_LEAST),
        Api::Rerank => {
            let pieces = |bytes: usize| bytes.div_ceil(DOCUMENT_TOKENS).max(1) as u64;
            documents(request, pieces).div_ceil(SEARCH_UNIT).max(1)
        }
        _ => 0,
    }
}

fn characters(request: &Request) -> u64 {
    let input = request.json().root().get("input");
    input.and_then(|input| input.as_str()).map_or(0, |text| text.chars().count() as u64)
}

/// The documents, each counted by its length in bytes.
fn documents(request: &Request, count: impl Fn(usize) -> u64) -> u64 {
    let documents = request.json().root().get("documents").filter(|list| list.kind() == Kind::Array);
    documents.map_or(0, |list| list.elements().map(|document| count(document.raw().len())).sum())
}
