use super::*;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::{Exchange, Outcome, PolicyCall};
use crate::telemetry::tests::{exchange, meters};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric};
use opentelemetry_proto::tonic::trace::v1::{Span, span, status};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;
use tracing::Level;
use weir_policy::ErrorClass;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A collector that takes one request for each reply, and hands back heads and bodies.
/// Connections stay open until it ends: no sender may wait for them to close.
/// Heads and bodies of the requests that came.
type Came = JoinHandle<Vec<(String, Vec<u8>)>>;

fn collector(replies: Vec<Vec<u8>>) -> (String, Came) {
    let mut kept = Vec::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let mut take = move |reply: Vec<u8>| {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            stream.read_line(&mut head).unwrap();
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut packed = vec![0; length.unwrap()];
        stream.read_exact(&mut packed).unwrap();
        stream.get_mut().write_all(&reply).unwrap();
        let mut body = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut body).unwrap();
        // What says nothing of its length ends with its connection.
        if String::from_utf8_lossy(&reply).contains("content-length") {
            kept.push(stream);
        }
        (head, body)
    };
    (endpoint, std::thread::spawn(move || replies.into_iter().map(&mut take).collect()))
}

/// Traces only.
fn options(endpoint: String) -> Options {
    Options {
        endpoint,
        headers: vec![("x-token".into(), "s3cret".into())],
        traces: true,
        share: 1.0,
        metrics: None,
        access: false,
        warnings: false,
        genai: GenAi::V1_41,
    }
}

fn text(value: &Any) -> String {
    match value {
        Any::StringValue(text) => text.clone(),
        Any::IntValue(number) => number.to_string(),
        Any::DoubleValue(number) => number.to_string(),
        Any::BoolValue(flag) => flag.to_string(),
        Any::ArrayValue(array) => {
            let texts = array.values.iter().filter_map(|any| any.value.as_ref()).map(text);
            texts.collect::<Vec<_>>().join(",")
        }
        other => panic!("{other:?}"),
    }
}

fn attributes(all: &[KeyValue]) -> BTreeMap<&str, String> {
    let value = |kv: &KeyValue| text(kv.value.as_ref().unwrap().value.as_ref().unwrap());
    all.iter().map(|kv| (kv.key.as_str(), value(kv))).collect()
}

fn spans(body: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(attributes(&resource.attributes)["service.name"], "weir");
    request.resource_spans.into_iter().flat_map(|all| all.scope_spans).flat_map(|scope| scope.spans).collect()
}

