//! The registry as OTLP metrics: cumulative since the process began, under the names of `/metrics`; the families of the
//! conventions for generative AI under theirs.

use super::words::{nanos, text};
use crate::config::GenAi;
use crate::telemetry::exemplars::{Exemplars, Mark};
use crate::telemetry::genai;
use crate::telemetry::metrics::Metrics;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
    exemplar, number_data_point,
};
use prometheus::proto::{self, MetricFamily, MetricType};
use std::time::SystemTime;

const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// From when to when.
type Times = (SystemTime, SystemTime);

/// Every series there is, now.
pub(super) fn of(metrics: &Metrics, names: GenAi, times: Times) -> Vec<Metric> {
    let mut all = Vec::new();
    for family in metrics.gather() {
        let metric = metric(&family, &metrics.exemplars, times);
        match genai::SETS.iter().find(|set| set.0 == family.name()) {
            Some(set) => renamed(metric, (set.1, set.2), names, &mut all),
            None => all.push(metric),
        }
    }
    all
}

/// How many data points they have.
pub(super) fn points(metrics: &[Metric]) -> usize {
    let points = |metric: &Metric| match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        _ => 0,
    };
    metrics.iter().map(points).sum()
}

fn metric(family: &MetricFamily, exemplars: &Exemplars, times: Times) -> Metric {
    let name = family.name();
    let numbers = |value: fn(&proto::Metric) -> f64| -> Vec<NumberDataPoint> {
        family.get_metric().iter().map(|metric| number(attributes(metric), value(metric), times)).collect()
    };
    let data = match family.get_field_type() {
        MetricType::COUNTER => sum(numbers(|metric| metric.get_counter().get_value())),
        MetricType::HISTOGRAM => {
            let point = |metric| histogram(metric, &exemplars.find(name, metric), times);
            buckets(family.get_metric().iter().map(point).collect())
        }
        _ => Data::Gauge(Gauge { data_points: numbers(|metric| metric.get_gauge().get_value()) }),
    };
    let whole = name.trim_end_matches("_total");
    let unit = match whole {
        _ if whole.ends_with("_seconds") => "s",
        _ if whole.ends_with("_bytes") => "By",
        genai::TOKEN_USAGE => "{token}",
        _ => "",
    };
    Metric {
        name: name.to_owned(),
        description: family.help().to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

const fn sum(data_points: Vec<NumberDataPoint>) -> Data {
    Data::Sum(Sum { data_points, aggregation_temporality: CUMULATIVE, is_monotonic: true })
}

const fn buckets(data_points: Vec<HistogramDataPoint>) -> Data {
    Data::Histogram(Histogram { data_points, aggregation_temporality: CUMULATIVE })
}

fn number(attributes: Vec<KeyValue>, value: f64, times: Times) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: nanos(times.0),
        time_unix_nano: nanos(times.1),
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn histogram(metric: &proto::Metric, marks: &[Option<Mark>], times: Times) -> HistogramDataPoint {
    let histogram = metric.get_histogram();
    let (mut counts, mut bounds, mut below) = (Vec::new(), Vec::new(), 0);
    for bucket in histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite()) {
        counts.push(bucket.cumulative_count() - below);
        bounds.push(bucket.upper_bound());
        below = bucket.cumulative_count();
    }
    counts.push(histogram.get_sample_count() - below);
    HistogramDataPoint {
        attributes: attributes(metric),
        start_time_unix_nano: nanos(times.0),
        time_unix_nano: nanos(times.1),
        count: histogram.get_sample_count(),
        sum: Some(histogram.get_sample_sum()),
        bucket_counts: counts,
        explicit_bounds: bounds,
        exemplars: marks.iter().flatten().map(exemplar).collect(),
        ..HistogramDataPoint::default()
    }
}

fn exemplar(mark: &Mark) -> Exemplar {
    Exemplar {
        time_unix_nano: nanos(mark.seen.at),
        span_id: mark.seen.span_id.to_be_bytes().to_vec(),
        trace_id: mark.seen.trace_id.to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(mark.value)),
        ..Exemplar::default()
    }
}

