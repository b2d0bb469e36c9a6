//! What must stand in a text for a pattern to match there: one of some literals, or one of some bytes. Looking for that
//! takes a tenth of the time that an automaton takes, and most texts have none of it.
//!
//! A sign is read off a pattern's syntax tree: every match has a match of each part that is not optional, and a part begins
//! with one of a few literals or is passed over. The rarest such set is the pattern's sign. Of a literal its rarest few bytes
//! are searched for (of `npm_` the last three: few words end in `pm_`), and the others compared where those stand. Where a byte is
//! the sign, it is counted what the pattern needs besides: of a card number thirteen digits, of an address three dots.

use aho_corasick::{AhoCorasick, Input, MatchKind};
use memchr::memchr;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Class, ClassBytesRange, ClassUnicodeRange, Hir, HirKind};
use std::collections::BTreeMap;

/// So many patterns are searched for one by one; more together, with one automaton.
const FEW: usize = 4;
/// Bytes of a literal that are searched for; of shorter ones a single byte is.
const CORE: usize = 3;
/// Bytes of a literal that are looked at.
const LONGEST: usize = 16;
/// Literals of one pattern.
const MOST: usize = 64;
/// Parts of a pattern that are looked at, and how many of them together.
const PARTS: usize = 32;
const TOGETHER: usize = 8;
/// How deep in a pattern a sign is looked for.
const DEPTH: usize = 8;
/// Ranges of all bytes that are signs which are looked for one by one; of more, each byte of the text is looked at once.
const RANGES: usize = 16;
/// Ranges of which a pattern is known to need some.
const NEEDS: usize = 4;
/// Patterns with a byte for their sign whose needs are counted: each need is a look at the text. Of more, none are.
const COUNTED: usize = 12;
/// Bytes of a text that are looked at together.
const BLOCK: usize = 32;
/// Hits of literals that say nothing new until all patterns are taken for possible: each hit begins a search anew. So many
/// literals are compared where only their core stands, and one more for each block of the text.
const PATIENCE: usize = 64;

/// The signs of a matcher's patterns.
#[derive(Debug)]
pub(super) struct Signs {
    cores: Option<AhoCorasick>,
    /// By core.
    literals: Vec<Vec<Literal>>,
    bytes: Vec<(ByteSet, Vec<Byte>)>,
    /// How many ranges these are.
    ranges: usize,
    /// Patterns without a sign, which are always possible.
    without: Vec<usize>,
}

/// A literal, where its core stands in it, and the pattern that it is a sign of.
#[derive(Debug)]
struct Literal {
    text: Vec<u8>,
    core: usize,
    pattern: usize,
}

/// A pattern that has a byte for its sign, and what a match of it has besides.
#[derive(Debug)]
struct Byte {
    pattern: usize,
    needs: Vec<Need>,
}

/// So many bytes of a range at least.
#[derive(Debug, PartialEq)]
struct Need {
    range: (u8, u8),
    least: usize,
}

/// Which patterns may match in a text: no others do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Possible {
    /// These.
    Few([usize; FEW], usize),
    /// So many that they are not told apart.
    Any,
}

impl Possible {
    const NONE: Self = Self::Few([0; FEW], 0);

    /// Adds a pattern; whether it was new.
    fn add(&mut self, pattern: usize) -> bool {
        let Self::Few(list, len) = self else { return false };
        if list[..*len].contains(&pattern) {
            return false;
        }
        if *len == FEW {
            *self = Self::Any;
        } else {
            list[*len] = pattern;
            *len += 1;
        }
        true
    }
}

