//! A ledger seen from outside: no lock, no writes, also while a server runs.

use std::path::Path;

use rusqlite::Connection;

use crate::check::{self, Report};
use crate::options::OpenError;
use crate::people::KeyRow;
use crate::store::{StoreError, open_reader, read_keys, read_usage};
use crate::usage::{Query, UsageRow};

/// An open view. Each question sees what was acknowledged before it was opened, and the rows that were committed when it
/// was asked.
pub struct Reader {
    conn: Connection,
    waiting: u64,
}

impl Reader {
    pub(crate) fn open(dir: &Path) -> Result<Self, OpenError> {
        open_reader(dir).map(|(conn, waiting)| Self { conn, waiting })
    }

    /// Postings that are in the journal and no rows yet: a process that runs, or the next that starts, makes them so.
    #[must_use]
    pub const fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Sums over postings.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn usage(&self, query: &Query) -> Result<Vec<UsageRow>, StoreError> {
        read_usage(&self.conn, query)
    }

    /// All keys, revoked ones too, oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn list_keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        Ok(read_keys(&self.conn)?.into_iter().map(|record| record.key).collect())
    }

    /// Looks for broken invariants.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn check(&self) -> Result<Report, StoreError> {
        check::run(&self.conn, self.waiting)
    }
}
