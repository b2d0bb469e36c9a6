//! Bounds and guesses of token counts where nobody has counted.

use crate::request::{Request, SegmentKind};

/// Bytes of text per token, for guesses: English prose runs at about four.
const BYTES_PER_TOKEN: u64 = 4;

/// Most tokens that one image may cost: eight tiles of 5,667 and a base of 2,833, what gpt-4o-mini bills for the
/// largest image (OpenAI's vision guide; every other model there is far below).
pub const IMAGE_TOKENS: u64 = 48_169;

/// Most tokens for a file that is only named: a million pages of nothing would still be bounded by the model's context,
/// so callers cap a bound with the target's context length.
pub const NAMED_FILE_TOKENS: u64 = 2_000_000;

/// An upper bound of the input tokens, for holding money: a token covers at least one byte of text, and what a chat
/// template adds to a message is less than the JSON around it. Media count by table.
#[must_use]
pub fn input_bound(request: &Request) -> u64 {
    let body = request.body().len() as u64;
    if !request.has_media() {
        return body;
    }
    let mut bound = body;
    for segment in request.segments() {
        let bytes = u64::from(segment.bytes);
        let raw = segment.span.len() as u64;
        match segment.kind {
            SegmentKind::ImageUrl | SegmentKind::ImageBytes => bound = bound - raw + IMAGE_TOKENS,
            // A data file is compressed at most so far that a page of text takes a few hundred bytes.
            SegmentKind::File if bytes > 256 && !is_address(request, segment.span.start) => {
                bound += 8 * bytes
            }
            SegmentKind::File => bound += NAMED_FILE_TOKENS,
            // Audio is 10 tokens a second and at least 500 bytes a second: its base64 bytes bound it amply.
            _ => {}
        }
    }
    bound
}

/// Whether the string whose opening quote is here names a file by its address.
fn is_address(request: &Request, quote: usize) -> bool {
    let text = request.body().get(quote + 1..).unwrap_or_default();
    [&b"http://"[..], b"https://", b"gs://"].iter().any(|scheme| text.starts_with(scheme))
}

/// A guess at the input tokens, for routing; never for money.
#[must_use]
pub fn input_guess(request: &Request) -> u64 {
    if !request.has_media() {
        return (request.body().len() as u64).div_ceil(BYTES_PER_TOKEN);
    }
    request
        .segments()
        .iter()
        .map(|segment| match segment.kind {
            SegmentKind::ImageUrl | SegmentKind::ImageBytes => 1_000,
            SegmentKind::Audio => u64::from(segment.bytes) / 1_600,
            SegmentKind::File => u64::from(segment.bytes) / 40,
            _ => u64::from(segment.bytes).div_ceil(BYTES_PER_TOKEN),
        })
        .sum()
}

/// A guess at the output tokens of a reply that was cut before its usage came.
#[must_use]
pub const fn output_guess(content_bytes: u64) -> u64 {
    text_guess(content_bytes)
}

/// A guess at the tokens of a text of so many bytes.
#[must_use]
pub const fn text_guess(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}
