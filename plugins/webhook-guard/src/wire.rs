//! The contract with the moderation service: JSON over `POST`.
//!
//! ```json
//! { "direction": "request", "texts": ["first text", "second text"], "model": "fast", "request_id": "req_…" }
//! ```
//!
//! is answered with status 200 and one of
//!
//! ```json
//! { "action": "pass" }
//! { "action": "block", "reason": "for the operator's eyes, or the caller's if the config says so" }
//! { "action": "edit", "edits": [{ "text": 0, "start": 6, "end": 10, "replace": "***" }] }
//! ```
//!
//! `text` counts from 0 in `texts`; `start` and `end` are bytes of its UTF-8 and lie on characters; without `replace` the
//! span is removed. Long content comes in several calls of the same `request_id`, of which each is answered by itself.
//! Fields that are not known are passed over, so that the service may say more.

use serde::{Deserialize, Serialize};

/// A call.
#[derive(Debug, Serialize)]
pub struct Ask<'a> {
    /// `request` or `reply`.
    pub direction: &'a str,
    /// Parts of the content, in its order.
    pub texts: Vec<&'a str>,
    /// The model as the caller named it.
    pub model: &'a str,
    /// Weir's id of the exchange.
    pub request_id: &'a str,
}

/// The answer to a call.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// What becomes of the content.
    pub action: Action,
    /// Why it is blocked.
    #[serde(default)]
    pub reason: Option<String>,
    /// What is changed.
    #[serde(default)]
    pub edits: Vec<Change>,
}

/// What becomes of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It goes on.
    Pass,
    /// It goes no further.
    Block,
    /// It goes on with these edits.
    Edit,
}

/// A span of one of the texts, and what comes in its place.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Change {
    /// Which text.
    pub text: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Nothing if absent.
    #[serde(default)]
    pub replace: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_says_what_the_contract_says() {
        let ask =
            Ask { direction: "request", texts: vec!["a \"b\"", "ü"], model: "fast", request_id: "req_1" };
        let json = r#"{"direction":"request","texts":["a \"b\"","ü"],"model":"fast","request_id":"req_1"}"#;
        assert_eq!(serde_json::to_string(&ask).unwrap(), json);
    }

    #[test]
    fn an_answer_may_say_more_but_not_less() {
        let answer = |json| serde_json::from_str::<Answer>(json);
        assert_eq!(answer(r#"{"action":"pass","score":0.1}"#).unwrap().action, Action::Pass);
        let edit = answer(r#"{"action":"edit","edits":[{"text":0,"start":1,"end":2}]}"#).unwrap();
        assert_eq!(edit.edits, [Change { text: 0, start: 1, end: 2, replace: None }]);
        for wrong in [
            "",
            "{}",
            "[]",
            r#"{"action":"PASS"}"#,
            r#"{"action":"allow"}"#,
            r#"{"action":"edit","edits":[{}]}"#,
        ] {
            assert!(answer(wrong).is_err(), "{wrong}");
        }
    }
}
