//! The text of a script, to point at: `file:line:column`, and the line with a mark below the place.

use crate::fault;
use rhai::Position;
use weir_policy::{Fault, FaultKind, LoadError};

/// Longest part of a line that is shown.
const MAX_SHOWN: usize = 160;

/// A script's file name and text.
pub(crate) struct Source {
    pub(crate) file: String,
    text: String,
}

impl Source {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        Self { file: file.to_owned(), text: text.to_owned() }
    }

    /// A fault at a place.
    pub(crate) fn fault(&self, kind: FaultKind, message: impl Into<String>, at: Position) -> Fault {
        Fault::new(kind, message)
            .at(fault::place(&self.file, at))
            .showing(fault::line(at).and_then(|line| self.excerpt(line, fault::column(at))))
    }

    /// The error with the line that it is about.
    pub(crate) fn show(&self, error: LoadError) -> LoadError {
        let excerpt = error.line.and_then(|line| self.excerpt(line, error.column));
        error.showing(excerpt)
    }

    /// The line, and a mark below the column; both 1-based.
    fn excerpt(&self, line: u32, column: Option<u32>) -> Option<String> {
        let text = self.text.lines().nth(line.checked_sub(1)? as usize)?;
        let shown: String = text.chars().take(MAX_SHOWN).collect();
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        // A tab stays a tab, so that the mark stands below its place whatever a tab is wide.
        let blank = |c: char| if c == '\t' { c } else { ' ' };
        let before = (column.unwrap_or(1) as usize).saturating_sub(1);
        if before >= MAX_SHOWN || before > shown.chars().count() {
            return Some(format!(" {number} | {shown}"));
        }
        let mark: String = shown.chars().take(before).map(blank).collect();
        Some(format!(" {number} | {shown}\n {gutter} | {mark}^"))
    }
}
