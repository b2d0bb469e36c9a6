//! What is wrong with a config file, all of it at once, each with its place.

use std::fmt;
use std::path::PathBuf;

/// Line and column, from 1; 0 means the file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Pos {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// One thing that is wrong, or doubtful. Never holds a secret: only what is written in the file is quoted, and not even
/// that where a secret belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub at: Pos,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    pub(super) fn new(at: Pos, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// ``; did you mean `word`?``, or the empty string.
pub(super) fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    weir_policy::nearest(typed, known).map(|word| format!("; did you mean `{word}`?")).unwrap_or_default()
}

/// Why a config file was refused. Displays one problem a line: `weir.yaml:3:5: what is wrong`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file, as it was named.
    pub path: PathBuf,
    /// Sorted by place, never empty.
    pub problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(super) fn one(path: PathBuf, problem: Problem) -> Self {
        Self { path, problems: vec![problem] }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let newline = if i == 0 { "" } else { "\n" };
            write!(f, "{newline}{}", problem.in_file(&self.path.display()))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl Problem {
    /// `file:line:column: message`.
    #[must_use]
    pub fn in_file(&self, file: &dyn fmt::Display) -> String {
        let Self { at: Pos { line, column }, message } = self;
        if *line == 0 { format!("{file}: {message}") } else { format!("{file}:{line}:{column}: {message}") }
    }
}
