//! How providers are reached: HTTP/2, TLS, certificates, connections that are used again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use weir_tests::streams::{Asked, Streams, Turn};
use weir_tests::tls::{Front, Pki};
use weir_tests::{Act, Gate, Gateway, Setup, Upstream, soon};

const ANSWER: &str = "the whole answer, once";

fn ask(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
}

/// One provider with these lines, and an alias for it.
async fn gateway(lines: &str, alias: &str) -> (Gateway, String) {
    let gateway = Setup::new(format!(
        "providers:\n  one: {{ keys: [sk-one], {lines} }}\nmodels:\n  m: {{ targets: [one/m], {alias} }}\n"
    ))
    .start()
    .await;
    let key = gateway.key(&[]);
    (gateway, key)
}

fn answers(_: &Asked) -> Turn {
    Turn::Answer(ANSWER.into())
}

#[tokio::test]
async fn over_tls_what_the_provider_prefers_is_spoken_and_one_connection_serves_many() {
    let pki = Pki::new();
    let inner = Streams::start(100, answers).await;
    let front = Front::start(inner.address, &pki, "leaf", &["h2", "http/1.1"]).await;
    let lines = format!("base_url: 'https://{}/v1', ca: '{}'", front.address, pki.path("ca.pem").display());
    let (gateway, key) = gateway(&lines, "retries: 0").await;
    let gateway = Arc::new(gateway);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40 {
        let (gateway, key) = (Arc::clone(&gateway), key.clone());
        tasks.spawn(async move { soon("a reply", gateway.chat(&key, &ask(n % 2 == 0))).await });
    }
    while let Some(reply) = tasks.join_next().await {
        let reply = reply.unwrap();
        assert_eq!((reply.answer().as_str(), reply.get("x-weir-attempts")), (ANSWER, Some("1")), "{reply:?}");
    }
    assert_eq!((inner.asked().len(), inner.connections()), (40, 1));
    let asked = inner.asked().pop().unwrap();
    assert_eq!(asked.uri, format!("https://{}/v1/chat/completions", front.address));
    let has = |name: &str| asked.headers.iter().any(|(known, _)| known == name);
    assert!(has("authorization") && has("content-type") && has("content-length"), "{asked:?}");
    assert!(!has("host") && !has("connection") && !has("transfer-encoding"), "{asked:?}");
}

#[tokio::test]
async fn a_provider_without_http2_is_spoken_to_in_http1() {
    let pki = Pki::new();
    let inner = Upstream::saying(ANSWER).await;
    for protocols in [&[][..], &["http/1.1"]] {
        let front = Front::start(inner.address, &pki, "leaf", protocols).await;
        let ca = pki.path("ca.pem");
        let lines = format!("base_url: 'https://{}/v1', ca: '{}'", front.address, ca.display());
        let (gateway, key) = gateway(&lines, "retries: 0").await;
        let before = inner.connections();
        for n in 0..6 {
            assert_eq!(gateway.chat(&key, &ask(n % 2 == 0)).await.answer(), ANSWER);
        }
        // One, or one more where the end of a reply was late.
        assert!(inner.connections() - before < 4, "the connection is used again");
    }
}

#[tokio::test]
async fn in_clear_text_http2_is_spoken_where_the_operator_knows_that_it_is() {
    let inner = Streams::start(100, answers).await;
    let lines = format!("base_url: 'http://{}/v1', http: '2'", inner.address);
    let (gateway, key) = gateway(&lines, "retries: 0").await;
    for n in 0..10 {
        assert_eq!(gateway.chat(&key, &ask(n % 2 == 0)).await.answer(), ANSWER);
    }
    assert_eq!((inner.asked().len(), inner.connections()), (10, 1));
}

#[tokio::test]
async fn a_stream_that_was_not_looked_at_is_asked_again_once_without_counting() {
    let inner = Streams::start(100, |asked| match asked.index {
        1 => Turn::Refuse,
        _ => Turn::Answer(ANSWER.into()),
    })
    .await;
    let lines = format!("base_url: 'http://{}/v1', http: '2'", inner.address);
    let (gateway, key) = gateway(&lines, "retries: 0").await;
    for _ in 0..3 {
        let reply = gateway.chat(&key, &ask(false)).await;
        assert_eq!((reply.answer().as_str(), reply.get("x-weir-attempts")), (ANSWER, Some("1")), "{reply:?}");
        assert_eq!(gateway.posting(reply.id()).attempts, 1);
    }
    assert_eq!(inner.asked().len(), 4);

    let always = Streams::start(100, |_| Turn::Refuse).await;
    let lines = format!("base_url: 'http://{}/v1', http: '2'", always.address);
    let (gateway, key) = self::gateway(&lines, "retries: 0").await;
    let reply = gateway.chat(&key, &ask(false)).await;
    assert_eq!((reply.refused(502).as_str(), always.asked().len()), ("upstream_failed", 2), "once");
    assert_eq!(gateway.posting(reply.id()).attempts, 1);
}

