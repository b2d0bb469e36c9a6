//! What the gateway tells of itself: metrics, the access and process logs, traces, and the live facts of targets.
//!
//! An exchange is recorded once, by value, when it is over ([`Telemetry::record`]): counters by index, one log line
//! formatted by hand; if there is a collector, the record itself goes to the thread that makes spans of it. Writing and
//! sending happen on threads of their own; no request waits for them.
//!
//! # Layout
//!
//! - [`record`]: what telemetry learns of a finished exchange.
//! - [`metrics`]: the Prometheus registry and the text of `/metrics`; `openmetrics`: its text with [`exemplars`].
//! - [`meters`]: metric handles of one generation, by alias and target.
//! - [`policies`]: metrics of policy calls.
//! - [`genai`]: the figures and names of OpenTelemetry's conventions for generative AI; [`gaps`]: between chunks.
//! - `system`: what the operating system says; [`told`]: figures that others keep.
//! - [`access`]: the access log line.
//! - [`process`]: the process log.
//! - [`sink`]: where log lines go.
//! - [`trace`]: W3C trace context.
//! - [`otlp`]: spans, metrics and log lines, sent to a collector.
//! - [`live`]: live facts of targets and their breakers.

pub mod access;
pub mod exemplars;
pub mod gaps;
pub mod genai;
pub mod live;
pub mod meters;
pub mod metrics;
mod openmetrics;
pub mod otlp;
pub mod policies;
pub mod process;
pub mod record;
pub mod sink;
mod system;
pub mod told;
pub mod trace;

use metrics::Metrics;
use otlp::{Carry, Exporter};
use policies::Policies;
use record::Exchange;
use sink::{Sink, Writer};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use trace::Trace;
use tracing::level_filters::LevelFilter;

/// What the operator asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Level of the process log, for our own modules.
    pub level: LevelFilter,
    /// Whether to write one line an exchange.
    pub access: bool,
    /// Where traces, metrics and logs go; nowhere if absent.
    pub otlp: Option<otlp::Options>,
}

impl Options {
    /// What a config asks for.
    #[must_use]
    pub fn of(config: &crate::config::Config) -> Self {
        Self {
            level: config.log.level.as_str().parse().unwrap_or(LevelFilter::INFO),
            access: config.log.access,
            otlp: otlp::Options::of(config),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { level: LevelFilter::INFO, access: true, otlp: None }
    }
}

/// Telemetry could not be set up: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No thread for the log.
    #[error("the log's thread could not be started: {0}")]
    Log(#[from] io::Error),
    /// Two metrics of one name: ours to mend.
    #[error("the metrics could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Nothing can be sent to the collector.
    #[error(transparent)]
    Otlp(#[from] otlp::OtlpError),
}

/// The process's telemetry: made once, shared by all exchanges.
pub struct Telemetry {
    metrics: Arc<Metrics>,
    policies: Arc<Policies>,
    exporter: Option<Exporter>,
    /// Whether spans are sent.
    traces: bool,
    share: f64,
    access: bool,
    sink: Sink,
    writer: Mutex<Option<Writer>>,
}

impl Telemetry {
    /// Registers the metrics and starts the threads that write and send. `out` is where log lines go; `carry` makes the way
    /// to a collector.
    ///
    /// # Errors
    /// [`SetupError`] says what is missing.
    pub fn start(
        options: &Options,
        out: impl io::Write + Send + 'static,
        carry: Carry,
    ) -> Result<Self, SetupError> {
        let metrics = Arc::new(Metrics::new()?);
        let writer = Writer::start(out, metrics.log_lines_dropped.clone())?;
        let sink = writer.sink();
        metrics.on_scrape(move |metrics| {
            metrics.log_queue_bytes.set(i64::try_from(sink.waiting()).unwrap_or(i64::MAX));
        });
        if options.otlp.as_ref().is_some_and(|otlp| otlp.metrics.is_some()) {
            metrics.count_genai()?;
        }
        let exporter = options.otlp.as_ref().map(|otlp| Exporter::start(otlp, &metrics, carry));
        let exporter = exporter.transpose()?;
        Ok(Self {
            exporter,
            traces: options.otlp.as_ref().is_some_and(|otlp| otlp.traces),
            share: options.otlp.as_ref().map_or(0.0, |otlp| otlp.share),
            policies: Policies::new(&metrics),
            access: options.access,
            sink: writer.sink(),
            writer: Mutex::new(Some(writer)),
            metrics,
        })
    }

    /// Makes the process log (`tracing`, and `log` of other crates) go the way of the access log.
    pub fn install(&self, options: &Options) {
        let outbox = self.exporter.as_ref().map(|exporter| exporter.outbox().clone());
        process::install(&process::Lines { sink: self.sink.clone(), outbox }, options.level);
    }

    /// The metrics of the process.
    #[must_use]
    pub const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Metrics and log of policy calls: the observer of every pipeline.
    #[must_use]
    pub const fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// Begins or continues the trace of an exchange; `traceparent` is the caller's header.
    #[must_use]
    pub fn trace(&self, traceparent: Option<&str>) -> Trace {
        Trace::begin(traceparent, self.traces, self.share)
    }

    /// Takes note of a finished exchange. Bounded work, no waiting.
    pub fn record(&self, exchange: Exchange) {
        exchange.meters.count(&exchange);
        if self.access {
            access::line(&exchange, |line| self.sink.line(line));
        }
        if let Some(exporter) = &self.exporter {
            exporter.outbox().exchange(exchange);
        }
    }

    /// Hands the lines of the log so far to the operating system; waits for no collector.
    pub fn flush_log(&self) {
        self.sink.flush();
    }

    /// Writes and sends what is waiting. Blocks: up to ten seconds for a collector that does not answer.
    pub fn flush(&self) {
        if let Some(exporter) = &self.exporter {
            exporter.flush();
        }
        self.sink.flush();
    }

    /// As [`Telemetry::flush`], and ends the threads. Later lines are dropped.
    pub fn shutdown(&self) {
        if let Some(exporter) = &self.exporter {
            exporter.shutdown();
        }
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            writer.close();
        }
    }
}

#[cfg(test)]
mod tests;
