//! However a stream is cut, the same is found as in the whole.

#[allow(dead_code, clippy::expect_used, reason = "scores are for tests/quality.rs")]
#[path = "../corpus/corpus.rs"]
mod corpus;

use proptest::prelude::*;
use weir_plugin_redact_pii::{Class, Found, Leave, Stream, scan};

/// The text with `<class>` for what is found, nothing for the rest of a long value.
fn replaced(out: &mut String, window: &str, found: &[Found], decided: usize) {
    let mut at = 0;
    for Found { class, start, end, continues } in found {
        assert!(at <= *start && start < end && *end <= decided, "out of order: {found:?} of {decided}");
        out.push_str(&window[at..*start]);
        if !continues {
            out.push_str(&format!("<{}>", class.as_str()));
        }
        at = *end;
    }
    out.push_str(&window[at..decided]);
}

fn streamed<'a>(pieces: impl IntoIterator<Item = &'a str>) -> String {
    let (mut stream, mut out, mut held) = (Stream::new(Leave::default()), String::new(), String::new());
    for piece in pieces {
        held.push_str(piece);
        let (found, decided) = stream.push(&held);
        replaced(&mut out, &held, &found, decided);
        held.drain(..decided);
    }
    let found = stream.finish(&held);
    replaced(&mut out, &held, &found, held.len());
    out
}

fn at_once(text: &str) -> String {
    let mut out = String::new();
    replaced(&mut out, text, &scan(text), text.len());
    out
}

/// Cuts a text before each character for which `cuts` says so.
fn cut(text: &str, mut cuts: impl FnMut(usize) -> bool) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (count, (at, _)) in text.char_indices().enumerate().skip(1) {
        if cuts(count) {
            pieces.push(&text[start..at]);
            start = at;
        }
    }
    pieces.push(&text[start..]);
    pieces
}

#[test]
fn every_cut_of_the_corpora_is_as_the_whole() {
    for line in corpus::lines().iter().step_by(3) {
        let whole = at_once(&line.text);
        assert_eq!(streamed(cut(&line.text, |_| true)), whole, "character by character: {:?}", line.text);
        let places = line.text.chars().count();
        let step = if places > 400 { 37 } else { 1 };
        for place in (1..places).step_by(step) {
            assert_eq!(
                streamed(cut(&line.text, |count| count == place)),
                whole,
                "cut at {place}: {:?}",
                line.text
            );
        }
    }
}

#[test]
fn no_more_is_held_than_the_longest_value() {
    let text = format!("{}{}", "lorem ipsum dolor sit amet, ".repeat(40), "x".repeat(9000));
    let (mut stream, mut held) = (Stream::new(Leave::default()), String::new());
    for piece in cut(&text, |count| count % 5 == 0) {
        held.push_str(piece);
        let (_, decided) = stream.push(&held);
        held.drain(..decided);
        assert!(held.len() <= 4096 + 5, "{} held", held.len());
    }
    let mut prose = Stream::new(Leave::default());
    let (found, decided) = prose.push("an ordinary sentence, nothing in it, and then an");
    assert!(found.is_empty() && decided >= 45, "{decided}");
}

/// A key of 60 KiB is not held, and nothing of it leaves.
#[test]
fn a_value_without_end_is_replaced_as_it_comes() {
    let body: String = (0..1000).map(|n| format!("{:064}\n", n * 7919)).collect();
    let text = format!(
        "before -----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY----- after ada@example.org."
    );
    assert_eq!(at_once(&text), "before <private-key> after <email>.");
    for size in [1, 7, 256, 5000] {
        assert_eq!(
            streamed(cut(&text, |count| count % size == 0)),
            "before <private-key> after <email>.",
            "{size}"
        );
    }
    let token = format!("eyJhbGciOiJIUzI1NiJ9.eyJ{}.{} and on", "abcd".repeat(3000), "Ab-_".repeat(500));
    assert_eq!(at_once(&token), "<jwt> and on");
    assert_eq!(streamed(cut(&token, |count| count % 100 == 0)), "<jwt> and on");
}

/// What is not seen after a value is not the value's, whether it has come already or not.
#[test]
fn hidden_signs_after_a_value_stay() {
    let key = "-----BEGIN PRIVATE KEY-----\nMHcCAQEEIIKqJ2tQ0B4c5y8pS8m0\n-----END PRIVATE KEY-----";
    for value in [key, "ada@example.org", "4111 1111 1111 1111"] {
        let text = format!("{value}\u{200b}\u{200b}.");
        let whole = at_once(&text);
        assert!(whole.ends_with(">\u{200b}\u{200b}."), "{whole}");
        assert_eq!(streamed(cut(&text, |_| true)), whole);
    }
}

/// Pieces of values, their look-alikes and what stands between them.
fn scrap() -> impl Strategy<Value = String> {
    let lines = corpus::lines();
    let scraps: Vec<String> = lines
        .iter()
        .flat_map(|line| line.spans.iter().map(|(_, start, end)| line.text[*start..*end].to_owned()))
        .filter(|value| value.len() < 300)
        .collect();
    prop_oneof![
        3 => prop::sample::select(scraps.clone()),
        2 => (prop::sample::select(scraps), 1..40_usize).prop_map(|(scrap, most)| scrap.chars().take(most).collect()),
        2 => prop::sample::select(vec![
            " ", "\n", ".", "@", "-", "/", ":", "+", "%", "\\", "\\\\", "&#", "\u{200b}", "ü", "中", "\"", "(", "=", "_", "eyJ", "tel. ",
            "%40", "\\u0040", "%2540", "\\n", "-----", "-----BEGIN ", "version ", "::", "0", "4", "0x", "ssn ", "secret ",
        ]).prop_map(str::to_owned),
        2 => "[a-z0-9]{1,12}",
        1 => "[A-Za-z0-9+/]{1,80}",
        1 => "\\PC{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_of_any_text_is_as_the_whole(scraps in prop::collection::vec(scrap(), 1..12), seed in any::<u64>(), dense in 1..12_u64) {
        let text = scraps.concat();
        let whole = at_once(&text);
        let mut state = seed | 1;
        let mut lot = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % dense == 0
        };
        prop_assert_eq!(streamed(cut(&text, &mut lot)), whole.clone(), "{:?}", text);
        prop_assert_eq!(streamed(cut(&text, |_| true)), whole, "{:?}", text);
    }

    #[test]
    fn spans_lie_on_characters_in_order(text in "\\PC{0,200}") {
        let mut at = 0;
        for Found { start, end, class, .. } in scan(&text) {
            prop_assert!(at <= start && start < end && end <= text.len());
            prop_assert!(text.is_char_boundary(start) && text.is_char_boundary(end));
            prop_assert!(Class::ALL.contains(&class));
            at = end;
        }
    }
}
