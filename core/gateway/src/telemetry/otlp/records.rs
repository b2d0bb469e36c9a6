//! Log records: the line of each exchange and the warnings of the process, word for word as the log has them.

use super::outbox::Line;
use super::words::{any, nanos, text};
use crate::telemetry::access;
use crate::telemetry::record::Exchange;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use tracing::Level;

/// The access line, with the trace that the exchange belongs to.
pub(super) fn exchange(exchange: &Exchange) -> LogRecord {
    let mut line = Vec::new();
    access::line(exchange, |bytes| line.extend_from_slice(bytes.trim_ascii_end()));
    let trace = &exchange.trace;
    LogRecord {
        time_unix_nano: nanos(exchange.started_at + exchange.total),
        event_name: "weir.exchange".to_owned(),
        trace_id: trace.trace_id.to_be_bytes().to_vec(),
        span_id: trace.span_id.to_be_bytes().to_vec(),
        flags: u32::from(trace.recorded),
        attributes: vec![text("weir.request_id", &*exchange.request_id)],
        ..record(SeverityNumber::Info, "INFO", line)
    }
}

/// A warning or an error of the process.
pub(super) fn line(line: Line) -> LogRecord {
    let severity = if line.level == Level::ERROR { SeverityNumber::Error } else { SeverityNumber::Warn };
    let trace_id = trace_id(&line.text).map(|id| id.to_be_bytes().to_vec()).unwrap_or_default();
    LogRecord { time_unix_nano: nanos(line.at), trace_id, ..record(severity, line.level.as_str(), line.text) }
}

/// The trace that a line names. Inside of a text the key's quotes would be escaped.
fn trace_id(line: &[u8]) -> Option<u128> {
    const KEY: &[u8] = b"\"trace_id\":\"";
    let at = memchr::memmem::find(line, KEY)? + KEY.len();
    u128::from_str_radix(std::str::from_utf8(line.get(at..at + 32)?).ok()?, 16).ok()
}

fn record(severity: SeverityNumber, word: &str, line: Vec<u8>) -> LogRecord {
    LogRecord {
        observed_time_unix_nano: nanos(std::time::SystemTime::now()),
        severity_number: severity.into(),
        severity_text: word.to_owned(),
        body: Some(any(Value::StringValue(String::from_utf8_lossy(&line).into_owned()))),
        ..LogRecord::default()
    }
}
