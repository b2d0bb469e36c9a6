//! Whatever a provider does wrong, the caller gets one whole reply or one truthful error, and is billed for the reply
//! alone.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use weir_tests::tls::{Front, Pki};
use weir_tests::{Act, Call, Gateway, Posting, Reply, Setup, Silent, Upstream, reply, soon};

const ANSWER: &str = "the whole answer, once";
/// 60 tokens in, 40 cached, 10 out at the prices of the target that answers.
const CHARGE: i64 = 360_000;

/// One thing that a provider can do wrong before a reply has begun.
struct Fault {
    name: &'static str,
    place: Place,
    /// What the caller gets if nobody else can answer.
    status: u16,
    code: &'static str,
    /// How often a target that may be retried once is asked.
    asked: usize,
}

/// Where a provider is, and what happens to who goes there.
enum Place {
    /// It takes requests, and does this.
    Acts(fn(&Call) -> Act),
    /// It does not even listen.
    Refuses,
    /// Whoever connects hears nothing.
    Silent,
    /// Its certificate has expired; behind it stands one that would answer.
    Expired,
    /// Its name does not resolve.
    Nameless,
}

const fn fault(name: &'static str, status: u16, code: &'static str, act: fn(&Call) -> Act) -> Fault {
    Fault { name, place: Place::Acts(act), status, code, asked: 2 }
}

/// One that no request gets to.
const fn unreached(name: &'static str, status: u16, code: &'static str, place: Place) -> Fault {
    Fault { name, place, status, code, asked: 0 }
}

/// A label may have 63 bytes: the system's resolver says no by itself, and no name server is asked.
fn nameless() -> String {
    format!("http://{}.invalid/v1", "x".repeat(64))
}

fn half(call: &Call) -> Act {
    if call.stream() {
        return Act::stream().chunk(&reply::delta("never seen")[..20]);
    }
    Act::new().send(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"id\":\"x\",\"cho",
    )
}

fn html(_: &Call) -> Act {
    Act::reply(200, &[("Content-Type", "text/html")], "<html><body>Sign in to the hotel's WLAN</body></html>")
}

/// A reply, or the first event of a stream, with two bytes in it that are no UTF-8.
fn no_utf8(call: &Call, before: &[u8], after: &[u8]) -> Act {
    let body = [before, b"\xff\xfe", after].concat();
    match call.stream() {
        true => Act::stream().chunk([b"data: ", &*body, b"\n\n"].concat()).chunk(reply::done()).end(),
        false => Act::reply(200, &[("Content-Type", "application/json")], body),
    }
}

fn length(body: &str, length: usize) -> Act {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    Act::new().send(head).close()
}

fn error(status: u16, kind: &str, code: &str) -> Act {
    Act::json(status, &reply::error(kind, code, "as scripted"))
}

fn first_event(call: &Call, kind: &str, code: &str) -> Act {
    let error = reply::error(kind, code, "as scripted");
    if call.stream() { Act::stream().chunk(reply::event(&error)).end() } else { Act::json(200, &error) }
}

/// 128 MiB of blanks, packed.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let spaces = vec![b' '; 1 << 20];
    (0..128).for_each(|_| gzip.write_all(&spaces).unwrap());
    gzip.finish().unwrap()
});

