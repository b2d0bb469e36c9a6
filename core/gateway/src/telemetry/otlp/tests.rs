use super::*;
use crate::telemetry::tests::{exchange, meters};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::{Span, span, status};
use prost::Message;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;
use weir_policy::ErrorClass;

/// A collector that takes one request, answers with `reply`, and hands back head and body.
fn collector(reply: &'static str) -> (String, JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            stream.read_line(&mut head).unwrap();
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap()];
        stream.read_exact(&mut body).unwrap();
        stream.get_mut().write_all(reply.as_bytes()).unwrap();
        (head, body)
    });
    (endpoint, thread)
}

fn options(endpoint: String) -> Options {
    Options { endpoint, headers: vec![("x-token".into(), "s3cret".into())], share: 1.0 }
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &Any| match value {
        Any::StringValue(text) => text.clone(),
        Any::IntValue(number) => number.to_string(),
        Any::DoubleValue(number) => number.to_string(),
        Any::BoolValue(flag) => flag.to_string(),
        Any::ArrayValue(array) => format!("{} values", array.values.len()),
        other => panic!("{other:?}"),
    };
    let value = |kv: &opentelemetry_proto::tonic::common::v1::KeyValue| {
        text(kv.value.as_ref().unwrap().value.as_ref().unwrap())
    };
    span.attributes.iter().map(|kv| (kv.key.as_str(), value(kv))).collect()
}

#[test]
fn an_exchange_becomes_a_server_span_with_client_spans_below_it() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let (endpoint, collector) = collector("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let traces = Traces::start(&options(endpoint), &metrics).unwrap();
    let exchange = exchange(&meters(&metrics));
    traces.record(&exchange);
    traces.flush();
    let (head, body) = collector.join().unwrap();
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("content-type: application/x-protobuf\r\n") && head.contains("x-token: s3cret\r\n"),
        "{head}"
    );
    let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    assert!(resource.attributes.iter().any(|kv| kv.key == "service.name"));
    let spans: Vec<&Span> =
        request.resource_spans[0].scope_spans.iter().flat_map(|scope| &scope.spans).collect();
    let [refused, answered, server] = spans[..] else { panic!("{} spans", spans.len()) };
    assert!(spans.iter().all(|span| span.trace_id == exchange.trace.trace_id.to_be_bytes()));

    assert_eq!((server.name.as_str(), server.kind()), ("chat fast", span::SpanKind::Server));
    assert_eq!(server.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes(), "the caller's span");
    assert_eq!(server.end_time_unix_nano - server.start_time_unix_nano, 30_000_000);
    let facts = attributes(server);
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.request.model", "fast"),
        ("gen_ai.request.stream", "true"),
        ("gen_ai.provider.name", "sim"),
        ("gen_ai.response.model", "sim-small-2026-11-01"),
        ("gen_ai.response.finish_reasons", "1 values"),
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

    assert!([refused, answered].iter().all(|span| span.parent_span_id == server.span_id));
    assert_eq!((refused.name.as_str(), refused.kind()), ("chat gpt-4o-mini", span::SpanKind::Client));
    assert_eq!(refused.span_id, 7_u64.to_be_bytes(), "the id that went out as traceparent");
    assert_eq!(refused.status.as_ref().unwrap().code(), status::StatusCode::Error);
    let facts = attributes(refused);
    assert_eq!(
        (facts["error.type"].as_str(), facts["gen_ai.provider.name"].as_str()),
        ("rate-limited", "openai")
    );
    assert!(!facts.contains_key("gen_ai.usage.input_tokens"), "what failed used nothing that we know of");
    assert_eq!(answered.name, "chat sim-small");
    assert_eq!(attributes(answered)["gen_ai.response.time_to_first_chunk"], "0.007");
    traces.shutdown();
    assert!(metrics.render().contains("weir_spans_total{result=\"sent\"} 3\n"));
}

#[test]
fn a_collector_that_refuses_or_is_not_there_costs_spans_only() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let meters = meters(&metrics);
    let (endpoint, collector) = collector("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\nno");
    let traces = Traces::start(&options(endpoint), &metrics).unwrap();
    let failed = Exchange { outcome: Outcome::Failed, error: Some(ErrorClass::Network), ..exchange(&meters) };
    traces.record(&Exchange { attempts: vec![], ..failed });
    traces.flush();
    let (_, body) = collector.join().unwrap();
    let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let server = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(server.status.as_ref().unwrap().code(), status::StatusCode::Error);
    assert_eq!(attributes(server)["error.type"], "network");
    traces.shutdown();
    assert!(metrics.render().contains("weir_spans_total{result=\"failed\"} 1\n"));
    assert_eq!(traces.waiting.load(Ordering::Relaxed), 0);
}

#[test]
fn too_many_waiting_spans_are_dropped_and_counted() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let meters = meters(&metrics);
    let traces = Traces::start(&options("http://127.0.0.1:9".into()), &metrics).unwrap();
    traces.waiting.store(WAITING_MAX - 2, Ordering::Relaxed);
    traces.record(&exchange(&meters));
    assert!(metrics.render().contains("weir_spans_total{result=\"dropped\"} 3\n"));
    assert_eq!(traces.waiting.load(Ordering::Relaxed), WAITING_MAX - 2);
}

#[test]
fn endpoints() {
    assert_eq!(url("http://h:4318/").unwrap(), "http://h:4318/v1/traces");
    assert_eq!(url("https://h/otlp/v1/traces").unwrap(), "https://h/otlp/v1/traces");
    for bad in ["", "h:4318", "ftp://h", "http://"] {
        assert!(url(bad).unwrap_err().to_string().contains("http://127.0.0.1:4318"), "{bad}");
    }
    assert!(!format!("{:?}", options("http://h".into())).contains("s3cret"));
}
