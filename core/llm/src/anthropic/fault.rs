//! A "no", and what it says.

use crate::fault::{Said, UpstreamError, upstream_error};
use crate::json::{Value, Writer};

/// Statuses and the types that stand for them.
const TYPES: [(u16, &str); 13] = [
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (402, "billing_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (408, "timeout_error"),
    (409, "conflict_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (503, "overloaded_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
];

/// The envelope of an error: `{"type":"error","error":{"type","message"},"request_id"}`.
#[must_use]
pub fn error_body(said: &Said<'_>) -> Vec<u8> {
    let mut json = Writer::with_capacity(said.message.len() + 128);
    json.begin_object().text("type", "error").key("error").begin_object();
    json.text("type", type_of(said.status)).text("message", said.message).end_object();
    json.text_or_null("request_id", Some(said.request_id).filter(|id| !id.is_empty())).end_object();
    json.finish()
}

fn type_of(status: u16) -> &'static str {
    let row = TYPES.iter().find(|(known, _)| *known == status);
    row.map_or(if status < 500 { "invalid_request_error" } else { "api_error" }, |(_, kind)| kind)
}

/// What an error object in a reply or stream says. It comes with a good status: its type tells the one that it means.
pub(super) fn said(root: Value<'_>) -> UpstreamError {
    let kind = root.get("error").map(super::kind).unwrap_or_default();
    // The last row of a type is Anthropic's own status.
    let row = TYPES.iter().rev().find(|(_, known)| *known == kind);
    upstream_error(row.map_or(500, |(status, _)| *status), root.raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Hint;
    use crate::json::Json;

    #[test]
    fn every_status_has_its_type() {
        for (status, kind) in [
            (400, "invalid_request_error"),
            (402, "billing_error"),
            (418, "invalid_request_error"),
            (413, "request_too_large"),
            (429, "rate_limit_error"),
            (502, "api_error"),
            (503, "overloaded_error"),
            (504, "timeout_error"),
            (529, "overloaded_error"),
        ] {
            let said = Said { status, kind: "x", code: None, param: None, message: "m", request_id: "r" };
            let want =
                format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}},"request_id":"r"}}"#);
            assert_eq!(String::from_utf8(error_body(&said)).unwrap(), want);
        }
    }

    #[test]
    fn an_error_in_a_good_reply_means_its_own_status() {
        for (kind, hint) in [
            ("overloaded_error", Hint::Overloaded),
            ("rate_limit_error", Hint::RateLimited),
            ("invalid_request_error", Hint::BadRequest),
            ("billing_error", Hint::Quota),
            ("timeout_error", Hint::Timeout),
            ("api_error", Hint::ServerError),
        ] {
            let body = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"m"}}}}"#);
            let json = Json::parse_lenient(body.into()).unwrap();
            assert_eq!(said(json.root()).hint, hint, "{kind}");
        }
    }
}
