//! The file's shape. The doc comments of the fields are the reference: `weir schema` and the README are made of them.

use super::choice::{Ability, BuiltinName, FeatureName, GenAiNames, Grant, SurfaceName};
use super::place::{At, Table};
use super::program::{Http, LedgerSync, Level, OnDisconnect, Speaks};
use super::scalar::VendorName;
use super::scalar::{
    Address, Any, Count, FilePath, Flag, Hidden, Kept, Name, Percent, Price, Share, SigningKey, Size, Span,
    TargetName, Text, Url,
};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What is used where the file says nothing: parsed like the file itself.
pub(super) mod default {
    pub(crate) const LISTEN: &str = "127.0.0.1:8080";
    pub(crate) const ADMIN: &str = "127.0.0.1:8081";
    pub(crate) const BODY: &str = "32MiB";
    pub(crate) const BUFFERED: &str = "512MiB";
    pub(crate) const HEADER: &str = "64KiB";
    pub(crate) const IN_FLIGHT: &str = "10000";
    pub(crate) const ON_DISCONNECT: &str = "cancel";
    pub(crate) const DRAIN_TIME: &str = "30s";
    pub(crate) const DRAIN_BYTES: &str = "4MiB";
    pub(crate) const CONNECTIONS: &str = "20000";
    pub(crate) const MIN_RATE: &str = "512";
    pub(crate) const LAG: &str = "500ms";
    pub(crate) const IDLE_TIME: &str = "75s";
    pub(crate) const HEADER_TIME: &str = "10s";
    pub(crate) const BODY_TIME: &str = "30s";
    pub(crate) const WRITE_TIME: &str = "60s";
    pub(crate) const STALL_TIME: &str = "12s";
    pub(crate) const GRACE: &str = "30s";
    pub(crate) const DATA: &str = ".weir";
    pub(crate) const SYNC: &str = "normal";
    pub(crate) const STRICT: &str = "false";
    pub(crate) const RETENTION: &str = "unknown";
    pub(crate) const CORE_DUMPS: &str = "false";
    pub(crate) const HTTP: &str = "auto";
    pub(crate) const STREAMS: &str = "100";
    pub(crate) const CONNECT: &str = "5s";
    pub(crate) const FIRST_BYTE: &str = "60s";
    pub(crate) const IDLE: &str = "60s";
    pub(crate) const TOTAL: &str = "600s";
    pub(crate) const WEIGHT: &str = "1";
    pub(crate) const RETRIES: &str = "1";
    pub(crate) const MAX_ATTEMPTS: &str = "4";
    pub(crate) const DIRECT: &str = "true";
    pub(crate) const ENABLED: &str = "true";
    pub(crate) const OPTIONAL: &str = "false";
    pub(crate) const CACHE_BYTES: &str = "64MiB";
    pub(crate) const MAX_CHANGED: &str = "20%";
    pub(crate) const ROLLBACK_WINDOW: &str = "10m";
    pub(crate) const SIGNED: &str = "false";
    pub(crate) const LEVEL: &str = "info";
    pub(crate) const ACCESS: &str = "true";
    pub(crate) const CALL_TIME: &str = "5s";
    pub(crate) const REPLY: &str = "256KiB";
    pub(crate) const PRIVATE: &str = "false";
    pub(crate) const KV_BYTES: &str = "16MiB";
    pub(crate) const EXPLAIN_KEPT: &str = "100";
    pub(crate) const TRACES: &str = "true";
    pub(crate) const SAMPLE: &str = "100%";
    pub(crate) const METRICS: &str = "true";
    pub(crate) const INTERVAL: &str = "15s";
    pub(crate) const LOGS: &str = "false";
    pub(crate) const PROPAGATE: &str = "false";
}

