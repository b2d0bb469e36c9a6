//! Who listens to a stream: the caller, until it leaves; then, where the provider bills all of it anyway, only the ledger.

use crate::config::DrainBounds;
use crate::telemetry::metrics::Metrics;
use std::pin::Pin;
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// Who listens to a stream.
pub struct Ear<'m> {
    /// Whether the caller is told.
    pub aloud: bool,
    /// Whether it has left.
    pub gone: bool,
    /// For how long what was written waited for it.
    pub waited: Duration,
    /// Bytes of the stream that were recorded.
    pub recorded: usize,
    /// How far the stream is read then.
    drain: Option<DrainBounds>,
    /// Bytes that may still come.
    left: u64,
    metrics: &'m Metrics,
}

impl<'m> Ear<'m> {
    /// The caller is there; `aloud`: it is told.
    pub const fn new(aloud: bool, drain: Option<DrainBounds>, metrics: &'m Metrics) -> Self {
        Self { aloud, gone: false, waited: Duration::ZERO, recorded: 0, drain, left: 0, metrics }
    }

    /// Whether the caller is there and is told nothing yet.
    pub const fn collects(&self) -> bool {
        !(self.aloud || self.gone)
    }

    /// The caller has left; whether the rest is read. `late` is when that ends, `until` when it would have ended anyway.
    pub fn stay(&mut self, late: &mut Pin<&mut Sleep>, until: Instant) -> bool {
        let Some(DrainBounds { max, bytes }) = self.drain else { return false };
        if !self.gone {
            (self.gone, self.aloud, self.left) = (true, false, bytes);
            self.metrics.drained.with_label_values(&["begun"]).inc();
            late.as_mut().reset((Instant::now() + max).min(until).into());
        }
        true
    }

    /// So many bytes have come; whether they may.
    pub fn hears(&mut self, bytes: usize) -> bool {
        if !self.gone {
            return true;
        }
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}
