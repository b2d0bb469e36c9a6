//! `weir policy bench`, `weir plugin bench`: what a call costs, in µs of CPU.

use super::fuel;
use super::subject::Subject;
use crate::cli::{Failed, Printed};
use crate::ship::record::Kind;
use clap::Args;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;
use weir_policy::cases::Probe;

/// What is measured, and how often.
#[derive(Debug, Args)]
pub struct Bench {
    /// A script, a component, or a plugin's folder
    policy: PathBuf,
    /// Its cases [default: NAME.cases.yaml beside a file, cases.yaml in a folder]
    cases: Option<PathBuf>,
    /// Calls of each case
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    calls: u32,
    /// A line for each case, not for each hook
    #[arg(long)]
    each: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What calls cost, in nanoseconds of CPU.
#[derive(Default)]
struct Costs(Vec<u64>);

struct Row {
    hook: &'static str,
    case: String,
    warm: Costs,
    /// Where no instance is used twice; scripts have no instances.
    fresh: Costs,
}

/// Measures.
///
/// # Errors
/// The policy does not compile, a case cannot be asked, or none can be measured.
pub fn run(bench: &Bench) -> Printed {
    let subject = Subject::of(&bench.policy, bench.cases.as_deref())?;
    let suite = subject.suite()?;
    let probes = suite.probes(&|config, grants| subject.compile(config, grants))?;
    let (mut rows, mut left_out): (Vec<Row>, Vec<String>) = (Vec::new(), Vec::new());
    for probe in probes {
        probe.ready();
        if let Err(fault) = probe.ask(false) {
            left_out.push(format!("`{}`: {fault}", probe.name));
            continue;
        }
        let fresh = match subject.kind {
            Kind::Wasm => measured(&probe, true, bench.calls),
            Kind::Rhai => Costs::default(),
        };
        let warm = measured(&probe, false, bench.calls);
        let row = Row { hook: probe.hook.as_str(), case: probe.name, warm, fresh };
        match rows.iter_mut().find(|known| !bench.each && known.hook == row.hook) {
            Some(known) => known.add(row),
            None => rows.push(row),
        }
    }
    if rows.is_empty() {
        return Err(Failed(format!("no case can be measured\n{}", left_out.join("\n"))));
    }
    let burnt = fuel::burnt(&subject, &suite)?;
    Ok(match bench.json {
        true => shown_json(&rows, &left_out, burnt),
        false => shown(&rows, &left_out, burnt, bench.each),
    })
}

/// Calls that fail once it has begun count as well: what they cost is a cost.
fn measured(probe: &Probe, fresh: bool, calls: u32) -> Costs {
    // A policy that waits may run in a thread of its own.
    let clock = if probe.waits() { ClockId::ProcessCPUTime } else { ClockId::ThreadCPUTime };
    let call = || {
        probe.ready();
        let start = nanos(clock);
        let _ = probe.ask(fresh);
        nanos(clock).saturating_sub(start)
    };
    for _ in 0..calls.div_ceil(10) {
        call();
    }
    let own = Costs((0..1_000).map(|_| own_cost(clock)).collect()).at(50);
    Costs((0..calls).map(|_| call().saturating_sub(own)).collect())
}

/// What looking at the clock costs.
fn own_cost(clock: ClockId) -> u64 {
    let start = nanos(clock);
    nanos(clock).saturating_sub(start)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0))
}

impl Row {
    fn add(&mut self, other: Self) {
        self.warm.0.extend(other.warm.0);
        self.fresh.0.extend(other.fresh.0);
    }
}

impl Costs {
    /// The cost that so many percent of the calls do not exceed.
    fn at(&self, percent: usize) -> u64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(rank).copied().unwrap_or(0)
    }

    fn mean(&self) -> u64 {
        self.0.iter().sum::<u64>().checked_div(self.0.len() as u64).unwrap_or(0)
    }

    fn columns(&self) -> String {
        if self.0.is_empty() {
            return format!("{:>9} {:>9} {:>9}", "-", "-", "-");
        }
        let [p50, p95, mean] = [self.at(50), self.at(95), self.mean()].map(micros);
        format!("{p50:>9} {p95:>9} {mean:>9}")
    }

    fn json(&self) -> Value {
        if self.0.is_empty() {
            return Value::Null;
        }
        json!({ "n": self.0.len(), "p50_ns": self.at(50), "p95_ns": self.at(95), "mean_ns": self.mean() })
    }
}

fn micros(nanos: u64) -> String {
    format!("{}.{:02}", nanos / 1_000, nanos % 1_000 / 10)
}

fn shown(rows: &[Row], left_out: &[String], burnt: Option<u64>, each: bool) -> String {
    let mut text = String::from("µs of CPU a call; fresh: no instance is used twice\n");
    // Writing to a string cannot fail.
    let head = ["warm p50", "p95", "mean", "fresh p50", "p95", "mean", "calls"];
    let [a, b, c, d, e, f, n] = head;
    let _ = writeln!(text, "{:<16}{a:>9} {b:>9} {c:>9} {d:>11} {e:>9} {f:>9} {n:>8}", "hook");
    for row in rows {
        let (warm, fresh, calls) = (row.warm.columns(), row.fresh.columns(), row.warm.0.len());
        let case = if each { format!("  {}", row.case) } else { String::new() };
        let _ = writeln!(text, "{:<16}{warm}   {fresh} {calls:>8}{case}", row.hook);
    }
    if let Some(burnt) = burnt {
        let _ = writeln!(text, "price burns at most {burnt} of `limits.operations`");
    }
    for left in left_out {
        let _ = writeln!(text, "left out, since it fails: {left}");
    }
    text
}

fn shown_json(rows: &[Row], left_out: &[String], burnt: Option<u64>) -> String {
    let row = |row: &Row| json!({ "hook": row.hook, "case": row.case, "warm": row.warm.json(), "fresh": row.fresh.json() });
    let rows: Vec<Value> = rows.iter().map(row).collect();
    format!("{:#}\n", json!({ "rows": rows, "left_out": left_out, "price_operations": burnt }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_calls_that_were_made() {
        let costs = Costs((1..=100).rev().collect());
        assert_eq!((costs.at(50), costs.at(95), costs.at(100), costs.mean()), (50, 95, 100, 50));
        assert_eq!((Costs(vec![7]).at(50), Costs(vec![7]).at(95), Costs::default().at(50)), (7, 7, 0));
        assert_eq!(micros(12_345), "12.34");
    }
}
