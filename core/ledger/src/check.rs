//! `weir ledger check`: the invariants L1–L7, asked of the rows.
//!
//! | | what is looked for |
//! |---|---|
//! | L1 | an exchange with more than one of: reservation, release, posting |
//! | L2 | an exchange that was resolved twice: two postings, two releases, or a charge after its hold was released |
//! | L3 | a hard budget with posted + pending over its limit |
//! | L4 | a balance or a total that is not the sum of its rows |
//! | L5 | a missing row, or a missing trigger that forbids change |
//! | L6 | a hold that outlived its time while the ledger was at work |
//! | L7 | rows or pages that the file has lost, and logs that were put aside because they had lost some |

use std::fmt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use crate::exchange::ExchangeId;
use crate::options::OpenError;
use crate::store::{StoreError, TRIGGERS, open_reader, put_aside, unposted};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Postings that were looked at.
    pub postings: u64,
    /// Holds that are pending.
    pub pending: u64,
    /// Postings that are in the journal and no rows yet: a process that runs, or the next that starts, makes them so.
    pub waiting: u64,
    /// What is broken; empty: nothing.
    pub violations: Vec<Violation>,
}

/// One broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `L1` … `L7`.
    pub law: &'static str,
    /// What, and where.
    pub what: String,
}

impl Report {
    /// Whether nothing is broken.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} postings, {} pending holds: {} violations",
            self.postings,
            self.pending,
            self.violations.len()
        )?;
        if self.waiting > 0 {
            writeln!(
                f,
                "{} postings are in the journal and no rows yet: a gateway that runs, or the next that starts, sees to that",
                self.waiting
            )?;
        }
        self.violations.iter().try_for_each(|found| writeln!(f, "{}: {}", found.law, found.what))
    }
}

/// Looks for broken invariants in the ledger at `dir`, also while a server runs.
///
/// # Errors
/// If it cannot be opened or read.
pub fn check(dir: &Path) -> Result<Report, OpenError> {
    let (conn, waiting) = open_reader(dir)?;
    let mut report = run(&conn, waiting)?;
    report.violations.extend(put_aside(dir).into_iter().map(|file| Violation {
        law: "L7",
        what: format!(
            "what {file} has lost is not in the ledger, but for what the journal still had (and what a journal has of keys \
             that are lost is not): account for it, then move that file away"
        ),
    }));
    Ok(report)
}

/// Which of these exchanges have no posting (L7, asked by whoever saw them acknowledged).
///
/// # Errors
/// If the ledger cannot be opened or read.
pub fn missing<'a>(
    dir: &Path,
    exchanges: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<String>, OpenError> {
    let (conn, _) = open_reader(dir)?;
    let missing = unposted(&conn, exchanges.into_iter().map(ExchangeId::parse).collect())?;
    Ok(missing.iter().map(ExchangeId::to_string).collect())
}

/// One question: each row of the answer is a violation, told by its columns.
struct Question {
    law: &'static str,
    what: &'static str,
    sql: &'static str,
}

/// The wall clock may be set back a little, and a sweep takes its time.
const GRACE_MS: i64 = 60_000;

