//! "did you mean": the known word nearest to what was typed.

/// The candidate with the fewest edits, if that is few for its length.
pub(crate) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed_low = typed.to_lowercase().replace('-', "_");
    let scored =
        known.into_iter().map(|word| (edits(&typed_low, &word.to_lowercase().replace('-', "_")), word));
    let (distance, word) = scored.min_by_key(|(distance, _)| *distance)?;
    let longest = typed.chars().count().max(word.chars().count());
    (distance <= (longest / 3).max(1)).then_some(word)
}

/// ``; did you mean `word`?``, or the empty string.
pub(super) fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(typed, known).map(|word| format!("; did you mean `{word}`?")).unwrap_or_default()
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_of_the_finger_but_no_strangers() {
        let known = ["base_url", "dialect", "keys", "headers"];
        assert_eq!(nearest("base_ulr", known), Some("base_url"));
        assert_eq!(nearest("baseUrl", known), Some("base_url"));
        assert_eq!(nearest("base-url", known), Some("base_url"));
        assert_eq!(nearest("key", known), Some("keys"));
        assert_eq!(nearest("weight", known), None);
        assert_eq!(nearest("", known), None);
    }
}
