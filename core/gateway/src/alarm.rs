//! Deadlines for what hardly ever takes that long.
//!
//! To set a timer and to take it back costs more than most of what it watches, so a connection has one that is set once
//! for many waits: it may ring too early, and is set anew then.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// A timer for one wait after another.
#[derive(Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

/// It took too long.
#[derive(Debug, PartialEq, Eq)]
pub struct Late;

impl Alarm {
    /// Waits for work, for so long at most.
    ///
    /// # Errors
    /// It was not done in time.
    pub async fn within<T>(&mut self, patience: Duration, work: impl Future<Output = T>) -> Result<T, Late> {
        let mut work = pin!(work);
        // Much is done when it is asked for, and has no use for a clock.
        let mut until = None;
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            let until = *until.get_or_insert_with(|| Instant::now() + patience);
            let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if sleep.deadline() > until {
                sleep.as_mut().reset(until);
            }
            while sleep.as_mut().poll(cx).is_ready() {
                if Instant::now() >= until {
                    return Poll::Ready(Err(Late));
                }
                sleep.as_mut().reset(until);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::time::sleep;

    /// Far more than any of these takes.
    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn each_wait_has_its_own_time_whatever_the_timer_was_set_for() {
        let mut alarm = Alarm::default();
        for patience in [30, 10, 50, 20].map(Duration::from_millis) {
            assert_eq!(alarm.within(patience, async { 1 }).await, Ok(1));
            assert_eq!(alarm.within(LONG, sleep(patience)).await, Ok(()));
            let since = Instant::now();
            assert_eq!(alarm.within(patience, pending::<()>()).await, Err(Late));
            assert!(since.elapsed() >= patience);
            // It has rung, or is set for a time before this one.
            assert_eq!(alarm.within(LONG, sleep(patience * 2)).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn a_wait_that_is_dropped_leaves_the_timer_to_the_next() {
        let mut alarm = Alarm::default();
        let short = Duration::from_millis(10);
        tokio::select! {
            biased;
            _ = alarm.within(LONG, pending::<()>()) => unreachable!("nothing is done"),
            () = sleep(short) => {}
        }
        assert_eq!(alarm.within(short, pending::<()>()).await, Err(Late));
    }
}
