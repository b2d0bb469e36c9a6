//! Connections that nobody uses at the moment.
//!
//! Pingora's own pool has a task for every idle connection, which has to be woken and to let go before the connection
//! can be used: a fifteenth of all that a request costs here. These lie still. They are looked at when they are put
//! down, when they are taken, and every second by whoever [tidies](super::Upstreams::tidy).

use super::IDLE;
use futures::FutureExt;
use pingora::protocols::Stream;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::io::AsyncReadExt;

/// Connections kept for one endpoint.
const MOST: usize = 1024;

/// The idle connections of one endpoint, the one used last at the end.
#[derive(Default)]
pub(super) struct Shelf {
    kept: Mutex<VecDeque<Kept>>,
}

struct Kept {
    stream: Stream,
    /// Which addresses its endpoint had when it was dialled: see [`Place::epoch`](super::place::Place::epoch).
    epoch: u64,
    since: Instant,
}

impl Shelf {
    /// The one used last that can be used again. Those of another epoch are ended on the way.
    pub(super) fn take(&self, epoch: u64) -> Option<Stream> {
        loop {
            let mut kept = self.kept().pop_back()?;
            if kept.epoch == epoch && kept.since.elapsed() < IDLE && is_open(&mut kept.stream) {
                return Some(kept.stream);
            }
        }
    }

    /// Puts one down whose reply has been read to its end.
    pub(super) fn keep(&self, mut stream: Stream, epoch: u64) {
        if !is_open(&mut stream) {
            return;
        }
        let mut kept = self.kept();
        let goes = if kept.len() < MOST { None } else { kept.pop_front() };
        kept.push_back(Kept { stream, epoch, since: Instant::now() });
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
            if one.epoch == epoch && is_fresh && is_open(&mut one.stream) {
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

/// Whether nothing is to be read: an end, an error, or bytes that nobody has asked for.
fn is_open(stream: &mut Stream) -> bool {
    let mut byte = [0];
    // Out of its budget a task would be told to wait, whatever there is to read.
    let read = tokio::task::unconstrained(stream.read(&mut byte)).now_or_never();
    if let Some(Ok(1..)) = read {
        tracing::warn!("a provider's idle connection is ended: it says something that nobody has asked for");
    }
    read.is_none()
}
