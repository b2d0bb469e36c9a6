//! A plan that hedges: a second target beside a slow first, and whoever answers first.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::{Act, Client, Gate, Gateway, Setup, Upstream, reply, soon};

/// 60 tokens in, 40 cached, 10 out at the prices of the target that answers.
const CHARGE: [i64; 2] = [180_000, 360_000];

fn ask(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
}

fn policy(ms: u32) -> String {
    format!(
        "//! name: hedger\n//! version: 1.0.0\n//! hooks: [route]\nfn route(head, targets, config) {{ plan(targets).hedge({ms}) }}\n"
    )
}

async fn gateway(one: &Upstream, two: &Upstream, ms: u32, bounds: &str) -> (Gateway, String) {
    let patient = "timeouts: { first_byte: 15s, idle: 15s }";
    let gateway = Setup::pair(one.address, two.address, bounds, patient)
        .also("policies:\n  - { file: p.rhai }")
        .file("p.rhai", policy(ms))
        .start()
        .await;
    let key = gateway.key(&[]);
    (gateway, key)
}

#[tokio::test]
async fn a_first_target_that_says_nothing_is_overtaken_and_cancelled() {
    let one = Upstream::start(|_| Act::new().hang()).await;
    let two = Upstream::saying("two").await;
    let (gateway, key) = gateway(&one, &two, 50, "retries: 0").await;
    for (n, stream) in [false, true].into_iter().enumerate() {
        let reply = soon("a reply", gateway.chat(&key, &ask(stream))).await;
        assert_eq!(
            (reply.answer().as_str(), reply.get("x-weir-target")),
            ("two", Some("two/m2")),
            "{reply:?}"
        );
        assert_eq!(reply.get("x-weir-attempts"), Some("2"));
        one.ended(n).await;
        let posting = gateway.posting(reply.id());
        let summary = (posting.outcome, posting.attempts, posting.charged, posting.provider.as_str());
        assert_eq!(summary, ("ok", 2, CHARGE[1], "two"), "{posting:?}");
        // What was asked of the first is lost: the customer does not pay for it, the operator sees it. Its tokens are
        // guessed as everywhere, at the price of the one that was cancelled.
        let guessed = i64::try_from(ask(stream).to_string().len().div_ceil(4)).unwrap();
        assert_eq!(posting.provider_cost, Some(CHARGE[1] + guessed * 1_000), "{posting:?}");
    }
    assert_eq!((one.count(), two.count(), gateway.postings().len()), (2, 2, 2));
    let cancelled = "weir_attempts_total{class=\"cancelled\",model=\"m1\",provider=\"one\"} 2";
    gateway.metrics_with(&[cancelled, "weir_target_in_flight{model=\"m1\",provider=\"one\"} 0"]).await;
    gateway.ledger_check();
}

#[tokio::test]
async fn a_first_target_that_answers_in_time_is_alone() {
    let (one, two) = (Upstream::saying("one").await, Upstream::saying("two").await);
    let (gateway, key) = gateway(&one, &two, 10_000, "retries: 0").await;
    for stream in [false, true] {
        let reply = gateway.chat(&key, &ask(stream)).await;
        let posting = gateway.posting(reply.id());
        assert_eq!((reply.answer().as_str(), posting.attempts, posting.charged), ("one", 1, CHARGE[0]));
        assert_eq!(posting.provider_cost, Some(CHARGE[0]));
    }
    assert_eq!(two.count(), 0);
}

#[tokio::test]
async fn a_first_target_that_fails_in_time_is_followed_as_in_any_plan() {
    let one = Upstream::start(|_| Act::json(500, &reply::error("server_error", "x", "as scripted"))).await;
    let two = Upstream::saying("two").await;
    let (gateway, key) = gateway(&one, &two, 10_000, "retries: 0").await;
    let reply = gateway.chat(&key, &ask(true)).await;
    assert_eq!((reply.answer().as_str(), gateway.posting(reply.id()).attempts), ("two", 2), "{reply:?}");
}

