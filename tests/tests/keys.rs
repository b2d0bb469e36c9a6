//! A provider's keys: what is said of one is remembered, and another is used.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::{Act, Call, Gateway, Setup, Upstream, reply};

fn ask(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
}

fn error(status: u16, code: &str, headers: &[(&str, &str)]) -> Act {
    let body = reply::error("as_scripted", code, "as scripted").to_string();
    Act::reply(status, &[&[("Content-Type", "application/json")], headers].concat(), body)
}

fn key(call: &Call) -> &str {
    call.get("authorization").unwrap().strip_prefix("Bearer ").unwrap()
}

/// The keys that were used, in order.
fn used(upstream: &Upstream) -> Vec<String> {
    upstream.calls().iter().map(|call| key(call).to_owned()).collect()
}

fn listed(gateway: &Gateway) -> Value {
    serde_json::from_str(&gateway.print(&["providers", "--live", "--json"])).unwrap()
}

/// One provider with two keys, one model with a fallback and one without.
async fn gateway(one: &Upstream, two: &Upstream) -> (Gateway, String) {
    let gateway = Setup::new(format!(
        "providers:
  one: {{ base_url: 'http://{}/v1', keys: [sk-zero-SECRET, sk-one-SECRET] }}
  two: {{ base_url: 'http://{}/v1', keys: [sk-two] }}
models:
  m: {{ targets: [one/m, two/m], retries: 1 }}
  alone: {{ targets: [one/m], retries: 0 }}
  other: {{ targets: [one/n], retries: 0 }}
",
        one.address, two.address
    ))
    .start()
    .await;
    let key = gateway.key(&[]);
    (gateway, key)
}

#[tokio::test]
async fn a_limited_key_rests_and_the_same_target_is_asked_with_another_at_once() {
    let one = Upstream::start(|call| match key(call) {
        "sk-zero-SECRET" => error(429, "rate_limit_exceeded", &[("Retry-After", "60")]),
        _ => Act::answers(call, "hello"),
    })
    .await;
    let two = Upstream::saying("two").await;
    let (gateway, caller) = gateway(&one, &two).await;
    for n in 0..8 {
        let reply = gateway.chat(&caller, &ask("m", n % 2 == 0)).await;
        assert_eq!((reply.answer().as_str(), reply.get("x-weir-target")), ("hello", Some("one/m")));
        let attempts = gateway.posting(reply.id()).attempts;
        assert_eq!(attempts, if n == 0 { 2 } else { 1 }, "request {n}");
    }
    let zero = used(&one).iter().filter(|key| *key == "sk-zero-SECRET").count();
    assert_eq!((zero, two.count()), (1, 0), "{:?}", used(&one));

    // Rate limits are by model.
    let reply = gateway.chat(&caller, &ask("other", false)).await;
    assert_eq!(reply.answer(), "hello", "{reply:?}");

    let metrics = gateway.get_admin("/metrics").await.text();
    assert!(metrics.contains("weir_provider_key_state{key=\"0\",provider=\"one\"} 1"), "{metrics}");
    assert!(metrics.contains("weir_provider_key_state{key=\"1\",provider=\"one\"} 0"), "{metrics}");
    let shown = listed(&gateway);
    let live = &shown["providers"][0]["live"];
    assert_eq!(live["keys"], json!([{ "key": 0, "state": "cooling" }, { "key": 1, "state": "ready" }]));
    assert_eq!(live["targets"][0]["target"], "one/m");
    let table = gateway.print(&["providers", "--live"]);
    assert!(table.contains("one            key 0") && table.contains("cooling"), "{table}");
    assert!(!format!("{metrics}{shown}{table}").contains("SECRET"));
}

