//! What telemetry learns of a finished exchange: facts and figures, no content and no credential.

use super::gaps::Gaps;
use super::meters::Meters;
use super::trace::Trace;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use weir_llm::neutral::label::{Ends, ModelName};
use weir_llm::price::Nanos;
use weir_llm::usage::Usage;
use weir_policy::pipeline::TraceLine;
use weir_policy::{Api, ErrorClass};

/// One finished exchange. Handed over once, by value, by the last step of its way.
///
/// Names of aliases, providers and models are indices into [`Meters`], the closed set of label values of the
/// generation, so that nothing a caller wrote can become a metric label.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The label values and metric handles of the generation that served the exchange.
    pub meters: Arc<Meters>,
    /// Weir's id, `req_…`.
    pub request_id: Arc<str>,
    /// Where the exchange stands in a distributed trace.
    pub trace: Trace,
    /// When the request's head was read.
    pub started_at: SystemTime,
    /// The API that the caller spoke.
    pub api: Api,
    /// What the caller's model name resolved to.
    pub model: Model,
    /// The target that answered, or the last that was tried.
    pub target: Option<u16>,
    /// The model that the provider says it used; for traces and logs, never a label.
    pub response_model: ModelName,
    /// Why the answers ended.
    pub ends: Ends,
    /// When the chunks of the provider's stream came, if that is counted.
    pub gaps: Option<Box<Gaps>>,
    /// HTTP status that the caller saw; 0 if none was sent.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// The upstream failure that the caller was told of.
    pub error: Option<ErrorClass>,
    /// Why the caller was refused, in a word of Weir's own.
    pub refused: Option<&'static str>,
    /// Whether the reply was a stream.
    pub stream: bool,
    /// What the response cache did.
    pub cache: CacheState,
    /// Tokens by disjoint class.
    pub usage: Usage,
    /// What the customer pays.
    pub charged: Nanos,
    /// What the provider takes; `None` if the price is unknown.
    pub provider_cost: Option<Nanos>,
    /// From the start to the first byte of content towards the caller.
    pub ttft: Option<Duration>,
    /// From the start to the last byte towards the caller.
    pub total: Duration,
    /// The gateway's own share of `total`: what was not spent in waiting for caller or provider.
    pub overhead: Duration,
    /// Generation of policies and config that served the exchange.
    pub generation: u64,
    /// Id of the key (never the key); empty if the caller was not identified. For the log only.
    pub key_id: Arc<str>,
    /// Organisation id. For the log only.
    pub tenant: Arc<str>,
    /// Body bytes received from the caller.
    pub bytes_in: u64,
    /// Body bytes sent to the caller.
    pub bytes_out: u64,
    /// Every try at a target, in order.
    pub attempts: Vec<Attempt>,
    /// Every call of a policy, in order; only if the trace is recorded.
    pub policies: Vec<PolicyCall>,
}

impl Exchange {
    /// Takes note of what policies were asked, if anybody will look at it.
    pub fn note(&mut self, trace: &[TraceLine], started: Instant) {
        if self.trace.recorded {
            let first = self.ttft.unwrap_or_default();
            self.policies = trace.iter().map(|line| PolicyCall::of(line, started, first)).collect();
        }
    }

    /// Tries beyond the first at the same target in a row.
    #[must_use]
    pub fn retries(&self) -> usize {
        self.attempts.windows(2).filter(|pair| pair[0].target == pair[1].target).count()
    }
}

/// One try at one target. Times count from the exchange's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Index into the target table of the generation.
    pub target: u16,
    /// Span id that was sent to the provider; 0 if none was.
    pub span_id: u64,
    /// When it began.
    pub started: Duration,
    /// When it ended.
    pub ended: Duration,
    /// First byte of content, counted from `started`.
    pub ttft: Option<Duration>,
    /// HTTP status, if one came.
    pub status: Option<u16>,
    /// Why it failed; `None` if it did not.
    pub error: Option<ErrorClass>,
}

/// One call of one policy. Times count from the exchange's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyCall {
    /// Its name.
    pub policy: Arc<str>,
    /// The author's version.
    pub version: Arc<str>,
    /// Which hook.
    pub hook: &'static str,
    /// What it said, by the name of the WIT case.
    pub verdict: &'static str,
    /// When it began.
    pub started: Duration,
    /// How long it took; of a stream the sum over its pieces.
    pub elapsed: Duration,
    /// The kind of fault, if it failed.
    pub fault: Option<&'static str>,
}

impl PolicyCall {
    fn of(line: &TraceLine, started: Instant, first: Duration) -> Self {
        let ended = line.ended.map(|ended| ended.saturating_duration_since(started));
        Self {
            policy: Arc::clone(&line.policy),
            version: Arc::clone(&line.version),
            hook: line.hook.as_str(),
            verdict: line.verdict.as_str(),
            started: ended.map_or(first, |ended| ended.saturating_sub(line.elapsed)),
            elapsed: line.elapsed,
            fault: line.fault.as_ref().map(|fault| fault.kind.as_str()),
        }
    }
}

/// What the caller's model name resolved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// An alias, by its index in the generation's list.
    Alias(u16),
    /// `provider/model`, written out by the caller.
    Direct,
    /// Nothing: refused before a model was known.
    Unknown,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A complete reply reached the caller.
    Ok,
    /// The reply came from the cache.
    CacheHit,
    /// The gateway or a policy said no.
    Refused,
    /// Every attempt failed before anything reached the caller.
    Failed,
    /// The provider broke off after the commit.
    UpstreamCut,
    /// The caller went away.
    ClientAbort,
}

impl Outcome {
    /// All of them, in the order of their metric slots.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::CacheHit, Self::Refused, Self::Failed, Self::UpstreamCut, Self::ClientAbort];

    /// The metric label and log value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::CacheHit => "cache_hit",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::UpstreamCut => "upstream_cut",
            Self::ClientAbort => "client_abort",
        }
    }
}

/// What the response cache did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CacheState {
    /// Answered from the cache.
    Hit,
    /// Asked, not found.
    Miss,
    /// Not asked.
    Bypass,
}

impl CacheState {
    /// The metric label, log value and value of `x-weir-cache`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}
