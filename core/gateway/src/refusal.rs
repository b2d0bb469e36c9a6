//! Typed refusals: every "no" that the gateway itself says, and how it looks to a caller of each API.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use std::borrow::Cow;
use std::fmt;
use weir_llm::api::Api;
use weir_llm::fault::Said;
use weir_policy::Deny;

/// A "no" with everything the caller needs to mend it.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status, 400 to 599.
    pub status: u16,
    /// OpenAI's `error.type`.
    pub kind: Cow<'static, str>,
    /// OpenAI's `error.code`; stable, `snake_case`.
    pub code: Cow<'static, str>,
    /// What is wrong and what to do about it; never content.
    pub message: String,
    /// The field of the body that is wrong.
    pub param: Option<String>,
    /// Becomes `retry-after` (whole seconds, rounded up) and `retry-after-ms`.
    pub retry_after_ms: Option<u32>,
    /// For 405: the methods that the path knows.
    pub allow: Option<&'static str>,
    /// Headers of the provider that the official SDKs read: rate limits, a date to retry after.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What was too much, if it was refused for load alone; a label of a metric.
    pub shed: Option<&'static str>,
    /// The connection cannot be used again: its framing is in doubt or its body was not read.
    pub close: bool,
}

impl fmt::Debug for Refusal {
    /// Status and code: the message may be a policy's, a provider's, or repeat what a caller sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({} {})", self.status, self.code)
    }
}

/// Whose fault a refusal is, for `error.type`.
const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

impl Refusal {
    /// A refusal with a status, a type, a code and a message.
    pub fn new(status: u16, kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: kind.into(),
            code: code.into(),
            message: message.into(),
            param: None,
            retry_after_ms: None,
            allow: None,
            headers: Vec::new(),
            shed: None,
            close: false,
        }
    }

    /// 400: the request itself is wrong.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, INVALID, code, message)
    }

    /// 400 after which the connection is closed, since the two ends may disagree on where a request ends.
    pub fn framing(message: impl Into<String>) -> Self {
        Self { close: true, ..Self::new(400, INVALID, "bad_framing", message) }
    }

    /// 401.
    pub fn unauthenticated(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(401, "authentication_error", code, message)
    }

    /// 403.
    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(403, "permission_error", code, message)
    }

    /// 404 for a path that Weir does not serve.
    pub fn unknown_path(path: &str) -> Self {
        Self::new(
            404,
            INVALID,
            "unknown_path",
            format!(
                "Weir does not serve {}. It serves POST on /v1/chat/completions, /v1/responses, /v1/messages, /v1/messages/count_tokens, /v1/embeddings, /v1/images/generations, /v1/audio/speech, /v1/audio/transcriptions, /v1/moderations and /v1/rerank, and GET on /v1/models and /v1/models/{{id}}.",
                short(path)
            ),
        )
    }

    /// 404 for a path at which providers keep files, batches, replies or conversations.
    pub fn stateful_path(path: &str) -> Self {
        Self::new(
            404,
            INVALID,
            "stateful_endpoint",
            format!(
                "Weir does not serve {}: it is a stateful endpoint, which works on content that a provider keeps. Send the whole conversation with each request, files as data in it.",
                short(path)
            ),
        )
    }

    /// 405.
    pub fn method(method: &str, path: &str, allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(
                405,
                INVALID,
                "method_not_allowed",
                format!("{} is not allowed on {}; use {allow}.", short(method), short(path)),
            )
        }
    }

    /// 404 for a model that is neither an alias nor a target.
    pub fn unknown_model(model: &str) -> Self {
        Self {
            param: Some("model".into()),
            ..Self::new(
                404,
                INVALID,
                "model_not_found",
                format!(
                    "The model `{}` does not exist here or this key may not use it. GET /v1/models lists the models that it may use.",
                    short(model)
                ),
            )
        }
    }

    /// 413; the rest of the body is not read, so the connection is closed.
    pub fn too_large(what: &str, limit: usize) -> Self {
        Self {
            close: true,
            ..Self::new(
                413,
                INVALID,
                "request_too_large",
                format!("The {what} is larger than the {limit} bytes that this gateway takes."),
            )
        }
    }

    /// 503 with a time after which a retry may help.
    pub fn busy(code: &'static str, message: impl Into<String>, retry_after_ms: u32) -> Self {
        Self { retry_after_ms: Some(retry_after_ms), ..Self::new(503, SERVER, code, message) }
    }

    /// 503: the process ends, and the connection with it.
    pub fn shutting_down() -> Self {
        Self::busy("shutting_down", "The gateway is shutting down.", 1000).closing()
    }

    /// 502: the provider failed in a way that has no status of its own.
    pub fn bad_gateway(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(502, SERVER, code, message)
    }

    /// 504: the provider was too slow.
    pub fn gateway_timeout(message: impl Into<String>) -> Self {
        Self::new(504, SERVER, "upstream_timeout", message)
    }

    /// The same refusal about one field.
    #[must_use]
    pub fn about(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same refusal, for load alone.
    #[must_use]
    pub const fn shed(mut self, why: &'static str) -> Self {
        self.shed = Some(why);
        self
    }

    /// The same refusal, after which the connection is closed.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// The body in the envelope of an API's callers, with the request id in the message's company.
    pub fn body(&self, api: Api, request_id: &str) -> Bytes {
        let message = format!("{} (request id: {request_id})", self.message);
        weir_llm::translate::error_body(api, &self.said(api, &message, request_id))
    }

    /// The status in the words of an API: Anthropic's SDKs know 529 where others say 503.
    pub const fn status_for(&self, api: Api) -> u16 {
        match self.status {
            503 if api.is_anthropic() => 529,
            529 if !api.is_anthropic() => 503,
            status => status,
        }
    }

    /// What an envelope is written from.
    pub fn said<'a>(&'a self, api: Api, message: &'a str, request_id: &'a str) -> Said<'a> {
        Said {
            status: self.status_for(api),
            kind: &self.kind,
            code: Some(&self.code),
            param: self.param.as_deref(),
            message,
            request_id,
        }
    }
}

