//! What an OpenTelemetry collector sees of real requests: traces, metrics and logs, by the conventions' names, each in its
//! place; and who is told of a trace.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use weir_tests::collector::{SIGNALS, facts, text};
use weir_tests::{Act, Collector, Gateway, Setup, Upstream, reply};

/// Routes in the operator's order, asks a service beside Weir, and is seen doing it.
const ORDER: &str = "//! name: order
//! version: 1.0.0
//! hooks: [route]
//! capabilities: [targets, http]
//! http: [beside]
//! on_failure: static-plan

fn route(head, targets, config) {
    http_send(#{ method: \"POST\", host_alias: \"beside\", path: \"/seen\", headers: #{}, body: \"x\" });
    plan(targets.healthy())
}
";

/// Fails, which is worth a warning.
const FAILS: &str = "//! name: fails
//! version: 1.0.0
//! hooks: [guard]
//! on_failure: open

fn guard(request, config) { throw \"always\"; }
";

/// Every attribute that a span may have; whoever adds one answers for it here. No content, no key, no tenant.
const ATTRIBUTES: &str = "gen_ai.operation.name gen_ai.request.model gen_ai.request.stream gen_ai.provider.name \
    gen_ai.response.model gen_ai.response.finish_reasons gen_ai.response.time_to_first_chunk \
    gen_ai.usage.input_tokens gen_ai.usage.output_tokens gen_ai.usage.cache_read.input_tokens \
    gen_ai.usage.cache_creation.input_tokens gen_ai.usage.reasoning.output_tokens error.type server.address \
    server.port http.response.status_code weir.request_id weir.api weir.outcome weir.cache weir.generation \
    weir.overhead_us weir.charged_nanodollars weir.provider weir.policy.name weir.policy.version weir.policy.hook \
    weir.policy.verdict";

/// The metrics of the conventions' v1.41 that these requests make.
const GENAI: [&str; 7] = [
    "gen_ai.client.operation.duration",
    "gen_ai.client.operation.time_per_output_chunk",
    "gen_ai.client.operation.time_to_first_chunk",
    "gen_ai.client.token.usage",
    "gen_ai.server.request.duration",
    "gen_ai.server.time_per_output_token",
    "gen_ai.server.time_to_first_token",
];

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

struct Seen {
    collector: Collector,
    one: Upstream,
    two: Upstream,
    beside: Upstream,
    /// Ids of the requests: plain, streamed, fallen back, refused, of a trace that is not recorded.
    ids: Vec<String>,
    /// What `/metrics` said before the end.
    scraped: String,
}

fn ask(more: &Value) -> Value {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hello" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn seen(telemetry: &str) -> Seen {
    let collector = Collector::start().await;
    let one = Upstream::start(|call| match call.json()["seed"].as_u64() {
        Some(500) => Act::json(500, &reply::error("server_error", "oops", "as scripted")),
        _ => Act::answers(call, "fine words of mine"),
    });
    let (one, two) = (one.await, Upstream::saying("the other's words").await);
    let beside = Upstream::start(|_| Act::says("thanks")).await;
    let setup = Setup::new(format!(
        "providers:
  one: {{ base_url: 'http://{}/v1', keys: [sk-1], propagate: true }}
  two: {{ base_url: 'http://{}/v1', keys: [sk-2] }}
models:
  m: {{ targets: [one/m1, two/m2], retries: 0 }}
http: {{ beside: {{ base_url: 'http://{}', allow_private: true, propagate: true }} }}
policies: [{{ file: order.rhai, grants: [targets, http] }}, {{ file: fails.rhai }}]
telemetry: {{ otlp: {{ endpoint: '{}', logs: true, headers: {{ x-token: t0ken }} }}, {telemetry} }}
",
        one.address,
        two.address,
        beside.address,
        collector.endpoint()
    ));
    let mut gateway: Gateway = setup.file("order.rhai", ORDER).file("fails.rhai", FAILS).start().await;
    let key = gateway.key(&[]);
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let mut ids = Vec::new();
    for (more, headers) in [
        (json!({}), vec![("traceparent", parent.as_str()), ("tracestate", "them=1")]),
        (json!({ "stream": true }), vec![]),
        (json!({ "seed": 500 }), vec![]),
        (json!({ "model": "nobody" }), vec![]),
        (json!({}), vec![("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")]),
    ] {
        let reply = gateway.chat_with(&key, &ask(&more), &headers).await;
        assert_eq!(reply.status(), if more["model"] == "nobody" { 404 } else { 200 }, "{reply:?}");
        ids.push(reply.id().to_owned());
    }
    let scraped = gateway.get_admin("/metrics").await.text();
    gateway.stop().await;
    Seen { collector, one, two, beside, ids, scraped }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The server span of a request, and what hangs below it.
fn tree<'a>(spans: &'a [Span], id: &str) -> (&'a Span, Vec<&'a Span>) {
    let of = |span: &&Span| facts(&span.attributes).get("weir.request_id").is_some_and(|found| found == id);
    let server = spans.iter().find(of).unwrap_or_else(|| panic!("{id} has no span"));
    assert_eq!(server.kind(), SpanKind::Server);
    let below = spans.iter().filter(|span| span.parent_span_id == server.span_id);
    let below: Vec<_> = below.inspect(|span| assert_eq!(span.trace_id, server.trace_id)).collect();
    (server, below)
}

fn clients<'a>(below: &[&'a Span]) -> Vec<&'a Span> {
    below.iter().copied().filter(|span| span.kind() == SpanKind::Client).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_sees_traces_metrics_and_logs() {
    let seen = seen("genai: '1.41'").await;
    for signal in SIGNALS {
        let calls = seen.collector.calls(signal);
        assert!(!calls.is_empty(), "{signal} came");
        for call in calls {
            assert_eq!(call.get("content-type"), Some("application/x-protobuf"));
            assert_eq!((call.get("content-encoding"), call.get("x-token")), (Some("gzip"), Some("t0ken")));
        }
    }
    traces(&seen);
    metrics(&seen);
    logs(&seen);
}

