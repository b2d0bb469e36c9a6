//! From hits to edits.

use crate::check;
use crate::class::Class;
use crate::config::Settings;
use weir_sdk::{AccessError, Edit, Finding, Hit, Request, SegInfo, SegKind};

/// The matcher in `manifest.yaml`.
const MATCHER: &str = "pii";

/// What there is to do, and why.
#[derive(Default)]
pub(crate) struct Masked {
    pub(crate) edits: Vec<Edit>,
    pub(crate) findings: Vec<Finding>,
}

/// A part of a segment's text to be masked.
#[derive(Debug, Clone, Copy)]
struct Span {
    class: Class,
    hit: Hit,
}

/// Edits for everything that the settings want masked, in order and apart from each other.
pub(crate) fn edits(request: &dyn Request, settings: &Settings) -> Result<Masked, AccessError> {
    let hits = request.scan(MATCHER)?;
    if hits.is_empty() {
        return Ok(Masked::default());
    }
    let segments: Vec<SegInfo> = request.segments().collect();
    let mut spans = Vec::new();
    for hit in hits {
        let class = Class::of_pattern(hit.pattern);
        if settings.wants(class) && is_text(request, &segments, hit.segment)? {
            confirm(request, class, hit, &mut spans)?;
        }
    }
    let spans = apart(spans);
    let edits = spans.iter().map(|span| Edit::replace(&span.hit, settings.mask(span.class))).collect();
    Ok(Masked { edits, findings: spans.iter().map(finding).collect() })
}

/// Adds what is left of a hit once check digits are checked.
fn confirm(request: &dyn Request, class: Class, hit: Hit, spans: &mut Vec<Span>) -> Result<(), AccessError> {
    match class {
        Class::Card => {
            let run = request.hit_text(&hit)?;
            spans.extend(check::cards(&run).into_iter().map(|range| Span { class, hit: part(&hit, &range) }));
        }
        Class::Iban if !check::iban(&request.hit_text(&hit)?) => {}
        _ => spans.push(Span { class, hit }),
    }
    Ok(())
}

fn part(hit: &Hit, range: &std::ops::Range<usize>) -> Hit {
    // A range of a text whose length came as u32.
    let at = |offset: usize| hit.start + u32::try_from(offset).unwrap_or(u32::MAX);
    Hit { start: at(range.start), end: at(range.end), ..*hit }
}

/// Bytes of images, sounds and files are no text: a digit run in base64 means nothing, and masking it breaks the file.
fn is_text(request: &dyn Request, segments: &[SegInfo], index: u32) -> Result<bool, AccessError> {
    let segment = segments.get(index as usize).ok_or(AccessError::OutOfRange)?;
    Ok(match segment.kind {
        SegKind::ImageBytes | SegKind::Audio | SegKind::File => false,
        SegKind::ImageUrl => request.bytes(index, 0, 5)? != b"data:",
        _ => true,
    })
}

/// Overlapping spans become one, of the class of the first: two patterns may see one thing.
fn apart(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.hit.segment, span.hit.start, std::cmp::Reverse(span.hit.end)));
    let mut apart: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match apart.last_mut() {
            Some(last) if last.hit.segment == span.hit.segment && span.hit.start < last.hit.end => {
                last.hit.end = last.hit.end.max(span.hit.end);
            }
            _ => apart.push(span),
        }
    }
    apart
}

fn finding(span: &Span) -> Finding {
    Finding {
        rule: span.class.as_str().into(),
        severity: span.class.severity(),
        segment: Some(span.hit.segment),
        start: span.hit.start,
        end: span.hit.end,
        score: 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::FakeRequest;
    use weir_sdk::{Role, Verdict};

    /// Stands in for the manifest's patterns: `(pattern, literal)`.
    fn request(texts: &[&str], literals: &'static [(u32, &'static str)]) -> FakeRequest {
        let fake = texts.iter().fold(FakeRequest::new(), |fake, text| fake.user(text));
        fake.matcher(MATCHER, move |text| {
            let hits = literals.iter().flat_map(|&(pattern, literal)| {
                text.match_indices(literal).map(move |(at, found)| (pattern, at, at + found.len()))
            });
            hits.collect()
        })
    }

    fn masked(request: &FakeRequest) -> Vec<String> {
        let masked = edits(request, &Settings::default()).expect("readable");
        request.edited(&Verdict::edit(masked.edits))
    }

    #[test]
    fn each_class_gets_its_name() {
        let fake = request(
            &["mail a@b.co now", "pay 4111 1111 1111 1111!"],
            &[(0, "a@b.co"), (1, "4111 1111 1111 1111")],
        );
        assert_eq!(masked(&fake), ["mail [email] now", "pay [card]!"]);
    }

    #[test]
    fn spans_that_overlap_are_masked_once() {
        let fake = request(&["sk-a@b.co-tail"], &[(0, "sk-a@b.co"), (6, "sk-a@b.co-tail")]);
        assert_eq!(masked(&fake), ["[key]"]);
        let shifted = request(&["xsk-a@b.co-tail"], &[(0, "xsk-a@b.co"), (6, "sk-a@b.co-tail")]);
        assert_eq!(masked(&shifted), ["[email]"]);
    }

    #[test]
    fn what_was_not_asked_for_stays() {
        let fake = request(
            &["call +1 555 0100 0199", "ship 4111111111111112"],
            &[(4, "+1 555 0100 0199"), (1, "4111111111111112")],
        );
        assert_eq!(masked(&fake), ["call +1 555 0100 0199", "ship 4111111111111112"]);
    }

    #[test]
    fn bytes_of_files_are_not_text() {
        let fake = request(&[], &[(1, "4111111111111111")])
            .segment(Role::User, SegKind::ImageUrl, "data:image/png;base64,4111111111111111")
            .segment(Role::User, SegKind::ImageUrl, "https://x.test/4111111111111111");
        assert_eq!(masked(&fake), ["data:image/png;base64,4111111111111111", "https://x.test/[card]"]);
    }
}
