//! What is held and posted, written down before it is a row.
//!
//! A commit costs tens of microseconds, and a switch to the ledger's thread and back; a write to a file costs one, for
//! everything that has gathered. So a reply waits for that write alone, and the rows follow, many in one transaction.
//! What has been written survives `kill -9`: the page cache is not the process's. The loss of power it may not survive,
//! and neither may a commit at `sync: normal`, the only setting under which there is a journal.
//!
//! Records gather while tasks that are ready take their turn: whoever has put one in lets the others go first, once, and
//! then writes out what is there. That is one system call for all who settle in the same round, and it keeps them in
//! step: a worker runs the same code for many exchanges in a row, which its caches thank it for (a tenth of all its time
//! at thirty callers, measured).
//!
//! The journal is a number of segments, `ledger.journal-N`, each a file that is only ever appended to. An [`Entry`] is a
//! record that is in a segment and is not yet a row. A segment's file goes with its last entry, if all of them became
//! rows; else it stays, and the next start writes its records to the database: a second time does nothing, since an
//! exchange has one row.
//!
//! A segment is [`HEADER`], a salt of four bytes, and frames: the payload's length and its CRC-32 from the salt on, four
//! bytes each, little-endian, then the payload, a [`Record`] as `postcard` writes it. Callers choose some of what is in a
//! record; without the salt they could put a frame of their own there, for whoever looks for one behind a damaged place.

mod read;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::exchange::ExchangeId;
use crate::posting::Posting;
use crate::store::{Hold, PendingRow, Post};

pub(crate) use read::{Asides, left, postings};

/// Names the version of the records: another version's are not guessed at.
const HEADER: &[u8] = b"weir ledger journal 1\n";
const NAME: &str = "ledger.journal-";
/// Five thousand exchanges or so: what is taken away soon leaves its memory to the next.
const SEGMENT: u64 = 1 << 20;
/// Between two tries of a disk that did not take a record.
const RETRY: Duration = Duration::from_millis(500);
/// A write that takes longer than this is one that waits for the disk, and a worker with it.
const SLOW: Duration = Duration::from_millis(50);
/// After such a one, whoever settles waits for the database, which has a thread of its own to wait with.
const REST: Duration = Duration::from_secs(10);
/// Length and checksum.
const FRAME: usize = 8;
/// The longest record; what is longer waits for the database.
const ROOM: usize = 1024;
/// With so much in it, it is written out before anything is added.
const GATHERED: usize = 256 << 10;

/// What is written down. `P` is a posting, or a reference to one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Record<P> {
    /// The hold of a hard budget.
    Hold(PendingRow),
    /// A posting, which ends its exchange's hold.
    Post(Posted<P>),
}

/// A posting and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Posted<P> {
    pub(crate) exchange: ExchangeId,
    pub(crate) key: i64,
    pub(crate) hold: Option<Held>,
    pub(crate) posting: P,
}

/// What a posting has to know of its hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) budget: i64,
    pub(crate) hard: bool,
    pub(crate) period: i64,
    pub(crate) amount: i64,
}

/// Where records are appended.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The next segment's.
    number: u64,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// No segment is open. After a failure: none is tried before that moment.
    Rests(Option<Instant>),
    Writes(Current),
    Closed,
}

/// The segment that is appended to.
#[derive(Debug)]
struct Current {
    file: File,
    salt: u32,
    /// Not in the file yet.
    gathered: Vec<u8>,
    segment: Arc<Segment>,
}

/// A file of the journal; it goes when the last entry does, if all of them are rows.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    /// It is put aside by somebody else, and not taken away.
    stays: bool,
    /// Bytes that are in the file.
    length: AtomicU64,
    /// Entries that are not rows.
    unwritten: AtomicU64,
}

/// A record on its way into a segment.
#[derive(Debug)]
pub(crate) struct Ticket {
    segment: Arc<Segment>,
    /// Where it ends in the file.
    end: u64,
}

