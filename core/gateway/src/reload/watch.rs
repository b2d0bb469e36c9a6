//! Notices changed files by looking at them: works over every file system and with files that are replaced by rename or
//! by a symbolic link that moves, as Kubernetes does it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// Files and how they looked last.
pub struct Watch {
    files: BTreeMap<PathBuf, Option<Stamp>>,
    /// A change that was seen once: it is believed when the files look the same at the next look, so that a file that
    /// is being written is not read half.
    settling: Option<BTreeMap<PathBuf, Option<Stamp>>>,
}

impl Watch {
    /// Watches these files as they are now.
    pub fn new(files: Vec<PathBuf>) -> Self {
        let mut watch = Self { files: BTreeMap::new(), settling: None };
        watch.replace(files);
        watch
    }

    /// Takes the files as they are now for unchanged.
    pub fn note(&mut self) {
        self.files = look(self.files.keys());
        self.settling = None;
    }

    /// Watches more files.
    pub fn extend(&mut self, files: Vec<PathBuf>) {
        for file in files {
            self.files.entry(file).or_insert_with_key(|file| stamp(file));
        }
    }

    /// Watches these files and no others; those that were watched before keep their last look.
    pub fn replace(&mut self, files: Vec<PathBuf>) {
        let old = std::mem::take(&mut self.files);
        self.extend(files);
        for (file, last) in old {
            self.files.entry(file).and_modify(|stamp| *stamp = last);
        }
    }

    /// Whether a file has changed and has settled.
    pub fn changed(&mut self) -> bool {
        let now = look(self.files.keys());
        if now == self.files {
            self.settling = None;
            return false;
        }
        let settled = self.settling.as_ref() == Some(&now);
        self.settling = Some(now);
        settled
    }
}

fn look<'a>(files: impl Iterator<Item = &'a PathBuf>) -> BTreeMap<PathBuf, Option<Stamp>> {
    files.map(|file| (file.clone(), stamp(file))).collect()
}

fn stamp(file: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(file).ok()?;
    Some(Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        modified: (meta.mtime(), meta.mtime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_believed_once_it_has_settled() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.rhai");
        let mut watch = Watch::new(vec![file.clone()]);
        assert!(!watch.changed());
        std::fs::write(&file, "one").unwrap();
        assert!(!watch.changed(), "seen for the first time");
        std::fs::write(&file, "longer").unwrap();
        assert!(!watch.changed(), "still being written");
        assert!(watch.changed());
        watch.note();
        assert!(!watch.changed());
    }

    #[test]
    fn a_file_replaced_by_rename_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&file, "same").unwrap();
        std::fs::write(&other, "same").unwrap();
        let mut watch = Watch::new(vec![file.clone()]);
        std::fs::rename(&other, &file).unwrap();
        assert!(!watch.changed());
        assert!(watch.changed());
    }

    #[test]
    fn a_look_is_kept_when_the_list_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        let mut watch = Watch::new(vec![one.clone()]);
        std::fs::write(&one, "x").unwrap();
        watch.replace(vec![one, two]);
        assert!(!watch.changed());
        assert!(watch.changed(), "the change of `one` is not lost");
    }
}
