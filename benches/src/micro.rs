//! What one call of a policy costs, through the engines' own API, and what translation does, on one core.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_llm::price::Rate;
use weir_llm::request::Request;
use weir_llm::usage::Class;
use weir_policy::{
    Api, Breaker, Candidates, Capability, DataClass, Grants, Head, Live, LiveFacts, Needs, Policy,
    RequestView, Retention, Target,
};

use crate::failure::{Context, Failure, Result};
use crate::figures::Series;
use crate::prompt::{self, Kind};
use crate::translation;
use crate::weir::prices;

/// The policies to call.
#[derive(Clone, Debug, clap::Args)]
pub struct Policies {
    /// The routing script.
    #[arg(long)]
    pub script: PathBuf,
    /// A guard that reads content: its instance is fresh for every call.
    #[arg(long)]
    pub guard: PathBuf,
    /// A route policy that reads none: its instance is kept.
    #[arg(long)]
    pub kept: PathBuf,
    /// How many rounds of a tenth of a second each.
    #[arg(long, default_value_t = 11)]
    pub rounds: usize,
}

/// Microseconds a call, one value a round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Calls {
    /// The shipped routing script over eight targets with live facts.
    pub rhai_route: Vec<f64>,
    /// A Wasm route policy in a kept instance, over the same targets.
    pub wasm_kept: Vec<f64>,
    /// The shipped Wasm guard in a fresh instance, over a body of 1 KiB without a hit.
    pub wasm_fresh: Vec<f64>,
    /// What [`translation::measure`] found.
    pub translation: Vec<translation::Figure>,
}

impl Calls {
    /// The figures by name.
    pub fn series(self) -> Vec<(String, Series)> {
        let policies = [
            ("rhai_route_us".to_owned(), self.rhai_route),
            ("wasm_kept_us".to_owned(), self.wasm_kept),
            ("wasm_fresh_us".to_owned(), self.wasm_fresh),
        ];
        policies.into_iter().chain(self.translation).map(|(name, values)| (name, Series(values))).collect()
    }
}

/// Calls each policy for as long as its rounds take, then the translation.
pub fn measure(policies: &Policies) -> Result<Calls> {
    let script = fs::read_to_string(&policies.script).context(policies.script.display())?;
    let none = serde_json::json!({});
    let script =
        weir_script::compile("route.rhai", &script, &none, &Grants::offline()).context("route.rhai")?;
    let options = weir_wasm::Options { cache_dir: None, mac_key: [0; 32], max_instances: 64 };
    let engine = weir_wasm::Engine::new(options).context("Wasm engine")?;
    let load = |file: &Path, grants: &[Capability]| {
        let component = fs::read(file).context(file.display())?;
        let grants = Grants { capabilities: grants.to_vec(), ..Grants::offline() };
        engine.compile(&file.display().to_string(), &component, &none, &grants).context(file.display())
    };
    let guard = load(&policies.guard, &[])?;
    let kept = load(&policies.kept, &[Capability::Targets])?;
    let (request, candidates) = (request()?, candidates());
    Ok(Calls {
        rhai_route: rounds(policies.rounds, || route(&*script, &request, &candidates))?,
        wasm_kept: rounds(policies.rounds, || route(&*kept, &request, &candidates))?,
        wasm_fresh: rounds(policies.rounds, || pass(&*guard, &request))?,
        translation: translation::measure(policies.rounds, ""),
    })
}

fn route(policy: &dyn Policy, request: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Result<()> {
    black_box(policy.route(black_box(request), candidates)).map(drop).context("route")
}

fn pass(policy: &dyn Policy, request: &Arc<RequestView>) -> Result<()> {
    black_box(policy.guard(black_box(request))).map(drop).context("guard")
}

const CALLS_A_BATCH: u32 = 500;
const SECONDS_A_ROUND: f64 = 0.1;

fn rounds(count: usize, call: impl Fn() -> Result<()>) -> Result<Vec<f64>> {
    round(&call)?; // warms caches and branch predictors, is not counted
    (0..count).map(|_| round(&call)).collect()
}

fn round(call: &impl Fn() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    let mut calls = 0;
    while started.elapsed().as_secs_f64() < SECONDS_A_ROUND {
        for _ in 0..CALLS_A_BATCH {
            call()?;
        }
        calls += CALLS_A_BATCH;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(calls))
}

fn request() -> Result<Arc<RequestView>> {
    let body = Bytes::from(prompt::body(prompt::Api::Chat, "chat", Kind::Plain, false));
    let chat = Request::parse(weir_llm::api::Api::Chat, body).map_err(|error| Failure::new(error.message))?;
    let head = Head {
        request_id: "req_1".into(),
        api: Api::Chat,
        requested_model: "chat".into(),
        stream: false,
        tenant: "default".into(),
        project: "default".into(),
        key_id: "key_1".into(),
        user_hash: None,
        region: "".into(),
        class: DataClass::Internal,
        retention: Retention::Unknown,
        tags: Arc::new([]),
        deadline_ms: 60_000,
        est_input_tokens: 256,
        max_output_tokens: Some(256),
        segment_count: 4,
        body_bytes: prompt::BODY_BYTES as u64,
        needs: Needs::default(),
        attempt: 0,
        budget: None,
    };
    Ok(Arc::new(RequestView::new(head, Arc::new(chat), Vec::new())))
}

/// Eight targets whose facts change with every look at them.
fn candidates() -> Arc<Candidates> {
    Arc::new(Candidates {
        table: (0..8).map(target).collect(),
        allowed: (0..8).collect(),
        facts: Arc::new(Counters(Default::default())),
    })
}

fn target(n: u64) -> Target {
    let (input, cached, output) = prices(n);
    let rate = |class, pico_per_unit| Rate { class, pico_per_unit };
    Target {
        id: format!("mock/m{n}").into(),
        provider: "mock".into(),
        model: format!("m{n}").into(),
        region: "".into(),
        retention: Retention::Unknown,
        trains: false,
        ctx_tokens: 128_000,
        max_output_tokens: 16_384,
        quality: None,
        rates: [rate(Class::Input, input), rate(Class::CachedInput, cached), rate(Class::Output, output)]
            .into(),
        tags: Arc::new([]),
        weight: 1,
    }
}

struct Counters([AtomicU32; 8]);

impl LiveFacts for Counters {
    fn live(&self, target: u16) -> Live {
        let looks = self.0[usize::from(target) % 8].fetch_add(1, Ordering::Relaxed);
        Live {
            target,
            healthy: true,
            in_flight: looks % 7,
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
