//! The statements of the ledger's thread, prepared once, and how values become columns.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement, params};
use std::time::{Duration, Instant};
use weir_llm::usage::Source;

use super::interned::Services;
use super::{Hold, Post};
use crate::exchange::{ExchangeId, Form};

/// Prepared statements on the ledger's connection.
pub(super) struct Statements<'c> {
    conn: &'c Connection,
    services: Services<'c>,
    began: Instant,
    begin: Statement<'c>,
    commit: Statement<'c>,
    rollback: Statement<'c>,
    post: Statement<'c>,
    settled: Statement<'c>,
    hold: Statement<'c>,
    unhold: Statement<'c>,
    correct: Statement<'c>,
    balance: Statement<'c>,
    totals: Statement<'c>,
    swept: Statement<'c>,
}

/// Why a hold ended without a posting; the column `corrections.kind`.
#[derive(Clone, Copy)]
pub(super) enum Correction {
    Expired = 1,
    Released = 2,
}

const POST: &str = "INSERT INTO postings (exchange, request, at_ms, key, service, outcome, attempts, stream, \
    usage_source, input, cached_input, cache_write_5m, cache_write_1h, output, reasoning, input_audio, output_audio, \
    image, charged, provider_cost, saved_cached, saved_cache, generation, ttft_ms, total_ms, budget, period, cut, \
    images, seconds, characters, search_units) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, \
    ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32)";

impl<'c> Statements<'c> {
    pub(super) fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            services: Services::new(conn)?,
            began: Instant::now(),
            begin: conn.prepare("BEGIN IMMEDIATE")?,
            commit: conn.prepare("COMMIT")?,
            rollback: conn.prepare("ROLLBACK")?,
            post: conn.prepare(POST)?,
            settled: conn.prepare(
                "SELECT 1 FROM postings WHERE exchange = ?1 UNION ALL SELECT 1 FROM corrections WHERE exchange = ?1",
            )?,
            hold: conn.prepare("INSERT INTO reservations VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?,
            unhold: conn.prepare("DELETE FROM reservations WHERE exchange = ?1")?,
            correct: conn.prepare(
                "INSERT INTO corrections (exchange, at_ms, kind, key, budget, period, hold, amount) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)",
            )?,
            balance: conn.prepare(
                "INSERT INTO balances VALUES (?1, ?2, ?3) \
                 ON CONFLICT (budget, period) DO UPDATE SET posted = posted + excluded.posted",
            )?,
            totals: conn.prepare(
                "UPDATE totals SET postings = postings + ?1, charged = charged + ?2, corrections = corrections + ?3",
            )?,
            swept: conn.prepare("UPDATE totals SET swept_ms = max(swept_ms, ?1)")?,
        })
    }

    pub(super) fn begin(&mut self) -> rusqlite::Result<()> {
        self.began = Instant::now();
        self.begin.execute([]).map(drop)
    }

    /// How long the latest transaction has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn commit(&mut self) -> rusqlite::Result<()> {
        self.commit.execute([]).map(drop)
    }

    /// Some errors end a transaction by themselves; after this there is none, whatever happened.
    pub(super) fn rollback(&mut self) {
        self.services.forget();
        if !self.conn.is_autocommit() {
            let _ = self.rollback.execute([]);
        }
    }

    /// False if the exchange has a posting.
    pub(super) fn post(&mut self, post: &Post, charged: i64, cut: Option<i64>) -> rusqlite::Result<bool> {
        let service = self.services.id(self.conn, &post.posting)?;
        let p = &post.posting;
        let u = &p.usage;
        let hold = post.hold.as_ref();
        let done = self.post.execute(params![
            post.exchange,
            p.request_id.as_deref(),
            p.at_ms,
            post.key,
            service,
            p.status.code(),
            p.attempts,
            p.stream,
            source_code(p.usage_source),
            units(u.input),
            units(u.cached_input),
            units(u.cache_write_5m),
            units(u.cache_write_1h),
            units(u.output),
            units(u.reasoning),
            units(u.input_audio),
            units(u.output_audio),
            units(u.image),
            charged,
            p.provider_cost.map(|cost| cost.0),
            p.saved_by_cached_input.0,
            p.saved_by_cache.0,
            i64::try_from(p.generation).unwrap_or(i64::MAX),
            p.ttft_ms,
            p.total_ms,
            hold.map(|hold| hold.account.budget().id),
            hold.map(|hold| hold.period),
            cut,
            units(u.images),
            units(u.seconds),
            units(u.characters),
            units(u.search_units),
        ]);
        unless_taken(done)
    }

    /// False if the exchange has a reservation, a posting or a release.
    pub(super) fn hold(&mut self, hold: &Hold) -> rusqlite::Result<bool> {
        if self.settled.exists([&hold.exchange])? {
            return Ok(false);
        }
        let budget = hold.account.budget().id;
        unless_taken(self.hold.execute(params![
            hold.exchange,
            hold.key,
            budget,
            hold.period,
            hold.amount,
            hold.created_ms,
            hold.expires_ms
        ]))
    }

    pub(super) fn unhold(&mut self, exchange: &ExchangeId) -> rusqlite::Result<()> {
        self.unhold.execute([exchange]).map(drop)
    }

    /// The row that lets a hold go without a posting.
    pub(super) fn correct(&mut self, hold: &Hold, why: Correction, now_ms: i64) -> rusqlite::Result<()> {
        let budget = hold.account.budget().id;
        self.correct.execute(params![
            hold.exchange,
            now_ms,
            why as i64,
            hold.key,
            budget,
            hold.period,
            hold.amount
        ])?;
        self.unhold(&hold.exchange)
    }

    pub(super) fn add_to_balance(&mut self, budget: i64, period: i64, charged: i64) -> rusqlite::Result<()> {
        self.balance.execute([budget, period, charged]).map(drop)
    }

    pub(super) fn add_to_totals(
        &mut self,
        postings: i64,
        charged: i64,
        corrections: i64,
    ) -> rusqlite::Result<()> {
        self.totals.execute([postings, charged, corrections]).map(drop)
    }

    pub(super) fn swept(&mut self, now_ms: i64) -> rusqlite::Result<()> {
        self.swept.execute([now_ms]).map(drop)
    }
}

/// A row that breaks a unique index is not written; the transaction goes on.
fn unless_taken(done: rusqlite::Result<usize>) -> rusqlite::Result<bool> {
    match done {
        Ok(_) => Ok(true),
        Err(rusqlite::Error::SqliteFailure(error, _)) if is_taken(error.extended_code) => Ok(false),
        Err(error) => Err(error),
    }
}

const fn is_taken(extended_code: i32) -> bool {
    matches!(
        extended_code,
        rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
    )
}

/// No exchange uses four billion units of a class: an upstream that says so must not overflow our sums.
fn units(count: u64) -> i64 {
    i64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

const fn source_code(source: Source) -> i64 {
    match source {
        Source::Provider => 0,
        Source::GatewayCount => 1,
        Source::Estimate => 2,
    }
}

impl ToSql for ExchangeId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.form() {
            Form::Bytes(bytes) => ValueRef::Blob(bytes),
            Form::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl FromSql for ExchangeId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) => {
                let bytes = <[u8; 16]>::try_from(bytes).map_err(|_| FromSqlError::InvalidType)?;
                Ok(Self::from_bytes(bytes))
            }
            _ => value.as_str().map(Self::parse),
        }
    }
}
