//! A cases file as it is written.

mod exchange;
mod expect;
mod facts;

pub(super) use exchange::{AttemptFile, DeltaFile, ErrorFile, HttpFile, LaneName, MetaFile, SummaryFile};
pub(super) use expect::{DenyFile, Expect, Passes, StopFile};
pub(super) use facts::{BreakerName, HeadFile, LiveFile, TargetFile};

use super::plan::PlanFile;
use crate::manifest::Hook;
use crate::nearest::nearest;
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
pub(super) struct Case {
    pub(super) name: Spanned<String>,
    pub(super) hook: Option<HookName>,
    pub(super) config: Option<Value>,

    // The request.
    pub(super) api: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) head: HeadFile,
    pub(super) texts: Option<Vec<String>>,
    pub(super) body: Option<Spanned<Value>>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,

    // What is known beside it.
    #[serde(default)]
    pub(super) live: BTreeMap<String, LiveFile>,
    pub(super) candidates: Option<Vec<String>>,
    #[serde(default)]
    pub(super) errors: Vec<ErrorFile>,
    pub(super) attempt: Option<AttemptFile>,
    pub(super) reply: Option<Spanned<Value>>,
    pub(super) meta: Option<MetaFile>,
    pub(super) stream: Option<Vec<DeltaFile>>,
    pub(super) target: Option<Spanned<String>>,
    pub(super) usage: Option<Spanned<BTreeMap<String, u64>>>,
    /// USD; what the rates come to if absent.
    pub(super) list_price: Option<Spanned<String>>,
    pub(super) complete: Option<Vec<SummaryFile>>,

    // What the host does for it.
    pub(super) now_ms: Option<u64>,
    pub(super) random: Option<u64>,
    #[serde(default)]
    pub(super) kv: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) http: Vec<HttpFile>,
    /// How often the question is put; the last answer counts.
    pub(super) times: Option<u32>,
    /// How far the clock moves between two of them.
    #[serde(default)]
    pub(super) every_ms: u64,

    // What should come of it; only `weir policy run` leaves it out.
    pub(super) expect: Option<Expect>,
    pub(super) reason: Option<String>,
    pub(super) plan: Option<PlanFile>,
    pub(super) findings: Option<Vec<String>>,
    pub(super) tags: Option<BTreeMap<String, String>>,
    /// Names and USD.
    pub(super) items: Option<Vec<(String, Spanned<String>)>>,
    pub(super) records: Option<Vec<String>>,
    pub(super) calls: Option<Vec<String>>,
    pub(super) kv_after: Option<BTreeMap<String, Value>>,
    /// What the caller gets of what a model says.
    pub(super) restores: Option<BTreeMap<String, String>>,
}

impl Case {
    /// Whether it says what the host should do, or looks at what it did.
    pub(super) fn has_services(&self) -> bool {
        let scripted = !self.kv.is_empty() || !self.http.is_empty();
        let asked = self.now_ms.is_some() || self.random.is_some();
        scripted || asked || self.records.is_some() || self.calls.is_some() || self.kv_after.is_some()
    }
}

/// A hook by its name in manifests.
#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "String")]
pub(super) struct HookName(pub(super) Hook);

impl TryFrom<String> for HookName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let known = Hook::ALL.into_iter().find(|hook| hook.as_str() == name);
        known.map(Self).ok_or_else(|| {
            let names = Hook::ALL.map(Hook::as_str);
            match nearest(&name, names) {
                Some(near) => format!("unknown hook `{name}` (did you mean `{near}`?)"),
                None => format!("unknown hook `{name}` (known: {})", names.join(", ")),
            }
        })
    }
}

pub(super) fn parse(file: &str, text: &str) -> Result<Cases, LoadError> {
    yaml::parse(file, text)
}

/// One case by itself, as JSON or YAML.
pub(super) fn parse_case(file: &str, text: &str) -> Result<Case, LoadError> {
    yaml::parse(file, text)
}
