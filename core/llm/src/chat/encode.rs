//! The body for a target: splices into the bytes as they came, so that unknown fields survive byte for byte.

use super::request::{ChatRequest, StreamOptions};
use crate::json::{quote, splice};
use bytes::Bytes;
use std::ops::Range;

/// What the body for a target differs in.
#[derive(Debug, Clone, Copy)]
pub struct Encode<'a> {
    /// The model name that the target knows.
    pub model: &'a str,
    /// Ask for a usage chunk if this is a stream.
    pub ask_usage: bool,
    /// Let the model write at most so many tokens: the caller's own bound is lowered to it, a missing one added.
    pub max_tokens: Option<u64>,
    /// Send `"store":false` whatever the caller says.
    pub force_store_false: bool,
    /// Guards' edits.
    pub edits: &'a [SegmentEdit<'a>],
}

impl<'a> Encode<'a> {
    /// Only the model name.
    #[must_use]
    pub const fn model(model: &'a str) -> Self {
        Self { model, ask_usage: false, max_tokens: None, force_store_false: false, edits: &[] }
    }
}

/// A byte range of one segment's decoded text and what comes in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentEdit<'a> {
    /// Index into [`ChatRequest::segments`].
    pub segment: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What comes in its place; nothing if `None`.
    pub text: Option<&'a str>,
}

type Splice = (Range<usize>, Vec<u8>);

impl ChatRequest {
    /// The body for a target. If nothing differs the same bytes come back, not a copy.
    ///
    /// Edits are applied in order of their place. One that is out of order with the rules (beyond the text, inside a
    /// character, overlapping) is widened to whole characters and to what the earlier ones left: what a guard wanted
    /// gone is gone.
    #[must_use]
    pub fn encode(&self, target: &Encode<'_>) -> Bytes {
        let mut splices = Vec::new();
        let mut added = Vec::new();
        if target.model != self.model() {
            let mut name = Vec::with_capacity(target.model.len() + 2);
            quote(target.model, &mut name);
            splices.push((self.fields.model_span.clone(), name));
        }
        if target.ask_usage && self.stream() {
            self.ask_usage(&mut splices, &mut added);
        }
        if let Some(most) = target.max_tokens {
            self.cap_tokens(most, target.model, &mut splices, &mut added);
        }
        if target.force_store_false {
            match &self.fields.store {
                Some((false, _)) => {}
                Some((true, span)) => splices.push((span.clone(), b"false".to_vec())),
                None => added.extend_from_slice(br#""store":false,"#),
            }
        }
        if !added.is_empty() {
            let inside = self.json().root().span().start + 1;
            splices.push((inside..inside, added));
        }
        self.edit_segments(target.edits, &mut splices);
        splices.sort_by_key(|(range, _)| range.start);
        splice(self.body(), &splices)
    }

    fn ask_usage(&self, splices: &mut Vec<Splice>, added: &mut Vec<u8>) {
        match &self.fields.stream_options {
            StreamOptions::On => {}
            StreamOptions::Absent => added.extend_from_slice(br#""stream_options":{"include_usage":true},"#),
            StreamOptions::Null(span) => splices.push((span.clone(), br#"{"include_usage":true}"#.to_vec())),
            StreamOptions::Off(span) => splices.push((span.clone(), b"true".to_vec())),
            StreamOptions::Open(inside, members) => {
                let comma: &[u8] = if *members { b"," } else { b"" };
                splices.push((*inside..*inside, [br#""include_usage":true"#, comma].concat()));
            }
        }
    }

    fn cap_tokens(&self, most: u64, model: &str, splices: &mut Vec<Splice>, added: &mut Vec<u8>) {
        let number = || itoa::Buffer::new().format(most).as_bytes().to_vec();
        let fields = &self.fields;
        for (tokens, span) in fields.max_tokens.iter().chain(&fields.max_completion_tokens) {
            if *tokens > most {
                splices.push((span.clone(), number()));
            }
        }
        if self.max_output_tokens().is_some() {
            return;
        }
        let (key, null) = if wants_completion_tokens(model) {
            ("max_completion_tokens", &fields.max_completion_tokens_null)
        } else {
            ("max_tokens", &fields.max_tokens_null)
        };
        match null {
            Some(span) => splices.push((span.clone(), number())),
            None => added.extend_from_slice(format!("\"{key}\":{most},").as_bytes()),
        }
    }

    fn edit_segments(&self, edits: &[SegmentEdit<'_>], splices: &mut Vec<Splice>) {
        let mut sorted: Vec<_> = edits.iter().collect();
        sorted.sort_by_key(|edit| (edit.segment, edit.start));
        for group in sorted.chunk_by(|a, b| a.segment == b.segment) {
            let index = group[0].segment;
            let (Some(segment), Some(text)) = (self.segments().get(index), self.text(index)) else {
                continue;
            };
            let mut quoted = Vec::new();
            quote(&apply(&text, group), &mut quoted);
            splices.push((segment.span.clone(), quoted));
        }
    }
}

/// The text with the edits applied; they are sorted by start.
fn apply(text: &str, edits: &[&SegmentEdit<'_>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        let start = text.floor_char_boundary(edit.start).max(at);
        // A range without length inserts; inside a character it inserts before it.
        let end = if edit.end > edit.start { text.ceil_char_boundary(edit.end).max(start) } else { start };
        out.push_str(&text[at..start]);
        out.push_str(edit.text.unwrap_or_default());
        at = end;
    }
    out.push_str(&text[at..]);
    out
}

/// OpenAI's reasoning models refuse `max_tokens`; others, and other providers, may not know the newer name.
fn wants_completion_tokens(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    ["o1", "o3", "o4", "gpt-5"].iter().any(|family| name.starts_with(family))
}
