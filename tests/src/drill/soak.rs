//! Load for long, with callers that leave and versions that change: nothing fails, and nothing grows.

use super::ask::{Lost, Order};
use super::measure::{descriptors, rss_mib, slope};
use super::mock::{Mock, Plan};
use super::{Outcome, config};
use crate::{Gateway, Setup};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long, and how much of it is asked to be flat.
#[derive(Debug, Clone, Copy)]
pub struct Length {
    /// Seconds of load.
    pub seconds: u64,
    /// Seconds at its beginning that do not count: caches fill, pools grow.
    pub warm_up: u64,
    /// Seconds between two reloads.
    pub reload: u64,
    /// Whether the slope is judged: of a minute it says nothing.
    pub judged: bool,
}

/// Half an hour.
pub const FULL: Length = Length { seconds: 1800, warm_up: 600, reload: 5, judged: true };
/// A minute.
pub const QUICK: Length = Length { seconds: 60, warm_up: 20, reload: 5, judged: false };

const CALLERS: usize = 8;
/// Between two requests of a caller: the drill is about length, not about peak load.
const BREATH: Duration = Duration::from_millis(5);
/// MiB in ten minutes.
const STEEPEST: f64 = 1.0;

/// A script that has something to read and to decide, in a new version each time.
fn script(version: usize) -> String {
    format!(
        "//! name: soaked
//! version: 1.0.{version}
//! hooks: [guard, guard-response, stream]
//! reads: content

fn guard(request, config) {{ pass() }}

fn guard_response(head, meta, reply, config) {{ pass() }}

fn stream(state, lane, text, last, config) {{
    state.read = (if \"read\" in state {{ state.read }} else {{ 0 }}) + text.len();
    pass()
}}
"
    )
}

fn setup(upstream: std::net::SocketAddr, version: usize) -> Setup {
    Setup::new(config(upstream) + &format!("policies: [{{ file: soaked-{}.rhai }}]\n", version % 2))
}

#[derive(Default)]
struct Tally {
    whole: AtomicUsize,
    aborted: AtomicUsize,
}

/// One request after another; one in ten is left in the middle.
async fn caller(
    gateway: Arc<Gateway>,
    key: String,
    caller: usize,
    stop: Arc<AtomicBool>,
    tally: Arc<Tally>,
) -> BTreeMap<String, usize> {
    let mut wrong = BTreeMap::new();
    let mut client = gateway.client().await;
    let mut turn = caller;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        tokio::time::sleep(BREATH).await;
        let order =
            Order { seed: turn as u64, pieces: 10 + turn % 30, length: 24, stream: !turn.is_multiple_of(4) };
        if turn.is_multiple_of(10) {
            client.chat(&key, &order.body(), &[]).await.expect("the connection stands");
            if order.stream && turn.is_multiple_of(20) {
                let _ = (client.head().await, client.event().await);
            }
            client = gateway.client().await;
            tally.aborted.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        match order.ask(&mut client, &key, || {}).await {
            Ok(_) => {
                tally.whole.fetch_add(1, Ordering::Relaxed);
            }
            Err(lost) => {
                if !matches!(lost, Lost::Refused(..)) {
                    client = gateway.client().await;
                }
                *wrong.entry(super::idle::told(&lost)).or_default() += 1;
            }
        }
    }
    wrong
}

/// Puts the gateway under load for so long.
pub async fn run(length: Length) -> Outcome {
    let Length { seconds, warm_up, reload, judged } = length;
    let mut outcome = Outcome::new(format!(
        "{CALLERS} callers for {seconds} s, 10 % leave in the middle, a new config and a new policy each {reload} s"
    ));
    let pause = Duration::from_millis(1);
    let upstream = Mock::start(move |_| Plan { pause, piece: 24, ..Plan::default() }).await;
    let mut setup_now = setup(upstream.address, 0);
    for file in 0..2 {
        setup_now = setup_now.file(&format!("soaked-{file}.rhai"), script(file));
    }
    let gateway = Arc::new(setup_now.start().await);
    let key = gateway.key(&[]);
    let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..CALLERS {
        let (gateway, stop, tally) = (Arc::clone(&gateway), Arc::clone(&stop), Arc::clone(&tally));
        callers.spawn(caller(gateway, key.clone(), number * 3, stop, tally));
    }
    let (began, mut reloads) = (Instant::now(), 0);
    let mut memory = Vec::new();
    let mut open = Vec::new();
    while began.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = began.elapsed().as_secs_f64();
        if now >= ((reloads + 1) * reload as usize) as f64 {
            reloads += 1;
            let name = format!("soaked-{}.rhai", reloads % 2);
            std::fs::write(gateway.folder().join(name), script(reloads)).expect("a script");
            gateway.write_config(&setup(upstream.address, reloads));
            let (gateway, wanted) = (Arc::clone(&gateway), reloads);
            let done = tokio::task::spawn_blocking(move || gateway.run(&["reload"])).await.expect("a thread");
            outcome.require(
                done.status.success(),
                format!("reload {wanted}: {}", String::from_utf8_lossy(&done.stderr)),
            );
        }
        if now >= warm_up as f64 {
            memory.push((now / 600.0, rss_mib(gateway.pid())));
            open.push(descriptors(gateway.pid()));
        }
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(wrong) = callers.join_next().await {
        let wrong = wrong.expect("a caller").into_iter();
        outcome.broken.extend(wrong.map(|(what, times)| format!("{times} times: {what}")));
    }
    let (whole, aborted) = (tally.whole.load(Ordering::Relaxed), tally.aborted.load(Ordering::Relaxed));
    outcome.count("replies", whole);
    outcome.count("aborts", aborted);
    outcome.count("reloads", reloads);
    let steep = slope(&memory);
    let middle = open.len() / 2;
    let most = |of: &[usize]| of.iter().copied().max().unwrap_or_default();
    let (first, second) = (most(&open[..middle]), most(&open[middle..]));
    outcome.figure("RSS MiB", memory.last().map_or(0.0, |point| point.1));
    outcome.figure("RSS slope MiB/10 min", steep);
    outcome.count("descriptors, first half", first);
    outcome.count("descriptors, second half", second);
    outcome.expect(!judged || steep < STEEPEST, format!("memory grows by {steep:.2} MiB in ten minutes"));
    outcome.expect(second <= first + CALLERS, format!("descriptors grow from {first} to {second}"));
    let Some(mut gateway) = Arc::into_inner(gateway) else {
        outcome.broken.push("a caller goes on".to_owned());
        return outcome;
    };
    gateway.stop().await;
    let report = weir_ledger::check(&gateway.data()).expect("a ledger");
    outcome.require(report.is_clean() && report.pending == 0, report.to_string());
    // Who left before its request was read as a whole has no posting.
    let postings = report.postings as usize;
    outcome.require((whole..=whole + aborted).contains(&postings), format!("{postings} postings"));
    outcome
}
