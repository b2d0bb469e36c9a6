//! `weir usage`: what was used, what it cost, and what caches saved. Reads the ledger also while a gateway runs.

use super::{Failed, Printed};
use crate::config::Config;
use crate::exchange::reply::usd;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_ledger::{GroupBy, Ledger, Query, UsageRow};
use weir_llm::usage::Class;

/// `weir usage`
#[derive(Debug, Args)]
pub struct Usage {
    /// One row per what
    #[arg(long, value_enum, default_value = "model")]
    by: By,
    /// Only the last so many hours
    #[arg(long, value_name = "HOURS")]
    hours: Option<u32>,
    /// JSON, for machines
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Key,
    Model,
    Provider,
    Day,
}

/// Runs it.
///
/// # Errors
/// The ledger cannot be read.
pub fn run(config: &Config, command: &Usage) -> Printed {
    let reader = Ledger::open_read_only(&config.data)?;
    let query = Query {
        since_ms: command.hours.map(since),
        until_ms: None,
        group_by: match command.by {
            By::Key => GroupBy::Key,
            By::Model => GroupBy::Model,
            By::Provider => GroupBy::Provider,
            By::Day => GroupBy::Day,
        },
    };
    let rows = reader.usage(&query).map_err(Failed::from)?;
    let waiting = reader.waiting();
    if command.json {
        let rows: Vec<Value> = rows.iter().map(object).collect();
        return Ok(format!("{:#}\n", json!({ "rows": rows, "waiting": waiting })));
    }
    let mut printed = table(&rows);
    if waiting > 0 {
        let _ = writeln!(
            printed,
            "{waiting} more are in the journal and no rows yet: a gateway that runs, or the next that starts, sees to that."
        );
    }
    Ok(printed)
}

fn since(hours: u32) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    i64::try_from(now).unwrap_or(i64::MAX) - i64::from(hours) * 3_600_000
}

fn object(row: &UsageRow) -> Value {
    let used = |of: fn(Class) -> bool| -> serde_json::Map<String, Value> {
        let lines = row.usage.lines().filter(|&(class, _)| of(class));
        lines.map(|(class, count)| (class.as_str().to_owned(), count.into())).collect()
    };
    json!({
        "group": row.group,
        "name": row.name,
        "exchanges": row.exchanges,
        "unfinished": row.unfinished,
        "cache_hits": row.cache_hits,
        "tokens": used(Class::is_token),
        "units": used(|class| !class.is_token()),
        "charged_usd": usd(row.charged),
        "provider_cost_usd": usd(row.provider_cost),
        "unpriced": row.unpriced,
        "saved_by_cached_input_usd": usd(row.saved_by_cached_input),
        "saved_by_cache_usd": usd(row.saved_by_cache),
    })
}

fn table(rows: &[UsageRow]) -> String {
    let mut out = format!(
        "{:<28} {:>9} {:>10} {:>12} {:>12} {:>12} {:>12} {:>15} {:>15} {:>15}\n",
        "",
        "EXCHANGES",
        "UNFINISHED",
        "INPUT",
        "CACHED IN",
        "OUTPUT",
        "REASONING",
        "CHARGED USD",
        "SAVED: INPUT",
        "SAVED: CACHE"
    );
    for row in rows {
        let group = row.name.as_deref().unwrap_or(&row.group);
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "{:<28} {:>9} {:>10} {:>12} {:>12} {:>12} {:>12} {:>15} {:>15} {:>15}",
            if group.is_empty() { "(no model asked)" } else { group },
            row.exchanges,
            row.unfinished,
            row.usage.input,
            row.usage.cached_input,
            row.usage.output,
            row.usage.reasoning,
            usd(row.charged),
            usd(row.saved_by_cached_input),
            usd(row.saved_by_cache),
        );
        for (class, count) in row.usage.lines().filter(|(class, _)| !class.is_token()) {
            let _ = write!(out, "  {count} {}", class.as_str());
        }
        let unpriced =
            if row.unpriced > 0 { format!("  {} at an unknown price", row.unpriced) } else { String::new() };
        let _ = writeln!(out, "{unpriced}");
    }
    out
}
