//! *One parse, one truth*: each ambiguous body is refused, or read as Python's `json` reads it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use weir_llm::api::Api;
use weir_llm::json::Value;
use weir_llm::request::Request;

const CORPUS: &str = include_str!("../../../tests/corpus/ambiguous.jsonl");

fn ours(value: Option<Value<'_>>) -> serde_json::Value {
    value.map_or(serde_json::Value::Null, |value| serde_json::from_slice(value.raw()).unwrap())
}

#[test]
fn every_ambiguous_body_is_refused_or_read_alike() {
    let (mut rejected, mut accepted) = (0, 0);
    for line in CORPUS.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = case["name"].as_str().unwrap();
        let body = BASE64_STANDARD.decode(case["body"].as_str().unwrap()).unwrap();
        let parsed = Request::parse(Api::Chat, Bytes::from(body));
        match (case["expect"].as_str().unwrap(), parsed) {
            ("reject", Err(error)) => {
                assert!(!error.message.is_empty() && !error.code.is_empty(), "{name}");
                rejected += 1;
            }
            ("accept", Ok(request)) => {
                let python = &case["python"];
                let root = request.json().root();
                assert_eq!(python["model"], request.model(), "{name}");
                assert_eq!(python["stream"].as_bool().unwrap_or(false), request.stream(), "{name}");
                assert_eq!(python["messages"], ours(root.get("messages")), "{name}");
                let texts =
                    python["messages"].as_array().unwrap().iter().filter_map(|m| m["content"].as_str());
                for text in texts {
                    let seen = (0..request.segments().len()).any(|i| request.text(i).unwrap() == text);
                    assert!(seen, "{name}: a guard must see the content");
                }
                accepted += 1;
            }
            ("reject", Ok(_)) => panic!("{name}: accepted"),
            (_, result) => panic!("{name}: {result:?}"),
        }
    }
    assert!(rejected >= 200 && accepted >= 20, "{rejected} rejected, {accepted} accepted");
}
