//! The cases runner over fake policies.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod fake;

use fake::{Fake, guarded, replace};
use serde_json::Value;
use std::io::Write;
use std::sync::Arc;
use weir_policy::cases::{self, Report};
use weir_policy::verdict::{Decision, Deny, Finding, GuardVerdict, Guarded, Plan, Recovery, Severity, Step};
use weir_policy::{Fault, FaultKind, Grants, LoadError, Policy};

/// Routes by price, or by config `best`; moves on from overloads; masks `ada@example.org`.
fn policy(config: &Value, _: &Grants) -> Result<Arc<dyn Policy>, LoadError> {
    let best = config["strategy"] == "best";
    let yaml = "hooks: [guard, route, on-error]\nreads: content\ndeclares: { rules: [email] }";
    let fake = Fake::new("p", yaml);
    let fake = fake.route(move |view, candidates| {
        if view.head().tenant.is_empty() && !best {
            return Ok(Decision::Abstain);
        }
        let price =
            |index: u16| candidates.table[usize::from(index)].rates.first().map(|rate| rate.pico_per_unit);
        let mut order: Vec<u16> = candidates.allowed.to_vec();
        order.retain(|&target| candidates.live(target).healthy);
        order.sort_by_key(|&target| price(target));
        if best {
            order.reverse();
        }
        Ok(Decision::Plan(Plan::ordered(order, if best { "best" } else { "cheapest" })))
    });
    let fake = fake.on_error(|errors| match errors.last().and_then(|error| error.status) {
        Some(529) => Ok(Recovery::Switch(Step::to(1))),
        Some(429) => Ok(Recovery::RetryAfter(250)),
        Some(_) => Ok(Recovery::Fail(Deny {
            status: 502,
            code: "gave_up".into(),
            message: "Sorry.".into(),
            retry_after_ms: None,
        })),
        None => Ok(Recovery::FollowPlan),
    });
    let fake = fake.guard(|view| {
        let text = view.text(0, 0, u32::MAX).unwrap();
        if text == "trap" {
            return Err(Fault::new(FaultKind::Trap, "no"));
        }
        let Some(at) = text.find("ada@example.org") else { return Ok(GuardVerdict::pass()) };
        let (rule, severity) = ("email".to_owned(), Severity::Low);
        let finding = Finding { rule, severity, segment: Some(0), start: 0, end: 0, score: 1.0 };
        let edit = Guarded::Edit(vec![replace(0, at, at + 15, "[email]")]);
        Ok(GuardVerdict { findings: vec![finding], ..guarded(edit) })
    });
    Ok(Arc::new(fake))
}

fn run(text: &str) -> Result<Report, LoadError> {
    let mut file = tempfile::Builder::new().suffix(".cases.yaml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let fix = |mut error: LoadError| {
        error.file = "x.cases.yaml".into();
        error
    };
    let mut report = cases::run_with(file.path(), &policy).map_err(fix)?;
    report.file = "x.cases.yaml".into();
    Ok(report)
}

/// The file of the module documentation, as an author would copy it.
fn documented() -> String {
    let source = include_str!("../src/cases.rs");
    let block = source.split("```").nth(1).unwrap().trim_start_matches("yaml");
    let line = |line: &str| line.trim_start_matches("//!").strip_prefix(' ').unwrap_or("").to_owned() + "\n";
    block.lines().map(line).collect()
}

#[test]
fn the_documented_file_runs() {
    let report = run(&documented()).unwrap();
    assert!(report.is_ok() && report.passed == 4, "{report}");
}

#[test]
fn every_kind_of_answer_can_be_expected() {
    let text = r#"
targets: [{ id: sim/a, rates: { input: "1" } }, { id: sim/b }]
cases:
  - { name: nothing to mask, expect: pass }
  - { name: nobody asks, expect: abstain }
  - { name: unhealthy, head: { tenant: t }, live: { sim/a: { healthy: false } }, expect: { plan: [sim/b] } }
  - { name: raw, body: '{"model":"m",  "messages":[{"role":"user","content":"\u0061da@example.org"}]}',
      expect: { body: '{"model":"m",  "messages":[{"role":"user","content":"[email]"}]}' } }
  - { name: trap, texts: [trap], expect: { fault: trap }, hook: guard }
  - { name: retry, errors: [{ target: sim/a, class: rate-limited, status: 429 }], expect: { retry-after: 250 } }
  - { name: fail, errors: [{ target: sim/a, class: server-error, status: 500 }], expect: { fail: { code: gave_up } } }
  - { name: on, errors: [{ target: sim/a, class: network }], expect: follow-plan }
"#;
    let report = run(text).unwrap();
    assert!(report.is_ok() && report.passed == 8, "{report}");
}

#[test]
fn a_mismatch_says_what_was_expected_what_came_and_where() {
    let text = r#"
targets: [{ id: sim/a, rates: { input: "1" } }, { id: sim/b, rates: { input: "2" } }]
cases:
  - { name: order, head: { tenant: t }, expect: { plan: [sim/b, sim/a] } }
  - { name: why, head: { tenant: t }, expect: { plan: [sim/a, sim/b] }, reason: best }
  - name: masked
    texts: ["ada@example.org"]
    expect: { texts: ["***"] }
  - { name: ok, expect: pass }
  - { name: trap, texts: [trap], expect: pass }
"#;
    let expected = [
        "x.cases.yaml: 1 of 5 cases pass",
        "x.cases.yaml:4: `order`: expected the plan [sim/b, sim/a], got the plan [sim/a, sim/b] for the reason `cheapest`",
        "x.cases.yaml:5: `why`: expected the reason `best`, got `cheapest`",
        r#"x.cases.yaml:6: `masked`: expected the texts ["***"], got the texts ["[email]"] in the body {"model":"model","stream":false,"messages":[{"role":"user","content":"[email]"}]}"#,
        "x.cases.yaml:10: `trap`: expected pass, got a fault: trap in policy: no (ask it again on your own machine with `weir policy run FILE --request BODY`, and keep what failed as a golden case)",
    ];
    assert_eq!(run(text).unwrap().to_string(), expected.join("\n"));
}

#[test]
fn a_bad_file_is_an_error_with_its_line() {
    let cases = [
        (
            "cases:\n  - { nam: x, expect: pass }",
            "x.cases.yaml:2:7: unknown key `nam` (did you mean `name`?)",
        ),
        ("cases:\n  - { name: x, expect: { plans: [] } }", "unknown value `plans` (did you mean `plan`?)"),
        (
            "targets: [{ id: sim/a }]\ncases:\n  - { name: x, candidates: [sim/b], expect: abstain }",
            "x.cases.yaml:3:13: unknown target `sim/b` (did you mean `sim/a`?)",
        ),
        (
            "targets:\n  - { id: a, rates: { input: cheap } }\ncases: []",
            "x.cases.yaml:2:30: `cheap` is no price",
        ),
        (
            "cases:\n  - { name: x, body: { model: 1 }, expect: pass }",
            "x.cases.yaml:2:22: the body is no valid request",
        ),
        (
            "cases:\n  - { name: x, expect: { fault: trap } }",
            "x.cases.yaml:2:13: case `x` does not say its `hook`",
        ),
        ("cases:\n  - { name: x, hook: route, expect: pass }", "is no answer of `route`"),
    ];
    for (text, expected) in cases {
        let error = run(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nwanted {expected}");
    }
}
