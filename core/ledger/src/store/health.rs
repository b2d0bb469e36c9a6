//! Whether the database takes writes, and what waits until it does.
//!
//! The declared mode of a ledger that cannot be written is *closed*: what cannot be held or posted is refused, the door
//! included, until a write goes through again. A posting whose commit failed is told so, and its reply is withheld; the
//! row waits here and is written, without a charge for what was withheld, as soon as the database takes it. What is in
//! the journal waits here as it is: its reply has gone out.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::StoreError;
use super::writer::Row;

/// Between two tries of a database that failed.
pub(super) const RETRY: Duration = Duration::from_millis(500);

/// What the ledger's thread tells everybody: a look at it costs one load.
#[derive(Debug, Default)]
pub(crate) struct Health {
    ill: AtomicBool,
    why: Mutex<Option<StoreError>>,
    unwritten: AtomicU64,
}

/// What the ledger's thread keeps for itself.
#[derive(Default)]
pub(super) struct Kept {
    /// In the order in which they are to be written.
    rows: Vec<Row>,
    next_try: Option<Instant>,
}

impl Health {
    /// Why the last write failed, if none has gone through since.
    pub(crate) fn trouble(&self) -> Option<StoreError> {
        if !self.ill.load(Ordering::Relaxed) {
            return None;
        }
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Postings that wait for the database.
    pub(crate) fn unwritten(&self) -> u64 {
        self.unwritten.load(Ordering::Relaxed)
    }

    fn set(&self, why: Option<StoreError>) {
        let ill = why.is_some();
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.ill.store(ill, Ordering::Relaxed);
    }

    fn is_ill(&self) -> bool {
        self.ill.load(Ordering::Relaxed)
    }
}

impl Kept {
    /// After a write that failed: the first try comes at once, the others in their turn.
    pub(super) fn failed(&mut self, why: StoreError, health: &Health) {
        self.next_try = Some(Instant::now() + if health.is_ill() { RETRY } else { Duration::ZERO });
        health.set(Some(why));
    }

    /// After a write that went through.
    pub(super) fn written(&mut self, health: &Health) {
        if self.next_try.is_none() {
            return;
        }
        if self.rows.is_empty() {
            self.next_try = None;
            health.set(None);
        } else {
            self.next_try = Some(Instant::now());
        }
    }

    /// A row that waits from now on.
    pub(super) fn keep(&mut self, row: Row, health: &Health) {
        health.unwritten.fetch_add(posts([&row]), Ordering::Relaxed);
        self.rows.push(row);
    }

    /// Whether something waits.
    pub(super) const fn holds_some(&self) -> bool {
        !self.rows.is_empty()
    }

    /// How long until the next try; `None`: the database is well.
    pub(super) fn due(&self) -> Option<Duration> {
        self.next_try.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// The first of those that wait.
    pub(super) fn take(&mut self, most: usize, health: &Health) -> Vec<Row> {
        let rest = self.rows.split_off(most.min(self.rows.len()));
        let first = std::mem::replace(&mut self.rows, rest);
        health.unwritten.fetch_sub(posts(&first), Ordering::Relaxed);
        first
    }

    /// Those that were kept last were tried in vain: they are still the first.
    pub(super) fn back_in_front(&mut self, count: usize) {
        let count = count.min(self.rows.len());
        self.rows.rotate_right(count);
    }
}

fn posts<'r>(rows: impl IntoIterator<Item = &'r Row>) -> u64 {
    rows.into_iter().filter(|row| matches!(row, Row::Post(..))).count() as u64
}
