//! What policies keep while a stream lasts is bounded, and taken before anything is done.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use std::process::Command;
use weir_tests::{Act, Gate, Setup, Upstream, reply};

/// 64 requests at a time have 112 instances, of which 14 are for calls that wait and 4 for those that are answered at once;
/// each stream takes two of the others.
const STREAMS: usize = 47;

#[tokio::test]
async fn a_stream_that_finds_no_room_at_its_policy_is_refused_before_it_costs_anything() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("redact-pii.wasm");
    let build = Command::new(weir_tests::gateway::binary())
        .args(["plugin", "build", concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/redact-pii"), "--out"])
        .arg(&plugin)
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |call| {
        if !call.stream() {
            return Act::answers(call, "whole");
        }
        let rest = reply::events(&["last"]).into_iter().fold(Act::new(), Act::chunk).end();
        Act::stream().chunk(reply::delta("first ")).wait(&held).then(rest)
    })
    .await;
    let gateway = Setup::pair(upstream.address, upstream.address, "", "timeouts: { idle: 60s }")
        .server("  workers: 1\n  limits: { in_flight: 64 }")
        .also(&format!("policies: [{{ file: {0}, models: [m] }}, {{ file: {0} }}]", plugin.display()))
        .start()
        .await;
    let key = gateway.key(&["--budget", "100"]);
    let ask = |stream: bool| json!({ "model": "m", "max_tokens": 9, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] });
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut client = gateway.client().await;
        client.chat(&key, &ask(true), &[]).await.unwrap();
        streams.push(client);
    }
    upstream.call(STREAMS - 1).await;
    let refused = gateway.chat(&key, &ask(true)).await;
    assert_eq!((refused.status(), refused.get("retry-after")), (503, Some("1")), "{}", refused.text());
    assert_eq!(refused.json()["error"]["code"], "overloaded");
    assert_eq!(upstream.count(), STREAMS, "nobody was asked");
    gateway.metrics_with(&["weir_shed_total{why=\"slots\"} 1"]).await;
    // Whose reply is whole keeps no instance.
    assert_eq!(gateway.chat(&key, &ask(false)).await.answer(), "whole");
    gate.open();
    for mut client in streams {
        assert_eq!(client.reply().await.unwrap().answer(), "first last");
    }
    assert_eq!(gateway.chat(&key, &ask(true)).await.answer(), "first last", "what was taken has come back");
    gateway.ledger_check();
}
