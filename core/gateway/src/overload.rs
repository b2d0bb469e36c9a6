//! Load that is refused before any work is done for it: so much is under way, or the machine cannot keep up.
//!
//! A count says what Weir was allowed, not what the machine can do today. So a ticker looks how late it is woken: what
//! waits for a worker waits as long as it does. One late tick is a hiccup; a second of nothing else is a machine that has
//! more to do than it can, and then answering fewer callers answers more of them in time.

use crate::drain::Guest;
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the ticker is woken.
const TICK: Duration = Duration::from_millis(10);
/// For how long every tick has to be late.
const LONG: Duration = Duration::from_secs(1);

/// How late the runtime runs.
#[derive(Debug, Default)]
pub struct Pressure {
    /// The latest tick since it was asked for last, in microseconds.
    worst: AtomicU64,
    too_late: AtomicBool,
}

impl Pressure {
    /// Whether ticks have been too late for too long.
    pub fn is_high(&self) -> bool {
        self.too_late.load(Ordering::Relaxed)
    }

    /// The latest tick since this was called last.
    pub fn take_worst(&self) -> Duration {
        Duration::from_micros(self.worst.swap(0, Ordering::Relaxed))
    }

    fn note(&self, late: Duration, too_late: bool) {
        self.worst.fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.too_late.store(too_late, Ordering::Relaxed);
    }
}

/// Watches how late a gateway's runtime runs, until it is aborted.
pub async fn watch(gateway: Arc<Gateway>) {
    let mut late = Late::default();
    loop {
        let due = Instant::now() + TICK;
        tokio::time::sleep_until(due.into()).await;
        let now = Instant::now();
        let lag = now.saturating_duration_since(due);
        let most = gateway.snapshot.load().config.server.limits.lag;
        gateway.pressure.note(lag, late.seen(now, lag, most));
    }
}

/// Since when every tick has been late.
#[derive(Debug, Default)]
struct Late(Option<Instant>);

impl Late {
    /// One tick; whether they have been too late for long.
    fn seen(&mut self, now: Instant, lag: Duration, most: Duration) -> bool {
        if lag <= most {
            self.0 = None;
            return false;
        }
        // A tick that is late says that the runtime has been for all that time.
        let since = *self.0.get_or_insert_with(|| now.checked_sub(lag).unwrap_or(now));
        now.saturating_duration_since(since) >= LONG + most
    }
}

impl Gateway {
    /// Counts an exchange in, before anything of it has been looked at but its head.
    ///
    /// # Errors
    /// 503: as much is under way as may be, or the machine cannot keep up.
    pub fn enter(&self) -> Result<Guest<'_>, Refusal> {
        if self.pressure.is_high() {
            return Err(
                Refusal::busy("overloaded", "The gateway has more to do than it can.", 1000).shed("lag")
            );
        }
        self.drain.enter().ok_or_else(|| {
            Refusal::busy("overloaded", "The gateway has as many requests under way as it may.", 1000)
                .shed("in_flight")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lateness_that_lasts_counts() {
        let (start, most) = (Instant::now(), Duration::from_millis(200));
        let at = |ms: u64| start + Duration::from_millis(ms);
        let lag = Duration::from_millis;
        let mut late = Late::default();
        assert!(!late.seen(at(5_000), lag(900), most), "one hiccup, however long");
        assert!(!late.seen(at(5_200), lag(250), most));
        assert!(late.seen(at(5_400), lag(250), most), "late since 4,100");
        assert!(!late.seen(at(5_700), lag(90), most), "over at once");
        assert!(!late.seen(at(6_000), lag(250), most));
    }

    #[test]
    fn the_worst_is_told_once() {
        let pressure = Pressure::default();
        pressure.note(Duration::from_millis(3), false);
        pressure.note(Duration::from_millis(2), true);
        assert_eq!(pressure.take_worst(), Duration::from_millis(3));
        assert_eq!((pressure.take_worst(), pressure.is_high()), (Duration::ZERO, true));
    }
}
