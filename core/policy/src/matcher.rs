//! Literal and regex sets: declared in the manifest, compiled once at load, run by the host.
//!
//! A scan answers every hit of every pattern; hits of different patterns may overlap. Literals of one matcher do not
//! overlap each other: the leftmost, then the longest wins.
//!
//! - `signs`: what a text must hold for a pattern to match in it, looked for before anything else.
//!
//! Regular expressions have the syntax of the crate `regex` and run in time linear in the text. In a pattern that is
//! written in ASCII, `\w`, `\d`, `\s` and `\b` mean ASCII: a Unicode `\b` is some 200 times slower in text of other
//! scripts, and a letter like `é` beside a card number must not hide it. A pattern with a non-ASCII character, `\p` or
//! `(?u` keeps their Unicode meaning.

mod signs;

use crate::manifest::MatcherSpec;
use crate::policy::LoadError;
use aho_corasick::{AhoCorasick, MatchKind};
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use signs::{Possible, Signs};
use std::borrow::Cow;

/// Most hits that one scan may answer; more is an error, since a cut list would hide the rest from a guard.
pub const MAX_HITS: usize = 10_000;

const MAX_PATTERNS: usize = 512;
const MAX_LITERALS: usize = 50_000;
const MAX_REGEX_BYTES: usize = 1 << 20;
const MAX_SET_BYTES: usize = 8 << 20;
const MAX_NESTING: u32 = 64;

/// The compiled matchers of one policy.
#[derive(Debug, Default)]
pub struct Matchers {
    sets: Vec<(String, Set)>,
}

/// One hit in a text; offsets are bytes, on character boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextHit {
    /// Which literal or pattern: literals count from 0, patterns follow.
    pub pattern: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A scan that found more than it may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_HITS} hits")]
pub struct TooManyHits;

/// A matcher that does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("matcher `{matcher}`: {message}")]
pub struct MatcherError {
    /// Its name.
    pub matcher: String,
    /// What is wrong.
    pub message: String,
}

impl MatcherError {
    /// The same error as one of the policy's file.
    #[must_use]
    pub fn in_file(&self, file: &str) -> LoadError {
        LoadError::new(file, self.to_string())
    }
}

impl Matchers {
    /// Compiles what a manifest declares.
    ///
    /// # Errors
    /// The first matcher that does not compile, is too large, or matches the empty text.
    pub fn compile(specs: &[MatcherSpec]) -> Result<Self, MatcherError> {
        let compile = |spec: &MatcherSpec| match Set::compile(spec) {
            Ok(set) => Ok((spec.name.clone(), set)),
            Err(message) => Err(MatcherError { matcher: spec.name.clone(), message }),
        };
        Ok(Self { sets: specs.iter().map(compile).collect::<Result<_, _>>()? })
    }

    /// The matcher of this name; resolve it once to scan many texts.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Set> {
        self.sets.iter().find(|(known, _)| known == name).map(|(_, set)| set)
    }

    /// Every hit in a text, ordered by start; `None` if there is no matcher of this name.
    ///
    /// # Errors
    /// If there are more than [`MAX_HITS`].
    pub fn scan(&self, name: &str, text: &str) -> Option<Result<Vec<TextHit>, TooManyHits>> {
        let set = self.get(name)?;
        let mut hits = Vec::new();
        Some(set.scan(text, &mut hits).map(|()| hits))
    }
}

/// One compiled matcher.
#[derive(Debug)]
pub struct Set {
    literals: Option<AhoCorasick>,
    patterns: Option<Patterns>,
}

/// `signs` says which patterns may match at all. If those are many, `any` says whether one does; only what it names is
/// searched for places. A pattern with a Unicode word boundary would slow down the whole set, so it stays outside and is
/// searched by itself.
#[derive(Debug)]
struct Patterns {
    signs: Signs,
    any: RegexSet,
    each: Vec<Regex>,
    /// Indices into `each` by index in `any`.
    quick: Vec<usize>,
    slow: Vec<usize>,
    first: u32,
}

impl Set {
    fn compile(spec: &MatcherSpec) -> Result<Self, String> {
        if spec.literals.is_empty() && spec.patterns.is_empty() {
            return Err("neither literals nor patterns".into());
        }
        if spec.literals.len() > MAX_LITERALS || spec.patterns.len() > MAX_PATTERNS {
            return Err(format!("more than {MAX_LITERALS} literals or {MAX_PATTERNS} patterns"));
        }
        let first = u32::try_from(spec.literals.len()).map_err(|e| e.to_string())?;
        Ok(Self { literals: literals(spec)?, patterns: Patterns::compile(spec, first)? })
    }

    /// Whether [`Set::scan`] would find something; now and then yes where it would not.
    pub(crate) fn hits(&self, text: &[u8]) -> bool {
        self.literals.as_ref().is_some_and(|literals| literals.is_match(text))
            || self.patterns.as_ref().is_some_and(|patterns| patterns.hit(text))
    }

    /// Appends every hit in a text, ordered by start among themselves.
    ///
    /// # Errors
    /// If `hits` would grow beyond [`MAX_HITS`].
    pub fn scan(&self, text: &str, hits: &mut Vec<TextHit>) -> Result<(), TooManyHits> {
        let before = hits.len();
        if let Some(literals) = &self.literals {
            for found in literals.find_iter(text) {
                push(hits, found.pattern().as_u32(), found.start()..found.end())?;
            }
        }
        if let Some(patterns) = &self.patterns {
            patterns.scan(text, hits)?;
        }
        if hits.len() > before + 1 {
            hits[before..].sort_unstable_by_key(|hit| (hit.start, hit.end, hit.pattern));
        }
        Ok(())
    }
}

