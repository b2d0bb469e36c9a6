//! What is counted of each version that decides: of the live one since it is live, of a canary and of the live one beside
//! it since there is a canary.

use super::report::percent_text;
use crate::telemetry::policies::{Counted, Policies};
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use weir_policy::pipeline::{Call, Observer, Seat, Seated, Verdict};

/// Gives each version that decides its seat: its calls go to the metrics and to the tallies that watch it, and whose breaker
/// opens is said here.
pub struct Watcher {
    metrics: Arc<Policies>,
    /// Held when a pipeline is built and when it is swapped in, never by a call.
    watched: Mutex<Watched>,
    tripped: Mutex<Vec<Tripped>>,
}

#[derive(Default)]
struct Watched {
    tallies: Vec<Arc<Tally>>,
    seats: Vec<Weak<Watching>>,
}

/// The seat of a version at a hook.
struct Watching {
    watcher: Arc<Watcher>,
    metrics: Counted,
    of: Tripped,
    tallies: ArcSwap<Vec<Arc<Tally>>>,
    /// Whether there are any; else a call does not look.
    tallied: AtomicBool,
}

/// A version whose breaker opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tripped {
    /// The policy's name.
    pub policy: String,
    /// The version's digest.
    pub digest: String,
    /// At which hook.
    pub hook: &'static str,
}

/// Breakers that opened and were not looked at yet: a version opens one for each of its hooks.
const TRIPS: usize = 64;

/// Counts of one version, over all of its bindings.
#[derive(Debug, Default)]
pub struct Tally {
    policy: String,
    digests: Vec<String>,
    calls: AtomicU64,
    faults: AtomicU64,
    refusals: AtomicU64,
    nanos: AtomicU64,
}

impl Watcher {
    /// Watches nobody yet.
    pub fn new(metrics: Arc<Policies>) -> Self {
        Self { metrics, watched: Mutex::default(), tripped: Mutex::default() }
    }

