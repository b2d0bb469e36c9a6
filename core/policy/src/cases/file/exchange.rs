//! What happened in an exchange so far, as it is written: attempts, replies, deltas, summaries, calls out.

use super::HeadFile;
use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, de};
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErrorFile {
    pub(crate) target: Spanned<String>,
    pub(crate) class: Spanned<String>,
    pub(crate) status: Option<u16>,
    pub(crate) provider_code: Option<String>,
    pub(crate) retry_after_ms: Option<u32>,
    #[serde(default)]
    pub(crate) elapsed_ms: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttemptFile {
    pub(crate) target: Spanned<String>,
    #[serde(default = "first")]
    pub(crate) number: u8,
}

/// What is known of a reply beside its content.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MetaFile {
    pub(crate) target: Option<Spanned<String>>,
    pub(crate) finish_reason: Option<String>,
    pub(crate) usage: Option<Spanned<BTreeMap<String, u64>>>,
    pub(crate) ttft_ms: u32,
    pub(crate) total_ms: u32,
    pub(crate) attempts: Option<u8>,
}

/// One exchange that has ended.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SummaryFile {
    /// The case's own if absent.
    pub(crate) head: Option<HeadFile>,
    pub(crate) outcome: Option<Spanned<String>>,
    pub(crate) target: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) usage: Option<Spanned<BTreeMap<String, u64>>>,
    /// USD.
    pub(crate) charged: Option<Spanned<String>>,
    /// USD.
    pub(crate) provider_cost: Option<Spanned<String>>,
    pub(crate) ttft_ms: Option<u32>,
    pub(crate) total_ms: u32,
    pub(crate) errors: Vec<Spanned<String>>,
    pub(crate) attempts: Option<u8>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) cache: Option<Spanned<String>>,
}

/// What a host of the operator's list answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpFile {
    pub(crate) alias: String,
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    #[serde(default = "ok")]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// A text as it is, anything else as JSON.
    #[serde(default)]
    pub(crate) body: Value,
    /// In place of a reply.
    pub(crate) error: Option<Spanned<String>>,
}

/// A piece of a streamed reply: a text, or a text of a lane.
#[derive(Clone)]
pub(crate) struct DeltaFile {
    pub(crate) lane: LaneName,
    pub(crate) index: u32,
    pub(crate) choice: u32,
    /// The tool that is called, with the first piece of its arguments.
    pub(crate) tool: Option<String>,
    pub(crate) text: String,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LaneName {
    #[default]
    Content,
    Reasoning,
    ToolArgs,
    Refusal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeltaFields {
    #[serde(default)]
    lane: LaneName,
    #[serde(default)]
    index: u32,
    #[serde(default)]
    choice: u32,
    tool: Option<String>,
    text: String,
}

impl<'de> Deserialize<'de> for DeltaFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Delta)
    }
}

struct Delta;

impl<'de> Visitor<'de> for Delta {
    type Value = DeltaFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, or { lane, index, text }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<DeltaFile, E> {
        Ok(DeltaFile { lane: LaneName::Content, index: 0, choice: 0, tool: None, text: text.to_owned() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DeltaFile, A::Error> {
        let DeltaFields { lane, index, choice, tool, text } =
            DeltaFields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(DeltaFile { lane, index, choice, tool, text })
    }
}

const fn first() -> u8 {
    1
}

const fn ok() -> u16 {
    200
}