impl Signs {
    /// The signs of patterns that compile, given as they are meant.
    pub(super) fn of<'a>(
        patterns: impl Iterator<Item = &'a str>,
        case_insensitive: bool,
        nesting: u32,
    ) -> Self {
        let mut parser = ParserBuilder::new();
        parser.case_insensitive(case_insensitive).nest_limit(nesting);
        let mut literals: BTreeMap<Vec<u8>, Vec<Literal>> = BTreeMap::new();
        let mut this =
            Self { cores: None, literals: Vec::new(), bytes: Vec::new(), ranges: 0, without: Vec::new() };
        for (pattern, text) in patterns.enumerate() {
            let hir = parser.build().parse(text).ok();
            match hir.as_ref().and_then(|hir| Some((Sign::of(hir)?, hir))) {
                Some((Sign::Literals(list), _)) => {
                    for text in list {
                        let core = core(&text);
                        let of_core = literals.entry(text[core..core + CORE].to_vec()).or_default();
                        of_core.push(Literal { text, core, pattern });
                    }
                }
                Some((Sign::Bytes(set), hir)) => {
                    let byte = Byte { pattern, needs: Need::of(hir) };
                    match this.bytes.iter_mut().find(|(known, _)| *known == set) {
                        Some((_, of)) => of.push(byte),
                        None => this.bytes.push((set, vec![byte])),
                    }
                }
                None => this.without.push(pattern),
            }
        }
        if !literals.is_empty() {
            let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(literals.keys());
            // Too many for an automaton, which the limits of a matcher rule out: then all are possible in any text.
            let Ok(built) = built else {
                this.without = (0..=FEW).collect();
                return this;
            };
            this.cores = Some(built);
            this.literals = literals.into_values().collect();
        }
        let patterns = this.bytes.iter().map(|(_, of)| of.len()).sum::<usize>();
        if patterns > COUNTED {
            this.bytes.iter_mut().flat_map(|(_, of)| of).for_each(|byte| byte.needs.clear());
        }
        this.ranges = this.bytes.iter().map(|(set, _)| set.0.len()).sum();
        this
    }

    /// Which patterns may match somewhere in a text.
    pub(super) fn possible(&self, text: &[u8]) -> Possible {
        let mut possible = Possible::NONE;
        for &pattern in &self.without {
            possible.add(pattern);
        }
        let seen = (self.ranges > RANGES).then(|| seen(text));
        for (set, patterns) in &self.bytes {
            if matches!(possible, Possible::Any) {
                return possible;
            }
            if seen.as_ref().map_or_else(|| set.is_in(text), |seen| set.is_among(seen)) {
                let able = patterns.iter().filter(|byte| byte.needs.iter().all(|need| need.is_met(text)));
                able.for_each(|byte| _ = possible.add(byte.pattern));
            }
        }
        if let Some(cores) = &self.cores {
            self.literals_in(cores, text, &mut possible);
        }
        possible
    }

    /// Cores are all of one length and may overlap: after a hit the search goes on one byte after its beginning.
    fn literals_in(&self, cores: &AhoCorasick, text: &[u8], possible: &mut Possible) {
        let (mut from, mut patience, mut chance) = (0, PATIENCE, PATIENCE + text.len() / BLOCK);
        while let Possible::Few(..) = possible {
            let Some(found) = cores.find(Input::new(text).span(from..text.len())) else { return };
            let (mut whole, mut new) = (false, false);
            let literals = &self.literals[found.pattern().as_usize()];
            for literal in literals {
                if literal.is_at(found.start(), text) {
                    whole = true;
                    new |= possible.add(literal.pattern);
                }
            }
            if !new {
                let (left, cost) = if whole { (&mut patience, 1) } else { (&mut chance, literals.len()) };
                *left = left.saturating_sub(cost);
                if *left == 0 {
                    *possible = Possible::Any;
                }
            }
            from = found.start() + 1;
        }
    }
}

impl Literal {
    /// Whether the whole of it stands where its core was found.
    fn is_at(&self, core: usize, text: &[u8]) -> bool {
        let rest = core.checked_sub(self.core).and_then(|start| text.get(start..));
        rest.is_some_and(|rest| rest.starts_with(&self.text))
    }
}

impl Need {
    /// Ranges of which a pattern may need some: capitals, digits, and each sign by itself.
    fn of(hir: &Hir) -> Vec<Self> {
        let signs = (b'!'..=b'~').filter(u8::is_ascii_punctuation).map(|byte| (byte, byte));
        let ranges = [(b'A', b'Z')].into_iter().chain(signs).chain([(b'0', b'9')]);
        let needs = ranges.map(|range| Self { range, least: least(hir, range) });
        needs.filter(|need| need.least > 0).take(NEEDS).collect()
    }

    fn is_met(&self, text: &[u8]) -> bool {
        let (first, last) = self.range;
        let is = |byte: &u8| byte.wrapping_sub(first) <= last - first;
        let mut left = self.least;
        text.chunks(BLOCK).any(|block| {
            left = left.saturating_sub(block.iter().map(|byte| usize::from(is(byte))).sum());
            left == 0
        })
    }
}

