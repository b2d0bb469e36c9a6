//! The sums of `weir usage`.

use rusqlite::{Connection, Row, params};
use weir_llm::price::Nanos;
use weir_llm::usage::Usage;

use super::StoreError;
use crate::posting::Outcome;
use crate::usage::{GroupBy, Query, UsageRow};

/// Rows in the order of what was charged, most first; days in their own order.
pub(super) fn usage(conn: &Connection, query: &Query) -> Result<Vec<UsageRow>, StoreError> {
    let mut statement = conn.prepare(&sql(query.group_by))?;
    let since = query.since_ms.unwrap_or(i64::MIN);
    let until = query.until_ms.unwrap_or(i64::MAX);
    let codes = [Outcome::Ok.code(), Outcome::CacheHit.code()];
    let rows = statement.query_map(params![since, until, codes[0], codes[1]], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn sql(by: GroupBy) -> String {
    let (group, name, join, order) = match by {
        GroupBy::Key => ("k.uid", "k.name", "JOIN keys k ON k.id = p.key", "charged DESC, 1"),
        GroupBy::Model => ("s.model", "NULL", "JOIN services s ON s.id = p.service", "charged DESC, 1"),
        GroupBy::Provider => ("s.provider", "NULL", "JOIN services s ON s.id = p.service", "charged DESC, 1"),
        GroupBy::Day => ("strftime('%Y-%m-%d', p.at_ms / 1000, 'unixepoch')", "NULL", "", "1"),
    };
    format!(
        "SELECT {group}, {name}, count(*), sum(p.outcome NOT IN (?3, ?4)), sum(p.outcome = ?4), \
         sum(p.input), sum(p.cached_input), sum(p.cache_write_5m), sum(p.cache_write_1h), sum(p.output), \
         sum(p.reasoning), sum(p.input_audio), sum(p.output_audio), sum(p.image), \
         sum(p.charged) AS charged, coalesce(sum(p.provider_cost), 0), sum(p.provider_cost IS NULL), \
         sum(p.saved_cached), sum(p.saved_cache), \
         sum(p.images), sum(p.seconds), sum(p.characters), sum(p.search_units) \
         FROM postings p {join} WHERE p.at_ms >= ?1 AND p.at_ms < ?2 GROUP BY 1 ORDER BY {order}"
    )
}

fn read(row: &Row<'_>) -> rusqlite::Result<UsageRow> {
    let count = |at| row.get::<_, i64>(at).map(|n| u64::try_from(n).unwrap_or(0));
    let money = |at| row.get(at).map(Nanos);
    Ok(UsageRow {
        group: row.get(0)?,
        name: row.get(1)?,
        exchanges: count(2)?,
        unfinished: count(3)?,
        cache_hits: count(4)?,
        usage: Usage {
            input: count(5)?,
            cached_input: count(6)?,
            cache_write_5m: count(7)?,
            cache_write_1h: count(8)?,
            output: count(9)?,
            reasoning: count(10)?,
            input_audio: count(11)?,
            output_audio: count(12)?,
            image: count(13)?,
            images: count(19)?,
            seconds: count(20)?,
            characters: count(21)?,
            search_units: count(22)?,
            ..Usage::default()
        },
        charged: money(14)?,
        provider_cost: money(15)?,
        unpriced: count(16)?,
        saved_by_cached_input: money(17)?,
        saved_by_cache: money(18)?,
    })
}
