//! A stream on its way to the caller: cut at its events, and turned into the caller's dialect where the target speaks
//! another. The last event is held back until the exchange is settled.

use bytes::{Bytes, BytesMut};
use std::any::Any;
use std::time::Instant;
use weir_llm::api::Api;
use weir_llm::fault::{Said, UpstreamError};
use weir_llm::neutral::Ask;
use weir_llm::neutral::label::Label;
use weir_llm::payload::Passing;
use weir_llm::sse;
use weir_llm::translate::{Back, Scan, Seen, Transcoder};
use weir_llm::usage::Usage;
use weir_policy::pipeline::Streams;

/// Longest event of a stream, in bytes: an image in base64 is one.
const EVENT: usize = 32 << 20;

/// Bytes that are enough for a write of their own; fewer wait for what has come already. A slow caller must be able to take
/// twice as many within `timeouts.write`.
const TOGETHER: usize = 4 << 10;
/// As many pieces are enough, too.
const PIECES: usize = 64;

/// What came is no stream that a caller may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// An event is too long.
    #[error(transparent)]
    TooLarge(#[from] sse::TooLarge),
    /// SDKs decode a stream as UTF-8, and fall over bytes that are none.
    #[error("an event is not UTF-8")]
    NoText,
    /// As long as nothing has left, another target may do better.
    #[error("its first event is no JSON object")]
    NoReply,
}

/// How the provider's own events ended the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With its last event.
    Done,
    /// With an error, which the caller has been told if its bytes pass through.
    Error,
    /// A policy stopped it.
    Stopped,
}

/// A stream on its way.
pub struct Relay {
    parser: sse::Parser,
    way: Way,
    /// What may leave now, in its order.
    ready: Vec<Passing>,
    /// The last event, which waits for the posting.
    held: Passing,
    end: Option<Ended>,
    /// Whether a piece of the reply has come.
    begun: bool,
}

enum Way {
    Pass(Box<Pass>),
    Turn(Box<Transcoder>),
}

/// Bytes pass as they came, less what the caller did not ask for.
struct Pass {
    api: Api,
    /// How many answers were asked for.
    choices: u64,
    scan: Scan,
    hide_usage: bool,
    /// An event that began in an earlier chunk.
    tail: BytesMut,
    marks: Vec<(usize, Seen)>,
}

impl Relay {
    /// A stream in the caller's own dialect.
    pub fn pass(api: Api, choices: u64, hide_usage: bool, record: bool) -> Self {
        let scan = Scan::new(api, record);
        let pass = Pass { api, choices, scan, hide_usage, tail: BytesMut::new(), marks: Vec::new() };
        Self::new(Way::Pass(Box::new(pass)))
    }

    /// A stream in another dialect, or one that policies may change.
    pub fn turn(back: &Back, ask: &Ask<'_>, record: bool, gate: Option<Streams>) -> Self {
        let mut transcoder = back.stream(ask).recording(record);
        if let Some(gate) = gate {
            transcoder = transcoder.behind(Box::new(gate));
        }
        Self::new(Way::Turn(Box::new(transcoder)))
    }

    fn new(way: Way) -> Self {
        Self {
            parser: sse::Parser::new(EVENT),
            way,
            ready: Vec::new(),
            held: Passing::default(),
            end: None,
            begun: false,
        }
    }

