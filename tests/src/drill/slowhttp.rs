//! The four attacks of `slowhttptest`, whose ways to be slow are not ours, and two hundred requests a second of others.

use super::measure::{descriptors, quantile};
use super::mock::{Mock, Plan};
use super::slowloris::{self, GONE, RATE, TIMEOUTS};
use super::{Outcome, config};
use crate::Setup;
use crate::gateway::free_address;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// What it calls each of them, and what we do.
const MODES: [(&str, &str); 4] = [
    ("-H", "s, slow headers"),
    ("-B", "s, slow bodies"),
    ("-R", "s, endless ranges"),
    ("-X", "s, slow readers with small windows"),
];
const CONNECTIONS: usize = 1000;
/// Connections that the others may have opened meanwhile.
const OTHERS: usize = 64;
/// Seconds in which all connections are opened.
const OPENING: usize = 10;

/// The tool, attacking; stopped when dropped.
struct Attack(Child);

impl Attack {
    fn start(mode: &str, address: SocketAddr) -> std::io::Result<Self> {
        let (all, rate) = (CONNECTIONS.to_string(), (CONNECTIONS / OPENING).to_string());
        let url = format!("http://{address}/v1/chat/completions");
        // Those who attack have their own machines: it takes what nobody else wants of the processor.
        let mut tool = Command::new("nice");
        tool.args([
            "-n",
            "19",
            "slowhttptest",
            mode,
            "-c",
            &all,
            "-r",
            &rate,
            "-i",
            "1",
            "-l",
            "30",
            "-p",
            "3",
        ])
        .args(["-s", "100000", "-f", "application/json", "-u", &url]);
        tool.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(Self)
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Takes connections and lets them be: what an attack on it costs the others is what the tool takes of the processor.
async fn hole() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(free_address()).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    Ok(address)
}

/// Attacks in each of the ways, with others beside it for so many seconds.
pub async fn run(seconds: u64) -> Outcome {
    let mut outcome = Outcome::new(format!(
        "slowhttptest in its four modes with {CONNECTIONS} connections each against timeouts of 10 s, {RATE} requests a second of others"
    ));
    let upstream = Mock::start(|_| Plan::default()).await;
    let mut gateway = Setup::new(config(upstream.address)).server(TIMEOUTS).start().await;
    let (key, address, pid) = (gateway.key(&[]), gateway.address, gateway.pid());
    let _ = slowloris::others(address, &key, 2).await;
    let started = hole().await.and_then(|hole| Attack::start("-H", hole));
    let elsewhere = match started {
        Ok(attack) => attack,
        Err(error) => {
            outcome.broken.push(format!("slowhttptest, a package of Debian's, cannot be run: {error}"));
            return outcome;
        }
    };
    let (mut normal, wrong) = slowloris::others(address, &key, seconds).await;
    drop(elsewhere);
    outcome.broken.extend(wrong.into_keys());
    let normal = quantile(&mut normal, 0.99);
    outcome.figure("p99 ms while somebody else is attacked", normal);
    let (mut during, mut most) = (Vec::new(), 0);
    for (mode, name) in MODES {
        let idle = descriptors(pid) + OTHERS;
        let attack = Attack::start(mode, address).expect("it ran before");
        let began = Instant::now();
        let watch = async {
            let (mut last, mut most) = (Duration::ZERO, 0);
            while began.elapsed() < Duration::from_secs(seconds) {
                let open = descriptors(pid);
                if open > idle {
                    last = began.elapsed();
                }
                most = most.max(open);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            (last.as_secs_f64(), most)
        };
        let ((took, wrong), (last, open)) = tokio::join!(slowloris::others(address, &key, seconds), watch);
        drop(attack);
        during.extend(took);
        most = most.max(open);
        outcome
            .broken
            .extend(wrong.into_iter().map(|(what, times)| format!("{mode}: {times} times: {what}")));
        outcome.figure(name, last);
        outcome.expect(last <= GONE + OPENING as f64, format!("{last:.1} {name}"));
    }
    outcome.count("open at most", most);
    outcome.expect(most > CONNECTIONS * 9 / 10, format!("only {most} descriptors were open at any time"));
    outcome.count("requests among attackers", during.len());
    let among = quantile(&mut during, 0.99);
    outcome.figure("p99 ms among attackers", among);
    outcome.expect(among <= normal * 2.0, format!("p99 rose from {normal:.2} to {among:.2} ms"));
    gateway.stop().await;
    let report = weir_ledger::check(&gateway.data()).expect("a ledger");
    outcome.require(report.is_clean() && report.pending == 0, report.to_string());
    outcome
}
