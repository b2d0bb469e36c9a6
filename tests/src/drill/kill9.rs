//! `kill -9` at any moment: what was acknowledged is posted once and rightly, and the ledger holds together.

use super::ask::{self, Acknowledged};
use super::mock::{Mock, Plan};
use super::{Outcome, config};
use crate::{Client, Gateway, Setup, until};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Callers at one time.
const CALLERS: usize = 12;

/// What callers saw end, shared between them.
type Seen = Arc<Mutex<Acknowledged>>;

/// Calls one after another until the gateway is gone.
async fn call(address: SocketAddr, key: String, caller: usize, seen: Seen) -> std::io::Result<()> {
    let mut client = Client::connect(address).await?;
    for turn in 0.. {
        let order = ask::Order {
            seed: caller as u64,
            pieces: 1 + (caller * 31 + turn * 7) % 50,
            length: 0,
            stream: (caller + turn).is_multiple_of(2),
        };
        client.chat(&key, &order.body(), &[]).await?;
        let head = client.head().await?;
        assert_eq!(head.status, 200, "{head:?}");
        // A stream is acknowledged with its last event, though the end of the body may still be lost.
        if order.stream {
            let mut last = None;
            while let Some(event) = client.event().await? {
                let done = event == "[DONE]";
                last = Some(event);
                if done {
                    break;
                }
            }
            assert_eq!(last.as_deref(), Some("[DONE]"));
        } else {
            client.rest().await?;
        }
        let again = lock(&seen).insert(head.id().to_owned(), ask::charge(order.pieces));
        assert_eq!(again, None, "an id is used once");
        if order.stream {
            client.rest().await?;
        }
    }
    Ok(())
}

fn lock(seen: &Seen) -> std::sync::MutexGuard<'_, Acknowledged> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills so many times.
pub async fn run(kills: usize) -> Outcome {
    let mut outcome = Outcome::new(format!(
        "{CALLERS} callers, half of them with a hard budget, half of the replies streams; kill -9 at random moments, {kills} times"
    ));
    let upstream = Mock::start(|_| Plan::default()).await;
    let mut gateway = Setup::new(config(upstream.address)).start().await;
    let keys = [gateway.key(&[]), gateway.key(&["--budget", "1000000"])];
    let seen = Seen::default();
    let random = RandomState::new();
    for kill in 0..kills {
        let before = lock(&seen).len();
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            callers.spawn(call(gateway.address, keys[caller % 2].clone(), caller, Arc::clone(&seen)));
        }
        // The moment is random: after so many replies, and then some microseconds.
        let moment = random.hash_one(kill);
        let replies = before + (moment % 60) as usize;
        until("replies under load", || (lock(&seen).len() > replies).then_some(())).await;
        tokio::time::sleep(Duration::from_micros(moment >> 8 & 0x1fff)).await;
        gateway.kill();
        while let Some(ended) = callers.join_next().await {
            if let Err(panic) = ended {
                outcome.broken.push(format!("a caller saw something wrong before kill {kill}: {panic}"));
            }
        }
        gateway.serve().await;
        outcome.broken.extend(ask::misposted(&gateway, &lock(&seen)));
        check(&gateway, &mut outcome, &format!("after kill {kill}"));
        if !outcome.broken.is_empty() {
            return outcome;
        }
    }
    let lost = ask::misposted(&gateway, &lock(&seen));
    outcome.count("lost", lost.len());
    outcome.broken.extend(lost);
    gateway.stop().await;
    // Holds of exchanges that were cut down with the process stay spent until they time out.
    let report = check(&gateway, &mut outcome, "at the end");
    outcome.require(report.pending as usize <= kills * CALLERS, format!("too many holds are left: {report}"));
    outcome.count("acknowledged", lock(&seen).len());
    outcome.count("postings", report.postings as usize);
    outcome.count("holds left", report.pending as usize);
    outcome
}

fn check(gateway: &Gateway, outcome: &mut Outcome, when: &str) -> weir_ledger::Report {
    let report = weir_ledger::check(&gateway.data()).expect("a ledger");
    outcome.require(report.is_clean(), format!("{when}: {report}"));
    report
}
