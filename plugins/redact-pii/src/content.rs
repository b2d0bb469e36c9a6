//! Requests and whole replies: every text, piece by piece, so that a long one is never in memory as a whole.

use crate::config::Policy;
use crate::lane::{Read, Reader};
use std::rc::Rc;
use weir_sdk::{Direction, Redaction, Request, SegInfo, SegKind, Span};

/// So much is fetched at a time.
const PIECE: u32 = 256 << 10;

/// Why content could not be checked: the codes of failed calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Unread {
    /// The host would not show a text.
    NotShown = 1,
    /// A text is not UTF-8.
    NotText = 2,
}

/// What to replace.
pub(crate) fn spans(
    policy: &Rc<Policy>,
    direction: Direction,
    content: &dyn Request,
) -> Result<Vec<Span>, Unread> {
    let tenant: Rc<str> = if policy.knows_tenants() { content.head().tenant.into() } else { "".into() };
    let mut spans = Vec::new();
    for segment in content.segments() {
        if is_text(content, &segment)? {
            let reader = Reader::new(policy.clone(), tenant.clone(), direction, segment.role);
            let reader = if segment.kind == SegKind::ToolCall { reader.of_arguments() } else { reader };
            read(content, &segment, reader, &mut spans)?;
        }
    }
    Ok(spans)
}

/// Bytes of images, sounds and files are no text.
fn is_text(content: &dyn Request, segment: &SegInfo) -> Result<bool, Unread> {
    Ok(match segment.kind {
        SegKind::ImageBytes | SegKind::Audio | SegKind::File => false,
        SegKind::ImageUrl => content.bytes(segment.index, 0, 5).map_err(|_| Unread::NotShown)? != b"data:",
        _ => true,
    })
}

fn read(
    content: &dyn Request,
    segment: &SegInfo,
    mut reader: Reader,
    spans: &mut Vec<Span>,
) -> Result<(), Unread> {
    let mut window = Vec::new();
    // Where the window begins in the segment, and how much has been fetched.
    let (mut start, mut fetched) = (0_u32, 0_u32);
    loop {
        let piece = content
            .bytes(segment.index, fetched, fetched.saturating_add(PIECE))
            .map_err(|_| Unread::NotShown)?;
        fetched = fetched.saturating_add(length(&piece));
        let is_last = fetched >= segment.bytes || piece.is_empty();
        window.extend_from_slice(&piece);
        let text = whole_characters(&window, is_last)?;
        let Read { spans: found, decided } = if is_last { reader.finish(text) } else { reader.push(text) };
        for span in found {
            let span =
                Span { segment: segment.index, start: span.start + start, end: span.end + start, ..span };
            add(spans, span);
        }
        if is_last {
            return Ok(());
        }
        start += length(&window[..decided]);
        window.drain(..decided);
    }
}

/// The text of a window, without a character that its end cuts.
fn whole_characters(window: &[u8], is_last: bool) -> Result<&str, Unread> {
    match std::str::from_utf8(window) {
        Ok(text) => Ok(text),
        Err(error) if error.error_len().is_none() && !is_last => {
            std::str::from_utf8(&window[..error.valid_up_to()]).map_err(|_| Unread::NotText)
        }
        Err(_) => Err(Unread::NotText),
    }
}

/// Adds a span; the rest of a long value belongs to its beginning, since nothing of it has left yet.
fn add(spans: &mut Vec<Span>, span: Span) {
    match spans.last_mut() {
        Some(last) if is_rest(last, &span) => last.end = span.end,
        _ => spans.push(span),
    }
}

fn is_rest(last: &Span, span: &Span) -> bool {
    let is_adjacent = (last.segment, last.end, last.rule) == (span.segment, span.start, span.rule);
    is_adjacent && matches!(span.replace, Redaction::Drop)
}

/// Segments are below 4 GiB.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
