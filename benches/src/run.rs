//! The whole benchmark, in the order of its table.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Context, Failure, Result};
use crate::figures::Series;
use crate::micro::Calls;
use crate::process::{LOAD_CORE, Process, SYSTEM_CORE, free_address, ourselves, output, wait_for};
use crate::reload::{self, Change};
use crate::report::Report;
use crate::round::{Bench, Measured, Pace, Round};
use crate::system::System;
use crate::weir::{MASK, Shipped, Site, Variant};
use crate::{hostile, memory, redaction, startup, swap, timing};

/// What to run.
#[derive(Clone, Debug, clap::Args)]
pub struct Plan {
    /// Weir's parts; without them only the baselines are measured.
    #[command(flatten)]
    pub shipped: Option<Shipped>,
    /// The example `redact_quality` of the plugin redact-pii, built.
    #[arg(long)]
    pub quality: Option<PathBuf>,
    /// The script that asks the outside judge; it takes a minute.
    #[arg(long)]
    pub judge: Option<PathBuf>,
    /// File that gets the figures.
    #[arg(long, default_value = "target/bench.json")]
    pub out: PathBuf,
    /// Short rounds and few of them: a look, not a measurement.
    #[arg(long)]
    pub quick: bool,
}

const FULL: Pace = Pace { rounds: 21, warm: 0.5, plain: 1.0, stream: 0.6, reloads: 10_000, starts: 10 };
const TRAIN: Pace = Pace { rounds: 1, warm: 0.3, plain: 4.0, stream: 2.0, reloads: 0, starts: 0 };
const QUICK: Pace = Pace { rounds: 5, warm: 0.3, plain: 0.5, stream: 0.4, reloads: 200, starts: 3 };

/// Runs everything; the report is complete or there is none.
pub fn run(plan: &Plan) -> Result<Report> {
    let cores = std::thread::available_parallelism()?.get();
    if cores < 2 {
        return Err(Failure::new("two cores are needed: one for the system, one for the load"));
    }
    // A stale file must not look like this run's.
    drop(fs::remove_file(&plan.out));
    let work = tempfile::tempdir()?;
    let bench = prepare(work.path(), if plan.quick { QUICK } else { FULL })?;
    let mut report = Report::default();
    keep_logs(fill(&bench, plan, &mut report), work)?;
    report.write(&plan.out)?;
    Ok(report)
}

/// Loads Weir in all its variants, and holds what it did against its ledger.
pub fn train(shipped: &Shipped) -> Result<()> {
    let work = tempfile::tempdir()?;
    let bench = prepare(work.path(), TRAIN)?;
    let trained = Variant::ALL.into_iter().try_for_each(|variant| {
        let system = System::Weir(Site::lay_out(variant, shipped, &bench.upstream, &bench.work)?);
        let mut contender = bench.enter(&system)?;
        bench.round(&mut contender)?;
        bench.leave(contender)
    });
    keep_logs(trained, work)
}

/// What the systems wrote is what explains a failure.
fn keep_logs(outcome: Result<()>, work: tempfile::TempDir) -> Result<()> {
    match outcome {
        Ok(()) => Ok(()),
        failed => failed.context(format!("logs are in {}", work.keep().display())),
    }
}

fn prepare(work: &Path, pace: Pace) -> Result<Bench> {
    let upstream = free_address()?;
    let mut command = ourselves(LOAD_CORE, "mock")?;
    command.args(["--listen", &upstream, "--mask", MASK]);
    let mut mock = Process::start("mock", &mut command, &work.join("mock.log"))?;
    wait_for(&upstream, &mut mock)?;
    let any_keys = work.join("keys");
    // As long as a key of Weir's, so that the baselines pass as many bytes.
    fs::write(&any_keys, format!("weir_sk_{}\n", "0".repeat(49)))?;
    Ok(Bench { work: work.to_path_buf(), mock, upstream, any_keys, pace })
}

fn fill(bench: &Bench, plan: &Plan, report: &mut Report) -> Result<()> {
    let systems = systems(bench, plan)?;
    cpu(bench, &systems, report)?;
    let Some(shipped) = &plan.shipped else { return Ok(()) };
    let default = of(&systems, Variant::Default)?;
    call_figures(shipped, report)?;
    if let Some(program) = &plan.quality {
        redaction::quality(program, report)?;
    }
    if let Some(script) = plan.judge.as_ref().filter(|_| !plan.quick) {
        redaction::judge(script, bench, shipped, report)?;
    }
    redaction::first_text(bench, default, shipped, report)?;
    memory_figures(bench, default, report)?;
    start_figures(bench, shipped, report)?;
    hostile_figures(bench, shipped, report)?;
    let same = timing::across_organisations(bench, shipped, plan.quick)?;
    report.at_least("cache_timing_ks_p", Series(vec![same]), 0.01);
    report.note("cache_timing_ks_p: that the times of what another organisation has asked, and of what nobody has, are alike");
    swap_figures(bench, shipped, report)?;
    reload_figures(bench, &systems, report)
}

