//! "did you mean": the known word that is nearest to what was written.

/// The known word with the fewest slips of the finger (a letter too many, too few, another one, two swapped), if those are
/// few for its length. Case counts for nothing, nor does `-` for `_`.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = folded(written);
    let length = typed.chars().count();
    let slips = |word: &'a str| {
        let other = word.chars().count();
        let most = (length.max(other) / 3).max(1);
        // What is too long or too short by itself need not be compared.
        let near = length.abs_diff(other) <= most;
        let slips = near.then(|| strsim::osa_distance(&typed, &folded(word)))?;
        (slips <= most).then_some((slips, word))
    };
    let scored = known.into_iter().filter_map(slips);
    scored.min_by_key(|(slips, _)| *slips).map(|(_, word)| word)
}

fn folded(word: &str) -> String {
    word.to_ascii_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_of_the_finger_but_no_strangers() {
        let known = ["base_url", "dialect", "keys", "headers"];
        for (written, meant) in
            [("base_ulr", "base_url"), ("baseUrl", "base_url"), ("base-url", "base_url"), ("key", "keys")]
        {
            assert_eq!(nearest(written, known), Some(meant), "{written}");
        }
        assert_eq!(nearest("weight", known), None);
        assert_eq!(nearest("", known), None);
    }
}