#[test]
fn an_exchange_becomes_a_server_span_with_client_and_policy_spans_below_it() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let (endpoint, collector) = collector(vec![OK.to_vec()]);
    let exporter = Exporter::start(&options(endpoint), &metrics, crate::collector::carry).unwrap();
    let call = PolicyCall {
        policy: "order".into(),
        version: "1.0.0".into(),
        hook: "route",
        verdict: "plan",
        started: Duration::from_micros(100),
        elapsed: Duration::from_micros(7),
        fault: None,
    };
    let exchange = Exchange { policies: vec![call], ..exchange(&meters(&metrics)) };
    exporter.outbox().exchange(exchange.clone());
    exporter.flush();
    let (head, body) = collector.join().unwrap().remove(0);
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    for line in
        ["content-type: application/x-protobuf\r\n", "content-encoding: gzip\r\n", "x-token: s3cret\r\n"]
    {
        assert!(head.contains(line), "{head}");
    }
    let spans = spans(&body);
    let [policy, refused, answered, server] = &spans[..] else { panic!("{} spans", spans.len()) };
    assert!(spans.iter().all(|span| span.trace_id == exchange.trace.trace_id.to_be_bytes()));
    assert!(spans.iter().all(|span| span.flags & 1 == 1), "sampled");

    assert_eq!((server.name.as_str(), server.kind()), ("chat fast", span::SpanKind::Server));
    assert_eq!(server.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes(), "the caller's span");
    assert_eq!(server.end_time_unix_nano - server.start_time_unix_nano, 30_000_000);
    let facts = attributes(&server.attributes);
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.request.model", "fast"),
        ("gen_ai.request.stream", "true"),
        ("gen_ai.provider.name", "sim"),
        ("gen_ai.response.model", "sim-small-2026-11-01"),
        ("gen_ai.response.finish_reasons", "stop,length"),
        ("gen_ai.usage.input_tokens", "140"),
        ("gen_ai.usage.output_tokens", "20"),
        ("gen_ai.usage.cache_read.input_tokens", "40"),
        ("http.response.status_code", "200"),
        ("weir.request_id", "req_1"),
        ("weir.outcome", "ok"),
    ] {
        assert_eq!(facts.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(!facts.values().any(|value| value.contains("key_1") || value.contains("org")), "{facts:?}");

    assert!(spans[..3].iter().all(|span| span.parent_span_id == server.span_id));
    assert_eq!((refused.name.as_str(), refused.kind()), ("chat gpt-4o-mini", span::SpanKind::Client));
    assert_eq!(refused.span_id, 7_u64.to_be_bytes(), "the id that went out as traceparent");
    assert_eq!(refused.status.as_ref().unwrap().code(), status::StatusCode::Error);
    let facts = attributes(&refused.attributes);
    assert_eq!(
        (facts["error.type"].as_str(), facts["gen_ai.provider.name"].as_str()),
        ("rate-limited", "openai")
    );
    assert_eq!((facts["server.address"].as_str(), facts["server.port"].as_str()), ("api.example", "443"));
    assert!(!facts.contains_key("gen_ai.usage.input_tokens"), "what failed used nothing that we know of");
    assert_eq!(answered.name, "chat sim-small");
    assert_eq!(attributes(&answered.attributes)["gen_ai.response.time_to_first_chunk"], "0.007");
    assert_eq!((policy.name.as_str(), policy.kind()), ("route order", span::SpanKind::Internal));
    assert_eq!(policy.end_time_unix_nano - policy.start_time_unix_nano, 7_000);
    assert_eq!(attributes(&policy.attributes)["weir.policy.verdict"], "plan");
    exporter.shutdown();
    assert!(metrics.render().contains("weir_otlp_sent_total{signal=\"traces\"} 4\n"));
    assert!(metrics.render().contains("weir_otlp_queue_depth 0\n"));
}

#[test]
fn a_collector_that_refuses_costs_spans_only() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let meters = meters(&metrics);
    let no = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\nno".to_vec();
    let (endpoint, collector) = collector(vec![no]);
    let exporter = Exporter::start(&options(endpoint), &metrics, crate::collector::carry).unwrap();
    let failed = Exchange { outcome: Outcome::Failed, error: Some(ErrorClass::Network), ..exchange(&meters) };
    exporter.outbox().exchange(Exchange { attempts: vec![], ..failed });
    exporter.flush();
    let (_, body) = collector.join().unwrap().remove(0);
    let server = &spans(&body)[0];
    assert_eq!(server.status.as_ref().unwrap().code(), status::StatusCode::Error);
    assert_eq!(attributes(&server.attributes)["error.type"], "network");
    exporter.shutdown();
    assert!(metrics.render().contains("weir_otlp_dropped_total{reason=\"refused\",signal=\"traces\"} 1\n"));
}

/// Patience is given to who asks for it, in time for a test if it is asked for none.
#[test]
fn a_collector_that_is_busy_is_asked_again_and_one_that_takes_a_part_is_believed() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let busy = |status: &str| {
        format!("HTTP/1.1 {status}\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n").into_bytes()
    };
    let partial_success = Some(ExportTracePartialSuccess { rejected_spans: 1, error_message: "old".into() });
    let partial = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    let partial = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), partial].concat();
    let (endpoint, collector) = collector(vec![busy("503 Busy"), busy("429 Later"), partial]);
    let exporter = Exporter::start(&options(endpoint), &metrics, crate::collector::carry).unwrap();
    exporter.outbox().exchange(exchange(&meters(&metrics)));
    exporter.flush();
    let bodies: BTreeSet<Vec<u8>> = collector.join().unwrap().into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies.len(), 1, "the same each time");
    exporter.shutdown();
    let text = metrics.render();
    assert!(text.contains("weir_otlp_sent_total{signal=\"traces\"} 2\n"), "{text}");
    assert!(text.contains("weir_otlp_dropped_total{reason=\"refused\",signal=\"traces\"} 1\n"), "{text}");
}

#[test]
fn what_finds_no_room_is_dropped_and_counted() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let meters = meters(&metrics);
    let wants = Wants { spans: true, access: true, lines: true };
    let (outbox, items) = Outbox::new(wants, &metrics);
    for _ in 0..outbox::WAITING_MAX {
        outbox.line(Level::WARN, "weir", b"{}\n");
    }
    outbox.line(Level::INFO, "weir", b"{}\n");
    outbox.line(Level::ERROR, "weir::telemetry::otlp::sender", b"{}\n");
    assert!(!metrics.render().contains("weir_otlp_dropped_total{"), "neither was to be sent");
    outbox.exchange(exchange(&meters));
    outbox.line(Level::ERROR, "weir", b"{}\n");
    let text = metrics.render();
    for line in [
        "weir_otlp_dropped_total{reason=\"queue\",signal=\"traces\"} 3\n",
        "weir_otlp_dropped_total{reason=\"queue\",signal=\"logs\"} 2\n",
        "weir_otlp_queue_depth 8192\n",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    drop(items);
}

