//! `weir-drill --weir PATH [--quick] [--out FILE] [NAME …]`: runs drills against a gateway and says what they came to.

#![allow(clippy::expect_used, reason = "a harness fails by panicking")]

use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use weir_tests::drill::{ALL, Drill, Outcome, slowloris};

/// What was asked for.
#[derive(Default)]
struct Args {
    weir: Option<PathBuf>,
    out: Option<PathBuf>,
    quick: bool,
    names: Vec<String>,
}

fn args() -> Result<Args, String> {
    let mut args = Args::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().map(PathBuf::from).ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--weir" => args.weir = Some(value()?),
            "--out" => args.out = Some(value()?),
            "--quick" => args.quick = true,
            name if ALL.iter().any(|drill| drill.name == name) => args.names.push(word),
            other => {
                let names: Vec<_> = ALL.iter().map(|drill| drill.name).collect();
                return Err(format!(
                    "unknown: {other}; --weir PATH, --quick, --out FILE, or of {}",
                    names.join(", ")
                ));
            }
        }
    }
    Ok(args)
}

fn main() -> ExitCode {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = threads.expect("threads");
    if std::env::args().nth(1).is_some_and(|word| word == slowloris::ATTACKERS) {
        return runtime.block_on(slowloris::attackers()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let args = match args() {
        Ok(args) => args,
        Err(why) => {
            say(&why);
            return ExitCode::from(2);
        }
    };
    if let Some(weir) = &args.weir {
        let weir = weir.canonicalize().expect("--weir names a file");
        weir_tests::gateway::use_binary(weir).expect("it is said once");
    }
    let wanted = |drill: &&Drill| args.names.is_empty() || args.names.iter().any(|name| name == drill.name);
    let mut all = Vec::new();
    for drill in ALL.iter().filter(wanted) {
        say(&format!("== {}: {}", drill.name, drill.shows));
        let began = Instant::now();
        let running = (drill.start)(args.quick);
        let outcome = runtime.block_on(async { tokio::spawn(running).await });
        let outcome = outcome.unwrap_or_else(|panic| {
            let mut outcome = Outcome::new(drill.shows);
            outcome.broken.push(format!("it did not come to an end: {panic}"));
            outcome
        });
        say(&format!("{} ({:.0} s): {outcome}", drill.name, began.elapsed().as_secs_f64()));
        all.push((drill, outcome, began.elapsed()));
    }
    let failed = all.iter().filter(|(_, outcome, _)| !outcome.passed()).count();
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out.parent().expect("a file has a folder")).expect("its folder");
        std::fs::write(out, format!("{:#}\n", report(&all, args.quick))).expect("--out can be written");
    }
    say(&format!("{} drills, {failed} failed", all.len()));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(all: &[(&Drill, Outcome, Duration)], quick: bool) -> Value {
    let drills = all.iter().map(|(drill, outcome, took)| {
        let figures: serde_json::Map<String, Value> =
            outcome.figures.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({
            "name": drill.name, "shows": drill.shows, "did": outcome.did, "seconds": took.as_secs_f64(),
            "passed": outcome.passed(), "broken": outcome.broken, "slow": outcome.slow, "figures": figures,
        })
    });
    let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    json!({ "at": at, "quick": quick, "drills": drills.collect::<Vec<_>>() })
}

fn say(line: &str) {
    // Whoever closed standard output does not want to know.
    let _ = writeln!(std::io::stdout(), "{line}");
}