#[tokio::test]
async fn the_slow_first_may_still_win_and_the_second_fail() {
    let gate = Gate::new();
    let opened = gate.clone();
    let one = Upstream::start(move |call| Act::new().wait(&opened).then(Act::answers(call, "one"))).await;
    let (two, told) = (Gate::new(), Gate::new());
    let waits = two.clone();
    let failing = Upstream::start(move |_| {
        told.open();
        Act::new().wait(&waits).then(Act::json(500, &reply::error("server_error", "x", "as scripted")))
    })
    .await;
    let (gateway, key) = gateway(&one, &failing, 30, "retries: 0").await;
    let mut client = gateway.client().await;
    client.chat(&key, &ask(true), &[]).await.unwrap();
    failing.call(0).await;
    two.open();
    gate.open();
    let reply = soon("a reply", client.reply()).await.unwrap();
    assert_eq!((reply.answer().as_str(), reply.get("x-weir-target")), ("one", Some("one/m1")), "{reply:?}");
    let posting = gateway.posting(reply.id());
    assert_eq!((posting.outcome, posting.attempts, posting.charged), ("ok", 2, CHARGE[0]), "{posting:?}");
}

#[tokio::test]
async fn two_failures_are_two_attempts_and_the_last_one_is_told() {
    let gate = Gate::new();
    let opened = gate.clone();
    let one = Upstream::start(move |_| {
        Act::new().wait(&opened).then(Act::json(503, &reply::error("server_error", "first", "as scripted")))
    })
    .await;
    let open = gate.clone();
    let two = Upstream::start(move |_| {
        open.open();
        Act::json(500, &reply::error("server_error", "second", "as scripted"))
    })
    .await;
    let (gateway, key) = gateway(&one, &two, 30, "retries: 0").await;
    let reply = soon("a reply", gateway.chat(&key, &ask(false))).await;
    assert!(matches!(reply.status(), 500 | 503), "{reply:?}");
    let posting = gateway.posting(reply.id());
    assert_eq!((posting.outcome, posting.attempts, posting.charged), ("failed", 2, 0), "{posting:?}");
    assert_eq!((one.count(), two.count()), (1, 1));
}

#[tokio::test]
async fn nobody_is_asked_beyond_what_a_request_may_ask() {
    let gate = Gate::new();
    let opened = gate.clone();
    let one = Upstream::start(move |call| Act::new().wait(&opened).then(Act::answers(call, "one"))).await;
    let two = Upstream::saying("two").await;
    let (gateway, key) = gateway(&one, &two, 0, "retries: 0, max_attempts: 1").await;
    let mut client = gateway.client().await;
    client.chat(&key, &ask(false), &[]).await.unwrap();
    one.call(0).await;
    gate.open();
    assert_eq!(soon("a reply", client.reply()).await.unwrap().answer(), "one");
    assert_eq!(two.count(), 0);
}

#[tokio::test]
async fn a_caller_that_leaves_takes_both_along() {
    let one = Upstream::start(|_| Act::new().hang()).await;
    let two = Upstream::start(|_| Act::new().hang()).await;
    let (gateway, key) = gateway(&one, &two, 20, "retries: 0").await;
    let mut client = gateway.client().await;
    client.chat(&key, &ask(true), &[]).await.unwrap();
    two.call(0).await;
    drop(client);
    one.ended(0).await;
    two.ended(0).await;
    let posting = gateway.posted(1).await.remove(0);
    assert_eq!((posting.outcome, posting.attempts, posting.charged), ("client-abort", 2, 0), "{posting:?}");
}

/// Both tries under way, in a process that is told to stop.
async fn stopping(grace: &str) -> (Gateway, [Upstream; 2], Gate, Client) {
    let gate = Gate::new();
    let opened = gate.clone();
    let one = Upstream::start(|_| Act::new().hang()).await;
    let two = Upstream::start(move |call| Act::new().wait(&opened).then(Act::answers(call, "two"))).await;
    let patient = "timeouts: { connect: 60s, first_byte: 60s, idle: 60s, total: 60s }";
    let gateway = Setup::pair(one.address, two.address, "retries: 0", patient)
        .server(&format!("  timeouts: {{ grace: {grace} }}"))
        .also("policies:\n  - { file: p.rhai }")
        .file("p.rhai", policy(20))
        .start()
        .await;
    let key = gateway.key(&["--budget", "1"]);
    let mut client = gateway.client().await;
    let mut body = ask(false);
    body["max_tokens"] = json!(10);
    client.chat(&key, &body, &[]).await.unwrap();
    two.call(0).await;
    gateway.terminate();
    while gateway.get_admin("/readyz").await.status() == 200 {}
    (gateway, [one, two], gate, client)
}

