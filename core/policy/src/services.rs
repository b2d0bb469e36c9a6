//! What the host does for policies beyond the request: the capabilities that reach out of a call. Engines check the
//! grant, the taint and the budget, then ask these.

use crate::head::{Demands, Retention};
use crate::manifest::Capability;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A future that a service answers with.
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Whose call it is. The host makes keys and labels of it; a policy cannot choose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The policy's name.
    pub policy: Arc<str>,
    /// Organisation id; empty for a `shared` policy and outside of a request.
    pub tenant: Arc<str>,
    /// The exchange; empty outside of a request.
    pub request_id: Arc<str>,
    /// What the exchange asks of whoever sees its content.
    pub retention: Retention,
    /// What else it asks of them; `None`: nothing.
    pub demands: Option<Arc<Demands>>,
    /// Whether the call has read content, a header or an attribute.
    pub tainted: bool,
}

/// What an operator gives a policy.
#[derive(Clone)]
pub struct Grants {
    /// What it may use of what it asks for.
    pub capabilities: Vec<Capability>,
    /// Who does it.
    pub services: Arc<dyn Services>,
}

impl Grants {
    /// Everything, of a host with nothing to offer: for tools and tests.
    #[must_use]
    pub fn offline() -> Self {
        Self { capabilities: Capability::ALL.to_vec(), services: Arc::new(Offline) }
    }
}

/// The host's side of the capabilities.
pub trait Services: Send + Sync {
    /// A key's entry.
    ///
    /// # Errors
    /// [`KvError`].
    fn kv_get(&self, origin: &Origin, scope: Scope, key: &str) -> Result<Option<Entry>, KvError>;

    /// Writes; the new version.
    ///
    /// # Errors
    /// [`KvError`].
    fn kv_put(&self, origin: &Origin, scope: Scope, key: &str, put: Put<'_>) -> Result<u64, KvError>;

    /// Forgets a key.
    ///
    /// # Errors
    /// [`KvError`].
    fn kv_delete(&self, origin: &Origin, scope: Scope, key: &str) -> Result<(), KvError>;

    /// Adds to an integer; the sum.
    ///
    /// # Errors
    /// [`KvError`].
    fn kv_incr(
        &self,
        origin: &Origin,
        scope: Scope,
        key: &str,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<i64, KvError>;

    /// GCRA: whether `rate.cost` may pass the bucket now.
    ///
    /// # Errors
    /// [`KvError`].
    fn kv_take(&self, origin: &Origin, scope: Scope, bucket: &str, rate: Take) -> Result<bool, KvError>;

    /// One call to an alias of the operator's.
    fn http(&self, origin: &Origin, call: Outbound) -> Later<Result<Inbound, HttpError>>;

    /// A close estimate of a text's tokens for a model.
    fn tokens(&self, model: &str, text: &str) -> u32;

    /// A log line, counter, observation or explanation. Texts are safe: declared ones, or of a call that read nothing.
    fn record(&self, origin: &Origin, record: Record<'_>);

    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;

    /// A number that nobody can choose; not for secrets.
    fn random(&self) -> u64;
}

/// How far a key reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// All calls of the policy.
    Plugin,
    /// Calls for one organisation.
    Tenant,
    /// Calls of one exchange.
    Request,
}

impl Scope {
    /// All, in the order of the WIT.
    pub const ALL: [Self; 3] = [Self::Plugin, Self::Tenant, Self::Request];

    /// The WIT name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Tenant => "tenant",
            Self::Request => "request",
        }
    }
}

/// What is kept under a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Vec<u8>,
    /// Grows with each write.
    pub version: u64,
    /// What is left of its life.
    pub ttl_ms: Option<u64>,
}

/// What is written under a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Put<'a> {
    /// The value.
    pub value: &'a [u8],
    /// Only if the entry has this version still; 0: only if there is none.
    pub version: Option<u64>,
    /// How long it lives.
    pub ttl_ms: Option<u64>,
}

impl fmt::Debug for Entry {
    /// Without the value: what a policy keeps is its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({} bytes, version {}, ttl {:?})", self.value.len(), self.version, self.ttl_ms)
    }
}

impl fmt::Debug for Put<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Put({} bytes, version {:?}, ttl {:?})", self.value.len(), self.version, self.ttl_ms)
    }
}

/// What passes a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Take {
    /// Units now.
    pub cost: u64,
    /// Units that come back in a minute.
    pub per_min: u64,
    /// Units that a full bucket holds.
    pub burst: u64,
}

/// Why the store said no. Names are the WIT's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum KvError {
    /// Key, value or the policy's share.
    #[error("too large")]
    TooLarge,
    /// Another version, or no integer.
    #[error("conflict")]
    Conflict,
    /// Content was read, or the exchange leaves nothing behind.
    #[error("closed")]
    Closed,
    /// No store, or it does not answer.
    #[error("unavailable")]
    Unavailable,
}

