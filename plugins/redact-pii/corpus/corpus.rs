// How well the corpora's values are found; shared by the test and the example.

use serde::Deserialize;
use std::collections::BTreeMap;
use weir_plugin_redact_pii::{Class, Found, scan};

/// Each class's lines.
const FILES: [(Class, &str); 9] = [
    (Class::Email, include_str!("email.jsonl")),
    (Class::Phone, include_str!("phone.jsonl")),
    (Class::Card, include_str!("card.jsonl")),
    (Class::Iban, include_str!("iban.jsonl")),
    (Class::Ssn, include_str!("ssn.jsonl")),
    (Class::Ip, include_str!("ip.jsonl")),
    (Class::Key, include_str!("key.jsonl")),
    (Class::PrivateKey, include_str!("private-key.jsonl")),
    (Class::Jwt, include_str!("jwt.jsonl")),
];

/// A text and what is in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// `dev` or `held`.
    pub(crate) set: String,
    /// `value` or `none`.
    pub(crate) kind: String,
    /// The text.
    pub(crate) text: String,
    /// Class, start and end of each value.
    pub(crate) spans: Vec<(Class, usize, usize)>,
}

/// Counts of a class.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Score {
    /// Values that were found, from their first byte to their last.
    pub(crate) right: usize,
    /// What was found and is no value, or not all of it, or more.
    pub(crate) wrong: usize,
    /// Values that were not found as they are.
    pub(crate) missed: usize,
}

impl Score {
    /// The share of what was found that is right.
    #[must_use]
    pub(crate) fn precision(&self) -> f64 {
        share(self.right, self.wrong)
    }

    /// The share of the values that was found.
    #[must_use]
    pub(crate) fn recall(&self) -> f64 {
        share(self.right, self.missed)
    }
}

#[allow(clippy::cast_precision_loss, reason = "thousands")]
fn share(right: usize, other: usize) -> f64 {
    right as f64 / (right + other).max(1) as f64
}

/// All lines of all corpora.
#[must_use]
pub(crate) fn lines() -> Vec<Line> {
    let lines = FILES.iter().flat_map(|(_, text)| text.lines());
    lines.map(|line| serde_json::from_str(line).expect("a line of the corpus")).collect()
}

/// Counts by set and class. `wrong` tells of each line that is not right.
#[must_use]
pub(crate) fn scores(mut wrong: impl FnMut(&Line, &[Found])) -> BTreeMap<(String, Class), Score> {
    let mut scores = BTreeMap::new();
    for line in lines() {
        let found = scan(&line.text);
        let seen: Vec<_> = found.iter().map(|found| (found.class, found.start, found.end)).collect();
        for value in &line.spans {
            let score: &mut Score = scores.entry((line.set.clone(), value.0)).or_default();
            match seen.contains(value) {
                true => score.right += 1,
                false => score.missed += 1,
            }
        }
        for (class, ..) in seen.iter().filter(|seen| !line.spans.contains(seen)) {
            let score: &mut Score = scores.entry((line.set.clone(), *class)).or_default();
            score.wrong += 1;
        }
        if seen != line.spans {
            wrong(&line, &found);
        }
    }
    scores
}
