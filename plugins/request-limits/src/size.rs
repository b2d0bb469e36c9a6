//! Bytes, tokens, segments.

use crate::config::Settings;
use weir_sdk::{Deny, Request, Role, SegInfo, SegKind, tokens};

/// Above so many segments the host's own guess at the whole request stands in for counting each.
const COUNTED_SEGMENTS: usize = 4_096;

/// What the segments of a request are, without their texts.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The segments of text, media left out.
    texts: Vec<u32>,
    text_bytes: u64,
    /// The first role that the settings forbid.
    pub(crate) forbidden: Option<Role>,
}

pub(crate) fn check_body(request: &dyn Request, settings: &Settings) -> Result<(), Deny> {
    let Some(most) = settings.max_body_bytes else { return Ok(()) };
    match request.size().body_bytes {
        bytes if bytes > most => Err(too_large("body_too_large", "This request has", bytes, most, "bytes")),
        _ => Ok(()),
    }
}

/// Looks at all segments once.
pub(crate) fn measure(request: &dyn Request, settings: &Settings) -> Result<Seen, Deny> {
    let mut seen = Seen::default();
    for segment in request.segments() {
        if segment.index >= settings.most_segments() {
            let message =
                format!("This request has more than {} pieces of content.", settings.most_segments());
            return Err(Deny::new(413, "too_many_segments", message));
        }
        seen.add(&segment, settings);
    }
    Ok(seen)
}

pub(crate) fn check_text(request: &dyn Request, seen: &Seen, settings: &Settings) -> Result<(), Deny> {
    match settings.max_text_bytes {
        Some(most) if seen.text_bytes > most => {
            return Err(too_large(
                "text_too_large",
                "The texts of this request have",
                seen.text_bytes,
                most,
                "bytes",
            ));
        }
        _ => {}
    }
    // A token is a byte at least: where there are fewer bytes nothing need be counted.
    match settings.max_input_tokens.map(u64::from) {
        Some(most) if seen.text_bytes > most => check_tokens(request, seen, most),
        _ => Ok(()),
    }
}

fn check_tokens(request: &dyn Request, seen: &Seen, most: u64) -> Result<(), Deny> {
    let head = request.head();
    let count = if seen.texts.len() > COUNTED_SEGMENTS {
        u64::from(head.est_input_tokens)
    } else {
        let counts = seen.texts.iter().map(|&segment| tokens::count_segment(&head.requested_model, segment));
        counts.map(u64::from).sum()
    };
    if count <= most {
        return Ok(());
    }
    Err(too_large("too_many_tokens", "The texts of this request have about", count, most, "tokens"))
}

impl Seen {
    fn add(&mut self, segment: &SegInfo, settings: &Settings) {
        // The declaration of a tool is nobody's words, but its text is sent and paid for.
        if segment.kind != SegKind::ToolSchema && !settings.may_write(segment.role) {
            self.forbidden.get_or_insert(segment.role);
        }
        if is_text(segment.kind) {
            self.texts.push(segment.index);
            self.text_bytes += u64::from(segment.bytes);
        }
    }
}

const fn is_text(kind: SegKind) -> bool {
    match kind {
        SegKind::ImageUrl | SegKind::ImageBytes | SegKind::Audio | SegKind::File => false,
        SegKind::Text
        | SegKind::ToolCall
        | SegKind::ToolResult
        | SegKind::ToolSchema
        | SegKind::Reasoning => true,
    }
}

fn too_large(code: &str, who: &str, has: u64, most: u64, unit: &str) -> Deny {
    Deny::new(413, code, format!("{who} {has} {unit}; at most {most} are allowed here."))
}