fn traces(seen: &Seen) {
    let spans = seen.collector.spans();
    let allowed: BTreeSet<&str> = ATTRIBUTES.split_whitespace().collect();
    for span in &spans {
        let facts = facts(&span.attributes);
        let unknown: Vec<_> = facts.keys().filter(|key| !allowed.contains(key.as_str())).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", span.name);
        if span.kind() != SpanKind::Internal {
            for key in ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"] {
                assert!(facts.contains_key(key), "{} has no {key}: {facts:?}", span.name);
            }
        }
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{}", span.name);
    }
    let [plain, streamed, fallen, refused, unrecorded] = &seen.ids[..] else { panic!("five requests") };

    let (server, below) = tree(&spans, plain);
    assert_eq!((server.name.as_str(), hex(&server.trace_id).as_str()), ("chat m", TRACE));
    assert_eq!(hex(&server.parent_span_id), PARENT, "it continues the caller's trace");
    let [client] = clients(&below)[..] else { panic!("one attempt") };
    let said = facts(&client.attributes);
    assert_eq!((client.name.as_str(), said["gen_ai.request.model"].as_str()), ("chat m1", "m1"));
    let address = seen.one.address.ip().to_string();
    assert_eq!((said["server.address"].as_str(), said["weir.provider"].as_str()), (address.as_str(), "one"));
    assert_eq!(
        (said["gen_ai.usage.input_tokens"].as_str(), said["gen_ai.provider.name"].as_str()),
        ("100", "one")
    );
    for span in [server, client] {
        let said = facts(&span.attributes);
        assert_eq!(said["gen_ai.response.model"], "m1", "{}", span.name);
        assert_eq!(said["gen_ai.response.finish_reasons"], "stop", "{}", span.name);
    }
    let policies: BTreeSet<&str> = below
        .iter()
        .filter(|span| span.kind() == SpanKind::Internal)
        .map(|span| span.name.as_str())
        .collect();
    assert_eq!(policies, BTreeSet::from(["guard fails", "route order"]));
    let failed = below.iter().find(|span| span.name == "guard fails").unwrap();
    assert_eq!(failed.status.as_ref().unwrap().code(), StatusCode::Error);

    // Who is told of the trace: the provider and the service for which the operator says so.
    let called = seen.one.calls();
    assert_eq!(
        called[0].get("traceparent"),
        Some(format!("00-{TRACE}-{}-01", hex(&client.span_id)).as_str())
    );
    assert_eq!(called[0].get("tracestate"), Some("them=1"));
    assert_eq!(called[1].get("tracestate"), None, "the caller had none");
    let beside = seen.beside.calls();
    assert_eq!(
        beside[0].get("traceparent"),
        Some(format!("00-{TRACE}-{}-01", hex(&server.span_id)).as_str())
    );
    for call in seen.two.calls() {
        assert!(call.get("traceparent").is_none() && call.get("tracestate").is_none(), "a third party");
    }

    let (server, below) = tree(&spans, streamed);
    let said = facts(&server.attributes);
    assert_eq!((said["gen_ai.request.stream"].as_str(), said["weir.outcome"].as_str()), ("true", "ok"));
    assert!(server.parent_span_id.is_empty(), "a trace of our own");
    let named = (said["gen_ai.response.model"].as_str(), said["gen_ai.response.finish_reasons"].as_str());
    assert_eq!(named, ("m1", "stop"), "a stream that passes as bytes says both");
    assert!(facts(&clients(&below)[0].attributes).contains_key("gen_ai.response.time_to_first_chunk"));

    let (_, below) = tree(&spans, fallen);
    let mut attempts = clients(&below);
    attempts.sort_by_key(|span| span.start_time_unix_nano);
    let [first, second] = attempts[..] else { panic!("two attempts") };
    assert_eq!(first.status.as_ref().unwrap().code(), StatusCode::Error);
    assert_eq!(facts(&first.attributes)["error.type"], "server-error");
    assert_eq!(facts(&second.attributes)["weir.provider"], "two");

    let (server, below) = tree(&spans, refused);
    let said = facts(&server.attributes);
    assert_eq!(
        (said["weir.outcome"].as_str(), said["http.response.status_code"].as_str()),
        ("refused", "404")
    );
    assert!(clients(&below).is_empty(), "nobody was asked");

    let ids: BTreeSet<_> =
        spans.iter().filter_map(|span| facts(&span.attributes).remove("weir.request_id")).collect();
    assert!(!ids.contains(unrecorded), "the caller's flag says no");
    let last = called.last().unwrap();
    let untouched = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    assert_eq!(
        last.get("traceparent"),
        Some(untouched),
        "its trace does not break at a span that nobody sees"
    );
}