impl From<Deny> for Refusal {
    fn from(deny: Deny) -> Self {
        let status = if (400..600).contains(&deny.status) { deny.status } else { 403 };
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            500.. => SERVER,
            _ => INVALID,
        };
        Self {
            code: deny.code.into(),
            retry_after_ms: deny.retry_after_ms,
            ..Self::new(status, kind, "denied", deny.message)
        }
    }
}

impl From<weir_llm::request::RequestError> for Refusal {
    fn from(error: weir_llm::request::RequestError) -> Self {
        Self { param: error.param, ..Self::invalid(error.code, error.message) }
    }
}

/// What a caller sent, short enough and plain enough to stand in an error message.
fn short(text: &str) -> String {
    let mut plain: String = text.chars().filter(|c| !c.is_control()).take(128).collect();
    if plain.len() < text.len() {
        plain.push('…');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_all_four_fields_and_the_request_id() {
        let body = Refusal::unknown_model("gpt-\n9").body(Api::Chat, "req_1");
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let error = json["error"].as_object().unwrap();
        assert_eq!(
            error.keys().map(String::as_str).collect::<Vec<_>>(),
            ["message", "type", "param", "code"]
        );
        assert!(error["message"].as_str().unwrap().contains("`gpt-9…`"));
        assert!(error["message"].as_str().unwrap().contains("req_1"));
        assert_eq!(error["param"], "model");
    }

    #[test]
    fn no_message_and_no_field_is_printed() {
        let refusal = Refusal::unknown_model("canary").about("canary");
        assert_eq!(format!("{refusal:?}"), "Refusal(404 model_not_found)");
    }

    #[test]
    fn a_policys_status_outside_of_the_error_range_becomes_403() {
        let deny = Deny { status: 200, code: "no".into(), message: "no".into(), retry_after_ms: None };
        assert_eq!(Refusal::from(deny).status, 403);
    }
}
