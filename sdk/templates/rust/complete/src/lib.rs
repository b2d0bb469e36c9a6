//! Counts exchanges by how they ended, and what was charged.

use weir_sdk::{Complete, Config, Plugin, RequestOutcome, Summary, telemetry};

/// The plugin.
pub struct Count;

impl Plugin for Count {
    fn configure(_: Config<'_>) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Complete for Count {
    fn complete(&self, batch: &[Summary]) {
        let mut counted: Vec<(&str, u64)> = Vec::new();
        for summary in batch {
            let name = name(summary.outcome);
            match counted.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => counted.push((name, 1)),
            }
        }
        for (name, count) in counted {
            telemetry::counter("exchanges", count, &[("outcome", name)]);
        }
        let charged = batch.iter().map(|summary| summary.charged.unsigned_abs()).sum();
        telemetry::counter("charged_nanos", charged, &[]);
    }
}

const fn name(outcome: RequestOutcome) -> &'static str {
    match outcome {
        RequestOutcome::Ok => "ok",
        RequestOutcome::CacheHit => "cache-hit",
        RequestOutcome::Refused => "refused",
        RequestOutcome::Failed => "failed",
        RequestOutcome::UpstreamCut => "upstream-cut",
        RequestOutcome::ClientAbort => "client-abort",
    }
}

weir_sdk::export!(Count: complete);

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing;

    #[test]
    fn a_batch_is_counted_together() {
        Count.complete(&[testing::summary(), testing::summary()]);
        assert_eq!(testing::records().len(), 2);
    }
}
