//! The rows, from the page that each names or a stored copy of it. A row is changed together with its date.

use super::Feature::{
    Background, Batch, CodeExecution, Connectors, FileSearch, Files, OtherTools, State, WebSearch,
};
use super::{Feature, Retention, Terms};

/// The day on which all of these pages were looked up.
const READ: &str = "2026-11-28";

/// Where no page names what its zero retention covers, it covers the model alone.
const ALL: &[Feature] =
    &[Batch, Files, Background, State, WebSearch, FileSearch, CodeExecution, Connectors, OtherTools];

/// A row of which only the evidence is known.
const fn unknown(
    provider: &'static str,
    hosts: &'static [&'static str],
    evidence: &'static str,
    note: &'static str,
) -> Terms {
    Terms {
        provider,
        hosts,
        retention: Retention::Unknown,
        trains: None,
        excluded: ALL,
        not_models: &[],
        evidence,
        checked: READ,
        note,
    }
}

pub(super) const TERMS: &[Terms] = &[
    Terms {
        retention: Retention::Days(30),
        trains: Some(false),
        ..unknown(
            "openai",
            &["api.openai.com", "*.api.openai.com"],
            "https://developers.openai.com/api/docs/guides/your-data",
            "Abuse monitoring logs hold content for up to 30 days. Zero retention is a signed agreement; where you have one, say `retention: zero`.",
        )
    },
    Terms {
        retention: Retention::Days(30),
        trains: Some(false),
        ..unknown(
            "anthropic",
            &["api.anthropic.com"],
            "https://privacy.claude.com/en/articles/7996866-how-long-do-you-store-my-organization-s-data",
            "Inputs and outputs go within 30 days, flagged ones within two years. Zero retention is an agreement, and batches, files and newer server tools are outside of it.",
        )
    },
    Terms {
        retention: Retention::Days(55),
        ..unknown(
            "gemini",
            &["generativelanguage.googleapis.com"],
            "https://ai.google.dev/gemini-api/docs/usage-policies",
            "55 days for abuse monitoring. Paid services are not trained on, unpaid ones are, and a key does not say which it is; grounding with search keeps 30 days.",
        )
    },
    Terms {
        trains: Some(false),
        ..unknown(
            "vertex",
            &["aiplatform.googleapis.com", "*-aiplatform.googleapis.com"],
            "https://docs.cloud.google.com/gemini-enterprise-agent-platform/resources/zero-data-retention",
            "Prompts may be logged for abuse monitoring and cached; zero retention takes an exception and settings of your project.",
        )
    },
    Terms {
        retention: Retention::Days(30),
        trains: Some(false),
        ..unknown(
            "azure",
            &["*.openai.azure.com", "*.services.ai.azure.com", "*.cognitiveservices.azure.com"],
            "https://learn.microsoft.com/en-us/legal/cognitive-services/openai/data-privacy",
            "Abuse monitoring keeps up to 30 days; modified abuse monitoring is approved per resource.",
        )
    },
    Terms {
        retention: Retention::Days(30),
        ..unknown(
            "bedrock",
            &["bedrock-runtime.*.amazonaws.com", "bedrock-mantle.*.api.aws"],
            "https://docs.aws.amazon.com/bedrock/latest/userguide/data-retention.html",
            "By default each model's own policy holds, up to 30 days for some. `data_retention_mode: none` of the Region is zero retention; `store: false` is not.",
        )
    },
    unknown(
        "deepseek",
        &["api.deepseek.com"],
        "https://cdn.deepseek.com/policies/en-US/deepseek-privacy-policy.html",
        "The policy allows inputs to be stored and used to train and improve models.",
    ),
    unknown(
        "mistral",
        &["api.mistral.ai"],
        "https://docs.mistral.ai/admin/monitor-comply/zero-data-retention",
        "Zero retention is granted on request, for stateless endpoints of paid plans, and not for Labs models.",
    ),
    Terms {
        retention: Retention::ZeroExceptSafety,
        ..unknown(
            "groq",
            &["api.groq.com"],
            "https://console.groq.com/docs/your-data",
            "Inference is not kept by default, save to investigate failures and abuse; the data controls of the console close that too.",
        )
    },
    unknown(
        "together",
        &["api.together.xyz", "api.together.ai"],
        "https://docs.together.ai/docs/zero-data-retention",
        "Two of its pages contradict each other on the default; the stricter reading is that prompts are stored until the organisation says no.",
    ),
    Terms {
        retention: Retention::ZeroExceptSafety,
        trains: Some(false),
        ..unknown(
            "fireworks",
            &["api.fireworks.ai"],
            "https://docs.fireworks.ai/guides/security_compliance/data_handling",
            "Open models: nothing is logged, save to prevent abuse. Stored responses live 30 days unless `store` is false; routed closed models are not covered.",
        )
    },
    Terms {
        retention: Retention::Days(30),
        trains: Some(false),
        ..unknown(
            "xai",
            &["api.x.ai", "*.api.x.ai"],
            "https://docs.x.ai/docs/faq/security",
            "30 days for auditing. Zero retention is a setting of the team; replies say so in `x-zero-data-retention`.",
        )
    },
    unknown(
        "cohere",
        &["api.cohere.com", "api.cohere.ai"],
        "https://cohere.com/security",
        "No public page that could be read states how long the API keeps content.",
    ),
    Terms {
        retention: Retention::Zero,
        trains: Some(false),
        ..unknown(
            "perplexity",
            &["api.perplexity.ai"],
            "https://docs.perplexity.ai/docs/resources/privacy-security",
            "The Sonar API keeps and trains on nothing. Its models search the web: what they ask there is theirs.",
        )
    },
    unknown(
        "openrouter",
        &["openrouter.ai", "*.openrouter.ai"],
        "https://openrouter.ai/docs/guides/privacy/zero-data-retention",
        "Terms are those of whoever serves the model. Where your account enforces zero retention, say so; the caller's `provider.zdr` is handed on.",
    ),
    Terms {
        retention: Retention::Zero,
        trains: Some(false),
        not_models: &["google/", "anthropic/"],
        ..unknown(
            "deepinfra",
            &["api.deepinfra.com"],
            "https://docs.deepinfra.com/account/data-privacy",
            "In memory only. Google's and Anthropic's models are served by these, and pictures are kept for a short time.",
        )
    },
];
