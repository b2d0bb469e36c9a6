//! `kill -9` at random moments: every acknowledged posting exists, once (L7), and the rows are sound.
//!
//! The test starts itself as a child that settles in several threads and prints each exchange after its commit.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::common::{NOON, block_on, budget, fresh, open, posting};
use weir_ledger::{Clock, Ledger, NewKey, Period, Principal, check};
use weir_llm::price::Nanos;

const CHILD: &str = "WEIR_LEDGER_KILL_CHILD";
const KILLS: usize = 20;

#[test]
fn every_acknowledged_posting_survives_kill_9() {
    if let Ok(dir) = std::env::var(CHILD) {
        settle_for_ever(dir.as_ref());
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = HashSet::new();
    let mut waited = 0;
    for kill in 0..KILLS {
        let mut child = spawn(dir.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The moment is random by itself (threads, commits, checkpoints); the count moves it through the child's life.
        let after = 1 + kill * 97;
        let mut seen = 0;
        for line in lines {
            // The last line may be cut in the middle: then it was not acknowledged.
            let Ok(line) = line else { break };
            let Some(exchange) = line.strip_prefix("done ").and_then(|rest| rest.strip_suffix(" .")) else {
                continue;
            };
            assert!(acknowledged.insert(exchange.to_owned()));
            seen += 1;
            if seen == after {
                child.kill().unwrap();
            }
        }
        assert!(seen >= after, "the child ended by itself: {:?}", child.wait());
        child.wait().unwrap();
        // What is committed is sound already; the next start takes over what is only in the journal.
        let report = check(dir.path()).unwrap();
        assert!(report.is_clean(), "{report}");
        waited += report.waiting;
        let next = open(dir.path(), &Clock::system());
        assert_eq!((next.stats().replayed, next.damage()), (report.waiting, &[][..]));
        next.close();
        let names = acknowledged.iter().map(String::as_str);
        assert_eq!(weir_ledger::check::missing(dir.path(), names).unwrap(), Vec::<String>::new(), "L7");
        let report = check(dir.path()).unwrap();
        assert!(report.is_clean(), "{report}");
        assert!(report.postings >= acknowledged.len() as u64);
    }
    assert!(waited > 0, "never a posting that was in the journal alone");
    // The holds that the dead left go when their time is over.
    let clock = Clock::manual(Clock::system().now_ms() + 3_600_000);
    let ledger = open(dir.path(), &clock);
    block_on(ledger.flush());
    let report = check(dir.path()).unwrap();
    assert!(report.is_clean() && report.pending == 0, "{report}");
}

fn spawn(dir: &std::path::Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "kill::every_acknowledged_posting_survives_kill_9",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn settle_for_ever(dir: &std::path::Path) -> ! {
    let ledger = open(dir, &Clock::system());
    let make = |budget| {
        let (_, secret) =
            ledger.create_key(NewKey { name: "k".into(), budget, ..NewKey::default() }).unwrap();
        ledger.identify(&secret.expose()).unwrap()
    };
    let keys = [
        make(None),
        make(budget(i64::MAX / 4, true, Period::Day)),
        make(budget(i64::MAX / 4, false, Period::None)),
    ];
    std::thread::scope(|scope| {
        for principal in keys.iter().cycle().take(6) {
            scope.spawn(|| settle(&ledger, principal));
        }
    });
    std::process::exit(1)
}

fn settle(ledger: &Ledger, principal: &Arc<Principal>) {
    loop {
        let exchange = fresh();
        let reservation = block_on(ledger.reserve_fresh(principal, &exchange, Nanos(50))).unwrap();
        reservation.settle(posting(20, NOON)).wait().unwrap();
        // One write each, so that a line is whole or not there.
        let line = format!("done {exchange} .\n");
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    }
}
