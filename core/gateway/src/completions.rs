//! Finished exchanges on their way to the policies that want to know of them: queued, batched, off the way of a request.

use crate::snapshot::Snapshot;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::{self, Receiver, Sender};
use weir_policy::Summary;

/// Summaries that may wait; past that they are dropped and counted.
const QUEUE: usize = 4096;
/// Most summaries of one call.
const BATCH: usize = 256;

/// One finished exchange and the generation that it ran under.
type Finished = (Arc<Snapshot>, Summary);

/// Takes finished exchanges.
pub struct Completions {
    queue: Sender<Finished>,
    dropped: AtomicU64,
}

/// Hands them on until it is told to stop and nothing waits any more.
pub struct Worker(Receiver<Finished>);

/// The two ends of the queue.
pub fn queue() -> (Completions, Worker) {
    let (queue, taken) = mpsc::channel(QUEUE);
    (Completions { queue, dropped: AtomicU64::new(0) }, Worker(taken))
}

impl Completions {
    /// Queues a summary; never waits.
    pub fn put(&self, snapshot: Arc<Snapshot>, summary: Summary) {
        if self.queue.try_send((snapshot, summary)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Summaries that found the queue full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Worker {
    /// Tells the policies, batch by batch, of what their own generation served. `stop` takes no more and ends when the
    /// last batch has been told.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut open = true;
        let mut waiting = Vec::with_capacity(BATCH);
        loop {
            let taken = tokio::select! {
                taken = self.0.recv_many(&mut waiting, BATCH) => taken,
                () = &mut stop, if open => {
                    open = false;
                    self.0.close();
                    continue;
                }
            };
            if taken == 0 {
                return;
            }
            while let Some((snapshot, _)) = waiting.first() {
                let snapshot = Arc::clone(snapshot);
                let (own, others) =
                    waiting.drain(..).partition::<Vec<_>, _>(|(of, _)| Arc::ptr_eq(of, &snapshot));
                waiting.extend(others);
                let batch: Vec<Summary> = own.into_iter().map(|(_, summary)| summary).collect();
                snapshot.pipeline.complete(&batch).await;
            }
        }
    }
}
