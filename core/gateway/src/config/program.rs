//! The program's shape: parsed, resolved, checked; nothing here can be wrong any more.

use super::endpoint::Endpoint;
use super::secret::Secret;
use http::{HeaderName, HeaderValue};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use weir_llm::api::{Api, Dialect};
use weir_llm::price::Rate;
use weir_llm::terms::{Feature, Terms};
use weir_llm::vendor::Vendor;
use weir_policy::manifest::Surface;
use weir_policy::{Capability, Needs, Retention};

/// How Weir listens.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Where callers come in.
    pub listen: SocketAddr,
    /// Certificate and key; plain HTTP without.
    pub tls: Option<Tls>,
    /// Where health, metrics and the admin API are.
    pub admin: SocketAddr,
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// Where this gateway runs; may be empty.
    pub region: String,
    /// Bounds on what callers send.
    pub limits: Limits,
    /// How long to wait for callers.
    pub timeouts: ServerTimeouts,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Bounds on what callers send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one body.
    pub body: usize,
    /// Bytes that all bodies together may hold.
    pub buffered: usize,
    /// Bytes of one header.
    pub header: usize,
    /// Exchanges at one time.
    pub in_flight: u32,
    /// Exchanges of one key at one time; `None`: unbounded.
    pub per_key: Option<u32>,
    /// Connections of callers at one time.
    pub connections: u32,
    /// Least bytes a second of a body.
    pub min_rate: u64,
    /// How late timers may be.
    pub lag: Duration,
}

/// How long to wait for callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// For the next request on a connection to begin.
    pub idle: Duration,
    /// For a header, from its first byte to its last.
    pub header: Duration,
    /// For the whole body.
    pub body: Duration,
    /// For one piece of a reply to be written.
    pub write: Duration,
    /// For a caller that takes nothing.
    pub stall: Duration,
    /// For exchanges under way at shutdown.
    pub grace: Duration,
}

/// How postings are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerSync {
    /// Survives `kill -9`.
    Normal,
    /// Survives a power cut.
    Full,
}

/// Who serves models.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// Its name in targets.
    pub name: String,
    /// Built in, or reached over the network.
    pub kind: ProviderKind,
    /// What it speaks.
    pub speaks: Speaks,
    /// Where it differs from the maker of its dialect.
    pub vendor: &'static Vendor,
    /// Used in turn; may be empty.
    pub keys: Vec<Secret>,
    /// Added to every request; the values are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Where it runs; may be empty.
    pub region: String,
    /// How long it keeps content.
    pub retention: Retention,
    /// Whether it may train on content.
    pub trains: bool,
    /// Where the two come from, and what they do not extend to.
    pub terms: ProviderTerms,
    /// Requests at one time; `None`: unbounded.
    pub concurrency: Option<u32>,
    /// How far a stream is read on when its caller has left; `None`: it is cancelled.
    pub drain: Option<DrainBounds>,
    /// Root certificates (PEM) in place of the system's.
    pub ca: Option<PathBuf>,
    /// Certificate and key to show.
    pub client_cert: Option<Tls>,
    /// What leads there.
    pub proxy: Option<Proxy>,
    /// Which HTTP is spoken.
    pub http: Http,
    /// Most requests at a time on one HTTP/2 connection.
    pub streams: usize,
    /// Whether it is told of the trace.
    pub propagate: bool,
    /// How long to wait for it.
    pub timeouts: ProviderTimeouts,
}

/// What becomes of a stream whose caller has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDisconnect {
    /// It ends at once.
    Cancel,
    /// It is read to its end.
    Drain,
}

/// How far a stream without a caller is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainBounds {
    /// Time.
    pub max: Duration,
    /// Bytes.
    pub bytes: u64,
}

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Http {
    /// Over TLS what the other side prefers, in clear text HTTP/1.1.
    Auto,
    /// HTTP/1.1.
    One,
    /// HTTP/2 and nothing else; in clear text by prior knowledge.
    Two,
}

