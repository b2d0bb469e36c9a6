//! Children pinned to a core, their CPU time and their memory as the operating system says.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::failure::{Context, Failure, Result};

/// The core of the system under test.
pub const SYSTEM_CORE: usize = 0;
/// The core of the load generator and the upstream.
pub const LOAD_CORE: usize = 1;

/// A child process; it is killed when this is dropped, so that no failed run leaves a server behind.
pub struct Process {
    child: Child,
    name: String,
}

/// A signal that asks a server to stop.
#[derive(Clone, Copy)]
pub enum Stop {
    /// SIGTERM: drain, then stop.
    Drain,
    /// SIGINT: stop at once.
    Now,
}

/// A command that runs `program` on one core, with room for the sockets of a thousand streams.
pub fn pinned(core: usize, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("prlimit");
    command.arg("--nofile=16384").arg("taskset").arg("-c").arg(core.to_string()).arg(program.as_ref());
    command
}

/// This very program on one core, for one of its subcommands.
pub fn ourselves(core: usize, subcommand: &str) -> Result<Command> {
    let mut command = pinned(core, std::env::current_exe()?);
    command.arg(subcommand);
    Ok(command)
}

/// An address on which nothing listens now, and that nobody was given before: who was given one may not listen yet.
pub fn free_address() -> Result<String> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(address.port()) {
            return Ok(address.to_string());
        }
    }
}

/// Waits until something accepts on `address`.
pub fn wait_for(address: &str, process: &mut Process) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let address = address.parse().context(address)?;
    // A connection whose two ends are one socket is what a port is given that nobody listens on and that is its own.
    let listens = || {
        let stream = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(500));
        stream.is_ok_and(|stream| stream.local_addr().is_ok_and(|own| own != address))
    };
    while !listens() {
        if let Some(status) = process.child.try_wait()? {
            return Err(Failure::new(format!("{} ended at its start: {status}", process.name)));
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!("{} did not listen within 20 s", process.name)));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// CPU time that the machine's cores have spent so far on anything, stolen time included.
pub fn machine_cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().unwrap_or("");
    let fields: Vec<u64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    let busy: u64 =
        fields.iter().take(8).enumerate().filter(|(n, _)| *n != 3 && *n != 4).map(|(_, ticks)| ticks).sum();
    Ok(Duration::from_millis(busy * 1000 / TICKS_PER_SECOND))
}

/// CPU time of this process so far.
pub fn own_cpu() -> Result<Duration> {
    Ok(Duration::from_millis(cpu_ticks(std::process::id())? * 1000 / TICKS_PER_SECOND))
}

/// Runs `command` to its end and gives what it wrote to standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let what = format!("{:?}", command.get_args().collect::<Vec<_>>());
    let output = command.stdin(Stdio::null()).output().context(&what)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("{what} failed ({}): {}", output.status, said.trim())));
    }
    String::from_utf8(output.stdout).context(what)
}

impl Process {
    /// Starts a server; what it says goes to `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Process> {
        let log = File::create(log).context(log.display())?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Process { child: command.spawn().context(name)?, name: name.to_owned() })
    }

    /// Adopts a child that was started with pipes of its own.
    pub fn adopt(name: &str, child: Child) -> Process {
        Process { child, name: name.to_owned() }
    }

    /// The child, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// CPU time so far of the process, its dead threads, and its living descendants.
    pub fn cpu(&self) -> Result<Duration> {
        let ticks = family(self.child.id()).into_iter().map(cpu_ticks).sum::<Result<u64>>()?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }

    /// Resident memory now, in MiB.
    pub fn rss_mib(&self) -> Result<f64> {
        let kib = family(self.child.id()).into_iter().map(rss_kib).sum::<Result<u64>>()?;
        Ok(kib as f64 / 1024.0)
    }

    /// Waits until it ends by itself.
    pub fn ended(mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// Asks the server to stop and waits until it has; after ten seconds that is a failure.
    pub fn stop(mut self, how: Stop) -> Result<ExitStatus> {
        let signal = match how {
            Stop::Drain => "-TERM",
            Stop::Now => "-INT",
        };
        Command::new("sh").args(["-c", &format!("kill {signal} {}", self.child.id())]).status()?;
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(Failure::new(format!("{} did not stop within 10 s", self.name)));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone is fine; nothing else can be done about an error here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: u64 = 100;

/// The process and its living descendants, found by their parents: not every kernel lists children.
fn family(pid: u32) -> Vec<u32> {
    let everyone = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = everyone.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids.filter_map(|child| Some((child, parent(child)?))).collect();
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(&ancestor) = all.get(next) {
        all.extend(parents.iter().filter(|(_, parent)| *parent == ancestor).map(|(child, _)| *child));
        next += 1;
    }
    all
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// `utime + stime` of `/proc/PID/stat`, which unlike the threads' own files keeps what dead threads used.
fn cpu_ticks(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context(format!("process {pid}"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let field = |n: usize| fields.get(n).and_then(|field| field.parse::<u64>().ok());
    // Fields 14 and 15 of the file; the first after the name is field 3.
    let ticks = field(11).zip(field(12)).map(|(user, system)| user + system);
    ticks.ok_or_else(|| Failure::new(format!("/proc/{pid}/stat has no CPU time")))
}

fn rss_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context(format!("process {pid}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|word| word.parse().ok());
    kib.ok_or_else(|| Failure::new(format!("/proc/{pid}/status has no VmRSS")))
}