/// The JSON value of a default that is no string.
fn literal(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// Configuration of Weir, the programmable LLM gateway. Every string may hold `${env:NAME}` and `${file:PATH}`; `$${`
/// writes a literal `${`. Relative paths start at this file's folder.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "weir.yaml")]
pub(super) struct File {
    /// Where and how Weir listens.
    #[serde(default)]
    pub(super) server: ServerFile,
    /// Folder of the ledger, the pepper and the compiled plugins. Needs a restart.
    #[schemars(extend("default" = default::DATA))]
    pub(super) data: Option<At<FilePath>>,
    /// How postings are stored.
    #[serde(default)]
    pub(super) ledger: LedgerFile,
    /// Who serves models, by name.
    #[serde(default)]
    pub(super) providers: Table<ProviderFile>,
    /// What callers may ask for as `model`, by name.
    #[serde(default)]
    pub(super) models: Table<ModelFile>,
    /// Whether callers may also name a model as `provider/model`, past every alias.
    #[schemars(extend("default" = literal(default::DIRECT)))]
    pub(super) direct: Option<At<Flag>>,
    /// Scripts and plugins, asked in this order.
    #[serde(default)]
    pub(super) policies: Vec<PolicyFile>,
    /// Where policies with the capability `http` may call, by alias: a-z, 0-9 and `-`.
    #[serde(default)]
    pub(super) http: Table<HttpFile>,
    /// The key-value store of policies with the capability `kv`.
    #[serde(default)]
    pub(super) kv: KvFile,
    /// Who may sign policies.
    #[serde(default)]
    pub(super) signing: SigningFile,
    /// A JSON file of prices and limits that extends and overrides the embedded catalogue.
    pub(super) catalogue: Option<At<FilePath>>,
    /// The response cache, shared by all models that switch it on.
    #[serde(default)]
    pub(super) cache: CacheFile,
    /// What may be left behind of content on this machine.
    #[serde(default)]
    pub(super) privacy: PrivacyFile,
    /// Logs and traces.
    #[serde(default)]
    pub(super) telemetry: TelemetryFile,
    /// The admin API.
    #[serde(default)]
    pub(super) admin: AdminFile,
}

/// Where and how Weir listens.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerFile {
    /// Address for callers. Needs a restart.
    #[schemars(extend("default" = default::LISTEN))]
    pub(super) listen: Option<At<Address>>,
    /// Certificate and key for callers; plain HTTP without it. Needs a restart.
    pub(super) tls: Option<TlsFile>,
    /// Address for health, metrics and the admin API. Needs a restart.
    #[schemars(extend("default" = default::ADMIN))]
    pub(super) admin: Option<At<Address>>,
    /// Worker threads; the number of cores unless set. Needs a restart.
    pub(super) workers: Option<At<Count<1, 1024>>>,
    /// Where this gateway runs; policies see it.
    #[schemars(extend("default" = ""))]
    pub(super) region: Option<At<Text>>,
    /// Bounds on what callers send.
    #[serde(default)]
    pub(super) limits: LimitsFile,
    /// How long Weir waits for callers.
    #[serde(default)]
    pub(super) timeouts: ServerTimeoutsFile,
}

/// Certificate and key, as PEM files.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFile {
    /// The certificate chain.
    pub(super) cert: At<FilePath>,
    /// The private key.
    pub(super) key: At<FilePath>,
}

/// Bounds on what callers send.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsFile {
    /// Longest request body; a longer one is answered with 413.
    #[schemars(extend("default" = default::BODY))]
    pub(super) body: Option<At<Size>>,
    /// Bytes that all bodies together may hold in memory; at the bound new requests are answered with 503.
    #[schemars(extend("default" = default::BUFFERED))]
    pub(super) buffered: Option<At<Size>>,
    /// Longest request header, from 4KiB to 1MiB.
    #[schemars(extend("default" = default::HEADER))]
    pub(super) header: Option<At<Size>>,
    /// Exchanges at one time; more are answered with 503.
    #[schemars(extend("default" = literal(default::IN_FLIGHT)))]
    pub(super) in_flight: Option<At<Count<1, 1_000_000>>>,
    /// Exchanges of one key at one time, for keys that say nothing else (`weir key create --concurrency`); more are
    /// answered with 429. Unbounded unless set.
    pub(super) per_key: Option<At<Count<1, 1_000_000>>>,
    /// Connections of callers at one time. Past that the ones that wait longest for a request are closed; if none waits,
    /// the new one is. Needs a restart.
    #[schemars(extend("default" = literal(default::CONNECTIONS)))]
    pub(super) connections: Option<At<Count<1, 1_000_000>>>,
    /// Least bytes a second of a request body, on average after its first ten seconds; a slower one is answered with 408.
    #[schemars(extend("default" = default::MIN_RATE))]
    pub(super) min_rate: Option<At<Size>>,
    /// How late Weir's own timers may be for a second on end, before new requests are answered with 503: the machine has
    /// more to do than it can.
    #[schemars(extend("default" = default::LAG))]
    pub(super) lag: Option<At<Span>>,
}

