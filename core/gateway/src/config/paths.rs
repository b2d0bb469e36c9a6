//! Files that the config names.

use std::io;
use std::path::Path;

/// Why a file that must be there cannot be used; `None` if it can.
pub(super) fn unusable(path: &Path) -> Option<String> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => None,
        Ok(_) => Some("is not a file".to_owned()),
        Err(e) => Some(reason(&e)),
    }
}

/// The same words on every system.
pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read".to_owned(),
        io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
        io::ErrorKind::IsADirectory => "is not a file".to_owned(),
        _ => error.to_string(),
    }
}
