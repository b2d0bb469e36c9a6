//! How long the chunks of one stream come after each other, gathered where the stream is read and counted when it is over.

use super::genai::SECONDS;
use prometheus::Histogram;
use std::time::{Duration, Instant};

/// One for each bound, and one for what is longer than all.
const CELLS: usize = SECONDS.len() + 1;

/// Times between the chunks of a stream. What arrives in one read is one chunk.
#[derive(Debug, Clone)]
pub struct Gaps {
    last: Instant,
    cells: [(u32, Duration); CELLS],
}

impl Gaps {
    /// The first chunk has come.
    #[must_use]
    pub fn begin(now: Instant) -> Self {
        Self { last: now, cells: [(0, Duration::ZERO); CELLS] }
    }

    /// Another has come.
    pub fn chunk(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.last);
        self.last = now;
        let seconds = gap.as_secs_f64();
        let cell = SECONDS.partition_point(|bound| *bound < seconds);
        let (count, sum) = &mut self.cells[cell];
        *count = count.saturating_add(1);
        *sum = sum.saturating_add(gap);
    }

    /// Counts them all. Within a bucket each counts as their mean, so buckets and sum are exact.
    pub(super) fn count(&self, to: &Histogram) {
        let local = to.local();
        for (count, sum) in self.cells.iter().filter(|(count, _)| *count > 0) {
            let mean = sum.as_secs_f64() / f64::from(*count);
            (0..*count).for_each(|_| local.observe(mean));
        }
        local.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::HistogramOpts;
    use prometheus::core::Collector;

    #[test]
    fn gaps_fall_into_the_buckets_that_they_are_of_and_their_sum_is_kept() {
        let histogram = Histogram::with_opts(HistogramOpts::new("h", "h").buckets(SECONDS.to_vec())).unwrap();
        let began = Instant::now();
        let mut gaps = Gaps::begin(began);
        let mut now = began;
        for ms in [5, 10, 15, 15, 700, 100_000] {
            now += Duration::from_millis(ms);
            gaps.chunk(now);
        }
        gaps.chunk(began);
        gaps.count(&histogram);
        let family = histogram.collect().remove(0);
        let counted = family.get_metric()[0].get_histogram();
        let below = |bound: f64| {
            let bucket =
                counted.get_bucket().iter().find(|bucket| (bucket.upper_bound() - bound).abs() < 1e-9);
            bucket.unwrap().cumulative_count()
        };
        assert_eq!((below(0.01), below(0.02), below(0.64), below(1.28), below(81.92)), (3, 5, 5, 6, 6));
        assert_eq!(counted.get_sample_count(), 7);
        assert!((counted.get_sample_sum() - 100.745).abs() < 1e-6, "{}", counted.get_sample_sum());
    }
}
