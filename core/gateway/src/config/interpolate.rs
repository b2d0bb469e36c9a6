//! `${env:NAME}` and `${file:PATH}` in strings.
//!
//! `$${` writes a literal `${`; any other `$` stands for itself.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest file that `${file:…}` reads; it is for credentials.
const MAX_FILE: u64 = 64 * 1024;

/// Where values come from.
pub(super) struct Sources<'a> {
    /// Relative paths start here.
    pub(super) base: &'a Path,
    /// Looks up an environment variable.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
}

/// Replaces every reference; the files read go to `read`. An error names the reference, never a value.
pub(super) fn interpolate(text: &str, from: &Sources<'_>, read: &mut Vec<PathBuf>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        if let Some(after) = rest.strip_prefix("$${") {
            out.push_str("${");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("${") {
            let (reference, after) =
                after.split_once('}').ok_or("`${` without a closing `}`; write `$${` for a literal `${`")?;
            out.push_str(&resolve(reference, from, read)?);
            rest = after;
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn resolve(reference: &str, from: &Sources<'_>, read: &mut Vec<PathBuf>) -> Result<String, String> {
    match reference.split_once(':') {
        Some(("env", name)) if !name.is_empty() => {
            (from.env)(name).ok_or_else(|| format!("the environment variable `{name}` is not set"))
        }
        Some(("file", path)) if !path.is_empty() => {
            let path = from.base.join(path);
            let text = read_file(&path).map_err(|e| format!("`{}`: {e}", path.display()));
            read.push(path);
            text
        }
        None if is_variable(reference) => {
            Err(format!("`${{{reference}}}`: did you mean `${{env:{reference}}}`?"))
        }
        _ => Err("`${…}` needs `${env:NAME}` or `${file:PATH}`; write `$${` for a literal `${`".to_owned()),
    }
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// The content without the line break at its end.
fn read_file(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|e| super::paths::reason(&e))?;
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|e| super::paths::reason(&e))?;
    if text.len() as u64 > MAX_FILE {
        return Err(format!("longer than {} KiB", MAX_FILE / 1024));
    }
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}
