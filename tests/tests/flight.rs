//! The same request from several callers at one time is asked of the provider once, where replies are kept at all.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::{Act, Client, Gate, Gateway, Posting, Setup, Upstream, reply, soon, until};

struct House {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
}

const PATIENT: &str = "timeouts: { connect: 60s, first_byte: 60s, idle: 60s, total: 60s }";

async fn house(model: &str, script: impl Fn(&weir_tests::Call) -> Act + Send + Sync + 'static) -> House {
    let upstream = Upstream::start(script).await;
    let gateway = Setup::pair(upstream.address, Upstream::refusing(), model, PATIENT).start().await;
    let key = gateway.key(&[]);
    House { gateway, upstream, key }
}

fn ask(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
}

impl House {
    async fn send(&self, stream: bool) -> Client {
        let mut client = self.gateway.client().await;
        client.chat(&self.key, &ask(stream), &[]).await.unwrap();
        client
    }

    /// Waits until so many requests wait for another.
    async fn waiting(&self, count: usize) {
        self.gateway.metrics_with(&[&format!("weir_cache_waiting {count}\n")]).await;
    }

    fn outcomes(&self) -> Vec<&'static str> {
        let mut outcomes: Vec<_> = self.gateway.postings().iter().map(|posting| posting.outcome).collect();
        outcomes.sort_unstable();
        outcomes
    }

    async fn coalesced(&self, count: usize) {
        self.gateway.metrics_with(&[&format!("weir_cache_coalesced_total {count}\n")]).await;
    }
}

#[tokio::test]
async fn one_asks_and_all_are_answered_in_the_form_they_asked_for() {
    let gate = Gate::new();
    let held = gate.clone();
    let house = house("cache: { ttl: 60s }, retries: 0", move |call| {
        Act::new().wait(&held).then(Act::answers(call, "said once"))
    })
    .await;
    let mut leader = house.send(true).await;
    house.upstream.call(0).await;
    let mut followers = vec![house.send(false).await, house.send(true).await, house.send(false).await];
    house.waiting(3).await;
    gate.open();
    let first = soon("the leader's reply", leader.reply()).await.unwrap();
    assert_eq!((first.get("x-weir-cache"), first.answer().as_str()), (Some("miss"), "said once"));
    for follower in &mut followers {
        let reply = soon("a follower's reply", follower.reply()).await.unwrap();
        assert_eq!(
            (reply.get("x-weir-cache"), reply.answer().as_str()),
            (Some("hit"), "said once"),
            "{reply:?}"
        );
        let posting: Posting = house.gateway.posting(reply.id());
        assert_eq!((posting.outcome, posting.charged, posting.provider_cost), ("cache-hit", 0, Some(0)));
        assert!(posting.saved_cache > 0, "{posting:?}");
    }
    assert_eq!(house.upstream.count(), 1);
    house.coalesced(3).await;
    house.gateway.ledger_check();
}

#[tokio::test]
async fn a_follower_leaves_alone_and_a_leader_leaves_its_place() {
    let (first, second) = (Gate::new(), Gate::new());
    let gates = [first.clone(), second.clone()];
    let house = house("cache: { ttl: 60s }, retries: 0", move |call| {
        Act::new().wait(&gates[call.index.min(1)]).then(Act::answers(call, "in the end"))
    })
    .await;
    let leader = house.send(false).await;
    house.upstream.call(0).await;
    let (gone, mut one, mut two) = (house.send(false).await, house.send(false).await, house.send(true).await);
    house.waiting(3).await;
    drop(gone);
    until("the follower is gone", || (house.outcomes() == ["client-abort"]).then_some(())).await;
    assert_eq!(house.upstream.count(), 1, "the leader goes on");
    drop(leader);
    // One of the two that wait leads now.
    house.upstream.call(1).await;
    second.open();
    for client in [&mut one, &mut two] {
        let reply = soon("a reply", client.reply()).await.unwrap();
        assert_eq!(reply.answer(), "in the end", "{reply:?}");
    }
    assert_eq!(house.upstream.count(), 2);
    assert_eq!(house.outcomes(), ["cache-hit", "client-abort", "client-abort", "ok"]);
    house.gateway.ledger_check();
}

