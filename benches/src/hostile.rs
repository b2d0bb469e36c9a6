//! What a hostile policy does to its neighbours: their latency while another model's guard does its worst, over their
//! latency while the same guard is harmless. The same clients send the same requests both times.

use std::fs;
use std::process::{Child, Stdio};

use crate::failure::{Failure, Result};
use crate::figures::Series;
use crate::load::Tally;
use crate::micro::WAYS;
use crate::process::{LOAD_CORE, Process, ourselves, output};
use crate::round::Bench;
use crate::system::System;
use crate::weir::{Shipped, Site, Variant};

const ROUNDS: usize = 5;
/// What a load takes at least: the few calls that a hostile guard gets before its breaker opens are less than one in a
/// hundred requests then, as they are wherever a gateway runs for longer than a second.
const SECONDS: f64 = 1.0;

/// The neighbours' p99 under the worst of the ways over that without, round by round, and that way. Each load has its own
/// harmless one just before it; which way is worst is said by medians, since the worst of many noisy figures is noise.
pub fn neighbours(bench: &Bench, shipped: &Shipped) -> Result<(&'static str, Series)> {
    let site = Site::lay_out(Variant::Hostile, shipped, &bench.upstream, &bench.work)?;
    let system = System::Weir(site);
    let mut ratios = WAYS.map(|way| (way, Series::default()));
    for _ in 0..bench.pace.rounds.min(ROUNDS) {
        for (way, of_way) in &mut ratios {
            let harmless = p99(bench, &system, None)?;
            of_way.0.push(p99(bench, &system, Some(way))? / harmless);
        }
    }
    let worst = ratios.into_iter().max_by(|(_, one), (_, other)| one.median().total_cmp(&other.median()));
    worst.ok_or_else(|| Failure::new("there is no way to be hostile"))
}

fn p99(bench: &Bench, system: &System, way: Option<&str>) -> Result<f64> {
    let System::Weir(site) = system else { return Err(Failure::new("only Weir has policies")) };
    site.misbehave(way)?;
    let running = system.start(&bench.upstream, &bench.work)?;
    let done = bench.work.join("hostile.done");
    drop(fs::remove_file(&done));
    let load = |model: &str, connections: &str| {
        let mut command = ourselves(LOAD_CORE, "load")?;
        command.args(["--target", &running.address, "--model", model, "--connections", connections]);
        command.arg("--keys").arg(&site.keys);
        Ok::<_, Failure>(command)
    };
    let mut other = load("hostile", "1")?;
    other.args(["--seconds", "60", "--until"]).arg(&done);
    let other: Child = other.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let other = Process::adopt("the hostile model's client", other);
    let mut command = load("chat", "8")?;
    command.args(["--seconds", &bench.pace.stream.max(SECONDS).to_string()]);
    let tally: Tally = serde_json::from_str(&output(&mut command)?)?;
    fs::write(&done, "")?;
    other.ended()?;
    running.stop()?;
    if tally.failures() > 0 || tally.ok == 0 {
        return Err(Failure::new(format!("neighbours of {way:?}: wrong replies: {:?}", tally.failed)));
    }
    Ok(tally.p99_us as f64)
}
