//! The rows, from each provider's public documentation as of November 2026.

use super::{Echo, Quirks, Thinks, Vendor};
use crate::api::Dialect;
use crate::neutral::{Effort, Param};

/// Optional fields that nearly all take.
pub(super) const USUAL: &[Param] = &[
    Param::Choices,
    Param::FrequencyPenalty,
    Param::Logprobs,
    Param::ParallelTools,
    Param::PresencePenalty,
    Param::Seed,
    Param::User,
];

/// As [`USUAL`], and `top_k`.
const WITH_TOP_K: &[Param] = &[
    Param::Choices,
    Param::FrequencyPenalty,
    Param::Logprobs,
    Param::ParallelTools,
    Param::PresencePenalty,
    Param::Seed,
    Param::TopK,
    Param::User,
];

/// Sampling that open models' servers share.
const SAMPLERS: &[&str] = &["logit_bias", "min_p", "repetition_penalty"];

const LOW_TO_HIGH: Thinks = Thinks::Effort(&[Effort::Low, Effort::Medium, Effort::High]);
const NONE_TO_HIGH: Thinks = Thinks::Effort(&[Effort::None, Effort::Low, Effort::Medium, Effort::High]);

const fn chat(name: &'static str, base_url: &'static str, quirks: Quirks) -> Vendor {
    Vendor { name, base_url, dialect: Dialect::OpenAiChat, quirks }
}

