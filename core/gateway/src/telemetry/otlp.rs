//! Traces by OTLP over HTTP (protobuf), with the GenAI semantic conventions of OpenTelemetry v1.41: off unless an
//! endpoint is set. Names, figures and ids only; content is never an attribute.
//!
//! An exchange is a SERVER span, each of its attempts a CLIENT span below it. They are built when the exchange is over,
//! from what was recorded of it, and sent by a thread of their own.

mod post;

use super::metrics::Metrics;
use super::record::{Attempt, Exchange, Outcome};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanExporter, SpanLinks, SpanProcessor,
};
use post::Post;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Spans that may wait to be sent; further ones are dropped and counted.
const WAITING_MAX: usize = 8192;
/// One batch has to be taken within this.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where traces go.
#[derive(Clone, PartialEq)]
pub struct Options {
    /// Base URL of the collector, such as `http://127.0.0.1:4318`; `/v1/traces` is added unless it is there.
    pub endpoint: String,
    /// Extra headers, such as a token for the collector.
    pub headers: Vec<(String, String)>,
    /// Share of the traces begun here that are recorded, 0 to 1. Callers decide for their own traces.
    pub share: f64,
}

// Headers may carry a token.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("endpoint", &self.endpoint)
            .field("share", &self.share)
            .finish_non_exhaustive()
    }
}

/// Traces cannot be exported: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// Not a URL that we can send to.
    #[error("telemetry.otlp.endpoint `{0}`: write a URL like http://127.0.0.1:4318")]
    Endpoint(String),
    /// The exporter refused its settings.
    #[error("the OTLP exporter could not be set up: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// No runtime, or no TLS roots.
    #[error("the OTLP client could not be set up: {0}")]
    Client(#[from] std::io::Error),
}

/// Builds spans and hands them to the thread that sends them.
#[derive(Debug)]
pub struct Traces {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
    waiting: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl Traces {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`OtlpError`] says what is wrong with the endpoint or missing on this system.
    pub fn start(options: &Options, metrics: &Arc<Metrics>) -> Result<Self, OtlpError> {
        let url = url(&options.endpoint)?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Post::new(url.starts_with("https:"), TIMEOUT)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
            .with_timeout(TIMEOUT)
            .with_headers(options.headers.iter().cloned().collect::<HashMap<_, _>>())
            .build()?;
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut exporter = Counted { exporter, waiting: Arc::clone(&waiting), metrics: Arc::clone(metrics) };
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        exporter.set_resource(&Resource::builder().with_service_name("weir").with_attribute(version).build());
        let batches = BatchConfigBuilder::default().with_max_queue_size(WAITING_MAX).build();
        Ok(Self {
            processor: BatchSpanProcessor::builder(exporter).with_batch_config(batches).build(),
            scope: InstrumentationScope::builder("weir").with_version(env!("CARGO_PKG_VERSION")).build(),
            waiting,
            metrics: Arc::clone(metrics),
        })
    }

    /// Queues the spans of an exchange whose trace is recorded.
    pub fn record(&self, exchange: &Exchange) {
        let spans = 1 + exchange.attempts.len();
        if self.waiting.fetch_add(spans, Ordering::Relaxed) + spans > WAITING_MAX {
            self.waiting.fetch_sub(spans, Ordering::Relaxed);
            self.metrics.spans("dropped", spans);
            return;
        }
        for attempt in &exchange.attempts {
            self.processor.on_end(self.attempt(exchange, attempt));
        }
        self.processor.on_end(self.exchange(exchange));
    }

    /// Sends what is waiting. Blocks until it is sent or given up.
    pub fn flush(&self) {
        if let Err(error) = self.processor.force_flush() {
            tracing::warn!(%error, "spans could not be flushed");
        }
    }

    /// Sends what is waiting and ends the thread.
    pub fn shutdown(&self) {
        if let Err(error) = self.processor.shutdown_with_timeout(TIMEOUT) {
            tracing::warn!(%error, "spans could not be sent at shutdown");
        }
    }

    fn exchange(&self, exchange: &Exchange) -> SpanData {
        let alias = exchange.meters.alias(exchange.model).to_owned();
        let mut attributes = operation(alias.clone(), exchange.stream);
        attributes.extend(answer(exchange));
        attributes.extend([
            KeyValue::new("http.response.status_code", i64::from(exchange.status)),
            KeyValue::new("weir.request_id", exchange.request_id.to_string()),
            KeyValue::new("weir.api", exchange.api.as_str()),
            KeyValue::new("weir.outcome", exchange.outcome.as_str()),
            KeyValue::new("weir.cache", exchange.cache.as_str()),
            KeyValue::new("weir.generation", integer(exchange.generation)),
            KeyValue::new("weir.overhead_us", integer(exchange.overhead.as_micros())),
            KeyValue::new("weir.charged_nanodollars", exchange.charged.0),
        ]);
        let failed = matches!(exchange.outcome, Outcome::Failed | Outcome::UpstreamCut);
        if let Some(error) = exchange.error.filter(|_| failed) {
            attributes.push(KeyValue::new("error.type", error.as_str()));
        }
        SpanData {
            parent_span_id: exchange
                .trace
                .parent
                .map_or(SpanId::INVALID, |id| SpanId::from_bytes(id.to_be_bytes())),
            parent_span_is_remote: exchange.trace.parent.is_some(),
            span_kind: SpanKind::Server,
            end_time: exchange.started_at + exchange.total,
            attributes,
            status: if failed { Status::error(exchange.outcome.as_str()) } else { Status::Unset },
            ..self.span(exchange, exchange.trace.span_id, format!("chat {alias}"))
        }
    }

