//! Regular expressions, in linear time.

use super::Unsupported;
use regex_lite::{Regex, RegexBuilder};

/// Longest pattern.
const MAX_BYTES: usize = 1_024;
/// What a compiled pattern may take, smallest first: which one it fits tells what a search costs.
const SIZES: [usize; 5] = [2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10];
/// Bytes of a compiled pattern that cost a step for each byte of text, at most.
const SIZE_OF_A_STEP: usize = 512;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// Steps for each byte of text.
    weight: u64,
}

impl Pattern {
    pub(super) fn compile(pattern: &str) -> Result<Self, Unsupported> {
        if pattern.len() > MAX_BYTES {
            return Err(Unsupported(format!("a `pattern` has more than {MAX_BYTES} bytes")));
        }
        let sized = |size: usize| {
            let regex = RegexBuilder::new(pattern).size_limit(size).build().ok()?;
            Some(Self { regex, weight: (size / SIZE_OF_A_STEP) as u64 })
        };
        let why =
            || Unsupported("a `pattern` is too large, or has what cannot be matched in linear time".into());
        SIZES.into_iter().find_map(sized).ok_or_else(why)
    }

    /// What a search in so much text costs.
    pub(super) const fn steps(&self, bytes: usize) -> u64 {
        (bytes as u64 + 1).saturating_mul(self.weight)
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}
