//! Many streams at one time, with a Wasm and a Rhai policy reading each: every byte is compared.

use super::ask::Order;
use super::measure::{quantile, rss_mib};
use super::mock::{Mock, Plan};
use super::{Outcome, config};
use crate::{Client, Setup};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How many, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Streams at one time.
    pub streams: usize,
    /// Seconds that each takes, at twenty pieces a second.
    pub seconds: usize,
}

/// A thousand for a minute.
pub const FULL: Load = Load { streams: 1000, seconds: 60 };
/// Two hundred for five seconds.
pub const QUICK: Load = Load { streams: 200, seconds: 5 };

const PER_SECOND: usize = 20;
/// Resident memory, in MiB.
const MOST: f64 = 150.0;

const RHAI: &str = "//! name: reads-along
//! version: 1.0.0
//! hooks: [guard-response, stream]
//! reads: content
//! stream: { bytes: 64 }

fn guard_response(head, request, reply, config) { pass() }

fn stream(state, lane, text, last, config) {
    state.read = (if \"read\" in state { state.read } else { 0 }) + text.len();
    pass()
}
";

/// Runs so many streams.
pub async fn run(load: Load) -> Outcome {
    let Load { streams, seconds } = load;
    let pieces = seconds * PER_SECOND;
    let mut outcome = Outcome::new(format!(
        "{streams} streams of {pieces} pieces over {seconds} s, each read by redact-pii.wasm and a Rhai script"
    ));
    let pause = Duration::from_millis(1000 / PER_SECOND as u64);
    let upstream = Mock::start(move |_| Plan { pause, piece: 24, ..Plan::default() }).await;
    let wasm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/redact-pii.wasm");
    let policies = format!("policies: [{{ file: reads-along.rhai }}, {{ file: {} }}]\n", wasm.display());
    let setup = Setup::new(config(upstream.address) + &policies);
    let mut gateway = setup.file("reads-along.rhai", RHAI).start().await;
    let key = gateway.key(&[]);
    let before = rss_mib(gateway.pid());
    let mut callers = JoinSet::new();
    for seed in 0..streams as u64 {
        let (address, key) = (gateway.address, key.clone());
        callers.spawn(async move {
            // As many connections at once as a backlog takes.
            tokio::time::sleep(Duration::from_millis(seed)).await;
            let mut client = Client::connect(address).await.map_err(|error| error.to_string())?;
            let mut gaps = Vec::with_capacity(pieces);
            let mut last = None;
            let heard = || {
                let now = Instant::now();
                if let Some(last) = last.replace(now) {
                    gaps.push(now.duration_since(last).as_secs_f64() * 1000.0);
                }
            };
            let order = Order { seed, pieces, length: 24, stream: true };
            let answer = order.ask(&mut client, &key, heard).await;
            answer.map(|_| gaps).map_err(|lost| super::idle::told(&lost))
        });
    }
    let (mut gaps, mut whole, mut peak) = (Vec::new(), 0, before);
    let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
    let mut look = tokio::time::interval(Duration::from_millis(250));
    loop {
        tokio::select! {
            ended = callers.join_next() => match ended {
                None => break,
                Some(ended) => match ended.expect("a caller") {
                    Ok(found) => {
                        whole += 1;
                        gaps.extend(found);
                    }
                    Err(why) => *wrong.entry(why).or_default() += 1,
                },
            },
            _ = look.tick() => peak = peak.max(rss_mib(gateway.pid())),
        }
    }
    outcome.broken.extend(wrong.into_iter().take(10).map(|(why, times)| format!("{times} times: {why}")));
    let metrics = gateway.get_admin("/metrics").await.text();
    for policy in ["redact-pii", "reads-along"] {
        let asked = metrics.lines().filter(|line| {
            line.starts_with("weir_policy_calls_total") && line.contains(&format!("policy=\"{policy}\""))
        });
        let asked: f64 = asked.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        outcome.require(asked >= streams as f64, format!("{policy} was asked {asked} times only"));
        outcome.figure(if policy == "redact-pii" { "Wasm calls" } else { "Rhai calls" }, asked);
    }
    outcome.count("whole", whole);
    outcome.count("bytes compared", whole * super::ask::text(0, pieces, 24).len());
    outcome.figure("RSS MiB, idle", before);
    outcome.figure("RSS MiB, peak", peak);
    // The mock's own pace is in it.
    outcome.figure("ms between events, median", quantile(&mut gaps, 0.5));
    outcome.figure("ms between events, p99", quantile(&mut gaps, 0.99));
    outcome.expect(peak <= MOST, format!("{peak:.0} MiB of memory at the peak"));
    super::idle::settled(&mut gateway, &mut outcome, streams).await;
    outcome
}
