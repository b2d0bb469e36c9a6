//! Counts what is under way and says when it is time to stop: the two halves of a graceful shutdown.

use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Notify, watch};

/// Where a process stands on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Taking requests.
    Open,
    /// No new connections; what is under way may finish.
    Draining,
    /// The grace period is over; what is under way ends with a proper error.
    Ending,
}

/// The exchanges under way, and the phase of the process.
pub struct Drain {
    under_way: AtomicUsize,
    limit: usize,
    idle: Notify,
    phase: watch::Sender<Phase>,
}

/// One exchange under way.
pub struct Guest<'a>(&'a Drain);

impl Drain {
    /// Lets at most `limit` exchanges be under way at once.
    pub fn new(limit: usize) -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            limit,
            idle: Notify::new(),
            phase: watch::channel(Phase::Open).0,
        }
    }

    /// Counts an exchange in, unless the house is full.
    pub fn enter(&self) -> Option<Guest<'_>> {
        let before = self.under_way.fetch_add(1, Ordering::AcqRel);
        let guest = Guest(self);
        (before < self.limit).then_some(guest)
    }

    /// How many exchanges are under way.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Acquire)
    }

    /// Where the process stands.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Moves on to a later phase.
    pub fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    /// Resolves when the grace period is over.
    pub async fn ending(&self) {
        let mut phase = self.phase.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = phase.wait_for(|phase| *phase == Phase::Ending).await;
    }

    /// Resolves when nothing is under way.
    pub async fn idle(&self) {
        loop {
            let notified = self.idle.notified();
            if self.under_way() == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn idle_resolves_when_the_last_guest_has_left() {
        let drain = Drain::new(2);
        let (one, two) = (drain.enter().unwrap(), drain.enter().unwrap());
        assert!(drain.enter().is_none(), "the house is full");
        assert_eq!(drain.under_way(), 2);
        let waiting = drain.idle();
        tokio::pin!(waiting);
        drop(one);
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(two);
        waiting.await;
    }

    #[test]
    fn phases_only_move_on() {
        let drain = Drain::new(1);
        drain.advance(Phase::Ending);
        drain.advance(Phase::Draining);
        assert_eq!(drain.phase(), Phase::Ending);
    }
}
