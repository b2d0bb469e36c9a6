//! A streamed reply on its way past the policies: one link after another, each with windows and held text of its own.

use super::breaker::Leave;
use super::link::Link;
use super::{Clock, PolicyId, Refused, TraceLine};
use crate::request::RequestView;
use crate::vault::Restorer;
use crate::verdict::{DeltaKind, Lane};
use std::sync::Arc;
use std::time::Instant;
use weir_llm::translate::{self, Flow, Gate, LaneKind};
use weir_llm::usage::Usage;

/// The policies that watch one stream, and behind them what gives hidden texts back. Text goes in by lane and comes out as
/// far as every policy lets it.
pub struct Streams {
    links: Vec<(Ticket, Link)>,
    restorer: Option<Restorer>,
    clock: Clock,
    view: Arc<RequestView>,
    stopped: Option<Refused>,
}

/// What a stream's policies came to; the pipeline takes it back with [`super::Pipeline::streamed`].
pub struct Streamed {
    /// Weir's id of the exchange.
    pub(super) request_id: Arc<str>,
    pub(super) ends: Vec<End>,
    /// The policy's refusal that ended the stream.
    pub stopped: Option<Refused>,
}

/// Whose link it is, and by what leave it was opened.
pub(super) struct Ticket {
    pub(super) id: PolicyId,
    pub(super) digest: Arc<str>,
    pub(super) leave: Leave,
}

pub(super) struct End {
    pub(super) ticket: Ticket,
    pub(super) line: TraceLine,
}

impl Streams {
    pub(super) const fn new(links: Vec<(Ticket, Link)>, clock: Clock, view: Arc<RequestView>) -> Self {
        Self { links, restorer: None, clock, view, stopped: None }
    }

    /// A stream that no policy watches.
    #[must_use]
    pub fn unwatched(view: &Arc<RequestView>) -> Self {
        Self::new(Vec::new(), Arc::new(Instant::now), Arc::clone(view))
    }

    /// Gives back what was hidden from the model, behind the last policy.
    #[must_use]
    pub fn restoring(mut self) -> Self {
        self.restorer = Restorer::new(self.view.vault());
        self
    }

    /// More of a lane; `last`: the lane ends with it. What may leave is given to `out`, in order.
    ///
    /// # Errors
    /// A policy ends the stream: nothing more of it may leave.
    pub fn push(
        &mut self,
        lane: Lane,
        text: &str,
        last: bool,
        out: &mut dyn FnMut(&str),
    ) -> Result<(), Refused> {
        if let Some(stopped) = &self.stopped {
            return Err(stopped.clone());
        }
        let now = (self.clock)();
        self.pass(0, (lane, text, last), now, out)
    }

    /// The model calls a tool, whose arguments come in this lane.
    pub fn called(&mut self, lane: Lane, tool: &str) {
        self.links.iter_mut().for_each(|(_, link)| link.called(lane, tool));
    }

    /// Time has passed: what waited for more text only may leave.
    ///
    /// # Errors
    /// As [`Streams::push`].
    pub fn poke(&mut self, out: &mut dyn FnMut(Lane, &str)) -> Result<(), Refused> {
        if let Some(stopped) = &self.stopped {
            return Err(stopped.clone());
        }
        let now = (self.clock)();
        for at in 0..self.links.len() {
            for lane in self.links[at].1.due(now) {
                self.pass(at, (lane, "", false), now, &mut |text| out(lane, text))?;
            }
        }
        Ok(())
    }

    /// When what waits for more text has waited for long enough.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.links.iter().filter_map(|(_, link)| link.due_at()).min()
    }

    /// The stream has ended; what the policies say last.
    #[must_use]
    pub fn finish(self, usage: &Usage) -> Streamed {
        let Self { links, view, stopped, .. } = self;
        let end = |(ticket, link): (Ticket, Link)| End { ticket, line: link.finish(usage, &view).0 };
        let request_id = Arc::clone(&view.head().request_id);
        Streamed { request_id, ends: links.into_iter().map(end).collect(), stopped }
    }

    /// Hands text to a link, and what that lets go to the next.
    fn pass(
        &mut self,
        at: usize,
        (lane, text, last): (Lane, &str, bool),
        now: Instant,
        out: &mut dyn FnMut(&str),
    ) -> Result<(), Refused> {
        let view = Arc::clone(&self.view);
        let Some((_, link)) = self.links.get_mut(at) else {
            match &mut self.restorer {
                Some(restorer) => restorer.push(lane, text, last, out),
                None if text.is_empty() => {}
                None => out(text),
            }
            return Ok(());
        };
        let mut gone = String::new();
        let pushed = link.push((lane, text, last), now, &view, &mut |text| gone.push_str(text));
        let ended = match pushed {
            Ok(()) if gone.is_empty() && !last => Ok(()),
            Ok(()) => self.pass(at + 1, (lane, &gone, last), now, out),
            Err(refused) => Err(refused),
        };
        if let Err(refused) = &ended {
            self.stopped.get_or_insert_with(|| refused.clone());
        }
        ended
    }
}

impl Gate for Streams {
    fn push(&mut self, lane: translate::Lane, text: &str, last: bool, out: &mut dyn FnMut(&str)) -> Flow {
        flow(&Self::push(self, of(lane), text, last, out))
    }

    fn called(&mut self, lane: translate::Lane, tool: &str) {
        Self::called(self, of(lane), tool);
    }

    fn poke(&mut self, out: &mut dyn FnMut(translate::Lane, &str)) -> Flow {
        flow(&Self::poke(self, &mut |lane, text| out(back(lane), text)))
    }

    fn due(&self) -> Option<Instant> {
        Self::due(self)
    }
}

const fn flow(passed: &Result<(), Refused>) -> Flow {
    match passed {
        Ok(()) => Flow::Go,
        Err(_) => Flow::Stop,
    }
}

const fn of(lane: translate::Lane) -> Lane {
    let kind = match lane.kind {
        LaneKind::Text => DeltaKind::Content,
        LaneKind::Thinking => DeltaKind::Reasoning,
        LaneKind::Refusal => DeltaKind::Refusal,
        LaneKind::CallArguments => DeltaKind::ToolArgs,
    };
    Lane { choice: lane.choice, kind, index: lane.index }
}

const fn back(lane: Lane) -> translate::Lane {
    let kind = match lane.kind {
        DeltaKind::Content => LaneKind::Text,
        DeltaKind::Reasoning => LaneKind::Thinking,
        DeltaKind::Refusal => LaneKind::Refusal,
        DeltaKind::ToolArgs => LaneKind::CallArguments,
    };
    translate::Lane { choice: lane.choice, kind, index: lane.index }
}
