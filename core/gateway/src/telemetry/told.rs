//! A histogram that somebody else keeps, and that is only shown here.

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, Metric, MetricFamily, MetricType};
use prometheus::{Error, Opts};
use std::sync::{Arc, Mutex, PoisonError};

/// Shows what it was last told.
#[derive(Clone)]
pub struct Told(Arc<Shown>);

struct Shown {
    name: String,
    help: String,
    desc: Desc,
    histogram: Mutex<Histogram>,
}

impl Told {
    pub(super) fn new(opts: Opts) -> Result<Self, Error> {
        use prometheus::core::Describer;
        let desc = opts.describe()?;
        Ok(Self(Arc::new(Shown { name: opts.name, help: opts.help, desc, histogram: Mutex::default() })))
    }

    /// Counts by bucket, the last one being beyond every bound, and the sum of all that was measured.
    pub fn set(&self, bounds: &[f64], counts: &[u64], sum: f64) {
        let mut histogram = Histogram::default();
        let mut total = 0;
        let buckets = bounds.iter().zip(counts).map(|(bound, count)| {
            total += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(total);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(counts.iter().sum());
        histogram.set_sample_sum(sum);
        *self.0.histogram.lock().unwrap_or_else(PoisonError::into_inner) = histogram;
    }
}

impl Collector for Told {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut metric = Metric::default();
        metric.set_histogram(self.0.histogram.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let mut family = MetricFamily::default();
        family.set_name(self.0.name.clone());
        family.set_help(self.0.help.clone());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(vec![metric]);
        vec![family]
    }
}
