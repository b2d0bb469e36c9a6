//! What a process that was killed has left behind: mended at the start, and said in one line.
//!
//! The ledger mends itself when it is opened: the database replays its log, what is in the journal becomes rows, and
//! holds that nobody will resolve count as spent until their time is over. What is done here is to say so, and to take
//! away files that nobody will use.

use crate::telemetry::metrics::Metrics;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use weir_ledger::is_gone;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found {
    /// Bytes of the ledger's log that had not been taken over: a process that stops leaves none.
    pub wal_bytes: u64,
    /// Postings that were acknowledged and no rows yet.
    pub postings: u64,
    /// Holds of exchanges that were under way.
    pub holds: u64,
    /// Compiled code that was written half.
    pub files: u64,
    /// Folders with sockets on which nobody listens.
    pub sockets: u64,
}

/// Bytes of the ledger's log; to be asked before it is opened.
pub fn wal_bytes(data: &Path) -> u64 {
    fs::metadata(data.join("ledger.sqlite3-wal")).map_or(0, |file| file.len())
}

/// Takes away what nobody will use; to be called by the process that has the data folder.
pub fn sweep(data: &Path, temporary: &Path) -> (u64, u64) {
    let half_written = |name: &str| name.starts_with(".tmp");
    let compiled = data.join("compiled");
    let files = entries(&compiled, half_written).filter(|path| fs::remove_file(path).is_ok());
    let dead =
        |path: &Path| !path.join("sim.sock").exists() || UnixStream::connect(path.join("sim.sock")).is_err();
    let sockets = entries(temporary, |name| owner(name).is_some_and(is_gone))
        .filter(|path| dead(path) && fs::remove_dir_all(path).is_ok());
    (files.count() as u64, sockets.count() as u64)
}

/// The process whose folder has such a name: `weir-PID-` and 16 hex digits.
fn owner(name: &str) -> Option<u32> {
    let (pid, random) = name.strip_prefix("weir-")?.split_once('-')?;
    let hex = random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit());
    pid.parse().ok().filter(|_| hex)
}

fn entries(folder: &Path, ours: impl Fn(&str) -> bool) -> impl Iterator<Item = std::path::PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    found.filter(move |entry| entry.file_name().to_str().is_some_and(&ours)).map(|entry| entry.path())
}

impl Found {
    /// Says what was found, if something was.
    pub fn tell(self, metrics: &Metrics) {
        if self == Self::default() {
            return;
        }
        let Self { wal_bytes, postings, holds, files, sockets } = self;
        tracing::warn!(wal_bytes, postings, holds, files, sockets, "recovered");
        let wal = u64::from(wal_bytes > 0);
        for (what, count) in
            [("wal", wal), ("postings", postings), ("holds", holds), ("files", files), ("sockets", sockets)]
        {
            metrics.recovered.with_label_values(&[what]).inc_by(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_dead_is_taken_away() {
        let home = tempfile::tempdir().unwrap();
        let (data, temporary) = (home.path().join("data"), home.path().join("tmp"));
        fs::create_dir_all(data.join("compiled")).unwrap();
        for name in [".tmpAb3", "0123.cwasm"] {
            fs::write(data.join("compiled").join(name), "x").unwrap();
        }
        // No process has a number of that size.
        let stale = temporary.join("weir-4194999-0123456789abcdef");
        let alive = temporary.join(format!("weir-{}-0123456789abcdef", std::process::id()));
        let foreign = temporary.join("weir-e2e-0123456789abcdef");
        for folder in [&stale, &alive, &foreign] {
            fs::create_dir_all(folder).unwrap();
        }
        let listener = std::os::unix::net::UnixListener::bind(stale.join("sim.sock")).unwrap();
        assert_eq!(sweep(&data, &temporary), (1, 0), "somebody listens there, whatever its number");
        drop(listener);
        assert_eq!(sweep(&data, &temporary), (0, 1));
        assert!(!stale.exists() && alive.exists() && foreign.exists());
        assert!(data.join("compiled/0123.cwasm").exists());
    }
}