/// How long Weir waits for callers.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerTimeoutsFile {
    /// For the next request on a connection to begin; then it is closed. As `header` where only that is set.
    #[schemars(extend("default" = default::IDLE_TIME))]
    pub(super) idle: Option<At<Span>>,
    /// For a request's header, from its first byte to its last; then the connection is closed.
    #[schemars(extend("default" = default::HEADER_TIME))]
    pub(super) header: Option<At<Span>>,
    /// For the whole body; then 408.
    #[schemars(extend("default" = default::BODY_TIME))]
    pub(super) body: Option<At<Span>>,
    /// For one piece of a reply to be written, however slowly its caller reads; then that counts as gone.
    #[schemars(extend("default" = default::WRITE_TIME))]
    pub(super) write: Option<At<Span>>,
    /// For a caller that takes nothing at all of what it is sent; then it counts as gone. At most `write`. Needs a restart.
    #[schemars(extend("default" = default::STALL_TIME))]
    pub(super) stall: Option<At<Span>>,
    /// For exchanges under way when Weir is told to stop; it stops sooner when they are done.
    #[schemars(extend("default" = default::GRACE))]
    pub(super) grace: Option<At<Span>>,
}

/// How postings are stored.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LedgerFile {
    /// `normal` survives `kill -9`, `full` also a power cut. Needs a restart.
    #[schemars(extend("default" = default::SYNC))]
    pub(super) sync: Option<At<LedgerSync>>,
}

