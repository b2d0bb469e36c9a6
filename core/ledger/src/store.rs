//! What the ledger asks of a database, narrow enough that another one can take SQLite's place.
//!
//! Writes are a queue: they happen in the order in which they were queued, each atomically, as many in one transaction
//! as the store likes. Reads block the caller for as long as the database takes; nothing on the request path reads.
//!
//! What is in the journal needs not be waited for: its caller has been answered. Everything else is answered through the
//! write itself, after the commit, and there the store ends a hold in its [`Account`]. So memory never shows more room
//! than rows and journal do (L3).

mod damage;
mod groups;
mod health;
mod interned;
mod migrations;
mod people;
mod rows;
mod sqlite;
mod sums;
mod wal;
mod writer;

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, atomic::AtomicU64};

use serde::{Deserialize, Serialize};

pub use damage::{Damage, Part};
pub(crate) use damage::{free, put_aside};
pub use migrations::SCHEMA_VERSION;
pub(crate) use migrations::TRIGGERS;
pub use sqlite::SqliteStore;
pub(crate) use sqlite::{Opened, open_reader, read_keys, read_usage, unposted};

use crate::account::Account;
use crate::answer::Answerer;
use crate::exchange::{ExchangeId, OpenExchanges};
use crate::fate::Fate;
use crate::journal::Entry;
use crate::people::{Edit, Group, KeyRecord, NewKey, Organisation, Team};
use crate::posting::Posting;
use crate::reservation::SettleError;
use crate::usage::{Query, UsageRow};

/// A database that keeps a ledger.
pub trait Store: Send + Sync + 'static {
    /// Queues a write. If the store is closed the write is dropped, and with it its answer's sender.
    fn write(&self, write: Write);
    /// Everything that memory is built from at the start.
    ///
    /// # Errors
    /// If the database cannot be read.
    fn load(&self) -> Result<Loaded, StoreError>;
    /// All keys.
    ///
    /// # Errors
    /// If the database cannot be read.
    fn keys(&self) -> Result<Vec<KeyRecord>, StoreError>;
    /// All organisations.
    ///
    /// # Errors
    /// If the database cannot be read.
    fn organisations(&self) -> Result<Vec<Organisation>, StoreError>;
    /// All teams.
    ///
    /// # Errors
    /// If the database cannot be read.
    fn teams(&self) -> Result<Vec<Team>, StoreError>;
    /// Sums over postings.
    ///
    /// # Errors
    /// If the database cannot be read.
    fn usage(&self, query: &Query) -> Result<Vec<UsageRow>, StoreError>;
    /// Writes that are queued and not committed.
    fn depth(&self) -> usize;
    /// Whether writes are taken: it is not closed, and its thread is there.
    fn is_open(&self) -> bool;
    /// Why the last write failed, if none has gone through since.
    fn trouble(&self) -> Option<StoreError>;
    /// Commits what is queued and lets go of the database. Blocks.
    fn close(&self);
}

/// One write.
pub enum Write {
    /// Takes over holds that an earlier process left.
    Adopt(Vec<Hold>),
    /// A hold of a hard budget: a row.
    Hold(Hold, Ack<Result<(), HoldError>>),
    /// A hold that ends without a posting.
    Release(ExchangeId, Arc<OpenExchanges>),
    /// A posting, which ends its exchange's hold.
    Post(Box<Post>, Ack<Result<(), SettleError>>),
    /// A change to organisations, teams and keys.
    People(Box<People>, mpsc::Sender<Result<Changed, StoreError>>),
    /// Answers when everything queued before it is committed, and holds past their time are ended.
    Flush(Answerer<()>),
}

/// What whoever asked for a row goes by.
pub enum Ack<T> {
    /// It waits for this answer, after the commit.
    Commit(Answerer<T>),
    /// The row is in the journal, and it has gone on.
    Journal(Entry),
    /// It has been told that the commit failed.
    Failed,
}

/// Money held for an exchange.
#[derive(Debug, Clone)]
pub struct Hold {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Row id of the key.
    pub key: i64,
    /// Whose money.
    pub account: Arc<Account>,
    /// The budget's period in which it is held.
    pub period: i64,
    /// Nano-dollars.
    pub amount: i64,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds after which it is let go by itself.
    pub expires_ms: i64,
    /// Whether it still can be.
    pub fate: Arc<Fate>,
}

