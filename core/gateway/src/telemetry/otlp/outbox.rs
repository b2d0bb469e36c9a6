//! What waits to be sent: a bounded queue of facts, out of which the sender's thread makes spans and log records. Whoever
//! fills it never waits; what finds no room is counted and gone.

use super::sender::Stop;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::Exchange;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::SystemTime;
use tracing::Level;

/// Exchanges and lines that may wait.
pub(super) const WAITING_MAX: usize = 8192;

/// What the sender gets.
pub(super) enum Item {
    /// An exchange that is over.
    Exchange(Box<Exchange>),
    /// A line of the process log.
    Line(Line),
    /// Send what there is, then say so.
    Flush(SyncSender<()>),
    /// Send what there is, then end.
    Stop,
}

/// A line of the process log.
pub(super) struct Line {
    pub(super) at: SystemTime,
    pub(super) level: Level,
    /// JSON, as it stands in the log.
    pub(super) text: Vec<u8>,
}

/// Which signals are made of what comes in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wants {
    /// Spans of exchanges whose trace is recorded.
    pub(super) spans: bool,
    /// The access line of every exchange.
    pub(super) access: bool,
    /// Lines of the process log.
    pub(super) lines: bool,
}

/// The way in; a cheap clone.
#[derive(Clone)]
pub struct Outbox {
    items: SyncSender<Item>,
    wants: Wants,
    metrics: Arc<Metrics>,
    pub(super) stop: Arc<Stop>,
}

impl Outbox {
    pub(super) fn new(wants: Wants, metrics: &Arc<Metrics>) -> (Self, Receiver<Item>) {
        let (items, taken) = sync_channel(WAITING_MAX);
        (Self { items, wants, metrics: Arc::clone(metrics), stop: Arc::default() }, taken)
    }

    /// Queues an exchange, if anything is to be made of it.
    pub fn exchange(&self, exchange: Exchange) {
        let spans =
            if self.wants.spans && exchange.trace.recorded { super::spans::count(&exchange) } else { 0 };
        let lines = usize::from(self.wants.access);
        if spans + lines > 0 && !self.put(Item::Exchange(Box::new(exchange))) {
            self.metrics.otlp.dropped("traces", "queue", spans);
            self.metrics.otlp.dropped("logs", "queue", lines);
        }
    }

    /// Queues a line of the process log. What the sender itself has to say stays at home, or each failure to send would
    /// be something more to send.
    pub fn line(&self, level: Level, target: &str, text: &[u8]) {
        if !self.wants.lines || level > Level::WARN || target.starts_with("weir::telemetry::otlp") {
            return;
        }
        let text = text.strip_suffix(b"\n").unwrap_or(text).to_vec();
        if !self.put(Item::Line(Line { at: SystemTime::now(), level, text })) {
            self.metrics.otlp.dropped("logs", "queue", 1);
        }
    }

    fn put(&self, item: Item) -> bool {
        let room = self.items.try_send(item).is_ok();
        if room {
            self.metrics.otlp.queue.inc();
        }
        room
    }

    /// Returns when all that waits has been sent or given up.
    pub(super) fn flush(&self) {
        let (done, told) = sync_channel(1);
        if self.items.send(Item::Flush(done)).is_ok() {
            // A sender that has ended meanwhile has nothing left to send.
            told.recv().ok();
        }
    }

    /// Makes the sender send what there is and end, in a hurry.
    pub(super) fn stop(&self) {
        self.stop.now();
        // It may have ended already.
        self.items.send(Item::Stop).ok();
    }
}
