//! How the cases of a file went.

use std::fmt;

/// How the cases of a file went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The file.
    pub file: String,
    /// How many did as expected.
    pub passed: usize,
    /// Those that did not.
    pub failures: Vec<Failure>,
}

/// A case that went otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Line of its name, 1-based.
    pub line: u32,
    /// Its name.
    pub name: String,
    /// What was expected, and what came.
    pub message: String,
}

impl Report {
    /// Whether every case did as expected.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} of {} cases pass", self.file, self.passed, self.passed + self.failures.len())?;
        for failure in &self.failures {
            write!(f, "\n{}:{}: `{}`: {}", self.file, failure.line, failure.name, failure.message)?;
        }
        Ok(())
    }
}