/// A provider: either `builtin`, or `base_url` or `vendor` and what belongs to it.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderFile {
    /// `sim`: the built-in simulated provider, for trying things out and for tests.
    pub(super) builtin: Option<At<BuiltinName>>,
    /// Where its API is, with the version: `https://api.openai.com/v1`. The vendor's unless set.
    pub(super) base_url: Option<At<Url>>,
    /// The protocol it speaks; `openai` is `openai-chat` and `openai-responses`. The vendor's unless set, and
    /// `openai-chat` if it is none that Weir knows.
    pub(super) dialect: Option<At<Speaks>>,
    /// Whose API it is, for what is special about it: `openai`, `anthropic`, `gemini`, `deepseek`, `mistral`, `groq`, ….
    /// Told by `base_url` or by the provider's name unless set; `other`: none that Weir knows.
    pub(super) vendor: Option<At<VendorName>>,
    /// API keys, used in turn. Write them as `${env:NAME}` or `${file:PATH}`.
    #[serde(default)]
    pub(super) keys: Vec<At<Hidden>>,
    /// Headers added to every request.
    #[serde(default)]
    pub(super) headers: Table<At<Hidden>>,
    /// Where it runs, such as `eu-west-1`: requests that ask for a region go only to providers that lie in it.
    #[schemars(extend("default" = ""))]
    pub(super) region: Option<At<Text>>,
    /// How long it keeps content: `zero`, `zero-except-safety`, `days-N` or `unknown`. Unless set: its public terms, by the
    /// host of `base_url` (`weir providers` lists them with evidence), and `unknown` where Weir knows none.
    pub(super) retention: Option<At<Kept>>,
    /// Whether it may train on content. Unless set: its public terms; true where Weir knows none, false where nothing is
    /// kept.
    pub(super) trains: Option<At<Flag>>,
    /// What it does beside the model under the same terms: `web-search`, `code-execution`, `files`, …. Under zero retention
    /// a request that asks for anything else is refused.
    #[serde(default)]
    pub(super) covers: Vec<At<FeatureName>>,
    /// What `retention`, `trains` and `covers` rest on, for people: `our contract of 2026-05`.
    pub(super) attested: Option<At<Text>>,
    /// Requests to it at one time, over all its models; a target of a provider that is full is passed over for the next.
    /// Unbounded unless set.
    pub(super) concurrency: Option<At<Count<1, 1_000_000>>>,
    /// A PEM file with the root certificates to trust in place of the system's.
    pub(super) ca: Option<At<FilePath>>,
    /// Certificate and key to show to a provider that asks who Weir is.
    pub(super) client_cert: Option<TlsFile>,
    /// An HTTP proxy that leads there; it is asked for a tunnel (`CONNECT`), also for `http://` providers.
    pub(super) proxy: Option<ProxyFile>,
    /// Which HTTP to speak: `auto` (over TLS HTTP/2 if the provider has it, in clear text HTTP/1.1), `"1"`, or `"2"` (in
    /// clear text by prior knowledge).
    #[schemars(extend("default" = default::HTTP))]
    pub(super) http: Option<At<Http>>,
    /// Most requests at a time on one HTTP/2 connection.
    #[schemars(extend("default" = literal(default::STREAMS)))]
    pub(super) streams: Option<At<Count<1, 10_000>>>,
    /// What becomes of a stream whose caller has left: `cancel` ends it at once and bills what is known of it; `drain`
    /// reads on to its end and bills what the provider counts: for providers that bill all of it anyway.
    #[schemars(extend("default" = default::ON_DISCONNECT))]
    pub(super) on_disconnect: Option<At<OnDisconnect>>,
    /// How far `on_disconnect: drain` goes.
    #[serde(default)]
    pub(super) drain: DrainFile,
    /// Whether it is told of the trace (`traceparent`, and the caller's `tracestate`): for services of your own.
    #[schemars(extend("default" = literal(default::PROPAGATE)))]
    pub(super) propagate: Option<At<Flag>>,
    /// How long Weir waits for it.
    #[serde(default)]
    pub(super) timeouts: ProviderTimeoutsFile,
}

/// How far a stream without a caller is read; what is not read by then is cut, and billed as if it were cancelled.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct DrainFile {
    /// Time after the caller left.
    #[schemars(extend("default" = default::DRAIN_TIME))]
    pub(super) max: Option<At<Span>>,
    /// Bytes after the caller left.
    #[schemars(extend("default" = default::DRAIN_BYTES))]
    pub(super) bytes: Option<At<Size>>,
}

/// An HTTP proxy.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProxyFile {
    /// Where it is: `http://proxy.internal:3128`.
    pub(super) url: At<Url>,
    /// Who Weir is to it.
    pub(super) user: Option<At<Text>>,
    /// The user's password. Write it as `${env:NAME}` or `${file:PATH}`.
    pub(super) password: Option<At<Hidden>>,
}

/// How long Weir waits for a provider.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderTimeoutsFile {
    /// For the connection, TLS included.
    #[schemars(extend("default" = default::CONNECT))]
    pub(super) connect: Option<At<Span>>,
    /// From the request's last byte to the reply's first.
    #[schemars(extend("default" = default::FIRST_BYTE))]
    pub(super) first_byte: Option<At<Span>>,
    /// Between two pieces of a reply.
    #[schemars(extend("default" = default::IDLE))]
    pub(super) idle: Option<At<Span>>,
    /// For an attempt from beginning to end.
    #[schemars(extend("default" = default::TOTAL))]
    pub(super) total: Option<At<Span>>,
}