fn systems(bench: &Bench, plan: &Plan) -> Result<Vec<System>> {
    let mut systems = vec![System::Passthrough];
    if System::has_nginx() {
        systems.push(System::Nginx);
    }
    if let Some(shipped) = &plan.shipped {
        for variant in Variant::ALL {
            systems.push(System::Weir(Site::lay_out(variant, shipped, &bench.upstream, &bench.work)?));
        }
    }
    Ok(systems)
}

/// Every system once a round; each round begins with another one.
fn cpu(bench: &Bench, systems: &[System], report: &mut Report) -> Result<()> {
    let mut rounds: BTreeMap<&str, Vec<Round>> = BTreeMap::new();
    let mut contenders = systems.iter().map(|system| bench.enter(system)).collect::<Result<Vec<_>>>()?;
    for _ in 0..bench.pace.rounds {
        for contender in &mut contenders {
            rounds.entry(contender.system.name()).or_default().push(bench.round(contender)?);
        }
        contenders.rotate_left(1);
    }
    contenders.into_iter().try_for_each(|contender| bench.leave(contender))?;
    for ratio in RATIOS.iter().filter(|ratio| rounds.contains_key(ratio.of)) {
        let cpu = |name: &str| series(&rounds, name, |round| (ratio.load)(round).cpu_us);
        let figure = cpu(ratio.of).over(&cpu(ratio.over));
        match ratio.most {
            Some(most) => report.against(ratio.figure, figure, most),
            None => report.series(ratio.figure, figure),
        }
    }
    for system in systems {
        columns(&rounds, system.name(), report);
    }
    let foreign = Series(rounds.values().flatten().map(|round| round.plain.foreign).collect());
    if foreign.median() > BUSY_MACHINE {
        report.note(
            "THE MACHINE WAS BUSY (foreign_cores): do not quote these figures; run again when it is quiet",
        );
    }
    report.series("foreign_cores", foreign);
    report.note(
        "cpu_us: CPU microseconds a request at saturation, one core, callers and upstream being awake; ratios: round by round over pingora",
    );
    report.note(
        "wasm_guard: one prompt in 100 has what the guard looks for, and only those enter Wasm; wasm_guard_each: every one has",
    );
    report.note(
        "five: as many policies of the catalogue, a bound and a mask among them, which enter Wasm only where the host finds \
         something to bound or to mask; five_wasm: the same with the router in Wasm, which is asked about every request; \
         ratios over weir_bare, which has no policy, and five_on_default over weir, which has the two scripts that it begins with",
    );
    report.note(
        "translated: callers of Messages and Responses, the upstream speaks Chat Completions; ratios over weir; \
         stream: Messages, 50 chunks",
    );
    Ok(())
}

/// Other processes' use of the machine, in cores, from which on caches and queues are not ours.
const BUSY_MACHINE: f64 = 0.1;

/// CPU time of one system over that of another, round by round.
struct Ratio {
    figure: &'static str,
    of: &'static str,
    over: &'static str,
    load: fn(&Round) -> &Measured,
    /// The aim, if it has one.
    most: Option<f64>,
}

impl Ratio {
    const fn plain(figure: &'static str, of: &'static str, over: &'static str, most: f64) -> Ratio {
        Ratio { most: Some(most), ..Ratio::shown(figure, of, over) }
    }

    const fn shown(figure: &'static str, of: &'static str, over: &'static str) -> Ratio {
        Ratio { figure, of, over, load: |round| &round.plain, most: None }
    }

    const fn stream(figure: &'static str, of: &'static str, over: &'static str, most: f64) -> Ratio {
        Ratio { figure, of, over, load: |round| &round.stream, most: Some(most) }
    }
}

const RATIOS: [Ratio; 11] = [
    Ratio::plain("cpu_ratio_pipeline", "weir", "pingora", 1.3),
    Ratio::plain("cpu_ratio_pipeline_budget", "weir_budget", "pingora", 1.5),
    Ratio::plain("cpu_ratio_wasm_guard", "weir_guard", "pingora", 1.6),
    Ratio::plain("cpu_ratio_wasm_guard_each", "weir_masked", "pingora", 1.6),
    Ratio::stream("cpu_ratio_stream", "weir", "pingora", 1.2),
    Ratio::plain("cpu_ratio_translated_messages", "weir_messages", "weir", 1.5),
    Ratio::plain("cpu_ratio_translated_responses", "weir_responses", "weir", 1.5),
    Ratio::plain("cpu_ratio_five_policies", "weir_five", "weir_bare", 1.3),
    Ratio::shown("cpu_ratio_five_wasm", "weir_five_wasm", "weir_bare"),
    Ratio::plain("cpu_ratio_five_on_default", "weir_five", "weir", 1.3),
    Ratio::stream("cpu_ratio_translated_stream", "weir_messages", "weir", 1.5),
];

