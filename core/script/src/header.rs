//! The manifest in the leading `//!` lines of a script.

use weir_policy::{LoadError, Manifest};

/// What stands before the YAML on a header line; columns in YAML errors are shifted by it.
const MARK: &str = "//!";

/// Reads a script's manifest, without compiling it. Positions in errors are those of the script file, since the header
/// starts at its first line.
///
/// # Errors
/// There is none, or it is wrong.
pub fn manifest(file: &str, source: &str) -> Result<Manifest, LoadError> {
    let yaml = yaml(source);
    if yaml.trim().is_empty() {
        return Err(LoadError::new(file, "the script has no manifest")
            .at(1, 1)
            .hint("start the file with `//! name: …`, `//! version: …`, `//! hooks: [route]`"));
    }
    Manifest::parse_yaml(&yaml, file).map_err(|mut error| {
        let shift = u32::try_from(MARK.len() + indent(source)).unwrap_or(0);
        error.column = error.column.map(|column| column + shift);
        error
    })
}

fn yaml(source: &str) -> String {
    let indent = indent(source);
    let mut yaml = String::new();
    for line in source.lines().map_while(|line| line.strip_prefix(MARK)) {
        // One space after the mark belongs to the mark on every line or on none: YAML counts indentation.
        yaml.push_str(if indent == 1 { line.strip_prefix(' ').unwrap_or(line) } else { line });
        yaml.push('\n');
    }
    yaml
}

fn indent(source: &str) -> usize {
    usize::from(source.strip_prefix(MARK).is_some_and(|rest| rest.starts_with(' ')))
}

/// Gives an error that concerns the header the place of one of its keys, or of its first line.
pub(crate) fn placed(error: LoadError, source: &str, key: &str) -> LoadError {
    if error.line.is_some() {
        return error;
    }
    let header = source.lines().map_while(|line| line.strip_prefix(MARK));
    let found = header.zip(1_u32..).find(|(line, _)| line.trim_start().starts_with(key));
    error.at(found.map_or(1, |(_, number)| number), 1)
}
