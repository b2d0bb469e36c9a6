//! Reload storm: two versions that route differently alternate under load, half of them Wasm and half Rhai. No request
//! may fail, none may see two versions, and none may see an older version than the one before it on its connection.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_tests::{Client, Gateway, Setup};

/// Swaps in the storm.
const SWAPS: usize = 60;
/// Connections under load.
const CALLERS: usize = 8;
/// A stream takes longer than a swap: so many tokens at this pace.
const ONE: &str = "sim/sim-small?tokens=20&tps=100";
const TWO: &str = "sim/sim-large?tokens=20&tps=100";

const RHAI: &str = r#"//! name: first-one
//! version: 1.0.0
//! hooks: [route]

fn route(head, targets, config) {
    plan(targets.filter(|t| t.model.starts_with("sim-small")))
}
"#;

/// What one request saw.
struct Seen {
    generation: u64,
    target: String,
}

fn setup(policy: &str) -> Setup {
    Setup::new(format!(
        "providers: {{ sim: {{ builtin: sim }} }}
models:
  m:
    targets:
      - {{ target: '{ONE}', prices: {{ input: 9, output: 9 }} }}
      - {{ target: '{TWO}', prices: {{ input: 1, output: 1 }} }}
policies: [{policy}]
"
    ))
}

/// The Wasm version: the cheaper target is the other one.
fn component(gateway: &Gateway) {
    let plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/route-cheapest");
    let out = gateway.folder().join("cheapest.wasm");
    let _ = gateway.print(&["plugin", "build", plugin, "--out", out.to_str().unwrap()]);
}

/// One request after another on one connection until told to stop.
async fn caller(gateway: Arc<Gateway>, key: String, number: usize, stop: Arc<AtomicBool>) -> Vec<Seen> {
    let mut client = Client::connect(gateway.address).await.unwrap();
    let mut seen = Vec::new();
    let mut turn = number;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let stream = turn % 2 == 0;
        let body = json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "storm" }] });
        client.chat(&key, &body, &[]).await.expect("the connection is not reset");
        let reply = client.reply().await.expect("the reply is whole");
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let target = reply.get("x-weir-target").expect("a target").to_owned();
        let generation = reply.get("x-weir-policy-generation").expect("a generation").parse().unwrap();
        if stream {
            assert_eq!(reply.events().last().map(String::as_str), Some("[DONE]"), "{}", reply.text());
        }
        let model = if target == ONE { "sim-small says" } else { "sim-large says" };
        assert!(reply.answer().starts_with(model), "{target}: {}", reply.answer());
        seen.push(Seen { generation, target });
    }
    seen
}

async fn reload(gateway: &Gateway) -> u64 {
    let answer: Value = serde_json::from_str(&gateway.print(&["reload"])).unwrap();
    answer["generation"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_reloads_fails_no_request_and_mixes_no_versions() {
    let rhai = "{ file: one.rhai, grants: [targets] }";
    let wasm = "{ file: cheapest.wasm, grants: [targets] }";
    let gateway = Arc::new(setup(rhai).file("one.rhai", RHAI).start().await);
    component(&gateway);
    let key = gateway.key(&["storm"]);
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| tokio::spawn(caller(Arc::clone(&gateway), key.clone(), number, Arc::clone(&stop))))
        .collect();

    // The watcher may take a written config up before the reload does: both generations then have the same version.
    let mut versions: BTreeMap<u64, &str> = BTreeMap::from([(1, ONE)]);
    for swap in 0..SWAPS {
        let (policy, target) = if swap % 2 == 0 { (wasm, TWO) } else { (rhai, ONE) };
        gateway.write_config(&setup(policy));
        let until = reload(&gateway).await;
        let from = versions.last_key_value().map_or(1, |(last, _)| last + 1);
        versions.extend((from..=until).map(|generation| (generation, target)));
    }
    stop.store(true, Ordering::Relaxed);

    let (mut ones, mut twos, mut total) = (0, 0, 0);
    for caller in callers {
        let seen = caller.await.expect("no request fails");
        assert!(seen.windows(2).all(|pair| pair[0].generation <= pair[1].generation), "generations never go back");
        for request in &seen {
            assert_eq!(versions.get(&request.generation), Some(&request.target.as_str()), "the version it says it saw");
            ones += usize::from(request.target == ONE);
            twos += usize::from(request.target == TWO);
        }
        total += seen.len();
    }
    assert!(ones > 0 && twos > 0, "both versions were seen: {ones} and {twos} of {total}");
    assert_eq!(gateway.postings().len(), total);
    gateway.ledger_check();
}

#[tokio::test]
async fn a_broken_edit_is_refused_with_its_place_and_the_running_version_goes_on() {
    let gateway = setup("{ file: one.rhai, grants: [targets] }").file("one.rhai", RHAI).start().await;
    let key = gateway.key(&["k"]);
    std::fs::write(gateway.folder().join("one.rhai"), RHAI.replace("plan(targets", "plan(tragets")).unwrap();
    let refused = gateway.run(&["reload"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(said.contains("one.rhai:6") && said.contains("tragets"), "{said}");
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    let reply = gateway.chat(&key, &body).await;
    assert_eq!((reply.status(), reply.get("x-weir-policy-generation")), (200, Some("1")));
}

#[tokio::test]
async fn a_rollback_brings_the_version_before_back() {
    let gateway = setup("").start().await;
    let key = gateway.key(&["k"]);
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(gateway.chat(&key, &body).await.get("x-weir-target"), Some(ONE));
    std::fs::write(gateway.folder().join("two.rhai"), RHAI.replace("sim-small", "sim-large")).unwrap();
    gateway.write_config(&setup("{ file: two.rhai, grants: [targets] }"));
    weir_tests::until("the watcher takes the change up", || {
        let policies = gateway.print(&["policy", "list"]);
        policies.contains("first-one").then_some(())
    })
    .await;
    assert_eq!(gateway.chat(&key, &body).await.get("x-weir-target"), Some(TWO));
    let _ = gateway.print(&["policy", "rollback"]);
    assert_eq!(gateway.chat(&key, &body).await.get("x-weir-target"), Some(ONE));
}