const QUESTIONS: &[Question] = &[
    Question {
        law: "L1",
        what: "an exchange has a pending reservation and a posting or release",
        sql: "SELECT r.exchange, r.budget FROM reservations r WHERE EXISTS (SELECT 1 FROM postings p WHERE \
              p.exchange = r.exchange) OR EXISTS (SELECT 1 FROM corrections c WHERE c.exchange = r.exchange)",
    },
    Question {
        law: "L2",
        what: "an exchange has several postings",
        sql: "SELECT exchange, count(*) FROM postings NOT INDEXED GROUP BY exchange HAVING count(*) > 1",
    },
    Question {
        law: "L2",
        what: "an exchange was released several times",
        sql: "SELECT exchange, count(*) FROM corrections WHERE kind IN (1, 2) GROUP BY exchange HAVING count(*) > 1",
    },
    Question {
        law: "L2",
        what: "an exchange was charged though its hold had been released",
        sql: "SELECT p.exchange, p.charged FROM corrections c JOIN postings p ON p.exchange = c.exchange \
              WHERE c.kind IN (1, 2) AND p.budget = c.budget AND p.charged > 0",
    },
    Question {
        law: "L3",
        what: "a hard budget is overspent (budget, period, spent and held, limit)",
        sql: "SELECT b.id, s.period, sum(s.amount), b.spend FROM budgets b JOIN ( \
              SELECT budget, period, charged AS amount FROM postings WHERE budget IS NOT NULL UNION ALL \
              SELECT budget, period, amount FROM corrections UNION ALL \
              SELECT budget, period, hold FROM reservations) s ON s.budget = b.id \
              WHERE b.hard = 1 GROUP BY b.id, s.period HAVING sum(s.amount) > b.spend",
    },
    Question {
        law: "L4",
        what: "a balance is not the sum of its rows (budget, period, balance, sum)",
        sql: "SELECT budget, period, sum(balance), sum(amount) FROM ( \
              SELECT budget, period, posted AS balance, 0 AS amount FROM balances UNION ALL \
              SELECT budget, period, 0, charged FROM postings WHERE budget IS NOT NULL UNION ALL \
              SELECT budget, period, 0, amount FROM corrections) \
              GROUP BY budget, period HAVING sum(balance) <> sum(amount)",
    },
    Question {
        law: "L4",
        what: "the total charged is not the sum of the postings (total, sum)",
        sql: "SELECT t.charged, s.charged FROM totals t, (SELECT coalesce(sum(charged), 0) AS charged FROM postings) s \
              WHERE t.charged <> s.charged",
    },
    Question {
        law: "L5",
        what: "postings are missing between the first and the last (rows, last id)",
        sql: "SELECT count(*), max(id) FROM postings HAVING count(*) <> coalesce(max(id), 0)",
    },
    Question {
        law: "L5",
        what: "corrections are missing between the first and the last (rows, last id)",
        sql: "SELECT count(*), max(id) FROM corrections HAVING count(*) <> coalesce(max(id), 0)",
    },
    Question {
        law: "L6",
        what: "a hold outlived its time (exchange, expired at, the ledger was at work at)",
        sql: "SELECT r.exchange, r.expires_ms, w.at_ms FROM reservations r, (SELECT max(at_ms) AS at_ms FROM ( \
              SELECT swept_ms AS at_ms FROM totals UNION ALL SELECT max(created_ms) FROM reservations UNION ALL \
              SELECT at_ms FROM postings WHERE id = (SELECT max(id) FROM postings))) w \
              WHERE r.expires_ms + ?1 < w.at_ms",
    },
    Question {
        law: "L7",
        what: "committed postings are gone (counted at commit, found)",
        sql: "SELECT t.postings, s.n FROM totals t, (SELECT count(*) AS n FROM postings) s WHERE t.postings <> s.n",
    },
    Question {
        law: "L7",
        what: "committed corrections are gone (counted at commit, found)",
        sql: "SELECT t.corrections, s.n FROM totals t, (SELECT count(*) AS n FROM corrections) s \
              WHERE t.corrections <> s.n",
    },
];

/// All questions see the same rows: they are asked in one read transaction.
pub(crate) fn run(conn: &Connection, waiting: u64) -> Result<Report, StoreError> {
    let tx = conn.unchecked_transaction()?;
    let mut violations = pages(&tx)?;
    for question in QUESTIONS {
        violations.extend(ask(&tx, question)?);
    }
    violations.extend(triggers(&tx)?);
    let count = |sql| tx.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
    let postings = count("SELECT count(*) FROM postings")?;
    let pending = count("SELECT count(*) FROM reservations")?;
    Ok(Report { postings, pending, waiting, violations })
}

fn ask(conn: &Connection, question: &Question) -> Result<Vec<Violation>, StoreError> {
    let mut statement = conn.prepare(question.sql)?;
    let columns = statement.column_count();
    if statement.parameter_count() > 0 {
        statement.raw_bind_parameter(1, GRACE_MS)?;
    }
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let mut what = String::from(question.what);
        for column in 0..columns {
            what.push_str(if column == 0 { ": " } else { ", " });
            what.push_str(&show(row.get_ref(column)?));
        }
        found.push(Violation { law: question.law, what });
    }
    Ok(found)
}

fn show(value: rusqlite::types::ValueRef<'_>) -> String {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Null => "none".into(),
        ValueRef::Blob(bytes) => format!("req_{}", hex::encode(bytes)),
        other => other.as_str().map_or_else(|_| format!("{other:?}"), str::to_owned),
    }
}

fn pages(conn: &Connection) -> Result<Vec<Violation>, StoreError> {
    let mut statement = conn.prepare("PRAGMA integrity_check")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let texts: Vec<String> = rows.collect::<Result<_, _>>()?;
    Ok(texts.into_iter().filter(|text| text != "ok").map(|what| Violation { law: "L7", what }).collect())
}

fn triggers(conn: &Connection) -> Result<Vec<Violation>, StoreError> {
    let mut found = Vec::new();
    for name in TRIGGERS {
        let sql = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?1";
        let text: Option<String> = conn.query_row(sql, [name], |row| row.get(0)).optional()?;
        if !text.is_some_and(|text| text.contains("RAISE(ABORT")) {
            found.push(Violation {
                law: "L5",
                what: format!("the trigger {name} is gone: rows can be changed"),
            });
        }
    }
    Ok(found)
}