#[tokio::test]
async fn a_stream_that_is_reset_ends_alone() {
    let (cut, slow) = (Gate::new(), Gate::new());
    let (to_cut, to_slow) = (cut.clone(), slow.clone());
    let inner = Streams::start(100, move |asked| match asked.index {
        0 => Turn::Slow(vec!["one "], to_slow.clone(), vec!["two ", "three"]),
        1 => Turn::Cut(vec!["never "], to_cut.clone()),
        _ => Turn::Reset,
    })
    .await;
    let lines = format!("base_url: 'http://{}/v1', http: '2'", inner.address);
    let (gateway, key) = gateway(&lines, "retries: 0").await;
    let mut first = gateway.client().await;
    first.chat(&key, &ask(true), &[]).await.unwrap();
    first.head().await.unwrap();
    let mut second = gateway.client().await;
    second.chat(&key, &ask(true), &[]).await.unwrap();
    second.head().await.unwrap();
    cut.open();
    let broken = second.rest().await.unwrap();
    assert!(String::from_utf8_lossy(&broken).contains("stream_broken"));
    // A third that is reset before a reply is a failed attempt, and no more.
    assert_eq!(gateway.chat(&key, &ask(false)).await.refused(502), "upstream_failed");
    slow.open();
    let whole = String::from_utf8(first.rest().await.unwrap()).unwrap();
    assert!(whole.contains("three") && whole.contains("[DONE]") && !whole.contains("error"), "{whole}");
    assert_eq!(inner.connections(), 1);
}

#[tokio::test]
async fn a_server_that_says_goodbye_costs_no_request() {
    let inner = Streams::start(100, |_| Turn::Last(ANSWER.into())).await;
    let lines = format!("base_url: 'http://{}/v1', http: '2'", inner.address);
    let (gateway, key) = gateway(&lines, "retries: 0").await;
    for n in 0..50 {
        let reply = gateway.chat(&key, &ask(n % 2 == 0)).await;
        assert_eq!(
            (reply.answer().as_str(), reply.get("x-weir-attempts")),
            (ANSWER, Some("1")),
            "{n}: {reply:?}"
        );
    }
}

#[tokio::test]
async fn a_goodbye_ends_no_stream_that_is_open_and_new_requests_go_elsewhere() {
    let gate = Gate::new();
    let opened = gate.clone();
    let inner = Streams::start(100, move |asked| match asked.index {
        0 | 1 => Turn::Slow(vec!["one "], opened.clone(), vec!["two ", "three"]),
        2 => Turn::Last(ANSWER.into()),
        _ => Turn::Answer(ANSWER.into()),
    })
    .await;
    let lines = format!("base_url: 'http://{}/v1', http: '2'", inner.address);
    let (gateway, key) = gateway(&lines, "retries: 0").await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut client = gateway.client().await;
        client.chat(&key, &ask(true), &[]).await.unwrap();
        soon("a head", client.head()).await.unwrap();
        open.push(client);
    }
    // The goodbye may come a moment behind the reply: until then the old connection takes what comes.
    for n in 0.. {
        let reply = soon("a reply", gateway.chat(&key, &ask(n % 2 == 0))).await;
        let seen = (reply.status(), reply.get("x-weir-attempts"));
        assert_eq!(seen, (200, Some("1")), "{n}: {reply:?}");
        assert_eq!(reply.answer(), ANSWER);
        if inner.asked().pop().unwrap().connection == 1 {
            break;
        }
        assert!(n < 1000, "new requests still go over the connection that takes no more");
    }
    gate.open();
    for client in &mut open {
        let whole = String::from_utf8(soon("the rest", client.rest()).await.unwrap()).unwrap();
        assert!(whole.contains("three") && whole.contains("[DONE]") && !whole.contains("error"), "{whole}");
    }
    assert_eq!(inner.connections(), 2);
    assert!(gateway.postings().iter().all(|posting| posting.outcome == "ok" && posting.attempts == 1));
    gateway.ledger_check();
}

