//! Which word stands before a place: `Tel. 030 …`, `"phone_number": "…"`, `version 1.2.3.4`.

use crate::text::{ALNUM, BEHIND, Text, is};

/// Words that may stand between the telling word and the value.
const FILLERS: [&str; 21] = [
    "number", "numbers", "no", "nr", "num", "is", "at", "me", "us", "on", "under", "unter", "au", "al", "to",
    "value", "my", "key", "an", "sie", "mich",
];

/// Whether one of the last few words before a place tells what follows. Words are lower case, letters of other scripts
/// count as letters; signs and fillers are passed over, digits and the end of a line are not.
pub(crate) fn tells(text: &Text<'_>, place: usize, told: impl Fn(&str) -> bool) -> bool {
    let mut line = text.behind(place, BEHIND);
    if let Some(end) = line.iter().rposition(|byte| *byte == b'\n') {
        line = &line[end + 1..];
    }
    for _ in 0..3 {
        let end = line.iter().rposition(|byte| is_letter(*byte)).map_or(0, |last| last + 1);
        if line[end..].iter().any(u8::is_ascii_digit) {
            return false;
        }
        let start = line[..end].iter().rposition(|byte| !is_letter(*byte)).map_or(0, |before| before + 1);
        let word = String::from_utf8_lossy(&line[start..end]).to_lowercase();
        if told(&word) || told(word.trim_start_matches(|c: char| !c.is_ascii())) {
            return true;
        }
        if !FILLERS.contains(&word.as_str()) {
            return false;
        }
        line = &line[..start];
    }
    false
}

const fn is_letter(byte: u8) -> bool {
    byte >= 0x80 || (is(byte, ALNUM) && !byte.is_ascii_digit())
}
