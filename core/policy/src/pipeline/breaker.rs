//! A breaker per policy and hook: a policy that keeps failing is not asked for a while.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When a policy is no longer asked, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Consecutive faults that open it.
    pub faults: u32,
    /// How long it stays open before one probe is let through.
    pub cool_down: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { faults: 5, cool_down: Duration::from_secs(10) }
    }
}

/// Lock-free: a closed breaker costs one load before a call and one after.
///
/// `open_until` is 0 while closed, else milliseconds since `epoch`. A probe is taken by moving `open_until` on by a
/// cool-down: whoever wins that exchange probes, everybody else still sees an open breaker, and a probe that never
/// reports back blocks nothing.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    epoch: Instant,
    consecutive: AtomicU32,
    open_until: AtomicU64,
}

/// Leave to make one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// The breaker is closed.
    Normal,
    /// The one call that decides whether it closes again.
    Probe,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings, now: Instant) -> Self {
        Self { settings, epoch: now, consecutive: AtomicU32::new(0), open_until: AtomicU64::new(0) }
    }

    /// `None` while open.
    pub(super) fn ask(&self, now: impl FnOnce() -> Instant) -> Option<Leave> {
        let until = self.open_until.load(Ordering::Acquire);
        if until == 0 {
            return Some(Leave::Normal);
        }
        let now = self.millis(now());
        if now < until {
            return None;
        }
        let next = now + self.cool_down();
        let won = self.open_until.compare_exchange(until, next, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        won.then_some(Leave::Probe)
    }

    /// The call went well. A straggler that was let through before the breaker opened does not close it.
    pub(super) fn succeeded(&self, leave: Leave) {
        if self.consecutive.load(Ordering::Relaxed) != 0 {
            self.consecutive.store(0, Ordering::Relaxed);
        }
        if leave == Leave::Probe {
            self.open_until.store(0, Ordering::Release);
        }
    }

    /// The call was a fault; answers whether this one opened the breaker.
    pub(super) fn failed(&self, leave: Leave, now: Instant) -> bool {
        let until = self.millis(now) + self.cool_down();
        if leave == Leave::Probe {
            self.open_until.store(until, Ordering::Release);
            return false;
        }
        let consecutive = self.consecutive.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        consecutive >= self.settings.faults
            && self.open_until.compare_exchange(0, until, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    pub(super) fn is_open(&self) -> bool {
        self.open_until.load(Ordering::Relaxed) != 0
    }

    fn cool_down(&self) -> u64 {
        u64::try_from(self.settings.cool_down.as_millis()).unwrap_or(u64::MAX / 4).max(1)
    }

    /// Never 0, since 0 means closed.
    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX / 4) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> (Breaker, Instant) {
        let start = Instant::now();
        (Breaker::new(BreakerSettings { faults: 3, cool_down: Duration::from_millis(100) }, start), start)
    }

    fn trip(breaker: &Breaker, now: Instant) {
        for nth in 1..=3 {
            let leave = breaker.ask(|| now).unwrap();
            assert_eq!(breaker.failed(leave, now), nth == 3, "only the last fault opens it");
        }
    }

    #[test]
    fn consecutive_faults_open_it_and_a_success_between_starts_the_count_anew() {
        let (breaker, now) = breaker();
        for _ in 0..10 {
            breaker.failed(Leave::Normal, now);
            breaker.failed(Leave::Normal, now);
            breaker.succeeded(Leave::Normal);
        }
        assert_eq!(breaker.ask(|| now), Some(Leave::Normal));
        trip(&breaker, now);
        assert_eq!(breaker.ask(|| now + Duration::from_millis(99)), None);
    }

    #[test]
    fn after_the_cool_down_one_probe_decides() {
        let (breaker, now) = breaker();
        trip(&breaker, now);
        let later = now + Duration::from_millis(100);
        assert_eq!(breaker.ask(|| later), Some(Leave::Probe));
        assert_eq!(breaker.ask(|| later), None, "one probe at a time");
        breaker.failed(Leave::Probe, later);
        assert_eq!(
            breaker.ask(|| later + Duration::from_millis(99)),
            None,
            "a failed probe cools down again"
        );
        assert_eq!(breaker.ask(|| later + Duration::from_millis(100)), Some(Leave::Probe));
        breaker.succeeded(Leave::Probe);
        assert_eq!(breaker.ask(|| later), Some(Leave::Normal));
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_lost_probe_blocks_nothing_and_a_straggler_does_not_close() {
        let (breaker, now) = breaker();
        trip(&breaker, now);
        breaker.succeeded(Leave::Normal);
        assert_eq!(breaker.ask(|| now), None);
        let later = now + Duration::from_millis(100);
        assert_eq!(breaker.ask(|| later), Some(Leave::Probe), "never reported");
        assert_eq!(breaker.ask(|| later + Duration::from_millis(100)), Some(Leave::Probe));
    }
}
