//! What policies tell operators: log lines, counters and histograms.
//!
//! Nothing here waits, and nothing grows without end: a policy has so many series and so many log lines a second, and what
//! goes beyond is dropped and counted.

mod series;

#[cfg(test)]
mod tests;

use super::by_policy::ByPolicy;
use super::kv::Rate;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, IntCounterVec, Opts, Registry};
use series::{Kind, Series};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use weir_policy::services::{Level, Origin};

/// Log lines of a policy: so many a second,
const LINES_PER_MIN: u64 = 100 * 60;
/// and so many at once.
const LINES_AT_ONCE: u64 = 500;
/// Longest message, in bytes.
const MAX_MESSAGE: usize = 1 << 10;
/// Most fields of a line, and the longest value of one.
const MAX_FIELDS: usize = 16;
const MAX_VALUE: usize = 256;

/// The log and the metrics of policies.
#[derive(Clone)]
pub struct Records(Arc<Inner>);

struct Inner {
    policies: ByPolicy<Policy>,
    dropped_series: IntCounterVec,
    dropped: IntCounterVec,
}

/// What one policy has recorded.
#[derive(Default)]
struct Policy {
    series: Series,
    lines: Rate,
}

impl Records {
    /// Nothing recorded yet; shown by `registry`.
    ///
    /// # Errors
    /// The registry has families of these names.
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        let family = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, Error>(family)
        };
        let records = Self(Arc::new(Inner {
            policies: ByPolicy::default(),
            dropped_series: family(
                "weir_policy_series_dropped_total",
                "Counts and observations of policies that had used up their series.",
                &["policy"],
            )?,
            dropped: family(
                "weir_policy_records_dropped_total",
                "Records of policies with unusable names or values, or too many at once.",
                &["policy", "reason"],
            )?,
        }));
        registry.register(Box::new(Shown::new(&records)?))?;
        Ok(records)
    }

    /// Writes a log line; `now` is in milliseconds of a clock that never goes back.
    pub fn log(&self, origin: &Origin, level: Level, message: &str, fields: &[(String, String)], now: u64) {
        let (policy, request_id) = (&*origin.policy, &*origin.request_id);
        macro_rules! say {
            ($level:ident) => {
                // What is not written does not count.
                if tracing::enabled!(target: "weir::policy", tracing::Level::$level) {
                    if !self.policy(origin).lines.take(LINES_PER_MIN, LINES_AT_ONCE, now) {
                        return self.lose(origin, "rate");
                    }
                    let (said, fields) = (cut(message, MAX_MESSAGE), json(fields));
                    tracing::event!(
                        target: "weir::policy", tracing::Level::$level, policy, request_id, said, fields, "a policy says"
                    );
                }
            };
        }
        match level {
            Level::Trace => say!(TRACE),
            Level::Debug => say!(DEBUG),
            Level::Info => say!(INFO),
            Level::Warn => say!(WARN),
            Level::Error => say!(ERROR),
        }
    }

    /// Counts.
    pub fn count(&self, origin: &Origin, name: &str, by: u64, labels: &[(String, String)]) {
        self.add(origin, Kind::Counter, name, labels, |series| series.count(by));
    }

    /// Observes a value of a histogram.
    pub fn observe(&self, origin: &Origin, name: &str, value: f64, labels: &[(String, String)]) {
        if !value.is_finite() {
            return self.lose(origin, "invalid");
        }
        self.add(origin, Kind::Histogram, name, labels, |series| series.observe(value));
    }

    fn add(
        &self,
        origin: &Origin,
        kind: Kind,
        name: &str,
        labels: &[(String, String)],
        act: impl FnOnce(&series::One),
    ) {
        match self.policy(origin).series.with(&origin.policy, kind, name, labels, act) {
            Ok(()) => {}
            Err(series::Dropped::Full) => self.0.dropped_series.with_label_values(&[&*origin.policy]).inc(),
            Err(series::Dropped::Invalid) => self.lose(origin, "invalid"),
        }
    }

    fn policy(&self, origin: &Origin) -> Arc<Policy> {
        self.0.policies.of(&origin.policy, Policy::default)
    }

    fn lose(&self, origin: &Origin, reason: &str) {
        self.0.dropped.with_label_values(&[&*origin.policy, reason]).inc();
    }
}

/// A beginning of at most so many bytes that ends with a character.
pub(super) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Fields as a JSON object: `tracing` wants to know names when it is compiled.
fn json(fields: &[(String, String)]) -> String {
    let mut out = String::from("{");
    for (name, value) in fields.iter().take(MAX_FIELDS) {
        let comma = if out.len() > 1 { "," } else { "" };
        let (name, value) = (cut(name, MAX_VALUE), cut(value, MAX_VALUE));
        // Writing to a string does not fail.
        let _ = write!(out, "{comma}{}:{}", serde_json::json!(name), serde_json::json!(value));
    }
    out.push('}');
    out
}

/// Shows the series of all policies in two families.
struct Shown {
    records: Records,
    desc: Vec<Desc>,
}

impl Shown {
    fn new(records: &Records) -> Result<Self, Error> {
        let describe = |kind: Kind| {
            let labels = vec!["policy".to_owned(), "name".to_owned()];
            Desc::new(kind.family().to_owned(), kind.help().to_owned(), labels, HashMap::new())
        };
        let desc = Kind::ALL.into_iter().map(describe).collect::<Result<_, _>>()?;
        Ok(Self { records: records.clone(), desc })
    }
}

impl Collector for Shown {
    fn desc(&self) -> Vec<&Desc> {
        self.desc.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let policies = self.records.0.policies.all();
        let family = |kind| {
            let shown = policies.values().map(|policy| policy.series.family(kind));
            shown.reduce(|mut all, mut one| {
                all.mut_metric().append(one.mut_metric());
                all
            })
        };
        Kind::ALL.into_iter().filter_map(family).filter(|family| !family.get_metric().is_empty()).collect()
    }
}
