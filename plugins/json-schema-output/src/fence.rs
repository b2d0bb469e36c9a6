//! JSON in a fenced block, as models like to write it.

use std::ops::Range;

const FENCE: &str = "```";

/// Where the inside of the only fenced block of a text is; the language may be `json` or none. Text around it is the
/// model's chatter. With several blocks there is no telling which is meant.
#[must_use]
pub(crate) fn inside(text: &str) -> Option<Range<usize>> {
    let mut fences = fences(text);
    let (open, close) = (fences.next()?, fences.next()?);
    if fences.next().is_some() {
        return None;
    }
    let line = text[open..].find('\n').map(|length| open + length)?;
    let language = text[open + FENCE.len()..line].trim();
    let opens = language.is_empty() || language.eq_ignore_ascii_case("json");
    (opens && line < close).then_some(line + 1..close)
}

/// Where lines begin with a fence.
fn fences(text: &str) -> impl Iterator<Item = usize> + '_ {
    let mut at = 0;
    let lines = text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line)
    });
    lines.filter_map(|(start, line)| {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        line[indent..].starts_with(FENCE).then_some(start + indent)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<&str> {
        inside(text).map(|range| &text[range])
    }

    #[test]
    fn the_only_block_is_found() {
        assert_eq!(found("```json\n{\"a\":1}\n```"), Some("{\"a\":1}\n"));
        assert_eq!(found("Sure! ü\n\n  ```JSON \n[1]\n  ```\nAnything else?"), Some("[1]\n  "));
        assert_eq!(found("```\r\n1\r\n```"), Some("1\r\n"));
        assert_eq!(found("```json\n```"), Some(""));
    }

    #[test]
    fn there_is_none_to_be_sure_of() {
        for text in [
            "{}",
            "```json\n{}",
            "```json {}```",
            "```json\n1\n```\n```json\n2\n```",
            "```python\nprint()\n```",
            "a ```json\n{}\n``` b",
            "``` ```",
            "```",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn a_fence_in_a_string_of_the_json_is_no_fence() {
        assert_eq!(found("```json\n{\"code\": \"```\"}\n```"), Some("{\"code\": \"```\"}\n"));
    }
}
