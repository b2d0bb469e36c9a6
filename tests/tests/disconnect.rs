//! A caller that leaves is noticed at once, wherever its request stands, and what is done for it is cancelled.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::{Act, Gate, Gateway, Posting, Setup, Upstream, reply, soon};

fn ask(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
}

/// Far longer than the test: only the caller's leaving may end an attempt.
const PATIENT: &str = "timeouts: { connect: 60s, first_byte: 60s, idle: 60s, total: 60s }";

async fn gateway(upstream: &Upstream) -> (Gateway, String) {
    let gateway = Setup::pair(upstream.address, Upstream::refusing(), "", PATIENT).start().await;
    let key = gateway.key(&[]);
    (gateway, key)
}

async fn aborted(gateway: &Gateway) -> Posting {
    let posting = gateway.posted(1).await.remove(0);
    assert_eq!(posting.outcome, "client-abort", "{posting:?}");
    gateway.ledger_check();
    posting
}

#[tokio::test]
async fn before_the_first_byte() {
    for stream in [false, true] {
        let upstream = Upstream::start(|_| Act::new().hang()).await;
        let (gateway, key) = gateway(&upstream).await;
        let mut client = gateway.client().await;
        client.chat(&key, &ask(stream), &[]).await.unwrap();
        let call = upstream.call(0).await;
        drop(client);
        upstream.ended(call.connection).await;
        let posting = aborted(&gateway).await;
        assert_eq!((posting.attempts, posting.charged), (1, 0), "{posting:?}");
        assert_eq!(upstream.count(), 1, "nobody retries for a caller that has gone");
    }
}

#[tokio::test]
async fn in_the_middle_of_a_whole_reply() {
    let upstream = Upstream::start(|_| {
        Act::new()
            .send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"id\":")
            .hang()
    })
    .await;
    let (gateway, key) = gateway(&upstream).await;
    let mut client = gateway.client().await;
    client.chat(&key, &ask(false), &[]).await.unwrap();
    let call = upstream.call(0).await;
    drop(client);
    upstream.ended(call.connection).await;
    assert_eq!(aborted(&gateway).await.charged, 0);
}

#[tokio::test]
async fn in_the_middle_of_a_stream() {
    let upstream =
        Upstream::start(|_| Act::stream().chunk(reply::delta("one ")).chunk(reply::delta("two ")).hang())
            .await;
    let (gateway, key) = gateway(&upstream).await;
    let mut client = gateway.client().await;
    client.chat(&key, &ask(true), &[]).await.unwrap();
    assert_eq!(soon("a head", client.head()).await.unwrap().status, 200);
    for _ in 0..2 {
        assert!(soon("an event", client.event()).await.unwrap().is_some());
    }
    drop(client);
    upstream.ended(0).await;
    let posting = aborted(&gateway).await;
    assert!(!posting.counted && posting.output > 0, "the usage so far, as an estimate: {posting:?}");
    assert_eq!(Some(posting.charged), posting.provider_cost, "{posting:?}");
}

#[tokio::test]
async fn between_two_attempts() {
    let one = Upstream::start(|_| {
        let body = reply::error("rate_limit_error", "rate_limit_exceeded", "later").to_string();
        Act::reply(429, &[("Content-Type", "application/json"), ("Retry-After-Ms", "4900")], body)
    })
    .await;
    let gateway = Setup::pair(one.address, Upstream::refusing(), "retries: 1", PATIENT).start().await;
    let key = gateway.key(&[]);
    let mut client = gateway.client().await;
    client.chat(&key, &ask(false), &[]).await.unwrap();
    one.call(0).await;
    drop(client);
    let posting = aborted(&gateway).await;
    assert_eq!((posting.attempts, one.count()), (1, 1), "the pause before the retry ends with the caller");
}

#[tokio::test]
async fn inside_its_own_body() {
    let upstream = Upstream::saying("never").await;
    let (gateway, key) = gateway(&upstream).await;
    let mut client = gateway.client().await;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: 100\r\n\r\n{{"
    );
    client.write(head.as_bytes()).await.unwrap();
    drop(client);
    // The next request is served, and what was broken off has left no trace.
    assert_eq!(gateway.chat(&key, &ask(false)).await.answer(), "never");
    assert_eq!(gateway.posted(1).await[0].outcome, "ok");
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn a_pipelined_request_is_not_a_disconnect() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream =
        Upstream::start(move |call| Act::new().wait(&held).then(Act::answers(call, "all of it"))).await;
    let (gateway, key) = gateway(&upstream).await;
    let mut client = gateway.client().await;
    client.chat(&key, &ask(false), &[]).await.unwrap();
    upstream.call(0).await;
    client.chat(&key, &ask(false), &[]).await.unwrap();
    // The gateway has read the pipelined bytes when it serves another caller that came later.
    let list = {
        let mut other = gateway.client().await;
        let bearer = format!("Bearer {key}");
        other.send("GET", "/v1/models", &[("Authorization", &bearer)], b"").await.unwrap();
        soon("a reply", other.reply()).await.unwrap()
    };
    assert_eq!(list.status(), 200);
    gate.open();
    let first = soon("the first reply", client.reply()).await.unwrap();
    assert_eq!(first.answer(), "all of it");
    assert_eq!(gateway.posting(first.id()).outcome, "ok");
    gateway.ledger_check();
}

#[tokio::test]
async fn one_callers_leaving_does_not_touch_the_others() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |call| {
        Act::stream().chunk(reply::delta("first ")).wait(&held).then(rest(call.stream()))
    })
    .await;
    let (gateway, key) = gateway(&upstream).await;
    let mut clients = Vec::new();
    for n in 0..10 {
        let mut client = gateway.client().await;
        client.chat(&key, &ask(true), &[]).await.unwrap();
        assert_eq!(soon("a head", client.head()).await.unwrap().status, 200);
        assert!(soon("an event", client.event()).await.unwrap().is_some());
        clients.push((n, client));
    }
    clients.retain(|(n, _)| n % 2 == 0);
    gateway.posted(5).await;
    gate.open();
    for (_, client) in &mut clients {
        let mut last = None;
        while let Some(event) = soon("an event", client.event()).await.unwrap() {
            last = Some(event);
        }
        assert_eq!(last.as_deref(), Some("[DONE]"));
    }
    let postings = gateway.posted(10).await;
    assert_eq!(postings.iter().filter(|posting| posting.outcome == "ok").count(), 5);
    assert_eq!(postings.iter().filter(|posting| posting.outcome == "client-abort").count(), 5);
    gateway.ledger_check();
}

