//! A thousand callers that are slow on purpose, in four ways, and two hundred requests a second of others meanwhile.

use super::ask::{Order, Pool};
use super::measure::quantile;
use super::mock::{Mock, Plan};
use super::{Outcome, config};
use crate::Setup;
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The ways to be slow, and how many do so.
const WAYS: [(Way, usize); 3] = [(Way::Header, 350), (Way::Body, 300), (Way::Idle, 300)];
/// And those that do not read what they asked for.
const UNREAD: usize = 50;
/// Of the others.
const RATE: f64 = 200.0;
/// Seconds without attackers, to know what is normal.
const BASELINE: u64 = 8;
/// Seconds in which they must be gone.
const GONE: f64 = 15.0;
/// The gateway's timeouts in this drill.
const TIMEOUTS: &str = "  timeouts: { header: 10s, body: 10s, write: 10s }";
/// Pieces of 64 KiB that a slow reader asks for: more than any socket buffer takes.
const LONG: usize = 256;

/// How an attacker is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
async fn others(address: SocketAddr, key: &str, seconds: u64) -> (Vec<f64>, BTreeMap<String, usize>) {
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

/// Attacks in so many rounds.
pub async fn run(rounds: usize) -> Outcome {
    let all = UNREAD + WAYS.iter().map(|(_, many)| many).sum::<usize>();
    let mut outcome = Outcome::new(format!(
        "{rounds} rounds of {all} attackers (350 slow headers, 300 slow bodies, 50 unread replies of 16 MiB, 300 idle) against timeouts of 10 s, {RATE} requests a second of others"
    ));
    let upstream = Mock::start(|_| Plan { piece: 0, ..Plan::default() }).await;
    // In pieces that come one by one, so that what stands still is the reader and not the processor.
    let pause = Duration::from_millis(50);
    let long = Mock::start(move |_| Plan { piece: 64 << 10, pause, ..Plan::default() }).await;
    let models = format!(
        "  long: {{ base_url: 'http://{}/v1', keys: [sk-two] }}\nmodels:\n  long: {{ targets: [{{ target: long/m, max_output: 100000 }}] }}",
        long.address
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
    let (mut during, mut held, mut unread_most) = (Vec::new(), BTreeMap::<Way, f64>::new(), 0.0_f64);
    for _ in 0..rounds {
        let mut attackers = JoinSet::new();
        let mut number = 0;
        for (way, many) in WAYS {
            for _ in 0..many {
                number += 1;
                let (address, key) = (gateway.address, key.clone());
                attackers.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(number * 2)).await;
                    (way, attack(way, address, key).await)
                });
            }
        }
        let readers = tokio::spawn(unread(gateway.address, key.clone(), UNREAD));
        let (took, wrong) = others(gateway.address, &key, 20).await;
        during.extend(took);
        outcome
            .broken
            .extend(wrong.into_iter().map(|(what, times)| format!("among attackers, {times} times: {what}")));
        while let Some(done) = attackers.join_next().await {
            let (way, lasted) = done.expect("an attacker");
            let most = held.entry(way).or_default();
            *most = most.max(lasted.unwrap_or_default());
        }
        unread_most = unread_most.max(readers.await.expect("they attack").expect("they connect"));
    }
    outcome.count("requests among attackers", during.len());
    outcome.figure("p99 ms among attackers", quantile(&mut during, 0.99));
    let among = quantile(&mut during, 0.99);
    outcome.expect(among <= normal * 2.0, format!("p99 rose from {normal:.2} to {among:.2} ms"));
    for (way, most) in held {
        let name = match way {
            Way::Header => "s, slow headers",
            Way::Body => "s, slow bodies",
            Way::Idle => "s, idle",
        };
        outcome.figure(name, most);
        outcome.expect(most <= GONE, format!("{way:?}: an attacker lasted {most:.1} s"));
    }
    outcome.figure("s, unread replies", unread_most);
    outcome.expect(unread_most <= GONE, format!("an unread reply was held for {unread_most:.1} s"));
    gateway.stop().await;
    let report = weir_ledger::check(&gateway.data()).expect("a ledger");
    outcome.require(report.is_clean() && report.pending == 0, report.to_string());
    outcome
}