fn faults() -> Vec<Fault> {
    vec![
        unreached("refuse", 502, "upstream_failed", Place::Refuses),
        unreached("blackhole", 504, "upstream_timeout", Place::Silent),
        unreached("tls-expired", 502, "upstream_failed", Place::Expired),
        unreached("no-name", 502, "upstream_failed", Place::Nameless),
        fault("reset", 502, "upstream_failed", |_| Act::new().reset()),
        fault("close", 502, "upstream_failed", |_| Act::new().close()),
        fault("stall-before-head", 504, "upstream_timeout", |_| Act::new().hang()),
        fault("stall-in-head", 504, "upstream_timeout", |_| {
            Act::new().send("HTTP/1.1 200 OK\r\nContent-Ty").hang()
        }),
        fault("stall-in-body", 504, "upstream_timeout", |call| half(call).hang()),
        fault("close-in-body", 502, "upstream_failed", |call| half(call).close()),
        fault("reset-in-body", 502, "upstream_failed", |call| half(call).reset()),
        fault("length-too-long", 502, "upstream_failed", |_| {
            let body = reply::completion("never seen", 1, 0, 1).to_string();
            length(&body, body.len() + 10)
        }),
        fault("length-too-short", 502, "upstream_failed", |_| {
            let body = reply::completion("never seen", 1, 0, 1).to_string();
            length(&body, body.len() - 10)
        }),
        fault("length-no-number", 502, "upstream_failed", |_| {
            Act::new().send("HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n{}").close()
        }),
        fault("no-http", 502, "upstream_failed", |_| {
            Act::new().send("SSH-2.0-OpenSSH_9.2p1\r\n\r\n").close()
        }),
        fault("html", 502, "upstream_failed", html),
        fault("compressed", 502, "upstream_failed", |_| {
            Act::reply(
                200,
                &[("Content-Encoding", "gzip"), ("Content-Type", "application/json")],
                [0x1f, 0x8b, 8],
            )
        }),
        fault("gzip-bomb", 502, "upstream_failed", |call| {
            let kind = if call.stream() { "text/event-stream" } else { "application/json" };
            Act::reply(200, &[("Content-Encoding", "gzip"), ("Content-Type", kind)], &*BOMB)
        }),
        fault("no-utf8", 502, "upstream_failed", |call| {
            let text = if call.stream() { "delta" } else { "message" };
            let before = format!("{{\"choices\":[{{\"index\":0,\"{text}\":{{\"content\":\"");
            no_utf8(call, before.as_bytes(), b"\"}}]}")
        }),
        // All of it can be read but for a comment, or for what stands behind the JSON.
        fault("no-utf8-beside", 502, "upstream_failed", |call| {
            let event = if call.stream() { reply::delta("never seen") } else { Vec::new() };
            let said = event.strip_prefix(b"data: ").unwrap_or(&event).trim_ascii_end();
            let whole = reply::completion("never seen", 1, 0, 1).to_string();
            match call.stream() {
                true => no_utf8(call, &[said, b"\n: "].concat(), b""),
                false => no_utf8(call, whole.as_bytes(), b""),
            }
        }),
        fault("no-json", 502, "upstream_failed", |call| match call.stream() {
            true => Act::stream().chunk("data: {nonsense\n\n").chunk(reply::delta("never seen")).end(),
            false => Act::reply(200, &[("Content-Type", "application/json")], "{nonsense"),
        }),
        fault("no-events", 502, "upstream_failed", |call| {
            if call.stream() { Act::stream().end() } else { Act::json(200, &json!({})) }
        }),
        fault("429", 429, "rate_limit_exceeded", |_| {
            let body = reply::error("rate_limit_error", "rate_limit_exceeded", "as scripted").to_string();
            Act::reply(429, &[("Content-Type", "application/json"), ("Retry-After-Ms", "20")], body)
        }),
        Fault {
            asked: 1,
            ..fault("429-for-long", 429, "rate_limit_exceeded", |_| {
                let body = reply::error("rate_limit_error", "rate_limit_exceeded", "as scripted").to_string();
                Act::reply(429, &[("Content-Type", "application/json"), ("Retry-After", "61")], body)
            })
        },
        fault("500", 500, "as_scripted", |_| error(500, "server_error", "as_scripted")),
        fault("502-html", 502, "upstream_error", |_| {
            Act::reply(502, &[("Content-Type", "text/html")], "<html>")
        }),
        fault("529", 503, "as_scripted", |_| error(529, "overloaded_error", "as_scripted")),
        fault("503", 503, "as_scripted", |_| error(503, "server_error", "as_scripted")),
        // The key that was just refused is not tried again.
        Fault {
            asked: 1,
            ..fault("401", 502, "upstream_auth", |_| error(401, "authentication_error", "invalid_api_key"))
        },
        fault("302", 502, "upstream_error", |_| Act::reply(302, &[("Location", "http://127.0.0.1:1/")], "")),
        fault("error-in-200", 502, "as_scripted", |call| first_event(call, "server_error", "as_scripted")),
        fault("429-in-200", 429, "rate_limit_exceeded", |call| {
            first_event(call, "rate_limit_error", "rate_limit_exceeded")
        }),
    ]
}

fn ask(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
}

