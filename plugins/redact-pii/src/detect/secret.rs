//! Secrets without a mark of their own: only the word before them and their length tell them.

use super::{Match, key, word};
use crate::class::Class;
use crate::text::{B64, STD, Text, is};

/// Longer ones are not told by a word.
const LONGEST: usize = 90;

/// A secret that begins at `place`: of AWS (40 signs), of an Azure account (86 and `==`) or bus (43 and `=`).
pub(crate) fn find(text: &Text<'_>, place: usize) -> Option<Match> {
    if is(text.before(place), B64) {
        return None;
    }
    let end = text.run(place, LONGEST, STD);
    let (padding, told): (usize, fn(&str) -> bool) = match end - place {
        40 => (0, |word| word.contains("secret") || matches!(word, "access" | "aws")),
        43 => (1, |word| word.ends_with("accesskey")),
        86 => (2, |word| word.ends_with("accountkey") || word == "account"),
        _ => return None,
    };
    let is_padded = (0..padding).all(|sign| text.at(end + sign) == b'=') && text.at(end + padding) != b'=';
    let fits = is_padded && key::is_mixed(text.slice(place, end)) && word::tells(text, place, told);
    fits.then(|| Match::new(Class::Key, end + padding))
}