#[test]
fn lines_become_records_with_their_trace() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let (endpoint, collector) = collector(vec![OK.to_vec()]);
    let wanted = Options { traces: false, access: true, warnings: true, ..options(endpoint) };
    let exporter = Exporter::start(&wanted, &metrics, crate::collector::carry).unwrap();
    let exchange = exchange(&meters(&metrics));
    exporter.outbox().exchange(exchange.clone());
    exporter.outbox().line(Level::ERROR, "weir::ledger", b"{\"message\":\"the disk is full\"}\n");
    let trace_id = exchange.trace.id();
    let told = format!("{{\"message\":\"a \\\"trace_id\\\":\\\"x\",\"trace_id\":\"{trace_id}\"}}\n");
    exporter.outbox().line(Level::WARN, "weir::exchange", told.as_bytes());
    exporter.shutdown();
    let (head, body) = collector.join().unwrap().remove(0);
    assert!(head.starts_with("POST /v1/logs HTTP/1.1\r\n"), "{head}");
    let request = ExportLogsServiceRequest::decode(body.as_slice()).unwrap();
    let records = &request.resource_logs[0].scope_logs[0].log_records;
    let [access, error, warning] = &records[..] else { panic!("{} records", records.len()) };
    let body = |record: &opentelemetry_proto::tonic::logs::v1::LogRecord| {
        text(record.body.as_ref().unwrap().value.as_ref().unwrap())
    };
    let line: serde_json::Value = serde_json::from_str(&body(access)).unwrap();
    assert_eq!((line["request_id"].as_str(), line["status"].as_u64()), (Some("req_1"), Some(200)));
    assert_eq!(access.trace_id, exchange.trace.trace_id.to_be_bytes());
    assert_eq!(access.span_id, exchange.trace.span_id.to_be_bytes());
    assert_eq!((access.severity_number, access.severity_text.as_str()), (9, "INFO"));
    assert_eq!((error.severity_number, body(error).as_str()), (17, "{\"message\":\"the disk is full\"}"));
    assert!(error.trace_id.is_empty());
    assert_eq!(
        warning.trace_id,
        exchange.trace.trace_id.to_be_bytes(),
        "a line that names its trace is of it"
    );
}

/// What a registry with one exchange of each kind becomes.
fn figures(names: GenAi) -> (Exchange, Vec<Metric>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    metrics.count_genai().unwrap();
    let (endpoint, collector) = collector(vec![OK.to_vec()]);
    let interval = Some(Duration::from_secs(3600));
    let wanted = Options { traces: false, metrics: interval, genai: names, ..options(endpoint) };
    let exporter = Exporter::start(&wanted, &metrics, crate::collector::carry).unwrap();
    let meters = meters(&metrics);
    let exchange = exchange(&meters);
    meters.count(&exchange);
    meters.count(&Exchange {
        api: weir_policy::Api::Embeddings,
        stream: false,
        gaps: None,
        ..exchange.clone()
    });
    exporter.shutdown();
    let (head, body) = collector.join().unwrap().remove(0);
    assert!(head.starts_with("POST /v1/metrics HTTP/1.1\r\n"), "{head}");
    let request = ExportMetricsServiceRequest::decode(body.as_slice()).unwrap();
    (exchange, request.resource_metrics[0].scope_metrics[0].metrics.clone())
}

fn named<'a>(all: &'a [Metric], name: &str) -> &'a Metric {
    let found: Vec<_> = all.iter().filter(|metric| metric.name == name).collect();
    assert_eq!(found.len(), 1, "{name} in {:?}", all.iter().map(|metric| &metric.name).collect::<Vec<_>>());
    found[0]
}

#[test]
fn the_registry_becomes_metrics_since_the_beginning() {
    let (exchange, all) = figures(GenAi::V1_41);
    let Some(Data::Sum(sum)) = &named(&all, "weir_requests_total").data else { panic!("a sum") };
    assert!(sum.is_monotonic && sum.aggregation_temporality == AggregationTemporality::Cumulative as i32);
    assert!(sum.data_points.iter().all(|point| point.start_time_unix_nano < point.time_unix_nano));
    assert!(matches!(named(&all, "weir_generation").data, Some(Data::Gauge(_))));
    let duration = named(&all, "weir_request_duration_seconds");
    let Some(Data::Histogram(histogram)) = &duration.data else { panic!("a histogram") };
    let chat =
        histogram.data_points.iter().find(|point| attributes(&point.attributes)["api"] == "chat").unwrap();
    assert_eq!((duration.unit.as_str(), chat.count, chat.sum), ("s", 1, Some(0.03)));
    assert_eq!(chat.bucket_counts.len(), chat.explicit_bounds.len() + 1);
    assert_eq!(chat.bucket_counts.iter().sum::<u64>(), 1);
    let exemplar = &chat.exemplars[0];
    assert_eq!(exemplar.trace_id, exchange.trace.trace_id.to_be_bytes());
    assert_eq!(exemplar.span_id, exchange.trace.span_id.to_be_bytes());
}

