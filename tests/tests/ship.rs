//! A policy shipped while requests flow: pushed, compared in shadow, promoted, rolled back. No request fails, and none is
//! decided by a version that is not live.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_tests::minisign::Signer;
use weir_tests::{Client, Gateway, Setup};

/// Connections under load.
const CALLERS: usize = 4;

fn router(version: &str, model: &str) -> String {
    format!(
        "//! name: router
//! version: {version}
//! hooks: [route]
//! capabilities: [targets]

fn route(head, targets, config) {{
    plan(targets.filter(|t| t.model.starts_with(\"{model}\")))
}}
"
    )
}

fn setup(ship: &str) -> Setup {
    Setup::new(format!(
        "providers: {{ sim: {{ builtin: sim }} }}
models:
  m:
    targets:
      - {{ target: sim/sim-small, prices: {{ input: 1, output: 1 }} }}
      - {{ target: sim/sim-large, prices: {{ input: 9, output: 9 }} }}
policies: [{{ file: router.rhai, grants: [targets]{ship} }}]
"
    ))
    .file("router.rhai", router("1.0.0", "sim-small"))
}

fn body() -> Value {
    json!({ "model": "m", "messages": [{ "role": "user", "content": "a secret of the caller" }] })
}

/// One request after another until told to stop; the targets that served them.
async fn caller(gateway: Arc<Gateway>, key: String, stop: Arc<AtomicBool>) -> Vec<(u64, String)> {
    let mut client = Client::connect(gateway.address).await.unwrap();
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        client.chat(&key, &body(), &[]).await.expect("the connection is not reset");
        let reply = client.reply().await.expect("the reply is whole");
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let generation = reply.get("x-weir-policy-generation").expect("a generation").parse().unwrap();
        seen.push((generation, reply.get("x-weir-target").expect("a target").to_owned()));
    }
    seen
}

fn status(gateway: &Gateway) -> Value {
    serde_json::from_str(&gateway.print(&["policy", "status", "router", "--json"])).unwrap()
}

async fn target(gateway: &Gateway, key: &str) -> String {
    gateway.chat(key, &body()).await.get("x-weir-target").expect("a target").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_shipped_under_load_and_taken_back_and_no_request_fails() {
    let gateway = Arc::new(setup("").start().await);
    let key = gateway.key(&[]);
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| tokio::spawn(caller(Arc::clone(&gateway), key.clone(), Arc::clone(&stop))))
        .collect();
    std::fs::write(gateway.folder().join("next.rhai"), router("2.0.0", "sim-large")).unwrap();
    let pushed = gateway.print(&["policy", "push", "next.rhai", "--shadow", "20"]);
    assert!(pushed.contains("coverage") && pushed.contains("is in shadow"), "{pushed}");

    let report = weir_tests::until("the shadow is asked, and waits for a word", || {
        let status = status(&gateway);
        status["candidate"]["waits"].is_string().then_some(status)
    })
    .await;
    let shadow = &report["candidate"]["shadow"];
    assert_eq!(shadow["changed_percent"], "100%");
    assert_eq!(shadow["changes"][0]["kind"], "route: plan(sim/sim-small) → plan(sim/sim-large)");
    assert_eq!(shadow["cost"]["difference_percent"], "800%");
    assert!(!report.to_string().contains("secret"), "{report}");
    assert_eq!(target(&gateway, &key).await, "sim/sim-small", "a shadow decides nothing");
    let text = gateway.print(&["policy", "status", "router"]);
    assert!(text.contains("800%") && text.contains("waits for promote or abort"), "{text}");
    let before = report["generation"].as_u64().unwrap();

    let promoted = gateway.print(&["policy", "promote", "router"]);
    assert!(promoted.contains("2.0.0") && promoted.contains("is live"), "{promoted}");
    assert_eq!(target(&gateway, &key).await, "sim/sim-large");
    let live = status(&gateway)["generation"].as_u64().unwrap();
    assert!(live > before);
    let back = gateway.print(&["policy", "rollback", "router"]);
    assert!(back.contains("1.0.0"), "{back}");
    assert_eq!(target(&gateway, &key).await, "sim/sim-small");

    stop.store(true, Ordering::Relaxed);
    let mut total = 0;
    for caller in callers {
        for (generation, target) in caller.await.expect("no request fails") {
            let wanted = if generation == live { "sim/sim-large" } else { "sim/sim-small" };
            assert_eq!(target, wanted, "generation {generation} of {live}");
            total += 1;
        }
    }
    assert!(total > 20);
    let history = gateway.print(&["policy", "history", "router"]);
    assert!(history.contains("rolled-back") && history.contains("promoted"), "{history}");
    let metrics = gateway.get_admin("/metrics").await.text();
    assert!(metrics.contains("weir_policy_rollbacks_total{policy=\"router\",why=\"order\"} 1"), "{metrics}");
    assert!(metrics.contains("weir_policy_info{") && metrics.contains("stage=\"live\""), "{metrics}");
    gateway.ledger_check();
}

#[tokio::test]
async fn what_was_pushed_is_live_after_a_restart_until_the_file_changes() {
    let mut gateway = setup("").start().await;
    let key = gateway.key(&[]);
    std::fs::write(gateway.folder().join("next.rhai"), router("2.0.0", "sim-large")).unwrap();
    let _ = gateway.print(&["policy", "push", "next.rhai", "--wait"]);
    assert_eq!(target(&gateway, &key).await, "sim/sim-large");
    gateway.terminate();
    let _ = gateway.ended().await;
    gateway.serve().await;
    assert_eq!(target(&gateway, &key).await, "sim/sim-large");
    std::fs::write(gateway.folder().join("router.rhai"), router("3.0.0", "sim-small")).unwrap();
    weir_tests::until("the changed file is live", || {
        (status(&gateway)["live"]["version"] == "3.0.0").then_some(())
    })
    .await;
    assert_eq!(target(&gateway, &key).await, "sim/sim-small");
}

#[tokio::test]
async fn a_push_that_a_step_refuses_says_which_and_changes_nothing() {
    let gateway = setup("").start().await;
    let key = gateway.key(&[]);
    let broken = router("2.0.0", "sim-large").replace("plan(targets", "plan(tragets");
    std::fs::write(gateway.folder().join("next.rhai"), broken).unwrap();
    let refused = gateway.run(&["policy", "push", "next.rhai"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    assert!(said.contains("compile: ") && said.contains("tragets"), "{said}");
    assert_eq!(target(&gateway, &key).await, "sim/sim-small");
    std::fs::write(gateway.folder().join("next.rhai"), router("2.0.0", "sim-large")).unwrap();
    let cases = "targets: [{ id: sim/sim-small }, { id: sim/sim-large }]\ncases:\n  - name: the small one\n    expect: { plan: [sim/sim-small] }\n";
    std::fs::write(gateway.folder().join("next.cases.yaml"), cases).unwrap();
    let refused = gateway.run(&["policy", "push", "next.rhai"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("golden cases: ") && said.contains("the small one"), "{said}");
    assert_eq!(target(&gateway, &key).await, "sim/sim-small");
    assert!(gateway.print(&["policy", "history", "router"]).contains("refused"));
}

#[tokio::test]
async fn a_changed_file_goes_through_its_stages_by_itself() {
    let gateway = setup(", ship: { shadow: { requests: 3 }, max_changed: 100% }").start().await;
    let key = gateway.key(&[]);
    std::fs::write(gateway.folder().join("router.rhai"), router("2.0.0", "sim-large")).unwrap();
    weir_tests::until("it is in shadow", || {
        (status(&gateway)["candidate"]["stage"] == "shadow").then_some(())
    })
    .await;
    assert_eq!(target(&gateway, &key).await, "sim/sim-small");
    let mut sent = 1;
    while status(&gateway)["live"]["version"] != "2.0.0" {
        let _ = target(&gateway, &key).await;
        sent += 1;
        assert!(sent < 500, "{}", status(&gateway));
    }
    assert_eq!(target(&gateway, &key).await, "sim/sim-large");
}

#[tokio::test]
async fn a_component_is_pushed_compared_and_taken_back_like_a_script() {
    let built = setup("").start().await;
    let plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/route-cheapest");
    let out = built.folder().join("cheapest.wasm");
    let _ = built.print(&["plugin", "build", plugin, "--out", out.to_str().unwrap()]);
    let component = std::fs::read(&out).unwrap();

    let text = "providers: { sim: { builtin: sim } }
models:
  m:
    targets:
      - { target: sim/sim-large, prices: { input: 9, output: 9 } }
      - { target: sim/sim-small, prices: { input: 1, output: 1 } }
policies: [{ file: cheapest.wasm, grants: [targets], optional: true }]
";
    let mut gateway = Setup::new(text).start().await;
    let file = gateway.folder().join("cheapest.wasm");
    std::fs::write(&file, &component).unwrap();
    gateway.terminate();
    let _ = gateway.ended().await;
    gateway.serve().await;
    let key = gateway.key(&[]);
    assert_eq!(target(&gateway, &key).await, "sim/sim-small");
    let status = || -> Value {
        serde_json::from_str(&gateway.print(&["policy", "status", "route-cheapest", "--json"])).unwrap()
    };
    let first = status()["live"]["digest"].clone();
    assert!(first.is_string(), "{}", status());

    // A component that is cut off is refused, and a custom section more is another version of the same behaviour.
    let next = gateway.folder().join("next.wasm");
    std::fs::write(&next, &component[..component.len() / 2]).unwrap();
    let refused = gateway.run(&["policy", "push", "next.wasm"]);
    assert!(!refused.status.success(), "{refused:?}");
    assert_eq!(status()["live"]["digest"], first);
    std::fs::write(&next, [&*component, &[0, 2, 1, b'x']].concat()).unwrap();
    let pushed = gateway.print(&["policy", "push", "next.wasm", "--shadow", "3"]);
    assert!(pushed.contains("is in shadow"), "{pushed}");
    // Three questions on which both agree are enough: it goes live by itself.
    let mut sent = 0;
    while status()["live"]["digest"] == first {
        assert_eq!(target(&gateway, &key).await, "sim/sim-small");
        sent += 1;
        assert!(sent < 500, "{}", status());
    }
    assert!(sent > 2, "it was asked before");
    assert_eq!(status()["live"]["source"], "push");
    assert_eq!(target(&gateway, &key).await, "sim/sim-small");
    let _ = gateway.print(&["policy", "rollback", "route-cheapest"]);
    assert_eq!(status()["live"]["digest"], first);
}

#[tokio::test]
async fn a_canary_decides_for_its_share_of_the_keys_and_for_the_same_ones_each_time() {
    let gateway = setup("").start().await;
    // By its own name alone no key knows its bucket: of so many, some are on each side.
    let keys: Vec<_> = (0..24).map(|_| gateway.key(&[])).collect();
    std::fs::write(gateway.folder().join("next.rhai"), router("2.0.0", "sim-large")).unwrap();
    let pushed = gateway.print(&["policy", "push", "next.rhai", "--canary", "50%"]);
    assert!(pushed.contains("is a canary"), "{pushed}");
    weir_tests::until("the canary is asked", || {
        let found = status(&gateway);
        found["candidate"]["canary"].is_object().then_some(())
    })
    .await;
    let mut sides = Vec::new();
    for key in &keys {
        sides.push(target(&gateway, key).await);
    }
    for _ in 0..3 {
        for (key, side) in keys.iter().zip(&sides) {
            assert_eq!(&target(&gateway, key).await, side, "a key stays on its side");
        }
    }
    let new = sides.iter().filter(|side| *side == "sim/sim-large").count();
    assert!((1..keys.len()).contains(&new), "{sides:?}");
    let shown = status(&gateway);
    let canary = &shown["candidate"]["canary"];
    let calls = |of: &str| canary[of]["calls"].as_u64().unwrap();
    assert_eq!((canary["share"].as_str(), calls("candidate")), (Some("50%"), 4 * new as u64), "{shown}");
    assert_eq!(calls("live"), 4 * (keys.len() - new) as u64, "{shown}");
    assert_eq!(shown["live"]["version"], "1.0.0");

    let _ = gateway.print(&["policy", "promote", "router"]);
    for key in &keys {
        assert_eq!(target(&gateway, key).await, "sim/sim-large");
    }
    gateway.ledger_check();
}

#[tokio::test]
async fn a_young_version_whose_breaker_opens_is_rolled_back_by_itself() {
    let gateway = setup("").start().await;
    let key = gateway.key(&[]);
    let broken = router("2.0.0", "sim-large").replace("    plan(", "    throw \"broken\";\n    plan(");
    std::fs::write(gateway.folder().join("next.rhai"), broken).unwrap();
    let pushed = gateway.print(&["policy", "push", "next.rhai", "--yes"]);
    assert!(pushed.contains("is live"), "{pushed}");
    // A router that fails is passed over, so nobody is refused while it is young.
    let mut sent = 0;
    while status(&gateway)["live"]["version"] != "1.0.0" {
        assert_eq!(gateway.chat(&key, &body()).await.status(), 200);
        sent += 1;
        assert!(sent < 500, "{}", status(&gateway));
    }
    assert!(sent >= 5, "five failures in a row open a breaker, not {sent}");
    assert_eq!(target(&gateway, &key).await, "sim/sim-small");
    let history = gateway.print(&["policy", "history", "router"]);
    assert!(history.contains("rolled-back") && history.contains("breaker"), "{history}");
    let _ = gateway.metrics_with(&["weir_policy_rollbacks_total{policy=\"router\",why=\"breaker\"} 1"]).await;
    gateway.ledger_check();
}

#[tokio::test]
async fn only_what_a_known_key_has_signed_is_pushed_where_a_signature_is_asked_for() {
    let (known, stranger) = (Signer::new(), Signer::new());
    let signing = format!("signing: {{ keys: [{}], required: true }}", known.public());
    let first = router("1.0.0", "sim-small");
    let setup = setup("").also(&signing).file("router.rhai.minisig", known.sign(first.as_bytes()));
    let gateway = setup.start().await;
    let key = gateway.key(&[]);
    let next = router("2.0.0", "sim-large");
    std::fs::write(gateway.folder().join("next.rhai"), &next).unwrap();
    let other = known.sign(first.as_bytes());
    let damaged = known.sign(next.as_bytes()).replace("signed in a test", "signed in a hurry");
    for (signature, says) in [
        (None, "signing.required"),
        (Some(stranger.sign(next.as_bytes())), "not by any key"),
        (Some(other), "not by any key"),
        (Some(damaged), "not by any key"),
    ] {
        let file = gateway.folder().join("next.rhai.minisig");
        match &signature {
            Some(text) => std::fs::write(file, text).unwrap(),
            None => assert!(!file.exists()),
        }
        let refused = gateway.run(&["policy", "push", "next.rhai", "--yes"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("signature: ") && said.contains(says), "{said}");
        assert_eq!(target(&gateway, &key).await, "sim/sim-small", "{says}");
    }
    std::fs::write(gateway.folder().join("next.rhai.minisig"), known.sign(next.as_bytes())).unwrap();
    let pushed = gateway.print(&["policy", "push", "next.rhai", "--yes"]);
    assert!(pushed.contains("good") && pushed.contains("is live"), "{pushed}");
    assert_eq!(target(&gateway, &key).await, "sim/sim-large");
    gateway.ledger_check();
}
