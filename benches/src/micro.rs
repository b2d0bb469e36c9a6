//! What one call of a policy costs, through the engines' own API, and what translation does, on one core.
//!
//! # Layout
//!
//! - `world`: what the policies are asked about
//! - `streams`: tokens of a stream past a policy
//! - `misdeeds`: how far hostile policies get beyond their budget

mod misdeeds;
mod streams;
mod world;

pub(crate) use misdeeds::WAYS;

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir_policy::manifest::MatcherSpec;
use weir_policy::matcher::Matchers;
use weir_policy::{Candidates, Direction, Grants, Policy, Question, RequestView};

use crate::failure::{Context, Failure, Result};
use crate::figures::Series;
use crate::translation::{self, Figure};

/// The policies to call.
#[derive(Clone, Debug, clap::Args)]
pub struct Policies {
    /// The routing script.
    #[arg(long)]
    pub script: PathBuf,
    /// A guard that reads content: its instance is fresh for every call.
    #[arg(long)]
    pub guard: PathBuf,
    /// The redactor of personal data.
    #[arg(long)]
    pub redactor: PathBuf,
    /// Folder of the benchmark's own guests, built: `kept.wasm`, `waits.wasm`, `every-hook.wasm`.
    #[arg(long)]
    pub guests: PathBuf,
    /// How many rounds of a tenth of a second each.
    #[arg(long, default_value_t = 11)]
    pub rounds: usize,
    /// Only what begins so, or `translate_` and a part of a pair's name: for a profile.
    #[arg(long, default_value = "")]
    pub only: String,
}

/// Figures by name, one value a round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Calls(Vec<Figure>);

impl Calls {
    /// The figures by name.
    pub fn series(self) -> impl Iterator<Item = (String, Series)> {
        self.0.into_iter().map(|(name, values)| (name, Series(values)))
    }
}

/// The shortest route policy that chooses: what the design's 3 µs are about.
const SHORT_ROUTE: &str = "//! name: short\n//! version: 1.0.0\n//! hooks: [route]\n\
    fn route(head, targets, config) { plan(targets.healthy().or(targets).cheapest()) }\n";

/// The same as one who knows no list functions would write it: what was measured before there were any.
const LOOP_ROUTE: &str = "//! name: loop\n//! version: 1.0.0\n//! hooks: [route]\n\
    fn route(head, targets, config) {\n\
        let best = (); let least = 1e9;\n\
        for t in targets { if t.healthy && t.price_in < least { least = t.price_in; best = t; } }\n\
        plan(best)\n\
    }\n";

/// A script of which no path can be made: it reads what is another value for each request.
fn interpreted(source: &str) -> String {
    let begins = "fn route(head, targets, config) {";
    source.replacen(begins, &format!("{begins} head.deadline_ms;"), 1)
}

/// Keeps a word out of streams.
const STREAM: &str = "//! name: watch\n//! version: 1.0.0\n//! hooks: [guard-response, stream]\n//! reads: content\n\
    //! matchers:\n//!   - { name: word, literals: [swordfish] }\n//! stream: { bytes: 256, ms: 40, max_hold: 256 }\n\
    fn guard_response(head, meta, reply, config) { pass() }\n\
    fn stream_open(head, config) { #{} }\n\
    fn stream(state, lane, text, last, config) { edit(edits(scan(\"word\", text), text(\"*\"))).hold(8) }\n\
    fn stream_finish(state, usage, config) { closing() }\n";

/// Calls each policy for as long as its rounds take, then the translation. Microseconds, where the name says nothing else:
///
/// - `rhai_route_us`: the short route script over eight targets with live facts; `_shipped`: `policies/route.rhai`;
///   `_loop`: eight targets in a loop of the script. Requests like those before follow a path, `_interpreted` ones never.
/// - `wasm_kept_us`: a Wasm route policy in a kept instance, over the same targets.
/// - `wasm_fresh_us`: the shipped Wasm guard with a config in a fresh instance, one scan of a prompt of 4 KiB without a
///   hit; `_scan`: the host's share of that; `_async`: the same guard, which may call out.
/// - `wasm_redact_mb_s`: 10⁶ bytes a second of ordinary text through the redactor, in one prompt of 64 KiB: its scan, in
///   Wasm, and what brings the text there.
/// - `wasm_stream_token_us`, `rhai_stream_token_us`: a token of a stream past one policy, windows included.
pub fn measure(policies: &Policies) -> Result<Calls> {
    let engine = engine()?;
    let script = fs::read_to_string(&policies.script).context(policies.script.display())?;
    let guest = |name: &str| policies.guests.join(name);
    let masks = json!({ "mask": "<{class}>", "classes": ["email", "card"] });
    let (request, candidates) = (world::usual_request()?, world::candidates());
    let prompt = world::prompt_of(4 << 10)?;
    let rounds = policies.rounds;
    let mut figures: Vec<Figure> = Vec::new();
    let mut row = |name: &str, values: &dyn Fn() -> Result<Vec<f64>>| {
        if name.starts_with(&policies.only) {
            figures.push((name.to_owned(), values()?));
        }
        Ok::<_, Failure>(())
    };

    for (name, source) in
        [("rhai_route", SHORT_ROUTE), ("rhai_route_shipped", &*script), ("rhai_route_loop", LOOP_ROUTE)]
    {
        for (how, source) in [("", source.to_owned()), ("_interpreted", interpreted(source))] {
            let policy = scripted(&source, &json!({}))?;
            let call = || route(&*policy, &request, &candidates);
            row(&format!("{name}{how}_us"), &|| per_call(rounds, call))?;
        }
    }
    let kept = component(&engine, &guest("kept.wasm"), &json!({}))?;
    row("wasm_kept_us", &|| per_call(rounds, || route(&*kept, &request, &candidates)))?;
    let guard = component(&engine, &policies.guard, &masks)?;
    row("wasm_fresh_us", &|| per_call(rounds, || pass(&*guard, &prompt)))?;
    row("wasm_fresh_scan_us", &|| scans(rounds, &*guard, &prompt))?;
    let redactor = component(&engine, &policies.redactor, &json!({}))?;
    row("wasm_redact_mb_s", &|| megabytes(rounds, &*redactor))?;
    let waits = component(&engine, &guest("waits.wasm"), &masks)?;
    row("wasm_fresh_async_us", &|| waiting(rounds, &waits, &prompt))?;
    let watch = component(&engine, &guest("every-hook.wasm"), &json!({}))?;
    row("wasm_stream_token_us", &|| streams::per_token(rounds, Arc::clone(&watch), &request))?;
    let watch = scripted(STREAM, &json!({}))?;
    row("rhai_stream_token_us", &|| streams::per_token(rounds, Arc::clone(&watch), &request))?;
    let pair = policies.only.strip_prefix("translate_");
    if policies.only.is_empty() || pair.is_some() {
        figures.extend(translation::measure(rounds, pair.unwrap_or_default()));
    }
    Ok(Calls(figures))
}