    /// Takes a chunk; what may leave is then had from [`Relay::next_piece`].
    ///
    /// # Errors
    /// [`Unfit`]: nothing that comes later may leave; the events before it may.
    pub fn feed(&mut self, chunk: &Passing) -> Result<(), Unfit> {
        let chunk = chunk.expose();
        if self.end.is_some() {
            // Whatever comes after the last event is of no use to anybody.
            return Ok(());
        }
        match &mut self.way {
            Way::Pass(pass) => {
                pass.marks.clear();
                let Pass { scan, marks, .. } = &mut **pass;
                self.parser.push(chunk, &mut |event| marks.push((event.end, scan.feed(&event))))?;
                let first = pass.marks.iter().map(|(_, seen)| *seen).find(|seen| *seen != Seen::Nothing);
                if !self.begun && first == Some(Seen::Unreadable) {
                    return Err(Unfit::NoReply);
                }
                self.begun |= first.is_some();
                let boundary = self.parser.at_boundary();
                let (end, held) = pass.cut(chunk, boundary, &mut self.ready)?;
                self.end = self.end.or(end);
                self.held = held;
            }
            Way::Turn(transcoder) => {
                let (mut out, mut last) = (Vec::new(), Vec::new());
                let (end, begun) = (&mut self.end, &mut self.begun);
                self.parser.push(chunk, &mut |event| {
                    if end.is_some() {
                        return;
                    }
                    let seen = transcoder.feed(&event, &mut out, &mut last);
                    *begun |= seen != Seen::Nothing;
                    match seen {
                        Seen::Last => *end = Some(Ended::Done),
                        Seen::Error => *end = Some(Ended::Error),
                        _ => {}
                    }
                })?;
                if !out.is_empty() {
                    self.ready.push(out.into());
                }
                self.held = last.into();
                if transcoder.stopped() {
                    self.end = Some(Ended::Stopped);
                }
            }
        }
        Ok(())
    }

    /// Time has passed: what policies kept only to wait for more may leave.
    pub fn poke(&mut self) {
        let Way::Turn(transcoder) = &mut self.way else { return };
        let mut out = Vec::new();
        transcoder.poke(&mut out);
        if !out.is_empty() {
            self.ready.push(out.into());
        }
        if transcoder.stopped() {
            self.end = Some(Ended::Stopped);
        }
    }

    /// When it wants to be poked.
    pub fn due(&self) -> Option<Instant> {
        match &self.way {
            Way::Pass(_) => None,
            Way::Turn(transcoder) => transcoder.due(),
        }
    }

    /// The policies that watched it, when it is over.
    pub fn take_streams(&mut self) -> Option<Box<Streams>> {
        let Way::Turn(transcoder) = &mut self.way else { return None };
        let gate: Box<dyn Any> = transcoder.take_gate()?;
        gate.downcast().ok()
    }

    /// Whether what may leave is enough for a write of its own.
    pub fn is_full(&self) -> bool {
        self.ready.len() >= PIECES || self.ready.iter().map(Passing::len).sum::<usize>() >= TOGETHER
    }

    /// The next piece that may leave: small ones as one, a large one as it is.
    pub fn next_piece(&mut self) -> Option<Passing> {
        let mut len = 0;
        let small = self.ready.iter().take_while(|piece| {
            len += piece.len();
            len <= 2 * TOGETHER
        });
        let joined = small.count();
        if joined <= 1 {
            return (!self.ready.is_empty()).then(|| self.ready.remove(0));
        }
        let mut all = BytesMut::with_capacity(2 * TOGETHER);
        self.ready.drain(..joined).for_each(|piece| all.extend_from_slice(piece.expose()));
        Some(all.freeze().into())
    }

    /// How the provider's own events ended the stream, if they have.
    pub const fn end(&self) -> Option<Ended> {
        self.end
    }

    /// Whether a piece of the reply has come.
    pub const fn begun(&self) -> bool {
        self.begun
    }

    /// The body ended cleanly: whether the reply is whole. Some providers have no last event, some forget it.
    pub fn close(&mut self) -> bool {
        match &mut self.way {
            Way::Pass(pass) => match pass.scan.end(pass.choices) {
                Some(last) => {
                    self.held = Bytes::from_static(last).into();
                    true
                }
                None => false,
            },
            Way::Turn(transcoder) => {
                let (mut out, mut last) = (Vec::new(), Vec::new());
                let whole = transcoder.end(&mut out, &mut last);
                if transcoder.stopped() {
                    self.end = Some(Ended::Stopped);
                    return false;
                }
                out.extend_from_slice(&last);
                self.held = out.into();
                whole
            }
        }
    }

