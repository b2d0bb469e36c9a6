//! Tool names and call ids that every target takes.

use super::prompt::Tool;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Which tools are called otherwise at the target, and which take free text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The target's name by the caller's, where they differ.
    changed: BTreeMap<String, String>,
    /// The caller's name by the target's.
    back: BTreeMap<String, String>,
    /// Custom tools of the caller's that the target knows as functions with one text, `input`.
    wrapped: BTreeSet<String>,
}

impl fmt::Debug for Names {
    /// How many: names of tools are content too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Names({} changed, {} wrapped)", self.changed.len(), self.wrapped.len())
    }
}

impl Names {
    /// Names for a target that takes at most `longest` bytes of `A-Z a-z 0-9 _ -`.
    #[must_use]
    pub fn fitting(tools: &[Tool<'_>], longest: usize) -> Self {
        Self::fitted_by(tools, |name| fitted(name, longest))
    }

    /// Names for a target with rules of its own: `fit` lends a name that fits, and gives another for one that does not.
    #[must_use]
    pub fn fitted_by(tools: &[Tool<'_>], fit: impl Fn(&str) -> Cow<'_, str>) -> Self {
        let mut names = Self::default();
        for name in tools.iter().filter_map(Tool::name) {
            if let Cow::Owned(fitted) = fit(name) {
                names.back.entry(fitted.clone()).or_insert_with(|| name.to_owned());
                names.changed.entry(name.to_owned()).or_insert(fitted);
            }
        }
        names
    }

    /// Notes that a custom tool goes to the target as a function.
    pub fn wrap(&mut self, name: &str) {
        self.wrapped.insert(name.to_owned());
    }

    /// The name at the target. Names of calls to tools that are no longer declared are fitted all the same.
    #[must_use]
    pub fn at_target<'a>(&'a self, name: &'a str) -> &'a str {
        self.changed.get(name).map_or(name, String::as_str)
    }

    /// The caller's name.
    #[must_use]
    pub fn at_caller<'a>(&'a self, name: &'a str) -> &'a str {
        self.back.get(name).map_or(name, String::as_str)
    }

    /// Whether calls of this tool (by the caller's name) carry their text in `{"input": …}`.
    #[must_use]
    pub fn is_wrapped(&self, name: &str) -> bool {
        self.wrapped.contains(name)
    }

    /// Whether nothing needs to be changed on the way back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.wrapped.is_empty()
    }
}

/// A name of at most `longest` bytes of `A-Z a-z 0-9 _ -`: what does not fit is replaced, and a hash of the whole keeps
/// different names different.
#[must_use]
pub fn fitted(name: &str, longest: usize) -> Cow<'_, str> {
    if !name.is_empty() && name.len() <= longest && name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let hash = format!("_{:012x}", fnv(name.as_bytes()) & 0xFFFF_FFFF_FFFF);
    let mut plain: String =
        name.chars().map(|c| if c.is_ascii() && is_plain(c as u8) { c } else { '_' }).collect();
    plain.truncate(longest.saturating_sub(hash.len()));
    Cow::Owned(plain + &hash)
}

/// A call's id as every target takes it: `A-Z a-z 0-9 _ -`, at most 64 bytes; the same id always becomes the same.
#[must_use]
pub fn fitted_id(id: &str) -> Cow<'_, str> {
    fitted(id, 64)
}

/// Nine letters and digits made of an id: what Mistral takes.
#[must_use]
pub fn nine(id: &str) -> Cow<'_, str> {
    if id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Cow::Borrowed(id);
    }
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut hash = fnv(id.as_bytes());
    let letters = (0..9).map(|_| {
        let letter = LETTERS[(hash % 62) as usize];
        hash /= 62;
        char::from(letter)
    });
    Cow::Owned(letters.collect())
}

const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// FNV-1a with 64 bits: spreads well enough for names of one request, and needs no key since nobody gains by a clash.
#[must_use]
pub fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_stay_and_others_come_back() {
        let tool =
            |name: &str| Tool::Custom { name: name.to_owned().into(), description: None, format: None };
        let long = "a".repeat(70);
        let names = Names::fitting(&[tool("plain-1"), tool("mcp.x/y"), tool(&long)], 64);
        assert_eq!(names.at_target("plain-1"), "plain-1");
        for name in ["mcp.x/y", long.as_str()] {
            let target = names.at_target(name);
            assert!(target.len() <= 64 && target.bytes().all(is_plain), "{target}");
            assert_eq!(names.at_caller(target), name);
        }
    }

    #[test]
    fn ids_are_fitted_always_alike() {
        assert_eq!(fitted_id("call_1"), "call_1");
        assert_eq!(fitted_id("functions.x:0"), fitted_id("functions.x:0"));
        assert_ne!(fitted_id("functions.x:0"), fitted_id("functions.x_0"));
        assert_eq!(nine("abcdef123"), "abcdef123");
        assert_eq!(nine("call_1").len(), 9);
        assert!(!fitted_id("").is_empty());
    }
}
