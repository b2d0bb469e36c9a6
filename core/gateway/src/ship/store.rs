//! The folder of a policy: `index.json` and the bytes of every version that it names.
//!
//! A file is written beside its place, synced, and moved there: after a crash there is the old one or the new one. Bytes
//! are named by their SHA-256 and checked when they are read, so a version is what it was when it was shipped.

use super::record::{Index, Kind, Version};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const INDEX: &str = "index.json";
const FORMAT: u32 = 1;

/// Where versions are kept.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// Why something is not kept or not found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk's word.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is there is not what was written.
    #[error("{}: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// In what way.
        what: String,
    },
}

/// What was found of a policy.
#[derive(Debug)]
pub enum Found {
    /// Never heard of.
    Nothing,
    /// As it was left.
    Index(Box<Index>),
    /// The index could not be read; it was put aside under this name.
    Lost(PathBuf, String),
}

impl Store {
    /// The store of a data folder; made when something is kept.
    pub fn of(data: &Path) -> Self {
        Self { root: data.join("policies") }
    }

    /// What is remembered of a policy. An index that cannot be read is put aside, for it would be in the way for ever.
    ///
    /// # Errors
    /// The disk's word.
    pub fn load(&self, policy: &str) -> Result<Found, StoreError> {
        let path = self.root.join(policy).join(INDEX);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(source) => return Err(StoreError::Io { path, source }),
        };
        let what = match serde_json::from_slice::<Index>(&text) {
            Ok(index) if index.format == FORMAT && index.policy == policy => {
                return Ok(Found::Index(Box::new(index)));
            }
            Ok(index) => format!("is of format {} and of policy `{}`", index.format, index.policy),
            Err(error) => error.to_string(),
        };
        let aside = path.with_extension(format!("{}.damaged", super::record::now_ms()));
        fs::rename(&path, &aside).map_err(|source| StoreError::Io { path, source })?;
        Ok(Found::Lost(aside, what))
    }

    /// The policy whose file this was when the process ran last.
    pub fn by_file(&self, file: &Path) -> Option<Index> {
        let folders = fs::read_dir(&self.root).ok()?.flatten();
        let read = |folder: fs::DirEntry| {
            serde_json::from_slice::<Index>(&fs::read(folder.path().join(INDEX)).ok()?).ok()
        };
        folders.filter_map(read).find(|index| Path::new(&index.file) == file)
    }

    /// Keeps an index, and of the bytes only what it names.
    ///
    /// # Errors
    /// The disk's word: then the old index is there still.
    pub fn save(&self, index: &Index) -> Result<(), StoreError> {
        let folder = self.folder(&index.policy)?;
        let mut text = serde_json::to_vec_pretty(index)
            .map_err(|error| StoreError::Io { path: folder.join(INDEX), source: error.into() })?;
        text.push(b'\n');
        write(&folder.join(INDEX), &text)?;
        sweep(&folder, index);
        Ok(())
    }

    /// Keeps the bytes of a version; answers their name.
    ///
    /// # Errors
    /// The disk's word.
    pub fn put(&self, policy: &str, kind: Kind, bytes: &[u8]) -> Result<String, StoreError> {
        let content = content(bytes);
        let path = self.folder(policy)?.join(format!("{content}.{}", kind.extension()));
        if !path.exists() {
            write(&path, bytes)?;
        }
        Ok(content)
    }

    /// The bytes of a version.
    ///
    /// # Errors
    /// They are not there, or not what they were.
    pub fn bytes(&self, policy: &str, version: &Version) -> Result<Vec<u8>, StoreError> {
        let name = format!("{}.{}", version.content, version.engine.extension());
        let path = self.root.join(policy).join(name);
        let bytes = fs::read(&path).map_err(|source| StoreError::Io { path: path.clone(), source })?;
        if content(&bytes) == version.content {
            return Ok(bytes);
        }
        Err(StoreError::Damaged { path, what: "its bytes are not those that were shipped".to_owned() })
    }

    /// Writes what is needed for a moment; the caller removes it.
    ///
    /// # Errors
    /// The disk's word.
    pub fn scratch(&self, policy: &str, name: &str, text: &str) -> Result<PathBuf, StoreError> {
        let path = self.folder(policy)?.join(name);
        write(&path, text.as_bytes())?;
        Ok(path)
    }

    fn folder(&self, policy: &str) -> Result<PathBuf, StoreError> {
        let folder = self.root.join(policy);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|source| StoreError::Io { path: folder.clone(), source })?;
        Ok(folder)
    }
}

