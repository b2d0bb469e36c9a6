//! The ledger in one SQLite file: a connection for the writing thread, short-lived ones for reads.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::writer::Writer;
use super::{
    Counters, Damage, Loaded, PendingRow, Store, StoreError, Write, groups, migrations, people, sums, wal,
};
use crate::clock::Clock;
use crate::exchange::ExchangeId;
use crate::journal::{self, Asides, Journal};
use crate::lock::{self, Lock};
use crate::options::{OpenError, Sync};
use crate::people::{KeyRecord, Organisation, Team};
use crate::usage::{Query, UsageRow};

const FILE: &str = "ledger.sqlite3";
/// Another process may read, or copy, while we write; nobody else writes.
const BUSY: Duration = Duration::from_secs(5);
/// For how long whoever reads waits for a server that makes no headway, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(2);
/// 16 MiB of write-ahead log between checkpoints: each costs two syncs.
const CHECKPOINT_PAGES: i64 = 4096;

/// The one [`Store`] of this version.
pub struct SqliteStore {
    path: PathBuf,
    queue: RwLock<Option<Sender<Write>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The thread, to be woken when it lets rows gather.
    gatherer: Thread,
    counters: Arc<Counters>,
}

/// A store, and what its opening came to.
pub(crate) struct Opened {
    pub(crate) store: SqliteStore,
    /// Where rows are written down first.
    pub(crate) journal: Option<Arc<Journal>>,
    /// What the ledger's files had lost.
    pub(crate) damage: Vec<Damage>,
    /// Its journal's files that are to be put aside.
    pub(crate) asides: Asides,
    /// Postings that were in the journal, and no rows.
    pub(crate) replayed: u64,
    /// There was none before.
    pub(crate) made: bool,
}

impl SqliteStore {
    /// Opens or makes `dir/ledger.sqlite3`, writes what an earlier process has left in its journal, and starts the
    /// writing thread, which keeps the lock until it ends.
    pub(crate) fn start(
        dir: &Path,
        sync: Sync,
        pepper_mark: &str,
        clock: Clock,
        lock: Lock,
    ) -> Result<Opened, OpenError> {
        let path = dir.join(FILE);
        let made = !path.exists();
        let mut damage: Vec<_> = wal::look(&path)?.into_iter().collect();
        let mut conn = Connection::open(&path).map_err(StoreError::from)?;
        configure(&conn, sync).map_err(StoreError::from)?;
        let found = migrations::run(&mut conn).map_err(StoreError::from)?;
        refuse_newer(found)?;
        check_pepper(&conn, pepper_mark)?;
        let left = journal::left(dir, &key_ids(&conn).map_err(StoreError::from)?)?;
        damage.extend(left.damage);
        let journal = (sync == Sync::Normal).then(|| Arc::new(Journal::new(dir.to_owned(), left.number)));
        let (records, asides) = (left.records, left.asides);
        let counters = Arc::new(Counters::default());
        let (queue, writes) = mpsc::channel();
        let (started, ready) = mpsc::channel();
        let (shared, closed_at_end) = (Arc::clone(&counters), Closed(journal.clone()));
        let run = move || {
            // The journal is closed before the lock is let go, whatever ends this thread.
            let _lock = lock;
            let _closed = closed_at_end;
            let writer = Writer::new(&conn, &writes, shared, clock).map_err(StoreError::from);
            let replayed = writer.and_then(|mut writer| {
                let replayed = writer.replay(records, pending(&conn)?)?;
                Ok((writer, replayed))
            });
            match replayed {
                Ok((writer, replayed)) => {
                    let _ = started.send(Ok(replayed));
                    writer.run();
                }
                Err(error) => drop(started.send(Err(error))),
            }
        };
        let thread = thread::Builder::new().name("ledger".into()).spawn(run).map_err(OpenError::Io)?;
        let replayed = ready.recv().unwrap_or(Err(StoreError::Closed))?;
        let gatherer = thread.thread().clone();
        let (queue, thread) = (RwLock::new(Some(queue)), Mutex::new(Some(thread)));
        let store = Self { path, queue, thread, gatherer, counters };
        Ok(Opened { store, journal, damage, asides, replayed, made })
    }

    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    fn reader(&self) -> Result<Connection, StoreError> {
        Ok(connect_reader(&self.path)?)
    }
}

/// Takes no records any more once it is dropped: there is nobody who would make rows of them.
struct Closed(Option<Arc<Journal>>);

impl Drop for Closed {
    fn drop(&mut self) {
        if let Some(journal) = &self.0 {
            journal.close();
        }
    }
}

impl Store for SqliteStore {
    fn write(&self, write: Write) {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queue.as_ref() {
            let awaited = write.is_awaited();
            self.counters.queued.fetch_add(1, Ordering::Relaxed);
            self.counters.awaited.fetch_add(awaited.into(), Ordering::Relaxed);
            // The thread ends only after the queue is gone.
            let _ = queue.send(write);
            if awaited {
                self.gatherer.unpark();
            }
        }
    }

    fn load(&self) -> Result<Loaded, StoreError> {
        let conn = self.reader()?;
        Ok(Loaded { keys: people::keys(&conn)?, balances: balances(&conn)?, pending: pending(&conn)? })
    }

    fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        people::keys(&self.reader()?)
    }

    fn organisations(&self) -> Result<Vec<Organisation>, StoreError> {
        groups::organisations(&self.reader()?)
    }

    fn teams(&self) -> Result<Vec<Team>, StoreError> {
        groups::teams(&self.reader()?)
    }

    fn usage(&self, query: &Query) -> Result<Vec<UsageRow>, StoreError> {
        sums::usage(&self.reader()?, query)
    }

    fn depth(&self) -> usize {
        usize::try_from(self.counters.queued.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    fn is_open(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn trouble(&self) -> Option<StoreError> {
        self.counters.health.trouble()
    }

    fn close(&self) {
        drop(self.queue.write().unwrap_or_else(PoisonError::into_inner).take());
        self.gatherer.unpark();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the thread has been reported by the runtime; there is nothing left to close then.
            let _ = thread.join();
        }
    }
}

/// A connection that cannot write, for a command line beside a running server. It sees what the server has
/// acknowledged up to now: rows that follow the journal are waited for.
pub(crate) fn open_reader(dir: &Path) -> Result<(Connection, u64), OpenError> {
    let path = dir.join(FILE);
    match path.metadata() {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(OpenError::Missing(path)),
        // There may be one that this user must not see.
        Err(error) => {
            let why = format!("{}: {error}", path.display());
            return Err(OpenError::Io(io::Error::new(error.kind(), why)));
        }
    }
    let conn = connect_reader(&path).map_err(StoreError::from)?;
    let found = migrations::version(&conn).map_err(StoreError::from)?;
    refuse_newer(found)?;
    if found < super::SCHEMA_VERSION {
        return Err(OpenError::Older { found, known: super::SCHEMA_VERSION });
    }
    let waiting = catch_up(dir, &conn)?;
    Ok((conn, waiting))
}

/// Waits until what is in the journal now is in the database, if there is a process that sees to it; answers how many
/// postings are not.
fn catch_up(dir: &Path, conn: &Connection) -> Result<u64, OpenError> {
    let mut waiting = unposted(conn, journal::postings(dir, &key_ids(conn).map_err(StoreError::from)?)?)?;
    let mut patience = PATIENCE;
    while !waiting.is_empty() && !patience.is_zero() && lock::is_held(dir) {
        thread::sleep(LOOK);
        let before = waiting.len();
        waiting = unposted(conn, waiting)?;
        patience = if waiting.len() < before { PATIENCE } else { patience.saturating_sub(LOOK) };
    }
    Ok(waiting.len() as u64)
}

/// Those of the exchanges that have no posting.
pub(crate) fn unposted(
    conn: &Connection,
    mut exchanges: Vec<ExchangeId>,
) -> Result<Vec<ExchangeId>, StoreError> {
    let mut find = conn.prepare("SELECT 1 FROM postings WHERE exchange = ?1")?;
    let mut failed = Ok(());
    exchanges.retain(|exchange| match find.exists([exchange]) {
        Ok(there) => !there,
        Err(error) => {
            failed = Err(error);
            true
        }
    });
    failed?;
    Ok(exchanges)
}

/// Keys, for a reader.
pub(crate) fn read_keys(conn: &Connection) -> Result<Vec<KeyRecord>, StoreError> {
    people::keys(conn)
}

/// Sums, for a reader.
pub(crate) fn read_usage(conn: &Connection, query: &Query) -> Result<Vec<UsageRow>, StoreError> {
    sums::usage(conn, query)
}

fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY)?;
    Ok(conn)
}

fn configure(conn: &Connection, sync: Sync) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "journal_mode", "wal")?;
    conn.pragma_update(
        None,
        "synchronous",
        match sync {
            Sync::Normal => "normal",
            Sync::Full => "full",
        },
    )?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    conn.pragma_update(None, "foreign_keys", true)
}

const fn refuse_newer(found: i64) -> Result<(), OpenError> {
    if found > super::SCHEMA_VERSION {
        return Err(OpenError::Newer { found, known: super::SCHEMA_VERSION });
    }
    Ok(())
}

/// Keys hashed under another pepper are all unknown: say so at the start, not with 401s.
fn check_pepper(conn: &Connection, mark: &str) -> Result<(), OpenError> {
    let found = conn
        .query_row("SELECT value FROM meta WHERE name = 'pepper'", [], |row| row.get::<_, String>(0))
        .optional()
        .map_err(StoreError::from)?;
    match found {
        Some(found) if found == mark => Ok(()),
        Some(_) => Err(OpenError::WrongPepper),
        None => {
            let insert = conn.execute("INSERT INTO meta VALUES ('pepper', ?1)", [mark]);
            insert.map(drop).map_err(|error| StoreError::from(error).into())
        }
    }
}

fn key_ids(conn: &Connection) -> rusqlite::Result<HashSet<i64>> {
    conn.prepare("SELECT id FROM keys")?.query_map([], |row| row.get(0))?.collect()
}

fn balances(conn: &Connection) -> rusqlite::Result<Vec<(i64, i64, i64)>> {
    // Only a budget's last period can be the present one.
    let mut statement = conn.prepare("SELECT budget, max(period), posted FROM balances GROUP BY budget")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

fn pending(conn: &Connection) -> rusqlite::Result<Vec<PendingRow>> {
    let mut statement =
        conn.prepare("SELECT exchange, key, budget, period, hold, created_ms, expires_ms FROM reservations")?;
    statement.query_map([], read_pending)?.collect()
}

fn read_pending(row: &Row<'_>) -> rusqlite::Result<PendingRow> {
    Ok(PendingRow {
        exchange: row.get::<_, ExchangeId>(0)?,
        key: row.get(1)?,
        budget: row.get(2)?,
        period: row.get(3)?,
        amount: row.get(4)?,
        created_ms: row.get(5)?,
        expires_ms: row.get(6)?,
    })
}
