//! Cases of streams: what passes, what stops, and the same stream cut otherwise.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod fake;

use fake::Fake;
use serde_json::Value;
use std::sync::Arc;
use weir_llm::usage::Usage;
use weir_policy::cases::{Report, Suite};
use weir_policy::verdict::{
    Closing, Deny, Finding, Lane, Next, RedactStep, Redaction, Replacement, Severity, Span, StreamStep,
    TextEdit,
};
use weir_policy::{Fault, FaultKind, Grants, LoadError, Policy, StreamGuard, StreamRedactor};

/// Puts `***` in place of `secret`, stops at `swordfish`, fails at `trap`. `holds` is how much it keeps back.
struct Watch {
    holds: usize,
    seen: u32,
}

impl StreamGuard for Watch {
    fn push(&mut self, _: Lane, text: &str, last: bool) -> Result<StreamStep, Fault> {
        if text.contains("trap") {
            return Err(Fault::new(FaultKind::Trap, "it broke"));
        }
        if text.contains("swordfish") {
            let deny =
                Deny { status: 451, code: "secret".into(), message: "cut".into(), retry_after_ms: None };
            return Ok(StreamStep { next: Next::Stop(deny), ..StreamStep::pass() });
        }
        let found: Vec<usize> = text.match_indices("secret").map(|(at, _)| at).collect();
        self.seen += found.len() as u32;
        let end = found.last().map_or(0, |at| at + 6);
        let hold = if last { 0 } else { self.holds.min(text.len() - end) as u32 };
        let edit = |at: usize| TextEdit {
            start: at as u32,
            end: at as u32 + 6,
            replace: Replacement::Text("***".into()),
        };
        Ok(StreamStep { edits: found.into_iter().map(edit).collect(), hold, next: Next::More })
    }

    fn finish(&mut self, _: &Usage) -> Result<Closing, Fault> {
        let finding = Finding {
            rule: "word".into(),
            severity: Severity::High,
            segment: None,
            start: 0,
            end: 0,
            score: 1.0,
        };
        Ok(Closing { findings: vec![finding; self.seen.min(1) as usize], tags: Vec::new() })
    }
}

/// Masks every `@`.
struct Marks;

impl StreamRedactor for Marks {
    fn push(&mut self, _: Lane, text: &str, _: bool) -> Result<RedactStep, Fault> {
        let span = |(at, _): (usize, &str)| Span {
            segment: 0,
            start: at as u32,
            end: at as u32 + 1,
            rule: 0,
            severity: Severity::Low,
            replace: Redaction::Mask(0),
        };
        Ok(RedactStep { spans: text.match_indices('@').map(span).collect(), hold: 0, next: Next::More })
    }
}

fn run(holds: usize, text: &str) -> Report {
    let compile = move |_: &Value, _: &Grants| -> Result<Arc<dyn Policy>, LoadError> {
        let yaml = "hooks: [stream]\nreads: content\ndeclares: { rules: [word], codes: [secret] }";
        Ok(Arc::new(Fake::new("p", yaml).stream(move || Box::new(Watch { holds, seen: 0 }))))
    };
    let suite = Suite::parse("x.cases.yaml", text).unwrap_or_else(|error| panic!("{error}"));
    suite.run(&compile).unwrap_or_else(|error| panic!("{error}"))
}

const GOOD: &str = r#"
cases:
  - { name: nothing, stream: ["Hel", "lo"], expect: pass }
  - { name: empty, stream: [], expect: pass }
  - { name: masked, stream: ["a sec", "ret is s", "e"], expect: { passes: "a *** is se" }, findings: [word] }
  - { name: wide, stream: ["é secret ü"], expect: { passes: "é *** ü" } }
  - { name: stopped, stream: ["it is sword", "fish they say"], expect: { stop: { status: 451, code: secret } },
      reason: secret }
  - { name: after, stream: ["it is all about ", "swordfish"], expect: { stop: { after: "it is a" } } }
  - { name: broken, stream: ["a ", "trap"], expect: { fault: trap } }
  - name: lanes
    stream: ["secret", { lane: tool-args, text: '{"a":"sec' }, { lane: tool-args, index: 1, text: "{}" },
             { lane: tool-args, text: 'ret"}' }, { choice: 1, text: other }]
    expect: { passes: { content: "***", tool-args: '{"a":"***"}' } }
"#;

#[test]
fn streams_pass_or_stop() {
    let report = run(9, GOOD);
    assert!(report.is_ok() && report.passed == 8, "{report}");
}

/// Enough is held back for the first case's own cut, but not for every cut.
#[test]
fn a_match_across_an_edge_that_is_missed_is_found() {
    let text = "cases: [{ name: x, stream: [the secret is out], expect: { passes: the *** is out } }]";
    let message = run(2, text).to_string();
    let expected = concat!(
        r#"cut at byte 7 ("the sec" | "ret is out") it comes out otherwise: "#,
        r#"a stream that passes "the secret is out", and not a stream that passes "the *** is out""#
    );
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn what_leaks_before_a_stop_is_found() {
    let text = "cases: [{ name: x, stream: [a swordfish], expect: { stop: { status: 451 } } }]";
    assert!(run(8, text).is_ok());
    let message = run(3, text).to_string();
    let expected = r#"it comes out otherwise: a stream that passes "a swordfish", and not a stream that is stopped by a refusal 451 `secret` "cut" after nothing"#;
    assert!(message.contains("cut at byte 6 (\"a swor\"") && message.ends_with(expected), "{message}");
}

#[test]
fn a_wrong_text_is_shown_by_lane() {
    let text = r#"
cases:
  - { name: x, stream: [a], expect: { passes: b } }
  - { name: y, stream: [a, { lane: reasoning, text: c }], expect: { stop: { after: b } } }
"#;
    let report = run(9, text).to_string();
    assert!(
        report.contains(r#"expected a stream that passes "b", got a stream that passes "a""#),
        "{report}"
    );
    let second = r#"expected a stream that is stopped by a refusal after "b", got a stream that passes content "a", reasoning "c""#;
    assert!(report.contains(second), "{report}");
}

#[test]
fn a_redactor_sees_streams_too() {
    let compile = |_: &Value, _: &Grants| -> Result<Arc<dyn Policy>, LoadError> {
        let yaml =
            "hooks: [redact]\nreads: content\nredact: { masks: ['(at)'] }\ndeclares: { rules: [mail] }";
        Ok(Arc::new(Fake::new("p", yaml).redactor(|| Box::new(Marks))))
    };
    let text = r#"cases: [{ name: x, stream: ["ada@ex", "ample.org"], expect: { passes: "ada(at)example.org" }, findings: [mail] }]"#;
    let report = Suite::parse("x", text).unwrap().run(&compile).unwrap();
    assert!(report.is_ok() && report.passed == 1, "{report}");
}

#[test]
fn a_stream_can_be_measured() {
    let compile = |_: &Value, _: &Grants| -> Result<Arc<dyn Policy>, LoadError> {
        let yaml = "hooks: [stream]\nreads: content";
        Ok(Arc::new(Fake::new("p", yaml).stream(|| Box::new(Watch { holds: 9, seen: 0 }))))
    };
    let text = "cases: [{ name: x, stream: [a, b], expect: pass }, { name: y, stream: [trap], expect: { fault: trap } }]";
    let probes = Suite::parse("x", text).unwrap().probes(&compile).unwrap();
    assert!(probes[0].ask(false).is_ok() && probes[0].ask(true).is_ok());
    assert_eq!(probes[1].ask(false).unwrap_err().kind, FaultKind::Trap);
}
