//! An OTLP collector over HTTP: keeps what it is sent, unpacks it and reads its protobuf.

use crate::{Act, Call, Upstream};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::collections::BTreeMap;
use std::io::Read;

/// A collector; it stops when dropped.
pub struct Collector(Upstream);

/// The three things that come, by their addresses.
pub const SIGNALS: [&str; 3] = ["traces", "metrics", "logs"];

impl Collector {
    /// Starts one.
    pub async fn start() -> Self {
        Self(Upstream::start(|_| Act::reply(200, &[("Content-Type", "application/x-protobuf")], b"")).await)
    }

    /// What goes into `telemetry.otlp.endpoint`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// What came of one signal, as it came.
    #[must_use]
    pub fn calls(&self, signal: &str) -> Vec<Call> {
        let line = format!("POST /v1/{signal}");
        self.0.calls().into_iter().filter(|call| call.line.starts_with(&line)).collect()
    }

    /// All that came of one signal: heads, and bodies unpacked.
    #[must_use]
    pub fn bytes(&self, signal: &str) -> Vec<u8> {
        self.calls(signal)
            .iter()
            .flat_map(|call| [call.raw.as_bytes(), &unpacked(call), b"\n"].concat())
            .collect()
    }

    /// Every span, with what sent it.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        let all = self.read::<ExportTraceServiceRequest>("traces").into_iter();
        all.flat_map(|all| all.resource_spans)
            .inspect(|all| named(all.resource.as_ref()))
            .flat_map(|all| all.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }

    /// The metrics that came last.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let last = self.read::<ExportMetricsServiceRequest>("metrics").pop();
        last.into_iter()
            .flat_map(|all| all.resource_metrics)
            .inspect(|all| named(all.resource.as_ref()))
            .flat_map(|all| all.scope_metrics)
            .flat_map(|scope| scope.metrics)
            .collect()
    }

    /// Every log record.
    #[must_use]
    pub fn records(&self) -> Vec<LogRecord> {
        let all = self.read::<ExportLogsServiceRequest>("logs").into_iter();
        all.flat_map(|all| all.resource_logs)
            .inspect(|all| named(all.resource.as_ref()))
            .flat_map(|all| all.scope_logs)
            .flat_map(|scope| scope.log_records)
            .collect()
    }

    fn read<M: Message + Default>(&self, signal: &str) -> Vec<M> {
        let read = |call: &Call| M::decode(unpacked(call).as_slice()).expect("a message of the protocol");
        self.calls(signal).iter().map(read).collect()
    }
}

/// The body of a request, unpacked if it is packed.
#[must_use]
pub fn unpacked(call: &Call) -> Vec<u8> {
    if call.get("content-encoding") != Some("gzip") {
        return call.body.clone();
    }
    let mut body = Vec::new();
    GzDecoder::new(call.body.as_slice()).read_to_end(&mut body).expect("gzip");
    body
}

fn named(resource: Option<&Resource>) {
    let resource = resource.expect("a resource");
    for key in ["service.name", "service.version", "service.instance.id"] {
        assert!(resource.attributes.iter().any(|kv| kv.key == key), "{key} is missing");
    }
}

/// Attributes as texts.
#[must_use]
pub fn facts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let value =
        |kv: &KeyValue| kv.value.as_ref().and_then(|any| any.value.as_ref()).map_or_else(String::new, text);
    attributes.iter().map(|kv| (kv.key.clone(), value(kv))).collect()
}

/// A value as text.
#[must_use]
pub fn text(value: &Value) -> String {
    match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        Value::ArrayValue(list) => {
            let texts = list.values.iter().filter_map(|any| any.value.as_ref()).map(text);
            texts.collect::<Vec<_>>().join(",")
        }
        other => format!("{other:?}"),
    }
}
