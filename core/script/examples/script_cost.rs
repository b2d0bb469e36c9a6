//! What a hook call costs: `cargo run --release -p weir-script --example script_cost [PART OF A NAME]`.
//!
//! Prints nanoseconds of the thread's CPU time per call (median and best of 21 rounds) with 8 targets whose facts are live.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, run by hand")]

use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use weir_llm::price::Rate;
use weir_llm::request::Request;
use weir_llm::usage::Class;
use weir_policy::{
    Api, Breaker, Candidates, DataClass, Grants, Head, Live, LiveFacts, Needs, Policy, RequestView,
    Retention, Target,
};

const ROUNDS: usize = 21;
const CALLS: u32 = 2_000;

const LOOP: &str = r#"//! name: loop
//! version: 1.0.0
//! hooks: [route]
fn route(head, targets, config) {
    let best = ();
    let least = 1e9;
    for t in targets {
        if t.healthy && t.price_in < least {
            least = t.price_in;
            best = t;
        }
    }
    plan(best)
}
"#;

fn main() {
    let head = |body: &str| {
        format!(
            "//! name: x\n//! version: 1.0.0\n//! hooks: [route]\nfn route(head, targets, config) {{ {body} }}\n"
        )
    };
    let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/route.rhai"));
    measure("abstain()", &head("abstain()"), "{}");
    measure("plan(targets)", &head("plan(targets)"), "{}");
    measure(
        "plan(targets.healthy().or(targets).cheapest())",
        &head("plan(targets.healthy().or(targets).cheapest())"),
        "{}",
    );
    measure("filter with a closure", &head("plan(targets.filter(|t| t.healthy && t.price_in < 3.0))"), "{}");
    measure("loop over 8 targets in script", LOOP, "{}");
    for strategy in ["cheapest", "fastest", "balanced"] {
        if let Ok(source) = &shipped {
            measure(
                &format!("policies/route.rhai, {strategy}"),
                source,
                &format!(r#"{{"strategy":"{strategy}"}}"#),
            );
            let full = format!(
                r#"{{"strategy":"{strategy}","slo_ttft_ms":900,"min_quality":0.1,"tenant_tags":{{"acme":"us"}}}}"#
            );
            measure(&format!("policies/route.rhai, {strategy}, all options"), source, &full);
        }
    }
    let started = cpu_nanos();
    for _ in 0..10 {
        black_box(
            weir_script::compile("loop.rhai", LOOP, &serde_json::Value::Null, &Grants::offline()).unwrap(),
        );
    }
    println!("{:>8.0} ns  compile, of {} bytes", (cpu_nanos() - started) / 10.0, LOOP.len());
}

fn measure(name: &str, source: &str, config: &str) {
    if std::env::args().nth(1).is_some_and(|only| !name.contains(&only)) {
        return;
    }
    let config = serde_json::from_str(config).unwrap();
    let policy = match weir_script::compile("bench.rhai", source, &config, &Grants::offline()) {
        Ok(policy) => policy,
        Err(error) => return println!("{name}: {error}"),
    };
    let (request, candidates) = (request(), candidates());
    policy.route(&request, &candidates).unwrap();
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round(&*policy, &request, &candidates)).collect();
    rounds.sort_by(f64::total_cmp);
    println!("{:>8.0} ns  (best {:.0})  {name}", rounds[ROUNDS / 2], rounds[0]);
}

fn round(policy: &dyn Policy, request: &Arc<RequestView>, candidates: &Arc<Candidates>) -> f64 {
    let started = cpu_nanos();
    for _ in 0..CALLS {
        black_box(policy.route(black_box(request), black_box(candidates)).unwrap());
    }
    (cpu_nanos() - started) / f64::from(CALLS)
}

/// Time that other processes take does not count.
fn cpu_nanos() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

struct Counters(Vec<AtomicU32>);

impl LiveFacts for Counters {
    fn live(&self, target: u16) -> Live {
        let count = self.0[usize::from(target)].fetch_add(1, Ordering::Relaxed);
        Live {
            target,
            healthy: true,
            in_flight: count % 7,
            ttft_p50_ms: 300 + u32::from(target) * 40,
            ttft_p95_ms: 500 + u32::from(target) * 80,
            tps_p50: 60.0,
            err_rate_1m: 0.01,
            headroom: 1.0,
            breaker: Breaker::Closed,
            prompt_cache_warm: 0.0,
        }
    }
}

fn candidates() -> Arc<Candidates> {
    let rate = |class, pico_per_unit| Rate { class, pico_per_unit };
    let target = |n: u64| Target {
        id: format!("provider/model-{n}").into(),
        provider: "provider".into(),
        model: format!("model-{n}").into(),
        region: "us".into(),
        retention: Retention::Days(30),
        trains: false,
        ctx_tokens: 128_000,
        max_output_tokens: 16_384,
        quality: Some(0.5),
        rates: vec![rate(Class::Input, (9 - n) * 150_000), rate(Class::Output, (9 - n) * 600_000)].into(),
        tags: vec!["us".to_owned(), "fast".to_owned()].into(),
        weight: 1,
    };
    Arc::new(Candidates {
        table: (0..8).map(target).collect(),
        allowed: (0..8).collect(),
        facts: Arc::new(Counters((0..8).map(|_| AtomicU32::new(0)).collect())),
    })
}

fn request() -> Arc<RequestView> {
    let body = br#"{"model":"fast","messages":[{"role":"user","content":"hello"}]}"#;
    let head = Head {
        request_id: "req_1".into(),
        api: Api::Chat,
        requested_model: "fast".into(),
        stream: false,
        tenant: "acme".into(),
        project: "".into(),
        key_id: "key_1".into(),
        user_hash: None,
        region: "".into(),
        class: DataClass::Internal,
        retention: Retention::Unknown,
        demands: None,
        tags: Arc::new([]),
        deadline_ms: 60_000,
        est_input_tokens: 300,
        max_output_tokens: None,
        segment_count: 1,
        body_bytes: body.len() as u64,
        needs: Needs::default(),
        attempt: 0,
        budget: None,
    };
    let chat = Request::parse(Api::Chat, bytes::Bytes::from_static(body)).unwrap();
    Arc::new(RequestView::new(head, Arc::new(chat), Vec::new()))
}
