//! Hostile policies, both engines: one tenant has a fifth of the load and a policy that loops, eats memory, panics or
//! recurses. Its requests end in the policy's failure mode; nobody else notices.

use serde_json::json;
use std::sync::Arc;
use weir_tests::{Client, Gateway, Setup};

/// Requests of each connection.
const REQUESTS: usize = 40;
/// One of five connections is hostile.
const CALLERS: usize = 5;

fn setup(policy: &str) -> Setup {
    Setup::new(format!(
        "providers: {{ sim: {{ builtin: sim }} }}
models: {{ m: {{ targets: [sim/sim-small] }} }}
policies: [{policy}]
"
    ))
    .server("  workers: 2")
}

fn script(body: &str) -> String {
    format!(
        "//! name: hostile\n//! version: 1.0.0\n//! hooks: [guard]\n//! reads: content\n//! when: {{ tags: {{ hostile: \"yes\" }} }}\n\n{body}\n"
    )
}

async fn calls(gateway: Arc<Gateway>, key: String) -> Vec<(u16, String)> {
    let mut client = Client::connect(gateway.address).await.unwrap();
    let mut seen = Vec::with_capacity(REQUESTS);
    for turn in 0..REQUESTS {
        let body = json!({ "model": "m", "stream": turn % 2 == 0, "messages": [{ "role": "user", "content": "hi" }] });
        client.chat(&key, &body, &[]).await.expect("the connection stays");
        let reply = client.reply().await.expect("a whole reply");
        seen.push((reply.status(), reply.text()));
    }
    seen
}

/// Runs the load; every hostile request must be refused with the policy's failure mode, every other must succeed.
async fn nobody_else_notices(gateway: Gateway) {
    let gateway = Arc::new(gateway);
    let hostile = gateway.key(&["hostile", "--tag", "hostile=yes"]);
    let good = gateway.key(&["good"]);
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let key = if number == 0 { &hostile } else { &good };
            tokio::spawn(calls(Arc::clone(&gateway), key.clone()))
        })
        .collect();
    for (number, caller) in callers.into_iter().enumerate() {
        for (status, text) in caller.await.expect("no connection breaks") {
            if number == 0 {
                assert_eq!(status, 503, "{text}");
                assert!(text.contains("policy_failed") && text.contains("hostile"), "{text}");
            } else {
                assert_eq!(status, 200, "{text}");
            }
        }
    }
    let metrics = gateway.get_admin("/metrics").await.text();
    let faults = metrics.lines().find(|line| line.starts_with("weir_policy_faults_total") && line.contains("hostile"));
    assert!(faults.is_some(), "the faults are counted:\n{metrics}");
    gateway.ledger_check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_loops() {
    let text = script("fn guard(request, config) { loop { } pass() }");
    nobody_else_notices(setup("{ file: h.rhai }").file("h.rhai", text).start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_eats_memory() {
    let text = script("fn guard(request, config) { let s = \"x\"; loop { s += s; } pass() }");
    nobody_else_notices(setup("{ file: h.rhai }").file("h.rhai", text).start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_throws_or_recurses() {
    for body in ["fn guard(request, config) { throw \"no\"; }", "fn f(n) { f(n + 1) }\nfn guard(request, config) { f(0) }"] {
        nobody_else_notices(setup("{ file: h.rhai }").file("h.rhai", script(body)).start().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_that_does_its_worst() {
    let guest = concat!(env!("CARGO_MANIFEST_DIR"), "/guests/hostile");
    let first = setup("").start().await;
    let component = first.folder().join("hostile.wasm");
    let _ = first.print(&["plugin", "build", guest, "--out", component.to_str().unwrap()]);
    for how in ["loop", "memory", "panic", "recursion"] {
        let policy = format!("{{ file: '{}', config: {{ how: {how} }} }}", component.display());
        nobody_else_notices(setup(&policy).start().await).await;
    }
}