/// A model name for callers, and what may serve it.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelFile {
    /// Models at providers, first choice first: `provider/model`, or a map that says more.
    #[serde(default)]
    #[schemars(required, length(min = 1))]
    pub(super) targets: Vec<TargetFile>,
    /// Keeps complete replies; off unless set.
    pub(super) cache: Option<ModelCacheFile>,
    /// Further tries at the same target after a failure that may pass.
    #[schemars(extend("default" = literal(default::RETRIES)))]
    pub(super) retries: Option<At<Count<0, 10>>>,
    /// Attempts for one request, over all targets.
    #[schemars(extend("default" = literal(default::MAX_ATTEMPTS)))]
    pub(super) max_attempts: Option<At<Count<1, 32>>>,
    /// Whether a request is refused (400) when its target cannot be told all that the caller asks for; else the rest is
    /// left out and listed in `x-weir-dropped-params`.
    #[schemars(extend("default" = literal(default::STRICT)))]
    pub(super) strict: Option<At<Flag>>,
    /// Labels; policies see them.
    #[serde(default)]
    pub(super) tags: Vec<At<Name>>,
}

/// One target.
pub(super) enum TargetFile {
    /// `provider/model`.
    Name(At<TargetName>),
    /// With more to say.
    Map(Box<TargetMapFile>),
}

/// A target with more to say than its name.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetMapFile {
    /// `provider/model`.
    pub(super) target: At<TargetName>,
    /// Its share in weighted plans.
    #[schemars(extend("default" = literal(default::WEIGHT)))]
    pub(super) weight: Option<At<Count<1, 65_535>>>,
    /// Labels; policies see them.
    #[serde(default)]
    pub(super) tags: Vec<At<Name>>,
    /// How good it is, from 0 to 1; policies see it.
    pub(super) quality: Option<At<Share>>,
    /// Requests to it at one time; when it is full it is passed over for the next. Unbounded unless set.
    pub(super) concurrency: Option<At<Count<1, 1_000_000>>>,
    /// Context length in tokens; the catalogue's unless set.
    pub(super) context: Option<At<Count<1, { u32::MAX }>>>,
    /// Longest output in tokens; the catalogue's unless set.
    pub(super) max_output: Option<At<Count<1, { u32::MAX }>>>,
    /// What the model can do beside text: a request that needs anything else goes to other targets, or is refused. Unless
    /// set, what the catalogue knows decides between targets, and nothing is refused for it.
    pub(super) capabilities: Option<Vec<At<Ability>>>,
    /// What it costs; the catalogue's prices unless set.
    pub(super) prices: Option<PricesFile>,
}

/// USD per million tokens, exact to six decimals.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PricesFile {
    /// Input.
    pub(super) input: At<Price>,
    /// Output.
    pub(super) output: At<Price>,
    /// Input that the provider's prompt cache held; as `input` unless set.
    pub(super) cached_input: Option<At<Price>>,
    /// Input written to the prompt cache for five minutes; as `input` unless set.
    pub(super) cache_write_5m: Option<At<Price>>,
    /// Input written to the prompt cache for an hour; as `input` unless set.
    pub(super) cache_write_1h: Option<At<Price>>,
    /// Output spent on reasoning; as `output` unless set.
    pub(super) reasoning: Option<At<Price>>,
    /// Input audio.
    pub(super) input_audio: Option<At<Price>>,
    /// Output audio.
    pub(super) output_audio: Option<At<Price>>,
    /// Input images.
    pub(super) image: Option<At<Price>>,
}

/// The response cache of one model.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelCacheFile {
    /// How long a reply is kept.
    pub(super) ttl: At<Span>,
}

/// A script or plugin.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyFile {
    /// A `.rhai` script or a `.wasm` component.
    pub(super) file: At<FilePath>,
    /// Handed to the policy, which checks it against its own schema.
    pub(super) config: Option<At<Any>>,
    /// The models it is bound to; all unless set.
    pub(super) models: Option<Vec<At<Text>>>,
    /// What it may use beyond the request: `targets`, `env`, `telemetry`, `annotate`, `tokens`, `kv`, `http`.
    #[serde(default)]
    pub(super) grants: Vec<At<Grant>>,
    /// Whether it is loaded.
    #[schemars(extend("default" = literal(default::ENABLED)))]
    pub(super) enabled: Option<At<Flag>>,
    /// Whether Weir starts without it if its file is not there; never for a guard that must hold.
    #[schemars(extend("default" = literal(default::OPTIONAL)))]
    pub(super) optional: Option<At<Flag>>,
    /// What may pass it unseen, though it protects: `chat-stream`, `embeddings`, ….
    #[serde(default)]
    pub(super) except: Vec<At<SurfaceName>>,
    /// How a new version goes live: at once unless set.
    pub(super) ship: Option<ShipFile>,
}

