//! Words of a provider that a policy gets without having read content: its error code, why the model stopped. They are
//! the provider's to choose, so where nothing may be kept only those pass that any provider says.

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
    }
}