#[tokio::test]
async fn a_connection_that_is_full_gets_a_sister_and_a_large_reply_has_room() {
    let large = "x".repeat(12 << 20);
    let said = large.clone();
    let gate = Gate::new();
    let opened = gate.clone();
    let inner = Streams::start(2, move |asked| match asked.index {
        0..5 => Turn::Slow(vec!["a "], opened.clone(), vec!["b"]),
        _ => Turn::Answer(said.clone()),
    })
    .await;
    let lines = format!("base_url: 'http://{}/v1', http: '2', streams: 2", inner.address);
    let (gateway, key) = gateway(&lines, "retries: 0").await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = gateway.client().await;
        client.chat(&key, &ask(true), &[]).await.unwrap();
        soon("a head", client.head()).await.unwrap();
        clients.push(client);
    }
    assert_eq!(inner.connections(), 3);
    gate.open();
    for client in &mut clients {
        assert!(String::from_utf8_lossy(&client.rest().await.unwrap()).contains("[DONE]"));
    }
    let reply = soon("a large reply", gateway.chat(&key, &ask(false))).await;
    assert_eq!(reply.answer().len(), large.len());
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said_and_how_to_mend_it() {
    let pki = Pki::new();
    let inner = Upstream::saying(ANSWER).await;
    let trusted = format!(", ca: '{}'", pki.path("ca.pem").display());
    for (certificate, ca, says) in [
        ("expired", &*trusted, "has expired"),
        ("other", &*trusted, "another name"),
        ("leaf", "", "name its root with `ca`"),
    ] {
        let front = Front::start(inner.address, &pki, certificate, &[]).await;
        let (gateway, key) =
            gateway(&format!("base_url: 'https://{}/v1'{ca}", front.address), "retries: 0").await;
        for stream in [false, true] {
            let reply = gateway.chat(&key, &ask(stream)).await;
            assert_eq!(reply.refused(502), "upstream_failed");
            assert!(reply.text().contains(says), "{certificate}: {}", reply.text());
            assert_eq!(gateway.posting(reply.id()).charged, 0);
        }
    }
    assert_eq!(inner.count(), 0, "nothing is sent to who is not trusted");
}

#[tokio::test]
async fn a_provider_that_asks_who_we_are_is_shown_our_certificate() {
    let pki = Pki::new();
    let inner = Upstream::saying(ANSWER).await;
    let front = Front::for_known(inner.address, &pki).await;
    let base = format!("base_url: 'https://{}/v1', ca: '{}'", front.address, pki.path("ca.pem").display());
    let (unknown, key) = gateway(&base, "retries: 0").await;
    let reply = unknown.chat(&key, &ask(false)).await;
    assert_eq!(reply.refused(502), "upstream_failed");
    let pair = format!(
        "{{ cert: '{}', key: '{}' }}",
        pki.path("client.pem").display(),
        pki.path("client.key").display()
    );
    let (known, key) = gateway(&format!("{base}, client_cert: {pair}"), "retries: 0").await;
    assert_eq!(known.chat(&key, &ask(true)).await.answer(), ANSWER);
}

/// The drill of connections that their servers close while nobody uses them.
#[tokio::test]
async fn idle_connections_that_the_provider_closes_cost_no_request() {
    // Closed right behind the reply, without a word: the gateway finds out when it looks, or when it writes.
    let one = Upstream::start(|call| match call.turn % 3 {
        2 => Act::answers(call, ANSWER).close(),
        _ => Act::answers(call, ANSWER),
    })
    .await;
    let gateway = Setup::pair(one.address, Upstream::refusing(), "retries: 0", "").start().await;
    let key = gateway.key(&[]);
    let mut tasks = tokio::task::JoinSet::new();
    let gateway = Arc::new(gateway);
    for worker in 0..8 {
        let (gateway, key) = (Arc::clone(&gateway), key.clone());
        tasks.spawn(async move {
            let mut client = gateway.client().await;
            for n in 0..250 {
                client.chat(&key, &ask((n + worker) % 2 == 0), &[]).await.unwrap();
                let reply = soon("a reply", client.reply()).await.unwrap();
                let seen = (reply.status(), reply.get("x-weir-attempts"), reply.get("x-weir-target"));
                assert_eq!(seen, (200, Some("1"), Some("one/m1")), "{worker}/{n}: {reply:?}");
                assert_eq!(reply.answer(), ANSWER);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(one.count(), 2000, "no request was sent twice that was answered");
    let metrics = gateway.get_admin("/metrics").await.text();
    let failed = metrics
        .lines()
        .filter(|line| line.starts_with("weir_attempts_total") && !line.contains("class=\"ok\""));
    assert_eq!(failed.count(), 0, "{metrics}");
}

/// A kept connection that breaks after a while may have been a request at work: it is not sent twice in silence.
#[tokio::test]
async fn a_request_that_may_have_run_is_not_sent_again_in_silence() {
    let one = Upstream::start(|call| match call.turn {
        0 => Act::answers(call, ANSWER),
        // The whole request has been read; then nothing, for longer than a closed connection needs to be noticed.
        _ => Act::new().pause(Duration::from_millis(1_300)).close(),
    })
    .await;
    let lines = format!("base_url: 'http://{}/v1', timeouts: {{ first_byte: 60s, total: 60s }}", one.address);
    let (gateway, key) = gateway(&lines, "retries: 0").await;
    assert_eq!(gateway.chat(&key, &ask(false)).await.answer(), ANSWER);
    let reply = soon("an answer", gateway.chat(&key, &ask(false))).await;
    assert_eq!(reply.refused(502), "upstream_failed");
    assert_eq!((one.count(), one.connections()), (2, 1), "hit once");
    let posting = gateway.posting(reply.id());
    assert_eq!((posting.outcome, posting.attempts, posting.charged), ("failed", 1, 0), "{posting:?}");
}