#[tokio::test]
async fn a_race_that_is_under_way_may_finish_within_the_grace_period() {
    let (mut gateway, [one, two], gate, mut client) = stopping("1h").await;
    gate.open();
    let reply = soon("a reply", client.reply()).await.unwrap();
    assert_eq!((reply.answer().as_str(), reply.get("x-weir-target")), ("two", Some("two/m2")), "{reply:?}");
    one.ended(0).await;
    assert!(gateway.ended().await.success());
    let posting = gateway.posting(reply.id());
    assert_eq!((posting.outcome, posting.attempts, posting.charged), ("ok", 2, CHARGE[1]), "{posting:?}");
    assert_eq!((one.count(), two.count(), gateway.postings().len()), (1, 1, 1));
    gateway.ledger_check();
}

#[tokio::test]
async fn a_race_that_outlasts_the_grace_period_is_refused_and_both_tries_end() {
    let (mut gateway, [one, two], _gate, mut client) = stopping("300ms").await;
    let reply = soon("a refusal", client.reply()).await.unwrap();
    assert_eq!(reply.refused(503), "shutting_down");
    one.ended(0).await;
    two.ended(0).await;
    assert!(gateway.ended().await.success());
    let posting = gateway.posting(reply.id());
    assert_eq!((posting.attempts, posting.charged), (2, 0), "{posting:?}");
    assert_eq!(gateway.postings().len(), 1);
    gateway.ledger_check();
}

/// Terms are looked at again where a hedge begins: it never leads to who may not have the content, whoever is named.
#[tokio::test]
async fn a_hedge_passes_over_who_may_not_have_the_content() {
    let one = Upstream::start(|_| Act::new().hang()).await;
    let (keeps, three) = (Upstream::saying("keeps").await, Upstream::saying("three").await);
    let at = |upstream: &Upstream| {
        let patient = "timeouts: { connect: 2s, first_byte: 300ms, idle: 300ms, total: 20s }";
        format!("base_url: 'http://{}/v1', keys: [k], {patient}", upstream.address)
    };
    let gateway = Setup::new(format!(
        "providers:
  one: {{ {}, retention: zero }}
  keeps: {{ {}, retention: days-30, trains: false }}
  three: {{ {}, retention: zero }}
models:
  m: {{ targets: [one/a, keeps/b, three/c], retries: 0 }}
  alone: {{ targets: [one/a, keeps/b], retries: 0 }}
policies:
  - {{ file: p.rhai, grants: [targets] }}
",
        at(&one),
        at(&keeps),
        at(&three)
    ))
    // Both by what it is offered, and by whatever number it likes.
    .file(
        "p.rhai",
        "//! name: hedger
//! version: 1.0.0
//! hooks: [route]
//! capabilities: [targets]
fn route(head, targets, config) {
    if head.tag(\"blind\") == () { return plan(targets).hedge(10); }
    plan([step(0), step(1), step(2)]).hedge(10)
}
",
    )
    .start()
    .await;
    let (zero, any) = (gateway.key(&["--retention", "zero"]), gateway.key(&[]));
    let ask = async |key: &str, model: &str, stream: bool, tags: &str| {
        let mut body = ask(stream);
        body["model"] = json!(model);
        soon("a reply", gateway.chat_with(key, &body, &[("x-weir-tags", tags)])).await
    };
    for (stream, tags) in [(false, "x=1"), (true, "x=1"), (false, "blind=1"), (true, "blind=1")] {
        let reply = ask(&zero, "m", stream, tags).await;
        assert_eq!((reply.answer().as_str(), reply.get("x-weir-attempts")), ("three", Some("2")), "{tags}");
        // Long after the hedge's time there is still nobody to ask.
        let reply = ask(&zero, "alone", stream, tags).await;
        assert_eq!((reply.status(), reply.get("x-weir-attempts")), (504, Some("1")), "{tags}: {reply:?}");
    }
    assert_eq!(keeps.count(), 0, "not a byte");
    for model in ["m", "alone"] {
        assert_eq!(ask(&any, model, false, "x=1").await.answer(), "keeps", "the control: {model}");
    }
    gateway.ledger_check();
}
