//! Traces, metrics and logs by OTLP over HTTP (protobuf, gzip), with the GenAI semantic conventions of OpenTelemetry: off
//! unless an endpoint is set. Names, figures and ids only; content is never sent.
//!
//! A finished exchange is queued as it was recorded; a thread of its own makes of it what is sent, so that a request pays
//! for one allocation and no more, and never waits.
//!
//! # Layout
//!
//! - [`outbox`]: what waits to be sent.
//! - `sender`: the thread.
//! - `spans`, `figures`, `records`: what an exchange, the registry and a log line become.
//! - `words`: attributes.
//! - `carrier`: what brings it to the collector.

mod carrier;
mod figures;
pub mod outbox;
mod records;
mod sender;
mod spans;
mod words;

use super::metrics::Metrics;
use crate::config::GenAi;
pub use carrier::{Carrier, Carry, Reply};
use http::Uri;
pub use outbox::Outbox;
use outbox::Wants;
use sender::Sender;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What goes where.
#[derive(Clone, PartialEq)]
pub struct Options {
    /// Base URL of the collector, such as `http://127.0.0.1:4318`; `/v1/traces` and its like are added.
    pub endpoint: String,
    /// Extra headers, such as a token for the collector.
    pub headers: Vec<(String, String)>,
    /// Whether spans are sent.
    pub traces: bool,
    /// Share of the traces begun here that are recorded, 0 to 1. Callers decide for their own traces.
    pub share: f64,
    /// How often metrics are sent; `None`: never.
    pub metrics: Option<Duration>,
    /// Whether the lines of exchanges are sent.
    pub access: bool,
    /// Whether the process's warnings are sent.
    pub warnings: bool,
    /// Which names of the conventions are used.
    pub genai: GenAi,
}

impl Options {
    /// What a config asks for.
    #[must_use]
    pub fn of(config: &crate::config::Config) -> Option<Self> {
        let otlp = config.otlp.as_ref()?;
        // A header that is not text was refused when the config was read.
        let header = |(name, value): &(http::HeaderName, http::HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        Some(Self {
            endpoint: otlp.endpoint.to_string(),
            headers: otlp.headers.iter().filter_map(header).collect(),
            traces: otlp.traces,
            share: otlp.sample,
            metrics: otlp.metrics,
            access: otlp.logs && config.log.access,
            warnings: otlp.logs,
            genai: config.genai,
        })
    }
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

/// Nothing can be sent: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// Not a URL that we can send to.
    #[error("telemetry.otlp.endpoint `{0}`: write a URL like http://127.0.0.1:4318")]
    Endpoint(String),
    /// No runtime, or no thread.
    #[error("the OTLP client could not be set up: {0}")]
    Client(#[from] io::Error),
}

/// What is sent, and the thread that sends it.
pub struct Exporter {
    outbox: Outbox,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Exporter {
    /// Starts the thread. `carry` makes what brings messages to the collector.
    ///
    /// # Errors
    /// [`OtlpError`] says what is wrong with the endpoint or missing on this system.
    pub fn start(options: &Options, metrics: &Arc<Metrics>, carry: Carry) -> Result<Self, OtlpError> {
        let urls = urls(&options.endpoint)?;
        let wants = Wants { spans: options.traces, access: options.access, lines: options.warnings };
        let (outbox, items) = Outbox::new(wants, metrics);
        let sender = Sender::new((options, carry(options)?), urls, metrics, &outbox.stop);
        let thread =
            std::thread::Builder::new().name("weir-otlp".into()).spawn(move || sender.run(&items))?;
        Ok(Self { outbox, thread: Mutex::new(Some(thread)) })
    }

    /// The way in.
    #[must_use]
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Sends what is waiting. Blocks until it is sent or given up.
    pub fn flush(&self) {
        self.outbox.flush();
    }

    /// Sends what is waiting, for up to ten seconds, and ends the thread. Later items are dropped.
    pub fn shutdown(&self) {
        self.outbox.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The thread ends on its own; had it panicked there would be nobody left to tell.
        thread.map(JoinHandle::join);
    }
}

/// Where traces, metrics and logs go.
fn urls(endpoint: &str) -> Result<[Uri; 3], OtlpError> {
    let bad = || OtlpError::Endpoint(endpoint.to_owned());
    let base = endpoint.trim_end_matches('/').trim_end_matches("/v1/traces");
    let url = |signal: &str| format!("{base}/v1/{signal}").parse::<Uri>().map_err(|_| bad());
    let urls = [url("traces")?, url("metrics")?, url("logs")?];
    let sound = matches!(urls[0].scheme_str(), Some("http" | "https"))
        && urls[0].host().is_some_and(|host| !host.is_empty());
    if sound { Ok(urls) } else { Err(bad()) }
}

#[cfg(test)]
mod tests;