/// The exchange ended well at the second target, and only that is billed.
fn answered_by_good(reply: &Reply, posting: &Posting, attempts: i64, what: &str) {
    assert_eq!(reply.status(), 200, "{what}: {reply:?}");
    assert_eq!(reply.answer(), ANSWER, "{what}: {reply:?}");
    assert_eq!(reply.get("x-weir-target"), Some("good/g"), "{what}");
    assert_eq!(reply.get("x-weir-attempts"), Some(attempts.to_string().as_str()), "{what}");
    let summary = (posting.outcome, posting.attempts, posting.charged, posting.provider.as_str());
    assert_eq!(summary, ("ok", attempts, CHARGE, "good"), "{what}: {posting:?}");
    if posting.stream {
        assert_eq!(reply.events().last().map(String::as_str), Some("[DONE]"), "{what}: {reply:?}");
        assert_eq!(reply.events().iter().filter(|event| *event == "[DONE]").count(), 1, "{what}");
    }
}

fn nothing_billed(posting: &Posting, attempts: usize, what: &str) {
    let summary = (posting.outcome, posting.attempts, posting.charged, posting.output);
    assert_eq!(summary, ("failed", i64::try_from(attempts).unwrap(), 0, 0), "{what}: {posting:?}");
}

struct House {
    gateway: Gateway,
    key: String,
    faults: Vec<(Fault, Option<Upstream>)>,
    good: Upstream,
    expired: Expired,
    /// Keeps the black hole black.
    _silent: Silent,
}

/// A provider behind a certificate that has expired.
struct Expired {
    pki: Pki,
    front: Front,
    inner: Upstream,
}

impl Expired {
    async fn start() -> Self {
        let (pki, inner) = (Pki::new(), Upstream::saying("never seen").await);
        Self { front: Front::start(inner.address, &pki, "expired", &[]).await, pki, inner }
    }

    fn lines(&self) -> String {
        format!("base_url: 'https://{}/v1', ca: '{}'", self.front.address, self.pki.path("ca.pem").display())
    }
}

/// One gateway with providers for every fault, and three aliases each, for whole and for streamed replies: the fault and
/// then a good target, the fault alone with one retry, and the fault twice with more retries than attempts.
async fn house() -> Arc<House> {
    // Made before anybody waits for it.
    LazyLock::force(&BOMB);
    let good = Upstream::saying(ANSWER).await;
    let (silent, keep_silent) = Upstream::silent().await;
    let expired = Expired::start().await;
    let timeouts = "timeouts: { connect: 2s, first_byte: 700ms, idle: 700ms, total: 20s }";
    let mut providers = format!(
        "providers:\n  good: {{ base_url: 'http://{}/v1', keys: [sk-good], timeouts: {{ first_byte: 20s }} }}\n",
        good.address
    );
    let mut models = "models:\n".to_owned();
    let mut running = Vec::new();
    for fault in faults() {
        let at = |address: SocketAddr| format!("base_url: 'http://{address}/v1'");
        let (upstream, lines) = match fault.place {
            Place::Acts(act) => {
                let upstream = Upstream::start(act).await;
                let lines = at(upstream.address);
                (Some(upstream), lines)
            }
            Place::Refuses => (None, at(Upstream::refusing())),
            Place::Silent => (None, at(silent)),
            Place::Expired => (None, expired.lines()),
            Place::Nameless => (None, format!("base_url: '{}'", nameless())),
        };
        let name = fault.name;
        for form in ["whole", "stream"] {
            // A provider of its own for each alias: failures open breakers and rest keys.
            let bad = |providers: &mut String, alias| {
                let own = format!("f-{name}-{alias}-{form}");
                writeln!(providers, "  {own}: {{ {lines}, keys: [sk-bad], {timeouts} }}").unwrap();
                format!("{{ target: {own}/m, prices: {{ input: 1, cached_input: 0.5, output: 10 }} }}")
            };
            let well = "{ target: good/g, prices: { input: 2, cached_input: 1, output: 20 } }";
            for (alias, fallback, bounds) in [
                ("then-good", true, "retries: 0"),
                ("alone", false, "retries: 1"),
                ("capped", true, "retries: 9, max_attempts: 1"),
            ] {
                let fallback = if fallback { format!(", {well}") } else { String::new() };
                let bad = bad(&mut providers, alias);
                writeln!(models, "  {name}-{alias}-{form}: {{ targets: [{bad}{fallback}], {bounds} }}")
                    .unwrap();
            }
        }
        running.push((fault, upstream));
    }
    let gateway = Setup::new(providers + &models).start().await;
    let key = gateway.key(&[]);
    Arc::new(House { gateway, key, faults: running, good, expired, _silent: keep_silent })
}

