//! A database that cannot be written, and a log that lost some of what was: nothing of it is silent.

use std::path::Path;

use crate::common::{NOON, block_on, budget, crash_image, key, open, posting};
use rusqlite::Connection;
use weir_ledger::{Clock, NewKey, Outcome, Period, Posting, Refused, SettleError, Spent, StoreError, check};
use weir_llm::price::Nanos;

/// From now on every commit fails, as on a full disk.
pub(crate) fn fall_ill(dir: &Path) {
    let conn = Connection::open(dir.join("ledger.sqlite3")).unwrap();
    conn.execute_batch(
        "CREATE TRIGGER ill_totals BEFORE UPDATE ON totals BEGIN SELECT RAISE(ABORT, 'the disk is full'); END;
         CREATE TRIGGER ill_holds BEFORE INSERT ON reservations BEGIN SELECT RAISE(ABORT, 'the disk is full'); END;",
    )
    .unwrap();
}

pub(crate) fn get_well(dir: &Path) {
    let conn = Connection::open(dir.join("ledger.sqlite3")).unwrap();
    conn.execute_batch("DROP TRIGGER ill_totals; DROP TRIGGER ill_holds;").unwrap();
}

/// Outcome (its number), charge and cost of every posting.
pub(crate) fn rows(dir: &Path) -> Vec<(i64, i64, i64)> {
    let conn = Connection::open(dir.join("ledger.sqlite3")).unwrap();
    let mut query =
        conn.prepare("SELECT outcome, charged, provider_cost FROM postings ORDER BY charged").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_was_under_way_is_written_later_and_nothing_new_is_begun_until_then() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let hard = key(&ledger, NewKey { budget: budget(100, true, Period::None), ..NewKey::default() });
    let free = key(&ledger, NewKey::default());
    let reserve = |principal, exchange, hold| block_on(ledger.reserve(principal, exchange, Nanos(hold)));
    let paid = reserve(&hard, "paid", 50).unwrap();
    let left = reserve(&free, "left", 0).unwrap();
    let never = reserve(&hard, "never", 10).unwrap();

    fall_ill(dir.path());
    assert!(matches!(paid.settle(posting(20, NOON)).wait(), Err(SettleError::Storage(_))));
    // At the door: with and without money to hold, and without asking the database.
    for principal in [&hard, &free] {
        let refused = reserve(principal, "new", 1).err();
        assert!(matches!(refused, Some(Refused::Storage(StoreError::Database(_)))), "{refused:?}");
    }
    assert!(ledger.trouble().unwrap().to_string().contains("the disk is full"));
    // A caller that left owes what it had used, whenever that is written.
    let gone = Posting { status: Outcome::ClientAbort, ..posting(30, NOON) };
    assert!(matches!(left.settle(gone).wait(), Err(SettleError::Storage(_))));
    drop(never);
    block_on(ledger.flush());
    assert_eq!((ledger.stats().unwritten, ledger.stats().pending), (2, 2));
    assert_eq!(ledger.spent(&hard), Some(Spent { posted: Nanos(0), pending: Nanos(60) }), "holds stay held");
    assert_eq!(rows(dir.path()), []);

    get_well(dir.path());
    block_on(ledger.flush());
    assert_eq!((ledger.trouble(), ledger.stats().unwritten), (None, 0));
    // The reply of the first was withheld, so it costs its caller nothing; the provider takes what it takes.
    assert_eq!(rows(dir.path()), [(3, 0, 20), (1, 30, 30)]);
    assert_eq!(ledger.spent(&hard).unwrap().posted, Nanos(0));
    reserve(&free, "new", 0).unwrap().settle(posting(1, NOON)).wait().unwrap();
    let report = check(dir.path()).unwrap();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn it_recovers_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::system());
    let free = key(&ledger, NewKey::default());
    let one = block_on(ledger.reserve(&free, "one", Nanos(0))).unwrap();
    fall_ill(dir.path());
    assert!(one.settle(posting(20, NOON)).wait().is_err());
    get_well(dir.path());
    // Nobody asks it for anything.
    while ledger.trouble().is_some() {
        std::thread::yield_now();
    }
    assert_eq!(rows(dir.path()), [(3, 0, 20)]);
}

#[test]
fn closed_before_it_is_well_it_says_what_it_could_not_write() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let free = key(&ledger, NewKey::default());
    let one = block_on(ledger.reserve(&free, "one", Nanos(0))).unwrap();
    fall_ill(dir.path());
    assert!(one.settle(posting(20, NOON)).wait().is_err());
    ledger.close();
    assert_eq!(ledger.stats().unwritten, 1);
}

#[test]
fn a_damaged_log_is_put_aside_and_told_of_until_somebody_has_seen_to_it() {
    let (dir, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let free = key(&ledger, NewKey::default());
    for exchange in 0..40 {
        let reservation = block_on(ledger.reserve(&free, &exchange.to_string(), Nanos(0))).unwrap();
        reservation.settle(posting(1, NOON)).wait().unwrap();
    }
    crash_image(dir.path(), image.path());
    let log = image.path().join("ledger.sqlite3-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() * 3 / 4;
    bytes[middle] ^= 1;
    std::fs::write(&log, &bytes).unwrap();

    let damaged = open(image.path(), &Clock::manual(NOON));
    let damage = &damaged.damage()[0];
    assert!(damage.lost > 1 && !damage.may_be_cut_off, "{damage:?}");
    assert_eq!(std::fs::read(&damage.aside).unwrap(), bytes);
    let report = check(image.path()).unwrap();
    assert_eq!(report.violations.iter().map(|found| found.law).collect::<Vec<_>>(), ["L7"], "{report}");
    assert!(report.postings < 40);
    let aside = damage.aside.clone();
    damaged.close();
    assert!(open(image.path(), &Clock::manual(NOON)).damage().is_empty(), "it is told of once");
    std::fs::remove_file(aside).unwrap();
    assert!(check(image.path()).unwrap().is_clean());
}
