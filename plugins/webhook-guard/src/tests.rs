//! The plugin against a service that is scripted.

use crate::WebhookGuard;
use serde_json::{Value, json};
use weir_sdk::http::{HttpError, Inbound, Outbound};
use weir_sdk::testing::{self, FakeRequest};
use weir_sdk::{Config, Guard, GuardResponse, Outcome, Plugin, Verdict};

fn plugin(config: &Value) -> WebhookGuard {
    WebhookGuard::configure(Config::new(&config.to_string())).expect("a config")
}

fn reply(status: u16, body: impl ToString) -> Result<Inbound, HttpError> {
    Ok(Inbound { status, headers: Vec::new(), body: body.to_string().into_bytes(), truncated: false })
}

fn asked(call: &Outbound) -> Value {
    serde_json::from_slice(&call.body).expect("JSON")
}

/// The verdict on a request if the service answers so.
fn verdict(config: &Value, request: &FakeRequest, answer: Result<Inbound, HttpError>) -> Verdict {
    testing::on_http("moderation", move |_| answer.clone());
    plugin(config).guard(request)
}

/// Status and code of a refusal.
fn refusal(verdict: &Verdict) -> (u16, &str) {
    match &verdict.outcome {
        Outcome::Block(deny) => (deny.status, &deny.code),
        other => panic!("{other:?}"),
    }
}

fn tag(verdict: &Verdict) -> &str {
    &verdict.tags[0].1
}

#[test]
fn the_service_is_told_what_the_contract_says() {
    testing::on_http("moderation", |call| {
        assert_eq!((call.method.as_str(), call.path.as_str(), call.timeout_ms), ("POST", "/check?v=2", 250));
        assert_eq!(call.headers, [("content-type".to_owned(), "application/json".to_owned())]);
        let told = json!({ "direction": "request", "texts": ["hello", "world"], "model": "test", "request_id": "req_test" });
        assert_eq!(asked(call), told);
        reply(200, json!({ "action": "pass" }))
    });
    let plugin = plugin(&json!({ "path": "/check?v=2", "timeout_ms": 250 }));
    let verdict = plugin.guard(&FakeRequest::new().user("hello").user("world"));
    assert_eq!((verdict.outcome.clone(), tag(&verdict)), (Outcome::Pass, "passed"));
}

#[test]
fn replies_are_told_from_requests() {
    testing::on_http("moderation", |call| {
        assert_eq!(asked(call)["direction"], "reply");
        reply(200, json!({ "action": "block", "reason": "secret" }))
    });
    let reply = FakeRequest::new().assistant("so it is");
    let verdict = plugin(&json!({})).guard_response(&testing::head(), &testing::meta(), &reply);
    assert_eq!(refusal(&verdict), (403, "content_blocked"));
    assert_eq!(verdict.tags, [("moderation_reply".to_owned(), "blocked".to_owned())]);
}

#[test]
fn a_reason_reaches_the_caller_only_if_the_operator_wants_it() {
    let request = FakeRequest::new().user("x");
    let blocked = || reply(200, json!({ "action": "block", "reason": "mentions a rival" }));
    let message = |config: Value| match verdict(&config, &request, blocked()).outcome {
        Outcome::Block(deny) => deny.message,
        other => panic!("{other:?}"),
    };
    assert!(!message(json!({})).contains("rival"));
    assert_eq!(message(json!({ "show_reason": true })), "mentions a rival");
}

#[test]
fn edits_land_where_the_service_meant_them() {
    let request = FakeRequest::new().user("keep").user("drop the word swordfish, ü!");
    let answer = json!({ "action": "edit", "edits": [
        { "text": 1, "start": 14, "end": 23, "replace": "***" },
        { "text": 1, "start": 25, "end": 27 },
        { "text": 0, "start": 4, "end": 4, "replace": "!" }
    ] });
    let verdict = verdict(&json!({}), &request, reply(200, answer));
    assert_eq!(request.edited(&verdict), ["keep!", "drop the word ***, !"]);
    assert_eq!((verdict.findings.len(), tag(&verdict)), (3, "edited"));
}