/// How many bytes of a range every match has at least.
fn least(hir: &Hir, range @ (first, last): (u8, u8)) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.iter().filter(|byte| (first..=last).contains(*byte)).count(),
        HirKind::Class(Class::Unicode(class)) => {
            let within =
                |range: &ClassUnicodeRange| range.start() >= first.into() && range.end() <= last.into();
            usize::from(class.ranges().iter().all(within))
        }
        HirKind::Class(Class::Bytes(class)) => {
            let within = |range: &ClassBytesRange| range.start() >= first && range.end() <= last;
            usize::from(class.ranges().iter().all(within))
        }
        HirKind::Repetition(repetition) => {
            least(&repetition.sub, range).saturating_mul(repetition.min.try_into().unwrap_or(usize::MAX))
        }
        HirKind::Capture(capture) => least(&capture.sub, range),
        HirKind::Concat(parts) => {
            parts.iter().fold(0, |all: usize, part| all.saturating_add(least(part, range)))
        }
        HirKind::Alternation(branches) => {
            branches.iter().map(|branch| least(branch, range)).min().unwrap_or(0)
        }
    }
}

/// Where the rarest bytes of a literal begin.
fn core(literal: &[u8]) -> usize {
    let common = |core: &[u8]| core.iter().map(|&byte| commonness(byte)).product::<f64>();
    let cores = literal.windows(CORE).map(common).enumerate();
    cores.min_by(|one, other| one.1.total_cmp(&other.1)).map_or(0, |(at, _)| at)
}

/// One of these stands in every match.
#[derive(Debug, PartialEq)]
enum Sign {
    Literals(Vec<Vec<u8>>),
    Bytes(ByteSet),
}

impl Sign {
    fn of(hir: &Hir) -> Option<Self> {
        rarest(hir, DEPTH).map(|(sign, _)| sign)
    }
}

/// The rarest sign of a part, and how common it is.
fn rarest(hir: &Hir, depth: usize) -> Option<(Sign, f64)> {
    let depth = depth.checked_sub(1)?;
    let within = match hir.kind() {
        HirKind::Capture(capture) => rarest(&capture.sub, depth),
        HirKind::Repetition(repetition) if repetition.min > 0 => rarest(&repetition.sub, depth),
        HirKind::Concat(parts) => {
            let tails = (0..parts.len().min(PARTS)).map(|at| {
                let end = parts.len().min(at + TOGETHER);
                (&parts[at], Hir::concat(parts[at..end].to_vec()))
            });
            tails.filter_map(|(part, tail)| rarer(rarest(part, depth), beginning(&tail))).reduce(lesser)
        }
        _ => None,
    };
    rarer(within, beginning(hir))
}

fn rarer(one: Option<(Sign, f64)>, other: Option<(Sign, f64)>) -> Option<(Sign, f64)> {
    one.into_iter().chain(other).reduce(lesser)
}

fn lesser(one: (Sign, f64), other: (Sign, f64)) -> (Sign, f64) {
    if other.1 < one.1 { other } else { one }
}

/// What a match of a part begins with, if that is one of a few literals.
fn beginning(hir: &Hir) -> Option<(Sign, f64)> {
    let seq = Extractor::new().limit_total(MOST).extract(hir);
    let list = seq.literals().filter(|list| (1..=MOST).contains(&list.len()))?;
    let shortest = list.iter().map(|literal| literal.as_bytes().len()).min()?;
    if shortest >= CORE {
        let cut = |bytes: &[u8]| bytes[..bytes.len().min(LONGEST)].to_vec();
        let literals: Vec<Vec<u8>> = list.iter().map(|literal| cut(literal.as_bytes())).collect();
        let common =
            literals.iter().map(|literal| literal.iter().map(|&byte| commonness(byte)).product::<f64>());
        let common = common.sum();
        return Some((Sign::Literals(literals), common));
    }
    let rarer = |one: &u8, other: &u8| commonness(*one).total_cmp(&commonness(*other));
    let rarest = list.iter().map(|literal| literal.as_bytes().iter().copied().min_by(rarer));
    let set = seen(&rarest.collect::<Option<Vec<u8>>>()?);
    let common = (0..=u8::MAX).filter(|&byte| set[usize::from(byte)]).map(commonness).sum();
    Some((Sign::Bytes(ByteSet::of(&set)), common))
}

/// How common a byte is in prompts, roughly: digits and signs say something, small letters nothing.
const fn commonness(byte: u8) -> f64 {
    match byte {
        b'a'..=b'z' | b' ' => 0.05,
        b'.' | b',' | b'-' | b'\'' | b'"' | b'\n' | b':' => 0.03,
        b'A'..=b'Z' => 0.01,
        b'0'..=b'9' => 0.002,
        _ => 0.003,
    }
}

/// A set of bytes, as ranges.
#[derive(Debug, PartialEq)]
struct ByteSet(Vec<(u8, u8)>);