/// SHA-256, hex.
pub fn content(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let fresh = path.with_extension("new");
    let written = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        // The name is as durable as the bytes only when the folder is synced too.
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    written().map_err(|source| StoreError::Io { path: path.to_owned(), source })
}

/// Removes the bytes of versions that are forgotten. What cannot be removed is only in the way of disk space.
fn sweep(folder: &Path, index: &Index) {
    let kept: HashSet<&str> = index.versions().map(|version| version.content.as_str()).collect();
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = file.path();
        let extension = path.extension().and_then(|end| end.to_str());
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if matches!(extension, Some("rhai" | "wasm" | "new")) && !kept.contains(stem) {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Ended, HISTORY, Source};
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn version(store: &Store, text: &str) -> Version {
        Version {
            content: store.put("p", Kind::Rhai, text.as_bytes()).unwrap(),
            digest: format!("d{text}"),
            version: "1".into(),
            engine: Kind::Rhai,
            source: Source::File,
            came_ms: 1,
            signature: None,
        }
    }

    fn index(live: Version) -> Index {
        Index {
            format: 1,
            policy: "p".into(),
            file: "/etc/p.rhai".into(),
            seen: live.content.clone(),
            live,
            live_since_ms: 1,
            candidate: None,
            history: std::collections::VecDeque::new(),
        }
    }

    fn loaded(store: &Store) -> Index {
        match store.load("p").unwrap() {
            Found::Index(index) => *index,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_kept_is_found_again_and_nobody_else_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::of(dir.path());
        assert!(matches!(store.load("p").unwrap(), Found::Nothing));
        let kept = index(version(&store, "one"));
        store.save(&kept).unwrap();
        assert_eq!(loaded(&store), kept);
        assert_eq!(store.bytes("p", &kept.live).unwrap(), b"one");
        assert_eq!(store.by_file(Path::new("/etc/p.rhai")), Some(kept));
        assert_eq!(store.by_file(Path::new("/etc/q.rhai")), None);
        for file in fs::read_dir(dir.path().join("policies/p")).unwrap() {
            assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_write_that_did_not_end_leaves_the_old_index() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::of(dir.path());
        let kept = index(version(&store, "one"));
        store.save(&kept).unwrap();
        // A crash between the write and the move.
        fs::write(dir.path().join("policies/p/index.new"), "{\"format\":1,\"pol").unwrap();
        assert_eq!(loaded(&store), kept);
        store.save(&kept).unwrap();
        assert!(!dir.path().join("policies/p/index.new").exists());
    }

    #[test]
    fn a_truncated_index_is_put_aside_and_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::of(dir.path());
        store.save(&index(version(&store, "one"))).unwrap();
        let path = dir.path().join("policies/p/index.json");
        let text = fs::read(&path).unwrap();
        for cut in [0, 1, text.len() / 2, text.len() - 3] {
            fs::write(&path, &text[..cut]).unwrap();
            let Found::Lost(aside, what) = store.load("p").unwrap() else { panic!("cut at {cut}") };
            assert!(aside.exists() && !path.exists() && !what.is_empty());
        }
        assert!(matches!(store.load("p").unwrap(), Found::Nothing));
    }

    #[test]
    fn bytes_that_were_changed_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::of(dir.path());
        let one = version(&store, "one");
        let path = dir.path().join(format!("policies/p/{}.rhai", one.content));
        fs::write(&path, "two").unwrap();
        assert!(matches!(store.bytes("p", &one), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn the_bytes_of_forgotten_versions_go_and_those_of_known_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::of(dir.path());
        let mut kept = index(version(&store, "live"));
        for number in 0..HISTORY + 5 {
            let past = version(&store, &number.to_string());
            kept.note(Some(past), Ended::Live, "test");
            store.save(&kept).unwrap();
        }
        let scripts = fs::read_dir(dir.path().join("policies/p")).unwrap().count() - 1;
        assert_eq!(scripts, HISTORY + 1);
        assert!(kept.versions().all(|version| store.bytes("p", version).is_ok()));
    }
}
