//! Nobody waits for ever: not for a provider's first byte, the next or the last, nor for a caller that does not read.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::{Act, Gateway, Setup, Upstream, reply, soon};

fn ask(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
}

/// A gateway before a provider with these deadlines and nobody to fall back to.
async fn gateway(upstream: &Upstream, timeouts: &str, server: &str) -> (Gateway, String) {
    let gateway = Setup::new(format!(
        "providers: {{ p: {{ base_url: 'http://{}/v1', keys: [k], timeouts: {timeouts} }} }}\nmodels: {{ m: {{ targets: [p/x], retries: 0 }} }}\n",
        upstream.address
    ))
    .server(server)
    .start()
    .await;
    let key = gateway.key(&[]);
    (gateway, key)
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n";

#[tokio::test]
async fn each_part_of_a_reply_and_the_whole_have_a_deadline() {
    let silent = |_: &weir_tests::Call| Act::new().hang();
    let stuck = |call: &weir_tests::Call| match call.stream() {
        true => Act::stream().chunk(reply::delta("one ")).hang(),
        false => Act::new().send(HEAD).send("{\"id\":").hang(),
    };
    for (what, timeouts, said) in [
        ("first byte", "{ first_byte: 300ms, idle: 60s, total: 60s }", "no reply within 300 ms"),
        ("next byte", "{ first_byte: 60s, idle: 300ms, total: 60s }", "nothing came for 300 ms"),
        ("last byte", "{ first_byte: 60s, idle: 60s, total: 300ms }", ""),
    ] {
        let upstream = match what {
            "first byte" => Upstream::start(silent).await,
            _ => Upstream::start(stuck).await,
        };
        let (gateway, key) = gateway(&upstream, timeouts, "").await;
        let whole = gateway.chat(&key, &ask(false)).await;
        assert_eq!(whole.refused(504), "upstream_timeout", "{what}");
        assert!(whole.text().contains(said), "{what}: {whole:?}");
        let streamed = gateway.chat(&key, &ask(true)).await;
        if what == "first byte" {
            assert_eq!(streamed.refused(504), "upstream_timeout");
        } else {
            let last = streamed.events().pop().unwrap();
            assert!(last.contains("broke off") && last.contains(said), "{what}: {last}");
        }
        assert_eq!(upstream.count(), 2, "{what}");
        assert!(gateway.postings().iter().all(|posting| posting.charged == 0), "{what}");
        gateway.ledger_check();
    }
}

#[tokio::test]
async fn a_caller_that_does_not_read_counts_as_gone() {
    // More than the sockets' own buffers take.
    let upstream = Upstream::start(|_| {
        let piece = reply::delta(&"long ".repeat(100_000));
        (0..60).fold(Act::stream(), |act, _| act.chunk(&piece)).hang()
    })
    .await;
    let (gateway, key) = gateway(&upstream, "{ idle: 60s }", "  timeouts: { write: 300ms }").await;
    let mut client = gateway.client().await;
    client.chat(&key, &ask(true), &[]).await.unwrap();
    let posting = gateway.posted(1).await.remove(0);
    assert_eq!(posting.outcome, "client-abort", "{posting:?}");
    upstream.ended(0).await;
    soon("the end of the connection", client.closed()).await;
    gateway.ledger_check();
}
