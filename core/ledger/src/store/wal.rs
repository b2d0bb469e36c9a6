//! SQLite's write-ahead log, looked at before SQLite opens it: it passes over in silence what does not add up.
//!
//! A log is a header and frames: a page each, the last of a transaction marked. Every frame carries the log's salts and
//! a checksum over all frames before it. SQLite replays up to the last marked frame whose chain holds and forgets the
//! rest. What may lie behind it in an undamaged log: frames of an earlier round (other salts), and frames without a
//! mark of a transaction that was never committed. A *marked* frame of this round behind a broken chain is a
//! transaction that was committed and is lost; or, if it is the log's very last frame, one whose writing was cut off.
//!
//! Such a log is put aside before SQLite may overwrite it, and said aloud: as `ledger.sqlite3-wal.damaged-N`, or as
//! `….cut-off-N` where it is the last frame alone, which is what `kill -9` now and then leaves of a write that nobody
//! was told of.

use std::fs;
use std::io;
use std::path::Path;

use super::damage::{Damage, Part, free, suffixed};

const HEADER: usize = 32;
const FRAME: usize = 24;
/// The big-endian variant's magic number; the little-endian one's is one less.
const MAGIC: u32 = 0x377f_0683;

/// Looks at the log beside a database, and puts it aside if it is damaged. For whoever holds the ledger's lock.
pub(super) fn look(database: &Path) -> io::Result<Option<Damage>> {
    let path = suffixed(database, "-wal");
    let log = match fs::read(&path) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some((good, lost, may_be_cut_off)) = walk(&log) else { return Ok(None) };
    let aside = free(&path, may_be_cut_off);
    fs::write(&aside, &log)?;
    Ok(Some(Damage { part: Part::WriteAheadLog, good, lost, may_be_cut_off, aside }))
}

/// Good frames, lost transactions, and whether the one that is lost may have been cut off; `None`: nothing is lost.
fn walk(log: &[u8]) -> Option<(usize, usize, bool)> {
    let header = log.get(..HEADER)?;
    let big = match word(header, 0) {
        MAGIC => true,
        magic if magic == MAGIC - 1 => false,
        _ => return None,
    };
    // A page size of 65,536 is written as 1.
    let page = match word(header, 8) as usize {
        1 => 65_536,
        size => size,
    };
    let mut sum = checksum((0, 0), &header[..24], big);
    if sum != (word(header, 24), word(header, 28)) {
        return None;
    }
    let salts = &header[16..24];
    let frames: Vec<&[u8]> = log[HEADER..].chunks_exact(FRAME + page).collect();
    let ours = |frame: &[u8]| frame[8..16] == *salts;
    let good = frames.iter().take_while(|frame| {
        sum = checksum(checksum(sum, &frame[..8], big), &frame[FRAME..], big);
        ours(frame) && sum == (word(frame, 16), word(frame, 20))
    });
    let good = good.count();
    let behind = frames[good..].iter().take_while(|frame| ours(frame));
    let (behind, lost) =
        behind.fold((0, 0), |(all, marked), frame| (all + 1, marked + usize::from(word(frame, 4) != 0)));
    (lost > 0).then_some((good, lost, behind == 1))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// SQLite's: two running sums over pairs of words, in the byte order that the magic number names.
fn checksum((mut one, mut two): (u32, u32), bytes: &[u8], big: bool) -> (u32, u32) {
    let read = |word: &[u8]| {
        let word = word.try_into().unwrap_or_default();
        if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    };
    for pair in bytes.chunks_exact(8) {
        one = one.wrapping_add(read(&pair[..4])).wrapping_add(two);
        two = two.wrapping_add(read(&pair[4..])).wrapping_add(one);
    }
    (one, two)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::store::put_aside;
    use rusqlite::Connection;

    /// A database whose log holds `rows` transactions, as `kill -9` would leave it.
    fn crashed(dir: &Path, rows: usize) -> PathBuf {
        let live = dir.join("live.sqlite3");
        let conn = Connection::open(&live).unwrap();
        conn.pragma_update(None, "journal_mode", "wal").unwrap();
        conn.execute_batch("CREATE TABLE t (n INTEGER, x BLOB)").unwrap();
        for n in 0..rows {
            conn.execute("INSERT INTO t VALUES (?1, randomblob(3000))", [n as i64]).unwrap();
        }
        let left = dir.join("left.sqlite3");
        fs::copy(&live, &left).unwrap();
        fs::copy(dir.join("live.sqlite3-wal"), dir.join("left.sqlite3-wal")).unwrap();
        left
    }

    fn rows(database: &Path) -> usize {
        let conn = Connection::open(database).unwrap();
        let count: i64 = conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap_or(0);
        usize::try_from(count).unwrap()
    }

    #[test]
    fn a_whole_log_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let left = crashed(dir.path(), 20);
        assert_eq!(look(&left).unwrap(), None);
        assert_eq!(rows(&left), 20);
        assert_eq!(look(&dir.path().join("none")).unwrap(), None);
    }

    #[test]
    fn a_flipped_byte_is_seen_wherever_it_is_and_the_log_is_kept() {
        let whole = tempfile::tempdir().unwrap();
        let left = crashed(whole.path(), 12);
        let log = fs::read(whole.path().join("left.sqlite3-wal")).unwrap();
        for at in (HEADER + FRAME..log.len()).step_by(FRAME + 4096 / 3) {
            // A frame's own salts and mark say whose it is: a flip there hides it, and those behind it tell.
            let dir = tempfile::tempdir().unwrap();
            let copy = dir.path().join("ledger.sqlite3");
            fs::copy(&left, &copy).unwrap();
            let mut bad = log.clone();
            bad[at] ^= 0x40;
            fs::write(dir.path().join("ledger.sqlite3-wal"), &bad).unwrap();
            let damage = look(&copy).unwrap().unwrap_or_else(|| panic!("a flip at {at} of {}", log.len()));
            assert_eq!(fs::read(&damage.aside).unwrap(), bad);
            let known = put_aside(dir.path());
            assert_eq!(known.is_empty(), damage.may_be_cut_off, "{known:?}");
            assert!(rows(&copy) < 12, "SQLite goes on without what is lost, and says nothing");
            assert!(damage.lost > 0);
        }
    }

    #[test]
    fn what_was_cut_off_while_it_was_written_is_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        let left = crashed(dir.path(), 12);
        let path = dir.path().join("left.sqlite3-wal");
        let log = fs::read(&path).unwrap();
        for cut in [1, FRAME, 4096] {
            fs::write(&path, &log[..log.len() - cut]).unwrap();
            assert_eq!(look(&left).unwrap(), None);
        }
    }

    #[test]
    fn frames_of_an_earlier_round_are_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("live.sqlite3");
        let conn = Connection::open(&live).unwrap();
        conn.pragma_update(None, "journal_mode", "wal").unwrap();
        conn.execute_batch("CREATE TABLE t (x BLOB)").unwrap();
        let insert = || conn.execute("INSERT INTO t VALUES (randomblob(3000))", []).unwrap();
        for _ in 0..20 {
            insert();
        }
        let checkpoint = || conn.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
        checkpoint();
        insert();
        assert_eq!(look(&live).unwrap(), None);
    }
}
