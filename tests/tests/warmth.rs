//! `prompt_cache_warm`, asked by the shipped policy `sticky`: a new conversation goes where its beginning was sent before.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use weir_tests::{Act, Call, Gateway, Setup, Upstream, reply};

const STICKY: &str = include_str!("../../policies/sticky.rhai");

/// A gateway before a cheap target `one/m1`, which can be made to fail, and a dear one, `two/m2`.
struct World {
    gateway: Gateway,
    fails: Arc<AtomicBool>,
    cached: Arc<AtomicU64>,
    done: AtomicU64,
    _providers: [Upstream; 2],
}

impl World {
    async fn new() -> Self {
        let (fails, cached) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (is_down, hits) = (Arc::clone(&fails), Arc::clone(&cached));
        let one = Upstream::start(move |call| match is_down.load(Relaxed) {
            true => Act::json(500, &reply::error("server_error", "boom", "boom")),
            false => Act::answers(call, "fine words"),
        })
        .await;
        let says = move |call: &Call| match call.stream() {
            true => Act::answers(call, "fine words"),
            false => Act::json(200, &reply::completion("fine words", 2000, hits.load(Relaxed), 10)),
        };
        let two = Upstream::start(says).await;
        let setup = Setup::pair(one.address, two.address, "retries: 0, max_attempts: 3", "retention: zero")
            .also("policies:\n  - { file: p.rhai, grants: [kv] }")
            .file("p.rhai", STICKY);
        let gateway = setup.start().await;
        Self { gateway, fails, cached, done: AtomicU64::new(0), _providers: [one, two] }
    }

    /// Where a conversation of this name begins.
    async fn begins(&self, key: &str, session: &str, system: &str) -> String {
        self.asks(key, session, &chat(system, session), &[]).await
    }

    async fn asks(&self, key: &str, session: &str, body: &Value, more: &[(&str, &str)]) -> String {
        let mut headers = vec![("x-session-id", session)];
        headers.extend_from_slice(more);
        let reply = self.gateway.chat_with(key, body, &headers).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        // What was learned of a request is learned when its caller has the reply, and counted after that.
        let done = self.done.fetch_add(1, Relaxed) + 1;
        let line =
            format!("weir_requests_total{{alias=\"m\",api=\"chat\",outcome=\"ok\",status=\"2xx\"}} {done}\n");
        self.gateway.metrics_with(&[&line]).await;
        reply.get("x-weir-target").unwrap().to_owned()
    }

    /// A first conversation, which falls back to the dear target.
    async fn falls_back(&self, key: &str, session: &str, system: &str) {
        self.fails.store(true, Relaxed);
        assert_eq!(self.begins(key, session, system).await, "two/m2");
        self.fails.store(false, Relaxed);
    }
}

fn chat(system: &str, said: &str) -> Value {
    json!({ "model": "m", "max_tokens": 20, "messages": [
        { "role": "system", "content": system }, { "role": "user", "content": said }] })
}

/// Instructions of some two thousand tokens.
fn long(about: &str) -> String {
    format!("You know all about {about}. ").repeat(400)
}

#[tokio::test]
async fn a_new_conversation_goes_where_its_beginning_is_warm() {
    let world = World::new().await;
    let key = world.gateway.key(&[]);
    let (law, bees) = (long("law"), long("bees"));
    assert_eq!(world.begins(&key, "s-0", &bees).await, "one/m1", "the cheaper one, as ever");
    world.falls_back(&key, "s-1", &law).await;
    assert_eq!(world.begins(&key, "s-2", &law).await, "two/m2", "it was sent there, nobody knows more");
    assert_eq!(world.begins(&key, "s-3", &bees).await, "one/m1", "another beginning");
    assert_eq!(world.begins(&key, "s-4", &law).await, "one/m1", "the provider read nothing from its cache");

    // Confirmed at one target and not at the other.
    let (cars, short) = (long("cars"), "You know all about cars.");
    world.cached.store(1024, Relaxed);
    world.falls_back(&key, "s-5", &cars).await;
    for session in ["s-6", "s-7", "s-8"] {
        assert_eq!(world.begins(&key, session, &cars).await, "two/m2");
    }
    world.falls_back(&key, "s-9", short).await;
    assert_eq!(world.begins(&key, "s-10", short).await, "one/m1", "most caches take nothing so short");
}

#[tokio::test]
async fn a_stream_warms_its_target_too() {
    let world = World::new().await;
    let key = world.gateway.key(&[]);
    let law = long("law");
    world.fails.store(true, Relaxed);
    let mut body = chat(&law, "hello");
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    let reply = world.asks(&key, "s-1", &body, &[]).await;
    assert_eq!(reply, "two/m2");
    world.fails.store(false, Relaxed);
    assert_eq!(world.begins(&key, "s-2", &law).await, "two/m2");
}

#[tokio::test]
async fn under_zero_retention_nothing_is_noted_and_nothing_looked_up() {
    let world = World::new().await;
    let key = world.gateway.key(&[]);
    world.cached.store(1024, Relaxed);
    let zero = [("x-weir-retention", "zero")];
    let (law, bees) = (long("law"), long("bees"));
    world.falls_back(&key, "s-1", &law).await;
    assert_eq!(world.asks(&key, "s-2", &chat(&law, "hello"), &zero).await, "one/m1");
    assert_eq!(world.begins(&key, "s-3", &law).await, "two/m2", "others may look");

    world.fails.store(true, Relaxed);
    assert_eq!(world.asks(&key, "s-4", &chat(&bees, "hello"), &zero).await, "two/m2");
    world.fails.store(false, Relaxed);
    assert_eq!(world.begins(&key, "s-5", &bees).await, "one/m1");
}

#[tokio::test]
async fn one_organisation_learns_nothing_of_another() {
    let world = World::new().await;
    world.cached.store(1024, Relaxed);
    let keys = ["acme", "globex"].map(|name| {
        let organisation = world.gateway.print(&["organisation", "create", name]).trim().to_owned();
        let team = ["team", "create", "all", "--organisation", &organisation];
        let team = world.gateway.print(&team).trim().to_owned();
        world.gateway.key(&["--team", &team])
    });
    let law = long("law");
    world.falls_back(&keys[0], "s-1", &law).await;
    assert_eq!(world.begins(&keys[1], "s-2", &law).await, "one/m1");
    assert_eq!(world.begins(&keys[0], "s-3", &law).await, "two/m2");
}
