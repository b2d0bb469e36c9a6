//! When a target is not to be asked: after a run of failures or a bad minute, for ten seconds and then longer, with one
//! probe in between.

use super::window::Totals;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use weir_policy::Breaker as State;

/// So many failures in a row open it.
const RUN: u32 = 5;
/// So do more failures than successes within a minute, if there were at least so many attempts.
const MINUTE_LEAST: u64 = 20;
/// For how long it opens first; doubled each time a probe fails.
const FIRST_MS: u64 = 10_000;
/// At most.
const LONGEST_MS: u64 = 60_000;

/// The breaker of one target.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// 0 while closed; else when the next probe may start.
    probe_at: AtomicU64,
    probing: AtomicBool,
    /// How many times it has opened without a success in between.
    openings: AtomicU32,
    run: AtomicU32,
}

impl Breaker {
    pub(super) fn state(&self, now: u64) -> State {
        match self.probe_at.load(Relaxed) {
            0 => State::Closed,
            at if now >= at && !self.probing.load(Relaxed) => State::HalfOpen,
            _ => State::Open,
        }
    }

    /// Whether it is closed, told without a clock.
    pub(super) fn is_calm(&self) -> bool {
        self.probe_at.load(Relaxed) == 0
    }

    pub(super) fn failures_in_a_row(&self) -> u32 {
        self.run.load(Relaxed)
    }

    /// Makes the attempt that starts now the probe, if one is due.
    pub(super) fn take_probe(&self, now: u64) -> bool {
        self.state(now) == State::HalfOpen
            && self.probing.compare_exchange(false, true, Relaxed, Relaxed).is_ok()
    }

    /// The probe is over, or was given up: the next attempt may be one.
    pub(super) fn give_probe_back(&self) {
        self.probing.store(false, Relaxed);
    }

    /// Whether it closed with this success. One that was under way since before the breaker opened says nothing new.
    pub(super) fn succeeded(&self, now: u64) -> bool {
        let at = self.probe_at.load(Relaxed);
        if at == 0 {
            self.run.store(0, Relaxed);
            return false;
        }
        let closes = now >= at && self.probe_at.compare_exchange(at, 0, Relaxed, Relaxed).is_ok();
        if closes {
            self.run.store(0, Relaxed);
            self.openings.store(0, Relaxed);
        }
        closes
    }

    pub(super) fn failed(&self, now: u64, minute: Totals) {
        let run = self.run.fetch_add(1, Relaxed).saturating_add(1);
        let at = self.probe_at.load(Relaxed);
        let trips = if at == 0 {
            run >= RUN || (minute.ended >= MINUTE_LEAST && minute.failed * 2 > minute.ended)
        } else {
            now >= at
        };
        if !trips {
            return;
        }
        let openings = self.openings.load(Relaxed);
        let open_for = (FIRST_MS << openings.min(8)).min(LONGEST_MS);
        // Of several that fail at once only one opens it.
        if self.probe_at.compare_exchange(at, now + open_for, Relaxed, Relaxed).is_ok() {
            self.openings.store(openings.saturating_add(1), Relaxed);
        }
    }
}