pub(super) const VENDORS: &[Vendor] = &[
    chat(
        "openai",
        "https://api.openai.com/v1",
        Quirks {
            completion_tokens: true,
            developer_role: true,
            custom_tools: true,
            reasoning: Thinks::Effort(&Effort::ALL),
            fields: &[
                Param::CacheKey,
                Param::Choices,
                Param::FrequencyPenalty,
                Param::Logprobs,
                Param::Metadata,
                Param::ParallelTools,
                Param::PresencePenalty,
                Param::Seed,
                Param::ServiceTier,
                Param::Store,
                Param::User,
                Param::Verbosity,
            ],
            own: &[
                "audio",
                "logit_bias",
                "modalities",
                "moderation",
                "prediction",
                "prompt_cache_options",
                "prompt_cache_retention",
                "web_search_options",
            ],
            ..Quirks::COMMON
        },
    ),
    Vendor {
        name: "anthropic",
        base_url: "https://api.anthropic.com",
        dialect: Dialect::Anthropic,
        quirks: Quirks::COMMON,
    },
    Vendor {
        name: "gemini",
        base_url: "https://generativelanguage.googleapis.com",
        dialect: Dialect::Gemini,
        quirks: Quirks::COMMON,
    },
    // Its models think unless told not to, and refuse a tool loop whose thinking does not come back.
    chat(
        "deepseek",
        "https://api.deepseek.com",
        Quirks {
            json_schema: false,
            string_content: true,
            reasoning: Thinks::Switch(&[Effort::Low, Effort::High, Effort::Max]),
            reasoning_echo: Echo::Content,
            max_stop: 16,
            fields: &[Param::FrequencyPenalty, Param::Logprobs, Param::PresencePenalty],
            own: &[],
            ..Quirks::COMMON
        },
    ),
    // Refuses fields that it does not know.
    chat(
        "mistral",
        "https://api.mistral.ai/v1",
        Quirks {
            stream_usage: false,
            tool_choice_any: true,
            nine_letter_ids: true,
            random_seed: true,
            speaker_names: false,
            reasoning: Thinks::Effort(&[Effort::None, Effort::High]),
            fields: &[
                Param::Choices,
                Param::FrequencyPenalty,
                Param::ParallelTools,
                Param::PresencePenalty,
                Param::Seed,
            ],
            own: &["prediction", "prompt_mode", "safe_prompt"],
            ..Quirks::COMMON
        },
    ),
    // Refuses log probabilities, logit_bias, names and more than one answer.
    chat(
        "groq",
        "https://api.groq.com/openai/v1",
        Quirks {
            completion_tokens: true,
            speaker_names: false,
            reasoning: LOW_TO_HIGH,
            fields: &[
                Param::FrequencyPenalty,
                Param::ParallelTools,
                Param::PresencePenalty,
                Param::Seed,
                Param::ServiceTier,
                Param::User,
            ],
            own: &["citation_options", "compound_custom", "reasoning_format", "search_settings"],
            ..Quirks::COMMON
        },
    ),
    chat(
        "xai",
        "https://api.x.ai/v1",
        Quirks {
            completion_tokens: true,
            reasoning: LOW_TO_HIGH,
            own: &["deferred", "logit_bias", "search_parameters", "web_search_options"],
            ..Quirks::COMMON
        },
    ),
    // Hands the caller's fields on to whoever serves the model.
    chat(
        "openrouter",
        "https://openrouter.ai/api/v1",
        Quirks {
            developer_role: true,
            cache_marks: true,
            file_urls: true,
            reasoning: Thinks::Object,
            reasoning_echo: Echo::Details,
            fields: &[
                Param::FrequencyPenalty,
                Param::Logprobs,
                Param::ParallelTools,
                Param::PresencePenalty,
                Param::Seed,
                Param::ServiceTier,
                Param::TopK,
                Param::User,
                Param::Verbosity,
            ],
            own: &[
                "logit_bias",
                "min_p",
                "modalities",
                "models",
                "plugins",
                "provider",
                "repetition_penalty",
                "route",
                "session_id",
                "top_a",
                "trace",
                "transforms",
                "web_search_options",
            ],
            ..Quirks::COMMON
        },
    ),
    chat(
        "together",
        "https://api.together.xyz/v1",
        Quirks { reasoning: LOW_TO_HIGH, fields: WITH_TOP_K, own: SAMPLERS, ..Quirks::COMMON },
    ),
    chat(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        Quirks { reasoning: NONE_TO_HIGH, fields: WITH_TOP_K, own: SAMPLERS, ..Quirks::COMMON },
    ),
    chat(
        "ollama",
        "http://localhost:11434/v1",
        Quirks {
            reasoning: NONE_TO_HIGH,
            fields: &[Param::FrequencyPenalty, Param::Logprobs, Param::PresencePenalty, Param::Seed],
            own: &[],
            ..Quirks::COMMON
        },
    ),
    chat(
        "vllm",
        "http://localhost:8000/v1",
        Quirks {
            completion_tokens: true,
            reasoning: Thinks::Template(&[Effort::Low, Effort::Medium, Effort::High]),
            reasoning_echo: Echo::Content,
            fields: WITH_TOP_K,
            own: &[
                "chat_template_kwargs",
                "guided_json",
                "ignore_eos",
                "include_reasoning",
                "logit_bias",
                "min_p",
                "min_tokens",
                "repetition_penalty",
                "stop_token_ids",
                "structured_outputs",
            ],
            ..Quirks::COMMON
        },
    ),
    chat(
        "cerebras",
        "https://api.cerebras.ai/v1",
        Quirks {
            completion_tokens: true,
            reasoning: LOW_TO_HIGH,
            fields: &[Param::Logprobs, Param::ParallelTools, Param::Seed, Param::ServiceTier, Param::User],
            own: &["disable_reasoning", "logit_bias", "prediction"],
            ..Quirks::COMMON
        },
    ),
    chat(
        "perplexity",
        "https://api.perplexity.ai",
        Quirks {
            stream_usage: false,
            reasoning: Thinks::Effort(&[Effort::Minimal, Effort::Low, Effort::Medium, Effort::High]),
            fields: &[Param::FrequencyPenalty, Param::PresencePenalty, Param::TopK],
            own: &[
                "disable_search",
                "last_updated_after_filter",
                "return_images",
                "return_related_questions",
                "search_domain_filter",
                "search_mode",
                "search_recency_filter",
                "web_search_options",
            ],
            ..Quirks::COMMON
        },
    ),
    chat(
        "nvidia",
        "https://integrate.api.nvidia.com/v1",
        Quirks {
            reasoning: LOW_TO_HIGH,
            fields: &[Param::FrequencyPenalty, Param::PresencePenalty, Param::Seed],
            own: &["chat_template_kwargs"],
            ..Quirks::COMMON
        },
    ),
    chat(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        Quirks {
            reasoning: NONE_TO_HIGH,
            fields: &[
                Param::Choices,
                Param::FrequencyPenalty,
                Param::Logprobs,
                Param::PresencePenalty,
                Param::Seed,
                Param::TopK,
                Param::User,
            ],
            own: SAMPLERS,
            ..Quirks::COMMON
        },
    ),
    chat(
        "moonshot",
        "https://api.moonshot.ai/v1",
        Quirks {
            reasoning: Thinks::Switch(&[]),
            reasoning_echo: Echo::Content,
            fields: &[Param::CacheKey, Param::Choices, Param::FrequencyPenalty, Param::PresencePenalty],
            own: &[],
            ..Quirks::COMMON
        },
    ),
];
