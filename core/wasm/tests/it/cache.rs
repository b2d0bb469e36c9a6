//! Compiled code on disk is believed only with our MAC.

use crate::guest::guard;
use crate::world::{granted, request};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use weir_policy::GuardVerdict;
use weir_wasm::{Engine, Options};

fn load(dir: &Path, mac_key: [u8; 32]) {
    let engine =
        Engine::new(Options { cache_dir: Some(dir.into()), mac_key, max_instances: 4 }).expect("an engine");
    let policy = engine
        .compile("test.wasm", &guard("", "", ""), &serde_json::Value::Null, &granted(&[]))
        .expect("it loads");
    assert_eq!(policy.guard(&request("x")), Ok(GuardVerdict::pass()));
}

/// The files of the cache and their inodes: a file that was written anew has another. A component is compiled twice: to
/// be configured, and with the state that this left.
fn cached(dir: &Path) -> Vec<(PathBuf, u64)> {
    let file = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("a file").path();
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).expect("a folder").map(file).collect();
    files.sort();
    let inode = |file: PathBuf| {
        let inode = std::fs::metadata(&file).expect("a file").ino();
        (file, inode)
    };
    files.into_iter().map(inode).collect()
}

#[test]
fn code_is_compiled_once() {
    let dir = tempfile::tempdir().expect("a folder");
    load(dir.path(), [1; 32]);
    let first = cached(dir.path());
    load(dir.path(), [1; 32]);
    assert_eq!(cached(dir.path()), first, "the second load read what the first wrote");
}

#[test]
fn code_that_was_tampered_with_is_compiled_anew() {
    let dir = tempfile::tempdir().expect("a folder");
    load(dir.path(), [1; 32]);
    let files = cached(dir.path());
    assert_eq!(files.len(), 2);
    for (file, _) in files {
        let good = std::fs::read(&file).expect("a file");
        for place in [0, 31, 32, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[place] ^= 1;
            std::fs::write(&file, &bad).expect("written");
            load(dir.path(), [1; 32]);
            let anew = std::fs::read(&file).expect("a file");
            assert_ne!(anew, bad, "byte {place} of {} was changed, and believed", good.len());
        }
    }
}

#[test]
fn code_of_another_key_or_cut_short_is_compiled_anew() {
    let dir = tempfile::tempdir().expect("a folder");
    load(dir.path(), [1; 32]);
    let foreign = cached(dir.path());
    load(dir.path(), [2; 32]);
    let own = cached(dir.path());
    assert_eq!(own.len(), foreign.len());
    assert!(own.iter().all(|file| !foreign.contains(file)), "{own:?}, {foreign:?}");
    for (file, _) in &own {
        std::fs::write(file, b"short").expect("written");
    }
    load(dir.path(), [2; 32]);
    assert!(own.iter().all(|(file, _)| std::fs::metadata(file).expect("a file").len() > 1000));
}
