//! An upstream that closes idle connections without a word, at once or at any later moment: nobody notices.

use super::ask::{Lost, Order};
use super::mock::{After, Mock, Plan};
use super::{Outcome, with_second};
use crate::{Client, Gateway, Setup};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const CALLERS: usize = 16;

/// Sends so many requests.
pub async fn run(requests: usize) -> Outcome {
    let mut outcome = Outcome::new(format!(
        "{requests} requests by {CALLERS} callers to an upstream that closes idle connections after each 1st to 7th reply, or when they were idle for 0 to 12 ms"
    ));
    let plan = |ask: &super::mock::Ask| {
        let after = match ask.index % 5 {
            0 if ask.turn >= ask.index % 7 => After::Close,
            1 => After::CloseIn(Duration::from_micros((ask.index as u64 * 7919) % 12_000)),
            _ => After::Keep,
        };
        Plan { after, ..Plan::default() }
    };
    let (one, two) = (Mock::start(plan).await, Mock::start(|_| Plan::default()).await);
    let mut gateway = Setup::new(with_second(one.address, two.address)).start().await;
    let key = gateway.key(&[]);
    let next = Arc::new(AtomicUsize::new(0));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let (address, key, next) = (gateway.address, key.clone(), Arc::clone(&next));
        callers.spawn(async move {
            let mut wrong: BTreeMap<String, usize> = BTreeMap::new();
            let mut client = Client::connect(address).await.expect("it listens");
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= requests {
                    return wrong;
                }
                let order = Order {
                    seed: index as u64,
                    pieces: 1 + index % 5,
                    length: 0,
                    stream: index.is_multiple_of(3),
                };
                let what = match order.ask(&mut client, &key, || {}).await {
                    Ok(answer) if answer.attempts == "1" => continue,
                    Ok(answer) => format!("{} attempts were counted", answer.attempts),
                    Err(lost) => {
                        client = Client::connect(address).await.expect("it listens");
                        told(&lost)
                    }
                };
                *wrong.entry(what).or_default() += 1;
            }
        });
    }
    while let Some(wrong) = callers.join_next().await {
        let wrong = wrong.expect("a caller").into_iter();
        outcome.broken.extend(wrong.map(|(what, times)| format!("{times} times: {what}")));
    }
    outcome
        .require(two.requests() == 0, format!("{} requests fell back to the second target", two.requests()));
    let asked = one.requests();
    outcome
        .require(asked == requests, format!("the upstream was asked {asked} times for {requests} requests"));
    outcome.count("requests", requests);
    outcome.count("fallbacks", two.requests());
    settled(&mut gateway, &mut outcome, requests).await;
    outcome
}

/// Every request has a posting, and the ledger holds together.
pub(super) async fn settled(gateway: &mut Gateway, outcome: &mut Outcome, requests: usize) {
    gateway.stop().await;
    let report = weir_ledger::check(&gateway.data()).expect("a ledger");
    outcome.require(report.is_clean() && report.pending == 0, report.to_string());
    let postings = report.postings as usize;
    outcome.require(postings == requests, format!("{postings} postings for {requests} requests"));
}

/// Without what differs from one to the next.
pub(super) fn told(lost: &Lost) -> String {
    match lost {
        Lost::Unheard(error) => format!("no reply: {error}"),
        Lost::Refused(status, body) => {
            let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
            format!("{status} {}", body["error"]["code"].as_str().unwrap_or_default())
        }
        Lost::Wrong(why) => why.clone(),
    }
}