impl ByteSet {
    fn of(set: &[bool; 256]) -> Self {
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for byte in (0..=u8::MAX).filter(|&byte| set[usize::from(byte)]) {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == byte => *last = byte,
                _ => ranges.push((byte, byte)),
            }
        }
        Self(ranges)
    }

    /// Whether one of them is among the bytes of a text.
    fn is_among(&self, seen: &[bool; 256]) -> bool {
        self.0.iter().any(|&(first, last)| (first..=last).any(|byte| seen[usize::from(byte)]))
    }

    /// Whether one of them is in a text.
    fn is_in(&self, text: &[u8]) -> bool {
        self.0.iter().any(|&(first, last)| match first == last {
            true => memchr(first, text).is_some(),
            false => has(text, first, last - first),
        })
    }
}

/// Whether a byte from `first` to `first + width` is in a text. A block at a time without a branch, which compiles to vector
/// instructions; the last blocks overlap.
fn has(text: &[u8], first: u8, width: u8) -> bool {
    let is = |byte: &u8| byte.wrapping_sub(first) <= width;
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    if blocks.iter().any(|block| block.iter().fold(false, |found, byte| found | is(byte))) {
        return true;
    }
    match text.last_chunk::<BLOCK>() {
        _ if rest.is_empty() => false,
        Some(block) => block.iter().fold(false, |found, byte| found | is(byte)),
        None => rest.iter().any(is),
    }
}

