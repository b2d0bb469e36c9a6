//! Estimates over a sliding window, kept in atomics.

use std::array;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Two histograms take turns, each for so long: a quantile looks back between one and two turns, at most 5 minutes.
const TURN_MS: u64 = 150_000;
/// A quantile is worked out anew at most this often once there are many samples.
const FRESH_MS: u64 = 250;
/// With fewer samples than this every one counts at once.
const FEW: u32 = 64;
/// Four buckets a doubling, up to 2^30.
const BUCKETS: usize = 120;

/// Median and 95th percentile of positive figures, within an eighth of their value.
pub(super) struct Quantiles {
    /// Turn number (of [`TURN_MS`]) that each half was last written in, plus one; 0: never.
    turns: [AtomicU64; 2],
    halves: [[AtomicU32; BUCKETS]; 2],
    samples: AtomicU32,
    /// When (ms) and at how many samples `p50` and `p95` were worked out.
    worked_out: AtomicU64,
    p50: AtomicU32,
    p95: AtomicU32,
}

impl Default for Quantiles {
    fn default() -> Self {
        Self {
            turns: Default::default(),
            halves: array::from_fn(|_| array::from_fn(|_| AtomicU32::new(0))),
            samples: AtomicU32::new(0),
            worked_out: AtomicU64::new(0),
            p50: AtomicU32::new(0),
            p95: AtomicU32::new(0),
        }
    }
}

impl Quantiles {
    pub(super) fn add(&self, now: u64, value: u32) {
        let turn = now / TURN_MS + 1;
        let half = (turn % 2) as usize;
        let seen = self.turns[half].load(Relaxed);
        if seen < turn && self.turns[half].compare_exchange(seen, turn, Relaxed, Relaxed).is_ok() {
            // The winner empties what is two turns old. A sample that slips in meanwhile may be lost: it is an estimate.
            self.halves[half].iter().for_each(|bucket| bucket.store(0, Relaxed));
        }
        self.halves[half][bucket(value)].fetch_add(1, Relaxed);
        self.samples.fetch_add(1, Relaxed);
    }

    /// 0 if nothing was measured within the window.
    pub(super) fn p50(&self, now: u64) -> u32 {
        self.refresh(now);
        self.p50.load(Relaxed)
    }

    /// As [`Quantiles::p50`].
    pub(super) fn p95(&self, now: u64) -> u32 {
        self.refresh(now);
        self.p95.load(Relaxed)
    }

    fn refresh(&self, now: u64) {
        let samples = self.samples.load(Relaxed);
        if samples == 0 {
            return;
        }
        let slot = now / FRESH_MS + 1;
        // Below FEW samples each of them is a reason to look again; above, only the passing of time is.
        let wanted = slot << 8 | u64::from(samples.min(FEW));
        let seen = self.worked_out.load(Relaxed);
        if seen == wanted || self.worked_out.compare_exchange(seen, wanted, Relaxed, Relaxed).is_err() {
            return;
        }
        let counts = self.counts(now / TURN_MS + 1);
        self.p50.store(quantile(&counts, 50), Relaxed);
        self.p95.store(quantile(&counts, 95), Relaxed);
    }

    fn counts(&self, turn: u64) -> [u64; BUCKETS] {
        let mut counts = [0; BUCKETS];
        for (half, seen) in self.halves.iter().zip(&self.turns) {
            if seen.load(Relaxed) + 1 >= turn {
                counts.iter_mut().zip(half).for_each(|(sum, bucket)| *sum += u64::from(bucket.load(Relaxed)));
            }
        }
        counts
    }
}

impl fmt::Debug for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quantiles").field("samples", &self.samples).finish_non_exhaustive()
    }
}

/// Values below 4 have a bucket each; from there on every doubling has four.
fn bucket(value: u32) -> usize {
    if value < 4 {
        return value as usize;
    }
    let power = value.ilog2();
    let quarter = value >> (power - 2) & 3;
    ((power as usize - 1) * 4 + quarter as usize).min(BUCKETS - 1)
}

/// The middle of a bucket.
fn value(bucket: usize) -> u32 {
    if bucket < 4 {
        return u32::try_from(bucket).unwrap_or(0);
    }
    let power = bucket / 4 + 1;
    let width = 1_u64 << (power - 2);
    let low = (4 + bucket as u64 % 4) * width;
    u32::try_from(low + width / 2).unwrap_or(u32::MAX)
}

