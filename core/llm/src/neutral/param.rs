//! Request fields, and what each API calls them.

use crate::api::Api;

/// A field that more than one API has, under names of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the field of `Prompt` of that name")]
pub enum Param {
    Tools,
    ToolChoice,
    ParallelTools,
    Format,
    Reasoning,
    MaxOutput,
    Stop,
    Choices,
    Temperature,
    TopP,
    TopK,
    Seed,
    FrequencyPenalty,
    PresencePenalty,
    Logprobs,
    User,
    ServiceTier,
    Verbosity,
    CacheKey,
    Metadata,
    Store,
    /// Turns and what they hold.
    Messages,
}

impl Param {
    /// What callers of an API call it.
    #[must_use]
    pub const fn name(self, api: Api) -> &'static str {
        let [chat, responses, messages] = self.names();
        match api {
            Api::Responses => responses,
            Api::Messages | Api::CountTokens => messages,
            _ => chat,
        }
    }

    /// In Chat Completions, Responses, Messages.
    const fn names(self) -> [&'static str; 3] {
        match self {
            Self::Tools => ["tools"; 3],
            Self::ToolChoice => ["tool_choice"; 3],
            Self::ParallelTools => {
                ["parallel_tool_calls", "parallel_tool_calls", "tool_choice.disable_parallel_tool_use"]
            }
            Self::Format => ["response_format", "text.format", "output_config.format"],
            Self::Reasoning => ["reasoning_effort", "reasoning", "thinking"],
            Self::MaxOutput => ["max_completion_tokens", "max_output_tokens", "max_tokens"],
            Self::Stop => ["stop", "stop", "stop_sequences"],
            Self::Choices => ["n"; 3],
            Self::Temperature => ["temperature"; 3],
            Self::TopP => ["top_p"; 3],
            Self::TopK => ["top_k"; 3],
            Self::Seed => ["seed"; 3],
            Self::FrequencyPenalty => ["frequency_penalty"; 3],
            Self::PresencePenalty => ["presence_penalty"; 3],
            Self::Logprobs => ["logprobs", "top_logprobs", "logprobs"],
            Self::User => ["user", "user", "metadata.user_id"],
            Self::ServiceTier => ["service_tier"; 3],
            Self::Verbosity => ["verbosity", "text.verbosity", "verbosity"],
            Self::CacheKey => ["prompt_cache_key"; 3],
            Self::Metadata => ["metadata"; 3],
            Self::Store => ["store"; 3],
            Self::Messages => ["messages", "input", "messages"],
        }
    }
}