fn rest(_: bool) -> Act {
    reply::events(&["second"]).into_iter().fold(Act::new(), Act::chunk).end()
}

/// Two pieces, then a pause, then the rest with its usage.
async fn paused(gate: &Gate) -> Upstream {
    let held = gate.clone();
    Upstream::start(move |_| {
        let begun = Act::stream().chunk(reply::delta("one ")).chunk(reply::delta("two "));
        begun.wait(&held).then(rest(true))
    })
    .await
}

/// A caller of a stream that leaves after two pieces.
async fn leaves(gateway: &Gateway, key: &str) {
    let mut client = gateway.client().await;
    client.chat(key, &ask(true), &[]).await.unwrap();
    assert_eq!(soon("a head", client.head()).await.unwrap().status, 200);
    for _ in 0..2 {
        assert!(soon("an event", client.event()).await.unwrap().is_some());
    }
}

/// Waits until the gateway knows that the caller has left.
async fn noticed(gateway: &Gateway) {
    gateway.metrics_with(&["weir_drained_streams_total{result=\"begun\"} 1"]).await;
}

async fn draining(upstream: &Upstream, drain: &str) -> (Gateway, String) {
    let provider = format!("on_disconnect: drain, drain: {drain}, {PATIENT}");
    let setup = Setup::pair(upstream.address, Upstream::refusing(), "", &provider);
    let gateway = setup.start().await;
    // A hard budget, so that the hold has to stand until the end.
    let key = gateway.key(&["--budget", "1"]);
    (gateway, key)
}

#[tokio::test]
async fn a_provider_that_bills_all_of_it_anyway_is_read_to_its_end() {
    let gate = Gate::new();
    let upstream = paused(&gate).await;
    let (mut gateway, key) = draining(&upstream, "{ max: 60s }").await;
    leaves(&gateway, &key).await;
    noticed(&gateway).await;
    // It is under way, and shutdown waits for it.
    gateway.terminate();
    gate.open();
    assert!(gateway.ended().await.success());
    let posting = gateway.postings().remove(0);
    assert_eq!(posting.outcome, "client-abort", "{posting:?}");
    assert!(posting.counted, "what the provider counted: {posting:?}");
    assert_eq!((posting.input, posting.cached_input, posting.output), (60, 40, 10));
    assert_eq!((posting.charged, posting.provider_cost), (180_000, Some(180_000)), "{posting:?}");
    gateway.ledger_check();
}

#[tokio::test]
async fn reading_on_ends_at_its_caps() {
    for (drain, opens) in [("{ max: 100ms }", false), ("{ max: 60s, bytes: 100 }", true)] {
        let gate = Gate::new();
        let upstream = paused(&gate).await;
        let (gateway, key) = draining(&upstream, drain).await;
        leaves(&gateway, &key).await;
        noticed(&gateway).await;
        if opens {
            gate.open();
        }
        upstream.ended(0).await;
        let posting = aborted(&gateway).await;
        assert!(!posting.counted && posting.output > 0, "{drain}: the usage so far: {posting:?}");
        gateway.metrics_with(&["weir_drained_streams_total{result=\"cut\"} 1"]).await;
    }
}

#[tokio::test]
async fn a_caller_that_does_not_read_loses_its_connection() {
    // More than the buffers of a socket take.
    let long = "x".repeat(1 << 20);
    let upstream = Upstream::start(move |_| {
        (0..32).fold(Act::stream(), |act, _| act.chunk(reply::delta(&long))).then(rest(true))
    })
    .await;
    let setup = Setup::pair(upstream.address, Upstream::refusing(), "", PATIENT);
    let gateway = setup.server("  timeouts: { write: 1s }").start().await;
    let key = gateway.key(&[]);
    let mut client = gateway.client().await;
    client.chat(&key, &ask(true), &[]).await.unwrap();
    aborted(&gateway).await;
    // The end of a stream that nobody reads was once waited for without a limit: the connection stayed.
    gateway.metrics_with(&["\nweir_connections 0\n"]).await;
    drop(client);
}
