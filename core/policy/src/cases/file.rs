//! A cases file as it is written.

use crate::head::DataClass;
use crate::manifest::Hook;
use crate::policy::LoadError;
use crate::yaml;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cases {
    #[serde(default)]
    pub(super) config: Value,
    #[serde(default)]
    pub(super) targets: Vec<TargetFile>,
    pub(super) cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetFile {
    pub(super) id: Spanned<String>,
    pub(super) provider: Option<String>,
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) region: String,
    pub(super) retention: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) trains: bool,
    #[serde(default)]
    pub(super) context: u32,
    #[serde(default)]
    pub(super) max_output: u32,
    pub(super) quality: Option<f32>,
    /// Decimal texts, so that they stay exact.
    #[serde(default)]
    pub(super) rates: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
    #[serde(default = "one")]
    pub(super) weight: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: Spanned<String>,
    pub(super) hook: Option<HookName>,
    pub(super) config: Option<Value>,
    #[serde(default)]
    pub(super) head: HeadFile,
    pub(super) texts: Option<Vec<String>>,
    pub(super) body: Option<Spanned<Value>>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) live: BTreeMap<String, LiveFile>,
    pub(super) candidates: Option<Vec<String>>,
    #[serde(default)]
    pub(super) errors: Vec<ErrorFile>,
    pub(super) expect: Expect,
    pub(super) reason: Option<String>,
    pub(super) findings: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HeadFile {
    pub(super) model: Option<String>,
    pub(super) stream: Option<bool>,
    pub(super) tenant: String,
    pub(super) project: String,
    pub(super) key_id: String,
    pub(super) user_hash: Option<String>,
    pub(super) region: String,
    pub(super) class: ClassName,
    pub(super) retention: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) deadline_ms: Option<u32>,
    pub(super) est_input_tokens: Option<u32>,
    pub(super) max_output_tokens: Option<u32>,
    pub(super) body_bytes: Option<u64>,
    pub(super) attempt: u8,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ClassName {
    Public,
    #[default]
    Internal,
    Confidential,
    Restricted,
}

impl From<ClassName> for DataClass {
    fn from(name: ClassName) -> Self {
        match name {
            ClassName::Public => Self::Public,
            ClassName::Internal => Self::Internal,
            ClassName::Confidential => Self::Confidential,
            ClassName::Restricted => Self::Restricted,
        }
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LiveFile {
    pub(super) healthy: bool,
    pub(super) in_flight: u32,
    pub(super) ttft_p50_ms: u32,
    pub(super) ttft_p95_ms: u32,
    pub(super) tps_p50: f32,
    pub(super) err_rate_1m: f32,
    pub(super) headroom: f32,
    pub(super) breaker: BreakerName,
    pub(super) prompt_cache_warm: f32,
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
pub(super) enum BreakerName {
    Closed,
    HalfOpen,
    Open,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrorFile {
    pub(super) target: Spanned<String>,
    pub(super) class: Spanned<String>,
    pub(super) status: Option<u16>,
    pub(super) provider_code: Option<String>,
    pub(super) retry_after_ms: Option<u32>,
    #[serde(default)]
    pub(super) elapsed_ms: u32,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub(super) enum HookName {
    Guard,
    Route,
    OnError,
}

impl From<HookName> for Hook {
    fn from(name: HookName) -> Self {
        match name {
            HookName::Guard => Self::Guard,
            HookName::Route => Self::Route,
            HookName::OnError => Self::OnError,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Expect {
    Pass,
    Texts(Vec<String>),
    Body(Value),
    Block(DenyFile),
    Answer(String),
    Plan(Vec<String>),
    Deny(DenyFile),
    Abstain,
    FollowPlan,
    RetryAfter(u32),
    Switch(String),
    Fail(DenyFile),
    Fault(String),
}

impl Expect {
    /// The hook whose answer this is; a fault may be any hook's.
    pub(super) const fn hook(&self) -> Option<Hook> {
        match self {
            Self::Pass | Self::Texts(_) | Self::Body(_) | Self::Block(_) | Self::Answer(_) => {
                Some(Hook::Guard)
            }
            Self::Plan(_) | Self::Deny(_) | Self::Abstain => Some(Hook::Route),
            Self::FollowPlan | Self::RetryAfter(_) | Self::Switch(_) | Self::Fail(_) => Some(Hook::OnError),
            Self::Fault(_) => None,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DenyFile {
    pub(super) status: Option<u16>,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) retry_after_ms: Option<u32>,
}

pub(super) fn parse(file: &str, text: &str) -> Result<Cases, LoadError> {
    yaml::parse(file, text)
}

const fn one() -> u16 {
    1
}
