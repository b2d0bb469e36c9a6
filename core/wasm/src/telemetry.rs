//! Where a component's logs and metrics go.

/// What a component said. Texts are safe: once content was read they are declared ones or `undeclared`.
#[derive(Debug, Clone, PartialEq)]
pub enum Record<'a> {
    /// A log line.
    Log {
        /// How grave.
        level: tracing::Level,
        /// A fixed text.
        message: &'a str,
        /// Names and values.
        fields: &'a [(String, String)],
    },
    /// An addition to a counter.
    Counter {
        /// Of this name.
        name: &'a str,
        /// So much.
        by: u64,
        /// Names and values.
        labels: &'a [(String, String)],
    },
    /// A value of a distribution.
    Observe {
        /// Of this name.
        name: &'a str,
        /// The value.
        value: f64,
        /// Names and values.
        labels: &'a [(String, String)],
    },
    /// A line for the decision trace.
    Explain {
        /// Which rule.
        rule: &'a str,
        /// Why it decided so.
        because: &'a str,
    },
}

/// Takes what components say. Called on the request's path: must not block.
pub trait Sink: Send + Sync {
    /// One record of a policy, within the exchange `request_id` (empty at load).
    fn record(&self, policy: &str, request_id: &str, record: Record<'_>);
}

/// The default: everything becomes a `tracing` event of target `weir::plugin`.
pub(crate) struct Tracing;

impl Sink for Tracing {
    fn record(&self, policy: &str, request_id: &str, record: Record<'_>) {
        match record {
            Record::Log { level, message, fields } => log(policy, request_id, level, message, fields),
            Record::Counter { name, by, labels } => {
                tracing::debug!(target: "weir::plugin", policy, request_id, counter = name, by, ?labels, "counter");
            }
            Record::Observe { name, value, labels } => {
                tracing::debug!(target: "weir::plugin", policy, request_id, name, value, ?labels, "observation");
            }
            Record::Explain { rule, because } => {
                tracing::debug!(target: "weir::plugin", policy, request_id, rule, because, "explanation");
            }
        }
    }
}

/// `tracing` fixes the level at the call site.
fn log(policy: &str, request_id: &str, level: tracing::Level, said: &str, fields: &[(String, String)]) {
    macro_rules! event {
        ($level:ident) => {
            tracing::event!(target: "weir::plugin", tracing::Level::$level, policy, request_id, said, ?fields, "plugin")
        };
    }
    match level {
        tracing::Level::ERROR => event!(ERROR),
        tracing::Level::WARN => event!(WARN),
        tracing::Level::INFO => event!(INFO),
        tracing::Level::DEBUG => event!(DEBUG),
        tracing::Level::TRACE => event!(TRACE),
    }
}
