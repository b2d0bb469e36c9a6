//! What should come, as it is written.

use crate::manifest::Hook;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", remote = "Self")]
pub(crate) enum Expect {
    Pass,
    Texts(Vec<String>),
    Body(Value),
    Block(DenyFile),
    Answer(String),
    Allow(BTreeMap<String, String>),
    Deny(DenyFile),
    Plan(Vec<String>),
    Abstain,
    Headers(BTreeMap<String, String>),
    Changes(ChangesFile),
    Skip(String),
    FollowPlan,
    RetryAfter(u32),
    Switch(String),
    Fail(DenyFile),
    Passes(Passes),
    Stop(StopFile),
    /// USD.
    Charge(Spanned<String>),
    ChargeNanos(i64),
    /// USD.
    Quote(Spanned<String>),
    QuoteNanos(i64),
    ListPrice,
    Done,
    Fault(String),
}

/// What of a stream reached the caller: the text of the content, or by lane; a lane that is not named passes as it came.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Passes {
    Content(String),
    Lanes(BTreeMap<String, String>),
}

/// A refusal amid a stream, and what had left before it.
pub(crate) struct StopFile {
    pub(crate) deny: DenyFile,
    pub(crate) after: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ChangesFile {
    pub(crate) texts: Vec<String>,
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DenyFile {
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) retry_after_ms: Option<u32>,
}

/// The keys of a refusal and `after` in one map.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct StopFields {
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
    retry_after_ms: Option<u32>,
    after: Option<String>,
}

impl Expect {
    /// The hooks that may answer so; nothing of a stream is meant where there is none.
    pub(crate) const fn hooks(&self, streamed: bool) -> &'static [Hook] {
        match self {
            Self::Pass if streamed => &[Hook::Stream, Hook::Redact],
            Self::Pass | Self::Texts(_) | Self::Body(_) => {
                &[Hook::Guard, Hook::Redact, Hook::Attempt, Hook::GuardResponse]
            }
            Self::Block(_) => &[Hook::Guard, Hook::Redact, Hook::GuardResponse],
            Self::Answer(_) => &[Hook::Guard, Hook::GuardResponse],
            Self::Allow(_) => &[Hook::Admit],
            Self::Deny(_) => &[Hook::Admit, Hook::Route],
            Self::Plan(_) | Self::Abstain => &[Hook::Route],
            Self::Headers(_) | Self::Changes(_) | Self::Skip(_) => &[Hook::Attempt],
            Self::FollowPlan | Self::RetryAfter(_) | Self::Switch(_) | Self::Fail(_) => &[Hook::OnError],
            Self::Passes(_) | Self::Stop(_) => &[Hook::Stream, Hook::Redact],
            Self::Charge(_)
            | Self::ChargeNanos(_)
            | Self::Quote(_)
            | Self::QuoteNanos(_)
            | Self::ListPrice => &[Hook::Price],
            Self::Done => &[Hook::Complete],
            Self::Fault(_) => &Hook::ALL,
        }
    }

    /// Whether the most that may be charged is asked for, not what is charged.
    pub(crate) const fn is_quote(&self) -> bool {
        matches!(self, Self::Quote(_) | Self::QuoteNanos(_))
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// `allow` alone is `{ allow: {} }`, `stop` alone `{ stop: {} }`: there is nothing to add to them.
struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Expect;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what should come, such as `pass` or { block: { status: 403 } }")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Expect, E> {
        match name {
            "allow" => Ok(Expect::Allow(BTreeMap::new())),
            "deny" => Ok(Expect::Deny(DenyFile::default())),
            "block" => Ok(Expect::Block(DenyFile::default())),
            "stop" => Ok(Expect::Stop(StopFile { deny: DenyFile::default(), after: None })),
            name => Expect::deserialize(StrDeserializer::<E>::new(name)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Expect, A::Error> {
        Expect::deserialize(MapAccessDeserializer::new(map))
    }
}

impl<'de> Deserialize<'de> for StopFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StopFields { status, code, message, retry_after_ms, after } =
            StopFields::deserialize(deserializer)?;
        Ok(Self { deny: DenyFile { status, code, message, retry_after_ms }, after })
    }
}
