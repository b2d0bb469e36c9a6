//! Many streams at one time past a Wasm and a Rhai policy: every byte is compared.

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
/// Resident memory, in MiB, where a Wasm policy keeps nothing between the events of a stream: the aim of the drill.
const MOST: f64 = 150.0;
/// The same where one reads every stream: it keeps an instance for each, and each instance of `redact-pii` some 200 KiB of
/// memory that it has written to. A thousand of them took 329 MiB, so 150 cannot be asked; what is asked is that
/// it stays there.
const MOST_READ: f64 = 400.0;

const RHAI: &str = "//! name: reads-along
//! version: 1.0.0
//! hooks: [guard-response, stream]
//! reads: content
//! stream: { bytes: 64 }

fn guard_response(head, meta, reply, config) { pass() }

fn stream(state, lane, text, last, config) {
    state.read = (if \"read\" in state { state.read } else { 0 }) + text.len();
    pass()
}
";

/// Runs so many streams behind a Wasm policy that reads the request, and as many behind one that reads the reply.
pub async fn run(load: Load) -> Outcome {
    let Load { streams, seconds } = load;
    let mut outcome = Outcome::new(format!(
        "twice {streams} streams of {} pieces over {seconds} s past a Rhai script that reads them: with mask-pii.wasm, which reads their requests, and with redact-pii.wasm, which reads the streams as well",
        seconds * PER_SECOND,
    ));
    outcome.include(round(load, &MASKED).await);
    outcome.include(round(load, &REDACTED).await);
    outcome
}

/// What is behind which policy, and what its figures are called.
struct Round {
    plugin: &'static str,
    /// Calls of the plugin for each stream, at least.
    calls: f64,
    /// Most memory.
    most: f64,
    names: [&'static str; 8],
}

const MASKED: Round = Round {
    plugin: "mask-pii",
    calls: 1.0,
    most: MOST,
    names: [
        "whole",
        "bytes compared",
        "Wasm calls",
        "Rhai calls",
        "RSS MiB, idle",
        "RSS MiB, peak",
        "ms between events, median",
        "ms between events, p99",
    ],
};

const REDACTED: Round = Round {
    plugin: "redact-pii",
    // Of the request, and of the stream: without the second it would not be read.
    calls: 2.0,
    most: MOST_READ,
    names: [
        "redact-pii: whole",
        "redact-pii: bytes compared",
        "redact-pii: Wasm calls",
        "redact-pii: Rhai calls",
        "redact-pii: RSS MiB, idle",
        "redact-pii: RSS MiB, peak",
        "redact-pii: ms between events, median",
        "redact-pii: ms between events, p99",
    ],
};

async fn round(load: Load, round: &Round) -> Outcome {
    let Load { streams, seconds } = load;
    let pieces = seconds * PER_SECOND;
    let mut outcome = Outcome::default();
    let pause = Duration::from_millis(1000 / PER_SECOND as u64);
    let upstream = Mock::start(move |_| Plan { pause, piece: 24, ..Plan::default() }).await;
    let wasm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let policies = format!(
        "policies: [{{ file: reads-along.rhai }}, {{ file: {}/{}.wasm }}]\n",
        wasm.display(),
        round.plugin
    );
    let setup = Setup::new(config(upstream.address) + &policies);
    let mut gateway = setup.file("reads-along.rhai", RHAI).start().await;
    let key = gateway.key(&[]);
    // The first start compiles the plugin, and what that took stays with the allocator; the next ones find its code.
    gateway.stop().await;
    gateway.serve().await;
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
    let calls = |policy: &str| -> f64 {
        let label = format!("policy=\"{policy}\"");
        let lines = metrics.lines();
        let ours = lines.filter(|line| line.starts_with("weir_policy_calls_total") && line.contains(&label));
        ours.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    let asked = [round.plugin, "reads-along"].map(calls);
    outcome.require(
        asked[0] >= round.calls * streams as f64 && asked[1] >= streams as f64,
        format!("policies were passed by: {asked:?}"),
    );
    let compared = whole * super::ask::text(0, pieces, 24).len();
    // The mock's own pace is in the gaps.
    let gaps = [quantile(&mut gaps, 0.5), quantile(&mut gaps, 0.99)];
    let figures = [whole as f64, compared as f64, asked[0], asked[1], before, peak, gaps[0], gaps[1]];
    outcome.figures.extend(round.names.into_iter().zip(figures));
    outcome.expect(
        peak <= round.most,
        format!("with {}: {peak:.0} MiB of memory at the peak, more than {}", round.plugin, round.most),
    );
    super::idle::settled(&mut gateway, &mut outcome, streams).await;
    outcome
}