fn metrics(seen: &Seen) {
    let all = seen.collector.metrics();
    let sent: BTreeSet<&str> = all.iter().map(|metric| metric.name.as_str()).collect();
    let genai: Vec<&str> = sent.iter().copied().filter(|name| name.starts_with("gen_ai")).collect();
    assert_eq!(genai, GENAI);
    // One truth: whatever `/metrics` shows is sent, under the same name.
    let shown = seen.scraped.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let missing: Vec<&str> =
        shown.filter(|name| !name.starts_with("gen_ai") && !sent.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?} are in /metrics only");
    let duration = all.iter().find(|metric| metric.name == "weir_request_duration_seconds").unwrap();
    let Some(Data::Histogram(histogram)) = &duration.data else { panic!("a histogram") };
    let traces: BTreeSet<String> = histogram
        .data_points
        .iter()
        .flat_map(|point| &point.exemplars)
        .map(|mark| hex(&mark.trace_id))
        .collect();
    let spans: BTreeSet<String> = seen.collector.spans().iter().map(|span| hex(&span.trace_id)).collect();
    assert!(!traces.is_empty() && traces.is_subset(&spans), "exemplars lead to spans: {traces:?}");
    let requests = all.iter().find(|metric| metric.name == "gen_ai.server.request.duration").unwrap();
    let Some(Data::Histogram(histogram)) = &requests.data else { panic!("a histogram") };
    assert_eq!(histogram.data_points.iter().map(|point| point.count).sum::<u64>(), 5);
    let refused = histogram.data_points.iter().map(|point| facts(&point.attributes));
    assert!(refused.into_iter().any(|facts| facts.get("error.type").is_some_and(|error| error == "refused")));
}

fn logs(seen: &Seen) {
    let records = seen.collector.records();
    let body = |record: &opentelemetry_proto::tonic::logs::v1::LogRecord| -> Value {
        let value = record.body.as_ref().and_then(|any| any.value.as_ref()).map(text).unwrap();
        serde_json::from_str(&value).unwrap()
    };
    let lines: Vec<_> = records.iter().filter(|record| record.event_name == "weir.exchange").collect();
    let mut ids: Vec<String> =
        lines.iter().map(|record| body(record)["request_id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    assert_eq!(ids, seen.ids, "ids grow");
    let plain = lines.iter().map(|record| body(record)).find(|line| line["request_id"] == *seen.ids[0]);
    assert_eq!(plain.unwrap()["finish_reasons"], json!(["stop"]));
    for record in lines {
        assert_eq!((record.severity_text.as_str(), record.span_id.len()), ("INFO", 8));
        assert_eq!(body(record)["trace_id"], hex(&record.trace_id));
    }
    let warnings = || records.iter().filter(|record| record.severity_text == "WARN");
    assert!(warnings().all(|record| record.severity_number == 13));
    assert!(warnings().any(|record| body(record)["message"] == "a policy failed"), "{records:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newer_names_are_there_for_the_asking() {
    let seen = seen("genai: latest").await;
    let all = seen.collector.metrics();
    let sent: BTreeSet<&str> =
        all.iter().map(|metric| metric.name.as_str()).filter(|name| name.starts_with("gen_ai")).collect();
    for name in [
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.time_per_output_chunk",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
    ] {
        assert!(sent.contains(name), "{name} is not among {sent:?}");
    }
    assert!(
        !sent.contains("gen_ai.client.token.usage") && !sent.contains("gen_ai.client.operation.duration")
    );
}
