//! `kill -9` at any moment: what was acknowledged is posted once and rightly, and the ledger holds together.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weir_tests::{Act, Client, Gateway, Setup, Upstream, reply, until};

const KILLS: usize = 20;
const CALLERS: usize = 12;

/// What callers saw end: the id of the exchange and what it must have been charged.
type Acknowledged = Arc<Mutex<HashMap<String, i64>>>;

/// Calls one after another until the gateway is gone. Every output of `n` tokens costs `n · 10 000`, every input of one
/// token 1 000.
async fn call(address: SocketAddr, key: String, caller: usize, seen: Acknowledged) -> std::io::Result<()> {
    let mut client = Client::connect(address).await?;
    for turn in 0.. {
        let stream = (caller + turn).is_multiple_of(2);
        let output = 1 + (caller * 31 + turn * 7) % 50;
        let body = json!({
            "model": "m", "stream": stream, "seed": output, "max_tokens": 60,
            "messages": [{ "role": "user", "content": "hi" }],
        });
        client.chat(&key, &body, &[]).await?;
        let head = client.head().await?;
        assert_eq!(head.status, 200);
        if stream {
            let mut last = None;
            while let Some(event) = client.event().await? {
                let done = event == "[DONE]";
                last = Some(event);
                if done {
                    break;
                }
            }
            assert_eq!(last.as_deref(), Some("[DONE]"));
        }
        // A stream is acknowledged with its last event, though the end of the body may still be lost.
        if !stream {
            client.rest().await?;
        }
        let charge = i64::try_from(output).unwrap() * 10_000 + 1_000;
        assert_eq!(seen.lock().unwrap().insert(head.id().to_owned(), charge), None, "an id is used once");
        if stream {
            client.rest().await?;
        }
    }
    Ok(())
}

async fn upstream() -> Upstream {
    Upstream::start(|call| {
        let output = call.json()["seed"].as_u64().unwrap();
        if !call.stream() {
            return Act::json(200, &reply::completion("answer", 1, 0, output));
        }
        let deltas = (0..output).fold(Act::stream(), |act, _| act.chunk(reply::delta("word ")));
        deltas.chunk(reply::finish()).chunk(reply::usage_event(1, 0, output)).chunk(reply::done()).end()
    })
    .await
}

/// Every acknowledged exchange has exactly one posting, of the right amount.
fn all_posted(gateway: &Gateway, acknowledged: &Acknowledged) {
    let seen = acknowledged.lock().unwrap();
    let mut charged: HashMap<String, Vec<i64>> = HashMap::new();
    for posting in gateway.postings() {
        charged.entry(posting.exchange).or_default().push(posting.charged);
    }
    for (id, charge) in seen.iter() {
        assert_eq!(charged.get(id), Some(&vec![*charge]), "the postings of {id}");
    }
    let missing = weir_ledger::check::missing(&gateway.data(), seen.keys().map(String::as_str)).unwrap();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_callers_saw_end_is_posted_once_after_twenty_kills() {
    let upstream = upstream().await;
    let one =
        format!("providers:\n  one: {{ base_url: 'http://{}/v1', keys: [sk-one] }}\n", upstream.address);
    let models =
        "models:\n  m: { targets: [{ target: one/m, max_output: 60, prices: { input: 1, output: 10 } }] }\n";
    let mut gateway = Setup::new(one + models).start().await;
    let keys = [gateway.key(&[]), gateway.key(&["--budget", "1000"])];
    let acknowledged = Acknowledged::default();
    let random = RandomState::new();
    for kill in 0..KILLS {
        let before = acknowledged.lock().unwrap().len();
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            let key = keys[caller % 2].clone();
            callers.spawn(call(gateway.address, key, caller, Arc::clone(&acknowledged)));
        }
        // The moment is random: after so many replies, and then some microseconds.
        let moment = random.hash_one(kill);
        let replies = before + usize::try_from(moment % 60).unwrap();
        until("replies under load", || (acknowledged.lock().unwrap().len() > replies).then_some(())).await;
        tokio::time::sleep(Duration::from_micros(moment >> 8 & 0x1fff)).await;
        gateway.kill();
        while let Some(ended) = callers.join_next().await {
            if let Err(panic) = ended {
                panic!("a caller saw something wrong before kill {kill}: {panic}");
            }
        }
        all_posted(&gateway, &acknowledged);
        gateway.serve().await;
        let report = weir_ledger::check(&gateway.data()).unwrap();
        assert!(report.is_clean(), "after kill {kill}: {report}");
        assert!(gateway.run(&["ledger", "check"]).status.success());
    }
    all_posted(&gateway, &acknowledged);
    assert!(acknowledged.lock().unwrap().len() > KILLS);
    gateway.stop().await;
    // Holds of exchanges that were cut down with the process stay spent until they time out.
    let report = weir_ledger::check(&gateway.data()).unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(report.pending as usize <= KILLS * CALLERS, "{report}");
}
