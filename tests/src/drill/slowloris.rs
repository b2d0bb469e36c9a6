//! A thousand callers that are slow on purpose, in four ways, and two hundred requests a second of others meanwhile.

use super::ask::{Order, Pool};
use super::measure::quantile;
use super::mock::{Mock, Plan};
use super::{Outcome, config};
use crate::Setup;
use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The ways to be slow, and how many do so.
const WAYS: [(Way, usize); 3] = [(Way::Header, 350), (Way::Body, 300), (Way::Idle, 300)];
/// And those that do not read what they asked for.
const UNREAD: usize = 50;
/// What is said of each way, and of those.
const NAMES: [&str; 4] = ["s, slow headers", "s, slow bodies", "s, idle", "s, unread replies"];
/// Of the others.
pub(super) const RATE: f64 = 200.0;
/// Seconds without attackers, to know what is normal.
const BASELINE: u64 = 8;
/// Seconds in which they must be gone.
pub(super) const GONE: f64 = 15.0;
/// The gateway's timeouts in this drill.
pub(super) const TIMEOUTS: &str = "  timeouts: { header: 10s, body: 10s, write: 10s }";
/// Pieces of 64 KiB that a slow reader asks for: more than any socket buffer takes.
const LONG: usize = 256;

/// How an attacker is slow.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// A header line now and then, never the last.
    Header,
    /// A byte of the body now and then.
    Body,
    /// One request, then nothing.
    Idle,
}

/// Attacks once; how long it could, in seconds.
async fn attack(way: Way, address: SocketAddr, key: String) -> std::io::Result<f64> {
    let mut stream = TcpStream::connect(address).await?;
    let began = Instant::now();
    match way {
        Way::Header => {
            stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nHost: weir.test\r\n").await?;
            drip(&mut stream, |n| format!("X-Slow-{n}: 1\r\n")).await;
        }
        Way::Body => {
            stream.write_all((head(&key, 100_000) + "{\"model\": \"").as_bytes()).await?;
            drip(&mut stream, |_| "a".to_owned()).await;
        }
        Way::Idle => {
            let body = Order { seed: 1, pieces: 1, length: 0, stream: false }.body().to_string();
            stream.write_all((head(&key, body.len()) + &body).as_bytes()).await?;
            let mut some = [0; 4096];
            while stream.read(&mut some).await.is_ok_and(|got| got > 0) {}
        }
    }
    Ok(began.elapsed().as_secs_f64())
}

