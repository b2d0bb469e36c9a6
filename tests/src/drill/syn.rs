//! A network that loses three of ten SYNs on the way to an upstream: callers wait longer, and that is all they notice.
//!
//! Callers, gateway and upstream are in a network namespace of their own, in which nftables drops them.

use super::ask::{Order, Pool};
use super::idle::{settled, told};
use super::measure::quantile;
use super::mock::{After, Mock, Plan};
use super::{Outcome, with_second};
use crate::Setup;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Error, Result};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const CALLERS: usize = 64;

/// Keeps a network alive whose only interface is the loopback.
struct Network(Child);

impl Network {
    /// Makes one and moves this thread into it: what it starts from now on, threads and processes too, is in there.
    fn enter() -> Result<Self> {
        let mut keeper = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up && echo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        if let Some(says) = keeper.stdout.take() {
            BufReader::new(says).read_line(&mut said)?;
        }
        let network = Self(keeper);
        if said != "up\n" {
            return Err(Error::other("unshare and ip, as root, make a network of their own"));
        }
        let file = File::open(format!("/proc/{}/ns/net", network.0.id()))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Asks nftables, in the network of this thread.
fn nft(order: &str) -> Result<String> {
    let done = Command::new("nft").arg(order).output()?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(Error::other(format!("nft {order}: {}", String::from_utf8_lossy(&done.stderr))))
}

/// From now on so many of ten SYNs to a port are lost.
fn lose(port: u16, of_ten: u8) -> Result<()> {
    nft("add table inet drill")?;
    nft("add chain inet drill in { type filter hook input priority 0; }")?;
    let syn = "tcp flags & (syn | ack) == syn";
    nft(&format!(
        "add rule inet drill in tcp dport {port} {syn} numgen random mod 10 < {of_ten} counter drop"
    ))
    .map(drop)
}

/// How many were lost.
fn lost() -> Result<usize> {
    let rules = nft("list chain inet drill in")?;
    let mut words = rules.split_whitespace().skip_while(|word| *word != "packets").skip(1);
    words.next().and_then(|count| count.parse().ok()).ok_or_else(|| Error::other(rules.clone()))
}

/// Sends so many requests, each on a connection of its own to the upstream.
pub async fn run(requests: usize) -> Outcome {
    // A thread that moved stays where it went, so it is one that ends with the drill.
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let did = format!(
            "{requests} requests by {CALLERS} callers, each on its own connection to an upstream, on the way to which 3 of 10 SYNs are lost"
        );
        let mut outcome = Outcome::new(did);
        if let Err(error) = within(requests, &mut outcome) {
            outcome.broken.push(error.to_string());
        }
        tell.send(outcome)
    });
    told.await.unwrap_or_else(|_| {
        let mut outcome = Outcome::new("requests on a network that loses SYNs");
        outcome.broken.push("it did not come to an end".to_owned());
        outcome
    })
}

fn within(requests: usize, outcome: &mut Outcome) -> Result<()> {
    let _network = Network::enter()?;
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    threads.block_on(ask(requests, outcome))
}

async fn ask(requests: usize, outcome: &mut Outcome) -> Result<()> {
    let one = Mock::start(|_| Plan { after: After::Close, ..Plan::default() }).await;
    let two = Mock::start(|_| Plan::default()).await;
    lose(one.address.port(), 3)?;
    let mut gateway = Setup::new(with_second(one.address, two.address)).start().await;
    let (key, pool) = (gateway.key(&[]), Pool::of(gateway.address));
    let next = Arc::new(AtomicUsize::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let (pool, key, next) = (pool.clone(), key.clone(), Arc::clone(&next));
        callers.spawn(async move {
            let (mut took, mut wrong) = (Vec::new(), BTreeMap::<String, usize>::new());
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= requests {
                    return (took, wrong);
                }
                let order =
                    Order { seed: index as u64, pieces: 1 + index % 5, length: 0, stream: index % 2 == 0 };
                match pool.ask(&order, &key).await {
                    Ok(answer) => {
                        took.push(answer.took.as_secs_f64());
                        if !matches!(answer.attempts.as_str(), "1" | "2") {
                            *wrong.entry(format!("{} attempts", answer.attempts)).or_default() += 1;
                        }
                    }
                    Err(lost) => *wrong.entry(told(&lost)).or_default() += 1,
                }
            }
        });
    }
    let mut took = Vec::with_capacity(requests);
    while let Some(done) = callers.join_next().await {
        let (own, wrong) = done.map_err(Error::other)?;
        took.extend(own);
        outcome.broken.extend(wrong.into_iter().map(|(what, times)| format!("{times} times: {what}")));
    }
    let lost = lost()?;
    outcome.require(lost > requests / 5, format!("only {lost} SYNs were lost"));
    let (first, second) = (one.requests(), two.requests());
    outcome.require(
        first + second == requests,
        format!("the upstreams were asked {first} and {second} times for {requests} requests"),
    );
    outcome.count("requests", requests);
    outcome.count("SYNs lost", lost);
    outcome.count("fallbacks", second);
    outcome.figure("s, half of them", quantile(&mut took, 0.5));
    outcome.figure("s, nine of ten", quantile(&mut took, 0.9));
    // The kernel sends a SYN anew each second, an attempt has 5 s for its connection, and there are two at most.
    let last = quantile(&mut took, 1.0);
    outcome.figure("s, the last", last);
    outcome.expect(last < 11.0, format!("one took {last:.1} s"));
    settled(&mut gateway, outcome, requests).await;
    Ok(())
}