/// The bytes of a text.
fn seen(text: &[u8]) -> [bool; 256] {
    let mut seen = [false; 256];
    text.iter().for_each(|&byte| seen[usize::from(byte)] = true);
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::{Regex, RegexBuilder};
    use std::sync::LazyLock;

    /// Patterns whose signs are literals, bytes and nothing, with what makes signs go wrong: options, branches,
    /// repetitions, classes beyond ASCII, literals that overlap.
    const PATTERNS: [&str; 18] = [
        "[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}",
        "[0-9](?:[ -]?[0-9]){12,}",
        "[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}",
        "(?:AKIA|ASIA)[A-Z0-9]{16}",
        "[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
        "sk-[a-z]{3}",
        "task-s",
        "k-sk",
        "(?:ab|c)?d+e",
        "(?:foo|ba[rz]){2}",
        "(?:foo)*x|yy",
        "a|[0-9]{2}",
        "[a-z]{2}[A-Z]",
        "[éèü]t[ée]",
        "[α-ω]{2}",
        "(?i)kelvin",
        "(?s:.)!",
        "x{0,2}y{2,3}z?",
    ];

    struct Compiled {
        alone: Vec<Signs>,
        all: Signs,
        regexes: Vec<Regex>,
    }

    /// In small letters only, and in any.
    static COMPILED: LazyLock<[Compiled; 2]> = LazyLock::new(|| {
        [false, true].map(|insensitive| {
            let regex = |pattern: &str| RegexBuilder::new(pattern).case_insensitive(insensitive).build();
            Compiled {
                alone: PATTERNS.map(|pattern| Signs::of(std::iter::once(pattern), insensitive, 64)).into(),
                all: Signs::of(PATTERNS.into_iter(), insensitive, 64),
                regexes: PATTERNS.map(|pattern| regex(pattern).expect("compiles")).into(),
            }
        })
    });

    fn possible(signs: &Signs, pattern: usize, text: &str) -> bool {
        match signs.possible(text.as_bytes()) {
            Possible::Few(list, len) => list[..len].contains(&pattern),
            Possible::Any => true,
        }
    }

    /// A match of the pattern amid other text.
    fn text_with_a_match() -> impl Strategy<Value = (usize, String)> {
        (0..PATTERNS.len()).prop_flat_map(|pattern| {
            let found = proptest::string::string_regex(PATTERNS[pattern]).expect("generates");
            ("[ -~é\n]{0,40}", found, "[ -~é\n]{0,40}")
                .prop_map(move |(before, found, after)| (pattern, format!("{before}{found}{after}")))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// The one thing that must hold: what matches is possible, with each pattern alone and among the others.
        #[test]
        fn what_matches_is_possible((pattern, text) in text_with_a_match(), insensitive: bool) {
            let Compiled { alone, all, regexes } = &COMPILED[usize::from(insensitive)];
            prop_assert!(possible(&alone[pattern], 0, &text), "{}", PATTERNS[pattern]);
            for (index, regex) in regexes.iter().enumerate() {
                prop_assert!(!regex.is_match(&text) || possible(all, index, &text), "{regex}");
            }
        }
    }

    #[test]
    fn signs_are_what_is_rare() {
        let sign = |pattern: &str| Sign::of(&ParserBuilder::new().build().parse(pattern).expect("parses"));
        let bytes = |bytes: &str| Some(Sign::Bytes(ByteSet::of(&seen(bytes.as_bytes()))));
        let literals = |list: &[&str]| {
            Some(Sign::Literals(list.iter().map(|literal| literal.as_bytes().to_vec()).collect()))
        };
        assert_eq!(sign(PATTERNS[0]), bytes("@"));
        assert_eq!(sign("(?-u:\\b)(?:[0-9]{1,3}\\.){3}[0-9]{1,3}(?-u:\\b)"), bytes("0123456789"));
        assert_eq!(sign("gh[po]_[A-Za-z0-9]{36,}"), literals(&["gho_", "ghp_"]));
        assert_eq!(sign("[a-z]+"), None, "any text has letters, and so many are not told apart");
        assert_eq!(sign("x?"), None, "the empty text matches");
    }

    #[test]
    fn what_a_pattern_needs_is_counted() {
        let needs = |pattern: &str| {
            let hir = ParserBuilder::new().build().parse(pattern).expect("parses");
            Need::of(&hir).into_iter().map(|need| (need.range.0, need.least)).collect::<Vec<_>>()
        };
        assert_eq!(needs("(?:[0-9]{1,3}\\.){3}[0-9]{1,3}"), [(b'.', 3), (b'0', 4)]);
        assert_eq!(needs(PATTERNS[1]), [(b'0', 13)]);
        assert_eq!(needs(PATTERNS[2]), [(b'A', 2), (b'0', 2)]);
        assert_eq!(needs("[0-9]{3}|x[1-9]7?"), [(b'0', 1)]);
        assert_eq!(needs("[0-9A-Z]+[[:punct:]]"), []);
        let signs = |pattern: &'static str| Signs::of(std::iter::once(pattern), false, 64);
        let address = signs("(?:[0-9]{1,3}\\.){3}[0-9]{1,3}");
        assert!(!possible(&address, 0, "1.2.34, and no more") && possible(&address, 0, "1.2.3.4"));
        let card = signs(PATTERNS[1]);
        let spread = format!("{}7", "1 ".repeat(12));
        assert!(possible(&card, 0, &spread) && !possible(&card, 0, &spread[2..]));
    }

    #[test]
    fn a_byte_is_seen_wherever_it_stands() {
        let digits = ByteSet::of(&seen(b"0123456789"));
        for (len, at) in (0..100).flat_map(|len| (0..len).map(move |at| (len, at))) {
            let mut text = vec![b'x'; len];
            assert!(!digits.is_in(&text) && !ByteSet::of(&seen(b"@")).is_in(&text));
            text[at] = b'7';
            assert!(digits.is_in(&text) && ByteSet::of(&seen(b"7")).is_in(&text), "{at} of {len}");
        }
    }

    #[test]
    fn many_bytes_are_looked_for_at_once() {
        let patterns: Vec<String> = (b'!'..=b'/').map(|byte| format!("[a-z]\\x{byte:02x}[a-z]")).collect();
        let signs = Signs::of(patterns.iter().map(String::as_str), false, 64);
        assert!(
            signs.ranges < RANGES && matches!(signs.possible(b"a text"), Possible::Few(_, 0)),
            "{signs:?}"
        );
        let more = patterns.iter().map(String::as_str).chain(["a[@{}~|]", "b[<>^`_]"]);
        let signs = Signs::of(more, false, 64);
        assert!(
            signs.ranges > RANGES && matches!(signs.possible(b"a text"), Possible::Few(_, 0)),
            "{signs:?}"
        );
        let Possible::Few([0, 15, ..], 2) = signs.possible(b"one! b}") else {
            panic!("{:?}", signs.possible(b"one! b}"))
        };
    }

    #[test]
    fn literals_that_overlap_are_all_seen() {
        let signs = Signs::of(["task-s", "k-sk", "-sk-"].into_iter(), false, 64);
        let Possible::Few(_, 3) = signs.possible(b"a task-sk-") else { panic!("one hides another") };
        let Possible::Few(_, 0) = signs.possible(b"a task") else { panic!("there is none") };
        let Possible::Few(_, 0) = signs.possible(b"sk-s and ask-x") else { panic!("a core is no literal") };
        let Possible::Any = signs.possible("k-sk ".repeat(PATIENCE + 1).as_bytes()) else {
            panic!("it has no patience")
        };
        let Possible::Any = signs.possible("sk-x".repeat(PATIENCE * 4).as_bytes()) else {
            panic!("it takes its chance too often")
        };
        let Possible::Few(_, 0) =
            signs.possible(format!("sk-x{}", " ".repeat(30)).repeat(PATIENCE * 4).as_bytes())
        else {
            panic!("a core now and then says nothing")
        };
    }
}