    fn attempt(&self, exchange: &Exchange, attempt: &Attempt) -> SpanData {
        let target = exchange.meters.target(attempt.target);
        let model = target.map_or("unknown", |target| target.model);
        let mut attributes = operation(model.to_owned(), exchange.stream);
        if attempt.error.is_none() {
            attributes.extend(answer(exchange));
        } else if let Some(target) = target {
            attributes.push(KeyValue::new("gen_ai.provider.name", target.provider.to_owned()));
        }
        attributes.extend(
            attempt.ttft.map(|ttft| KeyValue::new("gen_ai.response.time_to_first_chunk", ttft.as_secs_f64())),
        );
        attributes.extend(
            attempt.status.map(|status| KeyValue::new("http.response.status_code", i64::from(status))),
        );
        attributes.extend(attempt.error.map(|class| KeyValue::new("error.type", class.as_str())));
        SpanData {
            parent_span_id: SpanId::from_bytes(exchange.trace.span_id.to_be_bytes()),
            span_kind: SpanKind::Client,
            start_time: exchange.started_at + attempt.started,
            end_time: exchange.started_at + attempt.ended,
            attributes,
            status: attempt.error.map_or(Status::Unset, |class| Status::error(class.as_str())),
            ..self.span(exchange, attempt.span_id, format!("chat {model}"))
        }
    }

    /// What both kinds have in common.
    fn span(&self, exchange: &Exchange, id: u64, name: String) -> SpanData {
        let trace_id = TraceId::from_bytes(exchange.trace.trace_id.to_be_bytes());
        let id = SpanId::from_bytes(id.to_be_bytes());
        SpanData {
            span_context: SpanContext::new(trace_id, id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time: exchange.started_at,
            end_time: exchange.started_at,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// Counts what was sent and what was not; failures reach the log once, when they begin.
#[derive(Debug)]
struct Counted {
    exporter: opentelemetry_otlp::SpanExporter,
    waiting: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        self.metrics.spans(if result.is_ok() { "sent" } else { "failed" }, spans);
        if let Err(OTelSdkError::InternalFailure(error)) = &result {
            tracing::warn!(error, spans, "spans could not be sent");
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// What is known of any call before it is made.
fn operation(model: String, stream: bool) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(24);
    attributes.push(KeyValue::new("gen_ai.operation.name", "chat"));
    attributes.push(KeyValue::new("gen_ai.request.model", model));
    attributes.push(KeyValue::new("gen_ai.request.stream", stream));
    attributes
}

/// What the provider answered. The conventions' figures include their parts; our classes are disjoint.
fn answer(exchange: &Exchange) -> Vec<KeyValue> {
    let usage = &exchange.usage;
    let cache_write = usage.cache_write_5m + usage.cache_write_1h;
    let input = usage.input + usage.cached_input + cache_write + usage.input_audio + usage.image;
    let mut attributes = Vec::with_capacity(8);
    if let Some(target) = exchange.target.and_then(|index| exchange.meters.target(index)) {
        attributes.push(KeyValue::new("gen_ai.provider.name", target.provider.to_owned()));
    }
    if let Some(model) = &exchange.response_model {
        attributes.push(KeyValue::new("gen_ai.response.model", model.to_string()));
    }
    if let Some(reason) = exchange.finish_reason {
        let reasons = Value::Array(Array::String(vec![StringValue::from(reason)]));
        attributes.push(KeyValue::new("gen_ai.response.finish_reasons", reasons));
    }
    for (name, tokens) in [
        ("gen_ai.usage.input_tokens", input),
        ("gen_ai.usage.output_tokens", usage.output + usage.reasoning + usage.output_audio),
        ("gen_ai.usage.cache_read.input_tokens", usage.cached_input),
        ("gen_ai.usage.cache_creation.input_tokens", cache_write),
        ("gen_ai.usage.reasoning.output_tokens", usage.reasoning),
    ] {
        if tokens > 0 {
            attributes.push(KeyValue::new(name, integer(tokens)));
        }
    }
    attributes
}

fn integer(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

fn url(endpoint: &str) -> Result<String, OtlpError> {
    let bad = || OtlpError::Endpoint(endpoint.to_owned());
    let uri: http::Uri = endpoint.parse().map_err(|_| bad())?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(bad());
    }
    let base = endpoint.trim_end_matches('/');
    Ok(if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") })
}

#[cfg(test)]
mod tests;
