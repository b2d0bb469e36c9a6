//! Resident memory: after a start and one reply, and with a thousand streams open.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use crate::failure::{Context, Failure, Result};
use crate::process::{LOAD_CORE, Process, ourselves};
use crate::round::Bench;
use crate::startup;
use crate::system::{Running, System};
use crate::wire;

/// Streams open at once.
pub const STREAMS: usize = 1000;

/// MiB idle, and MiB with [`STREAMS`] streams open.
pub fn measure(bench: &Bench, system: &System) -> Result<(f64, f64)> {
    let running = system.start(&bench.upstream, &bench.work)?;
    let key = first_key(bench, system)?;
    startup::wait_for_reply(&running.address, &key)?;
    let idle = running.process.rss_mib()?;
    let streams =
        hold(bench, &running, &key).context(format!("{STREAMS} streams through {}", system.name()))?;
    running.stop()?;
    Ok((idle, streams))
}

/// The first of the keys that clients of this system send.
pub fn first_key(bench: &Bench, system: &System) -> Result<String> {
    let file = match system {
        System::Weir(site) => &site.keys,
        System::Nginx | System::Passthrough => &bench.any_keys,
    };
    let keys = fs::read_to_string(file).context(file.display())?;
    keys.lines().next().map(str::to_owned).ok_or_else(|| Failure::new("no keys"))
}

fn hold(bench: &Bench, running: &Running, key: &str) -> Result<f64> {
    let mut command = ourselves(LOAD_CORE, "hold")?;
    command.args(["--target", &running.address, "--key", key, "--count", &STREAMS.to_string()]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut holder = Process::adopt("hold", child);
    let (stdin, stdout) = (holder.child().stdin.take(), holder.child().stdout.take());
    let (mut stdin, stdout) = stdin.zip(stdout).ok_or_else(|| Failure::new("no pipes"))?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    if line.trim() != "held" {
        return Err(Failure::new("not all streams opened (the reason is above)"));
    }
    let rss = running.process.rss_mib()?;
    wire::ask(&bench.upstream, "POST", "/release", None)?;
    stdin.write_all(b"\n")?;
    let status = holder.child().wait()?;
    if status.success() { Ok(rss) } else { Err(Failure::new("not all streams reached their end")) }
}
