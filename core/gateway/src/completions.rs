//! Finished exchanges on their way to the policies that want to know of them: queued, batched, off the way of a request.
//! What a policy could not be told, it is told again later.

use crate::snapshot::Snapshot;
use prometheus::IntCounter;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::Instant;
use weir_policy::Summary;
use weir_policy::pipeline::Untold;

/// Summaries that may wait; past that they are dropped and counted.
const QUEUE: usize = 4096;
/// Most summaries of one call.
const BATCH: usize = 256;
/// Summaries that wait to be told again; past that the oldest are dropped and counted.
const SPOOL: usize = 4096;
/// How long they wait before the next try. A policy that fails each time is told no more.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];

/// One finished exchange and the generation that it ran under.
type Finished = (Arc<Snapshot>, Summary);

/// Takes finished exchanges.
pub struct Completions {
    queue: Sender<Finished>,
    dropped: IntCounter,
}

/// Hands them on until it is told to stop and nothing waits any more.
pub struct Worker {
    queue: Receiver<Finished>,
    spool: Spool,
}

/// The two ends of the queue; what nobody was told is counted in `dropped`.
pub fn queue(dropped: IntCounter) -> (Completions, Worker) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let spool = Spool { waiting: VecDeque::new(), dropped: dropped.clone() };
    (Completions { queue: sender, dropped }, Worker { queue, spool })
}

impl Completions {
    /// Queues a summary; never waits.
    pub fn put(&self, snapshot: Arc<Snapshot>, summary: Summary) {
        if self.queue.try_send((snapshot, summary)).is_err() {
            self.dropped.inc();
        }
    }
}

impl Worker {
    /// Tells the policies, batch by batch, of what their own generation served; again what they could not be told, by the
    /// generation that is `live` then. `stop` takes no more and ends when all that waits has been told, or tried.
    pub async fn run(mut self, live: impl Fn() -> Arc<Snapshot>, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut open = true;
        let mut waiting = Vec::with_capacity(BATCH);
        loop {
            let due = self.spool.due();
            let taken = tokio::select! {
                taken = self.queue.recv_many(&mut waiting, BATCH) => taken,
                () = &mut stop, if open => {
                    open = false;
                    self.queue.close();
                    continue;
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.spool.tell(&live(), Instant::now()).await;
                    continue;
                }
            };
            if taken == 0 {
                // The last try of all: there is no later.
                return self.spool.end(&live()).await;
            }
            while let Some((snapshot, _)) = waiting.first() {
                let snapshot = Arc::clone(snapshot);
                let (own, others) =
                    waiting.drain(..).partition::<Vec<_>, _>(|(of, _)| Arc::ptr_eq(of, &snapshot));
                waiting.extend(others);
                let batch: Vec<Summary> = own.into_iter().map(|(_, summary)| summary).collect();
                for untold in snapshot.pipeline.complete(&batch).await {
                    self.spool.keep(untold, 0);
                }
            }
        }
    }
}

/// What policies could not be told yet.
struct Spool {
    waiting: VecDeque<Later>,
    dropped: IntCounter,
}

struct Later {
    untold: Untold,
    /// Times that it was told again, in vain.
    tries: usize,
    due: Instant,
}

impl Spool {
    fn due(&self) -> Option<Instant> {
        self.waiting.iter().map(|later| later.due).min()
    }

    fn keep(&mut self, untold: Untold, tries: usize) {
        let Some(pause) = PAUSES.get(tries) else {
            self.dropped.inc_by(untold.summaries() as u64);
            return;
        };
        self.waiting.push_back(Later { untold, tries, due: Instant::now() + *pause });
        let mut held: usize = self.waiting.iter().map(|later| later.untold.summaries()).sum();
        while held > SPOOL
            && let Some(oldest) = self.waiting.pop_front()
        {
            held -= oldest.untold.summaries();
            self.dropped.inc_by(oldest.untold.summaries() as u64);
        }
    }

    /// Tells again what is due by `now`.
    async fn tell(&mut self, live: &Snapshot, now: Instant) {
        for later in std::mem::take(&mut self.waiting) {
            if later.due > now {
                self.waiting.push_back(later);
            } else if let Some(untold) = live.pipeline.complete_again(later.untold).await {
                self.keep(untold, later.tries + 1);
            }
        }
    }

    async fn end(&mut self, live: &Snapshot) {
        for later in std::mem::take(&mut self.waiting) {
            if let Some(untold) = live.pipeline.complete_again(later.untold).await {
                self.dropped.inc_by(untold.summaries() as u64);
            }
        }
    }
}