/// Sends a little each second until the other side has closed.
async fn drip(stream: &mut TcpStream, next: impl Fn(usize) -> String) {
    let mut some = [0; 4096];
    for n in 0.. {
        tokio::select! {
            // A refusal may come before the end.
            got = stream.read(&mut some) => if !got.is_ok_and(|got| got > 0) { return },
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                if stream.write_all(next(n).as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Asks for long replies and reads none of them; how long the last of these connections was held.
async fn unread(address: SocketAddr, key: String, many: usize) -> std::io::Result<f64> {
    let order = Order { seed: 1, pieces: LONG, length: 64 << 10, stream: true };
    let mut body = order.body();
    body["model"] = "long".into();
    let body = body.to_string();
    let mut held = Vec::new();
    for _ in 0..many {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let mut stream = socket.connect(address).await?;
        stream.write_all((head(&key, body.len()) + &body).as_bytes()).await?;
        held.push((stream, Instant::now()));
        tokio::time::sleep(Duration::from_millis(6)).await;
    }
    let mut most = 0.0_f64;
    while !held.is_empty() && most < 60.0 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let theirs = established(address);
        // What was sent fills the window, so the end of it can only be seen from the other side.
        held.retain(|(stream, _)| stream.local_addr().is_ok_and(|own| theirs.contains(&hex(own))));
        most = held.iter().fold(most, |most, (_, began)| most.max(began.elapsed().as_secs_f64()));
    }
    Ok(most)
}

/// The other ends of the connections that the process at an address has open, as the kernel writes them.
fn established(address: SocketAddr) -> HashSet<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let local = hex(address);
    let remote = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Local, remote, state; 01 is ESTABLISHED.
        (words.get(1) == Some(&local.as_str()) && words.get(3) == Some(&"01")).then(|| words[2].to_owned())
    };
    table.lines().filter_map(remote).collect()
}

fn hex(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { return String::new() };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}

fn head(key: &str, length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: weir.test\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Sends requests at their own times; how long each took in milliseconds, and what was wrong.
pub(super) async fn others(
    address: SocketAddr,
    key: &str,
    seconds: u64,
) -> (Vec<f64>, BTreeMap<String, usize>) {
    let pool = Pool::of(address);
    let (told, mut told_of) = mpsc::unbounded_channel();
    let (began, mut sent) = (Instant::now(), 0_usize);
    let mut tick = tokio::time::interval(Duration::from_micros(2500));
    while began.elapsed() < Duration::from_secs(seconds) {
        tick.tick().await;
        while (sent as f64) < began.elapsed().as_secs_f64() * RATE {
            sent += 1;
            let (pool, key, told, seed) = (pool.clone(), key.to_owned(), told.clone(), sent as u64);
            tokio::spawn(async move {
                let due = Instant::now();
                let order = Order { seed, pieces: 5, length: 0, stream: seed.is_multiple_of(2) };
                let done = pool.ask(&order, &key).await.map_err(|lost| super::idle::told(&lost));
                told.send(done.map(|_| due.elapsed().as_secs_f64() * 1000.0))
            });
        }
    }
    drop(told);
    let (mut took, mut wrong) = (Vec::new(), BTreeMap::new());
    while let Some(done) = told_of.recv().await {
        match done {
            Ok(ms) => took.push(ms),
            Err(why) => *wrong.entry(why).or_default() += 1,
        }
    }
    (took, wrong)
}

/// The first argument of the process that attacks. Those who attack a gateway have their own machines: what this process
/// takes of the processor is what nobody else wants.
pub const ATTACKERS: &str = "slow-callers";

/// That process: it says where its slow provider listens, then attacks for each line `ADDRESS KEY` that it reads, and says
/// how long each of the ways lasted in seconds.
pub async fn attackers() -> std::io::Result<()> {
    // In pieces that come one by one, so that what stands still is the reader and not the processor.
    let pause = Duration::from_millis(50);
    let long = Mock::start(move |_| Plan { piece: 64 << 10, pause, ..Plan::default() }).await;
    writeln!(std::io::stdout(), "{}", long.address)?;
    loop {
        let line = tokio::task::spawn_blocking(|| std::io::stdin().lines().next().transpose());
        let Some(line) = line.await.map_err(std::io::Error::other)?? else { return Ok(()) };
        let Some((address, key)) = line.split_once(' ') else { continue };
        let Ok(address) = address.parse() else { continue };
        writeln!(std::io::stdout(), "{}", serde_json::json!(round(address, key).await))?;
    }
}

/// All attack once: how long the slowest of each way lasted, in the order of [`NAMES`].
async fn round(address: SocketAddr, key: &str) -> [f64; 4] {
    let mut attackers = JoinSet::new();
    let mut number = 0;
    for (index, (way, many)) in WAYS.into_iter().enumerate() {
        for _ in 0..many {
            number += 1;
            let key = key.to_owned();
            attackers.spawn(async move {
                tokio::time::sleep(Duration::from_millis(number * 2)).await;
                (index, attack(way, address, key).await)
            });
        }
    }
    let readers = tokio::spawn(unread(address, key.to_owned(), UNREAD));
    let mut most = [0.0_f64; 4];
    while let Some(done) = attackers.join_next().await {
        let (index, lasted) = done.expect("an attacker");
        most[index] = most[index].max(lasted.unwrap_or_default());
    }
    most[WAYS.len()] = readers.await.expect("they attack").expect("they connect");
    most
}

/// The process of those who attack.
struct Attackers {
    process: Child,
    orders: ChildStdin,
    says: Lines<BufReader<ChildStdout>>,
}

impl Attackers {
    /// And where their slow provider listens.
    fn start() -> std::io::Result<(Self, String)> {
        let mut process = Command::new("nice")
            .args(["-n", "19"])
            .arg(std::env::current_exe()?)
            .arg(ATTACKERS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(orders), Some(says)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(std::io::Error::other("no pipes"));
        };
        let mut this = Self { process, orders, says: BufReader::new(says).lines() };
        let address = this.line()?;
        Ok((this, address))
    }

    fn order(&mut self, address: SocketAddr, key: &str) -> std::io::Result<()> {
        writeln!(self.orders, "{address} {key}")
    }

    /// Waits on this thread, on which nobody else waits by then.
    fn lasted(&mut self) -> std::io::Result<[f64; 4]> {
        Ok(serde_json::from_str(&self.line()?)?)
    }

    fn line(&mut self) -> std::io::Result<String> {
        Ok(self.says.next().transpose()?.unwrap_or_default())
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// Attacks in so many rounds.
pub async fn run(rounds: usize) -> Outcome {
    let all = UNREAD + WAYS.iter().map(|(_, many)| many).sum::<usize>();
    let mut outcome = Outcome::new(format!(
        "{rounds} rounds of {all} attackers in a process of their own (350 slow headers, 300 slow bodies, 50 unread replies of 16 MiB, 300 idle) against timeouts of 10 s, {RATE} requests a second of others"
    ));
    let upstream = Mock::start(|_| Plan { piece: 0, ..Plan::default() }).await;
    let (mut attackers, long) = Attackers::start().expect("a process");
    let models = format!(
        "  long: {{ base_url: 'http://{long}/v1', keys: [sk-two] }}\nmodels:\n  long: {{ targets: [{{ target: long/m, max_output: 100000 }}] }}"
    );
    let config = config(upstream.address).replace("models:", &models);
    let mut gateway = Setup::new(config).server(TIMEOUTS).start().await;
    let key = gateway.key(&[]);
    let _ = others(gateway.address, &key, 2).await;
    let (mut normal, wrong) = others(gateway.address, &key, BASELINE).await;
    outcome
        .broken
        .extend(wrong.into_iter().map(|(what, times)| format!("without attackers, {times} times: {what}")));
    let normal = quantile(&mut normal, 0.99);
    outcome.figure("p99 ms without", normal);
    let (mut during, mut held) = (Vec::new(), [0.0_f64; 4]);
    for _ in 0..rounds {
        attackers.order(gateway.address, &key).expect("they listen");
        let (took, wrong) = others(gateway.address, &key, 20).await;
        during.extend(took);
        outcome
            .broken
            .extend(wrong.into_iter().map(|(what, times)| format!("among attackers, {times} times: {what}")));
        let lasted = attackers.lasted().expect("they say");
        held.iter_mut().zip(lasted).for_each(|(most, lasted)| *most = most.max(lasted));
    }
    outcome.count("requests among attackers", during.len());
    let among = quantile(&mut during, 0.99);
    outcome.figure("p99 ms among attackers", among);
    outcome.expect(among <= normal * 2.0, format!("p99 rose from {normal:.2} to {among:.2} ms"));
    for (name, most) in NAMES.into_iter().zip(held) {
        outcome.figure(name, most);
        outcome.expect(most <= GONE, format!("{most:.1} {name}"));
    }
    gateway.stop().await;
    let report = weir_ledger::check(&gateway.data()).expect("a ledger");
    outcome.require(report.is_clean() && report.pending == 0, report.to_string());
    outcome
}
