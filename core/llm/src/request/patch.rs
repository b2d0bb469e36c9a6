//! The body for a target: splices into the bytes as they came, so that unknown fields survive byte for byte.

use super::{Request, Segment, StreamOptions};
use crate::api::Api;
use crate::json::{parts, quote, splice, unquote};
use crate::payload::Payload;
use crate::vendor::Vendor;
use bytes::Bytes;
use std::fmt;
use std::ops::Range;

/// What the body for a target differs in.
#[derive(Debug, Clone, Copy)]
pub struct Patch<'a> {
    /// The model name that the target knows.
    pub model: &'a str,
    /// Ask for a usage chunk if this is a stream.
    pub ask_usage: bool,
    /// Let the model write at most so many tokens: the caller's own bound is lowered to it, a missing one added.
    pub max_tokens: Option<u64>,
    /// Send `"store":false` whatever the caller says, where the provider may have that field.
    pub force_store_false: bool,
    /// What is special about the provider; `None`: nothing is known.
    pub vendor: Option<&'a Vendor>,
    /// Cut out proofs that other providers made: the body leaves for a target.
    pub unseal: bool,
    /// Guards' edits.
    pub edits: &'a [SegmentEdit<'a>],
}

impl<'a> Patch<'a> {
    /// Only the model name.
    #[must_use]
    pub const fn model(model: &'a str) -> Self {
        Self {
            model,
            ask_usage: false,
            max_tokens: None,
            force_store_false: false,
            vendor: None,
            unseal: false,
            edits: &[],
        }
    }
}

/// A byte range of one segment's decoded text and what comes in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SegmentEdit<'a> {
    /// Index into [`Request::segments`].
    pub segment: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What comes in its place; nothing if `None`.
    pub text: Option<&'a str>,
}

impl fmt::Debug for SegmentEdit<'_> {
    /// Where and how long: content is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, start, end, text } = self;
        write!(f, "SegmentEdit({segment}, {start}..{end}, {:?} bytes)", text.map(str::len))
    }
}

pub(crate) type Splice = (Range<usize>, Vec<u8>);

/// A body for a target that is not written yet: what came, and what takes the place of some of it. Whoever writes it copies it
/// once, to where it leaves from.
pub struct Patched {
    body: Payload,
    splices: Vec<Splice>,
}

impl Patched {
    /// Its bytes, piece by piece.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        parts(self.body.expose(), &self.splices)
    }

    /// How long it will be.
    #[must_use]
    pub fn length(&self) -> usize {
        self.parts().map(<[u8]>::len).sum()
    }

    /// All of it in one piece. If nothing differs that is what came, not a copy.
    #[must_use]
    pub fn whole(&self) -> Payload {
        splice(self.body.expose(), &self.splices).into()
    }
}

/// A body of which nothing differs.
impl From<Payload> for Patched {
    fn from(body: Payload) -> Self {
        Self { body, splices: Vec::new() }
    }
}

impl Request {
    /// The body for a target. If nothing differs the same bytes come back, not a copy.
    ///
    /// Edits are applied in order of their place. One that is out of order with the rules (beyond the text, inside a
    /// character, overlapping) is widened to whole characters and to what the earlier ones left: what a guard wanted
    /// gone is gone.
    #[must_use]
    pub fn patched(&self, target: &Patch<'_>) -> Bytes {
        splice(self.body(), &self.splices(target))
    }

    /// The same, not written yet.
    #[must_use]
    pub fn to_be_patched(&self, target: &Patch<'_>) -> Patched {
        Patched { body: self.body().clone().into(), splices: self.splices(target) }
    }

