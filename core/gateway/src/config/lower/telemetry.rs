//! `telemetry`: where it goes, and under which names.

use super::Lower;
use crate::config::file::{OtlpFile, TelemetryFile, default};
use crate::config::program::{GenAi, Otlp};
use std::time::Duration;

/// A collector that is told more often learns nothing more.
const SHORTEST: Duration = Duration::from_secs(1);

impl Lower<'_> {
    pub(super) fn otlp(&mut self, file: &OtlpFile) -> Option<Otlp> {
        let endpoint = self.value(file.endpoint);
        let headers: Vec<_> =
            file.headers.0.iter().map(|(name, value)| self.header(*name, *value, false)).collect();
        let traces = self.or(file.traces, default::TRACES);
        let sample = self.or(file.sample, default::SAMPLE);
        let metrics = self.or(file.metrics, default::METRICS);
        let interval = self.or(file.interval, default::INTERVAL);
        let logs = self.or(file.logs, default::LOGS);
        if let (Some(at), Some(interval)) = (file.interval, interval)
            && interval < SHORTEST
        {
            self.error(at.id, "is shorter than 1s");
        }
        let interval = interval?;
        Some(Otlp {
            endpoint: endpoint?,
            headers: headers.into_iter().collect::<Option<_>>()?,
            traces: traces?,
            sample: f64::from(sample?) / 10_000.0,
            metrics: metrics?.then_some(interval),
            logs: logs?,
        })
    }

    /// What the file says, else what the environment of OpenTelemetry says.
    pub(super) fn genai(&mut self, file: &TelemetryFile) -> Option<GenAi> {
        match file.genai {
            Some(at) => self.value(at),
            None => Some(
                self.env("OTEL_SEMCONV_STABILITY_OPT_IN").map_or(GenAi::V1_41, |list| GenAi::opted(&list)),
            ),
        }
    }
}
