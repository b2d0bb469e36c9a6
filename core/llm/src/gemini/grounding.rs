//! Citations. Gemini counts bytes of UTF-8 where callers count characters.

use crate::json::Value;
use crate::neutral::Citation;

/// Turns offsets in bytes into offsets in characters, without keeping the text.
#[derive(Default)]
pub(super) struct Offsets {
    bytes: u32,
    /// Behind each character of more than one byte: the offset in bytes, and how many bytes more than characters there
    /// are up to it.
    wide: Vec<(u32, u32)>,
}

impl Offsets {
    /// More text.
    pub(super) fn push(&mut self, text: &str) {
        let start = self.bytes;
        for (at, c) in text.char_indices().filter(|(_, c)| !c.is_ascii()) {
            let end = start.saturating_add(u32::try_from(at + c.len_utf8()).unwrap_or(u32::MAX));
            let more = self.wide.last().map_or(0, |(_, more)| *more) + c.len_utf8() as u32 - 1;
            self.wide.push((end, more));
        }
        self.bytes = start.saturating_add(u32::try_from(text.len()).unwrap_or(u32::MAX));
    }

    fn chars(&self, bytes: u64) -> u64 {
        let bytes = bytes.min(self.bytes.into());
        let before = self.wide.partition_point(|(end, _)| u64::from(*end) <= bytes);
        let more = before.checked_sub(1).and_then(|at| self.wide.get(at)).map_or(0, |(_, more)| *more);
        bytes - u64::from(more).min(bytes)
    }
}

/// The sources of a `groundingMetadata`, each with the characters of the answer that it supports. Offsets are those of
/// the whole answer: a streamed answer's parts have no numbers of their own.
pub(super) fn citations<'a>(metadata: Value<'a>, offsets: &Offsets) -> Vec<Citation<'a>> {
    let sources: Vec<Value<'a>> = metadata.get("groundingChunks").iter().flat_map(Value::elements).collect();
    let mut found = Vec::new();
    for support in metadata.get("groundingSupports").iter().flat_map(Value::elements) {
        let Some(segment) = support.get("segment") else { continue };
        let offset = |key: &str| segment.get(key).and_then(|offset| offset.as_u64());
        let range = offset("endIndex")
            .map(|end| (offsets.chars(offset("startIndex").unwrap_or(0)), offsets.chars(end)));
        for index in support.get("groundingChunkIndices").iter().flat_map(Value::elements) {
            let source = index.as_u64().and_then(|index| sources.get(usize::try_from(index).ok()?));
            found.extend(source.and_then(|source| citation(*source, range)));
        }
    }
    if found.is_empty() {
        found.extend(sources.iter().filter_map(|source| citation(*source, None)));
    }
    found
}

fn citation<'a>(source: Value<'a>, range: Option<(u64, u64)>) -> Option<Citation<'a>> {
    let place = ["web", "retrievedContext", "maps"].into_iter().find_map(|kind| source.get(kind))?;
    let text = |key: &str| place.get(key).and_then(|text| text.as_str());
    Some(Citation { url: Some(text("uri")?), title: text("title"), cited: None, range, json: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_characters() {
        let mut offsets = Offsets::default();
        for text in ["aé", "", "漢b", "🙂"] {
            offsets.push(text);
        }
        // a 1, é 3, 漢 6, b 7, 🙂 11
        let chars: Vec<u64> = [0, 1, 3, 6, 7, 11, 99].map(|bytes| offsets.chars(bytes)).into();
        assert_eq!(chars, [0, 1, 2, 3, 4, 5, 5]);
    }
}
