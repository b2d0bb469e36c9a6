//! One process owns a ledger: `weir.lock`, held for life, names its pid and admin address.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// The lock; it is let go when the value goes, also by `kill -9`.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub(crate) enum LockError {
    Held(Holder),
    Io(io::Error),
}

/// Who holds it, as far as the file says (it may be empty for the instant between locking and writing).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Holder {
    pub(crate) pid: Option<u32>,
    pub(crate) admin: Option<String>,
}

impl Lock {
    pub(crate) fn take(dir: &Path, admin: Option<&str>) -> Result<Self, LockError> {
        let path = dir.join("weir.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(Holder::read(&mut file))),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        write(&mut file, admin).map_err(LockError::Io)?;
        Ok(Self { _file: file })
    }
}

/// Whether a process that has taken the lock is there, told without touching the lock: who does would be in the way of
/// one that starts.
pub(crate) fn is_held(dir: &Path) -> bool {
    let holder =
        File::open(dir.join("weir.lock")).map(|mut file| Holder::read(&mut file)).unwrap_or_default();
    holder.pid.is_some_and(|pid| !is_gone(pid))
}

/// Whether there is no such process; where that cannot be told, there is.
#[must_use]
pub fn is_gone(pid: u32) -> bool {
    Path::new("/proc/self").exists() && !Path::new("/proc").join(pid.to_string()).exists()
}

impl Holder {
    fn read(file: &mut File) -> Self {
        let mut text = String::new();
        if file.read_to_string(&mut text).is_err() {
            return Self::default();
        }
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        Self {
            pid: value("pid ").and_then(|pid| pid.parse().ok()),
            admin: value("admin ").map(str::to_owned),
        }
    }
}

fn write(file: &mut File, admin: Option<&str>) -> io::Result<()> {
    let mut text = format!("pid {}\n", std::process::id());
    if let Some(admin) = admin {
        text.push_str("admin ");
        text.push_str(admin);
        text.push('\n');
    }
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_taker_learns_who_was_first() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("weir.lock"), "pid 1\nadmin a-long-address-of-a-dead-holder:1\n")
            .unwrap();
        let first = Lock::take(dir.path(), Some("127.0.0.1:8081")).unwrap();
        let Err(LockError::Held(holder)) = Lock::take(dir.path(), None) else { panic!("taken twice") };
        let expected = Holder { pid: Some(std::process::id()), admin: Some("127.0.0.1:8081".into()) };
        assert_eq!(holder, expected);
        drop(first);
        Lock::take(dir.path(), None).unwrap();
    }
}
