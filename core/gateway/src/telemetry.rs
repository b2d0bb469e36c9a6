//! What the gateway tells of itself: metrics, the access and process logs, traces, and the live facts of targets.
//!
//! An exchange is recorded once, by value, when it is over ([`Telemetry::record`]): counters by index, one log line
//! formatted by hand, spans only if a collector is configured and the trace is sampled. Writing and sending happen on
//! threads of their own; no request waits for them.
//!
//! # Layout
//!
//! - [`record`]: what telemetry learns of a finished exchange.
//! - [`metrics`]: the Prometheus registry and the text of `/metrics`.
//! - [`meters`]: metric handles of one generation, by alias and target.
//! - [`policies`]: metrics of policy calls.
//! - [`access`]: the access log line.
//! - [`process`]: the process log.
//! - [`sink`]: where log lines go.
//! - [`trace`]: W3C trace context.
//! - [`otlp`]: spans of exchanges, sent to a collector.
//! - [`live`]: live facts of targets and their breakers.

pub mod access;
pub mod live;
pub mod meters;
pub mod metrics;
pub mod otlp;
pub mod policies;
pub mod process;
pub mod record;
pub mod sink;
pub mod trace;

use metrics::Metrics;
use otlp::Traces;
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
    /// Where traces go; nowhere if absent.
    pub otlp: Option<otlp::Options>,
}

impl Options {
    /// What a config asks for.
    #[must_use]
    pub fn of(config: &crate::config::Config) -> Self {
        Self {
            level: config.log.level.as_str().parse().unwrap_or(LevelFilter::INFO),
            access: config.log.access,
            otlp: config.otlp.as_ref().map(|otlp| otlp::Options {
                endpoint: otlp.endpoint.to_string(),
                headers: Vec::new(),
                share: 1.0,
            }),
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
    /// Traces cannot be exported.
    #[error(transparent)]
    Otlp(#[from] otlp::OtlpError),
}

/// The process's telemetry: made once, shared by all exchanges.
pub struct Telemetry {
    metrics: Arc<Metrics>,
    policies: Arc<Policies>,
    traces: Option<Traces>,
    share: f64,
    access: bool,
    sink: Sink,
    writer: Mutex<Option<Writer>>,
}

impl Telemetry {
    /// Registers the metrics and starts the threads that write and send. `out` is where log lines go.
    ///
    /// # Errors
    /// [`SetupError`] says what is missing.
    pub fn start(options: &Options, out: impl io::Write + Send + 'static) -> Result<Self, SetupError> {
        let metrics = Arc::new(Metrics::new()?);
        let writer = Writer::start(out, metrics.log_lines_dropped.clone())?;
        let traces = options.otlp.as_ref().map(|otlp| Traces::start(otlp, &metrics)).transpose()?;
        Ok(Self {
            traces,
            share: options.otlp.as_ref().map_or(0.0, |otlp| otlp.share),
            policies: Arc::new(Policies::new(&metrics)),
            access: options.access,
            sink: writer.sink(),
            writer: Mutex::new(Some(writer)),
            metrics,
        })
    }

    /// Makes the process log (`tracing`, and `log` of other crates) go the way of the access log.
    pub fn install(&self, options: &Options) {
        process::install(&self.sink, options.level);
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
        Trace::begin(traceparent, self.traces.is_some(), self.share)
    }

    /// Takes note of a finished exchange. Bounded work, no waiting.
    #[allow(clippy::needless_pass_by_value, reason = "an exchange is recorded once")]
    pub fn record(&self, exchange: Exchange) {
        exchange.meters.count(&exchange);
        if let Some(traces) = self.traces.as_ref().filter(|_| exchange.trace.recorded) {
            traces.record(&exchange);
        }
        if self.access {
            access::line(&exchange, |line| self.sink.line(line));
        }
    }

    /// Writes and sends what is waiting. Blocks: up to ten seconds for a collector that does not answer.
    pub fn flush(&self) {
        if let Some(traces) = &self.traces {
            traces.flush();
        }
        self.sink.flush();
    }

    /// As [`Telemetry::flush`], and ends the threads. Later lines are dropped.
    pub fn shutdown(&self) {
        if let Some(traces) = &self.traces {
            traces.shutdown();
        }
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            writer.close();
        }
    }
}

#[cfg(test)]
mod tests;