    /// The last event.
    pub fn last(&mut self) -> Passing {
        std::mem::take(&mut self.held)
    }

    /// The in-protocol error that ends a stream which cannot be completed, unless the provider's own has passed.
    pub fn fail(&mut self, said: &Said<'_>, ask: &Ask<'_>) -> Passing {
        match &mut self.way {
            Way::Pass(_) if self.end == Some(Ended::Error) => Passing::default(),
            Way::Pass(pass) => pass.scan.fail(pass.api, said, ask).into(),
            Way::Turn(transcoder) => transcoder.fail(said).into(),
        }
    }

    /// Whether a keep-alive may stand here: between two events.
    pub fn at_boundary(&self) -> bool {
        match &self.way {
            Way::Pass(pass) => pass.tail.is_empty() && self.parser.at_boundary(),
            Way::Turn(_) => true,
        }
    }

    /// The last usage that was reported.
    pub fn usage(&self) -> Option<Usage> {
        match &self.way {
            Way::Pass(pass) => pass.scan.usage(),
            Way::Turn(transcoder) => transcoder.usage(),
        }
    }

    /// Decoded bytes of what the model wrote so far.
    pub fn content_bytes(&self) -> u64 {
        match &self.way {
            Way::Pass(pass) => pass.scan.content_bytes(),
            Way::Turn(transcoder) => transcoder.content_bytes(),
        }
    }

    /// Who writes it, and why its answers ended, as far as it has said so.
    pub fn label(&self) -> Label {
        match &self.way {
            Way::Pass(pass) => pass.scan.label(),
            Way::Turn(transcoder) => transcoder.label(),
        }
    }

    /// The error that the provider reported in the stream.
    pub fn error(&self) -> Option<&UpstreamError> {
        match &self.way {
            Way::Pass(pass) => pass.scan.error(),
            Way::Turn(transcoder) => transcoder.error(),
        }
    }

    /// Whether the stream is recorded.
    pub const fn records(&self) -> bool {
        match &self.way {
            Way::Pass(pass) => pass.scan.records(),
            Way::Turn(transcoder) => transcoder.records(),
        }
    }

    /// Ends the recording, and drops what it has.
    pub fn forget(&mut self) {
        match &mut self.way {
            Way::Pass(pass) => pass.scan.forget(),
            Way::Turn(transcoder) => transcoder.forget(),
        }
    }

    /// The stream as one complete reply, for the cache.
    pub fn recorded(&mut self, ask: &Ask<'_>) -> Option<Bytes> {
        match &mut self.way {
            Way::Pass(pass) => pass.scan.recorded(ask),
            Way::Turn(transcoder) => transcoder.recorded(ask),
        }
    }
}

impl Pass {
    /// Lets the whole events of a chunk leave and holds the last one back.
    fn cut(
        &mut self,
        chunk: &Bytes,
        boundary: bool,
        ready: &mut Vec<Passing>,
    ) -> Result<(Option<Ended>, Passing), Unfit> {
        let (mut start, mut at) = (0, 0);
        for index in 0..self.marks.len() {
            let (end, seen) = self.marks[index];
            if !self.is_text(chunk, at..end) {
                self.let_go(chunk, start..at, ready);
                return Err(Unfit::NoText);
            }
            match seen {
                Seen::UsageOnly if self.hide_usage => {
                    self.let_go(chunk, start..at, ready);
                    self.tail.clear();
                    start = end;
                }
                Seen::Last => {
                    self.let_go(chunk, start..at, ready);
                    self.tail.extend_from_slice(&chunk[at.max(start)..end]);
                    return Ok((Some(Ended::Done), self.tail.split().freeze().into()));
                }
                Seen::Error => {
                    self.let_go(chunk, start..end, ready);
                    return Ok((Some(Ended::Error), Passing::default()));
                }
                _ => {}
            }
            at = end;
        }
        // Between events there can be comments: keep-alives, which must not wait for the next event.
        let whole = if boundary { chunk.len() } else { at };
        if !self.is_text(chunk, at..whole) {
            self.let_go(chunk, start..at, ready);
            return Err(Unfit::NoText);
        }
        self.let_go(chunk, start..whole, ready);
        self.tail.extend_from_slice(&chunk[whole.max(start)..]);
        Ok((None, Passing::default()))
    }

