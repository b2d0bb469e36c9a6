//! Exemplars: for each bucket of a latency histogram the last recorded trace that fell into it.
//!
//! Only exchanges whose trace is recorded leave one, and none of them waits to: where another is writing, it goes without.

use super::record::Exchange;
use prometheus::Histogram;
use prometheus::proto::Metric;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Where something was seen: the span that a reader may look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The trace.
    pub trace_id: u128,
    /// The span.
    pub span_id: u64,
    /// When it was over.
    pub at: SystemTime,
}

impl Seen {
    /// The span of an exchange, if it is recorded.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Option<Self> {
        let at = exchange.started_at + exchange.total;
        let trace = &exchange.trace;
        trace.recorded.then_some(Self { trace_id: trace.trace_id, span_id: trace.span_id, at })
    }
}

/// One exemplar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// What was measured, in seconds.
    pub value: f64,
    /// Where.
    pub seen: Seen,
}

/// The exemplars of one series, by bucket; the last is that of `+Inf`.
#[derive(Debug)]
pub struct Marks {
    bounds: &'static [f64],
    latest: Mutex<Box<[Option<Mark>]>>,
}

impl Marks {
    fn note(&self, mark: Mark) {
        let bucket = self.bounds.iter().position(|bound| mark.value <= *bound).unwrap_or(self.bounds.len());
        if let Ok(mut latest) = self.latest.try_lock() {
            latest[bucket] = Some(mark);
        }
    }
}

/// A histogram with its exemplars.
pub struct Timed {
    histogram: Histogram,
    marks: Arc<Marks>,
}

impl Timed {
    /// Counts a duration, and remembers where it was seen.
    pub fn observe(&self, took: Duration, seen: Option<Seen>) {
        let value = took.as_secs_f64();
        self.histogram.observe(value);
        if let Some(seen) = seen {
            self.marks.note(Mark { value, seen });
        }
    }
}

/// The exemplars of all series, by family and labels: those of an alias outlive its generation, as its counts do.
#[derive(Debug, Default)]
pub struct Exemplars(Mutex<HashMap<String, Arc<Marks>>>);

impl Exemplars {
    /// A histogram of a family with these labels, together with its exemplars.
    #[must_use]
    pub fn timed(
        &self,
        family: &str,
        labels: &[(&str, &str)],
        bounds: &'static [f64],
        histogram: Histogram,
    ) -> Timed {
        let latest = || Mutex::new(vec![None; bounds.len() + 1].into());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = all.entry(key(family, labels.iter().copied()));
        let marks = marks.or_insert_with(|| Arc::new(Marks { bounds, latest: latest() }));
        Timed { histogram, marks: Arc::clone(marks) }
    }

    /// The exemplars of a series as the registry gives it, by bucket; empty if it has none.
    #[must_use]
    pub fn find(&self, family: &str, metric: &Metric) -> Vec<Option<Mark>> {
        let labels = metric.get_label().iter().map(|label| (label.name(), label.value()));
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(&key(family, labels));
        found
            .map(|marks| marks.latest.lock().unwrap_or_else(PoisonError::into_inner).to_vec())
            .unwrap_or_default()
    }
}

/// Labels in the order in which the registry has them.
fn key<'a>(family: &str, labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut labels: Vec<_> = labels.collect();
    labels.sort_unstable();
    labels.into_iter().fold(family.to_owned(), |key, (name, value)| key + "\0" + name + "\0" + value)
}
