//! One error for the whole harness: a sentence for the person who runs it.

use std::fmt::{self, Display};

/// What went wrong, with what it went wrong in.
#[derive(Debug)]
pub struct Failure(String);

/// The harness's result.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure that is this sentence.
    pub fn new(what: impl Into<String>) -> Failure {
        Failure(what.into())
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure(format!("JSON: {error}"))
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure(format!("ledger: {error}"))
    }
}

/// Says what was being done when something failed.
pub trait Context<T> {
    /// Puts `what` before the error.
    fn context(self, what: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl Display) -> Result<T> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}
