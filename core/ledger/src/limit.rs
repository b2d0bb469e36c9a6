//! Requests per minute by GCRA: one atomic per key, no lock, no allocation.
//!
//! A key may spend a minute's worth at once and earns it back evenly. Invariant: of any requests admitted within
//! `t` minutes there are at most `rpm · (1 + t)`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const MINUTE_NS: u64 = 60_000_000_000;

/// The limiter of one key.
#[derive(Debug)]
pub(crate) struct Limiter {
    rpm: u32,
    origin: Instant,
    /// Theoretical arrival time: nanoseconds after `origin` at which the whole burst is free again.
    free_at: AtomicU64,
}

/// The key's requests per minute are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("rate limit of {limit} requests per minute reached; retry in {retry_after_ms} ms")]
pub struct RateLimited {
    /// Until the next request will be admitted.
    pub retry_after_ms: u64,
    /// Requests per minute.
    pub limit: u32,
    /// How many requests would be admitted now: always 0 here, named for the reply's headers.
    pub remaining: u32,
}

impl Limiter {
    pub(crate) fn new(rpm: u32, origin: Instant) -> Self {
        Self { rpm, origin, free_at: AtomicU64::new(0) }
    }

    pub(crate) fn admit(&self, now: Instant) -> Result<(), RateLimited> {
        if self.rpm == 0 {
            return Err(RateLimited { retry_after_ms: 60_000, limit: 0, remaining: 0 });
        }
        let now = nanos(now.saturating_duration_since(self.origin));
        let step = MINUTE_NS / u64::from(self.rpm);
        let mut free_at = self.free_at.load(Ordering::Relaxed);
        loop {
            let next = free_at.max(now) + step;
            if next - now > MINUTE_NS {
                let wait = (next - now - MINUTE_NS).div_ceil(1_000_000);
                return Err(RateLimited { retry_after_ms: wait, limit: self.rpm, remaining: 0 });
            }
            match self.free_at.compare_exchange_weak(free_at, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(seen) => free_at = seen,
            }
        }
    }

    /// How many requests would be admitted now.
    pub(crate) fn remaining(&self, now: Instant) -> u32 {
        if self.rpm == 0 {
            return 0;
        }
        let now = nanos(now.saturating_duration_since(self.origin));
        let used = self.free_at.load(Ordering::Relaxed).saturating_sub(now);
        let step = MINUTE_NS / u64::from(self.rpm);
        u32::try_from(MINUTE_NS.saturating_sub(used) / step).unwrap_or(u32::MAX).min(self.rpm)
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_minutes_worth_at_once_then_one_per_step() {
        let origin = Instant::now();
        let limiter = Limiter::new(6, origin);
        for left in (0..6).rev() {
            limiter.admit(origin).unwrap();
            assert_eq!(limiter.remaining(origin), left);
        }
        let refused = limiter.admit(origin).unwrap_err();
        assert_eq!(refused, RateLimited { retry_after_ms: 10_000, limit: 6, remaining: 0 });
        limiter.admit(origin + Duration::from_secs(10)).unwrap();
        limiter.admit(origin + Duration::from_secs(10)).unwrap_err();
    }

    #[test]
    fn threads_together_get_no_more_than_one_would() {
        let origin = Instant::now();
        let limiter = Limiter::new(100, origin);
        let admitted: usize = std::thread::scope(|scope| {
            let run = || (0..100).filter(|_| limiter.admit(origin).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 100);
    }

    proptest! {
        #[test]
        fn no_window_holds_more_than_its_share(rpm in 1..500_u32, gaps in prop::collection::vec(0..2_000_u64, 1..400)) {
            let origin = Instant::now();
            let limiter = Limiter::new(rpm, origin);
            let mut at = 0;
            let mut admitted = Vec::new();
            for gap in gaps {
                at += gap;
                let now = origin + Duration::from_millis(at);
                match limiter.admit(now) {
                    Ok(()) => admitted.push(at),
                    Err(refused) => {
                        // What it promises it keeps, and not much sooner.
                        let probe = Limiter { free_at: AtomicU64::new(limiter.free_at.load(Ordering::Relaxed)), ..Limiter::new(rpm, origin) };
                        let wait = Duration::from_millis(refused.retry_after_ms);
                        prop_assert!(probe.admit(now + wait - Duration::from_millis(1)).is_err());
                        prop_assert!(probe.admit(now + wait).is_ok());
                    }
                }
            }
            for (i, from) in admitted.iter().enumerate() {
                for (j, to) in admitted.iter().enumerate().skip(i) {
                    let allowed = f64::from(rpm) * (1.0 + (to - from) as f64 / 60_000.0) + 1e-6;
                    prop_assert!((j - i + 1) as f64 <= allowed);
                }
            }
        }
    }
}
