//! Three times as many requests as the gateway lets in: what it lets in is served as before, the rest hears so at once.
//!
//! What is full here is the limit of exchanges at one time (`server.limits.in_flight`) in front of an upstream that
//! takes a tenth of a second: the peak is the limit divided by that time, well below what two cores can do, so that the
//! client and the upstream, which share them with the gateway, are not what is measured.

use super::ask::{Lost, Order, Pool};
use super::measure::{quantile, rss_mib};
use super::mock::{Mock, Plan};
use super::{Outcome, config};
use crate::{Client, Setup};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How much, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Exchanges that the gateway lets in at one time.
    pub limit: usize,
    /// Seconds of each of the two halves.
    pub seconds: u64,
}

/// A peak of about 640 requests a second.
pub const FULL: Load = Load { limit: 64, seconds: 30 };
/// A peak of about 320 requests a second.
pub const QUICK: Load = Load { limit: 32, seconds: 8 };

/// What the upstream takes.
const UPSTREAM: Duration = Duration::from_millis(100);
/// A refusal that takes longer is not one at once.
const AT_ONCE: f64 = 50.0;
/// Growth of memory in MiB that is none.
const GROWTH: f64 = 32.0;

/// Replies a second when there are always as many requests as the gateway lets in.
async fn peak(address: SocketAddr, key: &str, load: Load, outcome: &mut Outcome) -> f64 {
    let (served, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut callers = JoinSet::new();
    for seed in 0..load.limit as u64 {
        let (key, served, stop) = (key.to_owned(), Arc::clone(&served), Arc::clone(&stop));
        callers.spawn(async move {
            let mut client = Client::connect(address).await.expect("it listens");
            while !stop.load(Ordering::Relaxed) {
                let order = Order { seed, pieces: 3, length: 0, stream: false };
                order.ask(&mut client, &key, || {}).await.map_err(|lost| super::idle::told(&lost))?;
                served.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, String>(())
        });
    }
    // Connections and pools are there.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (began, before) = (Instant::now(), served.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_secs(load.seconds)).await;
    let rate = (served.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        if let Err(why) = ended.expect("a caller") {
            outcome.broken.push(format!("in the closed loop: {why}"));
        }
    }
    rate
}

/// What became of a request that was sent at its own time, whatever the others were doing.
enum Sent {
    Served,
    Refused(f64),
    Lost(String),
}

/// Loads the gateway.
pub async fn run(load: Load) -> Outcome {
    let mut outcome = Outcome::new(format!(
        "{} exchanges at one time are let in, each takes {UPSTREAM:?} upstream; {} s in a closed loop, then {} s of three times as many requests in an open one",
        load.limit, load.seconds, load.seconds
    ));
    let upstream = Mock::start(|_| Plan { delay: UPSTREAM, ..Plan::default() }).await;
    let limits = format!("  limits: {{ in_flight: {} }}", load.limit);
    let gateway = Setup::new(config(upstream.address)).server(&limits).start().await;
    let key = gateway.key(&[]);
    let peak = peak(gateway.address, &key, load, &mut outcome).await;
    let (before, asked) = (rss_mib(gateway.pid()), upstream.requests());
    let offered = peak * 3.0;

    let pool = Pool::of(gateway.address);
    let (told, mut told_of) = mpsc::unbounded_channel();
    let (began, mut sent, mut most) = (Instant::now(), 0_usize, before);
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    while began.elapsed() < Duration::from_secs(load.seconds) {
        tick.tick().await;
        if sent.is_multiple_of(100) {
            most = most.max(rss_mib(gateway.pid()));
        }
        while (sent as f64) < began.elapsed().as_secs_f64() * offered {
            sent += 1;
            let (pool, key, told, seed) = (pool.clone(), key.clone(), told.clone(), sent as u64);
            tokio::spawn(async move {
                let due = Instant::now();
                let order = Order { seed, pieces: 3, length: 0, stream: false };
                let what = match pool.ask(&order, &key).await {
                    Ok(_) => Sent::Served,
                    Err(Lost::Refused(429 | 503, _)) => Sent::Refused(due.elapsed().as_secs_f64() * 1000.0),
                    Err(lost) => Sent::Lost(super::idle::told(&lost)),
                };
                told.send(what)
            });
        }
    }
    let took = began.elapsed().as_secs_f64();
    drop(told);
    let (mut served, mut waits, mut lost) = (0, Vec::new(), Vec::new());
    while let Some(what) = told_of.recv().await {
        match what {
            Sent::Served => served += 1,
            Sent::Refused(waited) => waits.push(waited),
            Sent::Lost(why) => lost.push(why),
        }
    }
    most = most.max(rss_mib(gateway.pid()));
    let goodput = f64::from(served) / took;
    let all = lost.len();
    lost.sort();
    lost.dedup();
    outcome.require(all == 0, format!("{all} requests were neither served nor refused: {}", lost.join("; ")));
    let refused = waits.len();
    let worst = quantile(&mut waits, 0.99);
    outcome.figure("peak/s", peak);
    outcome.figure("offered/s", sent as f64 / took);
    outcome.figure("goodput/s", goodput);
    outcome.figure("goodput % of peak", goodput / peak * 100.0);
    outcome.count("refused", refused);
    outcome.figure("refused within ms, median", quantile(&mut waits, 0.5));
    outcome.figure("refused within ms, p99", worst);
    outcome.figure("RSS MiB before", before);
    outcome.figure("RSS MiB most", most);
    outcome.require(refused > 0, "nothing was refused: it was no overload");
    let upstream_saw = upstream.requests() - asked;
    outcome.require(
        upstream_saw == served as usize,
        format!("the upstream was asked {upstream_saw} times for {served} replies: refusals cost work"),
    );
    outcome.expect(
        goodput >= peak * 0.8,
        format!("goodput fell to {:.0} % of the peak", goodput / peak * 100.0),
    );
    outcome.expect(worst <= AT_ONCE, format!("the 99th refusal of a hundred took {worst:.0} ms"));
    outcome.expect(most - before <= GROWTH, format!("memory grew by {:.0} MiB", most - before));
    outcome
}
