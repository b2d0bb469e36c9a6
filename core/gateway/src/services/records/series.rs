//! Counters and histograms of one policy, by name and labels.

use prometheus::core::Collector;
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Histogram, HistogramOpts, IntCounter, Opts};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};

/// Series that a policy may have.
const MAX_SERIES: usize = 256;
/// Longest name of a metric or label, and of a label's value.
const MAX_NAME: usize = 64;
/// Most labels of a series.
const MAX_LABELS: usize = 4;

/// The host does not know what is observed: three steps a decade, from a thousandth to a hundred thousand.
const BUCKETS: [f64; 25] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0,
    500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0, 100_000.0,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Counter,
    Histogram,
}

/// Why nothing was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dropped {
    /// There is no room for another series.
    Full,
    /// A name or value that no metric can have.
    Invalid,
}

/// All of them.
#[derive(Default)]
pub(super) struct Series {
    by_key: RwLock<HashMap<(Kind, String), One>>,
    made: AtomicUsize,
}

pub(super) enum One {
    Counter(IntCounter),
    Histogram(Histogram),
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Counter, Self::Histogram];

    pub(super) const fn family(self) -> &'static str {
        match self {
            Self::Counter => "weir_policy_custom_total",
            Self::Histogram => "weir_policy_custom",
        }
    }

    const fn shape(self) -> MetricType {
        match self {
            Self::Counter => MetricType::COUNTER,
            Self::Histogram => MetricType::HISTOGRAM,
        }
    }

    pub(super) const fn help(self) -> &'static str {
        match self {
            Self::Counter => "What policies count, by their own names and labels.",
            Self::Histogram => "What policies observe, by their own names and labels.",
        }
    }
}

impl Series {
    /// Runs `act` on a series; made if there is room for it.
    pub(super) fn with(
        &self,
        policy: &str,
        kind: Kind,
        name: &str,
        labels: &[(String, String)],
        act: impl FnOnce(&One),
    ) -> Result<(), Dropped> {
        let key = (kind, key(name, labels)?);
        if let Some(one) = self.by_key.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            act(one);
            return Ok(());
        }
        // A policy that keeps inventing labels does not get to lock out those that count.
        if self.made.load(Relaxed) >= MAX_SERIES {
            return Err(Dropped::Full);
        }
        let mut series = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        if series.len() >= MAX_SERIES && !series.contains_key(&key) {
            return Err(Dropped::Full);
        }
        let one = One::new(policy, kind, name, labels).ok_or(Dropped::Invalid)?;
        act(series.entry(key).or_insert(one));
        self.made.store(series.len(), Relaxed);
        Ok(())
    }

    /// The series of one kind, as one family.
    pub(super) fn family(&self, kind: Kind) -> MetricFamily {
        let series = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        let mut metrics = Vec::new();
        let mut shown = MetricFamily::default();
        for one in series.iter().filter(|((of, _), _)| *of == kind).map(|(_, one)| one) {
            for mut family in one.collect() {
                metrics.append(family.mut_metric());
            }
        }
        shown.set_field_type(kind.shape());
        shown.set_name(kind.family().to_owned());
        shown.set_help(kind.help().to_owned());
        shown.set_metric(metrics);
        shown
    }
}

impl One {
    pub(super) fn count(&self, by: u64) {
        if let Self::Counter(counter) = self {
            counter.inc_by(by);
        }
    }

    pub(super) fn observe(&self, value: f64) {
        if let Self::Histogram(histogram) = self {
            histogram.observe(value);
        }
    }

    fn new(policy: &str, kind: Kind, name: &str, labels: &[(String, String)]) -> Option<Self> {
        let own = [("policy".to_owned(), policy.to_owned()), ("name".to_owned(), name.to_owned())];
        let opts = Opts::new(kind.family(), kind.help())
            .const_labels(own.into_iter().chain(labels.to_vec()).collect());
        match kind {
            Kind::Counter => IntCounter::with_opts(opts).ok().map(Self::Counter),
            Kind::Histogram => {
                let opts = HistogramOpts { common_opts: opts, buckets: BUCKETS.to_vec() };
                Histogram::with_opts(opts).ok().map(Self::Histogram)
            }
        }
    }

    fn collect(&self) -> Vec<MetricFamily> {
        match self {
            Self::Counter(counter) => counter.collect(),
            Self::Histogram(histogram) => histogram.collect(),
        }
    }
}

/// What tells series apart, whatever the order of their labels. Control characters are in no name and no value.
fn key(name: &str, labels: &[(String, String)]) -> Result<String, Dropped> {
    let mut sorted: Vec<_> = labels.iter().collect();
    sorted.sort_unstable();
    let repeated = sorted.windows(2).any(|pair| pair[0].0 == pair[1].0);
    if labels.len() > MAX_LABELS || repeated || !is_name(name) {
        return Err(Dropped::Invalid);
    }
    let mut key = name.to_owned();
    for (label, value) in sorted {
        let plain = value.len() <= MAX_NAME && !value.chars().any(char::is_control);
        let ours = matches!(label.as_str(), "policy" | "name" | "le") || label.starts_with("__");
        if !plain || ours || !is_name(label) {
            return Err(Dropped::Invalid);
        }
        for part in ["\n", label, "=", value] {
            key.push_str(part);
        }
    }
    Ok(key)
}

/// What Prometheus takes without quotes, in lower case.
fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    begins && name.len() <= MAX_NAME && name.chars().all(plain)
}
