//! A ledger that an earlier version has written opens, keeps what it says, and takes new rows.

use crate::common::{NOON, block_on, key, open, posting};
use rusqlite::Connection;
use weir_ledger::{Clock, Ledger, NewKey, OpenError, Posting, Query};
use weir_llm::price::Nanos;
use weir_llm::usage::Usage;

const V1: &str = include_str!("../../migrations/0001_ledger.sql");
/// A key without a budget and one posting of it.
const ROWS: &str = "INSERT INTO meta VALUES ('schema', '1'); \
    INSERT INTO keys (id, uid, tag, team, name, created_ms, tags, scopes) \
        VALUES (1, 'key_old', randomblob(32), 1, 'old', 0, '[]', '[]'); \
    INSERT INTO services VALUES (1, 'chat', 'fast', 'sim', 'sim-small', 'test'); \
    INSERT INTO postings VALUES (1, 'old', NULL, 1700000000000, 1, 1, 0, 1, 0, 0, 10, 3, 0, 0, 7, 0, 0, 0, 5, \
        40, 40, 2, 0, 1, 3, 9, NULL, NULL, NULL); \
    UPDATE totals SET postings = 1, charged = 40";

#[test]
fn a_ledger_of_version_1_gets_columns_for_units_and_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let conn = Connection::open(dir.path().join("ledger.sqlite3")).unwrap();
    conn.execute_batch(V1).unwrap();
    conn.execute_batch(ROWS).unwrap();
    drop(conn);
    let early = Ledger::open_read_only(dir.path()).err().unwrap();
    assert!(matches!(early, OpenError::Older { found: 1, .. }), "a reader changes nothing: {early}");

    let ledger = open(dir.path(), &Clock::manual(NOON));
    let old = &ledger.list_keys().unwrap()[0];
    assert_eq!((old.id.as_str(), old.class, old.no_training), ("key_old", None, false));
    let fresh = key(&ledger, NewKey::default());
    let usage = Usage { images: 2, seconds: 61, characters: 400, search_units: 3, ..Usage::default() };
    let drawn = Posting { usage, ..posting(9, NOON) };
    block_on(ledger.reserve(&fresh, "new", Nanos(0))).unwrap().settle(drawn).wait().unwrap();
    let sums = ledger.usage(&Query::default()).unwrap();
    let old = Usage { input: 10, cached_input: 3, output: 7, image: 5, ..Usage::default() };
    assert_eq!([sums[0].usage, sums[1].usage], [old, usage]);
    assert_eq!((&*sums[0].group, sums[0].charged, sums[1].charged), ("key_old", Nanos(40), Nanos(9)));
    ledger.close();
    let report = weir_ledger::check(dir.path()).unwrap();
    assert!(report.is_clean() && report.postings == 2, "{report}");
    // The second start finds nothing to do.
    open(dir.path(), &Clock::manual(NOON)).close();
    assert_eq!(Ledger::open_read_only(dir.path()).unwrap().usage(&Query::default()).unwrap(), sums);
}