/// How a new version of a policy goes live: in shadow, then as a canary, each only if it is here.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShipFile {
    /// The new version is told of every question and decides nothing.
    pub(super) shadow: Option<ShadowFile>,
    /// The new version decides for some keys.
    pub(super) canary: Option<CanaryFile>,
    /// The share of decisions that may change for a version to go on by itself.
    #[schemars(extend("default" = default::MAX_CHANGED))]
    pub(super) max_changed: Option<At<Percent>>,
    /// How long a live version counts as young: if it fails so often that its breaker opens, the version before it comes
    /// back.
    #[schemars(extend("default" = default::ROLLBACK_WINDOW))]
    pub(super) rollback_window: Option<At<Span>>,
}

/// How long a shadow lasts: until so many questions or so long, what comes first; without both it waits for a word.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShadowFile {
    /// Questions.
    pub(super) requests: Option<At<Count<1, 100_000_000>>>,
    /// Time.
    pub(super) r#for: Option<At<Span>>,
}

/// How large a canary is, and how long it lasts; without a time it waits for a word.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CanaryFile {
    /// The share of keys.
    pub(super) share: At<Percent>,
    /// Time.
    pub(super) r#for: Option<At<Span>>,
}

/// Who may sign policies.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct SigningFile {
    /// Public keys of minisign, as `minisign -G` prints them: `RW…`.
    #[serde(default)]
    pub(super) keys: Vec<At<SigningKey>>,
    /// Whether a policy without a signature is refused. It stands beside the file, as `FILE.minisig`, or comes with the push.
    #[schemars(extend("default" = literal(default::SIGNED)))]
    pub(super) required: Option<At<Flag>>,
}

/// Where policies may call. They name the alias and never see what stands here.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpFile {
    /// What stands before every path: `https://moderation.example/api`.
    pub(super) base_url: At<Url>,
    /// Headers added to every call, such as its credential. Write secrets as `${env:NAME}` or `${file:PATH}`.
    #[serde(default)]
    pub(super) headers: Table<At<Hidden>>,
    /// How long it keeps content: `zero`, `zero-except-safety`, `days-N` or `unknown`. Content of an exchange goes only to
    /// terms that are as strict as its own.
    #[schemars(extend("default" = default::RETENTION))]
    pub(super) retention: Option<At<Kept>>,
    /// Whether it may train on content. Unless set: false where nothing is kept, else true. Content of an exchange that
    /// nobody may train on does not go to who does.
    pub(super) trains: Option<At<Flag>>,
    /// Where it runs, such as `eu-west-1`: content of an exchange that asks for a region goes only to what lies in it.
    #[schemars(extend("default" = ""))]
    pub(super) region: Option<At<Text>>,
    /// For a call from beginning to end; a policy may ask for less.
    #[schemars(extend("default" = default::CALL_TIME))]
    pub(super) timeout: Option<At<Span>>,
    /// Of a longer reply a policy sees the beginning; from 1KiB to 8MiB.
    #[schemars(extend("default" = default::REPLY))]
    pub(super) max_reply: Option<At<Size>>,
    /// Whether its address may be a private one, of this machine or your own networks: for a service beside Weir.
    #[schemars(extend("default" = literal(default::PRIVATE)))]
    pub(super) allow_private: Option<At<Flag>>,
    /// Whether it is told of the trace (`traceparent`): for services of your own.
    #[schemars(extend("default" = literal(default::PROPAGATE)))]
    pub(super) propagate: Option<At<Flag>>,
}

/// The key-value store of policies.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct KvFile {
    /// Bytes that the keys and values of one policy may take, with what it costs to find them.
    #[schemars(extend("default" = default::KV_BYTES))]
    pub(super) max_bytes: Option<At<Size>>,
}

