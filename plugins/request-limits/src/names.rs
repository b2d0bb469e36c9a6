//! Names with `*`.

use serde::Deserialize;

/// A list of names in which `*` stands for any text, also none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Names(Vec<String>);

impl Names {
    /// Whether one of them means this name.
    #[must_use]
    pub fn mean(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| fits(pattern.as_bytes(), name.as_bytes()))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<S: Into<String>> FromIterator<S> for Names {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

/// Whether a name fits a pattern. What stands between two stars is taken where it comes first: a later place could only
/// leave less for the rest.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(after) = after(rest, part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// What follows the first `part` of a text.
fn after<'a>(text: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    if part.is_empty() {
        return Some(text);
    }
    let at = text.windows(part.len()).position(|window| window == part)?;
    text.get(at + part.len()..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(pattern: &str, name: &str) -> bool {
        Names::from_iter([pattern]).mean(name)
    }

    #[test]
    fn a_name_without_a_star_means_itself() {
        assert!(mean("search", "search"));
        for other in ["", "searc", "search2", "Search", "re-search"] {
            assert!(!mean("search", other), "{other}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "x"),
            ("db_*", "db_"),
            ("db_*", "db_read"),
            ("*_read", "db_read"),
            ("d*_*d", "db_read"),
            ("*ad*ad", "readad"),
            ("**", "x"),
        ] {
            assert!(mean(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("db_*", "db"), ("*_read", "_reads"), ("a*a", "a"), ("*ad*ad", "read"), ("a*b*c", "acb")]
        {
            assert!(!mean(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn it_is_the_same_as_trying_every_split() {
        fn slow(pattern: &[u8], name: &[u8]) -> bool {
            match pattern.split_first() {
                None => name.is_empty(),
                Some((b'*', rest)) => (0..=name.len()).any(|at| slow(rest, &name[at..])),
                Some((byte, rest)) => name.first() == Some(byte) && slow(rest, &name[1..]),
            }
        }
        let texts =
            |letters: &[u8], longest: usize| {
                let mut all: Vec<Vec<u8>> = vec![Vec::new()];
                for length in 0..longest {
                    let longer: Vec<_> = all.iter().filter(|text| text.len() == length).cloned().collect();
                    all.extend(longer.iter().flat_map(|text| {
                        letters.iter().map(|letter| [text.as_slice(), &[*letter]].concat())
                    }));
                }
                all
            };
        for pattern in texts(b"ab*", 5) {
            for name in texts(b"ab", 4) {
                assert_eq!(fits(&pattern, &name), slow(&pattern, &name), "{pattern:?} {name:?}");
            }
        }
    }

    #[test]
    fn no_names_mean_nothing() {
        assert!(!Names::default().mean("x") && Names::default().is_empty());
    }
}
