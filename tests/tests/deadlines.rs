//! Nobody waits for ever: not for a provider's first byte, the next or the last, nor for a caller that does not read.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use weir_tests::tls::Pki;
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

/// Asks for a stream and reads it to its end with a pause after each piece; the last of them.
async fn read_slowly(gateway: &Gateway, key: &str, pause: Duration) -> String {
    let mut caller = gateway.client().await;
    caller.chat(key, &ask(true), &[]).await.unwrap();
    soon("a head", caller.head()).await.unwrap();
    let read = async {
        let mut last = Vec::new();
        while let Some(piece) = caller.piece().await.unwrap() {
            last = piece;
            tokio::time::sleep(pause).await;
        }
        String::from_utf8(last).unwrap()
    };
    soon("the end of the stream", read).await
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

/// Signs of life are no token: who sends nothing else for too long is given up for the next target.
#[tokio::test]
async fn comments_and_pings_do_not_put_off_the_first_tokens_deadline() {
    const COMMENT: &str = ": keep-alive\n\n";
    let ticking = |_: &weir_tests::Call| {
        (0..30).fold(Act::stream(), |act, _| act.chunk(COMMENT).pause(Duration::from_millis(200)))
    };
    let flooding = |_: &weir_tests::Call| Act::stream().flood(COMMENT);
    for alive in [Upstream::start(ticking).await, Upstream::start(flooding).await] {
        let good = Upstream::saying("fine").await;
        let timeouts = "timeouts: { first_byte: 500ms, idle: 5s, total: 20s }";
        let gateway = Setup::pair(alive.address, good.address, "retries: 0", timeouts).start().await;
        let key = gateway.key(&[]);
        let began = Instant::now();
        let reply = gateway.chat(&key, &ask(true)).await;
        assert_eq!((reply.status(), reply.get("x-weir-target")), (200, Some("two/m2")), "{reply:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert_eq!((alive.count(), good.count()), (1, 1));
        let (gateway, key) = self::gateway(&alive, "{ first_byte: 500ms, idle: 5s, total: 20s }", "").await;
        let alone = gateway.chat(&key, &ask(true)).await;
        assert_eq!(alone.refused(504), "upstream_timeout");
        assert!(alone.text().contains("no event within 500 ms"), "{alone:?}");
    }
}

/// The caller is the slowest of the three, so the next piece is always there already: nothing ever waits for the deadline.
#[tokio::test]
async fn a_stream_without_a_pause_has_a_deadline_too() {
    let upstream = Upstream::start(|_| Act::stream().flood(reply::delta(&"and on ".repeat(100)))).await;
    let (gateway, key) = gateway(&upstream, "{ total: 400ms }", "").await;
    let last = read_slowly(&gateway, &key, Duration::from_millis(1)).await;
    assert!(last.contains("broke off: ") && last.contains("it took longer than it may"), "{last}");
    gateway.ledger_check();
}

/// It has had most of the reply, and the provider was quick.
#[tokio::test]
async fn a_caller_that_reads_until_time_is_up_pays_for_what_it_got() {
    let upstream = Upstream::start(|_| Act::stream().flood(reply::delta(&"and on ".repeat(1000)))).await;
    let gateway = Setup::new(format!(
        "providers: {{ p: {{ base_url: 'http://{}/v1', keys: [k], timeouts: {{ total: 2s }} }} }}
models: {{ m: {{ targets: [{{ target: p/x, prices: {{ input: 1, output: 1 }} }}], retries: 0 }} }}
",
        upstream.address
    ))
    .start()
    .await;
    let key = gateway.key(&[]);
    let last = read_slowly(&gateway, &key, Duration::from_millis(25)).await;
    assert!(last.contains("its caller reads slowly"), "{last}");
    let posting = gateway.posted(1).await.remove(0);
    assert!(posting.outcome == "client-abort" && posting.charged > 0, "{posting:?}");
    gateway.ledger_check();
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

/// Ten seconds are everybody's; after them a body has to have come at the least rate, on average.
#[tokio::test]
async fn a_body_that_trickles_is_cut_and_one_that_is_only_slow_is_not() {
    let upstream = Upstream::saying("fine").await;
    let (gateway, key) =
        gateway(&upstream, "{}", "  limits: { min_rate: 1000 }\n  timeouts: { body: 60s }").await;
    let padded = |length: usize| {
        let body = ask(false).to_string();
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    let send = async |body: String, piece: usize| {
        let mut client = gateway.client().await;
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.write(head.as_bytes()).await.unwrap();
        // Four pieces a second, for a little longer than ten seconds.
        for piece in body.as_bytes().chunks(piece).take(43) {
            client.write(piece).await.unwrap();
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        soon("a reply", client.reply()).await.unwrap()
    };
    let began = Instant::now();
    let slow = send(padded(43 * 600), 600);
    let trickling = send(padded(10_000), 75);
    let (slow, trickling) = tokio::join!(slow, trickling);
    assert_eq!((slow.status(), slow.answer().as_str()), (200, "fine"), "{slow:?}");
    assert_eq!(trickling.refused(408), "request_timeout");
    assert!(trickling.text().contains("slower than 1000 bytes a second"), "{trickling:?}");
    assert!(began.elapsed() >= Duration::from_secs(10), "the first ten seconds are everybody's");
    assert_eq!((upstream.count(), gateway.postings().len()), (1, 1));
}

/// A handshake has no more time than a request's head, whatever of it has come.
#[tokio::test]
async fn a_tls_handshake_that_stops_is_cut() {
    let pki = Pki::new();
    let upstream = Upstream::saying("fine").await;
    let server = format!(
        "  tls: {{ cert: '{}', key: '{}' }}\n  timeouts: {{ header: 400ms, idle: 60s }}",
        pki.path("leaf.pem").display(),
        pki.path("leaf.key").display()
    );
    let (gateway, key) = gateway(&upstream, "{}", &server).await;
    // The beginning of a greeting of 512 bytes, and nothing at all.
    for sent in [&b"\x16\x03\x01\x02\x00\x01\x00\x01"[..], b""] {
        let mut client = gateway.client().await;
        client.write(sent).await.unwrap();
        soon("the end of the connection", client.closed()).await;
    }
    // Clear text is no greeting.
    let mut client = gateway.client().await;
    client.write(b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    soon("the end of the connection", client.closed()).await;
    for protocols in [&[][..], &["http/1.1"], &["h2", "http/1.1"]] {
        let reply = pki.get(gateway.address, "/v1/models", &key, protocols).await;
        assert!(reply.contains("200"), "{protocols:?}: {reply}");
    }
}

/// More than the sockets' own buffers take, for two callers: one takes nothing, the other takes it bit by bit.
#[tokio::test]
async fn who_takes_nothing_is_cut_and_who_takes_little_is_not() {
    let upstream = Upstream::start(|call| {
        let piece = reply::delta(&"long ".repeat(100_000));
        let act = (0..40).fold(Act::stream(), |act, _| act.chunk(&piece));
        match call.index {
            0 => act.hang(),
            _ => reply::events(&["last"]).into_iter().fold(act, Act::chunk).end(),
        }
    })
    .await;
    let server = "  timeouts: { write: 60s, stall: 1500ms }";
    let (gateway, key) = gateway(&upstream, "{ idle: 60s, total: 60s }", server).await;
    let mut stuck = gateway.client().await;
    stuck.chat(&key, &ask(true), &[]).await.unwrap();
    upstream.call(0).await;
    let mut slow = gateway.client().await;
    slow.chat(&key, &ask(true), &[]).await.unwrap();
    soon("a head", slow.head()).await.unwrap();
    let mut read = 0;
    while let Some(piece) = soon("a piece", slow.piece()).await.unwrap() {
        read += piece.len();
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    assert!(read > 40 * 500_000, "{read}");
    // Its own minute is not over, by far.
    let outcomes: Vec<_> = gateway.posted(2).await.iter().map(|posting| posting.outcome).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "client-abort").count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "ok").count(), 1, "{outcomes:?}");
    soon("the end of the connection", stuck.closed()).await;
    upstream.ended(0).await;
}
