//! More than the gateway may or can do is refused before any work is done for it, with a time to come back; what is wrong
//! is said by `/readyz`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::{Act, Call, Client, Gate, Gateway, Reply, Setup, Upstream, reply, soon, until};

struct House {
    gateway: Gateway,
    upstream: Upstream,
    gate: Gate,
    key: String,
}

/// A provider that answers when the gate is open.
async fn house(setup: impl FnOnce(&Upstream) -> Setup) -> House {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream =
        Upstream::start(move |call| Act::new().wait(&held).then(Act::answers(call, "at last"))).await;
    let gateway = setup(&upstream).start().await;
    let key = gateway.key(&[]);
    House { gateway, upstream, gate, key }
}

const PATIENT: &str = "timeouts: { connect: 60s, first_byte: 60s, idle: 60s, total: 60s }";

fn pair(server: &'static str) -> impl FnOnce(&Upstream) -> Setup {
    move |upstream| Setup::pair(upstream.address, upstream.address, "", PATIENT).server(server)
}

fn ask() -> Value {
    json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] })
}

impl House {
    /// A request that has come to the provider and waits there.
    async fn waiting(&self, key: &str) -> Client {
        let before = self.upstream.count();
        let mut client = self.gateway.client().await;
        client.chat(key, &ask(), &[]).await.unwrap();
        self.upstream.call(before).await;
        client
    }

    /// The answer to a head whose body does not come, and whether the connection ends with it.
    async fn head_only(&self, path: &str, key: &str, closes: bool) -> Reply {
        let mut client = self.gateway.client().await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: 500\r\n\r\n"
        );
        client.write(head.as_bytes()).await.unwrap();
        let reply = soon("an answer before the body", client.reply()).await.unwrap();
        if closes {
            soon("the end of the connection", client.closed()).await;
        }
        assert_eq!(
            (reply.get("retry-after"), reply.get("retry-after-ms")),
            (Some("1"), Some("1000")),
            "{reply:?}"
        );
        reply
    }

    async fn served(&self, mut client: Client) {
        let reply = soon("a reply", client.reply()).await.unwrap();
        assert_eq!((reply.status(), reply.answer().as_str()), (200, "at last"), "{reply:?}");
    }

    /// What `/readyz` says, and why.
    async fn ready(&self) -> (u16, String, Vec<String>) {
        let reply = self.gateway.get_admin("/readyz").await;
        let said = reply.json();
        let reasons = said["reasons"].as_array().unwrap().iter();
        let codes = reasons.map(|reason| reason["code"].as_str().unwrap().to_owned()).collect();
        (reply.status(), said["status"].as_str().unwrap().to_owned(), codes)
    }

    async fn shed(&self, why: &str) -> Option<u64> {
        let metrics = self.gateway.get_admin("/metrics").await.text();
        let line = format!("weir_shed_total{{why=\"{why}\"}} ");
        metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok())
    }
}

fn degraded(code: &str) -> (u16, String, Vec<String>) {
    (200, "degraded".to_owned(), vec![code.to_owned()])
}

fn fine() -> (u16, String, Vec<String>) {
    (200, "ready".to_owned(), Vec::new())
}

#[tokio::test]
async fn as_many_requests_as_may_be_under_way_are() {
    let house = house(pair("  limits: { in_flight: 2 }")).await;
    assert_eq!(house.ready().await, fine());
    let (one, two) = (house.waiting(&house.key).await, house.waiting(&house.key).await);
    assert_eq!(house.ready().await, degraded("in_flight"));
    let reply = house.head_only("/v1/chat/completions", &house.key, true).await;
    assert_eq!(reply.refused(503), "overloaded");
    assert_eq!(reply.get("x-weir-policy-generation"), Some("1"), "{reply:?}");
    let reply = house.head_only("/v1/messages", &house.key, true).await;
    assert_eq!(
        (reply.status(), &reply.json()["error"]["type"]),
        (529, &json!("overloaded_error")),
        "{reply:?}"
    );
    // Not even the key is looked at.
    assert_eq!(house.head_only("/v1/chat/completions", "nobody", true).await.refused(503), "overloaded");
    assert_eq!(house.shed("in_flight").await, Some(3));
    house.gate.open();
    house.served(one).await;
    house.served(two).await;
    assert_eq!(house.gateway.chat(&house.key, &ask()).await.status(), 200);
    assert_eq!(house.ready().await, fine());
    assert_eq!(house.gateway.postings().len(), 3, "what was shed is not posted");
    house.gateway.ledger_check();
}

