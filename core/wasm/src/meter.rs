//! A call that waits, watched by whoever polls it: CPU time over all threads, and wall time.

use crate::budget::{Excused, Looks, OverCpu, thread_cpu};
use crate::ticker::Ticker;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use weir_policy::{Fault, FaultKind};

/// What a call that never waits answers. `None` if it does wait after all.
pub(crate) fn now<T>(call: impl Future<Output = T>) -> Option<T> {
    let call = std::pin::pin!(call);
    match call.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

/// A call and its limits. Wall time is kept by the tokio runtime, which needs timers. Where there is none (golden cases,
/// in tools and before a load) the host answers at once, and a call that does not wait is bounded by its CPU time.
pub(crate) async fn watched<T>(
    call: impl Future<Output = Result<T, Fault>>,
    ticker: &Ticker,
    excused: Arc<Excused>,
    cpu: Duration,
    wall: Duration,
) -> Result<T, Fault> {
    let (call, looks) = (std::pin::pin!(call), Looks::new(ticker.pace().look()));
    let metered = Metered { call, ticker, excused, cpu, spent: Duration::ZERO, looks, began: false };
    let over = |_| Fault::new(FaultKind::Deadline, "more wall time than wall_ms");
    if tokio::runtime::Handle::try_current().is_err() {
        return metered.await;
    }
    tokio::time::timeout(wall, metered).await.map_err(over)?
}

/// The epoch advances only while the call runs, not while it waits.
struct Metered<'a, F> {
    call: Pin<&'a mut F>,
    ticker: &'a Ticker,
    excused: Arc<Excused>,
    cpu: Duration,
    spent: Duration,
    looks: Looks,
    began: bool,
}

impl<T, F: Future<Output = Result<T, Fault>>> Future for Metered<'_, F> {
    type Output = Result<T, Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let began = std::mem::replace(&mut self.began, true);
        let _running = if began { self.ticker.enter_again() } else { self.ticker.enter() };
        let before = thread_cpu();
        if let Poll::Ready(answer) = self.call.as_mut().poll(context) {
            return Poll::Ready(answer);
        }
        self.spent += thread_cpu().saturating_sub(before);
        let (burnt, cpu) = (self.spent.saturating_sub(self.excused.time()), self.cpu);
        if self.looks.cut(burnt, cpu) {
            return Poll::Ready(Err(Fault::new(FaultKind::Deadline, OverCpu.to_string())));
        }
        Poll::Pending
    }
}
