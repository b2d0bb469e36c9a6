//! Restarts under load: what has begun is finished, what is finished is settled, and only while nobody listens is
//! anybody turned away.

use super::ask::{self, Acknowledged, Lost, Order};
use super::measure::quantile;
use super::mock::{Mock, Plan};
use super::{Outcome, config};
use crate::{Client, Setup};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CALLERS: usize = 16;

/// What one caller saw.
#[derive(Default)]
struct Saw {
    acknowledged: Acknowledged,
    /// Connections that were refused, or reset before anything was sent on them.
    refused: usize,
    /// Requests that were sent on a connection that had been taken, and got no byte of a reply.
    unheard: usize,
    wrong: Vec<String>,
}

/// A connection for each request; every second reply is a stream.
async fn caller(address: SocketAddr, key: String, caller: usize, stop: Arc<AtomicBool>) -> Saw {
    let mut saw = Saw::default();
    let mut turn = caller;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let Ok(mut client) = Client::connect(address).await else {
            saw.refused += 1;
            tokio::time::sleep(Duration::from_millis(2)).await;
            continue;
        };
        let order =
            Order { seed: turn as u64, pieces: 5 + turn % 20, length: 0, stream: turn.is_multiple_of(2) };
        match order.ask(&mut client, &key, || {}).await {
            Ok(answer) => {
                saw.acknowledged.insert(answer.id, ask::charge(order.pieces));
            }
            Err(Lost::Unheard(_)) => saw.unheard += 1,
            Err(lost) => saw.wrong.push(super::idle::told(&lost)),
        }
    }
    saw
}

/// Restarts so many times.
pub async fn run(restarts: usize) -> Outcome {
    let mut outcome = Outcome::new(format!(
        "{CALLERS} callers, half of the replies streams of 50 to 250 ms; SIGTERM and a new start, {restarts} times"
    ));
    let pause = Duration::from_millis(10);
    let upstream = Mock::start(move |_| Plan { pause, ..Plan::default() }).await;
    let mut gateway = Setup::new(config(upstream.address)).start().await;
    let key = gateway.key(&[]);
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..CALLERS {
        callers.spawn(caller(gateway.address, key.clone(), number, Arc::clone(&stop)));
    }
    let mut away = Vec::new();
    for restart in 0..restarts {
        // Streams are under way at any moment; the moment moves.
        tokio::time::sleep(Duration::from_millis(100 + (restart as u64 * 37) % 100)).await;
        let began = Instant::now();
        gateway.stop().await;
        let report = weir_ledger::check(&gateway.data()).expect("a ledger");
        outcome.require(report.is_clean() && report.pending == 0, format!("restart {restart}: {report}"));
        gateway.serve().await;
        away.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.store(true, Ordering::Relaxed);
    let mut all = Saw::default();
    while let Some(saw) = callers.join_next().await {
        let saw = saw.expect("a caller");
        all.acknowledged.extend(saw.acknowledged);
        all.refused += saw.refused;
        all.unheard += saw.unheard;
        all.wrong.extend(saw.wrong);
    }
    outcome.broken.extend(all.wrong);
    outcome.broken.extend(ask::misposted(&gateway, &all.acknowledged));
    // Between a listener's end and what it had not yet taken lies a moment that no process can close alone; how long it
    // is depends on the machine.
    outcome.expect(
        all.unheard <= restarts * 2,
        format!("{} requests on open connections got no reply over {restarts} restarts", all.unheard),
    );
    gateway.stop().await;
    let report = weir_ledger::check(&gateway.data()).expect("a ledger");
    outcome.require(report.is_clean() && report.pending == 0, report.to_string());
    outcome.count("finished", all.acknowledged.len());
    outcome.count("cut", outcome.broken.len());
    outcome.count("refused connections", all.refused);
    outcome.count("unheard requests", all.unheard);
    outcome.figure("away ms (median)", quantile(&mut away, 0.5));
    outcome
}
