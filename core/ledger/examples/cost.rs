//! What the ledger costs in CPU: `cargo run --release -p weir-ledger --example cost`, best under `taskset -c 0`, where
//! the ledger's thread and its callers share one core as they do in a saturated gateway.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for the eye")]

use std::sync::Arc;
use std::time::Instant;

use weir_ledger::{
    Clock, ExchangeId, Ledger, NewBudget, NewKey, Options, Outcome, Pepper, Period, Posting, Principal,
};
use weir_llm::price::Nanos;
use weir_llm::usage::{Source, Usage};

const CLIENTS: usize = 64;
const ROUNDS: usize = 1_500;

fn main() {
    let dir = std::env::temp_dir().join(format!("weir-ledger-cost-{}", std::process::id()));
    let ledger = Ledger::open(&dir, Options::new(Pepper::load_or_create(&dir).unwrap())).unwrap();
    let make = |budget| {
        let keys = (0..100).map(|n| {
            let rpm = Some(1_000_000_000);
            let new = NewKey { name: format!("k{n}"), rpm, budget, ..NewKey::default() };
            let text = ledger.create_key(new).unwrap().1.expose();
            (ledger.identify(&text).unwrap(), text)
        });
        keys.collect::<Vec<_>>()
    };
    let limit = Nanos(i64::MAX / 4);
    let free = make(None);
    let soft = make(Some(NewBudget { limit, hard: false, period: Period::Month }));
    let hard = make(Some(NewBudget { limit, hard: true, period: Period::Month }));

    measure("identify", 200_000, |n| drop(ledger.identify(&free[n % 100].1).unwrap()));
    measure("admit", 1_000_000, |n| ledger.admit(&free[n % 100].0, Instant::now()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    measure("reserve and drop, no budget", 200_000, |_| {
        drop(
            runtime
                .block_on(ledger.reserve(&free[0].0, "req_00000000000000000000000000000000", Nanos(1)))
                .unwrap(),
        );
    });
    for (name, keys) in [("no budget", &free), ("soft budget", &soft), ("hard budget", &hard)] {
        for _ in 0..2 {
            settle(&ledger, &runtime, name, keys);
        }
    }
    ledger.close();
    std::fs::remove_dir_all(dir).unwrap();
}

fn settle(ledger: &Ledger, runtime: &tokio::runtime::Runtime, name: &str, keys: &[(Arc<Principal>, String)]) {
    let (before, wall, commits) = (cpu_us(), Instant::now(), ledger.stats().commits);
    runtime.block_on(async {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let (ledger, principal) = (ledger.clone(), Arc::clone(&keys[n % keys.len()].0));
                tokio::spawn(async move { client(&ledger, &principal).await })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
    let rows = (CLIENTS * ROUNDS) as f64;
    let commits = (ledger.stats().commits - commits) as f64;
    let (cpu, wall) = ((cpu_us() - before) / rows, wall.elapsed().as_secs_f64());
    println!(
        "reserve and settle, {name}: {cpu:.2} us CPU a row, {:.0} rows/s, {:.1} rows a commit",
        rows / wall,
        rows / commits
    );
}

async fn client(ledger: &Ledger, principal: &Arc<Principal>) {
    for _ in 0..ROUNDS {
        let now = Clock::system().now_ms();
        let id = ExchangeId::fresh(now).unwrap().to_string();
        let reservation = ledger.reserve_fresh(principal, &id, Nanos(1_000)).await.unwrap();
        reservation.settle(posting(now)).await.unwrap();
    }
}

fn measure(name: &str, times: usize, mut run: impl FnMut(usize)) {
    let before = cpu_us();
    (0..times).for_each(&mut run);
    println!("{name}: {:.3} us CPU", (cpu_us() - before) / times as f64);
}

/// User and system time of all threads, in microseconds, from `/proc/self/task/*/schedstat` (nanoseconds).
fn cpu_us() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1000.0
}

fn posting(at_ms: i64) -> Posting {
    Posting {
        request_id: None,
        at_ms,
        api: "chat".into(),
        alias: "fast".into(),
        provider: "sim".into(),
        model: "sim-small".into(),
        status: Outcome::Ok,
        attempts: 1,
        stream: false,
        usage: Usage { input: 1_200, cached_input: 300, output: 70, ..Usage::default() },
        usage_source: Source::Provider,
        charged: Nanos(900),
        provider_cost: Some(Nanos(900)),
        saved_by_cached_input: Nanos(20),
        saved_by_cache: Nanos(0),
        catalogue_version: "2025-11-01".into(),
        generation: 1,
        ttft_ms: Some(300),
        total_ms: 900,
    }
}
