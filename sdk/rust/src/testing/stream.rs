//! Streams, cut in every way: what a guard or redactor lets out must not depend on where a window ends.

use super::facts::{lane, usage};
use crate::{
    Closing, Deny, Next, RedactStep, RedactStream, Redaction, Replacement, Span, StreamGuard, StreamStep,
    TextEdit,
};

/// What came out of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Streamed {
    /// What the caller got. Where a stream was stopped: what had left by then, which depends on the windows.
    pub text: String,
    /// The error that ended it.
    pub stopped: Option<Deny>,
    /// What the guard said at the end; nothing if it was stopped, detached or is a redactor's.
    pub closing: Option<Closing>,
}

/// Runs a guard over one lane that comes in these pieces, as the gateway does.
///
/// # Panics
/// If an answer is one that the gateway refuses: an edit or a hold out of range, overlapping, or within a character.
pub fn streamed<G: StreamGuard>(mut guard: G, pieces: &[&str]) -> Streamed {
    let mut out = Out::default();
    for (at, piece) in pieces.iter().enumerate() {
        let window = out.window(piece);
        let last = at + 1 == pieces.len();
        let step = if last { guard.finish_lane(lane(), &window) } else { guard.push(lane(), &window) };
        if let Some(ended) = out.apply(&window, step, last, &pieces[at + 1..]) {
            return ended;
        }
    }
    Streamed { closing: Some(guard.finish(&usage(&[]))), ..out.ended(None) }
}

/// As [`streamed`] for a redactor with the manifest's `redact.masks`. Hashes show as `[hash N]`; a refusal ends the stream.
///
/// # Panics
/// As [`streamed`], or if a mask is not in the list.
pub fn redacted<R: RedactStream>(mut redactor: R, masks: &[&str], pieces: &[&str]) -> Streamed {
    let mut out = Out::default();
    for (at, piece) in pieces.iter().enumerate() {
        let window = out.window(piece);
        let last = at + 1 == pieces.len();
        let RedactStep { spans, hold, next } = match last {
            true => RedactStep::of(redactor.finish(lane(), &window)),
            false => redactor.push(lane(), &window),
        };
        let next = match spans.iter().any(|span| span.replace == Redaction::Refuse) {
            true => Next::Stop(Deny::new(403, "sensitive_content", "The redactor refuses this.")),
            false => next,
        };
        let edits = spans.iter().filter_map(|span| text_edit(span, masks)).collect();
        if let Some(ended) = out.apply(&window, StreamStep { edits, hold, next }, last, &pieces[at + 1..]) {
            return ended;
        }
    }
    out.ended(None)
}

/// Feeds a text to new guards whole, cut in two at every character, and character by character; what comes out must be
/// the same, and is returned. Where the stream is stopped, the error must be the same.
///
/// # Panics
/// If it is not, with the first cut that differs.
pub fn split_everywhere<G: StreamGuard>(new: impl Fn() -> G, text: &str) -> Streamed {
    everywhere(text, |pieces| streamed(new(), pieces))
}

/// As [`split_everywhere`] for a redactor.
///
/// # Panics
/// As [`split_everywhere`].
pub fn split_everywhere_redacted<R: RedactStream>(
    new: impl Fn() -> R,
    masks: &[&str],
    text: &str,
) -> Streamed {
    everywhere(text, |pieces| redacted(new(), masks, pieces))
}

fn everywhere(text: &str, run: impl Fn(&[&str]) -> Streamed) -> Streamed {
    let whole = run(&[text]);
    let same = |pieces: &[&str]| {
        let cut = run(pieces);
        assert_eq!(cut.stopped, whole.stopped, "cut as {pieces:?}");
        assert!(
            whole.stopped.is_some() || cut.text == whole.text,
            "cut as {pieces:?} it came out as {:?}, whole as {:?}",
            cut.text,
            whole.text
        );
    };
    for (at, _) in text.char_indices().skip(1) {
        same(&[&text[..at], &text[at..]]);
    }
    let ends = text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]);
    same(&ends.chain([""]).collect::<Vec<_>>());
    whole
}

/// What has left, and what is held.
#[derive(Default)]
struct Out {
    left: String,
    held: String,
}

impl Out {
    fn window(&mut self, piece: &str) -> String {
        std::mem::take(&mut self.held) + piece
    }

    /// Applies an answer; the end, if it is one. Of a window that stops the stream nothing leaves. `rest` is what has not come yet.
    fn apply(&mut self, window: &str, step: StreamStep, last: bool, rest: &[&str]) -> Option<Streamed> {
        if let Next::Stop(deny) = step.next {
            return Some(self.ended(Some(deny)));
        }
        let hold = if last { 0 } else { step.hold as usize };
        assert!(hold <= window.len(), "more is held than there is");
        let free = window.len() - hold;
        assert!(window.is_char_boundary(free), "a hold cuts a character");
        let mut at = 0;
        for TextEdit { start, end, replace } in step.edits {
            let (start, end) = (start as usize, end as usize);
            assert!(at <= start && start <= end && end <= free, "an edit overlaps, or touches what is held");
            self.left.push_str(&window[at..start]);
            self.left.push_str(&shown(replace));
            at = end;
        }
        self.left.push_str(&window[at..free]);
        self.held.push_str(&window[free..]);
        match step.next {
            Next::More | Next::Window(_) | Next::Stop(_) => None,
            Next::Detach => {
                self.left.push_str(&std::mem::take(&mut self.held));
                self.left.extend(rest.iter().copied());
                Some(self.ended(None))
            }
        }
    }

    fn ended(&mut self, stopped: Option<Deny>) -> Streamed {
        Streamed { text: std::mem::take(&mut self.left), stopped, closing: None }
    }
}

fn shown(replace: Replacement) -> String {
    match replace {
        Replacement::Text(text) => text,
        Replacement::Drop => String::new(),
        Replacement::Vault(class) | Replacement::Hash(class) => format!("[{class}]"),
    }
}

fn text_edit(span: &Span, masks: &[&str]) -> Option<TextEdit> {
    let replace = match span.replace {
        Redaction::Mask(index) => Replacement::Text(masks[usize::from(index)].to_owned()),
        // In a reply nothing is given back: there a token is a hash.
        Redaction::Hash(index) | Redaction::Vault(index) => Replacement::Hash(format!("hash {index}")),
        Redaction::Drop => Replacement::Drop,
        Redaction::Refuse | Redaction::Report => return None,
    };
    Some(TextEdit { start: span.start, end: span.end, replace })
}
