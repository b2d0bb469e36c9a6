//! Connections that nobody uses at the moment.
//!
//! Pingora's own pool has a task for every idle connection, which has to be woken and to let go before the connection
//! can be used: a fifteenth of all that a request costs here. These lie still. They are looked at when they are put
//! down, when they are taken, and every second by whoever [tidies](super::Upstreams::tidy): he ends the old ones.

use super::IDLE;
use crate::wire::Wire;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Connections kept for one endpoint.
const MOST: usize = 1024;

/// The idle connections of one endpoint, the one used last at the end.
#[derive(Default)]
pub(super) struct Shelf {
    kept: Mutex<VecDeque<Kept>>,
}

struct Kept {
    wire: Wire,
    /// Which addresses its endpoint had when it was dialled: see [`Place::epoch`](super::place::Place::epoch).
    epoch: u64,
    since: Instant,
}

impl Shelf {
    /// The one used last that can be used again. Those of another epoch are ended on the way.
    pub(super) fn take(&self, epoch: u64) -> Option<Wire> {
        loop {
            let mut kept = self.kept().pop_back()?;
            if kept.epoch == epoch && kept.wire.is_quiet() {
                return Some(kept.wire);
            }
        }
    }

    /// Puts one down whose reply has been read to its end.
    pub(super) fn keep(&self, mut wire: Wire, epoch: u64) {
        if !wire.is_quiet() {
            return;
        }
        let mut kept = self.kept();
        let goes = if kept.len() < MOST { None } else { kept.pop_front() };
        kept.push_back(Kept { wire, epoch, since: Instant::now() });
        drop(kept);
        // To end one is a system call: not under the lock.
        drop(goes);
    }

    /// Ends those that have been idle for too long, those of another epoch, and those that the other side has closed.
    pub(super) fn tidy(&self, epoch: u64, now: Instant) {
        let mut gone = Vec::new();
        let mut kept = self.kept();
        for _ in 0..kept.len() {
            let Some(mut one) = kept.pop_front() else { break };
            let is_fresh = now.saturating_duration_since(one.since) < IDLE;
            if one.epoch == epoch && is_fresh && one.wire.is_quiet() {
                kept.push_back(one);
            } else {
                gone.push(one);
            }
        }
        drop(kept);
        drop(gone);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept().len()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
