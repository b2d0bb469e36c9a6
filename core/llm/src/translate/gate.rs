//! Between a stream's decoder and its encoder: somebody who sees the text, lane by lane, and says what of it may leave.
//!
//! Text of a lane can be held back and changed; what gives a stream its structure cannot. So a lane is ended before what
//! comes after it in the stream: a block's end, another block, a call's end, the answer's end.

use crate::neutral::content::Citation;
use crate::neutral::event::Event;
use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Instant;

/// One ordered run of text within a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// Which of several answers.
    pub choice: u32,
    /// What part of it.
    pub kind: LaneKind,
    /// Which block of the answer, or which call of the reply.
    pub index: u32,
}

/// What part of an answer a lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "as the events are called")]
pub enum LaneKind {
    Text,
    Thinking,
    Refusal,
    CallArguments,
}

/// Whether a stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Go,
    /// Nothing more of it may leave.
    Stop,
}

/// Says what of a stream's text may leave.
pub trait Gate: Any + Send {
    /// A tool is called; its arguments come in this lane.
    fn called(&mut self, lane: Lane, tool: &str) {
        let _ = (lane, tool);
    }

    /// More text of a lane; `last`: the lane ends with it. What may leave is given to `out`, in order.
    fn push(&mut self, lane: Lane, text: &str, last: bool, out: &mut dyn FnMut(&str)) -> Flow;

    /// Time has passed: what waited for more text only may leave.
    fn poke(&mut self, out: &mut dyn FnMut(Lane, &str)) -> Flow;

    /// When it wants to be poked; `None`: nothing waits for time to pass.
    fn due(&self) -> Option<Instant>;
}

/// A gate and what it needs to know of the stream's structure.
pub(super) struct Gated {
    gate: Box<dyn Gate>,
    /// The block of each answer that text may still come to.
    open: BTreeMap<u32, Open>,
    /// Blocks of each answer so far.
    blocks: BTreeMap<u32, u32>,
    /// The answer that each open call belongs to.
    calls: BTreeMap<u32, u32>,
    stopped: bool,
}

struct Open {
    lane: Lane,
    /// Thinking before and after the gate: a proof of the one proves nothing of the other.
    given: String,
    gone: String,
    /// They stand behind the text that they belong to.
    citations: Vec<Citation<'static>>,
}

impl Gated {
    pub(super) fn new(gate: Box<dyn Gate>) -> Self {
        Self { gate, open: BTreeMap::new(), blocks: BTreeMap::new(), calls: BTreeMap::new(), stopped: false }
    }

    pub(super) const fn stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.gate.due().filter(|_| !self.stopped)
    }

    pub(super) fn into_gate(self) -> Box<dyn Gate> {
        self.gate
    }

    /// Hands on what may leave.
    pub(super) fn pass(&mut self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if self.stopped {
            return;
        }
        match event {
            Event::Text { choice, text } => self.text(choice, LaneKind::Text, &text, sink),
            Event::Refusal { choice, text } => self.text(choice, LaneKind::Refusal, &text, sink),
            Event::Thinking { choice, text } => self.text(choice, LaneKind::Thinking, &text, sink),
            Event::CallArguments { call, ref text } => self.arguments(call, text, false, sink),
            // They would tell the text that a guard has changed, or what it has not seen.
            Event::Logprobs { .. } | Event::Other { .. } => {}
            Event::Citation { choice, citation } => match self.open.get_mut(&choice) {
                Some(open) => open.citations.push(citation.into_static()),
                None => sink(Event::Citation { choice, citation }),
            },
            Event::Sealed { choice, .. } => {
                let changed = self.close(choice, sink);
                if !changed && !self.stopped {
                    sink(event);
                }
            }
            Event::CallStart { choice, call, ref name, .. } => {
                self.close(choice, sink);
                self.calls.insert(call, choice);
                self.gate.called(Lane { choice, kind: LaneKind::CallArguments, index: call }, name);
                self.let_go(event, sink);
            }
            Event::CallEnd { call } => {
                self.arguments(call, "", true, sink);
                self.calls.remove(&call);
                self.let_go(event, sink);
            }
            Event::Break { choice } | Event::Finish { choice, .. } => {
                self.close(choice, sink);
                self.let_go(event, sink);
            }
            Event::End => {
                let open: Vec<u32> = self.open.keys().copied().collect();
                for choice in open {
                    self.close(choice, sink);
                }
                self.let_go(event, sink);
            }
            other => sink(other),
        }
    }

    /// Time has passed.
    pub(super) fn poke(&mut self, sink: &mut dyn FnMut(Event<'_>)) {
        if self.stopped {
            return;
        }
        let Self { gate, open, .. } = self;
        let flow = gate.poke(&mut |lane, text| {
            if let Some(open) = open.get_mut(&lane.choice).filter(|open| open.lane == lane) {
                open.note(text);
            }
            sink(event(lane, text));
        });
        self.stopped = flow == Flow::Stop;
    }

    fn let_go(&self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        if !self.stopped {
            sink(event);
        }
    }

    fn text(&mut self, choice: u32, kind: LaneKind, text: &str, sink: &mut dyn FnMut(Event<'_>)) {
        if self.open.get(&choice).is_some_and(|open| open.lane.kind != kind) {
            self.close(choice, sink);
        }
        let Self { gate, open, blocks, .. } = self;
        let block = blocks.entry(choice).or_default();
        let open = open.entry(choice).or_insert_with(|| {
            let lane = Lane { choice, kind, index: *block };
            *block += 1;
            Open { lane, given: String::new(), gone: String::new(), citations: Vec::new() }
        });
        if kind == LaneKind::Thinking {
            open.given.push_str(text);
        }
        let flow = gate.push(open.lane, text, false, &mut |text| {
            open.note(text);
            sink(event(open.lane, text));
        });
        self.stopped |= flow == Flow::Stop;
    }

    /// Ends the open block of an answer; whether its thinking was changed.
    fn close(&mut self, choice: u32, sink: &mut dyn FnMut(Event<'_>)) -> bool {
        let Some(mut open) = self.open.remove(&choice).filter(|_| !self.stopped) else { return false };
        let lane = open.lane;
        let flow = self.gate.push(lane, "", true, &mut |text| {
            open.note(text);
            sink(event(lane, text));
        });
        self.stopped |= flow == Flow::Stop;
        for citation in std::mem::take(&mut open.citations) {
            self.let_go(Event::Citation { choice, citation }, sink);
        }
        open.given != open.gone
    }

    fn arguments(&mut self, call: u32, text: &str, last: bool, sink: &mut dyn FnMut(Event<'_>)) {
        if self.stopped {
            return;
        }
        let choice = self.calls.get(&call).copied().unwrap_or_default();
        let lane = Lane { choice, kind: LaneKind::CallArguments, index: call };
        let flow = self.gate.push(lane, text, last, &mut |text| sink(event(lane, text)));
        self.stopped |= flow == Flow::Stop;
    }
}

impl Open {
    fn note(&mut self, text: &str) {
        if self.lane.kind == LaneKind::Thinking {
            self.gone.push_str(text);
        }
    }
}

fn event(lane: Lane, text: &str) -> Event<'_> {
    let (choice, text) = (lane.choice, Cow::Borrowed(text));
    match lane.kind {
        LaneKind::Text => Event::Text { choice, text },
        LaneKind::Thinking => Event::Thinking { choice, text },
        LaneKind::Refusal => Event::Refusal { choice, text },
        LaneKind::CallArguments => Event::CallArguments { call: lane.index, text },
    }
}