    /// Watches these, and no others.
    pub fn watch(&self, tallies: Vec<Arc<Tally>>) {
        let mut watched = self.watched();
        watched.tallies = tallies;
        watched.seats.iter().filter_map(Weak::upgrade).for_each(|seat| seat.watch(&watched.tallies));
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a breaker opened, until somebody looks.
    pub fn trip(&self, opened: Tripped) {
        let mut tripped = self.tripped.lock().unwrap_or_else(PoisonError::into_inner);
        if tripped.len() < TRIPS && !tripped.contains(&opened) {
            tripped.push(opened);
        }
    }

    /// Nothing can be done about this version.
    pub fn forget(&self, digest: &str) {
        let mut tripped = self.tripped.lock().unwrap_or_else(PoisonError::into_inner);
        tripped.retain(|opened| opened.digest != digest);
    }

    /// The breakers that opened since the last look.
    pub fn tripped(&self) -> Vec<Tripped> {
        std::mem::take(&mut *self.tripped.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Watcher {
    fn seat(self: Arc<Self>, of: Seated<'_>) -> Arc<dyn Seat> {
        let metrics = self.metrics.seat(of);
        let (policy, digest) = (of.policy.to_owned(), of.digest.to_owned());
        let of = Tripped { policy, digest, hook: of.hook.as_str() };
        let seat = Arc::new(Watching {
            watcher: Arc::clone(&self),
            metrics,
            of,
            tallies: ArcSwap::default(),
            tallied: AtomicBool::new(false),
        });
        let mut watched = self.watched();
        seat.watch(&watched.tallies);
        // The seats of pipelines that are gone go before the list grows: reloads leave nothing behind.
        if watched.seats.len() == watched.seats.capacity() {
            watched.seats.retain(|seat| seat.strong_count() > 0);
        }
        watched.seats.push(Arc::downgrade(&seat));
        seat
    }
}

impl Watching {
    /// Counts for those of them that are about this version.
    fn watch(&self, tallies: &[Arc<Tally>]) {
        let mine: Vec<_> = tallies.iter().filter(|tally| tally.is(&self.of)).cloned().collect();
        let any = !mine.is_empty();
        self.tallies.store(Arc::new(mine));
        self.tallied.store(any, Ordering::Release);
    }
}

impl Seat for Watching {
    fn asked(&self, call: &Call<'_>) {
        self.metrics.asked(call);
        if self.tallied.load(Ordering::Acquire) {
            self.tallies.load().iter().for_each(|tally| tally.count(call));
        }
        if call.breaker_opened {
            self.watcher.trip(self.of.clone());
        }
    }
}

impl Tally {
    /// Nothing counted yet.
    pub fn of(policy: &str, digests: Vec<String>) -> Arc<Self> {
        Arc::new(Self { policy: policy.to_owned(), digests, ..Self::default() })
    }

    fn is(&self, version: &Tripped) -> bool {
        self.policy == version.policy && self.digests.contains(&version.digest)
    }

    fn count(&self, call: &Call<'_>) {
        // Nobody was asked: it says nothing of a version.
        if call.verdict == Verdict::NothingFound {
            return;
        }
        let nanos = u64::try_from(call.elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        if call.fault.is_some() {
            self.faults.fetch_add(1, Ordering::Relaxed);
        }
        if matches!(call.verdict, Verdict::Block | Verdict::Deny | Verdict::Fail) {
            self.refusals.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often it was asked.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// How often it failed.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// Whether this version fails a greater share of its calls than another does.
    pub fn fails_more_than(&self, other: &Self) -> bool {
        let (mine, theirs) = (u128::from(self.faults()), u128::from(other.faults()));
        mine * u128::from(other.calls().max(1)) > theirs * u128::from(self.calls().max(1))
    }

    /// For the admin API.
    pub fn json(&self) -> Value {
        let share = |count: &AtomicU64| {
            let parts = count.load(Ordering::Relaxed).saturating_mul(10_000).checked_div(self.calls());
            percent_text(parts.unwrap_or(0))
        };
        let mean = self.nanos.load(Ordering::Relaxed).checked_div(self.calls()).unwrap_or(0) / 100;
        json!({
            "calls": self.calls(),
            "faults": self.faults(),
            "faults_percent": share(&self.faults),
            "refusals": self.refusals.load(Ordering::Relaxed),
            "refusals_percent": share(&self.refusals),
            "mean_us": f64::from(u32::try_from(mean).unwrap_or(u32::MAX)) / 10.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;
    use weir_policy::Hook;

    #[test]
    fn seats_of_pipelines_that_are_gone_are_forgotten() {
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let watcher = Arc::new(Watcher::new(Policies::new(&metrics)));
        let of = Seated { policy: "p", version: "1", digest: "0123456789", hook: Hook::Guard };
        let kept = Arc::clone(&watcher).seat(of);
        for _ in 0..1_000 {
            drop(Arc::clone(&watcher).seat(of));
        }
        let watched = watcher.watched();
        assert!(watched.seats.len() < 10, "{} seats", watched.seats.len());
        assert_eq!(watched.seats.iter().filter(|seat| seat.strong_count() > 0).count(), 1);
        drop(kept);
    }

    #[test]
    fn shares_of_faults_are_compared_not_counts() {
        let tally = |calls, faults| Tally {
            calls: AtomicU64::new(calls),
            faults: AtomicU64::new(faults),
            ..Tally::default()
        };
        assert!(tally(100, 2).fails_more_than(&tally(10_000, 100)), "2 % is more than 1 %");
        assert!(!tally(100, 1).fails_more_than(&tally(10_000, 100)));
        assert!(tally(1, 1).fails_more_than(&tally(0, 0)), "nobody asked the other one");
        assert!(!tally(0, 0).fails_more_than(&tally(0, 0)));
    }
}