#[tokio::test]
async fn a_leader_that_is_refused_does_not_refuse_the_others() {
    let gate = Gate::new();
    let held = gate.clone();
    let house = house("cache: { ttl: 60s }, retries: 0, max_attempts: 1", move |call| match call.index {
        0 => Act::new().wait(&held).then(Act::json(400, &reply::error("invalid_request_error", "x", "no"))),
        _ => Act::answers(call, "better"),
    })
    .await;
    let mut leader = house.send(false).await;
    house.upstream.call(0).await;
    let mut follower = house.send(false).await;
    house.waiting(1).await;
    gate.open();
    assert_eq!(soon("a reply", leader.reply()).await.unwrap().status(), 400);
    assert_eq!(soon("a reply", follower.reply()).await.unwrap().answer(), "better");
    assert_eq!(house.upstream.count(), 2);
    house.coalesced(0).await;
    house.gateway.ledger_check();
}

#[tokio::test]
async fn without_a_cache_everyone_asks() {
    let gate = Gate::new();
    let held = gate.clone();
    let house =
        house("retries: 0", move |call| Act::new().wait(&held).then(Act::answers(call, "each"))).await;
    let mut clients = [house.send(false).await, house.send(false).await];
    house.upstream.call(1).await;
    gate.open();
    for client in &mut clients {
        assert_eq!(soon("a reply", client.reply()).await.unwrap().get("x-weir-cache"), Some("bypass"));
    }
}

/// No organisation's request waits for another's, or is answered by it: neither while it is under way nor when it is kept.
/// So that nothing can be learnt from how long it takes either; the times themselves are compared by `make bench`.
#[tokio::test]
async fn each_organisation_asks_for_itself() {
    let gate = Gate::new();
    let held = gate.clone();
    let house = house("cache: { ttl: 60s }, retries: 0", move |call| {
        Act::new().wait(&held).then(Act::answers(call, if call.index == 0 { "to one" } else { "to two" }))
    })
    .await;
    let key = |name: &str| {
        let organisation = house.gateway.print(&["organisation", "create", name]).trim().to_owned();
        let team = ["team", "create", name, "--organisation", &organisation];
        house.gateway.key(&["--team", house.gateway.print(&team).trim()])
    };
    let keys = [key("one"), key("two")];
    let send = async |key: &str| {
        let mut client = house.gateway.client().await;
        client.chat(key, &ask(false), &[]).await.unwrap();
        client
    };
    let mut leaders = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        leaders.push(send(key).await);
        // While the first one's is under way, the second one's is on its way too.
        house.upstream.call(at).await;
    }
    let mut follower = send(&keys[1]).await;
    house.waiting(1).await;
    gate.open();
    for (leader, said) in leaders.iter_mut().zip(["to one", "to two"]) {
        let reply = soon("a leader's reply", leader.reply()).await.unwrap();
        assert_eq!((reply.get("x-weir-cache"), reply.answer().as_str()), (Some("miss"), said));
    }
    let reply = soon("a follower's reply", follower.reply()).await.unwrap();
    assert_eq!((reply.get("x-weir-cache"), reply.answer().as_str()), (Some("hit"), "to two"), "its own");
    for (key, said) in keys.iter().zip(["to one", "to two"]) {
        let reply = house.gateway.chat(key, &ask(false)).await;
        assert_eq!((reply.get("x-weir-cache"), reply.answer().as_str()), (Some("hit"), said), "what is kept");
    }
    assert_eq!(house.upstream.count(), 2);
    house.gateway.ledger_check();
}

/// Whoever is guarded gets no reply that was let pass for somebody who is not.
#[tokio::test]
async fn a_kept_reply_is_not_served_past_the_guard_of_another_key() {
    const GUARD: &str = r#"//! name: kids
//! version: 1.0.0
//! hooks: [guard-response]
//! reads: content
//! buffer_streams: true

fn guard_response(head, meta, reply, config) {
    if head.tags.audience == "kids" { return block(deny(403, "not_for_kids", "No.")); }
    pass()
}
"#;
    let upstream = Upstream::saying("a wild story").await;
    let gateway = Setup::pair(upstream.address, Upstream::refusing(), "cache: { ttl: 60s }, retries: 0", "")
        .also("policies: [{ file: kids.rhai }]")
        .file("kids.rhai", GUARD)
        .start()
        .await;
    let (plain, kids) = (gateway.key(&[]), gateway.key(&["--tag", "audience=kids"]));
    for cache in ["miss", "hit"] {
        let reply = gateway.chat(&plain, &ask(false)).await;
        assert_eq!((reply.get("x-weir-cache"), reply.answer().as_str()), (Some(cache), "a wild story"));
    }
    let reply = gateway.chat(&kids, &ask(false)).await;
    assert_eq!(reply.refused(403), "not_for_kids");
    gateway.ledger_check();
}
