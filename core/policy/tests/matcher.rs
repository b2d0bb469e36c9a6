//! Matchers and the reads of a view.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod fake;

use fake::view;
use proptest::prelude::*;
use std::sync::Arc;
use weir_llm::request::Request;
use weir_policy::manifest::MatcherSpec;
use weir_policy::matcher::{MAX_HITS, Matchers};
use weir_policy::{AccessError, Api, Hit, RequestView};

fn spec(literals: &[&str], patterns: &[&str], case_insensitive: bool) -> MatcherSpec {
    let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    MatcherSpec { name: "m".into(), literals: owned(literals), patterns: owned(patterns), case_insensitive }
}

fn compile(spec: MatcherSpec) -> Matchers {
    Matchers::compile(&[spec]).unwrap()
}

fn found(matchers: &Matchers, text: &str) -> Vec<(u32, String)> {
    let hits = matchers.scan("m", text).unwrap().unwrap();
    hits.iter().map(|hit| (hit.pattern, text[hit.start as usize..hit.end as usize].to_owned())).collect()
}

#[test]
fn literals_prefer_the_longest_and_patterns_find_all() {
    let literals = compile(spec(&["foo", "foobar"], &[], true));
    assert_eq!(found(&literals, "xFOObar foo"), [(1, "FOObar".into()), (0, "foo".into())]);
    let both = compile(spec(&["ab"], &["[0-9]+", "[0-9]{2}x"], false));
    let expected = [(1, "123".to_owned()), (2, "23x".into()), (0, "ab".into())];
    assert_eq!(found(&both, "123x ab AB"), expected);
    assert!(literals.scan("unknown", "x").is_none());
}

#[test]
fn a_pattern_in_ascii_means_ascii_and_others_mean_unicode() {
    let card = compile(spec(&[], &[r"\b\d{4}\b"], false));
    assert_eq!(
        found(&card, "né1234é ١٢٣٤ x5678"),
        [(0, "1234".into())],
        "an é hides nothing; other digits are none"
    );
    let classes = compile(spec(&[], &[r"[\w\-]+=\S+\s\\b", r"\D!"], false));
    assert_eq!(found(&classes, r"é a-b=cé \b é!"), [(0, r"a-b=cé \b".into()), (1, "é!".into())]);
    let words = compile(spec(&[], &[r"\bмир\b", r"(?u)\b\w+ мир", r"x\B."], false));
    assert_eq!(found(&words, "мира xé мир"), [(2, "xé".into()), (1, "xé мир".into()), (0, "мир".into())]);
}

#[test]
fn what_cannot_be_searched_is_refused_at_load() {
    let nested = "a{1000}".to_owned() + &"{100}".repeat(3);
    for (patterns, literals, part) in [
        (vec!["(ab"], vec![], "unclosed group"),
        (vec!["x*"], vec![], "matches the empty text"),
        (vec![nested.as_str()], vec![], "size limit"),
        (vec![], vec![""], "a literal is empty"),
        (vec![], vec![], "neither"),
    ] {
        let error = Matchers::compile(&[spec(&literals, &patterns, false)]).unwrap_err();
        assert!(error.to_string().starts_with("matcher `m`: "), "{error}");
        assert!(error.message.to_lowercase().contains(part), "{error}");
    }
}

#[test]
fn a_list_of_hits_is_never_cut() {
    let matchers = compile(spec(&["a"], &[], false));
    assert_eq!(found(&matchers, &"a".repeat(MAX_HITS)).len(), MAX_HITS);
    assert!(matchers.scan("m", &"a".repeat(MAX_HITS + 1)).unwrap().is_err());
    let spread = vec!["a".repeat(MAX_HITS / 2 + 1); 2];
    let spread: Vec<_> = spread.iter().map(String::as_str).collect();
    assert_eq!(view(&spread).scan(&matchers, "m"), Err(AccessError::Budget));
}

#[test]
fn reads_say_what_is_wrong_and_taint() {
    let view = view(&["aé\"b", "zz"]);
    assert_eq!(view.segments(0, 9).len(), 2);
    assert_eq!(view.segments(1, 9)[0].bytes, 2);
    assert_eq!(view.segments(9, 9), []);
    assert!(!view.tainted(), "shapes are no content");
    assert_eq!(view.text(0, 0, 3).as_deref(), Ok("aé"));
    assert!(view.tainted());
    assert_eq!(view.text(0, 0, 2), Err(AccessError::NotUtf8));
    assert_eq!(view.text(1, 1, u32::MAX).as_deref(), Ok("z"));
    assert_eq!(view.text(1, 3, 9), Err(AccessError::OutOfRange));
    assert_eq!(view.text(2, 0, 0), Err(AccessError::OutOfRange));
    assert_eq!(view.bytes(0, 2, 3).as_deref(), Ok(&[0xa9][..]));
    assert_eq!(view.json("/messages/1", 40).unwrap().unwrap(), r#"{"role":"user","content":"zz"}"#);
    assert_eq!(view.json("/messages/1", 5), Err(AccessError::Budget));
    assert_eq!(view.json("/nothing", 5), Ok(None));
    assert_eq!(view.header("ACCEPT"), Some("json"));
    for hidden in ["authorization", "x-weir-tags", "cookie"] {
        assert_eq!(view.header(hidden), None);
    }
    assert_eq!((view.attr("tier").as_deref(), view.attr("other")), (Some("gold"), None));
}

/// A tool's name is the caller's own word, though it stands among shapes.
#[test]
fn the_names_of_tools_and_speakers_taint() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],
        "tools":[{"type":"function","function":{"name":"look_up_jane_doe","description":"d"}}]}"#;
    let request = Request::parse(Api::Chat, body.into()).unwrap();
    let view = RequestView::new(view(&["x"]).head().clone(), Arc::new(request), Vec::new());
    assert!(view.segments(0, 1).iter().all(|segment| segment.name.is_none()));
    assert!(!view.tainted(), "nobody is named there");
    let named = view.segments(0, 9).into_iter().filter_map(|segment| segment.name);
    assert!(named.count() > 0);
    assert!(view.tainted());
}

#[test]
fn hits_carry_segment_and_decoded_offsets() {
    let matchers = compile(spec(&[], &["[a-z]+@[a-z]+"], false));
    let view = view(&["none", "\n\"é\" a@b", "c@d e@f"]);
    let hit = |segment, start, end| Hit { pattern: 0, segment, start, end };
    assert_eq!(view.scan(&matchers, "m").unwrap(), [hit(1, 6, 9), hit(2, 0, 3), hit(2, 4, 7)]);
    assert_eq!(view.scan(&matchers, "n"), Err(AccessError::NotGranted));
}

proptest! {
    /// The quick no does not hide a hit: a scan finds just what each pattern finds alone.
    #[test]
    fn a_scan_finds_what_its_patterns_find(text in "[a-cé0-2@. ]{0,60}") {
        let patterns = ["[a-c]+@[a-c]+", "[0-2]{3}", "é.", "(?i)AB"];
        let mut alone = Vec::new();
        for (index, pattern) in (0u32..).zip(patterns) {
            let regex = regex::Regex::new(pattern).unwrap();
            alone.extend(regex.find_iter(&text).map(|m| (m.start(), m.end(), index)));
        }
        alone.sort_unstable();
        let hits = compile(spec(&[], &patterns, false)).scan("m", &text).unwrap().unwrap();
        let hits: Vec<_> = hits.iter().map(|h| (h.start as usize, h.end as usize, h.pattern)).collect();
        prop_assert_eq!(hits, alone);
    }
}
