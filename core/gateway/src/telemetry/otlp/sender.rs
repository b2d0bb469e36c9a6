//! The thread that makes spans, metrics and log records of what waits, and sends them: one request at a time, tried again
//! while the collector asks for patience, given up and counted after that.

use super::outbox::{Item, Line};
use super::{Carrier, Options, Reply, figures, records, spans, words};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::Exchange;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Uri;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Spans or records that are sent as one.
const BATCH: usize = 512;
/// How long they gather if they are fewer.
const GATHER: Duration = Duration::from_secs(1);
/// One request has to be answered within this; and all that is left when the process stops.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Tries of one request; only a collector that is not there, or asks for patience, is asked again.
const TRIES: u32 = 4;
/// Before the second try; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// A collector that asks for more patience than this gets no more.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Whether the process stops, and since when: what ends a pause.
#[derive(Default)]
pub(super) struct Stop {
    since: Mutex<Option<Instant>>,
    told: Condvar,
}

impl Stop {
    pub(super) fn now(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.told.notify_all();
    }

    /// Waits; `false`, and sooner, if the process stops.
    fn pause(&self, pause: Duration) -> bool {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let told = self.told.wait_timeout_while(since, pause, |since| since.is_none());
        told.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// How long a request may take.
    fn left(&self) -> Duration {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(TIMEOUT, |since| TIMEOUT.saturating_sub(since.elapsed()))
    }
}

/// The thread's own state.
pub(super) struct Sender {
    options: Options,
    urls: [Uri; 3],
    carrier: Box<dyn Carrier>,
    resource: Resource,
    started: SystemTime,
    metrics: Arc<Metrics>,
    stop: Arc<Stop>,
    spans: Vec<Span>,
    records: Vec<LogRecord>,
}

/// Which of the three a request carries; also its place in the list of addresses.
#[derive(Clone, Copy)]
enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

impl Sender {
    pub(super) fn new(
        (options, carrier): (&Options, Box<dyn Carrier>),
        urls: [Uri; 3],
        metrics: &Arc<Metrics>,
        stop: &Arc<Stop>,
    ) -> Self {
        Self {
            carrier,
            urls,
            resource: words::resource(|name| std::env::var(name).ok()),
            started: SystemTime::now(),
            metrics: Arc::clone(metrics),
            stop: Arc::clone(stop),
            options: options.clone(),
            spans: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Sends until it is told to stop.
    pub(super) fn run(mut self, items: &Receiver<Item>) {
        let mut due = Instant::now() + GATHER;
        let mut measured = Instant::now();
        loop {
            let scrape = self.options.metrics.map(|interval| measured + interval);
            let next = scrape.map_or(due, |scrape| scrape.min(due));
            match items.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Item::Exchange(exchange)) => self.exchange(&exchange),
                Ok(Item::Line(line)) => self.line(line),
                Ok(Item::Flush(done)) => {
                    self.send();
                    self.measure();
                    // Who asked may have gone.
                    done.send(()).ok();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Item::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.send();
                    return self.measure();
                }
            }
            let now = Instant::now();
            if now >= due || self.spans.len().max(self.records.len()) >= BATCH {
                self.send();
                due = Instant::now() + GATHER;
            }
            if scrape.is_some_and(|scrape| now >= scrape) {
                self.measure();
                measured = Instant::now();
            }
        }
    }

    fn exchange(&mut self, exchange: &Exchange) {
        self.metrics.otlp.queue.dec();
        if self.options.traces && exchange.trace.recorded {
            spans::of(exchange, self.options.genai, &mut self.spans);
        }
        if self.options.access {
            self.records.push(records::exchange(exchange));
        }
    }

    fn line(&mut self, line: Line) {
        self.metrics.otlp.queue.dec();
        self.records.push(records::line(line));
    }

