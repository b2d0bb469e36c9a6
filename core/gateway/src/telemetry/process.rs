//! The process log: `tracing` events, and what Pingora says through the `log` crate, as JSON lines on the same sink.
//!
//! Only our own modules follow the configured level. Everybody else stays at `warn`: at `debug` and `trace` the HTTP
//! crates print whole headers, and with them keys.

use super::access::Line;
use super::otlp::Outbox;
use super::sink::Sink;
use std::io;
use std::time::SystemTime;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// What the sender says of itself.
const OWN: &str = "weir::telemetry::otlp";

/// Where lines go: to the log, and what is worth a warning to the collector too, if there is one.
#[derive(Clone)]
pub struct Lines {
    /// The log.
    pub sink: Sink,
    /// The collector.
    pub outbox: Option<Outbox>,
}

/// Sends `tracing` and `log` to `lines` from now on. A second call in one process changes nothing.
pub fn install(lines: &Lines, level: LevelFilter) {
    let subscriber = tracing_subscriber::registry().with(filter(level)).with(layer(lines.clone()));
    if tracing::subscriber::set_global_default(subscriber).is_ok()
        && log::set_boxed_logger(Box::new(Bridge(lines.clone()))).is_ok()
    {
        log::set_max_level(others_for_log(level));
    }
}

fn filter(level: LevelFilter) -> Targets {
    Targets::new().with_target("weir", level).with_default(others(level))
}

fn layer<S>(lines: Lines) -> impl tracing_subscriber::Layer<S>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    let json = tracing_subscriber::fmt::layer().json().flatten_event(true);
    json.with_current_span(false).with_span_list(false).with_writer(lines)
}

/// `warn`, or less if less is asked for.
fn others(level: LevelFilter) -> LevelFilter {
    level.min(LevelFilter::WARN)
}

fn others_for_log(level: LevelFilter) -> log::LevelFilter {
    if level == LevelFilter::OFF {
        log::LevelFilter::Off
    } else if level == LevelFilter::ERROR {
        log::LevelFilter::Error
    } else {
        log::LevelFilter::Warn
    }
}

impl Lines {
    fn write(&self, level: Level, target: &str, line: &[u8]) {
        self.sink.line(line);
        if let Some(outbox) = &self.outbox {
            outbox.line(level, target, line);
        }
    }
}

/// Writes one event.
pub struct Pen<'a> {
    lines: &'a Lines,
    level: Level,
    target: &'static str,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Pen<'a>;

    fn make_writer(&'a self) -> Pen<'a> {
        Pen { lines: self, level: Level::INFO, target: "" }
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> Pen<'a> {
        // Of the targets only one matters: what the collector must not be told.
        let own = meta.target().starts_with(OWN);
        Pen { lines: self, level: *meta.level(), target: if own { OWN } else { "" } }
    }
}

impl io::Write for Pen<'_> {
    /// The JSON layer writes each event with one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.write(self.level, self.target, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes what other crates say through `log`.
struct Bridge(Lines);

impl log::Log for Bridge {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let message = record.args().to_string();
        let mut out = Vec::with_capacity(128 + message.len());
        Line::begin(&mut out, SystemTime::now(), record.level().as_str(), record.target(), &message).end();
        let level = if record.level() == log::Level::Error { Level::ERROR } else { Level::WARN };
        self.0.write(level, record.target(), &out);
    }

    fn flush(&self) {
        self.0.sink.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::sink::Writer;
    use log::Log;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `say` logs, line by line.
    fn logged(level: LevelFilter, say: impl FnOnce(&Sink)) -> Vec<serde_json::Value> {
        let out = Shared::default();
        let writer = Writer::start(out.clone(), prometheus::IntCounter::new("d", "d").unwrap()).unwrap();
        let subscriber = tracing_subscriber::registry()
            .with(filter(level))
            .with(layer(Lines { sink: writer.sink(), outbox: None }));
        tracing::subscriber::with_default(subscriber, || say(&writer.sink()));
        writer.close();
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
    }

    #[test]
    fn our_events_and_the_bridges_lines_have_the_same_shape() {
        let lines = logged(LevelFilter::INFO, |sink| {
            tracing::warn!(target: "weir::reload", file = "a \"b\".rhai", "policy refused");
            let args = format_args!("cannot \"bind\"\n");
            log::set_max_level(log::LevelFilter::Warn);
            let record = log::Record::builder().level(log::Level::Error).target("pingora").args(args).build();
            Bridge(Lines { sink: sink.clone(), outbox: None }).log(&record);
        });
        let keys =
            |line: &serde_json::Value| line.as_object().unwrap().keys().take(3).cloned().collect::<Vec<_>>();
        assert_eq!(lines.len(), 2);
        assert_eq!(keys(&lines[0]), ["timestamp", "level", "message"]);
        assert_eq!(keys(&lines[1]), ["timestamp", "level", "message"]);
        assert_eq!(lines[0]["file"], "a \"b\".rhai");
        assert_eq!(lines[0]["target"], "weir::reload");
        assert_eq!(lines[1]["message"], "cannot \"bind\"\n");
        let stamp = |line: &serde_json::Value| line["timestamp"].as_str().unwrap()[..17].to_owned();
        assert_eq!(stamp(&lines[0]).len(), stamp(&lines[1]).len());
        assert!(lines.iter().all(|line| line["timestamp"].as_str().unwrap().len() == 27));
    }

    #[test]
    fn other_crates_never_get_to_print_headers() {
        let lines = logged(LevelFilter::TRACE, |_| {
            tracing::debug!(target: "h2::codec", header = "authorization: Bearer secret", "frame");
            tracing::info!(target: "hyper", "connected");
            tracing::debug!(target: "weir::exchange", "ours");
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["message"], "ours");
        assert_eq!(others_for_log(LevelFilter::TRACE), log::LevelFilter::Warn);
    }
}