/// All that is asked of one fault, streamed or not.
async fn suffer(house: &House, index: usize, stream: bool) {
    let (fault, upstream) = &house.faults[index];
    let what = format!("{} {}", fault.name, if stream { "streamed" } else { "whole" });
    let asked = || upstream.as_ref().map_or(0, Upstream::count);
    let chat = |alias: &str| {
        let form = if stream { "stream" } else { "whole" };
        let body = ask(&format!("{}-{alias}-{form}", fault.name), stream);
        async move { soon("a reply", house.gateway.chat(&house.key, &body)).await }
    };

    let before = asked();
    let reply = chat("then-good").await;
    answered_by_good(&reply, &house.gateway.posting(reply.id()), 2, &what);
    assert_eq!(asked() - before, fault.asked.min(1), "{what}: asked once");

    let before = asked();
    let reply = chat("alone").await;
    assert_eq!(reply.refused(fault.status), fault.code, "{what}: {reply:?}");
    let attempts = if upstream.is_none() { 2 } else { fault.asked };
    assert_eq!(asked() - before, fault.asked, "{what}: one retry");
    nothing_billed(&house.gateway.posting(reply.id()), attempts, &what);
    let patience = match fault.name {
        "429" => Some("1"),
        "429-for-long" => Some("61"),
        _ => None,
    };
    assert_eq!(reply.get("retry-after"), patience, "{what}: {reply:?}");

    let before = asked();
    let reply = chat("capped").await;
    assert_eq!(reply.refused(fault.status), fault.code, "{what}: {reply:?}");
    assert_eq!(asked() - before, fault.asked.min(1), "{what}: max_attempts");
    nothing_billed(&house.gateway.posting(reply.id()), 1, &what);
}

#[tokio::test]
async fn every_fault_before_the_commit_is_hidden_by_a_fallback_or_told_truthfully() {
    let house = house().await;
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..house.faults.len() {
        let house = Arc::clone(&house);
        tasks.spawn(async move {
            suffer(&house, index, false).await;
            suffer(&house, index, true).await;
        });
    }
    let mut failures = 0;
    while let Some(done) = tasks.join_next().await {
        failures += usize::from(done.is_err());
    }
    assert_eq!(failures, 0, "faults that were not handled; see above");
    let exchanges = 6 * house.faults.len();
    assert_eq!(house.gateway.postings().len(), exchanges, "one posting an exchange");
    assert_eq!(house.good.count(), 2 * house.faults.len(), "the good target is asked once an exchange");
    assert_eq!(house.expired.inner.count(), 0, "nothing is sent to who is not trusted");
    house.gateway.ledger_check();
}

#[tokio::test]
async fn what_is_the_callers_own_fault_is_not_tried_elsewhere() {
    let one = Upstream::start(|_| {
        let mut said = reply::error("invalid_request_error", "bad_tool", "tools[0] is wrong");
        said["error"]["param"] = json!("tools[0]");
        Act::json(400, &said)
    })
    .await;
    let two = Upstream::saying(ANSWER).await;
    let gateway = Setup::pair(one.address, two.address, "retries: 3", "").start().await;
    let key = gateway.key(&[]);
    for stream in [false, true] {
        let reply = gateway.chat(&key, &ask("m", stream)).await;
        assert_eq!(reply.refused(400), "bad_tool");
        assert_eq!(reply.json()["error"]["param"], "tools[0]");
        assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
        nothing_billed(&gateway.posting(reply.id()), 1, "400");
    }
    assert_eq!((one.count(), two.count()), (2, 0));
}

