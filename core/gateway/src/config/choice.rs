//! Values that are one of a few words.

use super::problem::did_you_mean;
use super::program::{GenAi, Http, LedgerSync, Level, OnDisconnect, Speaks};
use super::scalar::Scalar;
use schemars::{Schema, json_schema};
use serde_json::json;
use weir_llm::api::Dialect;
use weir_llm::terms::Feature;
use weir_policy::Capability;
use weir_policy::manifest::Surface;

/// One of a few words.
pub(super) trait Choice: Copy + 'static {
    /// What errors and the reference call it.
    const NAME: &'static str;
    /// Every word with its meaning.
    const WORDS: &'static [(&'static str, Self)];
}

impl<C: Choice> Scalar for C {
    type Value = C;
    const NAME: &'static str = C::NAME;

    fn parse(text: &str) -> Result<C, String> {
        let found = C::WORDS.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        found.ok_or_else(|| {
            let words: Vec<_> = C::WORDS.iter().map(|(word, _)| format!("`{word}`")).collect();
            // One word is its own hint.
            let others = if C::WORDS.len() > 1 { C::WORDS } else { &[] };
            let hint = did_you_mean(text, others.iter().map(|(word, _)| *word));
            format!("is not a {}: {}{hint}", C::NAME, words.join(", "))
        })
    }

    fn schema() -> Schema {
        let words: Vec<_> = C::WORDS.iter().map(|(word, _)| *word).collect();
        json_schema!({ "type": "string", "enum": json!(words) })
    }
}

/// The name of a built-in provider.
#[derive(Clone, Copy)]
pub(super) enum BuiltinName {
    Sim,
}

impl Choice for BuiltinName {
    const NAME: &'static str = "built-in provider";
    const WORDS: &'static [(&'static str, Self)] = &[("sim", Self::Sim)];
}

/// What a model can do, of what a request cannot do without; the words are those of `needs` in the contract.
#[derive(Clone, Copy)]
pub(super) struct Ability(pub(super) &'static str);

impl Choice for Ability {
    const NAME: &'static str = "capability of a model";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("tools", Self("tools")),
        ("vision", Self("vision")),
        ("audio-in", Self("audio-in")),
        ("audio-out", Self("audio-out")),
        ("json-schema", Self("json-schema")),
        ("logprobs", Self("logprobs")),
    ];
}

impl Choice for Speaks {
    const NAME: &'static str = "dialect";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("openai-chat", Self::One(Dialect::OpenAiChat)),
        ("openai-responses", Self::One(Dialect::OpenAiResponses)),
        ("openai", Self::OpenAi),
        ("anthropic", Self::One(Dialect::Anthropic)),
        ("gemini", Self::One(Dialect::Gemini)),
    ];
}

impl Choice for Http {
    const NAME: &'static str = "version of HTTP";
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("1", Self::One), ("2", Self::Two)];
}

impl Choice for LedgerSync {
    const NAME: &'static str = "sync mode";
    const WORDS: &'static [(&'static str, Self)] = &[("normal", Self::Normal), ("full", Self::Full)];
}

impl Choice for OnDisconnect {
    const NAME: &'static str = "disconnect policy";
    const WORDS: &'static [(&'static str, Self)] = &[("cancel", Self::Cancel), ("drain", Self::Drain)];
}

impl Choice for Level {
    const NAME: &'static str = "level";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

/// A set of the OpenTelemetry conventions' names.
pub(super) struct GenAiNames;

impl Scalar for GenAiNames {
    type Value = GenAi;
    const NAME: &'static str = "set of names";

    fn parse(text: &str) -> Result<GenAi, String> {
        match text {
            "1.41" => Ok(GenAi::V1_41),
            "latest" => Ok(GenAi::Latest),
            "both" => Ok(GenAi::Both),
            _ => Err("is not a set of names: `1.41`, `latest`, `both`".to_owned()),
        }
    }

    /// Who forgets the quotes has written a number.
    fn schema() -> Schema {
        json_schema!({ "type": ["string", "number"], "enum": ["1.41", 1.41, "latest", "both"] })
    }
}

/// What a policy may be granted.
#[derive(Clone, Copy)]
pub(super) struct Grant(pub(super) Capability);

impl Choice for Grant {
    const NAME: &'static str = "capability";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("targets", Self(Capability::Targets)),
        ("env", Self(Capability::Env)),
        ("telemetry", Self(Capability::Telemetry)),
        ("annotate", Self(Capability::Annotate)),
        ("tokens", Self(Capability::Tokens)),
        ("kv", Self(Capability::Kv)),
        ("http", Self(Capability::Http)),
    ];
}

/// What a provider does beside the model.
#[derive(Clone, Copy)]
pub(super) struct FeatureName(pub(super) Feature);

impl Choice for FeatureName {
    const NAME: &'static str = "feature";
    const WORDS: &'static [(&'static str, Self)] = &{
        let mut words = [("", Self(Feature::Batch)); Feature::ALL.len()];
        let mut at = 0;
        while at < words.len() {
            words[at] = (Feature::ALL[at].name(), Self(Feature::ALL[at]));
            at += 1;
        }
        words
    };
}

/// Where a request belongs.
#[derive(Clone, Copy)]
pub(super) struct SurfaceName(pub(super) Surface);

impl Choice for SurfaceName {
    const NAME: &'static str = "surface";
    const WORDS: &'static [(&'static str, Self)] = &{
        let mut words = [("", Self(Surface::Chat)); Surface::ALL.len()];
        let mut at = 0;
        while at < words.len() {
            words[at] = (Surface::ALL[at].as_str(), Self(Surface::ALL[at]));
            at += 1;
        }
        words
    };
}