#[test]
fn what_crosses_a_cut_is_edited_once() {
    // The service knows the word; it crosses the first cut, and both pieces hold it.
    testing::on_http("moderation", |call| {
        let texts = asked(call)["texts"].clone();
        let edits = texts.as_array().expect("texts").iter().enumerate().flat_map(|(text, content)| {
            let content = content.as_str().expect("a text");
            let found = content.match_indices("swordfish").map(move |(at, word)| {
                json!({ "text": text, "start": at, "end": at + word.len(), "replace": "***" })
            });
            found.collect::<Vec<_>>()
        });
        reply(200, json!({ "action": "edit", "edits": edits.collect::<Vec<_>>() }))
    });
    let config = json!({ "batch_bytes": 4096, "max_bytes": 20000 });
    for at in 4_080..4_100 {
        let text = format!("{}swordfish{}", "x".repeat(at), "y".repeat(3_000));
        let request = FakeRequest::new().user(&text);
        let edited = request.edited(&plugin(&config).guard(&request));
        assert_eq!(edited, [text.replace("swordfish", "***")], "{at}");
    }
}

#[test]
fn one_block_of_several_calls_blocks() {
    testing::on_http("moderation", |call| {
        let bad = asked(call)["texts"].to_string().contains("swordfish");
        reply(200, json!({ "action": if bad { "block" } else { "pass" } }))
    });
    let text = format!("{}swordfish", "x".repeat(10_000));
    let verdict =
        plugin(&json!({ "batch_bytes": 4096, "max_bytes": 20000 })).guard(&FakeRequest::new().user(&text));
    assert_eq!(refusal(&verdict), (403, "content_blocked"));
}

#[test]
fn without_a_sound_answer_content_is_refused_or_let_through_as_the_operator_says() {
    let request = FakeRequest::new().user("hello");
    let broken = [
        Err(HttpError::Timeout),
        Err(HttpError::Connect),
        Err(HttpError::Tls),
        Err(HttpError::TooLarge),
        Err(HttpError::Budget),
        reply(500, json!({ "action": "pass" })),
        reply(204, ""),
        reply(200, "pass"),
        reply(200, json!({ "action": "maybe" })),
        reply(200, json!({ "action": "edit", "edits": [{ "text": 1, "start": 0, "end": 1 }] })),
        reply(200, json!({ "action": "edit", "edits": [{ "text": 0, "start": 0, "end": 6 }] })),
        reply(200, json!({ "action": "edit", "edits": [{ "text": 0, "start": 2, "end": 1 }] })),
        Ok(Inbound {
            status: 200,
            headers: Vec::new(),
            body: br#"{"action":"pass"}"#.to_vec(),
            truncated: true,
        }),
    ];
    for answer in broken {
        let closed = verdict(&json!({}), &request, answer.clone());
        assert_eq!(
            (refusal(&closed), tag(&closed)),
            ((503, "moderation_unavailable"), "unchecked"),
            "{answer:?}"
        );
        let open = verdict(&json!({ "on_error": "open" }), &request, answer);
        assert_eq!((open.outcome.clone(), tag(&open)), (Outcome::Pass, "unchecked"));
    }
}

#[test]
fn terms_that_are_too_loose_are_told_from_a_failure() {
    let request = FakeRequest::new().user("hello");
    let closed = verdict(&json!({}), &request, Err(HttpError::NotGranted));
    assert_eq!(refusal(&closed), (403, "terms_too_loose"));
}

#[test]
fn what_is_too_large_is_not_sent_if_closed_and_checked_as_far_as_it_goes_if_open() {
    let request = FakeRequest::new().user("hello world");
    testing::on_http("moderation", |_| panic!("nothing may be sent"));
    let closed = plugin(&json!({ "max_bytes": 5 })).guard(&request);
    assert_eq!(refusal(&closed), (413, "too_large_to_check"));
    testing::on_http("moderation", |call| {
        assert_eq!(asked(call)["texts"], json!(["hello"]));
        reply(
            200,
            json!({ "action": "edit", "edits": [{ "text": 0, "start": 0, "end": 5, "replace": "bye" }] }),
        )
    });
    let open = plugin(&json!({ "max_bytes": 5, "on_error": "open" })).guard(&request);
    assert_eq!((request.edited(&open), tag(&open)), (vec!["bye world".to_owned()], "unchecked"));
}

#[test]
fn what_is_not_asked_about_costs_no_call() {
    testing::on_http("moderation", |_| panic!("nothing may be sent"));
    let only_replies = plugin(&json!({ "directions": ["reply"] }));
    assert_eq!(only_replies.guard(&FakeRequest::new().user("hello")), Verdict::pass());
    assert_eq!(tag(&plugin(&json!({})).guard(&FakeRequest::new())), "passed");
}

#[test]
fn a_config_that_cannot_work_is_refused() {
    for config in [r#"{"max_bytes":700000}"#, r#"{"kinds":["image-bytes"]}"#, r#"{"on_error":"maybe"}"#] {
        assert!(WebhookGuard::configure(Config::new(config)).is_err(), "{config}");
    }
}
