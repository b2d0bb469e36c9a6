//! The schema, in numbered steps that are built in. A step is never edited once it has shipped.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

const STEPS: &[&str] = &[
    include_str!("../../migrations/0001_ledger.sql"),
    include_str!("../../migrations/0002_units.sql"),
    include_str!("../../migrations/0003_terms.sql"),
    include_str!("../../migrations/0004_concurrency.sql"),
    include_str!("../../migrations/0005_class.sql"),
    include_str!("../../migrations/0006_journal.sql"),
];

/// What this binary reads and writes.
pub const SCHEMA_VERSION: i64 = STEPS.len() as i64;

/// The triggers that keep rows append-only (L5).
pub(crate) const TRIGGERS: [&str; 4] =
    ["postings_no_update", "postings_no_delete", "corrections_no_update", "corrections_no_delete"];

/// Brings the schema up to [`SCHEMA_VERSION`], all or nothing; answers the version that was found.
pub(super) fn run(conn: &mut Connection) -> rusqlite::Result<i64> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&tx)?;
    if found < SCHEMA_VERSION {
        for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            tx.execute_batch(step)?;
        }
        tx.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?1)", [SCHEMA_VERSION.to_string()])?;
    }
    tx.commit()?;
    Ok(found)
}

/// 0 for an empty database.
pub(super) fn version(conn: &Connection) -> rusqlite::Result<i64> {
    let there = conn.query_row("SELECT count(*) FROM sqlite_master WHERE name = 'meta'", [], |row| {
        row.get::<_, i64>(0)
    })?;
    if there == 0 {
        return Ok(0);
    }
    let value: Option<i64> = conn
        .query_row("SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'schema'", [], |row| row.get(0))
        .optional()?;
    Ok(value.unwrap_or(0))
}