/// An HTTP proxy that is asked for tunnels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Name or literal address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<Secret>,
}

/// Whose word a provider's terms are, and how far they go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderTerms {
    /// What the provider does beside the model for which `retention` does not hold.
    pub excluded: Vec<Feature>,
    /// The provider's public terms, where `retention` and `trains` are those.
    pub public: Option<&'static Terms>,
    /// Whether the operator said them.
    pub operators: bool,
    /// What the operator's word rests on.
    pub attested: Option<String>,
}

/// What kind of provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderKind {
    /// The built-in simulated one.
    Sim,
    /// At a URL; `Endpoint::host` is also the name that TLS verifies.
    Http(Endpoint),
}

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speaks {
    /// `openai`: Chat Completions and Responses under one base URL; the caller's API decides.
    OpenAi,
    /// One dialect only.
    One(Dialect),
}

impl Speaks {
    /// The dialect in which a request of an API goes out; the caller's own where the provider has it.
    #[must_use]
    pub const fn toward(self, api: Api) -> Dialect {
        match (self, api) {
            (Self::One(dialect), _) => dialect,
            // Responses keeps a model's reasoning between the turns of a tool loop; chat cannot.
            (Self::OpenAi, Api::Responses | Api::Messages) => Dialect::OpenAiResponses,
            (Self::OpenAi, _) => Dialect::OpenAiChat,
        }
    }

    /// Whether the provider serves an API at all.
    #[must_use]
    pub const fn serves(self, api: Api) -> bool {
        api.is_conversation()
            || matches!(api, Api::CountTokens)
            || matches!(self, Self::OpenAi | Self::One(Dialect::OpenAiChat | Dialect::OpenAiResponses))
    }
}

/// How long to wait for a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderTimeouts {
    /// For the connection, TLS included.
    pub connect: Duration,
    /// From the request's last byte to the reply's first.
    pub first_byte: Duration,
    /// Between two pieces of a reply.
    pub idle: Duration,
    /// For the attempt.
    pub total: Duration,
}

/// A model name for callers.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    /// The name; never holds `/`.
    pub name: String,
    /// What may serve it, first choice first; never empty.
    pub targets: Vec<TargetRef>,
    /// How long replies are kept; `None`: they are not, unless a request asks.
    pub cache_ttl: Option<Duration>,
    /// Further tries at the same target.
    pub retries: u8,
    /// Attempts for one request.
    pub max_attempts: u8,
    /// Whether a target that cannot be told all that a caller asks for is refused rather than told the rest.
    pub strict: bool,
    /// Operator's labels.
    pub tags: Vec<String>,
}

/// A model at a provider, with what the operator says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetRef {
    /// Index into [`super::Config::providers`].
    pub provider: usize,
    /// The model name that the provider knows.
    pub model: String,
    /// Share in weighted plans, at least 1.
    pub weight: u16,
    /// Operator's labels.
    pub tags: Vec<String>,
    /// From 0 to 1.
    pub quality: Option<f32>,
    /// Requests at one time; `None`: unbounded.
    pub concurrency: Option<u32>,
    /// Context length in tokens; `None`: the catalogue's.
    pub context: Option<u32>,
    /// Longest output in tokens; `None`: the catalogue's.
    pub max_output: Option<u32>,
    /// What the model can do; `None`: nobody says.
    pub capabilities: Option<Needs>,
    /// What it costs; `None`: the catalogue's.
    pub rates: Option<Vec<Rate>>,
}

/// A policy to load; only enabled ones are here.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyBinding {
    /// The script or component; it was there when the config was read.
    pub file: PathBuf,
    /// What compiles it.
    pub engine: Engine,
    /// Checked against the policy's own schema when it is compiled; an empty object unless set.
    pub config: serde_json::Value,
    /// Aliases and `provider/model` names it is bound to; `None`: all.
    pub models: Option<Vec<String>>,
    /// What it may use.
    pub grants: Vec<Capability>,
    /// What may pass it unseen.
    pub except: Vec<Surface>,
    /// How a new version goes live; `None`: at once.
    pub ship: Option<ShipOptions>,
}

