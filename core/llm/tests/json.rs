//! The strict parser against `serde_json`, and the traps that it is there for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use bytes::Bytes;
use proptest::prelude::*;
use weir_llm::json::{Json, JsonErrorKind, Kind, MAX_DEPTH, Value, quote, splice, unquote};

fn parse(text: &[u8]) -> Result<Json, weir_llm::json::JsonError> {
    Json::parse(Bytes::copy_from_slice(text))
}

/// Rebuilds the document as `serde_json` has it.
fn to_serde(value: Value<'_>) -> serde_json::Value {
    match value.kind() {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool => value.as_bool().unwrap().into(),
        Kind::Number => serde_json::from_slice(value.raw()).unwrap(),
        Kind::String => value.as_str().unwrap().into_owned().into(),
        Kind::Array => value.elements().map(to_serde).collect(),
        Kind::Object => value.members().map(|(k, v)| (k.into_owned(), to_serde(v))).collect(),
    }
}

#[test]
fn refuses_what_parsers_read_differently() {
    use JsonErrorKind as K;
    let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
    let cases: Vec<(&[u8], K, usize)> = vec![
        (b"", K::Empty, 0),
        (b" \n", K::Empty, 2),
        (b"\xEF\xBB\xBF{}", K::ByteOrderMark, 0),
        (b"{\"a\":\"\xFF\"}", K::InvalidUtf8, 6),
        (b"\"\xED\xA0\x80\"", K::InvalidUtf8, 1),
        (b"{\"a\":1,\"a\":1}", K::DuplicateKey("a".into()), 7),
        (b"{\"model\":1,\"mo\\u0064el\":1}", K::DuplicateKey("model".into()), 11),
        (b"[{\"x\":{\"\":1,\"\":2}}]", K::DuplicateKey(String::new()), 12),
        (br#"["\ud800"]"#, K::LoneSurrogate, 2),
        (br#"["\ud800\ud800"]"#, K::LoneSurrogate, 2),
        (br#"["\udc00\ud800"]"#, K::LoneSurrogate, 2),
        (b"[\"\t\"]", K::ControlCharacter, 2),
        (b"[\"\0\"]", K::ControlCharacter, 2),
        (br#"["\x41"]"#, K::BadEscape, 2),
        (br#"["\u00g0"]"#, K::BadEscape, 2),
        (br#"["\u+041"]"#, K::BadEscape, 2),
        (b"[01]", K::BadNumber, 1),
        (b"[-]", K::BadNumber, 1),
        (b"[1.]", K::BadNumber, 1),
        (b"[1.e3]", K::BadNumber, 1),
        (b"[1e]", K::BadNumber, 1),
        (b"[1E400]", K::NumberOverflow, 1),
        (b"[-1E400]", K::NumberOverflow, 1),
        (b"[.5]", K::Unexpected("a value"), 1),
        (b"[+1]", K::Unexpected("a value"), 1),
        (b"[NaN]", K::Unexpected("a value"), 1),
        (b"[nul]", K::Unexpected("a value"), 1),
        (b"[1,]", K::Unexpected("a value"), 3),
        (b"{\"a\":1,}", K::Unexpected("a key"), 7),
        (b"{'a':1}", K::Unexpected("a key"), 1),
        (b"{\"a\" 1}", K::Unexpected("`:`"), 5),
        (b"[1 2]", K::Unexpected("`,` or `]`"), 3),
        (b"[1}", K::Unexpected("`,` or `]`"), 2),
        (b"{\"a\":1]", K::Unexpected("`,` or `}`"), 6),
        (b"{} {}", K::TrailingBytes, 3),
        (b"{}\0", K::TrailingBytes, 2),
        (b"[\"a", K::UnexpectedEnd, 3),
        (b"[\"a\\", K::UnexpectedEnd, 4),
        (b"{\"a\":", K::UnexpectedEnd, 5),
        (deep.as_bytes(), K::TooDeep, MAX_DEPTH),
    ];
    for (text, kind, offset) in cases {
        let error = parse(text).expect_err(&String::from_utf8_lossy(text));
        assert_eq!((error.kind, error.offset), (kind, offset), "{}", String::from_utf8_lossy(text));
    }
    let error = parse(b"{\"model\":1,\"model\":1}").unwrap_err();
    assert_eq!(error.to_string(), "duplicate key \"model\" at byte 11");
}

#[test]
fn reads_the_deepest_and_the_longest_that_is_allowed() {
    let deep = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
    parse(deep.as_bytes()).unwrap();
    let digits = format!("[{}]", "9".repeat(308));
    parse(digits.as_bytes()).unwrap();
    assert_eq!(
        parse(format!("[{}]", "9".repeat(309)).as_bytes()).unwrap_err().kind,
        JsonErrorKind::NumberOverflow
    );
}

#[test]
fn a_hundred_thousand_keys_are_checked_and_the_duplicate_is_found() {
    let keys: Vec<_> = (0..100_000).map(|i| format!("\"k{i}\":0")).collect();
    let body = format!("{{{}}}", keys.join(","));
    assert_eq!(parse(body.as_bytes()).unwrap().root().members_raw().count(), 100_000);
    let twice = format!("{{{},\"k\\u0039\":0}}", keys.join(","));
    assert_eq!(parse(twice.as_bytes()).unwrap_err().kind, JsonErrorKind::DuplicateKey("k9".into()));
    let values = format!("[{}0]", "0,".repeat(weir_llm::json::MAX_VALUES));
    assert_eq!(parse(values.as_bytes()).unwrap_err().kind, JsonErrorKind::TooManyValues);
}

#[test]
fn lenient_takes_the_last_duplicate_and_marks_lone_surrogates() {
    let json = Json::parse_lenient(Bytes::from_static(br#"{"a":1,"a":"\ud83d"}"#)).unwrap();
    assert_eq!(json.root().get("a").unwrap().as_str().unwrap(), "\u{FFFD}");
}

#[test]
fn pointers_follow_rfc_6901() {
    let json = parse(br#"{"foo":["bar","baz"],"":0,"a/b":1,"m~n":8,"k\"l":6,"o":{"-":[[7]]}}"#).unwrap();
    let at =
        |pointer| json.root().pointer(pointer).map(|value| String::from_utf8_lossy(value.raw()).into_owned());
    for (pointer, raw) in [
        ("/foo/0", Some("\"bar\"")),
        ("/foo/1", Some("\"baz\"")),
        ("/", Some("0")),
        ("/a~1b", Some("1")),
        ("/m~0n", Some("8")),
        ("/k\"l", Some("6")),
        ("/o/-/0/0", Some("7")),
        ("/foo/2", None),
        ("/foo/00", None),
        ("/foo/+1", None),
        ("/foo/-", None),
        ("/m~n", None),
        ("/m~2n", None),
        ("foo", None),
        ("/foo/0/x", None),
    ] {
        assert_eq!(at(pointer).as_deref(), raw, "{pointer}");
    }
    assert_eq!(json.root().pointer("").unwrap().kind(), Kind::Object);
}

/// JSON-like text: mostly valid documents, then one byte changed, dropped or doubled.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,8})?([eE][+-]?[0-9]{1,3})?",
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"(\\\\u[0-9a-fA-F]{4}|\\\\[\"\\\\/bfnrt]|[a-z])*\"",
    ];
    let document = leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec(("[a-c]{0,2}|\\\\u006[1-3]", inner), 0..6).prop_map(|members| {
                let members: Vec<_> =
                    members.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(",\n"))
            }),
        ]
    });
    (document, any::<prop::sample::Index>(), any::<u8>(), 0..6u8).prop_map(|(text, place, byte, change)| {
        let mut bytes = text.into_bytes();
        let at = place.index(bytes.len());
        match change {
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, byte),
            _ => {}
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// What we accept, `serde_json` accepts with the same value. What it accepts and we refuse has a reason that it does
    /// not know: a duplicate key.
    #[test]
    fn agrees_with_serde(text in nearly_json()) {
        let theirs = serde_json::from_slice::<serde_json::Value>(&text);
        match parse(&text) {
            Ok(json) => prop_assert_eq!(to_serde(json.root()), theirs.expect("we accept, serde_json does not")),
            Err(error) => {
                let known = matches!(error.kind, JsonErrorKind::DuplicateKey(_));
                prop_assert!(theirs.is_err() || known, "{} of {}", error, String::from_utf8_lossy(&text));
            }
        }
    }

    #[test]
    fn quoting_is_undone_by_unquoting(text in any::<String>()) {
        let mut raw = Vec::new();
        quote(&text, &mut raw);
        prop_assert_eq!(unquote(&raw).unwrap(), text.as_str());
        prop_assert_eq!(serde_json::from_slice::<String>(&raw).unwrap(), text);
        parse(&raw).unwrap();
    }

    #[test]
    fn splices_replace_exactly(base in "[a-z]{0,40}", cuts in prop::collection::vec((0usize..41, "[A-Z]{0,3}"), 0..6)) {
        let mut points: Vec<_> = cuts.iter().map(|(at, _)| (*at).min(base.len())).collect();
        points.sort_unstable();
        let edits: Vec<_> = points.chunks_exact(2).zip(&cuts).map(|(p, (_, text))| (p[0]..p[1], text.clone())).collect();
        let mut expected = base.clone();
        for (range, text) in edits.iter().rev() {
            expected.replace_range(range.clone(), text);
        }
        let edits: Vec<_> = edits.into_iter().map(|(range, text)| (range, text.into_bytes())).collect();
        prop_assert_eq!(splice(&Bytes::from(base), &edits), expected.as_bytes());
    }
}
