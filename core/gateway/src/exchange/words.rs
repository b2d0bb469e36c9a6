//! Words of a provider that a policy or telemetry gets without content: its error code, why the model stopped, the
//! model's name. They are the provider's to choose, so where nothing may be kept only those pass that any provider says.

use weir_llm::neutral::label::ModelName;
use weir_policy::Retention;

/// Error codes of the providers' own documentation.
const CODES: [&str; 22] = [
    "api_error",
    "authentication_error",
    "billing_hard_limit_reached",
    "content_filter",
    "content_policy_violation",
    "context_length_exceeded",
    "insufficient_quota",
    "internal_error",
    "invalid_api_key",
    "invalid_request_error",
    "model_not_found",
    "not_found_error",
    "overloaded_error",
    "permission_error",
    "rate_limit_error",
    "rate_limit_exceeded",
    "request_too_large",
    "server_error",
    "string_above_max_length",
    "timeout_error",
    "unsupported_parameter",
    "unsupported_value",
];

/// Why models stop, in any dialect.
const ENDS: [&str; 17] = [
    "",
    "completed",
    "content_filter",
    "end_turn",
    "error",
    "function_call",
    "incomplete",
    "length",
    "max_output_tokens",
    "max_tokens",
    "model_context_window_exceeded",
    "pause_turn",
    "refusal",
    "stop",
    "stop_sequence",
    "tool_calls",
    "tool_use",
];

/// A provider's error code as policies may see it.
pub fn code(said: Option<String>, retention: Retention) -> Option<String> {
    said.filter(|code| !retention.is_zero() || CODES.contains(&code.as_str()))
}

/// Why the model stopped as policies may see it.
pub fn end(said: &str, retention: Retention) -> &str {
    if retention.is_zero() && !ENDS.contains(&said) { "other" } else { said }
}

/// The model that a provider says it used, as telemetry may tell it. Where nothing may be kept: the one that it was asked
/// for, with a date behind it at most.
pub fn model(said: ModelName, asked: &str, retention: Retention) -> ModelName {
    let dated =
        |rest: &str| rest.len() <= 11 && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if !retention.is_zero() || said.as_str().strip_prefix(asked).is_some_and(dated) {
        return said;
    }
    ModelName::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_zero_retention_only_common_words_pass() {
        assert!(CODES.is_sorted() && ENDS.is_sorted());
        let said = |word: &str, retention| code(Some(word.into()), retention);
        assert_eq!(said("jane_doe", Retention::Zero), None);
        assert_eq!(said("rate_limit_exceeded", Retention::Zero).as_deref(), Some("rate_limit_exceeded"));
        assert_eq!(said("jane_doe", Retention::Days(1)).as_deref(), Some("jane_doe"));
        assert_eq!(end("jane doe", Retention::ZeroExceptSafety), "other");
        assert_eq!((end("stop", Retention::Zero), end("x", Retention::Unknown)), ("stop", "x"));
        let named =
            |said: &str, retention| model(ModelName::of(said), "gpt-9", retention).as_str().to_owned();
        for (said, told) in [
            ("gpt-9", "gpt-9"),
            ("gpt-9-2026-01-01", "gpt-9-2026-01-01"),
            ("gpt-9-20260101", "gpt-9-20260101"),
            ("gpt-9-jane-doe", ""),
            ("gpt-9-4111111111111111", ""),
            ("jane-doe", ""),
        ] {
            assert_eq!(named(said, Retention::Zero), told);
            assert_eq!(named(said, Retention::Unknown), said);
        }
    }
}