    fn splices(&self, target: &Patch<'_>) -> Vec<Splice> {
        let mut splices = Vec::new();
        let mut added = Vec::new();
        if target.model != self.model() {
            let mut name = Vec::with_capacity(target.model.len() + 2);
            quote(target.model, &mut name);
            if self.fields.model_span.is_empty() {
                added.extend_from_slice(&[br#""model":"#, name.as_slice(), b","].concat());
            } else {
                splices.push((self.fields.model_span.clone(), name));
            }
        }
        if target.ask_usage && self.stream() && target.vendor.is_none_or(|vendor| vendor.quirks.stream_usage)
        {
            self.ask_usage(&mut splices, &mut added);
        }
        if let Some(most) = target.max_tokens {
            self.cap_tokens(most, self.bound_key(target), &mut splices, &mut added);
        }
        self.rename_bound(target, &mut splices);
        if target.unseal {
            self.unseal(&mut splices);
        }
        if target.force_store_false {
            match &self.fields.store {
                Some((false, _)) => {}
                Some((true, span)) => splices.push((span.clone(), b"false".to_vec())),
                None if self.may_be_stored(target) => added.extend_from_slice(br#""store":false,"#),
                None => {}
            }
        }
        if !added.is_empty() {
            let inside = self.json().root().span().start + 1;
            if self.json().root().members().next().is_none() {
                // Nothing follows (a moderation may be an empty object).
                added.pop();
            }
            splices.push((inside..inside, added));
        }
        self.edit_segments(target.edits, &mut splices);
        splices.sort_by_key(|(range, _)| range.start);
        splices
    }

    /// Whether the target may keep the reply if nothing is said: the Responses API does by default.
    fn may_be_stored(&self, target: &Patch<'_>) -> bool {
        self.api() != Api::Chat || target.vendor.is_none_or(Vendor::may_store)
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

    fn cap_tokens(&self, most: u64, key: &str, splices: &mut Vec<Splice>, added: &mut Vec<u8>) {
        let number = || itoa::Buffer::new().format(most).as_bytes().to_vec();
        for bound in &self.fields.bounds {
            if bound.tokens.is_some_and(|tokens| tokens > most) {
                splices.push((bound.span.clone(), number()));
            }
        }
        if self.max_output_tokens().is_some() {
            return;
        }
        // One of the other name is given the right one, see `rename_bound`: there must not be two.
        let bounds = &self.fields.bounds;
        match bounds.iter().find(|bound| bound.key == key).or(bounds.first()) {
            Some(null) => splices.push((null.span.clone(), number())),
            None => added.extend_from_slice(format!("\"{key}\":{most},").as_bytes()),
        }
    }

    /// The name of the field that bounds the output at the target.
    fn bound_key(&self, target: &Patch<'_>) -> &'static str {
        match self.api() {
            Api::Responses => "max_output_tokens",
            Api::Chat if wants_completion_tokens(target) => "max_completion_tokens",
            _ => "max_tokens",
        }
    }

    /// Chat has two names for one bound, and each is refused somewhere.
    fn rename_bound(&self, target: &Patch<'_>, splices: &mut Vec<Splice>) {
        let ([bound], Some(vendor)) = (self.fields.bounds.as_slice(), target.vendor) else { return };
        let key = self.bound_key(target);
        // Who knows both names takes either, but for its reasoning models.
        let is_fine = vendor.quirks.completion_tokens && !is_reasoning(target.model);
        if self.api() == Api::Chat && bound.key != key && !is_fine {
            splices.push((bound.key_span.clone(), format!("\"{key}\"").into_bytes()));
        }
    }

    fn edit_segments(&self, edits: &[SegmentEdit<'_>], splices: &mut Vec<Splice>) {
        // Most requests are not edited, and the segments of a body are read when somebody asks for them.
        if !edits.is_empty() {
            edited(self.body(), self.segments(), edits, splices);
        }
    }
}

/// The splices that edits of segments make.
pub(crate) fn edited(
    body: &Bytes,
    segments: &[Segment],
    edits: &[SegmentEdit<'_>],
    splices: &mut Vec<Splice>,
) {
    let mut sorted: Vec<_> = edits.iter().collect();
    sorted.sort_by_key(|edit| (edit.segment, edit.start));
    for group in sorted.chunk_by(|a, b| a.segment == b.segment) {
        let Some(segment) = segments.get(group[0].segment) else { continue };
        let Some(text) = body.get(segment.span.clone()).and_then(unquote) else { continue };
        let mut quoted = Vec::new();
        quote(&apply(&text, group), &mut quoted);
        splices.push((segment.span.clone(), quoted));
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

/// OpenAI's reasoning models refuse `max_tokens`, its others take both names; other providers may not know the newer one.
/// Where nobody said who the provider is, the name of the model has to do.
fn wants_completion_tokens(target: &Patch<'_>) -> bool {
    target.vendor.map_or_else(|| is_reasoning(target.model), |vendor| vendor.quirks.completion_tokens)
}

/// Whether this is the name of a reasoning model of OpenAI's, tuned or not: `o` and a number, or `gpt-` and one from 5.
fn is_reasoning(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let name = name.strip_prefix("ft:").unwrap_or(name);
    let number = |rest: &str| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse::<u32>().ok()
    };
    name.strip_prefix("gpt-").and_then(number).is_some_and(|number| number >= 5)
        || name.strip_prefix('o').and_then(number).is_some()
}
