//! What a hook costs: `cargo run --release -p weir-wasm --example wasm_cost`, from the repository's root.
//!
//! Prints µs a call, median of rounds: a kept router over 8 targets, a fresh guard that scans 1 KiB with the patterns of
//! mask-pii (with config, snapshotted), a stream's window of 256 bytes, and a guard of an asynchronous version.
#![allow(clippy::print_stdout, reason = "an example says what it measured")]

use bytes::Bytes;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use weir_llm::request::Request;
use weir_policy::{
    Api, Candidates, DataClass, DeltaKind, Grants, Head, Lane, Live, LiveFacts, Needs, Policy, Question,
    RequestView, Retention, Target,
};
use weir_wasm::{Engine, Options, build};

const CALLS: u32 = 2_000;
const ROUNDS: usize = 15;
const LANE: Lane = Lane { choice: 0, kind: DeltaKind::Content, index: 0 };

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::new(Options { cache_dir: None, mac_key: [0; 32], max_instances: 64 })?;
    let load = |dir: &str, config: &Value| -> Result<Arc<dyn Policy>, Box<dyn std::error::Error>> {
        let built = build::plugin(Path::new(dir), None)?;
        let component = std::fs::read(&built.path)?;
        let start = Instant::now();
        let policy = engine.compile(dir, &component, config, &Grants::offline())?;
        println!("{dir}: {} bytes, loaded in {} ms", built.bytes, start.elapsed().as_millis());
        Ok(policy)
    };
    let guard = load("plugins/mask-pii", &json!({ "mask": "<{class}>", "classes": ["email", "card"] }))?;
    let router = load("plugins/route-cheapest", &Value::Null)?;
    let stream = load("tests/guests/every-hook", &Value::Null)?;
    let waits = load("tests/guests/webhook", &json!({ "how": "elsewhere" }))?;
    let (request, candidates) = (request()?, candidates());

    println!("wasm_kept_us {:.2}", micros(|| router.route(&request, &candidates).is_ok()));
    println!("wasm_fresh_us {:.2}", micros(|| guard.guard(&request).is_ok()));
    println!("wasm_stream_open_us {:.2}", micros(|| stream.stream(&request).is_ok()));
    println!("wasm_stream_push_us {:.2}", pushes(&*stream, &request)?);
    println!("wasm_waits_us {:.2}", waiting(&waits, &request)?);
    Ok(())
}

fn pushes(policy: &dyn Policy, request: &Arc<RequestView>) -> Result<f64, weir_policy::Fault> {
    let guard = std::cell::RefCell::new(policy.stream(request)?);
    let window = "The quick brown fox jumps over the lazy dog. ".repeat(6);
    Ok(micros(|| guard.borrow_mut().push(LANE, &window[..256], false).is_ok()))
}

fn waiting(policy: &Arc<dyn Policy>, request: &Arc<RequestView>) -> std::io::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let ask = || Arc::clone(policy).later(Question::Guard { view: Arc::clone(request) });
    Ok(micros(|| runtime.block_on(ask()).is_ok()))
}

fn micros(call: impl Fn() -> bool) -> f64 {
    let round = || {
        let start = Instant::now();
        let answered = (0..CALLS).filter(|_| call()).count();
        assert_eq!(answered, CALLS as usize, "a call failed");
        start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)
    };
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn request() -> Result<Arc<RequestView>, Box<dyn std::error::Error>> {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(22);
    let body = serde_json::json!({ "model": "fast", "messages": [{ "role": "user", "content": text }] });
    let chat = Request::parse(Api::Chat, Bytes::from(body.to_string())).map_err(|e| e.message)?;
    Ok(Arc::new(RequestView::new(head(), Arc::new(chat), Vec::new())))
}

fn candidates() -> Arc<Candidates> {
    let table = (0..8).map(|i| Target {
        id: format!("sim/model-{i}").into(),
        provider: "sim".into(),
        model: format!("model-{i}").into(),
        region: "eu".into(),
        retention: Retention::Unknown,
        trains: false,
        ctx_tokens: 128_000,
        max_output_tokens: 4_096,
        quality: Some(0.5),
        rates: Arc::from([]),
        tags: Arc::from([]),
        weight: 1,
    });
    Arc::new(Candidates { table: table.collect(), allowed: (0..8).collect(), facts: Arc::new(Idle) })
}

struct Idle;

impl LiveFacts for Idle {
    fn live(&self, target: u16) -> Live {
        Live { target, healthy: true, ..Live::default() }
    }
}

fn head() -> Head {
    Head {
        request_id: "req_0123456789abcdef".into(),
        api: Api::Chat,
        requested_model: "fast".into(),
        stream: false,
        tenant: "org_acme".into(),
        project: "team_core".into(),
        key_id: "key_0123456789".into(),
        user_hash: None,
        region: "eu".into(),
        class: DataClass::Internal,
        retention: Retention::Unknown,
        demands: None,
        tags: Arc::from([]),
        deadline_ms: 60_000,
        est_input_tokens: 250,
        max_output_tokens: Some(256),
        segment_count: 1,
        body_bytes: 1_024,
        needs: Needs::default(),
        attempt: 0,
        budget: None,
    }
}
