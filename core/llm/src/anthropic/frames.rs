//! The frames of a stream.

use crate::json::Writer;

/// A text block, without its text.
pub(super) fn text_block(json: &mut Writer) {
    json.begin_object().text("type", "text").text("text", "").end_object();
}

/// A thinking block, without its text and proof.
pub(super) fn thinking_block(json: &mut Writer) {
    json.begin_object().text("type", "thinking").text("thinking", "").text("signature", "").end_object();
}

/// One event: its name, and an object with its type and what `fill` adds.
pub(super) fn frame(name: &str, fill: impl FnOnce(&mut Writer), out: &mut Vec<u8>) {
    let mut json = Writer::with_capacity(128);
    json.begin_object().text("type", name);
    fill(&mut json);
    json.end_object();
    for piece in [b"event: ", name.as_bytes(), b"\ndata: ", &json.finish(), b"\n\n"] {
        out.extend_from_slice(piece);
    }
}
