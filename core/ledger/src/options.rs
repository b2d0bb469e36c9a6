//! How a ledger is opened, and why it was not.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;
use crate::lock::LockError;
use crate::pepper::Pepper;
use crate::store::StoreError;

/// How a ledger is opened.
#[derive(Clone)]
pub struct Options {
    /// What a commit survives.
    pub sync: Sync,
    /// The secret under which keys are hashed.
    pub pepper: Pepper,
    /// Where this process's admin API listens: told to whoever finds the ledger locked.
    pub admin_addr: Option<String>,
    /// How long a hard budget's hold stands if nobody resolves it: the longest an exchange may last, and a margin.
    pub hold_timeout: Duration,
    /// The wall clock.
    pub clock: Clock,
}

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// The end of this process, also by `kill -9`. Replies wait for the journal, not for the commit.
    #[default]
    Normal,
    /// The loss of power as well; each commit waits for the disk.
    Full,
}

/// Why a ledger was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the ledger is in use by process {}{}", pid.map_or_else(|| "(unknown)".into(), |pid| pid.to_string()),
        admin.as_ref().map(|at| format!("; its admin API is at {at}")).unwrap_or_default())]
    Locked {
        /// Whose pid.
        pid: Option<u32>,
        /// Where its admin API listens.
        admin: Option<String>,
    },
    /// A later version of Weir has written it.
    #[error("the ledger's schema is version {found}, this binary knows {known}: use a newer weir")]
    Newer {
        /// In the file.
        found: i64,
        /// In this binary.
        known: i64,
    },
    /// It needs a migration, which only a server makes.
    #[error("the ledger's schema is version {found}, this binary reads {known}: start `weir serve` once")]
    Older {
        /// In the file.
        found: i64,
        /// In this binary.
        known: i64,
    },
    /// The keys in it were hashed under another pepper.
    #[error(
        "the pepper is not the one that the ledger's keys were made with: put the old `pepper` file back"
    )]
    WrongPepper,
    /// There is no ledger.
    #[error("there is no ledger at {}", .0.display())]
    Missing(PathBuf),
    /// A file of its journal is another version's.
    #[error(
        "{} is not a journal that this binary reads: start the `weir` that wrote it once, or move the file away and \
         lose what it holds", .0.display()
    )]
    Journal(PathBuf),
    /// The directory or the lock file.
    #[error("cannot open the ledger's directory: {0}")]
    Io(#[from] io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Options {
    /// Default sync and clock, no admin address, ten minutes and a half.
    #[must_use]
    pub const fn new(pepper: Pepper) -> Self {
        let hold_timeout = Duration::from_secs(630);
        Self { sync: Sync::Normal, pepper, admin_addr: None, hold_timeout, clock: Clock::system() }
    }
}

impl From<LockError> for OpenError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held(holder) => Self::Locked { pid: holder.pid, admin: holder.admin },
            LockError::Io(error) => Self::Io(error),
        }
    }
}
