//! `check` finds a planted violation of each kind, and only that kind; and the ledger refuses what it must.

use std::path::Path;

use crate::common::{NOON, block_on, budget, crash_image, key, open, posting};
use rusqlite::Connection;
use weir_ledger::{Clock, NewKey, Period, check};
use weir_llm::price::Nanos;

/// A small sound ledger: three postings (one of them unbudgeted), one release, one hold pending.
fn sound(dir: &Path) {
    let live = dir.join("live");
    let ledger = open(&live, &Clock::manual(NOON));
    let hard = key(&ledger, NewKey { budget: budget(100, true, Period::None), ..NewKey::default() });
    let free = key(&ledger, NewKey::default());
    let reserve = |principal, id: &str, hold| block_on(ledger.reserve(principal, id, Nanos(hold))).unwrap();
    reserve(&hard, "a", 30).settle(posting(20, NOON)).wait().unwrap();
    reserve(&hard, "b", 30).settle(posting(10, NOON)).wait().unwrap();
    reserve(&free, "c", 30).settle(posting(5, NOON)).wait().unwrap();
    drop(reserve(&hard, "d", 30));
    let _pending = reserve(&hard, "e", 40);
    block_on(ledger.flush());
    crash_image(&live, &dir.join("image"));
}

fn plant(sql: &str) -> Vec<&'static str> {
    let dir = tempfile::tempdir().unwrap();
    sound(dir.path());
    let image = dir.path().join("image");
    let conn = Connection::open(image.join("ledger.sqlite3")).unwrap();
    conn.execute_batch(sql).unwrap();
    let mut laws: Vec<_> = check(&image).unwrap().violations.into_iter().map(|found| found.law).collect();
    laws.dedup();
    laws
}

/// Changes a row as a vandal would, leaving the triggers as they were.
fn vandal(table: &str, verb: &str, sql: &str) -> String {
    let trigger = format!("{table}_no_{verb}");
    format!(
        "CREATE TEMP TABLE kept AS SELECT sql FROM sqlite_master WHERE name = '{trigger}'; DROP TRIGGER {trigger}; {sql}; \
         CREATE TRIGGER {trigger} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END;"
    )
}

#[test]
fn a_sound_ledger_is_clean() {
    assert!(plant("SELECT 1").is_empty());
}

#[test]
fn l1_a_second_reservation() {
    assert_eq!(plant("INSERT INTO reservations VALUES ('a', 1, 1, 0, 1, 0, 9e15)"), ["L1"]);
    assert_eq!(plant("INSERT INTO reservations VALUES ('d', 1, 1, 0, 1, 0, 9e15)"), ["L1"]);
}

#[test]
fn l2_a_second_resolution() {
    let again = "INSERT INTO corrections SELECT 2, exchange, at_ms, kind, key, budget, period, hold, amount FROM corrections; \
                 UPDATE totals SET corrections = corrections + 1";
    assert_eq!(plant(again), ["L2"]);
    let charged = "INSERT INTO corrections SELECT 2, 'a', at_ms, kind, key, budget, period, hold, amount FROM corrections; \
                   UPDATE totals SET corrections = corrections + 1";
    assert_eq!(plant(charged), ["L2"]);
    // Two postings need a broken index, which SQLite's own check sees as well.
    let twice = "PRAGMA writable_schema = 1; \
                 UPDATE sqlite_master SET sql = replace(sql, 'exchange          ANY NOT NULL UNIQUE', 'exchange          ANY NOT NULL') WHERE name = 'postings'; \
                 DELETE FROM sqlite_master WHERE name = 'sqlite_autoindex_postings_1'; PRAGMA writable_schema = RESET; \
                 INSERT INTO postings SELECT 4, exchange, request, at_ms, key, service, outcome, attempts, stream, usage_source, \
                 input, cached_input, cache_write_5m, cache_write_1h, output, reasoning, input_audio, output_audio, image, \
                 0, provider_cost, saved_cached, saved_cache, generation, ttft_ms, total_ms, budget, period, cut, \
                 images, seconds, characters, search_units FROM postings WHERE id = 1; UPDATE totals SET postings = postings + 1";
    assert!(plant(twice).contains(&"L2"));
}