/// A provider that takes no large requests: it answers 413 when it has read the head, and closes the connection with
/// the body unread, or leaves it there.
async fn refusing_at_the_head(closes: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut left = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let said = reply::error("invalid_request_error", "too_much", "at most a mebibyte").to_string();
            let reply = format!(
                "HTTP/1.1 413 Too Much\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{said}",
                said.len()
            );
            stream.write_all(reply.as_bytes()).await.unwrap();
            if !closes {
                left.push(stream);
            }
        }
    });
    address
}

#[tokio::test]
async fn a_refusal_that_comes_while_the_body_is_being_sent_is_the_callers() {
    let mut large = ask("m", false);
    large["messages"][0]["content"] = json!("x".repeat(8 << 20));
    for closes in [true, false] {
        let one = refusing_at_the_head(closes).await;
        let two = Upstream::saying(ANSWER).await;
        let server = "  limits: { body: 16MiB }";
        let gateway = Setup::pair(one, two.address, "retries: 3", "").server(server).start().await;
        let key = gateway.key(&[]);
        // More often than a breaker would bear.
        for _ in 0..6 {
            let reply = gateway.chat(&key, &large).await;
            assert_eq!(reply.refused(413), "too_much", "{reply:?}");
            nothing_billed(&gateway.posting(reply.id()), 1, "413");
        }
        assert_eq!(two.count(), 0);
        gateway.ledger_check();
    }
}

#[tokio::test]
async fn attempts_are_bounded_over_all_targets() {
    let (one, two) = (
        Upstream::start(|_| Act::reply(503, &[], "")).await,
        Upstream::start(|_| Act::reply(503, &[], "")).await,
    );
    let gateway = Setup::pair(one.address, two.address, "retries: 1, max_attempts: 3", "").start().await;
    let key = gateway.key(&[]);
    let reply = gateway.chat(&key, &ask("m", false)).await;
    reply.refused(503);
    assert_eq!((one.count(), two.count()), (2, 1), "twice at the first, once at the second");
    nothing_billed(&gateway.posting(reply.id()), 3, "max_attempts");
}

/// How a provider leaves.
type Ending = fn(Act) -> Act;

#[tokio::test]
async fn a_stream_that_breaks_after_the_commit_is_neither_repeated_nor_billed() {
    let deltas = ["one ", "two ", "thrée ", "four"];
    let payload: Vec<u8> = reply::events(&deltas).concat();
    let first = reply::delta(deltas[0]).len();
    let mut kinds: Vec<(usize, Ending)> = Vec::new();
    kinds.extend((0..=payload.len()).step_by(9).map(|cut| (cut, Act::close as Ending)));
    kinds.extend([first, first + 1, payload.len() - 1].map(|cut| (cut, Act::reset as Ending)));
    kinds.extend([first, first + 40, payload.len() - 1].map(|cut| (cut, Act::hang as Ending)));
    let script = kinds.clone();
    let sent = payload.clone();
    let one = Upstream::start(move |call| {
        let n = call.json()["seed"].as_u64().unwrap();
        let (cut, then) = script[usize::try_from(n).unwrap()];
        let mut act = Act::stream();
        if cut > 0 {
            act = act.send(format!("{:x}\r\n", sent.len())).send(&sent[..cut]);
        }
        then(act)
    })
    .await;
    let two = Upstream::saying(ANSWER).await;
    let mut setup = Setup::pair(one.address, two.address, "", "");
    for n in 0..kinds.len() {
        // A target of its own for each: five failures in a row would open its breaker.
        let bad = format!("{{ target: one/x{n}, prices: {{ input: 1, cached_input: 0.5, output: 10 }} }}");
        let good = "{ target: two/m2, prices: { input: 2, cached_input: 1, output: 20 } }";
        setup = setup.also(&format!("  m{n}: {{ targets: [{bad}, {good}], retries: 0 }}"));
    }
    let gateway = setup.start().await;
    let key = gateway.key(&[]);
    for (n, (cut, _)) in kinds.iter().enumerate() {
        let mut body = ask(&format!("m{n}"), true);
        body["seed"] = json!(n);
        let reply = soon("a reply", gateway.chat(&key, &body)).await;
        let posting = gateway.posting(reply.id());
        let what = format!("kind {n}, cut at {cut} of {}: {reply:?}\n{posting:?}", payload.len());
        assert_eq!(reply.status(), 200, "{what}");
        let whole = whole_deltas(&deltas, *cut);
        if *cut < first {
            assert_eq!(
                (reply.answer().as_str(), posting.charged, posting.attempts),
                (ANSWER, CHARGE, 2),
                "{what}"
            );
            continue;
        }
        assert_eq!(reply.answer(), whole, "{what}");
        assert_eq!(reply.get("x-weir-target"), Some(format!("one/x{n}").as_str()), "{what}");
        assert_eq!(posting.attempts, 1, "{what}");
        let events = reply.events();
        if *cut == payload.len() {
            assert_eq!(events.last().unwrap(), "[DONE]", "{what}");
            assert_eq!((posting.outcome, posting.charged), ("ok", 180_000), "{what}");
        } else {
            let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
            assert_eq!(last["error"]["code"], "stream_broken", "{what}");
            assert!(last["error"]["message"].as_str().unwrap().contains(reply.id()), "{what}");
            assert_eq!((posting.outcome, posting.charged), ("upstream-cut", 0), "{what}");
            assert!(posting.provider_cost.is_some_and(|cost| cost > 0), "{what}");
        }
    }
    gateway.ledger_check();
    assert_eq!(gateway.postings().len(), kinds.len());
}

