//! Whatever the pattern and the text: what is found does not depend on what the pattern is searched together with. Alone it
//! is searched for by its sign; with so many others that have none, all are searched for at once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_policy::manifest::MatcherSpec;
use weir_policy::matcher::Matchers;

/// More patterns without a sign than are searched for one by one.
const OTHERS: [&str; 5] = ["[a-z]", "[a-y]", "[b-z]", "[b-y]", "[c-z]"];

fuzz_target!(|input: (bool, &str)| {
    let (case_insensitive, input) = input;
    let Some((pattern, text)) = input.split_once('\u{1}') else { return };
    let found = |others: &[&str]| {
        let patterns = std::iter::once(&pattern).chain(others).map(|&pattern| pattern.to_owned()).collect();
        let spec = MatcherSpec { name: "m".into(), literals: Vec::new(), patterns, case_insensitive };
        let matchers = Matchers::compile(&[spec]).ok()?;
        let hits = matchers.scan("m", text).expect("it is there").expect("the text is short");
        Some(hits.into_iter().filter(|hit| hit.pattern == 0).collect::<Vec<_>>())
    };
    let Some(alone) = found(&[]) else { return };
    assert_eq!(Some(alone), found(&OTHERS), "{pattern:?} in {text:?}");
});