#[test]
fn the_conventions_names_are_those_that_are_asked_for() {
    let names = |all: &[Metric]| -> BTreeSet<String> {
        all.iter().map(|metric| metric.name.clone()).filter(|name| name.starts_with("gen_ai")).collect()
    };
    let set = |names: &str| -> BTreeSet<String> { names.split_whitespace().map(String::from).collect() };
    let classic = set("gen_ai.client.operation.duration gen_ai.client.operation.time_to_first_chunk \
        gen_ai.client.operation.time_per_output_chunk gen_ai.client.token.usage gen_ai.server.request.duration \
        gen_ai.server.time_to_first_token gen_ai.server.time_per_output_token");
    let newer = set("gen_ai.client.inference.duration gen_ai.client.inference.time_to_first_chunk \
        gen_ai.client.inference.time_per_output_chunk gen_ai.client.inference.usage.input_tokens gen_ai.client.inference.usage.output_tokens \
        gen_ai.client.inference.usage.cache_read.input_tokens gen_ai.client.inference.operation.input_tokens \
        gen_ai.client.inference.operation.output_tokens");
    let (_, all) = figures(GenAi::V1_41);
    assert_eq!(names(&all), classic);
    let usage = named(&all, "gen_ai.client.token.usage");
    let Some(Data::Histogram(usage)) = &usage.data else { panic!("a histogram") };
    assert_eq!(usage.data_points.len(), 4, "input and output of two operations: {usage:?}");
    assert_eq!(usage.data_points[0].explicit_bounds[..3], [1.0, 4.0, 16.0]);
    assert_eq!(usage.data_points[0].explicit_bounds.last(), Some(&67_108_864.0));
    let Some(Data::Histogram(chunks)) = &named(&all, "gen_ai.client.operation.time_per_output_chunk").data
    else {
        panic!("a histogram")
    };
    let [point] = &chunks.data_points[..] else { panic!("one target streamed: {chunks:?}") };
    assert_eq!((point.count, attributes(&point.attributes)["server.address"].as_str()), (1, "sim"));
    let Some(Data::Histogram(calls)) = &named(&all, "gen_ai.client.operation.duration").data else {
        panic!()
    };
    let errors: Vec<_> = calls.data_points.iter().map(|point| attributes(&point.attributes)).collect();
    assert!(errors.iter().any(|facts| facts.get("error.type").is_some_and(|error| error == "rate-limited")));
    assert!(errors.iter().any(|facts| !facts.contains_key("error.type") && facts["server.address"] == "sim"));
    assert_eq!(calls.data_points[0].explicit_bounds.len(), 14);

    let (_, all) = figures(GenAi::Latest);
    // Embeddings are no inference: they keep their names.
    let kept =
        set("gen_ai.client.operation.duration gen_ai.client.token.usage gen_ai.server.request.duration \
        gen_ai.server.time_to_first_token gen_ai.server.time_per_output_token");
    assert_eq!(names(&all), newer.union(&kept).cloned().collect());
    let Some(Data::Histogram(calls)) = &named(&all, "gen_ai.client.operation.duration").data else {
        panic!()
    };
    let of = |point: &opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint| {
        attributes(&point.attributes)["gen_ai.operation.name"].clone()
    };
    assert!(calls.data_points.iter().all(|point| of(point) == "embeddings"));
    let Some(Data::Sum(cached)) = &named(&all, "gen_ai.client.inference.usage.cache_read.input_tokens").data
    else {
        panic!("a sum")
    };
    let value = cached.data_points[0].value;
    assert_eq!(
        value,
        Some(opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsDouble(40.0))
    );

    let (_, all) = figures(GenAi::Both);
    assert_eq!(names(&all), newer.union(&classic).cloned().collect());
}

#[test]
fn endpoints() {
    let traces = |endpoint: &str| urls(endpoint).map(|urls| urls[0].to_string());
    assert_eq!(traces("http://h:4318/").unwrap(), "http://h:4318/v1/traces");
    assert_eq!(traces("https://h/otlp/v1/traces").unwrap(), "https://h/otlp/v1/traces");
    assert_eq!(urls("http://h:4318").unwrap()[2].path(), "/v1/logs");
    for bad in ["", "h:4318", "ftp://h", "http://"] {
        assert!(traces(bad).unwrap_err().to_string().contains("http://127.0.0.1:4318"), "{bad}");
    }
    assert!(!format!("{:?}", options("http://h".into())).contains("s3cret"));
}