/// The deltas whose events have come whole.
fn whole_deltas(deltas: &[&str], mut bytes: usize) -> String {
    let mut text = String::new();
    for delta in deltas {
        let event = reply::delta(delta).len();
        if bytes < event {
            break;
        }
        bytes -= event;
        text.push_str(delta);
    }
    text
}

#[tokio::test]
async fn an_error_event_in_a_stream_is_passed_on_and_ends_it() {
    let error = reply::event(&reply::error("server_error", "overloaded", "as scripted"));
    let one = Upstream::start(move |_| {
        Act::stream().chunk(reply::delta("so ")).chunk(&error).chunk(reply::done()).end()
    })
    .await;
    let two = Upstream::saying(ANSWER).await;
    let gateway = Setup::pair(one.address, two.address, "", "").start().await;
    let reply = gateway.chat(&gateway.key(&[]), &ask("m", true)).await;
    assert_eq!((reply.status(), reply.answer().as_str()), (200, "so "));
    let last: Value = serde_json::from_str(reply.events().last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "overloaded");
    let posting = gateway.posting(reply.id());
    assert_eq!((posting.outcome, posting.charged, two.count()), ("upstream-cut", 0, 0));
}

#[tokio::test]
async fn bytes_that_are_no_text_end_a_stream_before_they_leave() {
    for bad in [
        &b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xff\xfe\"}}]}\n\n"[..],
        b": \xe6\xb0\n\n",
        b"event: \xc3\x28\ndata: {\"choices\":[]}\n\n",
    ] {
        // In one piece, and cut within the bytes.
        for cut in [0, bad.len() / 2, bad.len() - 3] {
            let one = Upstream::start(move |_| {
                let act = Act::stream().chunk(reply::delta("so ")).chunk(&bad[..cut.max(1)]);
                [reply::delta("never seen"), reply::finish(), reply::done()]
                    .into_iter()
                    .fold(act.chunk(&bad[cut.max(1)..]), Act::chunk)
                    .end()
            })
            .await;
            let two = Upstream::saying(ANSWER).await;
            let gateway = Setup::pair(one.address, two.address, "", "").start().await;
            let reply = gateway.chat(&gateway.key(&[]), &ask("m", true)).await;
            let posting = gateway.posting(reply.id());
            assert!(std::str::from_utf8(&reply.body).is_ok(), "{reply:?}");
            assert_eq!((reply.status(), reply.answer().as_str()), (200, "so "), "{reply:?}");
            let last: Value = serde_json::from_str(reply.events().last().unwrap()).unwrap();
            assert_eq!(last["error"]["code"], "stream_broken", "{reply:?}");
            let summary = (posting.outcome, posting.attempts, posting.charged, two.count());
            assert_eq!(summary, ("upstream-cut", 1, 0, 0), "{posting:?}");
            gateway.ledger_check();
        }
    }
}