/// How long after the end of its budget the worst of six hostile guards was stopped, in milliseconds: `hostile_over_ms_wasm`,
/// `…_rhai`. Whoever stops a guard needs a core to run on, so this is not for a process that has only one.
pub fn misdeeds(every_hook: &Path) -> Result<Calls> {
    let request = world::usual_request()?;
    let wasm = misdeeds::of_components(&engine()?, every_hook, &request)?;
    let rhai = misdeeds::of_scripts(&request)?;
    Ok(Calls(vec![("hostile_over_ms_wasm".to_owned(), wasm), ("hostile_over_ms_rhai".to_owned(), rhai)]))
}

fn engine() -> Result<weir_wasm::Engine> {
    let options = weir_wasm::Options { cache_dir: None, mac_key: [0; 32], max_instances: 64 };
    weir_wasm::Engine::new(options).context("Wasm engine")
}

fn component(engine: &weir_wasm::Engine, file: &Path, config: &Value) -> Result<Arc<dyn Policy>> {
    let bytes = fs::read(file).context(file.display())?;
    engine.compile(&file.display().to_string(), &bytes, config, &Grants::offline()).context(file.display())
}

fn scripted(source: &str, config: &Value) -> Result<Arc<dyn Policy>> {
    weir_script::compile("bench.rhai", source, config, &Grants::offline()).context("bench.rhai")
}

fn route(policy: &dyn Policy, request: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Result<()> {
    black_box(policy.route(black_box(request), candidates)).map(drop).context("route")
}

/// A view of its own, as every exchange has.
fn pass(policy: &dyn Policy, request: &Arc<RequestView>) -> Result<()> {
    black_box(policy.guard(black_box(&afresh(request)))).map(drop).context("guard")
}

/// What of `pass` is the host's: the view, and the scan itself.
fn scans(rounds: usize, policy: &dyn Policy, request: &Arc<RequestView>) -> Result<Vec<f64>> {
    let specs = &policy.manifest().matchers;
    let matchers = Matchers::compile(specs).context("matchers")?;
    per_call(rounds, || {
        let scan = |spec: &MatcherSpec| afresh(request).scan(&matchers, &spec.name).context(&spec.name);
        specs.iter().try_for_each(|spec| black_box(scan(spec)).map(drop))
    })
}

fn afresh(request: &Arc<RequestView>) -> Arc<RequestView> {
    Arc::new(RequestView::new(request.head().clone(), Arc::clone(request.request()), Vec::new()))
}

fn waiting(rounds: usize, policy: &Arc<dyn Policy>, request: &Arc<RequestView>) -> Result<Vec<f64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    per_call(rounds, || {
        let question = Question::Guard { view: afresh(request) };
        runtime.block_on(Arc::clone(policy).later(question)).map(drop).context("guard")
    })
}

/// Megabytes of prompts a second. A call is long, so each is timed by itself.
fn megabytes(rounds: usize, policy: &dyn Policy) -> Result<Vec<f64>> {
    let prompt = world::prose_of(REDACTED)?;
    let call = || {
        let redact = || black_box(policy.redact(black_box(&afresh(&prompt)), Direction::Request));
        let started = Instant::now();
        redact().map(drop).context("redact")?;
        Ok::<_, Failure>(REDACTED as f64 / 1e6 / started.elapsed().as_secs_f64())
    };
    call()?; // warms caches, is not counted
    let round =
        |_| Ok((0..REDACTIONS_A_ROUND).map(|_| call()).collect::<Result<Vec<_>>>().map(Series)?.median());
    (0..rounds).map(round).collect()
}

/// A long prompt.
const REDACTED: usize = 64 << 10;
const REDACTIONS_A_ROUND: usize = 50;

const CALLS_A_BATCH: u32 = 500;
const SECONDS_A_ROUND: f64 = 0.1;

/// Microseconds a call.
fn per_call(rounds: usize, call: impl Fn() -> Result<()>) -> Result<Vec<f64>> {
    round(&call)?; // warms caches and branch predictors, is not counted
    (0..rounds).map(|_| round(&call)).collect()
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
