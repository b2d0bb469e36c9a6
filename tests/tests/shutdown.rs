//! A gateway that is told to stop lets streams finish, ends what is left in each API's own words, and settles all of it; one
//! that is killed mends at its next start what it left.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::fs;
use weir_tests::{Act, Client, Gate, Gateway, Setup, Upstream, reply, soon};

const PATIENT: &str = "timeouts: { connect: 60s, first_byte: 60s, idle: 60s, total: 60s }";

/// The three APIs: where they are, and a stream asked for there.
fn apis() -> [(&'static str, Value); 3] {
    let user = json!([{ "role": "user", "content": "hi" }]);
    [
        ("/v1/chat/completions", json!({ "model": "m", "stream": true, "messages": user })),
        ("/v1/responses", json!({ "model": "m", "stream": true, "input": "hi" })),
        ("/v1/messages", json!({ "model": "m", "stream": true, "max_tokens": 100, "messages": user })),
    ]
}

/// A provider of chat completions that stops in the middle until the gate is open.
async fn provider(gate: &Gate) -> Upstream {
    let held = gate.clone();
    Upstream::start(move |_| {
        let rest = reply::events(&["last"]).into_iter().fold(Act::new(), Act::chunk).end();
        Act::stream().chunk(reply::delta("first ")).wait(&held).then(rest)
    })
    .await
}

async fn gateway(upstream: &Upstream, grace: &str) -> Gateway {
    let provider = format!("dialect: openai-chat, {PATIENT}");
    let setup = Setup::pair(upstream.address, Upstream::refusing(), "", &provider);
    setup.server(&format!("  timeouts: {{ grace: {grace} }}")).start().await
}

/// A stream of each API, whose first text has come.
async fn streams(gateway: &Gateway) -> Vec<Client> {
    let key = gateway.key(&[]);
    let mut streams = Vec::new();
    for (path, body) in apis() {
        let mut client = gateway.client().await;
        let bearer = format!("Bearer {key}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        client.send("POST", path, &headers, body.to_string().as_bytes()).await.unwrap();
        assert_eq!(soon("a head", client.head()).await.unwrap().status, 200);
        while !soon("the first text", client.event()).await.unwrap().unwrap().contains("first ") {}
        streams.push(client);
    }
    streams
}

/// The rest of a stream, which must end properly.
async fn rest(client: &mut Client) -> Vec<String> {
    let mut events = Vec::new();
    while let Some(event) = soon("an event", client.event()).await.unwrap() {
        events.push(event);
    }
    events
}

async fn ended_with_errors(mut gateway: Gateway, mut streams: Vec<Client>) {
    let ends = ["\"error\":", "\"type\":\"response.failed\"", "\"type\":\"error\""];
    for (client, end) in streams.iter_mut().zip(ends) {
        let events = rest(client).await;
        let last = events.iter().rfind(|event| *event != "[DONE]").unwrap();
        assert!(
            last.replace(": ", ":").contains(end) && last.contains("shutting down"),
            "{end}: {events:#?}"
        );
    }
    assert!(gateway.ended().await.success());
    let outcomes: Vec<_> = gateway.postings().iter().map(|posting| posting.outcome).collect();
    assert_eq!(outcomes, ["upstream-cut"; 3]);
    gateway.ledger_check();
}

#[tokio::test]
async fn streams_of_every_api_finish_within_the_grace_period() {
    let gate = Gate::new();
    let upstream = provider(&gate).await;
    let mut gateway = gateway(&upstream, "1h").await;
    let mut streams = streams(&gateway).await;
    gateway.signal("-INT");
    gate.open();
    for (client, end) in streams.iter_mut().zip(["[DONE]", "response.completed", "message_stop"]) {
        let events = rest(client).await;
        assert!(events.last().unwrap().contains(end), "{end}: {events:#?}");
    }
    // As soon as nothing is under way, not when the hour is over.
    assert!(gateway.ended().await.success());
    let outcomes: Vec<_> = gateway.postings().iter().map(|posting| posting.outcome).collect();
    assert_eq!(outcomes, ["ok"; 3]);
    gateway.ledger_check();
}

#[tokio::test]
async fn streams_of_every_api_that_outlast_it_end_with_an_error() {
    let upstream = provider(&Gate::new()).await;
    let gateway = gateway(&upstream, "100ms").await;
    let streams = streams(&gateway).await;
    gateway.terminate();
    ended_with_errors(gateway, streams).await;
}

#[tokio::test]
async fn a_second_signal_ends_the_wait() {
    let upstream = provider(&Gate::new()).await;
    let gateway = gateway(&upstream, "1h").await;
    let streams = streams(&gateway).await;
    gateway.terminate();
    while gateway.get_admin("/readyz").await.status() == 200 {}
    gateway.signal("-INT");
    ended_with_errors(gateway, streams).await;
}

#[tokio::test]
async fn what_a_killed_process_left_is_mended_and_said() {
    let gate = Gate::new();
    let upstream = provider(&gate).await;
    let temporary = tempfile::tempdir().unwrap();
    let mut gateway = Setup::pair(upstream.address, Upstream::refusing(), "", PATIENT)
        .env("TMPDIR", temporary.path().to_str().unwrap())
        .start()
        .await;
    assert!(!gateway.stdout().contains("recovered"), "there was nothing: {}", gateway.stdout());
    let key = gateway.key(&["--budget", "1"]);
    let mut client = gateway.client().await;
    let (_, body) = apis().into_iter().next().unwrap();
    client.chat(&key, &body, &[]).await.unwrap();
    upstream.call(0).await;
    gateway.kill();
    fs::create_dir_all(gateway.data().join("compiled")).unwrap();
    fs::write(gateway.data().join("compiled/.tmpA1b2C3"), "half").unwrap();
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1, "its socket is left");
    gateway.serve().await;
    let log = gateway.stdout();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("\"recovered\"")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    let line: Value = serde_json::from_str(lines[0]).unwrap();
    for what in ["\"holds\":1", "\"files\":1", "\"sockets\":1"] {
        assert!(line.to_string().contains(what), "{what}: {line}");
    }
    let metrics = gateway.get_admin("/metrics").await.text();
    for what in ["wal", "holds", "files", "sockets"] {
        assert!(metrics.contains(&format!("weir_recovered_total{{what=\"{what}\"}} 1")), "{what}: {metrics}");
    }
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1, "only its own");
    gate.open();
    let served = gateway.chat(&key, &body).await;
    assert_eq!(served.answer(), "first last");
    gateway.stop().await;
    gateway.serve().await;
    assert_eq!(
        gateway.stdout().matches("\"recovered\"").count(),
        2,
        "the hold of the killed one still stands"
    );
}