/// How a new version of a policy goes live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShipOptions {
    /// In shadow first.
    pub shadow: Option<ShadowOptions>,
    /// As a canary then.
    pub canary: Option<CanaryOptions>,
    /// Parts of 10,000 of all decisions that may change.
    pub max_changed: u16,
    /// How long a live version counts as young.
    pub rollback_window: Duration,
}

impl Default for ShipOptions {
    /// At once, with a way back for ten minutes.
    fn default() -> Self {
        Self { shadow: None, canary: None, max_changed: 2_000, rollback_window: Duration::from_secs(600) }
    }
}

/// How long a shadow lasts; without both it waits for a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowOptions {
    /// So many questions.
    pub requests: Option<u32>,
    /// So long.
    pub span: Option<Duration>,
}

/// How large a canary is and how long it lasts; without a time it waits for a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryOptions {
    /// Of 10,000 buckets of keys.
    pub share: u16,
    /// So long.
    pub span: Option<Duration>,
}

/// Who may sign policies.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Signing {
    /// Public keys.
    pub keys: Vec<minisign_verify::PublicKey>,
    /// Whether a policy without a signature is refused.
    pub required: bool,
}

/// What compiles a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A `.rhai` script.
    Rhai,
    /// A `.wasm` component.
    Wasm,
}

/// Where policies may call.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpAlias {
    /// What policies call it.
    pub name: String,
    /// Where it is, and what stands before every path.
    pub endpoint: Endpoint,
    /// Added to every call; the values are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long it keeps content.
    pub retention: Retention,
    /// Whether it may train on it.
    pub trains: bool,
    /// Where it is; may be empty.
    pub region: String,
    /// For a call from beginning to end.
    pub timeout: Duration,
    /// Bytes of a reply that a policy gets to see.
    pub max_reply: usize,
    /// Whether its address may lead into the operator's own networks.
    pub allow_private: bool,
    /// Whether it is told of the trace.
    pub propagate: bool,
}

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The least level that is written.
    pub level: Level,
    /// One line per exchange.
    pub access: bool,
}

/// A log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the usual five")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// As `tracing` filters spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Where traces, metrics and logs go.
#[derive(Debug, Clone, PartialEq)]
pub struct Otlp {
    /// The collector.
    pub endpoint: Endpoint,
    /// Added to every request to it; the values are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether spans are sent.
    pub traces: bool,
    /// Share of the traces begun here that are recorded, 0 to 1.
    pub sample: f64,
    /// How often metrics are sent; `None`: never.
    pub metrics: Option<Duration>,
    /// Whether log lines are sent.
    pub logs: bool,
}

/// Which names of the OpenTelemetry conventions for generative AI are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GenAi {
    /// Those of v1.41 of the semantic conventions.
    #[default]
    V1_41,
    /// Those that came after.
    Latest,
    /// Each figure under both names: for the time of a migration.
    Both,
}

impl GenAi {
    /// What the environment variable `OTEL_SEMCONV_STABILITY_OPT_IN` asks for.
    #[must_use]
    pub fn opted(list: &str) -> Self {
        let latest = list.split(',').any(|word| word.trim() == "gen_ai_latest_experimental");
        if latest { Self::Latest } else { Self::V1_41 }
    }

    /// Whether the names of v1.41 are sent.
    #[must_use]
    pub const fn classic(self) -> bool {
        matches!(self, Self::V1_41 | Self::Both)
    }

    /// Whether the newer names are sent.
    #[must_use]
    pub const fn latest(self) -> bool {
        matches!(self, Self::Latest | Self::Both)
    }
}
