//! From content to calls: what is sent, and what is not.

use crate::config::Settings;
use weir_sdk::{AccessError, Request, SegInfo};

/// Two pieces of one text share so many bytes, so that what crosses the cut is seen whole by one of them.
pub(crate) const OVERLAP: usize = 256;
/// A text is not cut to fill less room than this at the end of a call.
const MIN_CUT: usize = 1_024;
/// Most texts that are sent; content in more pieces is not sent as a whole.
const MAX_TEXTS: usize = 4_096;
/// Most segments that are looked at.
const MAX_SEGMENTS: u32 = 16_384;

/// A part of a segment's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) segment: u32,
    /// Where it begins in the segment, in bytes.
    pub(crate) start: u32,
    pub(crate) text: String,
}

/// What is sent, one list for each call.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pub(crate) calls: Vec<Vec<Piece>>,
    /// Whether this is all there is.
    pub(crate) complete: bool,
}

/// Cuts what the settings want sent into calls; never more than `max_bytes` of text in all, never more than `batch_bytes`
/// in one.
pub(crate) fn cut(view: &dyn Request, settings: &Settings) -> Result<Pieces, AccessError> {
    let mut cutter = Cutter::new(view, settings);
    for segment in view.segments() {
        let fits = segment.index < MAX_SEGMENTS && (!settings.sends(segment.kind) || cutter.add(&segment)?);
        if !fits {
            return Ok(cutter.end(false));
        }
    }
    Ok(cutter.end(true))
}

struct Cutter<'a> {
    view: &'a dyn Request,
    per_call: usize,
    /// Bytes that may still be sent.
    left: usize,
    texts: usize,
    /// Bytes of the last call.
    used: usize,
    calls: Vec<Vec<Piece>>,
}

impl<'a> Cutter<'a> {
    fn new(view: &'a dyn Request, settings: &Settings) -> Self {
        let (per_call, left) = (settings.batch_bytes as usize, settings.max_bytes as usize);
        Self { view, per_call, left, texts: 0, used: per_call, calls: Vec::new() }
    }

    /// Adds a segment's text; whether all of it could be.
    fn add(&mut self, segment: &SegInfo) -> Result<bool, AccessError> {
        let mut at = 0;
        while at < segment.bytes {
            let room = self.room(segment.bytes - at);
            let wanted = room.min((segment.bytes - at) as usize);
            let text = self.slice(segment.index, at, wanted.min(self.left))?;
            // Nothing may be left to send, or less than the next character.
            if text.is_empty() || self.texts >= MAX_TEXTS {
                return Ok(false);
            }
            let end = at + offset(text.len());
            let next = if end < segment.bytes { end - back(&text) } else { end };
            self.push(Piece { segment: segment.index, start: at, text });
            at = next;
        }
        Ok(true)
    }

    /// The room in the last call, or in a new one if a text of this length should not be cut for so little.
    fn room(&mut self, needed: u32) -> usize {
        let room = self.per_call - self.used;
        if room >= MIN_CUT || room >= needed as usize {
            return room;
        }
        self.calls.push(Vec::new());
        self.used = 0;
        self.per_call
    }

    /// At most so many bytes of a text, whole characters.
    fn slice(&self, segment: u32, start: u32, most: usize) -> Result<String, AccessError> {
        let mut bytes = self.view.bytes(segment, start, start.saturating_add(offset(most)))?;
        let whole = match std::str::from_utf8(&bytes) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        bytes.truncate(whole);
        String::from_utf8(bytes).map_err(|_| AccessError::NotUtf8)
    }

    fn push(&mut self, piece: Piece) {
        self.left -= piece.text.len();
        self.used += piece.text.len();
        self.texts += 1;
        if let Some(last) = self.calls.last_mut() {
            last.push(piece);
        }
    }

    fn end(self, complete: bool) -> Pieces {
        let calls = self.calls.into_iter().filter(|call| !call.is_empty()).collect();
        Pieces { calls, complete }
    }
}

