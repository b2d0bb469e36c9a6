//! The ledger against what the clients and the upstream counted, read from the file itself, not through Weir's code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::failure::{Context, Failure, Result};
use crate::mock::{CACHED_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, Stats};
use crate::system::System;
use crate::weir::prices;

/// A posting as this check needs it.
struct Row {
    request: String,
    outcome: i64,
    model: String,
    charged: i64,
    tokens: (u64, u64, u64),
}

const ROWS: &str = "SELECT \
    coalesce(p.request, CASE typeof(p.exchange) WHEN 'blob' THEN 'req_' || lower(hex(p.exchange)) ELSE p.exchange END), \
    p.outcome, s.model, p.charged, p.input, p.cached_input, p.output \
    FROM postings p JOIN services s ON s.id = p.service WHERE p.id > ?1";

/// The last row of the system's ledger; 0 if it has none, or is not Weir.
pub fn last_row(system: &System) -> Result<i64> {
    let System::Weir(site) = system else { return Ok(0) };
    if !ledger(&site.data).exists() {
        return Ok(0);
    }
    let last = "SELECT coalesce(max(id), 0) FROM postings";
    Ok(open(&site.data)?.query_row(last, [], |row| row.get(0))?)
}

/// Exactly one posting for each 2xx in `ids` and no other, and sums that follow from what the upstream served.
pub fn check(system: &System, since: i64, ids: &[PathBuf], seen: &Stats) -> Result<()> {
    let System::Weir(site) = system else { return Ok(()) };
    let rows = rows(&site.data, since)?;
    check_ids(&rows, &read_ids(ids)?)?;
    check_sums(&rows, seen)
}

/// The same for a run in which replies may have failed: each 2xx has its one posting, and no more others than failures.
pub fn check_ids_only(system: &System, since: i64, ids: &Path, failures: u64) -> Result<()> {
    let System::Weir(site) = system else { return Ok(()) };
    let mut rows = rows(&site.data, since)?;
    let acknowledged = read_ids(&[ids.to_path_buf()])?;
    if failures > 0 {
        rows.retain(|row| acknowledged.contains(&row.request));
    }
    check_ids(&rows, &acknowledged)
}

fn check_ids(rows: &[Row], acknowledged: &BTreeSet<String>) -> Result<()> {
    let posted: BTreeSet<&str> = rows.iter().map(|row| row.request.as_str()).collect();
    let missing = acknowledged.iter().filter(|id| !posted.contains(id.as_str())).count();
    let extra = posted.iter().filter(|id| !acknowledged.contains(**id)).count();
    let failed = rows.iter().filter(|row| row.outcome != OK).count();
    let twice = rows.len() - posted.len();
    match (missing, extra, twice, failed) {
        (0, 0, 0, 0) => Ok(()),
        _ => Err(Failure::new(format!(
            "{} replies: {missing} without a posting, {extra} postings without a reply, {twice} double, {failed} not ok",
            acknowledged.len()
        ))),
    }
}

fn check_sums(rows: &[Row], seen: &Stats) -> Result<()> {
    let mut models: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows {
        *models.entry(row.model.clone()).or_default() += 1;
        if row.tokens != (INPUT_TOKENS - CACHED_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS) {
            return Err(Failure::new(format!("{}: tokens {:?}", row.request, row.tokens)));
        }
    }
    if models != seen.models {
        return Err(Failure::new(format!("by model {models:?}, the upstream served {:?}", seen.models)));
    }
    let charged: i64 = rows.iter().map(|row| row.charged).sum();
    let due = models.iter().map(|(model, count)| Ok(nanos_a_reply(model)? * count)).sum::<Result<u64>>()?;
    if charged.cast_unsigned() == due {
        Ok(())
    } else {
        Err(Failure::new(format!("{charged} nano-dollars charged, {due} due")))
    }
}

/// Reckoned apart from Weir: pico-dollars, rounded half up to nano-dollars once.
fn nanos_a_reply(model: &str) -> Result<u64> {
    let n = model.strip_prefix('m').and_then(|digits| digits.parse().ok());
    let (input, cached, output) =
        prices(n.ok_or_else(|| Failure::new(format!("no target serves '{model}'")))?);
    let pico = (INPUT_TOKENS - CACHED_TOKENS) * input + CACHED_TOKENS * cached + OUTPUT_TOKENS * output;
    Ok((pico + 500) / 1000)
}

/// How the ledger writes a complete reply.
const OK: i64 = 0;

fn rows(data: &Path, since: i64) -> Result<Vec<Row>> {
    let ledger = open(data)?;
    let mut query = ledger.prepare(ROWS)?;
    let rows = query.query_map([since], |row| {
        let tokens = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
        Ok(Row {
            request: row.get(0)?,
            outcome: row.get(1)?,
            model: row.get(2)?,
            charged: row.get(3)?,
            tokens: (tokens(4)?, tokens(5)?, tokens(6)?),
        })
    })?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

fn read_ids(files: &[PathBuf]) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for file in files {
        for id in std::fs::read_to_string(file).context(file.display())?.lines() {
            if !ids.insert(id.to_owned()) {
                return Err(Failure::new(format!("two replies carry the id {id}")));
            }
        }
    }
    Ok(ids)
}

fn open(data: &Path) -> Result<Connection> {
    Ok(Connection::open_with_flags(ledger(data), OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

fn ledger(data: &Path) -> PathBuf {
    data.join("ledger.sqlite3")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u64) -> Row {
        let nanos = nanos_a_reply("m1").expect("a price").cast_signed();
        let tokens = (INPUT_TOKENS - CACHED_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS);
        Row { request: format!("req_{n}"), outcome: OK, model: "m1".to_owned(), charged: nanos, tokens }
    }

    fn ids(numbers: &[u64]) -> BTreeSet<String> {
        numbers.iter().map(|n| format!("req_{n}")).collect()
    }

    #[test]
    fn one_posting_for_each_reply_and_nothing_else() {
        assert!(check_ids(&[row(1), row(2)], &ids(&[1, 2])).is_ok());
        assert!(check_ids(&[row(1)], &ids(&[1, 2])).is_err(), "a reply without a posting");
        assert!(check_ids(&[row(1), row(2)], &ids(&[1])).is_err(), "a posting without a reply");
        assert!(check_ids(&[row(1), row(1)], &ids(&[1])).is_err(), "two postings for one reply");
        assert!(check_ids(&[Row { outcome: OK + 1, ..row(1) }], &ids(&[1])).is_err(), "not a complete reply");
    }

    #[test]
    fn sums_follow_from_what_the_upstream_served() {
        let seen = |count| Stats { models: [("m1".to_owned(), count)].into(), ..Stats::default() };
        assert!(check_sums(&[row(1), row(2)], &seen(2)).is_ok());
        assert!(check_sums(&[row(1)], &seen(2)).is_err(), "the upstream served more");
        assert!(check_sums(&[Row { charged: 1, ..row(1) }], &seen(1)).is_err(), "the wrong charge");
        assert!(check_sums(&[Row { tokens: (0, 0, 0), ..row(1) }], &seen(1)).is_err(), "the wrong tokens");
        // 192 × 0.16 + 64 × 0.08 + 180 × 0.64 USD a million tokens.
        assert_eq!(nanos_a_reply("m1").expect("a price"), 151_040);
    }
}
