//! The postings, read from outside while a gateway runs or after it has died.

use rusqlite::{Connection, OpenFlags};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// One posting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the columns of the ledger, which says what they mean")]
pub struct Posting {
    pub exchange: String,
    pub outcome: &'static str,
    pub attempts: i64,
    pub stream: bool,
    /// Whether the provider counted the tokens.
    pub counted: bool,
    pub input: i64,
    pub cached_input: i64,
    pub output: i64,
    /// Images, seconds of audio, characters, search units.
    pub units: [i64; 4],
    pub charged: i64,
    pub provider_cost: Option<i64>,
    pub saved_cached: i64,
    pub saved_cache: i64,
    pub alias: String,
    pub provider: String,
    pub model: String,
    pub generation: i64,
}

const OUTCOMES: [&str; 6] = ["ok", "client-abort", "upstream-cut", "failed", "refused", "cache-hit"];

const QUERY: &str = "SELECT p.exchange, p.outcome, p.attempts, p.stream, p.usage_source, p.input, p.cached_input, \
     p.output, p.charged, p.provider_cost, p.saved_cached, p.saved_cache, s.alias, s.provider, s.model, p.generation, \
     p.images, p.seconds, p.characters, p.search_units \
     FROM postings p JOIN services s ON s.id = p.service ORDER BY p.id";

/// All postings in the ledger in this folder, oldest first, those in a running gateway's journal among them.
#[must_use]
pub fn postings(data: &Path) -> Vec<Posting> {
    let reader = weir_ledger::Ledger::open_read_only(data).expect("a ledger");
    assert_eq!(reader.waiting(), 0, "postings wait in the journal of a gateway that is not there any more");
    let conn = Connection::open_with_flags(data.join("ledger.sqlite3"), OpenFlags::SQLITE_OPEN_READ_ONLY)
        .expect("a ledger");
    conn.busy_timeout(Duration::from_secs(10)).expect("a timeout");
    let mut query = conn.prepare(QUERY).expect("the ledger's tables");
    let rows = query.query_map([], |row| {
        let id = match row.get_ref(0)? {
            rusqlite::types::ValueRef::Blob(bytes) => bytes.iter().fold("req_".to_owned(), |mut id, byte| {
                let _ = write!(id, "{byte:02x}");
                id
            }),
            other => other.as_str().unwrap_or_default().to_owned(),
        };
        Ok(Posting {
            exchange: id,
            outcome: OUTCOMES[usize::from(row.get::<_, u16>(1)?)],
            attempts: row.get(2)?,
            stream: row.get(3)?,
            counted: row.get::<_, i64>(4)? == 0,
            input: row.get(5)?,
            cached_input: row.get(6)?,
            output: row.get(7)?,
            units: [row.get(16)?, row.get(17)?, row.get(18)?, row.get(19)?],
            charged: row.get(8)?,
            provider_cost: row.get(9)?,
            saved_cached: row.get(10)?,
            saved_cache: row.get(11)?,
            alias: row.get(12)?,
            provider: row.get(13)?,
            model: row.get(14)?,
            generation: row.get(15)?,
        })
    });
    rows.expect("rows").collect::<Result<_, _>>().expect("rows")
}
