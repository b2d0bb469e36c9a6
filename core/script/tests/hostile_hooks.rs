//! The same harm at every hook: each call ends as the right fault, soon, and the next call is as if nothing had been.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod bench;

use bench::{candidates, policy, request, settled};
use serde_json::Value;
use std::sync::Arc;
use weir_llm::price::Nanos;
use weir_llm::usage::{Source, Usage};
use weir_policy::{
    AttemptError, AttemptFacts, Base, DeltaKind, Direction, ErrorClass, Fault, FaultKind, Grants, Guarded,
    Lane, Policy, ReplyMeta,
};

const LANE: Lane = Lane { choice: 0, kind: DeltaKind::Content, index: 0 };

/// A hook with its function, a good answer, and a call of it.
struct Case {
    hook: &'static str,
    function: &'static str,
    good: &'static str,
    ask: fn(&dyn Policy) -> Result<(), Fault>,
}

const CASES: [Case; 12] = [
    Case {
        hook: "admit",
        function: "admit(head, config)",
        good: "allow()",
        ask: |p| p.admit(&request()).map(|_| ()),
    },
    Case {
        hook: "guard",
        function: "guard(request, config)",
        good: "pass()",
        ask: |p| p.guard(&request()).map(|_| ()),
    },
    Case {
        hook: "redact",
        function: "redact(direction, request, config)",
        good: "pass()",
        ask: |p| p.redact(&request(), Direction::Request).map(|_| ()),
    },
    Case {
        hook: "redact",
        function: "redact_stream(state, direction, lane, text, last, config)",
        good: "pass()",
        ask: |p| p.stream_redactor(&request())?.push(LANE, "text", false).map(|_| ()),
    },
    Case {
        hook: "route",
        function: "route(head, targets, config)",
        good: "abstain()",
        ask: |p| p.route(&request(), &candidates()).map(|_| ()),
    },
    Case { hook: "attempt", function: "attempt(head, attempt, config)", good: "pass()", ask: attempt },
    Case {
        hook: "on-error",
        function: "on_error(head, errors, targets, config)",
        good: "follow_plan()",
        ask: on_error,
    },
    Case {
        hook: "guard-response",
        function: "guard_response(head, meta, reply, config)",
        good: "pass()",
        ask: guard_response,
    },
    Case {
        hook: "stream",
        function: "stream(state, lane, text, last, config)",
        good: "pass()",
        ask: |p| p.stream(&request())?.push(LANE, "text", false).map(|_| ()),
    },
    Case {
        hook: "price",
        function: "price(head, target, base, config)",
        good: "charge(1)",
        ask: |p| p.price(&request(), &base()).map(|_| ()),
    },
    Case {
        hook: "price",
        function: "quote(head, target, bound, config)",
        good: "1",
        ask: |p| p.quote(&request(), &base()).map(|_| ()),
    },
    Case {
        hook: "complete",
        function: "complete(batch, config)",
        good: "()",
        ask: |p| p.complete(&vec![settled()].into()),
    },
];

fn attempt(policy: &dyn Policy) -> Result<(), Fault> {
    let facts = Arc::new(AttemptFacts { target: 0, target_id: "a/0".into(), number: 1 });
    policy.attempt(&request(), &candidates(), &facts).map(|_| ())
}

fn on_error(policy: &dyn Policy) -> Result<(), Fault> {
    let error = AttemptError {
        target: 0,
        target_id: "a/0".into(),
        class: ErrorClass::Overloaded,
        status: Some(529),
        provider_code: None,
        retry_after_ms: None,
        elapsed_ms: 3,
    };
    policy.on_error(&request(), &candidates(), &vec![error].into()).map(|_| ())
}

fn guard_response(policy: &dyn Policy) -> Result<(), Fault> {
    let meta = ReplyMeta {
        target: 0,
        target_id: "a/0".into(),
        finish_reason: "stop".into(),
        usage: Usage::default(),
        source: Source::Provider,
        ttft_ms: 0,
        total_ms: 0,
        attempts: 1,
    };
    policy.guard_response(&request(), &request(), &Arc::new(meta)).map(|_| ())
}