#[tokio::test]
async fn refused_keys_are_out_for_all_models_and_the_caller_is_told_when_to_return() {
    let one = Upstream::start(|_| error(401, "invalid_api_key", &[])).await;
    let two = Upstream::saying("two").await;
    let (gateway, caller) = gateway(&one, &two).await;
    let reply = gateway.chat(&caller, &ask("m", false)).await;
    assert_eq!((reply.answer().as_str(), gateway.posting(reply.id()).attempts), ("two", 3), "{reply:?}");
    assert_eq!(used(&one).len(), 2, "each key once");

    let reply = gateway.chat(&caller, &ask("m", true)).await;
    assert_eq!((reply.answer().as_str(), gateway.posting(reply.id()).attempts), ("two", 1), "{reply:?}");

    for model in ["alone", "other", "one/direct"] {
        let reply = gateway.chat(&caller, &ask(model, false)).await;
        assert_eq!(reply.refused(503), "upstream_auth", "{reply:?}");
        let after: u32 = reply.get("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&after), "{after}");
        assert_eq!(gateway.posting(reply.id()).charged, 0);
    }
    assert_eq!(used(&one).len(), 2, "nobody asks with a refused key");
    let metrics = gateway.get_admin("/metrics").await.text();
    assert!(metrics.contains("weir_provider_key_state{key=\"1\",provider=\"one\"} 2"), "{metrics}");

    // A reload that changes nothing of the provider forgets nothing of its keys.
    gateway.print(&["reload"]);
    let reply = gateway.chat(&caller, &ask("alone", false)).await;
    assert_eq!((reply.refused(503).as_str(), used(&one).len()), ("upstream_auth", 2));
    let shown = listed(&gateway);
    let target = &shown["providers"][0]["live"]["targets"][0];
    assert_eq!((&target["healthy"], &target["passed_over"]), (&json!(false), &json!(true)), "{shown}");
}

#[tokio::test]
async fn a_key_that_may_not_use_a_model_is_good_for_others() {
    let one = Upstream::start(|call| match (key(call), call.json()["model"].as_str()) {
        ("sk-zero-SECRET", Some("m")) => error(403, "model_not_allowed", &[]),
        _ => Act::answers(call, "hello"),
    })
    .await;
    let two = Upstream::saying("two").await;
    let (gateway, caller) = gateway(&one, &two).await;
    for _ in 0..4 {
        assert_eq!(gateway.chat(&caller, &ask("m", false)).await.answer(), "hello");
        assert_eq!(gateway.chat(&caller, &ask("other", false)).await.answer(), "hello");
    }
    let zero = one.calls().iter().filter(|call| key(call) == "sk-zero-SECRET").count();
    assert!(zero > 1, "the key serves the other model");
    let refused = |call: &Call| key(call) == "sk-zero-SECRET" && call.json()["model"] == "m";
    assert_eq!(one.calls().iter().filter(|call| refused(call)).count(), 1);
}

#[tokio::test]
async fn who_asks_to_be_left_alone_is_and_others_answer_meanwhile() {
    for status in [429, 503, 529] {
        let one = Upstream::start(move |_| error(status, "busy", &[("Retry-After", "30")])).await;
        let two = Upstream::saying("two").await;
        let (gateway, caller) = gateway(&one, &two).await;
        let first = gateway.chat(&caller, &ask("m", false)).await;
        assert_eq!(first.answer(), "two", "{first:?}");
        let asked = one.count();
        for _ in 0..5 {
            let reply = gateway.chat(&caller, &ask("m", false)).await;
            assert_eq!(
                (reply.answer().as_str(), reply.get("x-weir-attempts")),
                ("two", Some("1")),
                "{status}"
            );
        }
        let reply = gateway.chat(&caller, &ask("alone", false)).await;
        let (shown, code) =
            if status == 429 { (429, "rate_limit_exceeded") } else { (503, "upstream_overloaded") };
        assert_eq!(reply.refused(shown), code, "{reply:?}");
        assert!(reply.get("retry-after").unwrap().parse::<u32>().unwrap() <= 30);
        assert_eq!(one.count(), asked, "{status}: it is not asked before its time");
    }
}

#[tokio::test]
async fn what_is_the_requests_own_fault_says_nothing_of_the_key() {
    for status in [400, 404, 422] {
        let one = Upstream::start(move |_| error(status, "no", &[])).await;
        let two = Upstream::saying("two").await;
        let (gateway, caller) = gateway(&one, &two).await;
        for n in 1..4 {
            let reply = gateway.chat(&caller, &ask("alone", false)).await;
            assert_eq!((reply.status(), one.count()), (status, n), "{reply:?}");
        }
        // Nobody else is asked, nor does it say anything of the target: who asks for what is not there must not send
        // everybody else elsewhere.
        for n in 4..10 {
            let reply = gateway.chat(&caller, &ask("m", false)).await;
            assert_eq!((reply.status(), one.count(), two.count()), (status, n, 0), "{reply:?}");
        }
        let metrics = gateway.get_admin("/metrics").await.text();
        assert!(metrics.contains("weir_provider_key_state{key=\"0\",provider=\"one\"} 0"), "{metrics}");
    }
}
