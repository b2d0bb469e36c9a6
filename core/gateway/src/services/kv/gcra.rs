//! The generic cell rate algorithm, as a leaky bucket of integers: nothing is rounded, whatever the rate, and a policy
//! may change the rate from one call to the next.

use std::sync::{Mutex, PoisonError};
use weir_policy::services::Take;

/// A debt is kept in sixty-thousandths of a unit: `per_min` of them flow off in a millisecond.
const PARTS: u128 = 60_000;

/// How full a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    debt: u128,
    at: u64,
}

impl Level {
    /// Nothing has passed yet.
    pub(super) const fn empty(now: u64) -> Self {
        Self { debt: 0, at: now }
    }

    /// The level after `rate.cost` more, if the bucket holds that.
    pub(super) fn take(self, rate: Take, now: u64) -> Option<Self> {
        // Two threads may read the clock in one order and come here in the other.
        let now = now.max(self.at);
        let flowed = u128::from(rate.per_min) * u128::from(now - self.at);
        let debt = self.debt.saturating_sub(flowed) + u128::from(rate.cost) * PARTS;
        (debt <= u128::from(rate.burst) * PARTS).then_some(Self { debt, at: now })
    }

    /// When all has flowed off, and the bucket need not be remembered; never, if nothing flows.
    pub(super) fn empty_at(self, per_min: u64) -> Option<u64> {
        let ms = self.debt.div_ceil(u128::from(std::num::NonZeroU64::new(per_min)?.get()));
        Some(self.at.saturating_add(u64::try_from(ms).unwrap_or(u64::MAX)))
    }
}

/// A bucket of the host's own.
#[derive(Default)]
pub(in crate::services) struct Rate(Mutex<Option<Level>>);

impl Rate {
    /// Whether one more may pass.
    pub(in crate::services) fn take(&self, per_min: u64, burst: u64, now: u64) -> bool {
        let mut level = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = level.unwrap_or_else(|| Level::empty(now)).take(Take { cost: 1, per_min, burst }, now);
        if next.is_some() {
            *level = next;
        }
        next.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The textbook's form: a theoretical arrival time, here in whole units of 1/(60,000 per_min) of a millisecond, which
    /// no rounding touches as long as the rate stays the same.
    struct Model {
        tat: u128,
    }

    impl Model {
        fn take(&mut self, rate: Take, now: u64) -> bool {
            let now = u128::from(now) * u128::from(rate.per_min);
            let new = self.tat.max(now) + u128::from(rate.cost) * PARTS;
            let allowed = new <= now + u128::from(rate.burst) * PARTS;
            if allowed {
                self.tat = new;
            }
            allowed
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_textbook(
            per_min in 0u64..100_000, burst in 0u64..50,
            calls in proptest::collection::vec((0u64..3_000, 0u64..60), 1..200),
        ) {
            let (mut level, mut model, mut now) = (Level::empty(0), Model { tat: 0 }, 0);
            for (pause, cost) in calls {
                now += pause;
                let rate = Take { cost, per_min, burst };
                let next = level.take(rate, now);
                prop_assert_eq!(next.is_some(), model.take(rate, now), "{} {:?}", now, rate);
                level = next.unwrap_or(level);
            }
        }

        /// In any stretch of time no more passes than a full bucket and what flows off meanwhile.
        #[test]
        fn never_lets_more_pass_than_it_says(
            per_min in 1u64..10_000, burst in 1u64..20, pauses in proptest::collection::vec(0u64..500, 1..200),
        ) {
            let (mut level, mut now, mut passed) = (Level::empty(0), 0, Vec::new());
            for pause in pauses {
                now += pause;
                if let Some(next) = level.take(Take { cost: 1, per_min, burst }, now) {
                    level = next;
                    passed.push(now);
                }
            }
            for (first, &from) in passed.iter().enumerate() {
                for (last, &to) in passed.iter().enumerate().skip(first) {
                    let most = u128::from(burst) + u128::from(per_min) * u128::from(to - from) / PARTS;
                    prop_assert!((last - first + 1) as u128 <= most, "from {} to {}", from, to);
                }
            }
        }

        /// Forgetting an empty bucket changes nothing.
        #[test]
        fn may_be_forgotten_when_it_says_so(per_min in 1u64..100_000, cost in 1u64..50, more in 0u64..50) {
            let burst = 50;
            let level = Level::empty(7).take(Take { cost, per_min, burst }, 7).unwrap();
            let then = level.empty_at(per_min).unwrap();
            let rate = Take { cost: more, per_min, burst };
            prop_assert_eq!(level.take(rate, then), Level::empty(then).take(rate, then));
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        let most = Take { cost: u64::MAX, per_min: u64::MAX, burst: u64::MAX };
        let full = Level::empty(0).take(most, u64::MAX).unwrap();
        assert_eq!(full.take(Take { cost: 1, ..most }, u64::MAX), None);
        assert_eq!(full.empty_at(1), Some(u64::MAX));
        assert_eq!(full.empty_at(0), None);
        // A clock that seems to go back refills nothing.
        assert_eq!(full.take(Take { cost: 0, ..most }, 0), Some(full));
    }
}