#[test]
fn l3_an_overspent_hard_budget() {
    assert_eq!(plant("INSERT INTO reservations VALUES ('x', 1, 1, 0, 31, 0, 9e15)"), ["L3"]);
    assert_eq!(plant("INSERT INTO reservations VALUES ('x', 1, 1, 0, 30, 0, 9e15)"), [""; 0]);
    assert_eq!(plant("UPDATE budgets SET spend = 69"), ["L3"]);
}

#[test]
fn l4_a_balance_that_is_not_its_sum() {
    assert_eq!(plant("UPDATE balances SET posted = posted - 1"), ["L4"]);
    assert_eq!(plant("DELETE FROM balances"), ["L4"]);
    assert_eq!(plant("UPDATE totals SET charged = charged + 1"), ["L4"]);
    assert_eq!(
        plant(&vandal("postings", "update", "UPDATE postings SET charged = 6 WHERE exchange = 'c'")),
        ["L4"]
    );
}

#[test]
fn l5_rows_that_can_change_or_are_gone() {
    assert_eq!(plant("DROP TRIGGER postings_no_update"), ["L5"]);
    assert_eq!(plant("DROP TRIGGER corrections_no_delete"), ["L5"]);
    let hole = "UPDATE totals SET postings = postings - 1, charged = charged - 10; UPDATE balances SET posted = posted - 10; \
                DELETE FROM postings WHERE exchange = 'b'";
    assert_eq!(plant(&vandal("postings", "delete", hole)), ["L5"]);
    let dir = tempfile::tempdir().unwrap();
    sound(dir.path());
    let conn = Connection::open(dir.path().join("image/ledger.sqlite3")).unwrap();
    for sql in ["UPDATE postings SET charged = 0", "DELETE FROM postings", "DELETE FROM corrections"] {
        let error = conn.execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
    }
}

#[test]
fn l6_a_hold_that_outlived_its_time() {
    assert_eq!(plant("UPDATE reservations SET expires_ms = 1"), ["L6"]);
    // Nobody was there to sweep: the hold is late, but no law is broken.
    assert_eq!(plant("UPDATE reservations SET expires_ms = 1700000000001"), [""; 0]);
}

#[test]
fn l7_a_lost_row() {
    let tail = "UPDATE totals SET charged = charged - 5; DELETE FROM postings WHERE exchange = 'c'";
    assert_eq!(plant(&vandal("postings", "delete", tail)), ["L7"]);
    assert_eq!(plant(&vandal("corrections", "delete", "DELETE FROM corrections")), ["L7"]);
}

#[test]
fn l7_a_torn_page() {
    let dir = tempfile::tempdir().unwrap();
    sound(dir.path());
    let file = dir.path().join("image/ledger.sqlite3");
    Connection::open(&file).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let conn = Connection::open(&file).unwrap();
    let page: i64 = conn
        .query_row(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_postings_1'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    drop(conn);
    let mut bytes = std::fs::read(&file).unwrap();
    let at = (usize::try_from(page).unwrap() - 1) * 4096;
    // The index loses its last entry.
    let cells = u16::from_be_bytes([bytes[at + 3], bytes[at + 4]]) - 1;
    bytes[at + 3..at + 5].copy_from_slice(&cells.to_be_bytes());
    std::fs::write(&file, bytes).unwrap();
    let laws: Vec<_> =
        check(&dir.path().join("image")).unwrap().violations.into_iter().map(|found| found.law).collect();
    assert!(!laws.is_empty() && laws.iter().all(|law| *law == "L7"), "{laws:?}");
}