impl KvError {
    /// All, in the order of the WIT.
    pub const ALL: [Self; 4] = [Self::TooLarge, Self::Conflict, Self::Closed, Self::Unavailable];

    /// The WIT name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::Conflict => "conflict",
            Self::Closed => "closed",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A call to an alias.
#[derive(Clone, PartialEq, Eq)]
pub struct Outbound {
    /// `GET`, `POST`, …
    pub method: String,
    /// An entry of the operator's list.
    pub host_alias: String,
    /// Below the alias's base URL.
    pub path: String,
    /// Beside the alias's own.
    pub headers: Vec<(String, String)>,
    /// May be content.
    pub body: Vec<u8>,
    /// 0: the alias's own.
    pub timeout_ms: u32,
}

/// What came back.
#[derive(Clone, PartialEq, Eq)]
pub struct Inbound {
    /// HTTP status.
    pub status: u16,
    /// All but cookies.
    pub headers: Vec<(String, String)>,
    /// As far as the alias's bound.
    pub body: Vec<u8>,
    /// Whether there was more.
    pub truncated: bool,
}

/// Why a call failed. Names are the WIT's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HttpError {
    /// No such alias, or its terms are too loose for this exchange.
    #[error("not granted")]
    NotGranted,
    /// A method, path or header that HTTP does not allow.
    #[error("invalid")]
    Invalid,
    /// No answer in time.
    #[error("timeout")]
    Timeout,
    /// No connection.
    #[error("connect")]
    Connect,
    /// No trust.
    #[error("tls")]
    Tls,
    /// More than the host passes on.
    #[error("too large")]
    TooLarge,
    /// More calls than one hook may make.
    #[error("over budget")]
    Budget,
}

impl HttpError {
    /// All, in the order of the WIT.
    pub const ALL: [Self; 7] = [
        Self::NotGranted,
        Self::Invalid,
        Self::Timeout,
        Self::Connect,
        Self::Tls,
        Self::TooLarge,
        Self::Budget,
    ];

    /// The WIT name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotGranted => "not-granted",
            Self::Invalid => "invalid",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::TooLarge => "too-large",
            Self::Budget => "budget",
        }
    }
}

/// What a policy says to operators.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Record<'a> {
    /// A log line.
    Log {
        /// How grave.
        level: Level,
        /// What.
        message: &'a str,
        /// Names and values.
        fields: &'a [(String, String)],
    },
    /// A counter.
    Counter {
        /// Its name.
        name: &'a str,
        /// By how much it grows.
        by: u64,
        /// Label names and values.
        labels: &'a [(String, String)],
    },
    /// An observation of a histogram.
    Observe {
        /// Its name.
        name: &'a str,
        /// The value.
        value: f64,
        /// Label names and values.
        labels: &'a [(String, String)],
    },
    /// A line of the exchange's decision trace.
    Explain {
        /// Which rule.
        rule: &'a str,
        /// Why.
        because: &'a str,
    },
}

/// How grave a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the usual five")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    /// All, in the order of the WIT.
    pub const ALL: [Self; 5] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// The WIT name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A host with nothing to offer but a clock: for tools that compile a policy without a gateway. Keys are kept nowhere, no
/// call leaves the machine, what is recorded goes nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offline;

impl Services for Offline {
    fn kv_get(&self, _: &Origin, _: Scope, _: &str) -> Result<Option<Entry>, KvError> {
        Err(KvError::Unavailable)
    }

    fn kv_put(&self, _: &Origin, _: Scope, _: &str, _: Put<'_>) -> Result<u64, KvError> {
        Err(KvError::Unavailable)
    }

    fn kv_delete(&self, _: &Origin, _: Scope, _: &str) -> Result<(), KvError> {
        Err(KvError::Unavailable)
    }

    fn kv_incr(&self, _: &Origin, _: Scope, _: &str, _: i64, _: Option<u64>) -> Result<i64, KvError> {
        Err(KvError::Unavailable)
    }

    fn kv_take(&self, _: &Origin, _: Scope, _: &str, _: Take) -> Result<bool, KvError> {
        Err(KvError::Unavailable)
    }

    fn http(&self, _: &Origin, _: Outbound) -> Later<Result<Inbound, HttpError>> {
        Box::pin(std::future::ready(Err(HttpError::NotGranted)))
    }

    fn tokens(&self, _: &str, text: &str) -> u32 {
        u32::try_from(text.len().div_ceil(4)).unwrap_or(u32::MAX)
    }

    fn record(&self, _: &Origin, _: Record<'_>) {}

    fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn random(&self) -> u64 {
        use std::hash::{BuildHasher, Hasher};
        std::hash::RandomState::new().build_hasher().finish()
    }
}
