//! One policy on a stage of its own: its pipeline with a clock that can be moved, and streams played past it.

use super::file::{DeltaFile, LaneName};
use super::seen::Seen;
use crate::manifest::Hook;
use crate::pipeline::{
    Bound, BreakerSettings, Call, Clock, Observer, Pipeline, Refused, Seat, Seated, Streams, Trace,
};
use crate::policy::{Fault, LoadError, Policy};
use crate::request::RequestView;
use crate::verdict::{DeltaKind, Lane};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use weir_llm::usage::Usage;

/// More than the longest wait for the rest of a window: after it, what has come is shown.
const PAUSE_MS: u64 = 10_000;

/// One policy, bound to everything.
pub(super) struct Stage {
    pub(super) policy: Arc<dyn Policy>,
    pub(super) pipeline: Pipeline,
    pub(super) faults: Arc<Faults>,
    clock: Arc<AtomicU64>,
}

/// The last failure of a hook whose failures nobody is told of.
#[derive(Default)]
pub(super) struct Faults(Mutex<Option<Fault>>);

impl Faults {
    pub(super) fn take(&self) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Observer for Faults {
    fn seat(self: Arc<Self>, of: Seated<'_>) -> Arc<dyn Seat> {
        Arc::new((of.hook == Hook::Complete).then_some(self))
    }
}

impl Seat for Option<Arc<Faults>> {
    fn asked(&self, call: &Call<'_>) {
        if let (Some(faults), Some(fault)) = (self, call.fault) {
            *faults.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault.clone());
        }
    }
}

impl Stage {
    /// The breaker stays closed, since a case may be about a failure; and what the policy would leave unseen elsewhere is
    /// not what a case is about.
    pub(super) fn new(policy: Arc<dyn Policy>) -> Result<Self, LoadError> {
        let bound = Bound { served: Vec::new(), ..Bound::everywhere(Arc::clone(&policy)) };
        let breaker = BreakerSettings { faults: u32::MAX, ..BreakerSettings::default() };
        let clock: Arc<AtomicU64> = Arc::default();
        let moved = Arc::clone(&clock);
        let now: Clock =
            Arc::new(move || Instant::now() + Duration::from_millis(moved.load(Ordering::Relaxed)));
        let faults: Arc<Faults> = Arc::default();
        let observer: Arc<dyn Observer> = Arc::<Faults>::clone(&faults);
        let pipeline = Pipeline::with(vec![bound], breaker, now)?.observed_by(&observer);
        Ok(Self { policy, pipeline, faults, clock })
    }

    /// Plays a stream: each piece comes long after the one before it, so that the policy is shown it by itself.
    pub(super) fn play(&self, view: &Arc<RequestView>, pieces: &[Piece], usage: &Usage) -> Seen {
        let mut trace = Trace::new();
        let mut left = Lanes::default();
        let seen = match self.pipeline.stream(view, &mut trace) {
            Ok(None) => {
                pieces.iter().for_each(|piece| left.push(piece.lane, &piece.text));
                Seen::streamed(left)
            }
            Ok(Some(mut streams)) => {
                let passed = self.pass(&mut streams, pieces, &mut left);
                self.pipeline.streamed(streams.finish(usage), &mut trace);
                match passed {
                    Ok(()) => Seen::streamed(left),
                    Err(refused) => Seen::stopped(refused, left),
                }
            }
            Err(refused) => Seen::stopped(refused, left),
        };
        seen.with(trace, Some(view))
    }

    fn pass(&self, streams: &mut Streams, pieces: &[Piece], left: &mut Lanes) -> Result<(), Refused> {
        for (at, piece) in pieces.iter().enumerate() {
            if let Some(tool) = &piece.tool {
                streams.called(piece.lane, tool);
            }
            let last = pieces[at + 1..].iter().all(|later| later.lane != piece.lane);
            streams.push(piece.lane, &piece.text, last, &mut |text| left.push(piece.lane, text))?;
            self.clock.fetch_add(PAUSE_MS, Ordering::Relaxed);
            streams.poke(&mut |lane, text| left.push(lane, text))?;
        }
        Ok(())
    }
}

/// A piece of a streamed reply.
#[derive(Clone)]
pub(super) struct Piece {
    pub(super) lane: Lane,
    /// The tool whose arguments begin here.
    pub(super) tool: Option<String>,
    pub(super) text: String,
}

/// The pieces of a case.
pub(super) fn pieces(deltas: &[DeltaFile]) -> Vec<Piece> {
    let piece = |delta: &DeltaFile| {
        let kind = match delta.lane {
            LaneName::Content => DeltaKind::Content,
            LaneName::Reasoning => DeltaKind::Reasoning,
            LaneName::ToolArgs => DeltaKind::ToolArgs,
            LaneName::Refusal => DeltaKind::Refusal,
        };
        Piece {
            lane: Lane { choice: delta.choice, kind, index: delta.index },
            tool: delta.tool.clone(),
            text: delta.text.clone(),
        }
    };
    deltas.iter().map(piece).collect()
}

/// Texts by lane. A lane is named `content`, `tool-args/1` (the second call), `content@1` (of the second choice).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lanes(pub(super) BTreeMap<String, String>);

impl Lanes {
    pub(super) fn push(&mut self, lane: Lane, text: &str) {
        if !text.is_empty() {
            self.0.entry(name(lane)).or_default().push_str(text);
        }
    }

    /// Whether in each lane one text begins with the other.
    pub(super) fn runs_along(&self, other: &Self) -> bool {
        self.0.iter().all(|(lane, text)| {
            let theirs = other.0.get(lane).map_or("", String::as_str);
            text.starts_with(theirs) || theirs.starts_with(text.as_str())
        })
    }
}

fn name(lane: Lane) -> String {
    let mut name = lane.kind.as_str().to_owned();
    if lane.index > 0 {
        name.push_str(&format!("/{}", lane.index));
    }
    if lane.choice > 0 {
        name.push_str(&format!("@{}", lane.choice));
    }
    name
}