    /// Sends the spans and records that have gathered.
    fn send(&mut self) {
        let (count, spans) = (self.spans.len(), std::mem::take(&mut self.spans));
        if !spans.is_empty() {
            let spans = ScopeSpans { scope: Some(words::scope()), spans, ..ScopeSpans::default() };
            let all = ResourceSpans {
                scope_spans: vec![spans],
                resource: self.resource(),
                ..ResourceSpans::default()
            };
            self.deliver(Signal::Traces, count, &ExportTraceServiceRequest { resource_spans: vec![all] });
        }
        let (count, log_records) = (self.records.len(), std::mem::take(&mut self.records));
        if !log_records.is_empty() {
            let records = ScopeLogs { scope: Some(words::scope()), log_records, ..ScopeLogs::default() };
            let all = ResourceLogs {
                scope_logs: vec![records],
                resource: self.resource(),
                ..ResourceLogs::default()
            };
            self.deliver(Signal::Logs, count, &ExportLogsServiceRequest { resource_logs: vec![all] });
        }
    }

    /// Sends what `/metrics` shows now. Figures only grow, so what does not arrive is in the next ones.
    fn measure(&self) {
        if self.options.metrics.is_none() {
            return;
        }
        let figures = figures::of(&self.metrics, self.options.genai, (self.started, SystemTime::now()));
        let count = figures::points(&figures);
        let metrics =
            ScopeMetrics { scope: Some(words::scope()), metrics: figures, ..ScopeMetrics::default() };
        let all = ResourceMetrics {
            scope_metrics: vec![metrics],
            resource: self.resource(),
            ..ResourceMetrics::default()
        };
        self.deliver(Signal::Metrics, count, &ExportMetricsServiceRequest { resource_metrics: vec![all] });
    }

    fn resource(&self) -> Option<Resource> {
        Some(self.resource.clone())
    }

    fn deliver(&self, signal: Signal, count: usize, message: &impl Message) {
        let metrics = &self.metrics.otlp;
        match gzip(&message.encode_to_vec()).and_then(|body| self.insist(signal, &body)) {
            Ok(reply) if (200..300).contains(&reply.status) => {
                let rejected = rejected(&reply.body).min(count);
                metrics.sent(signal.as_str(), count - rejected);
                metrics.dropped(signal.as_str(), "refused", rejected);
            }
            Ok(reply) => {
                metrics.dropped(signal.as_str(), "refused", count);
                let (signal, status) = (signal.as_str(), reply.status);
                tracing::warn!(signal, status, count, "the collector refused what it was sent");
            }
            Err(error) => {
                metrics.dropped(signal.as_str(), "unreachable", count);
                tracing::warn!(signal = signal.as_str(), %error, count, "the collector could not be reached");
            }
        }
    }

    /// One request, made again while it makes sense.
    fn insist(&self, signal: Signal, body: &[u8]) -> io::Result<Reply> {
        // The next figures hold these: nothing is lost by not insisting.
        let tries = if matches!(signal, Signal::Metrics) { 1 } else { TRIES };
        let mut pause = FIRST_PAUSE;
        for _ in 1..tries {
            let reply = self.carrier.send(&self.urls[signal as usize], body, self.stop.left());
            let wait = match &reply {
                Ok(Reply { status: 429 | 502..=504, retry_after, .. }) => retry_after.unwrap_or(pause),
                Ok(_) => return reply,
                Err(_) => pause,
            };
            if wait > LONGEST_PAUSE || !self.stop.pause(wait) {
                return reply;
            }
            pause *= 2;
        }
        self.carrier.send(&self.urls[signal as usize], body, self.stop.left())
    }
}

fn gzip(message: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::fast());
    gzip.write_all(message)?;
    gzip.finish()
}

/// How many the collector took not, of those that it took as a whole. The answers to all three signals have one shape.
fn rejected(body: &[u8]) -> usize {
    let answer = ExportTraceServiceResponse::decode(body).unwrap_or_default();
    answer.partial_success.map_or(0, |partial| usize::try_from(partial.rejected_spans).unwrap_or(0))
}
