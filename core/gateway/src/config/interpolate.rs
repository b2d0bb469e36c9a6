//! `${env:NAME}` and `${file:PATH}` in strings.
//!
//! `$${` writes a literal `${`; any other `$` stands for itself.

use std::fs::File;
use std::io::Read as _;
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

/// What interpolation has read.
#[derive(Default)]
pub(super) struct Read {
    /// The files that were read; those that the config only names are added to them.
    pub(super) files: Vec<PathBuf>,
    /// Each reference, and what came in its place.
    filled: Vec<(String, String)>,
}

/// A value shorter than this hides nothing, and may stand in any word of a message.
const SHORTEST: usize = 4;

impl Read {
    /// A message with the references in it and not what came in their place: any of that may be a secret.
    pub(super) fn hidden(&self, message: &str) -> String {
        let mut filled: Vec<_> = self.filled.iter().filter(|(_, value)| value.len() >= SHORTEST).collect();
        // One value may be a part of another.
        filled.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        filled
            .into_iter()
            .fold(message.to_owned(), |message, (reference, value)| message.replace(value, reference))
    }
}

/// Replaces every reference, and notes what was read. An error names the reference, never a value.
pub(super) fn interpolate(text: &str, from: &Sources<'_>, read: &mut Read) -> Result<String, String> {
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
            let value = resolve(reference, from, &mut read.files)?;
            out.push_str(&value);
            read.filled.push((format!("${{{reference}}}"), value));
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