fn base() -> Arc<Base> {
    let (target_id, list_price) = ("a/0".into(), Nanos(1));
    Arc::new(Base { target_id, usage: Usage::default(), rates: Arc::new([]), list_price })
}

/// The policy of a case whose function does harm first if the config says so. What else the hook needs is harmless.
fn load(case: &Case, harm: &str, on: bool) -> Arc<dyn Policy> {
    let mut body = format!(
        "fn down(n) {{ down(n + 1) }}\nfn {} {{\n  if config.on {{ {harm} }}\n  {}\n}}\n",
        case.function, case.good
    );
    for other in CASES.iter().filter(|other| other.hook == case.hook && other.function != case.function) {
        body += &format!("fn {} {{ {} }}\n", other.function, other.good);
    }
    let header = format!("hooks: [{}]\nconfig_schema: {{ type: object }}", case.hook);
    let config = serde_json::json!({ "on": on });
    match weir_script::compile("hostile.rhai", &policy(&header, &body), &config, &Grants::offline()) {
        Ok(policy) => policy,
        Err(error) => panic!("{}: {error}", case.function),
    }
}

#[test]
fn harm_ends_as_the_right_fault_at_every_hook() {
    for (harm, kinds) in [
        ("loop {}", [FaultKind::Deadline, FaultKind::Deadline]),
        ("loop { try { loop {} } catch { } }", [FaultKind::Deadline, FaultKind::Deadline]),
        (r#"let s = "0123456789"; loop { s += s; }"#, [FaultKind::Memory, FaultKind::Memory]),
        ("let a = [1, 2, 3, 4]; loop { a += a; }", [FaultKind::Memory, FaultKind::Memory]),
        ("let m = #{}; loop { m = #{ a: m, b: m, c: m }; }", [FaultKind::Memory, FaultKind::Deadline]),
        ("down(0)", [FaultKind::Memory, FaultKind::Memory]),
        (
            "let a = []; a.pad(1000, 1); loop { a.map(|x| x + 1); }",
            [FaultKind::Deadline, FaultKind::Deadline],
        ),
        (r#"throw "text""#, [FaultKind::Trap, FaultKind::Trap]),
        ("1 / 0;", [FaultKind::Trap, FaultKind::Trap]),
    ] {
        for case in &CASES {
            let fault = (case.ask)(&*load(case, harm, true)).unwrap_err();
            assert!(kinds.contains(&fault.kind), "{}: {harm}: {fault}", case.function);
            assert!(fault.place.is_some() && fault.excerpt.is_some(), "{}: {harm}: {fault:?}", case.function);
            (case.ask)(&*load(case, harm, false)).unwrap_or_else(|f| panic!("{}: {f}", case.function));
        }
    }
}

/// `complete` has no answer; every other hook must give one.
#[test]
fn an_answer_of_another_kind_is_refused_at_every_hook() {
    for case in CASES.iter().filter(|case| case.hook != "complete") {
        for answer in ["return;", "return 1.5;", "return #{};", "return config;", "return [1];"] {
            let fault = (case.ask)(&*load(case, answer, true)).unwrap_err();
            assert_eq!(fault.kind, FaultKind::BadAnswer, "{}: {answer}: {fault}", case.function);
        }
    }
}

#[test]
fn the_state_of_a_stream_is_bounded_over_all_its_windows() {
    let grows = policy(
        "hooks: [stream]",
        r#"fn stream(state, lane, text, last, config) {
            if !("kept" in state) { state.kept = []; }
            for i in 0..5 { state.kept.push(text); }
            pass()
        }"#,
    );
    let policy = weir_script::compile("grows.rhai", &grows, &Value::Null, &Grants::offline()).unwrap();
    let mut stream = policy.stream(&request()).unwrap();
    let text = "x".repeat(8192);
    let fault = (0..1000).find_map(|_| stream.push(LANE, &text, false).err()).unwrap();
    assert_eq!(fault.kind, FaultKind::Memory, "{fault}");
}

#[test]
fn a_state_holds_plain_values() {
    for body in ["state.lane = lane; pass()", "state.c = config; pass()", "state.v = pass(); pass()"] {
        let source =
            policy("hooks: [stream]", &format!("fn stream(state, lane, text, last, config) {{ {body} }}"));
        let policy = weir_script::compile("state.rhai", &source, &Value::Null, &Grants::offline()).unwrap();
        let fault = policy.stream(&request()).unwrap().push(LANE, "x", false).unwrap_err();
        assert_eq!(fault.kind, FaultKind::BadAnswer, "{body}: {fault}");
    }
}

#[test]
fn huge_answers_are_bounded_by_the_sizes_of_values() {
    let source = policy(
        "hooks: [guard]",
        r#"fn guard(request, config) { let s = "x"; s.pad(1000000, "y"); answer(s) }"#,
    );
    let policy = weir_script::compile("huge.rhai", &source, &Value::Null, &Grants::offline()).unwrap();
    assert_eq!(policy.guard(&request()).unwrap_err().kind, FaultKind::Memory);
    let grows = bench::policy(
        "hooks: [guard]",
        r#"fn guard(request, config) { let v = pass(); loop { v.finding("rule", "low"); v.tag("a", "b"); } }"#,
    );
    let policy = weir_script::compile("huge.rhai", &grows, &Value::Null, &Grants::offline()).unwrap();
    assert_eq!(policy.guard(&request()).unwrap_err().kind, FaultKind::Deadline);
}

/// What Rhai does not see of the size of a value is counted too.
#[test]
fn native_values_are_bounded_in_all() {
    let view = bench::ask(&format!(
        r#"{{"model":"fast","messages":[{{"role":"user","content":"{}"}}]}}"#,
        "x ".repeat(5000)
    ));
    for body in [
        r#"let s = "x"; s.pad(60000, "y"); edit(edits(request.scan("x"), text(s)))"#,
        r#"let s = "x"; s.pad(60000, "y"); let t = text(s); let a = []; loop { a.push(edit(0, 0, 1, t)); }"#,
        r#"let s = "x"; s.pad(60000, "y"); let a = []; loop { a.push(deny(403, "x", s)); }"#,
    ] {
        let header = "hooks: [guard]\nreads: content\nlimits: { cpu_us: 20000, memory_bytes: 4194304 }\n\
            matchers:\n  - { name: x, literals: [x] }";
        let source = policy(header, &format!("fn guard(request, config) {{ {body} }}"));
        let policy = weir_script::compile("huge.rhai", &source, &Value::Null, &Grants::offline()).unwrap();
        let fault = policy.guard(&view).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Memory, "{body}: {fault}");
    }
}

/// As values a node of JSON takes many times its bytes.
#[test]
fn a_node_longer_than_a_text_may_be_is_not_read() {
    let view = bench::ask(&format!(
        r#"{{"model":"fast","messages":[{{"role":"user","content":"Hello."}}],"stop":["a"{}]}}"#,
        " ".repeat(5000)
    ));
    let asked = |memory: u32| {
        let header = format!("hooks: [guard]\nreads: content\nlimits: {{ memory_bytes: {memory} }}");
        let body = r#"fn guard(request, config) { answer(request.json("/stop", 1000000)[0]) }"#;
        let policy = policy(&header, body);
        let policy = weir_script::compile("large.rhai", &policy, &Value::Null, &Grants::offline()).unwrap();
        policy.guard(&view).map(|verdict| verdict.outcome)
    };
    assert_eq!(asked(16 << 20), Ok(Guarded::Answer("a".into())));
    let fault = asked(1 << 18).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Trap, "budget"));
}