    /// Whether a run of whole lines of a chunk is UTF-8, with the part of the first that came in earlier chunks.
    fn is_text(&self, chunk: &Bytes, range: std::ops::Range<usize>) -> bool {
        let before = if range.start == 0 { &self.tail[..] } else { &[] };
        range.is_empty() || is_text(before, &chunk[range])
    }

    /// Lets a run of whole events leave, with the part of the first that came in earlier chunks.
    fn let_go(&mut self, chunk: &Bytes, range: std::ops::Range<usize>, ready: &mut Vec<Passing>) {
        if range.is_empty() {
            return;
        }
        if !self.tail.is_empty() {
            ready.push(self.tail.split().freeze().into());
        }
        ready.push(chunk.slice(range).into());
    }
}

/// Whether two runs of bytes that follow each other are UTF-8; a character may lie across the cut.
fn is_text(before: &[u8], rest: &[u8]) -> bool {
    let whole = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
    match std::str::from_utf8(before) {
        Ok(_) => whole(rest),
        Err(error) if error.error_len().is_none() => {
            let missing = rest.iter().take_while(|byte| matches!(byte, 0x80..=0xbf)).count();
            let (end, rest) = rest.split_at(missing);
            whole(&[&before[error.valid_up_to()..], end].concat()) && whole(rest)
        }
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELTA: &str =
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hé\"}}]}\r\n\r\n";
    const FINISH: &str =
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const USAGE: &str = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    /// Feeds the parts; what left, and what was held back.
    fn relayed(hide: bool, parts: &[&[u8]]) -> (String, String, Relay) {
        let mut relay = Relay::pass(Api::Chat, 1, hide, false);
        let mut out = Vec::new();
        for part in parts {
            relay.feed(&part.to_vec().into()).unwrap();
            while let Some(piece) = relay.next_piece() {
                out.extend_from_slice(piece.expose());
            }
        }
        let held = relay.last();
        (String::from_utf8(out).unwrap(), String::from_utf8(held.expose().to_vec()).unwrap(), relay)
    }

    #[test]
    fn every_split_of_a_stream_passes_the_same_bytes() {
        let stream = format!(": hello\n\n{DELTA}{DELTA}{FINISH}{USAGE}{DONE}");
        for hide in [false, true] {
            let kept = format!(": hello\n\n{DELTA}{DELTA}{FINISH}{}", if hide { "" } else { USAGE });
            for cut in 0..=stream.len() {
                let (one, two) = stream.as_bytes().split_at(cut);
                let (out, held, relay) = relayed(hide, &[one, two]);
                assert_eq!((out.as_str(), held.as_str()), (kept.as_str(), DONE), "hide {hide}, cut at {cut}");
                assert_eq!(relay.end(), Some(Ended::Done));
                assert_eq!(relay.usage().unwrap().output, 2);
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_never_leave_wherever_they_are_cut() {
        let bad: [&[u8]; 4] = [
            b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xff\xfe\"}}]}\n\n",
            b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xc3\"}}]}\n\n",
            b": \xe2\x82\n\n",
            b"data: [DONE]\nevent: \x80\n\n",
        ];
        for event in bad {
            let stream = [DELTA.as_bytes(), event, DONE.as_bytes()].concat();
            for cut in 0..=stream.len() {
                let mut relay = Relay::pass(Api::Chat, 1, true, false);
                let (one, two) = stream.split_at(cut);
                let fed = [one, two].into_iter().try_for_each(|part| relay.feed(&part.to_vec().into()));
                assert_eq!(fed, Err(Unfit::NoText), "cut at {cut}");
                let left: Vec<_> =
                    std::iter::from_fn(|| relay.next_piece()).map(Passing::into_bytes).collect();
                // The last byte of a CRLF may have come with what is bad.
                assert_eq!(left.concat().trim_ascii_end(), DELTA.trim_end().as_bytes(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_first_event_that_is_no_json_begins_nothing_and_a_later_one_passes() {
        let odd = "data: {nonsense\n\n";
        for before in ["", ": ping\n\n", "data:\n\n"] {
            let mut relay = Relay::pass(Api::Chat, 1, true, false);
            let fed = relay.feed(&format!("{before}{odd}{DELTA}").into_bytes().into());
            assert_eq!((fed, relay.begun()), (Err(Unfit::NoReply), false));
        }
        let (out, _, relay) = relayed(true, &[DELTA.as_bytes(), odd.as_bytes()]);
        assert_eq!((out, relay.begun()), (format!("{DELTA}{odd}"), true));
    }

    #[test]
    fn a_keep_alive_of_empty_data_and_a_mark_in_two_pieces_harm_nothing() {
        let stream = format!("\u{feff}data:\n\n{DELTA}{DONE}");
        for cut in 0..8 {
            let (one, two) = stream.as_bytes().split_at(cut);
            let (out, held, relay) = relayed(false, &[one, two]);
            assert_eq!(
                (format!("{out}{held}"), relay.end()),
                (stream.clone(), Some(Ended::Done)),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn small_pieces_leave_together_and_large_ones_as_they_are() {
        let mut relay = Relay::pass(Api::Chat, 1, false, false);
        for _ in 0..3 {
            relay.feed(&DELTA.as_bytes().to_vec().into()).unwrap();
        }
        assert!(!relay.is_full());
        let large = format!(": {}\n\n", "x".repeat(3 * TOGETHER));
        relay.feed(&large.clone().into_bytes().into()).unwrap();
        assert!(relay.is_full());
        let pieces: Vec<_> = std::iter::from_fn(|| relay.next_piece()).map(Passing::into_bytes).collect();
        assert_eq!(pieces, [DELTA.repeat(3), large], "and in their order");
        (0..PIECES).for_each(|_| relay.feed(&b"\n".to_vec().into()).unwrap());
        assert!(relay.is_full(), "however small they are");
    }

    #[test]
    fn keep_alives_do_not_wait_for_the_next_event() {
        let (out, _, _) = relayed(true, &[DELTA.as_bytes(), b": keep-alive\n\n"]);
        assert_eq!(out, format!("{DELTA}: keep-alive\n\n"));
    }

    #[test]
    fn byte_by_byte_is_the_same_as_whole() {
        let stream = format!("{DELTA}{FINISH}{USAGE}{DONE}");
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        let (out, held, _) = relayed(true, &bytes);
        assert_eq!((out, held.as_str()), (format!("{DELTA}{FINISH}"), DONE));
    }

    #[test]
    fn a_stream_without_done_is_whole_only_if_every_choice_finished() {
        let (_, _, mut relay) = relayed(true, &[DELTA.as_bytes(), FINISH.as_bytes()]);
        assert!(relay.close());
        assert_eq!(relay.last().into_bytes(), DONE);
        let (_, _, mut relay) = relayed(true, &[DELTA.as_bytes()]);
        assert!(!relay.close());
    }

    #[test]
    fn the_providers_error_event_passes_and_ends_the_stream() {
        let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
        let (out, held, relay) = relayed(true, &[format!("{DELTA}{error}{DONE}").as_bytes()]);
        assert_eq!((out, held.as_str()), (format!("{DELTA}{error}"), ""));
        assert_eq!(relay.end(), Some(Ended::Error));
    }
}