#[tokio::test]
async fn a_stream_that_only_forgot_done_is_whole() {
    let one = Upstream::start(|_| {
        let mut events = reply::events(&["all of it"]);
        events.pop();
        events.into_iter().fold(Act::stream(), Act::chunk).end()
    })
    .await;
    let gateway = Setup::pair(one.address, Upstream::refusing(), "", "").start().await;
    let reply = gateway.chat(&gateway.key(&[]), &ask("m", true)).await;
    assert_eq!(reply.events().last().map(String::as_str), Some("[DONE]"));
    assert_eq!(gateway.posting(reply.id()).outcome, "ok");
}

#[tokio::test]
async fn a_whole_reply_to_a_request_for_a_stream_is_streamed() {
    let one = Upstream::start(|_| Act::says(ANSWER)).await;
    let gateway = Setup::pair(one.address, Upstream::refusing(), "", "").start().await;
    let reply = gateway.chat(&gateway.key(&[]), &ask("m", true)).await;
    assert_eq!(
        (reply.answer().as_str(), reply.events().last().map(String::as_str)),
        (ANSWER, Some("[DONE]"))
    );
    assert_eq!(gateway.posting(reply.id()).charged, 180_000);
}

#[tokio::test]
async fn a_reused_connection_that_dies_before_any_byte_is_replaced_without_counting() {
    for broken in [Act::new().close(), Act::new().reset()] {
        let one = Upstream::start(move |call| {
            if call.connection == 0 && call.turn == 1 { broken.clone() } else { Act::answers(call, ANSWER) }
        })
        .await;
        let gateway = Setup::pair(one.address, Upstream::refusing(), "retries: 0", "").start().await;
        let key = gateway.key(&[]);
        assert_eq!(gateway.chat(&key, &ask("m", false)).await.answer(), ANSWER);
        let reply = gateway.chat(&key, &ask("m", false)).await;
        assert_eq!((reply.answer().as_str(), reply.get("x-weir-attempts")), (ANSWER, Some("1")), "{reply:?}");
        let places: Vec<_> = one.calls().iter().map(|call| (call.connection, call.turn)).collect();
        assert_eq!(places, [(0, 0), (0, 1), (1, 0)], "the pooled connection is used, then a fresh one");
        assert_eq!(gateway.posting(reply.id()).attempts, 1);
    }
}

#[tokio::test]
async fn a_reused_connection_that_dies_inside_a_reply_is_a_failed_attempt() {
    dies_inside_a_reply("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").await;
}

#[tokio::test]
async fn a_reused_connection_that_dies_inside_a_replys_head_is_a_failed_attempt() {
    dies_inside_a_reply("HTTP/1.1 20").await;
}

async fn dies_inside_a_reply(began: &'static str) {
    let one = Upstream::start(move |call| {
        if call.turn == 1 { Act::new().send(began).close() } else { Act::answers(call, ANSWER) }
    })
    .await;
    let gateway =
        Setup::pair(one.address, Upstream::refusing(), "retries: 0, max_attempts: 1", "").start().await;
    let key = gateway.key(&[]);
    assert_eq!(gateway.chat(&key, &ask("m", false)).await.answer(), ANSWER);
    let reply = gateway.chat(&key, &ask("m", false)).await;
    assert_eq!(one.count(), 2, "it is sent twice after a byte of a reply: {:?}", reply.status());
    reply.refused(502);
}

#[tokio::test]
async fn bytes_after_a_reply_never_answer_the_next_request() {
    let forged = reply::completion("forged", 1, 0, 1).to_string();
    let forged = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{forged}",
        forged.len()
    );
    let one = Upstream::start(move |call| Act::answers(call, ANSWER).send(forged.clone())).await;
    let gateway = Setup::pair(one.address, Upstream::refusing(), "retries: 0", "").start().await;
    let key = gateway.key(&[]);
    for n in 0..20 {
        let reply = gateway.chat(&key, &ask("m", n % 2 == 0)).await;
        assert_eq!(reply.answer(), ANSWER, "request {n}: {reply:?}");
    }
}

