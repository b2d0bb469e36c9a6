//! What routing sees of a model at an endpoint: a static table per generation, and live facts per request.

use crate::head::Retention;
use std::sync::Arc;
use weir_llm::price::Rate;

/// What does not change within a generation.
#[derive(Debug, Clone)]
pub struct Target {
    /// `provider/model`, unique in the table.
    pub id: Arc<str>,
    /// Name of the provider in config.
    pub provider: Arc<str>,
    /// The model name that the provider knows.
    pub model: Arc<str>,
    /// Where the endpoint is; may be empty.
    pub region: Arc<str>,
    /// What the endpoint does with content.
    pub retention: Retention,
    /// Whether the provider may train on content.
    pub trains: bool,
    /// Context length in tokens; 0 if unknown.
    pub ctx_tokens: u32,
    /// Longest output in tokens; 0 if unknown.
    pub max_output_tokens: u32,
    /// Operator's or catalogue's quality score, 0 to 1.
    pub quality: Option<f32>,
    /// Prices by token class; empty if unknown.
    pub rates: Arc<[Rate]>,
    /// Operator's labels.
    pub tags: Arc<[String]>,
    /// Static weight from config, for weighted plans; 1 unless set.
    pub weight: u16,
}

impl Target {
    /// A target of which nothing is known but its id: for cases and tests.
    #[must_use]
    pub fn bare(id: &str) -> Self {
        let (provider, model) = id.split_once('/').unwrap_or(("", id));
        Self {
            id: id.into(),
            provider: provider.into(),
            model: model.into(),
            region: "".into(),
            retention: Retention::Unknown,
            trains: false,
            ctx_tokens: 0,
            max_output_tokens: 0,
            quality: None,
            rates: Arc::default(),
            tags: Arc::default(),
            weight: 1,
        }
    }
}

/// Every target of a generation; plans name targets by index into it.
pub type TargetTable = Arc<[Target]>;

/// State of a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Breaker {
    /// Healthy.
    #[default]
    Closed,
    /// Letting one probe through.
    HalfOpen,
    /// Not to be asked.
    Open,
}

/// Numbers that change from request to request.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Live {
    /// Index into the table.
    pub target: u16,
    /// No recent run of failures.
    pub healthy: bool,
    /// Attempts under way at this target.
    pub in_flight: u32,
    /// Median time to first token, ms; 0 if never measured.
    pub ttft_p50_ms: u32,
    /// 95th percentile of the time to first token, ms.
    pub ttft_p95_ms: u32,
    /// Median output tokens a second.
    pub tps_p50: f32,
    /// Share of failed attempts in the last minute, 0 to 1.
    pub err_rate_1m: f32,
    /// Share of the provider's rate limit that is left, 0 to 1; 1 if unknown.
    pub headroom: f32,
    /// State of the target's breaker.
    pub breaker: Breaker,
    /// How likely the provider's prompt cache still knows the beginning of this request (its tools and system prompt),
    /// 0 to 1.
    pub prompt_cache_warm: f32,
}

impl Live {
    /// Whether it may be asked now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.healthy && self.breaker != Breaker::Open
    }
}

/// Where live facts come from; the gateway implements it over atomics.
pub trait LiveFacts: Send + Sync {
    /// The facts of one target now.
    fn live(&self, target: u16) -> Live;

    /// The facts of several, at one time.
    fn all(&self, targets: &[u16]) -> Vec<Live> {
        targets.iter().map(|&target| self.live(target)).collect()
    }

    /// Which of several are up, at one time: what most policies ask for, and a tenth of what all the facts cost.
    fn up(&self, targets: &[u16]) -> Vec<bool> {
        targets.iter().map(|&target| self.live(target).is_up()).collect()
    }
}

/// The targets a plan may name for this request: already filtered by capability, tenant, price cap and retention.
#[derive(Clone)]
pub struct Candidates {
    /// All targets of the generation.
    pub table: TargetTable,
    /// Indices into `table`, in the operator's order.
    pub allowed: Arc<[u16]>,
    /// Where the live facts come from.
    pub facts: Arc<dyn LiveFacts>,
}

impl Candidates {
    /// The static facts of the allowed targets, in the operator's order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Target)> {
        self.allowed.iter().filter_map(|&i| self.table.get(usize::from(i)).map(|t| (i, t)))
    }

    /// The live facts of one target.
    #[must_use]
    pub fn live(&self, target: u16) -> Live {
        self.facts.live(target)
    }

    /// The live facts of the allowed targets, in the operator's order, at one time.
    #[must_use]
    pub fn all_live(&self) -> Vec<Live> {
        self.facts.all(&self.allowed)
    }

    /// Which of the allowed targets are up, in the operator's order, at one time.
    #[must_use]
    pub fn all_up(&self) -> Vec<bool> {
        self.facts.up(&self.allowed)
    }
}