/// One system's figures under the two loads.
fn columns(rounds: &BTreeMap<&str, Vec<Round>>, name: &str, report: &mut Report) {
    let mut column = |figure: &str, of: fn(&Round) -> f64| {
        report.series(format!("{figure}_{name}"), series(rounds, name, of))
    };
    column("cpu_us", |round| round.plain.cpu_us);
    column("cpu_us_stream", |round| round.stream.cpu_us);
    column("per_second", |round| round.plain.per_second);
    column("core_busy", |round| round.plain.busy);
    column("p50_us", |round| round.plain.tally.p50_us as f64);
    column("p99_us", |round| round.plain.tally.p99_us as f64);
}

fn series(rounds: &BTreeMap<&str, Vec<Round>>, name: &str, figure: impl Fn(&Round) -> f64) -> Series {
    Series(rounds.get(name).into_iter().flatten().map(figure).collect())
}

fn call_figures(shipped: &Shipped, report: &mut Report) -> Result<()> {
    let mut command = ourselves(SYSTEM_CORE, "micro")?;
    command.arg("--script").arg(shipped.policies.join("route.rhai"));
    command.arg("--guard").arg(&shipped.guard).arg("--guests").arg(&shipped.guests);
    command.arg("--redactor").arg(shipped.redactor());
    let calls: Calls = serde_json::from_str(&output(&mut command)?)?;
    let mut unpinned = std::process::Command::new(std::env::current_exe()?);
    unpinned.arg("misdeeds").arg("--guest").arg(shipped.guests.join("every-hook.wasm"));
    let misdeeds: Calls = serde_json::from_str(&output(&mut unpinned)?)?;
    for (name, series) in calls.series().chain(misdeeds.series()) {
        match AIMS.iter().find(|(known, _)| *known == name) {
            Some((_, most)) => report.against(name, series, *most),
            None => report.series(name, series),
        }
    }
    report.note(
        "translate, reply, delta: caller's API, target's dialect; pairs of one dialect only have the model replaced",
    );
    Ok(())
}

/// What calls of policies should cost at most.
const AIMS: [(&str, f64); 7] = [
    ("rhai_route_us", 3.0),
    ("wasm_kept_us", 2.0),
    ("wasm_fresh_us", 20.0),
    ("wasm_stream_token_us", 0.8),
    ("hostile_over_ms_wasm", 1.0),
    ("hostile_over_ms_rhai", 1.0),
    ("translate_ratio_4k", 1.5),
];

fn hostile_figures(bench: &Bench, shipped: &Shipped, report: &mut Report) -> Result<()> {
    let (way, ratios) = hostile::neighbours(bench, shipped)?;
    report.against("hostile_neighbours_p99", ratios, 1.2);
    report.note(format!(
        "hostile_neighbours: p99 of one model's clients while another's guard does its worst ({way}), its few calls before its breaker opens included, over p99 while it is harmless"
    ));
    Ok(())
}

fn swap_figures(bench: &Bench, shipped: &Shipped, report: &mut Report) -> Result<()> {
    let (scripts, components) = swap::measure(bench, shipped)?;
    report.against("swap_rhai_ms", scripts, 20.0);
    report.against("swap_wasm_ms", components, 50.0);
    Ok(())
}

fn memory_figures(bench: &Bench, weir: &System, report: &mut Report) -> Result<()> {
    let (idle, streams) = memory::measure(bench, weir)?;
    report.against("rss_idle_mib", Series(vec![idle]), 60.0);
    report.once("rss_1000_streams_mib", streams);
    let (idle, streams) = memory::measure(bench, &System::Passthrough)?;
    report.once("rss_idle_mib_pingora", idle);
    report.once("rss_1000_streams_mib_pingora", streams);
    Ok(())
}

fn start_figures(bench: &Bench, shipped: &Shipped, report: &mut Report) -> Result<()> {
    let work = bench.work.join("startup");
    let site = Site::lay_out(Variant::Default, shipped, &bench.upstream, &work)?;
    let (first, later) = startup::measure(bench, site)?;
    report.against("cold_start_ms", later, 500.0);
    report.once("cold_start_first_ms", first);
    report.note("cold_start: spawn to the first 200; _first: with nothing compiled before");
    Ok(())
}

fn reload_figures(bench: &Bench, systems: &[System], report: &mut Report) -> Result<()> {
    for (change, variant, name) in
        [(Change::Script, Variant::Default, "reload"), (Change::Component, Variant::Guard, "reload_wasm")]
    {
        let storm = reload::storm(bench, of(systems, variant)?, change)?;
        report.against(format!("{name}_failed"), Series(vec![storm.tally.failures() as f64]), 0.0);
        report.once(format!("{name}_count"), storm.reloads as f64);
        report.once(format!("{name}_ms"), storm.reload_ms);
        report.once(format!("{name}_requests_ok"), storm.ok as f64);
        report.against(format!("{name}_grown_mib"), Series(vec![storm.grown_mib]), 4.0);
        for (what, count) in &storm.tally.failed {
            report.note(format!("under {name}: {count} x {what}"));
        }
    }
    Ok(())
}

/// Weir in one of its variants.
fn of(systems: &[System], variant: Variant) -> Result<&System> {
    let found = systems.iter().find(|system| system.variant() == Some(variant));
    found.ok_or_else(|| Failure::new(format!("the variant {} is missing", variant.name())))
}
