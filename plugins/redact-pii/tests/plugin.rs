//! The plugin as the gateway asks it.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use weir_plugin_redact_pii::RedactPii;
use weir_sdk::testing::{FakeRequest, lane, split_everywhere_redacted};
use weir_sdk::{
    Config, DeltaKind, Direction, Lane, Plugin, Redact, RedactStream, Redaction, Request, Role, SegInfo,
    SegKind, Severity, Span,
};

const MASKS: [&str; 9] =
    ["[email]", "[phone]", "[card]", "[iban]", "[ssn]", "[ip]", "[key]", "[private-key]", "[jwt]"];

fn plugin(config: &str) -> RedactPii {
    RedactPii::configure(Config::new(config)).expect("a config")
}

fn asked(config: &str, direction: Direction, content: &dyn Request) -> Vec<(u32, u32, u32, Redaction)> {
    let spans = plugin(config).redact(direction, content).expect("readable");
    spans.into_iter().map(|span| (span.segment, span.start, span.end, span.replace)).collect()
}

#[test]
fn each_action_says_its_own() {
    let content = FakeRequest::new().user("ada@example.org").user("none").user("x 4111111111111111");
    let cases = [
        ("{}", Some(Redaction::Vault(0)), Some(Redaction::Vault(2))),
        (
            r#"{"default": "hash", "classes": {"card": "drop"}}"#,
            Some(Redaction::Hash(0)),
            Some(Redaction::Drop),
        ),
        (r#"{"classes": {"email": "off", "card": "mask"}}"#, None, Some(Redaction::Mask(2))),
        (
            r#"{"reply": {"email": "off"}, "request": {"card": "hash"}}"#,
            Some(Redaction::Vault(0)),
            Some(Redaction::Hash(2)),
        ),
        (r#"{"roles": {"user": {"email": "mask"}}, "default": "off"}"#, Some(Redaction::Mask(0)), None),
    ];
    for (config, email, card) in cases {
        let expected: Vec<_> = [email.map(|with| (0, 0, 15, with)), card.map(|with| (2, 2, 18, with))]
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(asked(config, Direction::Request, &content), expected, "{config}");
    }
}

#[test]
fn rules_and_severities_are_those_of_the_class() {
    let content = FakeRequest::new().user("AKIAIOSFODNN7EXAMPLE 8.8.8.8");
    let spans = plugin("{}").redact(Direction::Request, &content).expect("readable");
    let said: Vec<_> = spans.iter().map(|span| (span.rule, span.severity)).collect();
    assert_eq!(said, [(6, Severity::Critical), (5, Severity::Low)]);
}

#[test]
fn bytes_of_files_are_not_read() {
    let content = FakeRequest::new()
        .segment(Role::User, SegKind::ImageBytes, "ada@example.org")
        .segment(Role::User, SegKind::ImageUrl, "data:image/png;base64,YWRhQGV4YW1wbGUub3Jn")
        .segment(Role::User, SegKind::ImageUrl, "https://x.test/?to=ada@example.org")
        .segment(Role::System, SegKind::ToolSchema, r#"{"description": "write to ada@example.org"}"#);
    let segments: Vec<u32> = asked("{}", Direction::Request, &content).iter().map(|span| span.0).collect();
    assert_eq!(segments, [2, 3]);
}

#[test]
fn arguments_of_tools_have_rules_by_name() {
    let config = r#"{"default": "mask", "tool_args": {"to": {"email": "off"}, "body": {"email": "drop"}}}"#;
    let json = r#"{"to": ["a1@example.org"], "cc": "b2@example.org", "mail": {"body": "c3@example.org"}, "to": "d4@example.org"}"#;
    let content = FakeRequest::new().segment(Role::Assistant, SegKind::ToolCall, json);
    let said = asked(config, Direction::Request, &content);
    let shown: Vec<_> =
        said.iter().map(|(_, start, end, with)| (&json[*start as usize..*end as usize], *with)).collect();
    assert_eq!(shown, [("b2@example.org", Redaction::Mask(0)), ("c3@example.org", Redaction::Drop)]);

    let arguments = Lane { kind: DeltaKind::ToolArgs, ..lane() };
    for size in [1, 3, 10, 500] {
        let mut stream = plugin(config).stream(Direction::Reply);
        assert_eq!(fed(&mut stream, &[arguments], json, size), shown, "in pieces of {size}");
    }
}

/// What is replaced when lanes get the same text in turn, in pieces; all lanes must say the same.
fn fed<'a>(
    stream: &mut impl RedactStream,
    lanes: &[Lane],
    text: &'a str,
    size: usize,
) -> Vec<(&'a str, Redaction)> {
    let mut seen = vec![Vec::new(); lanes.len()];
    let mut decided = vec![0; lanes.len()];
    for end in (size..text.len()).step_by(size) {
        for (place, lane) in lanes.iter().enumerate() {
            let from = decided[place];
            let step = stream.push(*lane, &text[from..end]);
            seen[place].extend(step.spans.into_iter().map(|span| moved(span, from)));
            decided[place] = end - step.hold as usize;
        }
    }
    for (place, lane) in lanes.iter().enumerate() {
        let spans = stream.finish(*lane, &text[decided[place]..]);
        seen[place].extend(spans.into_iter().map(|span| moved(span, decided[place])));
        assert_eq!(seen[place], seen[0], "lanes differ");
    }
    seen.swap_remove(0).into_iter().map(|(start, end, with)| (&text[start..end], with)).collect()
}

fn moved(span: Span, by: usize) -> (usize, usize, Redaction) {
    (span.start as usize + by, span.end as usize + by, span.replace)
}

#[test]
fn lanes_do_not_mix() {
    let lanes = [0, 1, 2].map(|index| Lane { index, ..lane() });
    let text = "4111 1111 1111 1111 of ada@example.org";
    for size in [1, 4, 5, 30] {
        let said = fed(&mut plugin("{}").stream(Direction::Reply), &lanes, text, size);
        assert_eq!(
            said,
            [("4111 1111 1111 1111", Redaction::Report), ("ada@example.org", Redaction::Report)]
        );
    }
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    let mask = || plugin(r#"{"default": "mask"}"#).stream(Direction::Reply);
    let text = "Ada (ada\\u0040example.org, +49 30 901820) paid with 4111-1111-1111-1111 from 8.8.8.8.";
    let out = split_everywhere_redacted(mask, &MASKS, text);
    assert_eq!(out.text, "Ada ([email], [phone]) paid with [card] from [ip].");
}

/// A request whose text is shown piece by piece.
struct Long(String);

impl Request for Long {
    fn head(&self) -> weir_sdk::Head {
        weir_sdk::testing::head()
    }
    fn segments_from(&self, first: u32, _: u32) -> Vec<SegInfo> {
        let bytes = u32::try_from(self.0.len()).expect("short");
        let only =
            SegInfo { index: 0, role: Role::User, kind: SegKind::Text, bytes, tokens: None, name: None };
        if first == 0 { vec![only] } else { Vec::new() }
    }
    fn text(&self, _: u32, _: u32, _: u32) -> Result<String, weir_sdk::AccessError> {
        Err(weir_sdk::AccessError::OutOfRange)
    }
    fn bytes(&self, _: u32, start: u32, end: u32) -> Result<Vec<u8>, weir_sdk::AccessError> {
        let end = (end as usize).min(self.0.len());
        Ok(self.0.as_bytes()[start as usize..end].to_vec())
    }
    fn header(&self, _: &str) -> Option<String> {
        None
    }
    fn json(&self, _: &str, _: u32) -> Result<Option<String>, weir_sdk::AccessError> {
        Ok(None)
    }
    fn scan(&self, _: &str) -> Result<Vec<weir_sdk::Hit>, weir_sdk::AccessError> {
        Ok(Vec::new())
    }
    fn attr(&self, _: &str) -> Option<String> {
        None
    }
    fn session(&self) -> Option<String> {
        None
    }
}

/// Pieces of 256 KiB end within characters and within values.
#[test]
fn a_text_of_many_pieces_is_read_as_one() {
    for shift in 0..24 {
        let filler = "中".repeat(87_374);
        let value = "ada.lovelace@example.org";
        let text = format!("{}{filler}{value} {filler}{value}", "x ".repeat(shift));
        let said = asked("{}", Direction::Request, &Long(text.clone()));
        let shown: Vec<_> =
            said.iter().map(|(_, start, end, _)| &text[*start as usize..*end as usize]).collect();
        assert_eq!(shown, [value, value], "shifted by {shift}");
    }
}

/// In a request nothing has left before the end is seen: a long value is one span, which can be given back.
#[test]
fn a_long_value_of_a_request_is_one_span() {
    let body: String = (0..200).map(|n| format!("{:064}\n", n * 7919)).collect();
    let key = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----");
    let text = format!("a {key} b");
    let said = asked("{}", Direction::Request, &FakeRequest::new().user(&text));
    assert_eq!(said.len(), 1);
    let (_, start, end, with) = said[0];
    assert_eq!((&text[start as usize..end as usize], with), (key.as_str(), Redaction::Vault(7)));
}

#[test]
fn the_plugin_tests_itself() {
    assert_eq!(plugin("{}").self_test(), Ok(()));
}