/// A posting on its way.
pub struct Post {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Row id of the key.
    pub key: i64,
    /// What is written.
    pub posting: Posting,
    /// The key's account, if it has a budget.
    pub hold: Option<Hold>,
    /// Where the exchange is open until now.
    pub open: Arc<OpenExchanges>,
}

/// A change to organisations, teams and keys.
pub enum People {
    /// A new organisation with a retention wish.
    Organisation(Organisation),
    /// A new team of an organisation (by its public id).
    Team(Team),
    /// Another name or other wishes of an organisation or team (by its public id).
    Edit(Group, String, Edit),
    /// A new key with its tag and public id.
    Key(NewKey, [u8; 32], String),
    /// Takes a key back (by its public id).
    Revoke(String),
}

/// What a change made.
pub enum Changed {
    /// Done.
    Done,
    /// The new key.
    Key(Box<KeyRecord>),
    /// The keys that it concerns, as they are now.
    Keys(Vec<KeyRecord>),
}

/// What memory is built from.
pub struct Loaded {
    /// All keys, revoked ones too.
    pub keys: Vec<KeyRecord>,
    /// `(budget, period, posted)`
    pub balances: Vec<(i64, i64, i64)>,
    /// Holds that are rows.
    pub pending: Vec<PendingRow>,
}

/// A hold as it stands in its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRow {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Row id of the key.
    pub key: i64,
    /// Row id of the budget.
    pub budget: i64,
    /// Its period.
    pub period: i64,
    /// Nano-dollars.
    pub amount: i64,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds.
    pub expires_ms: i64,
}

impl Write {
    /// Whether somebody waits for it.
    pub(crate) const fn is_awaited(&self) -> bool {
        match self {
            Self::Hold(_, ack) => !ack.is_journalled(),
            Self::Post(_, ack) => !ack.is_journalled(),
            Self::Adopt(_) | Self::Release(..) | Self::People(..) | Self::Flush(_) => true,
        }
    }
}

impl<T> Ack<T> {
    pub(crate) const fn is_journalled(&self) -> bool {
        matches!(self, Self::Journal(_))
    }
}

impl Post {
    /// What may be charged while its hold stands.
    pub(crate) fn allowed(&self) -> i64 {
        let asked = self.posting.charged.0;
        match &self.hold {
            Some(hold) if hold.account.budget().hard => asked.min(hold.amount),
            _ => asked,
        }
    }
}

/// What a store counts; shared with its thread.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) queued: AtomicU64,
    /// Those of them that somebody waits for.
    pub(crate) awaited: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) failed_commits: AtomicU64,
    pub(crate) postings: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) last_commit_ms: std::sync::atomic::AtomicI64,
    /// Transactions by how long they took: see [`COMMIT_SECONDS`].
    pub(crate) commit_times: [AtomicU64; COMMIT_SECONDS.len() + 1],
    pub(crate) commit_nanos: AtomicU64,
    pub(crate) health: health::Health,
}

/// Bounds of the counts of [`Stats::commit_times`](crate::Stats::commit_times), in seconds.
pub const COMMIT_SECONDS: [f64; 11] = [1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5, 2.5];

impl Counters {
    pub(crate) fn commit_took(&self, took: std::time::Duration) {
        let seconds = took.as_secs_f64();
        let bucket =
            COMMIT_SECONDS.iter().position(|bound| seconds <= *bound).unwrap_or(COMMIT_SECONDS.len());
        self.commit_times[bucket].fetch_add(1, Ordering::Relaxed);
        self.commit_nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Why a hold is no row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    /// The exchange has a reservation or a posting.
    #[error("the exchange has been reserved for before")]
    Duplicate,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StoreError),
}

/// The database failed, or said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database failed; the text is its own.
    #[error("ledger storage: {0}")]
    Database(String),
    /// Something that was named is not there.
    #[error("no {what} {name:?}")]
    Missing {
        /// `organisation`, `team` or `key`.
        what: &'static str,
        /// As it was asked for.
        name: String,
    },
    /// A name that is taken.
    #[error("{what} {name:?} exists already")]
    Exists {
        /// `organisation` or `team`.
        what: &'static str,
        /// As it was asked for.
        name: String,
    },
    /// A value that cannot be stored.
    #[error("{0}")]
    Invalid(String),
    /// The ledger is shut.
    #[error("the ledger is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.to_string())
    }
}