/// A record that is not yet a row.
#[derive(Debug)]
#[must_use = "a segment whose entries are not marked as written stays for the next start"]
pub struct Entry(Arc<Segment>);

impl Journal {
    /// Begins behind the segments that were found.
    pub(crate) const fn new(dir: PathBuf, number: u64) -> Self {
        Self { dir, state: Mutex::new(State { number, phase: Phase::Rests(None) }) }
    }

    /// Puts a record in; `None`: it cannot be, and whoever asks has to wait for the database.
    pub(crate) fn append(&self, record: &Record<&Posting>) -> Option<Ticket> {
        let mut room = [0; ROOM];
        let payload = postcard::to_slice(record, &mut room).ok()?;
        self.state().append(&self.dir, payload)
    }

    /// Sees to it that a record is in its file; `None`: it is not, and never will be.
    pub(crate) fn write_out(&self, Ticket { segment, end }: Ticket) -> Option<Entry> {
        let is_there = || segment.length.load(Ordering::Acquire) >= end;
        if !is_there() {
            self.state().write_out(Some(&segment));
        }
        is_there().then(|| segment.entry())
    }

    /// Takes no records any more.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.write_out(None);
        state.phase = Phase::Closed;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, dir: &Path, payload: &[u8]) -> Option<Ticket> {
        if let Phase::Writes(current) = &self.phase {
            if current.gathered.len() >= GATHERED {
                self.write_out(None);
            } else if current.end() >= SEGMENT {
                self.write_out(None);
                if matches!(self.phase, Phase::Writes(_)) {
                    self.phase = Phase::Rests(None);
                }
            }
        }
        if let Phase::Rests(until) = self.phase {
            if until.is_some_and(|until| Instant::now() < until) {
                return None;
            }
            let created = Current::create(dir, self.number);
            self.number += 1;
            self.phase = created.map_or_else(|_| Phase::resting(RETRY), Phase::Writes);
        }
        let Phase::Writes(current) = &mut self.phase else { return None };
        let sum = checksum(current.salt, payload).to_le_bytes();
        let length = u32::try_from(payload.len()).ok()?.to_le_bytes();
        for part in [&length[..], &sum[..], payload] {
            current.gathered.extend_from_slice(part);
        }
        Some(Ticket { segment: Arc::clone(&current.segment), end: current.end() })
    }

    /// Of this segment, if one is named: another one's has been written out before.
    fn write_out(&mut self, segment: Option<&Arc<Segment>>) {
        let Phase::Writes(current) = &mut self.phase else { return };
        if segment.is_some_and(|segment| !Arc::ptr_eq(segment, &current.segment)) {
            return;
        }
        let began = Instant::now();
        if !current.write_out() {
            // Half a frame may be at its end: nothing is put behind it.
            self.phase = Phase::resting(RETRY);
        } else if began.elapsed() > SLOW {
            self.phase = Phase::resting(REST);
        }
    }
}

impl Phase {
    fn resting(time: Duration) -> Self {
        Self::Rests(Some(Instant::now() + time))
    }
}

impl Current {
    fn create(dir: &Path, number: u64) -> io::Result<Self> {
        let path = dir.join(format!("{NAME}{number:06}"));
        let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        let segment = Segment::new(path, false);
        let salt = getrandom::u32().map_err(io::Error::other)?;
        let header = [HEADER, &salt.to_le_bytes()].concat();
        file.write_all(&header)?;
        segment.length.store(header.len() as u64, Ordering::Release);
        Ok(Self { file, salt, gathered: Vec::new(), segment: Arc::new(segment) })
    }

    fn end(&self) -> u64 {
        self.segment.length.load(Ordering::Acquire) + self.gathered.len() as u64
    }

    /// False if not all of it went in: a full disk takes what it has room for.
    fn write_out(&mut self) -> bool {
        let written = self.file.write(&self.gathered).unwrap_or(0);
        self.segment.length.fetch_add(written as u64, Ordering::Release);
        let all = written == self.gathered.len();
        self.gathered.clear();
        all
    }
}