#[tokio::test]
async fn a_key_may_have_so_many_requests_at_one_time() {
    let house = house(pair("  limits: { per_key: 2 }")).await;
    let narrow = house.gateway.key(&["--concurrency", "1"]);
    let one = house.waiting(&narrow).await;
    let reply = house.head_only("/v1/chat/completions", &narrow, false).await;
    assert_eq!(reply.refused(429), "concurrency_exceeded");
    assert!(reply.text().contains("1 requests"), "{reply:?}");
    let wide = [house.waiting(&house.key).await, house.waiting(&house.key).await];
    let reply = house.head_only("/v1/chat/completions", &house.key, false).await;
    assert_eq!(reply.refused(429), "concurrency_exceeded");
    assert_eq!(house.shed("key").await, Some(2));
    // Who leaves makes room.
    let count = house.gateway.postings().len();
    drop(one);
    house.gateway.posted(count + 1).await;
    let again = house.waiting(&narrow).await;
    house.gate.open();
    house.served(again).await;
    for client in wide {
        house.served(client).await;
    }
    house.gateway.ledger_check();
}

#[tokio::test]
async fn a_full_target_is_passed_over_for_the_next_and_all_full_is_503() {
    let house = house(|upstream| {
        let url = format!("base_url: 'http://{}/v1', keys: [k]", upstream.address);
        Setup::new(format!(
            "providers:
  one: {{ {url}, {PATIENT} }}
  two: {{ {url}, {PATIENT}, concurrency: 1 }}
models:
  m: {{ targets: [{{ target: one/a, concurrency: 1 }}, two/b], retries: 0 }}
  n: {{ targets: [two/c] }}
"
        ))
    })
    .await;
    let one = house.waiting(&house.key).await;
    let two = house.waiting(&house.key).await;
    let models: Vec<String> =
        house.upstream.calls().iter().map(|call| call.json()["model"].as_str().unwrap().to_owned()).collect();
    assert_eq!(models, ["a", "b"]);
    let mut other = ask();
    for model in ["m", "n", "two/d"] {
        other["model"] = json!(model);
        let reply = house.gateway.chat(&house.key, &other).await;
        assert_eq!(reply.refused(503), "target_full", "{model}");
        assert_eq!(reply.get("retry-after"), Some("1"));
    }
    assert_eq!(house.shed("target").await, Some(3));
    assert_eq!(house.upstream.count(), 2);
    house.gate.open();
    house.served(one).await;
    house.served(two).await;
    assert_eq!(house.gateway.chat(&house.key, &other).await.status(), 200, "places come back");
    house.gateway.ledger_check();
}

#[tokio::test]
async fn a_body_that_will_not_fit_is_not_asked_for() {
    let house = house(pair("  limits: { body: 64KiB, buffered: 64KiB }")).await;
    let mut held = house.gateway.client().await;
    let head = |length: usize| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n",
            house.key
        )
    };
    held.write(format!("{}{}", head(60_000), "x".repeat(50_000)).as_bytes()).await.unwrap();
    assert_eq!(soon("a head", held.any_head()).await.unwrap().status, 100);
    let mut held_bytes = 0;
    while held_bytes < 50_000 {
        let metrics = house.gateway.get_admin("/metrics").await.text();
        let line = metrics.lines().find_map(|line| line.strip_prefix("weir_buffered_bytes "));
        held_bytes = line.unwrap().parse().unwrap();
    }
    let mut client = house.gateway.client().await;
    client.write(head(20_000).as_bytes()).await.unwrap();
    let refused = soon("a head", client.any_head()).await.unwrap();
    assert_eq!(refused.status, 503, "no 100 before it");
    assert_eq!(house.shed("buffered").await, Some(1));
}