impl Patterns {
    fn compile(spec: &MatcherSpec, first: u32) -> Result<Option<Self>, String> {
        if spec.patterns.is_empty() {
            return Ok(None);
        }
        let meant: Vec<_> = spec.patterns.iter().map(|pattern| ascii(pattern)).collect();
        let one = |(pattern, meant): (&String, &Cow<'_, str>)| {
            let built = RegexBuilder::new(meant)
                .case_insensitive(spec.case_insensitive)
                .size_limit(MAX_REGEX_BYTES)
                .nest_limit(MAX_NESTING)
                .build();
            let regex = built.map_err(|error| format!("pattern `{pattern}`: {}", reason(&error)))?;
            if regex.is_match("") {
                return Err(format!("pattern `{pattern}` matches the empty text"));
            }
            Ok(regex)
        };
        let each = spec.patterns.iter().zip(&meant).map(one).collect::<Result<Vec<_>, _>>()?;
        let (slow, quick): (Vec<_>, Vec<_>) =
            (0..each.len()).partition(|&index| unicode_boundary(&meant[index]));
        let any = RegexSetBuilder::new(quick.iter().map(|&index| &meant[index]))
            .case_insensitive(spec.case_insensitive)
            .size_limit(MAX_SET_BYTES)
            .nest_limit(MAX_NESTING)
            .build();
        let any = any.map_err(|error| reason(&error))?;
        let signs = Signs::of(meant.iter().map(|meant| &**meant), spec.case_insensitive, MAX_NESTING);
        Ok(Some(Self { signs, any, each, quick, slow, first }))
    }

    /// Bytes that have no sign need not be a text to be without a match; all that Weir reads is UTF-8.
    fn hit(&self, text: &[u8]) -> bool {
        let possible = self.signs.possible(text);
        if matches!(possible, Possible::Few(_, 0)) {
            return false;
        }
        let Ok(text) = std::str::from_utf8(text) else { return true };
        let matches = |&index: &usize| self.each[index].is_match(text);
        match possible {
            Possible::Few(list, len) => list[..len].iter().any(matches),
            Possible::Any => self.any.is_match(text) || self.slow.iter().any(matches),
        }
    }

    fn scan(&self, text: &str, hits: &mut Vec<TextHit>) -> Result<(), TooManyHits> {
        if let Possible::Few(list, len) = self.signs.possible(text.as_bytes()) {
            return list[..len].iter().try_for_each(|&index| self.places(index, text, hits));
        }
        if self.any.is_match(text) {
            self.any
                .matches(text)
                .into_iter()
                .try_for_each(|found| self.places(self.quick[found], text, hits))?;
        }
        self.slow.iter().try_for_each(|&index| self.places(index, text, hits))
    }

    fn places(&self, index: usize, text: &str, hits: &mut Vec<TextHit>) -> Result<(), TooManyHits> {
        let pattern = self.first + u32::try_from(index).unwrap_or(u32::MAX);
        let mut found = self.each[index].find_iter(text).filter(|found| !found.is_empty());
        found.try_for_each(|found| push(hits, pattern, found.range()))
    }
}

/// The pattern with ASCII classes and boundaries, if it is written in ASCII; see the module's documentation.
fn ascii(pattern: &str) -> Cow<'_, str> {
    if !pattern.is_ascii() || ["\\p", "\\P", "(?u"].iter().any(|unicode| pattern.contains(unicode)) {
        return Cow::Borrowed(pattern);
    }
    let mut meant = String::with_capacity(pattern.len() * 2);
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        meant.push_str(&rest[..at]);
        let escape = rest.get(at..at + 2).unwrap_or(&rest[at..]);
        meant.push_str(match escape {
            "\\w" => "[0-9A-Za-z_]",
            "\\W" => "[^0-9A-Za-z_]",
            "\\d" => "[0-9]",
            "\\D" => "[^0-9]",
            "\\s" => r"[\t\n\x0B\x0C\r ]",
            "\\S" => r"[^\t\n\x0B\x0C\r ]",
            // `\b{start}` and its like stay Unicode, `\B` has no ASCII form on text: both are rare.
            "\\b" if !rest[at + 2..].starts_with('{') => r"(?-u:\b)",
            other => other,
        });
        rest = &rest[at + escape.len()..];
    }
    meant.push_str(rest);
    Cow::Owned(meant)
}

/// Whether a word boundary is left that is not ASCII; a wrong yes only costs speed.
fn unicode_boundary(meant: &str) -> bool {
    let rest = meant.replace(r"(?-u:\b)", "");
    [r"\b", r"\B", r"\<", r"\>"].iter().any(|boundary| rest.contains(boundary))
}

fn literals(spec: &MatcherSpec) -> Result<Option<AhoCorasick>, String> {
    if spec.literals.is_empty() {
        return Ok(None);
    }
    if spec.literals.iter().any(String::is_empty) {
        return Err("a literal is empty".into());
    }
    let built = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .ascii_case_insensitive(spec.case_insensitive)
        .build(&spec.literals);
    built.map(Some).map_err(|error| error.to_string())
}

fn push(hits: &mut Vec<TextHit>, pattern: u32, place: std::ops::Range<usize>) -> Result<(), TooManyHits> {
    if hits.len() == MAX_HITS {
        return Err(TooManyHits);
    }
    // A body is far below 4 GiB; a text that is not is answered as too much.
    let start = u32::try_from(place.start).map_err(|_| TooManyHits)?;
    let end = u32::try_from(place.end).map_err(|_| TooManyHits)?;
    hits.push(TextHit { pattern, start, end });
    Ok(())
}

/// The last line of a regex error is the one that says what is wrong.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