/// The response cache.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct CacheFile {
    /// Bytes that all kept replies together may take. Needs a restart.
    #[schemars(extend("default" = default::CACHE_BYTES))]
    pub(super) max_bytes: Option<At<Size>>,
}

/// What may be left behind of content on this machine.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct PrivacyFile {
    /// Whether a crash may write the memory of the process to disk, for all requests alike. Needs a restart.
    #[schemars(extend("default" = literal(default::CORE_DUMPS)))]
    pub(super) core_dumps: Option<At<Flag>>,
}

/// Logs and traces.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct TelemetryFile {
    /// The log: JSON lines, never with content.
    #[serde(default)]
    pub(super) log: LogFile,
    /// Traces, metrics and logs by OTLP over HTTP; off unless set. Needs a restart.
    pub(super) otlp: Option<OtlpFile>,
    /// Which names of the OpenTelemetry conventions for generative AI are sent: `1.41`, `latest` or `both`. Unless set:
    /// `latest` if `OTEL_SEMCONV_STABILITY_OPT_IN` lists `gen_ai_latest_experimental`, else `1.41`. Needs a restart.
    pub(super) genai: Option<At<GenAiNames>>,
    /// Decision traces that are kept for `weir explain`, the latest ones; 0: none.
    #[schemars(extend("default" = literal(default::EXPLAIN_KEPT)))]
    pub(super) explain_kept: Option<At<Count<0, 100_000>>>,
}

/// The log.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LogFile {
    /// The least level that is written. Needs a restart.
    #[schemars(extend("default" = default::LEVEL))]
    pub(super) level: Option<At<Level>>,
    /// Whether every exchange writes one line.
    #[schemars(extend("default" = literal(default::ACCESS)))]
    pub(super) access: Option<At<Flag>>,
}

/// Where traces, metrics and logs go.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OtlpFile {
    /// The collector: `http://127.0.0.1:4318`.
    pub(super) endpoint: At<Url>,
    /// Headers of every request to it, such as its token. Write secrets as `${env:NAME}` or `${file:PATH}`.
    #[serde(default)]
    pub(super) headers: Table<At<Hidden>>,
    /// Whether spans of exchanges, attempts and policy calls are sent.
    #[schemars(extend("default" = literal(default::TRACES)))]
    pub(super) traces: Option<At<Flag>>,
    /// Share of the traces begun here that are recorded; for their own traces callers decide.
    #[schemars(extend("default" = default::SAMPLE))]
    pub(super) sample: Option<At<Percent>>,
    /// Whether the figures of `/metrics` are sent, and those of the conventions for generative AI.
    #[schemars(extend("default" = literal(default::METRICS)))]
    pub(super) metrics: Option<At<Flag>>,
    /// How often; from 1s.
    #[schemars(extend("default" = default::INTERVAL))]
    pub(super) interval: Option<At<Span>>,
    /// Whether the line of each exchange and the process's warnings are sent.
    #[schemars(extend("default" = literal(default::LOGS)))]
    pub(super) logs: Option<At<Flag>>,
}

/// The admin API.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminFile {
    /// The bearer token of `/admin/v1`; made at the first start and kept in the data folder unless set.
    pub(super) token: Option<At<Hidden>>,
}

impl<'de> Deserialize<'de> for TargetFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

struct TargetVisitor;

impl<'de> Visitor<'de> for TargetVisitor {
    type Value = TargetFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`provider/model` or a map")
    }

    fn visit_u64<E: de::Error>(self, id: u64) -> Result<TargetFile, E> {
        usize::try_from(id).map(At::new).map(TargetFile::Name).map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<TargetFile, A::Error> {
        TargetMapFile::deserialize(MapAccessDeserializer::new(map)).map(Box::new).map(TargetFile::Map)
    }
}

impl JsonSchema for TargetFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let name = generator.subschema_for::<At<TargetName>>();
        let map = generator.subschema_for::<TargetMapFile>();
        schemars::json_schema!({ "anyOf": [name, map] })
    }
}