/// It is the gateway that is short of bytes: another target would not help, and none of them is to blame.
#[tokio::test]
async fn a_reply_that_will_not_fit_is_no_fault_of_its_target() {
    let (good, other) = (Upstream::start(sized).await, Upstream::saying("never asked").await);
    let limits = "  limits: { body: 64KiB, buffered: 64KiB }";
    let gateway = Setup::pair(good.address, other.address, "retries: 1", "").server(limits).start().await;
    let key = gateway.key(&[]);
    for _ in 0..6 {
        let reply = gateway.chat(&key, &ask_for(100_000)).await;
        assert_eq!(reply.refused(503), "out_of_buffer");
        assert_eq!(reply.get("retry-after"), Some("1"), "{reply:?}");
        assert_eq!(gateway.posting(reply.id()).attempts, 1);
    }
    let reply = gateway.chat(&key, &ask_for(1_000)).await;
    assert_eq!((reply.status(), reply.get("x-weir-target")), (200, Some("one/m1")), "{reply:?}");
    assert_eq!((good.count(), other.count()), (7, 0));
    let metrics = gateway.get_admin("/metrics").await.text();
    assert!(metrics.contains("weir_shed_total{why=\"buffered\"} 6\n"), "{metrics}");
    gateway.ledger_check();
}

/// What a failed attempt held is free again when the next one begins.
#[tokio::test]
async fn a_failed_attempt_holds_no_bytes_any_more() {
    let breaks = Upstream::start(|_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 200000\r\n\r\n";
        Act::new().send(head).send(vec![b' '; 150_000]).close()
    })
    .await;
    let good = Upstream::start(sized).await;
    let limits = "  limits: { body: 64KiB, buffered: 256KiB }";
    let gateway = Setup::pair(breaks.address, good.address, "retries: 1", "").server(limits).start().await;
    let key = gateway.key(&[]);
    let reply = gateway.chat(&key, &ask_for(150_000)).await;
    assert_eq!((reply.status(), reply.get("x-weir-attempts")), (200, Some("3")), "{reply:?}");
    assert_eq!((breaks.count(), good.count()), (2, 1));
}

fn ask_for(length: usize) -> Value {
    json!({ "model": "m", "messages": [{ "role": "user", "content": length.to_string() }] })
}

/// An answer as long as the question says.
fn sized(call: &Call) -> Act {
    let length = call.json()["messages"][0]["content"].as_str().unwrap().parse().unwrap();
    Act::says(&"x".repeat(length))
}

#[tokio::test]
async fn connections_that_wait_make_room_and_who_is_busy_stays() {
    let house = house(pair("  limits: { connections: 2 }")).await;
    // The one by which the gateway made sure that it listens has ended; nobody says when.
    let mut idle = house.gateway.client().await;
    idle.send("GET", "/v1/models", &[("api-key", &house.key)], b"").await.unwrap();
    assert_eq!(soon("a reply", idle.reply()).await.unwrap().status(), 200);
    let one = house.waiting(&house.key).await;
    let two = house.waiting(&house.key).await;
    soon("the end of the idle one", idle.closed()).await;
    let mut more = house.gateway.client().await;
    soon("the end of one too many", more.closed()).await;
    assert!(house.shed("connections").await >= Some(1));
    assert_eq!(house.ready().await, degraded("connections"));
    house.gate.open();
    house.served(one).await;
    house.served(two).await;
    house.gateway.ledger_check();
}

