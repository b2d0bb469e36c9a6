//! The registry in OpenMetrics 1.0, for scrapers that ask for it: as the plain text, and exemplars.

use super::exemplars::{Exemplars, Mark};
use prometheus::proto::{Metric, MetricFamily, MetricType};
use std::fmt::Write;
use std::time::UNIX_EPOCH;

/// Its content type.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether a scraper that accepts this wants it.
#[must_use]
pub(super) fn wanted(accept: &str) -> bool {
    accept
        .split(',')
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "application/openmetrics-text"))
}

/// The text.
#[must_use]
pub(super) fn render(families: &[MetricFamily], exemplars: &Exemplars) -> String {
    let mut out = String::with_capacity(32 << 10);
    for family in families {
        // Writing to a string cannot fail.
        let _ = self::family(&mut out, family, exemplars);
    }
    out.push_str("# EOF\n");
    out
}

fn family(out: &mut String, family: &MetricFamily, exemplars: &Exemplars) -> std::fmt::Result {
    let (name, kind) = match family.get_field_type() {
        MetricType::COUNTER => (family.name().trim_end_matches("_total"), "counter"),
        MetricType::HISTOGRAM => (family.name(), "histogram"),
        MetricType::GAUGE => (family.name(), "gauge"),
        _ => (family.name(), "unknown"),
    };
    writeln!(out, "# TYPE {name} {kind}")?;
    writeln!(out, "# HELP {name} {}", escaped(family.help()))?;
    for metric in family.get_metric() {
        let labels = labels(metric);
        match family.get_field_type() {
            MetricType::HISTOGRAM => histogram(out, name, metric, &exemplars.find(name, metric))?,
            MetricType::COUNTER => {
                writeln!(out, "{name}_total{} {}", braced(&labels), metric.get_counter().get_value())?
            }
            _ => writeln!(out, "{name}{} {}", braced(&labels), metric.get_gauge().get_value())?,
        }
    }
    Ok(())
}

fn histogram(out: &mut String, name: &str, metric: &Metric, marks: &[Option<Mark>]) -> std::fmt::Result {
    let (labels, histogram) = (labels(metric), metric.get_histogram());
    let comma = if labels.is_empty() { "" } else { "," };
    let bounds =
        histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    let all = bounds.filter(|(bound, _)| bound.is_finite()).map(|(bound, count)| (number(bound), count));
    let all = all.chain([("+Inf".to_owned(), histogram.get_sample_count())]);
    for (index, (bound, count)) in all.enumerate() {
        write!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}")?;
        if let Some(Some(Mark { value, seen })) = marks.get(index) {
            let at = seen.at.duration_since(UNIX_EPOCH).unwrap_or_default();
            write!(out, " # {{trace_id=\"{:032x}\",span_id=\"{:016x}\"}}", seen.trace_id, seen.span_id)?;
            write!(out, " {value} {}.{:03}", at.as_secs(), at.subsec_millis())?;
        }
        out.push('\n');
    }
    writeln!(out, "{name}_count{} {}", braced(&labels), histogram.get_sample_count())?;
    writeln!(out, "{name}_sum{} {}", braced(&labels), histogram.get_sample_sum())
}

fn labels(metric: &Metric) -> String {
    let pair = |(name, value): (&str, &str)| format!("{name}=\"{}\"", escaped(value));
    let all: Vec<_> = metric.get_label().iter().map(|label| pair((label.name(), label.value()))).collect();
    all.join(",")
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// As OpenMetrics writes bounds: `1.0`, not `1`.
fn number(bound: f64) -> String {
    format!("{bound:?}")
}