/// Labels; one that says nothing is left out.
fn attributes(metric: &proto::Metric) -> Vec<KeyValue> {
    let labels = metric.get_label().iter().filter(|label| !label.value().is_empty());
    labels
        .map(|label| {
            let known = genai::ATTRIBUTES.iter().find(|(name, _)| *name == label.name());
            text(known.map_or(label.name(), |(_, attribute)| attribute), label.value())
        })
        .collect()
}

/// A histogram of the conventions under the names that are wanted.
fn renamed(metric: Metric, (classic, latest): (&str, &str), names: GenAi, out: &mut Vec<Metric>) {
    let Some(Data::Histogram(Histogram { data_points, .. })) = &metric.data else { return };
    let mut add = |name: &str, points: Vec<HistogramDataPoint>| {
        if !points.is_empty() {
            out.push(Metric { name: name.to_owned(), data: Some(buckets(points)), ..metric.clone() });
        }
    };
    let is_tokens = latest.is_empty();
    let inferred =
        |point: &&HistogramDataPoint| genai::is_inference(attribute(point, "gen_ai.operation.name"));
    let part = |point: &&HistogramDataPoint| {
        !is_tokens || matches!(attribute(point, "gen_ai.token.type"), "input" | "output")
    };
    let newly = |point: &&HistogramDataPoint| names.latest() && (classic == latest || inferred(point));
    // What has no newer name keeps the one it has.
    let older = data_points.iter().filter(part).filter(|point| names.classic() || !newly(point));
    let older = older.filter(|_| !(classic == latest && names.latest()));
    add(classic, older.cloned().collect());
    let newer: Vec<HistogramDataPoint> = data_points.iter().filter(newly).cloned().collect();
    if is_tokens { tokens(&metric, newer, out) } else { add(latest, newer) }
}

/// Tokens by the newer names: a histogram for what goes in and one for what comes out, and counters for all kinds.
fn tokens(metric: &Metric, points: Vec<HistogramDataPoint>, out: &mut Vec<Metric>) {
    let kinds = [
        ("input", "input_tokens"),
        ("output", "output_tokens"),
        ("cache_read", "cache_read.input_tokens"),
        ("cache_write", "cache_write.input_tokens"),
        ("reasoning", "reasoning.output_tokens"),
    ];
    for (kind, name) in kinds {
        let of_kind = points.iter().filter(|point| attribute(point, "gen_ai.token.type") == kind).cloned();
        let of_kind: Vec<HistogramDataPoint> = of_kind
            .map(|mut point| {
                point.attributes.retain(|kv| kv.key != "gen_ai.token.type");
                point
            })
            .collect();
        if of_kind.is_empty() {
            continue;
        }
        let count = |point: &HistogramDataPoint| NumberDataPoint {
            attributes: point.attributes.clone(),
            start_time_unix_nano: point.start_time_unix_nano,
            time_unix_nano: point.time_unix_nano,
            value: Some(number_data_point::Value::AsDouble(point.sum.unwrap_or_default())),
            ..NumberDataPoint::default()
        };
        let counter = sum(of_kind.iter().map(count).collect());
        let name_of = |what: &str| format!("gen_ai.client.inference.{what}.{name}");
        out.push(Metric { name: name_of("usage"), data: Some(counter), ..metric.clone() });
        if matches!(kind, "input" | "output") {
            out.push(Metric { name: name_of("operation"), data: Some(buckets(of_kind)), ..metric.clone() });
        }
    }
}

fn attribute<'a>(point: &'a HistogramDataPoint, key: &str) -> &'a str {
    let found = point.attributes.iter().find(|kv| kv.key == key);
    match found.and_then(|kv| kv.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        _ => "",
    }
}