/// A process that was not let run for over a second has more to do than it can when it wakes up: so it thinks until its
/// timers are on time again. Which of the requests that wait then it looks at before that is the scheduler's choice.
#[tokio::test]
async fn a_machine_that_cannot_keep_up_refuses_before_any_work_until_it_can() {
    let house = house(pair("  limits: { lag: 20ms }")).await;
    house.gate.open();
    let mut refused = None;
    while refused.is_none() {
        let mut clients = Vec::new();
        for _ in 0..16 {
            clients.push(house.gateway.client().await);
        }
        house.gateway.signal("-STOP");
        for client in &mut clients {
            client.chat(&house.key, &ask(), &[]).await.unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
        house.gateway.signal("-CONT");
        for client in &mut clients {
            let reply = soon("a reply", client.reply()).await.unwrap();
            if reply.status() != 200 {
                refused = Some(reply);
            }
        }
    }
    let reply = refused.unwrap();
    assert_eq!((reply.refused(503).as_str(), reply.get("retry-after")), ("overloaded", Some("1")));
    assert!(reply.text().contains("more to do than it can"), "{reply:?}");
    assert!(house.shed("lag").await >= Some(1));
    assert_eq!(house.upstream.count(), house.gateway.postings().len(), "what was shed reached nobody");
    soon("it is over", async { while house.ready().await != fine() {} }).await;
    soon("a reply", async { while house.gateway.chat(&house.key, &ask()).await.status() != 200 {} }).await;
    house.gateway.ledger_check();
}

#[tokio::test]
async fn a_reload_that_was_refused_and_targets_that_all_fail_are_said() {
    let upstream = Upstream::start(|_| Act::json(500, &reply::error("server_error", "x", "broken"))).await;
    let setup = Setup::pair(upstream.address, upstream.address, "retries: 0", "");
    let gateway = setup.clone().start().await;
    let key = gateway.key(&[]);
    let house = House { gateway, upstream, gate: Gate::new(), key };
    house.gateway.write_config(&Setup::new("providers: {}\n"));
    // The file is watched.
    loop {
        let ready = house.ready().await;
        if ready != fine() {
            assert_eq!(ready, degraded("reload_refused"));
            break;
        }
    }
    house.gateway.write_config(&setup);
    assert!(house.gateway.run(&["reload"]).status.success());
    assert_eq!(house.ready().await, fine());
    for _ in 0..12 {
        assert_ne!(house.gateway.chat(&house.key, &ask()).await.status(), 200);
    }
    assert_eq!(house.ready().await, degraded("breakers_open"));
    let said = house.gateway.get_admin("/readyz").await.json();
    assert!(said["reasons"][0]["message"].as_str().unwrap().contains("`m`"), "{said}");
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_is_said_until_it_can() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Setup::pair(upstream.address, upstream.address, "", PATIENT).start().await;
    let key = gateway.key(&[]);
    let house = House { gateway, upstream, gate: Gate::new(), key };
    assert_eq!(house.gateway.chat(&house.key, &ask()).await.status(), 200);
    // Somebody else holds the database, for longer than the ledger waits.
    let other = rusqlite::Connection::open(house.gateway.data().join("ledger.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The journal takes it, and its row waits; when the ledger has waited long enough, nothing is begun any more.
    assert_eq!(house.gateway.chat(&house.key, &ask()).await.status(), 200);
    let dead = (503, "dead".to_owned(), vec!["ledger_unwritable".to_owned()]);
    soon("the ledger is tired of waiting", async { while house.ready().await != dead {} }).await;
    assert_eq!(house.gateway.chat(&house.key, &ask()).await.refused(503), "ledger_unavailable");
    assert_eq!(house.upstream.count(), 2);
    other.execute_batch("ROLLBACK").unwrap();
    // It tries again by itself.
    soon("the ledger can be written", async { while house.ready().await != fine() {} }).await;
    assert_eq!(house.gateway.chat(&house.key, &ask()).await.status(), 200);
    assert_eq!(house.gateway.postings().len(), 3);
    house.gateway.ledger_check();
}

#[tokio::test]
async fn a_gateway_that_stops_is_not_ready() {
    let mut house = house(pair("")).await;
    let one = house.waiting(&house.key).await;
    house.gateway.terminate();
    let draining = (503, "draining".to_owned(), vec!["draining".to_owned()]);
    loop {
        let ready = house.ready().await;
        if ready != fine() {
            assert_eq!(ready, draining);
            break;
        }
    }
    house.gate.open();
    house.served(one).await;
    assert!(house.gateway.ended().await.success());
}

/// A guard that fails closed refuses everybody: whoever looks must see why.
#[tokio::test]
async fn a_guard_that_is_not_asked_any_more_is_said_by_readyz_and_by_the_log() {
    const BROKEN: &str = "//! name: broken
//! version: 1.0.0
//! hooks: [guard]

fn guard(head, config) { throw \"no\"; }
";
    let upstream = Upstream::saying("never").await;
    let gateway = Setup::pair(upstream.address, upstream.address, "", "")
        .also("policies: [{ file: broken.rhai }]")
        .file("broken.rhai", BROKEN)
        .start()
        .await;
    let key = gateway.key(&[]);
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    for _ in 0..8 {
        assert_ne!(gateway.chat(&key, &body).await.status(), 200);
    }
    let ready = gateway.get_admin("/readyz").await.json();
    assert_eq!(
        (&ready["status"], &ready["reasons"][0]["code"]),
        (&json!("degraded"), &json!("policy_breaker_open"))
    );
    assert!(ready["reasons"][0]["message"].as_str().unwrap().contains("`broken`"), "{ready}");
    let unknown = json!({ "model": "nobody", "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(gateway.chat(&key, &unknown).await.refused(404), "model_not_found");
    let said = |gateway: &Gateway| gateway.stdout().contains("\"code\":\"model_not_found\"");
    until("its line in the log", || said(&gateway).then_some(())).await;
}
