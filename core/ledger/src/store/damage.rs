//! Files of the ledger that have lost something: told of, and kept beside the others under a name of their own.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use weir_llm::price::Nanos;

/// Between a file's name and a number: it has lost something, or only its end may have been cut off.
const DAMAGED: &str = ".damaged-";
const CUT_OFF: &str = ".cut-off-";

/// What a file of the ledger has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which kind of file.
    pub part: Part,
    /// Frames that are sound, up to the first that is not.
    pub good: usize,
    /// The write-ahead log's transactions behind them, whose postings are gone from the ledger; or places in the
    /// journal that cannot be read (a posting in them is gone, if it was not a row before), or its records whose
    /// key is gone.
    pub lost: usize,
    /// Whether what is lost may just as well have been cut off while it was written, and was then never acknowledged.
    pub may_be_cut_off: bool,
    /// Where the file was put.
    pub aside: PathBuf,
}

/// A kind of file whose damage is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// SQLite's.
    WriteAheadLog,
    /// Ours.
    Journal,
    /// What is in ours and names a key that the database has lost (and a budget with it): what was charged to such.
    Orphans(Nanos),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, good, lost, may_be_cut_off, aside } = self;
        match part {
            Part::WriteAheadLog => {
                write!(
                    f,
                    "the ledger's write-ahead log is damaged after frame {good}: {lost} transactions in it"
                )?;
                if *may_be_cut_off {
                    f.write_str(" (the last one; it may have been cut off before it was acknowledged)")?;
                }
                write!(
                    f,
                    " are not in the ledger, but for what its journal still had. The log is kept as {}",
                    aside.display()
                )
            }
            Part::Journal if *may_be_cut_off => write!(
                f,
                "the ledger's journal ends in the middle of a record, after {good} of them (it may have been cut off \
                 before anybody was told of it). The file is kept as {}",
                aside.display()
            ),
            Part::Journal => write!(
                f,
                "the ledger's journal is damaged after record {good}: {lost} places in it cannot be read, and what \
                 they held is in the ledger only if it was committed before. The file is kept as {}",
                aside.display()
            ),
            Part::Orphans(charged) => write!(
                f,
                "{lost} records of the ledger's journal ({charged} in all) are of keys that the database has lost, \
                 and are not in the ledger. The file is kept as {}",
                aside.display()
            ),
        }
    }
}

/// Where a file is put that has lost something.
pub(crate) fn free(file: &Path, may_be_cut_off: bool) -> PathBuf {
    let kind = if may_be_cut_off { CUT_OFF } else { DAMAGED };
    let free =
        (1..).map(|number: u32| suffixed(file, &format!("{kind}{number}"))).find(|path| !path.exists());
    free.unwrap_or_else(|| suffixed(file, kind))
}

pub(crate) fn suffixed(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Damaged files that were put aside in a ledger's folder.
pub(crate) fn put_aside(dir: &Path) -> Vec<String> {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
    names.retain(|name| name.starts_with("ledger.") && name.contains(DAMAGED));
    names.sort();
    names
}