impl Segment {
    const fn new(path: PathBuf, stays: bool) -> Self {
        Self { path, stays, length: AtomicU64::new(0), unwritten: AtomicU64::new(0) }
    }

    fn entry(self: &Arc<Self>) -> Entry {
        self.unwritten.fetch_add(1, Ordering::Relaxed);
        Entry(Arc::clone(self))
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if self.unwritten.load(Ordering::Relaxed) == 0 && !self.stays {
            // A file that is still there is read once more at the next start, and adds nothing.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Entry {
    /// The record is a row now, or needs not become one.
    pub(crate) fn written(self) {
        self.0.unwritten.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<P> Record<P> {
    const fn key(&self) -> i64 {
        match self {
            Self::Hold(row) => row.key,
            Self::Post(posted) => posted.key,
        }
    }
}

impl<'a> From<&'a Post> for Record<&'a Posting> {
    fn from(post: &'a Post) -> Self {
        let hold = post.hold.as_ref().map(|hold| {
            let budget = hold.account.budget();
            Held { budget: budget.id, hard: budget.hard, period: hold.period, amount: hold.amount }
        });
        Self::Post(Posted { exchange: post.exchange.clone(), key: post.key, hold, posting: &post.posting })
    }
}

impl From<&Hold> for Record<&Posting> {
    fn from(hold: &Hold) -> Self {
        let Hold { key, period, amount, created_ms, expires_ms, .. } = *hold;
        let (exchange, budget) = (hold.exchange.clone(), hold.account.budget().id);
        Self::Hold(PendingRow { exchange, key, budget, period, amount, created_ms, expires_ms })
    }
}

fn checksum(salt: u32, payload: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new_with_initial(salt);
    sum.update(payload);
    sum.finalize()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;

    use super::*;

    /// The file is a pipe, so that the test decides how long a write takes.
    fn pipe(dir: &Path) -> (Journal, std::io::PipeReader) {
        let (reader, writer) = std::io::pipe().unwrap();
        let segment = Arc::new(Segment::new(dir.join("none"), false));
        let current = Current { file: OwnedFd::from(writer).into(), salt: 1, gathered: Vec::new(), segment };
        let state = Mutex::new(State { number: 1, phase: Phase::Writes(current) });
        (Journal { dir: dir.to_owned(), state }, reader)
    }

    fn hold(journal: &Journal) -> Option<Ticket> {
        let exchange = ExchangeId::from_bytes([1; 16]);
        let row =
            PendingRow { exchange, key: 1, budget: 1, period: 0, amount: 1, created_ms: 1, expires_ms: 2 };
        journal.append(&Record::Hold(row))
    }

    #[test]
    fn a_disk_that_keeps_a_worker_waiting_is_left_alone_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, mut reader) = pipe(dir.path());
        let quick = hold(&journal).unwrap();
        journal.write_out(quick).unwrap().written();
        assert!(matches!(journal.state().phase, Phase::Writes(_)));
        // More than a pipe holds.
        let mut tickets = Vec::new();
        while journal.state().gathered() < 200_000 {
            tickets.push(hold(&journal).unwrap());
        }
        let reading = std::thread::spawn(move || {
            std::thread::sleep(SLOW * 2);
            std::io::copy(&mut reader.by_ref().take(200_000), &mut std::io::sink()).unwrap();
            reader
        });
        for ticket in tickets {
            journal.write_out(ticket).expect("it is slow and there").written();
        }
        assert!(hold(&journal).is_none(), "whoever comes next waits for the database");
        assert!(
            matches!(journal.state().phase, Phase::Rests(Some(until)) if until > Instant::now() + REST / 2)
        );
        drop(reading.join().unwrap());
    }

    impl State {
        fn gathered(&self) -> usize {
            if let Phase::Writes(current) = &self.phase { current.gathered.len() } else { usize::MAX }
        }
    }
}