fn quantile(counts: &[u64; BUCKETS], percent: u64) -> u32 {
    let total: u64 = counts.iter().sum();
    let rank = (total * percent).div_ceil(100).max(1);
    let mut seen = 0;
    let reached = counts.iter().position(|count| {
        seen += count;
        seen >= rank
    });
    reached.map_or(0, value)
}

/// Successes and failures of the last minute, in slices of five seconds.
#[derive(Debug, Default)]
pub(super) struct Minute([AtomicU64; SLICES]);

const SLICES: usize = 12;
const SLICE_MS: u64 = 5_000;
/// A slice packs its number (24 bits) and two counts (20 bits each).
const COUNT: u64 = (1 << 20) - 1;
const NUMBER: u64 = (1 << 24) - 1;

/// How many attempts ended, and how many of them badly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) ended: u64,
    pub(super) failed: u64,
}

impl Totals {
    pub(super) fn failure_share(self) -> f32 {
        #[allow(clippy::cast_precision_loss, reason = "a share")]
        if self.ended == 0 { 0.0 } else { self.failed as f32 / self.ended as f32 }
    }
}

impl Minute {
    pub(super) fn add(&self, now: u64, ok: bool) {
        let number = now / SLICE_MS + 1;
        let (slice, number) = (&self.0[(number % SLICES as u64) as usize], number & NUMBER);
        let step = |packed: u64| {
            let counts = if packed >> 40 == number { packed } else { number << 40 };
            let (good, bad) = (counts >> 20 & COUNT, counts & COUNT);
            let (good, bad) = (good + u64::from(ok), bad + u64::from(!ok));
            Some(number << 40 | good.min(COUNT) << 20 | bad.min(COUNT))
        };
        // The closure never says no.
        slice.fetch_update(Relaxed, Relaxed, step).ok();
    }

    pub(super) fn totals(&self, now: u64) -> Totals {
        let number = now / SLICE_MS + 1;
        let mut totals = Totals::default();
        for slice in &self.0 {
            let packed = slice.load(Relaxed);
            let age = number.wrapping_sub(packed >> 40) & NUMBER;
            if age < SLICES as u64 && packed != 0 {
                totals.ended += (packed >> 20 & COUNT) + (packed & COUNT);
                totals.failed += packed & COUNT;
            }
        }
        totals
    }

    /// What came before no longer counts.
    pub(super) fn clear(&self) {
        self.0.iter().for_each(|slice| slice.store(0, Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_buckets_middle_is_within_an_eighth(v in 0_u32..1 << 30) {
            let middle = value(bucket(v));
            prop_assert!(middle.abs_diff(v) <= v.div_ceil(8), "{v} became {middle}");
        }

        #[test]
        fn quantiles_are_close_to_the_exact_ones(mut values in prop::collection::vec(1_u32..100_000, 1..200)) {
            let quantiles = Quantiles::default();
            values.iter().for_each(|v| quantiles.add(1_000_000, *v));
            values.sort_unstable();
            let exact = |percent: usize| values[(values.len() * percent).div_ceil(100) - 1];
            for (got, want) in [(quantiles.p50(1_000_000), exact(50)), (quantiles.p95(1_000_000), exact(95))] {
                prop_assert!(got.abs_diff(want) <= want.div_ceil(8), "got {got}, exact {want}");
            }
        }

        /// Against a plain list of what happened when.
        #[test]
        fn the_minute_counts_what_a_list_counts(steps in prop::collection::vec((0_u64..20_000, any::<bool>()), 1..80)) {
            let minute = Minute::default();
            let (mut now, mut list) = (7_777_777, Vec::new());
            for (step, ok) in steps {
                now += step;
                minute.add(now, ok);
                list.push((now, ok));
                let oldest = (now / SLICE_MS - (SLICES as u64 - 1)) * SLICE_MS;
                let recent = list.iter().filter(|(at, _)| *at >= oldest);
                let failed = recent.clone().filter(|(_, ok)| !ok).count() as u64;
                prop_assert_eq!(minute.totals(now), Totals { ended: recent.count() as u64, failed });
            }
        }
    }

    #[test]
    fn what_is_older_than_two_turns_is_forgotten() {
        let quantiles = Quantiles::default();
        quantiles.add(0, 1000);
        assert_eq!(quantiles.p50(TURN_MS), value(bucket(1000)), "one turn later it still counts");
        assert_eq!(quantiles.p50(2 * TURN_MS), 0, "two turns later it does not");
        quantiles.add(2 * TURN_MS + 1, 3);
        assert_eq!(quantiles.p50(2 * TURN_MS + 1), 3);
    }
}
