//! What is known of a request and of targets, as it is written.

use crate::head::DataClass;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetFile {
    pub(crate) id: Spanned<String>,
    pub(crate) provider: Option<String>,
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) region: String,
    pub(crate) retention: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) trains: bool,
    #[serde(default)]
    pub(crate) context: u32,
    #[serde(default)]
    pub(crate) max_output: u32,
    pub(crate) quality: Option<f32>,
    /// Decimal texts, so that they stay exact.
    #[serde(default)]
    pub(crate) rates: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    #[serde(default = "one")]
    pub(crate) weight: u16,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HeadFile {
    pub(crate) request_id: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) stream: Option<bool>,
    pub(crate) tenant: String,
    pub(crate) project: String,
    pub(crate) key_id: String,
    pub(crate) user_hash: Option<String>,
    pub(crate) region: String,
    pub(crate) class: DataClass,
    pub(crate) retention: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) deadline_ms: Option<u32>,
    pub(crate) est_input_tokens: Option<u32>,
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) body_bytes: Option<u64>,
    pub(crate) attempt: u8,
    pub(crate) budget: Option<BudgetFile>,
}

/// USD, exact.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetFile {
    pub(crate) limit: Spanned<String>,
    pub(crate) left: Spanned<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LiveFile {
    pub(crate) healthy: bool,
    pub(crate) in_flight: u32,
    pub(crate) ttft_p50_ms: u32,
    pub(crate) ttft_p95_ms: u32,
    pub(crate) tps_p50: f32,
    pub(crate) err_rate_1m: f32,
    pub(crate) headroom: f32,
    pub(crate) breaker: BreakerName,
    pub(crate) prompt_cache_warm: f32,
}

impl Default for LiveFile {
    fn default() -> Self {
        Self {
            healthy: true,
            in_flight: 0,
            ttft_p50_ms: 0,
            ttft_p95_ms: 0,
            tps_p50: 0.0,
            err_rate_1m: 0.0,
            headroom: 1.0,
            breaker: BreakerName::Closed,
            prompt_cache_warm: 0.0,
        }
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BreakerName {
    Closed,
    HalfOpen,
    Open,
}

const fn one() -> u16 {
    1
}