/// How far before the end of a piece the next one begins.
fn back(text: &str) -> u32 {
    // A piece that is no longer than what it would share with the next is not repeated: there must be an end.
    if text.len() <= 2 * OVERLAP {
        return 0;
    }
    offset(text.len() - text.floor_char_boundary(text.len() - OVERLAP))
}

/// A segment is shorter than 4 GiB.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::FakeRequest;
    use weir_sdk::{Config, Role, SegKind};

    fn pieces(config: &str, request: &FakeRequest) -> Pieces {
        let settings: Settings = Config::new(config).parse().expect("a config");
        cut(request, &settings.checked().expect("a sound config")).expect("readable")
    }

    fn sent(pieces: &Pieces) -> usize {
        pieces.calls.iter().flatten().map(|piece| piece.text.len()).sum()
    }

    #[test]
    fn short_texts_go_in_one_call_and_media_not_at_all() {
        let request = FakeRequest::new()
            .user("one")
            .segment(Role::User, SegKind::ImageBytes, "data:image/png;base64,AAAA")
            .segment(Role::System, SegKind::ToolSchema, "find")
            .user("two");
        let cut = pieces("{}", &request);
        let texts: Vec<_> =
            cut.calls.iter().flatten().map(|piece| (piece.segment, piece.text.as_str())).collect();
        assert_eq!((cut.calls.len(), texts), (1, vec![(0, "one"), (3, "two")]));
        assert!(cut.complete);
    }

    #[test]
    fn nothing_to_send_is_no_call() {
        let cut = pieces("{}", &FakeRequest::new());
        assert!(cut.complete && cut.calls.is_empty());
    }

    #[test]
    fn a_long_text_is_cut_with_something_in_common_and_nothing_missing() {
        for letter in ["x", "ü", "€", "𝄞"] {
            let text = letter.repeat(30_000 / letter.len());
            let cut = pieces(
                r#"{"batch_bytes":4096,"max_bytes":40960}"#,
                &FakeRequest::new().user("hi").user(&text),
            );
            let mut until = 0;
            for piece in cut.calls.iter().flatten().filter(|piece| piece.segment == 1) {
                let start = piece.start as usize;
                assert_eq!(piece.text, text[start..start + piece.text.len()]);
                assert!(
                    start <= until && (start == 0 || until - start >= OVERLAP),
                    "{letter} {start} {until}"
                );
                until = start + piece.text.len();
            }
            assert_eq!((until, cut.complete), (text.len(), true), "{letter}");
        }
    }

    #[test]
    fn no_call_and_no_sum_is_over_its_bound_and_no_hook_makes_too_many_calls() {
        for unit in [1, 3, 700, 1_023, 1_025, 4_096, 5_000, 100_000] {
            let request =
                (0..60_000 / unit + 1).fold(FakeRequest::new(), |all, _| all.user(&"ü".repeat(unit / 2 + 1)));
            let cut = pieces(r#"{"batch_bytes":4096,"max_bytes":40960}"#, &request);
            assert!(sent(&cut) <= 40_960 && cut.calls.len() <= 16, "{unit}: {}", cut.calls.len());
            assert!(
                cut.calls
                    .iter()
                    .all(|call| call.iter().map(|piece| piece.text.len()).sum::<usize>() <= 4_096)
            );
        }
    }

    #[test]
    fn what_is_too_much_is_said_to_be_incomplete() {
        let exact = FakeRequest::new().user(&"x".repeat(10));
        assert!(pieces(r#"{"max_bytes":10}"#, &exact).complete);
        assert!(!pieces(r#"{"max_bytes":9}"#, &exact).complete);
        let wide = FakeRequest::new().user("€€");
        let cut = pieces(r#"{"max_bytes":5}"#, &wide);
        assert_eq!((sent(&cut), cut.complete), (3, false));
        let many = (0..MAX_TEXTS + 1).fold(FakeRequest::new(), |all, _| all.user("x"));
        assert!(!pieces("{}", &many).complete);
    }
}