/// What providers do that is odd and no fault.
/// A name, and what the provider does.
type Oddity = (&'static str, fn(&Call) -> Act);

fn oddities() -> Vec<Oddity> {
    vec![
        ("comment-pings", |call| {
            let ping = ": ping\n\n";
            let events = reply::events(&["the whole ", "answer, once"]).into_iter();
            let stream = events.fold(Act::stream().chunk(ping), |act, event| act.chunk(ping).chunk(event));
            if call.stream() { stream.chunk(ping).end() } else { Act::says(ANSWER) }
        }),
        ("done-twice", |call| {
            let events = reply::events(&[ANSWER]).into_iter();
            let stream = events.fold(Act::stream(), Act::chunk).chunk(reply::done()).chunk(reply::done());
            if call.stream() { stream.end() } else { Act::says(ANSWER) }
        }),
        ("no-usage", |call| {
            let events = [reply::delta(ANSWER), reply::finish(), reply::done()].into_iter();
            match call.stream() {
                true => events.fold(Act::stream(), Act::chunk).end(),
                false => Act::json(200, &reply::uncounted(ANSWER)),
            }
        }),
        ("zero-usage", |call| {
            let events = [reply::delta(ANSWER), reply::finish(), reply::usage_event(0, 0, 0), reply::done()];
            match call.stream() {
                true => events.into_iter().fold(Act::stream(), Act::chunk).end(),
                false => Act::json(200, &reply::completion(ANSWER, 0, 0, 0)),
            }
        }),
        ("byte-by-byte", |call| {
            let whole = reply::completion(ANSWER, 100, 40, 10).to_string();
            let (stream, body) = match call.stream() {
                true => (Act::stream(), reply::events(&[ANSWER]).concat()),
                false => {
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
                    (Act::new().send(head), whole.into_bytes())
                }
            };
            body.chunks(1).fold(stream, Act::chunk).end()
        }),
    ]
}

#[tokio::test]
async fn what_is_odd_and_no_fault_is_one_whole_reply_and_one_posting() {
    for (name, act) in oddities() {
        let one = Upstream::start(act).await;
        let two = Upstream::saying("from somebody else").await;
        let gateway = Setup::pair(one.address, two.address, "retries: 0", "").start().await;
        let key = gateway.key(&[]);
        for stream in [false, true] {
            let what = format!("{name} {}", if stream { "streamed" } else { "whole" });
            let reply = soon("a reply", gateway.chat(&key, &ask("m", stream))).await;
            assert_eq!((reply.status(), reply.answer().as_str()), (200, ANSWER), "{what}: {reply:?}");
            assert_eq!(reply.get("x-weir-attempts"), Some("1"), "{what}");
            if stream {
                let done = reply.events().iter().filter(|event| *event == "[DONE]").count();
                assert_eq!(done, 1, "{what}: {reply:?}");
            }
            let posting = gateway.posting(reply.id());
            assert_eq!((posting.outcome, posting.attempts), ("ok", 1), "{what}: {posting:?}");
            match name {
                "no-usage" => assert!(!posting.counted && posting.charged > 0, "{what}: {posting:?}"),
                // What the provider says it took is what it took.
                "zero-usage" => assert!(posting.counted && posting.charged == 0, "{what}: {posting:?}"),
                _ => assert_eq!(posting.charged, 180_000, "{what}: {posting:?}"),
            }
        }
        assert_eq!((gateway.postings().len(), two.count()), (2, 0), "{name}");
        gateway.ledger_check();
    }
}

#[tokio::test]
async fn a_hundred_megabytes_of_one_event_are_neither_held_nor_passed_on() {
    let one = Upstream::start(|call| {
        let mega = vec![b'x'; 1 << 20];
        let begun = match call.stream() {
            true => Act::stream().chunk("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\""),
            false => Act::new().send(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            ),
        };
        (0..100).fold(begun, |act, _| act.chunk(&mega))
    })
    .await;
    let two = Upstream::saying(ANSWER).await;
    let patient = "timeouts: { first_byte: 15s, idle: 15s }";
    let gateway = Setup::pair(one.address, two.address, "retries: 0", patient).start().await;
    let key = gateway.key(&[]);
    for stream in [false, true] {
        let reply = soon("a reply", gateway.chat(&key, &ask("m", stream))).await;
        assert_eq!((reply.answer().as_str(), reply.get("x-weir-attempts")), (ANSWER, Some("2")), "{reply:?}");
        let posting = gateway.posting(reply.id());
        assert_eq!((posting.outcome, posting.attempts, posting.provider.as_str()), ("ok", 2, "two"));
    }
    assert_eq!(gateway.postings().len(), 2);
}
