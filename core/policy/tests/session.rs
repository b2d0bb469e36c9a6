//! Which conversation a request belongs to: the first word that names one, in OpenRouter's order.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod fake;

use fake::head;
use serde_json::{Value, json};
use std::sync::Arc;
use weir_llm::request::Request;
use weir_policy::{Api, RequestView};

/// The hash of a chat request with these fields beside its messages, and a header if one is given.
fn session(fields: Value, header: Option<&str>, said: &str) -> String {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": said }] });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let request = Request::parse(Api::Chat, body.to_string().into_bytes().into()).unwrap();
    let headers = header.map(|value| ("X-Session-Id".to_owned(), value.to_owned()));
    let view = RequestView::new(head(), Arc::new(request), headers.into_iter().collect::<Vec<_>>());
    view.with_secret([7; 32]).session().unwrap().to_owned()
}

#[test]
fn the_body_comes_before_the_header_and_that_before_the_cache_key() {
    let named = |name: &str| session(json!({ "session_id": name }), None, "x");
    let all = json!({ "session_id": "a", "prompt_cache_key": "c", "conversation": "d" });
    let rest = json!({ "prompt_cache_key": "c", "conversation": "d" });
    assert_eq!(session(all, Some("b"), "hi"), named("a"));
    assert_eq!(session(rest.clone(), Some("b"), "hi"), named("b"));
    assert_eq!(session(rest, None, "hi"), named("c"));
    assert_eq!(session(json!({ "conversation": { "id": "d" } }), None, "hi"), named("d"));
    assert_eq!(
        session(json!({ "session_id": "" }), Some("b"), "hi"),
        named("b"),
        "an empty word names nothing"
    );
    assert_eq!(session(json!({ "prompt_cache_key": "c" }), Some(""), "hi"), named("c"));
}

#[test]
fn who_asks_is_no_conversation() {
    let by = |user: &str, said: &str| {
        session(json!({ "user": user, "metadata": { "user_id": user } }), None, said)
    };
    assert_ne!(by("ada", "of bees"), by("ada", "of trees"), "two conversations of one person are two");
    assert_eq!(by("ada", "of bees"), by("", "of bees"), "what is said first tells them");
}
