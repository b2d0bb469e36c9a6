//! Scripts that mean harm or are merely wrong: each ends as the right error, and nothing else notices.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod bench;

use bench::{candidates, request};
use serde_json::Value;
use std::sync::Arc;
use weir_policy::{Decision, Fault, FaultKind, Grants, Guarded, LoadError, Policy};

fn script(body: &str) -> String {
    format!("//! name: hostile\n//! version: 1.0.0\n//! hooks: [route]\n{body}")
}

fn load(body: &str) -> Result<Arc<dyn Policy>, LoadError> {
    weir_script::compile("hostile.rhai", &script(body), &Value::Null, &Grants::offline())
}

fn refused(body: &str) -> LoadError {
    load(body).err().unwrap_or_else(|| panic!("this was loaded: {body}"))
}

/// A `route` with this body, asked once.
fn route(body: &str) -> Result<Decision, Fault> {
    load(&format!("fn route(head, targets, config) {{\n{body}\n}}")).unwrap().route(&request(), &candidates())
}

fn fault(body: &str) -> Fault {
    match route(body) {
        Err(fault) => fault,
        Ok(decision) => panic!("{body} answered {decision:?}"),
    }
}

#[test]
fn endless_work_runs_out_of_time() {
    for body in [
        "loop {}",
        "let x = 0; while true { x += 1 }",
        "let n = 0; for i in 0..9223372036854775807 { n = i; } abstain()",
        // What stops a script cannot be caught by it.
        "loop { try { loop {} } catch { } }",
        r#"loop { let s = "x"; s.pad(9, ""); }"#,
        // A closure called from native code counts for the call as a whole.
        "let a = []; a.pad(1000, 1); a.map(|x| { let b = []; b.pad(1000, x); b.map(|y| y + 1).len() }); abstain()",
        "let a = []; a.pad(1000, 1); a.sort(|x, y| { let b = []; b.pad(1000, x); b.filter(|z| z > y).len() - y }); loop {}",
    ] {
        let fault = fault(body);
        assert_eq!(fault.kind, FaultKind::Deadline, "{body}: {fault}");
    }
}

#[test]
fn a_heavy_operation_runs_out_of_cpu_before_operations() {
    let source = "//! name: heavy\n//! version: 1.0.0\n//! hooks: [route]\n//! limits: { operations: 10000000 }\n\
        fn route(head, targets, config) { let a = []; a.pad(10000, 1); loop { a.index_of(2); } }";
    let policy = weir_script::compile("heavy.rhai", source, &Value::Null, &Grants::offline()).unwrap();
    let fault = policy.route(&request(), &candidates()).unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Deadline, "out of CPU time"));
}

#[test]
fn growth_runs_out_of_memory() {
    for body in [
        r#"let s = "0123456789"; loop { s += s; }"#,
        r#"let s = "x"; s.pad(1000000000, "y"); abstain()"#,
        r#"let s = "x"; loop { s = `${s}${s}`; }"#,
        "let a = []; a.pad(1000000000, 1); abstain()",
        "let a = [1, 2, 3, 4]; loop { a += a; }",
        "let a = [1]; loop { a = [a, a, a, a]; }",
        "let m = #{}; loop { m = #{ a: m, b: m, c: m }; }",
    ] {
        let fault = fault(body);
        assert_eq!(fault.kind, FaultKind::Memory, "{body}: {fault}");
    }
}

/// What is made in one native call is measured before it is there: gigabytes would end the process, not the script.
#[test]
fn one_native_call_cannot_outgrow_the_memory() {
    for body in [
        r#"let s = ""; s.pad(250000, "x"); s.replace("x", s + "y")"#,
        r#"let s = ""; s.pad(250000, "x"); s.replace('x', s + "y")"#,
        r#"let s = ""; s.pad(250000, "x"); s.replace("", s)"#,
        r#"let s = ""; s.pad(250000, "x"); s.replace("x", '\u20ac')"#,
        r#"let s = ""; s.pad(250000, "x"); s.replace('x', '\u20ac')"#,
        // So many that the sum is 0 again.
        "let a = []; a.pad(4611686018427387904, [1, 2, 3])",
        "let a = []; a.pad(2000, 1); let b = []; b.pad(2000, a)",
        "let a = []; a.pad(1000, #{ a: #{ b: 1 } }); let b = []; b.pad(1000, a)",
        "let a = []; a.pad(1000, blob(10000))",
    ] {
        let fault = fault(body);
        assert_eq!(fault.kind, FaultKind::Memory, "{body}: {fault}");
    }
}

/// What goes into a nested value calls itself, and a worker's stack has 2 MiB: too deep is no reason to end the process.
#[test]
fn a_deep_value_is_not_gone_into_to_its_end() {
    let inside = "[0]".repeat(20);
    for body in [
        "a.to_string()",
        "`${a}`",
        "\"\" + a",
        "#{ a: a }.to_string()",
        "a == a",
        "a != a",
        "[a].contains(a)",
        "#{ a: a } == #{ a: a }",
    ] {
        let source = format!(
            "//! name: deep\n//! version: 1.0.0\n//! hooks: [route]\n\
             //! limits: {{ operations: 10000000, cpu_us: 20000, memory_bytes: 268435456 }}\n\
             fn put(v, n) {{ if n == 0 {{ this[0] = v; }} else {{ this{inside}.put(v, n - 1); }} }}\n\
             fn route(head, targets, config) {{\n\
               let a = [1]; for i in 0..200 {{ a = [a.drain(0, 1)]; }} for i in 0..10 {{ let b = a; a.put(b, 9); }}\n\
               {body}; abstain()\n}}"
        );
        let policy = weir_script::compile("deep.rhai", &source, &Value::Null, &Grants::offline()).unwrap();
        match policy.route(&request(), &candidates()) {
            Ok(decision) => assert_eq!(decision, Decision::Abstain, "{body}"),
            Err(fault) => {
                assert!(matches!(fault.kind, FaultKind::Memory | FaultKind::Deadline), "{body}: {fault}")
            }
        }
    }
}

#[test]
fn what_is_measured_first_does_what_it_does_elsewhere() {
    for (body, wanted) in [
        (r#"let s = "a-b-c"; s.replace("-", "++"); s"#, "a++b++c"),
        (r#"let s = "a-b-c"; s.replace("-", '+'); s"#, "a+b+c"),
        (r#"let s = "a-b-c"; s.replace('-', ""); s"#, "abc"),
        (r#"let s = "a-b-c"; s.replace('-', '\u20ac'); s"#, "a\u{20ac}b\u{20ac}c"),
        (r#"let s = "ab"; s.replace("", "."); s"#, ".a.b."),
        (r#"let s = ""; s.replace("a", "b"); s.replace("", "b"); s"#, ""),
        (r#"let s = "a"; s.pad(6, "xyz"); s"#, "axyzxy"),
        (r#"let s = "abc"; s.pad(2, "xyz"); s.pad(-1, "x"); s.pad(9, ""); s"#, "abc"),
        (
            r#"let a = [1]; a.pad(3, #{ a: "b" }); a.pad(2, 0); a.pad(-1, 0); `${a}`"#,
            r#"[1, #{"a": "b"}, #{"a": "b"}]"#,
        ),
        (
            r#"let a = [1, "x", #{ b: [2.5, ()] }]; let b = a; b.push(0); `${a == a} ${a != a} ${a == b} ${[1] == ["x"]} ${a}`"#,
            r#"true false false false [1, "x", #{"b": [2.5, ()]}]"#,
        ),
        (
            r#"let a = #{ b: [1], c: 'x' }; `${a == a} ${a != a} ${a == #{ b: [1], d: 'x' }} ${a == #{ b: [1], c: 1 }} ${[a].contains(a)}`"#,
            "true false false false true",
        ),
    ] {
        let source = format!(
            "//! name: x\n//! version: 1.0.0\n//! hooks: [guard]\nfn guard(request, config) {{ answer(said()) }}\n\
             fn said() {{ {body} }}"
        );
        let policy = weir_script::compile("x.rhai", &source, &Value::Null, &Grants::offline()).unwrap();
        assert_eq!(policy.guard(&request()).unwrap().outcome, Guarded::Answer(wanted.into()), "{body}");
    }
    for body in [
        r#"const S = "a"; S.replace("a", "b")"#,
        r#"const S = "a"; S.pad(3, "b")"#,
        "const A = []; A.pad(3, 1)",
    ] {
        assert_eq!(fault(body).kind, FaultKind::Trap, "{body}");
    }
}

/// One by one, the clock may come first.
#[test]
fn slow_growth_ends_too() {
    for body in [
        r#"let m = #{}; let n = 0; loop { m["k" + n] = n; n += 1; }"#,
        "let a = []; loop { a.push(1); }",
        r#"let s = ""; loop { s += "x"; }"#,
    ] {
        let fault = fault(body);
        assert!(matches!(fault.kind, FaultKind::Memory | FaultKind::Deadline), "{body}: {fault}");
    }
}

#[test]
fn recursion_ends_as_memory() {
    let recursive = load("fn down(n) { down(n + 1) }\nfn route(head, targets, config) { down(0) }").unwrap();
    assert_eq!(recursive.route(&request(), &candidates()).unwrap_err().kind, FaultKind::Memory);
    let mutual =
        load("fn a(n) { b(n) }\nfn b(n) { a(n) }\nfn route(head, targets, config) { a(0) }").unwrap();
    assert_eq!(mutual.route(&request(), &candidates()).unwrap_err().kind, FaultKind::Memory);
    let deep = format!("fn route(head, targets, config) {{ {}1{} }}", "(".repeat(500), ")".repeat(500));
    assert!(refused(&deep).message.contains("complexity"), "{}", refused(&deep));
}

#[test]
fn a_throw_says_where_and_not_what() {
    for (body, column) in [
        (r#"throw "the secret is 1234""#, 1),
        (r#"let x = "the secret is 1234"; x.parse_int(); abstain()"#, 34),
        (r#"let m = ["the secret is 1234"]; m[7]; abstain()"#, 34),
    ] {
        let fault = fault(body);
        assert_eq!(fault.kind, FaultKind::Trap, "{body}");
        assert!(!fault.to_string().contains("1234"), "{fault}");
        let place = fault.place.unwrap();
        assert!(place.starts_with("hostile.rhai:5:"), "{place}");
        assert!(body.len() > column, "{body}");
    }
    assert_eq!(fault(r#"throw "x""#).place.unwrap(), "hostile.rhai:5:1");
}

#[test]
fn faults_deep_in_a_script_name_the_innermost_place() {
    let policy = load(
        "fn inner(t) {\n  t.ctx_tokens / 0\n}\nfn route(head, targets, config) {\n  inner(targets[0])\n}",
    )
    .unwrap();
    let fault = policy.route(&request(), &candidates()).unwrap_err();
    assert_eq!((fault.kind, fault.place.as_deref()), (FaultKind::Trap, Some("hostile.rhai:5:16")), "{fault}");
    assert_eq!(fault.excerpt.as_deref(), Some(" 5 |   t.ctx_tokens / 0\n   |                ^"));
}

#[test]
fn what_scripts_cannot_say_is_refused_at_load() {
    for (body, line) in [
        (r#"eval("1")"#, 5),
        (r#"import "std" as s;"#, 5),
        (r#"print("x")"#, 5),
        (r#"debug("x")"#, 5),
        (r#"Fn("x")"#, 5),
        ("sleep(10)", 5),
        ("unknown_variable", 5),
        ("let x = 1;\nlet y = x + z;", 6),
        ("targets.cheepest()", 5),
        ("no_such_function(1)", 5),
        ("let = 1;", 5),
    ] {
        let error = refused(&format!("fn route(head, targets, config) {{\n{body}\n}}"));
        assert_eq!(error.line, Some(line), "{body}: {error}");
        assert!(error.column.is_some(), "{body}: {error}");
    }
    let typo = refused("fn route(head, targets, config) {\n  plan(targets.cheepest())\n}");
    assert_eq!(typo.hint.as_deref(), Some("did you mean `cheapest`?"));
    assert_eq!(typo.excerpt.as_deref(), Some(" 5 |   plan(targets.cheepest())\n   |                ^"));
    let global = refused("let x = 1;\nfn route(head, targets, config) { abstain() }");
    assert_eq!(global.line, Some(4), "{global}");
}

#[test]
fn hooks_are_checked_against_the_manifest() {
    let missing = refused("fn ruote(head, targets, config) { abstain() }");
    assert!(missing.message.contains("no such function"), "{missing}");
    let few = refused("\n\nfn route(head) { abstain() }");
    assert_eq!(
        (few.line, few.hint.as_deref()),
        (Some(6), Some("write fn route(head, targets, config[, request])")),
        "{few}"
    );
    let unnamed =
        refused("fn route(head, targets, config) { abstain() }\nfn guard(request, config) { pass() }");
    assert_eq!((unnamed.line, unnamed.hint.as_deref()), (Some(5), Some("hooks: [guard]")), "{unnamed}");
}

#[test]
fn the_manifest_is_checked_with_its_own_lines() {
    let compile = |source: &str| {
        weir_script::compile("x.rhai", source, &Value::Null, &Grants::offline()).err().unwrap()
    };
    let none = compile("fn route(head, targets, config) { abstain() }");
    assert_eq!((none.line, none.message.as_str()), (Some(1), "the script has no manifest"));
    let unknown = compile(
        "//! name: x\n//! version: 1.0.0\n//! hoks: [route]\nfn route(head, targets, config) { abstain() }",
    );
    assert_eq!((unknown.line, unknown.column), (Some(3), Some(5)), "{unknown}");
    let without = compile("//! name: x\n//! version: 1.0.0\n//! hooks: [price]\n");
    assert_eq!(without.line, Some(3), "{without}");
    assert!(without.hint.unwrap().contains("fn price(head, target, base, config)"));
}

#[test]
fn answers_are_checked() {
    for (body, said) in [
        ("42", "a number"),
        (r#""a/0""#, "a string"),
        ("if head.stream { abstain() }", "nothing"),
        ("targets", "a list of targets"),
        ("targets[0]", "a target"),
        ("#{ plan: 1 }", "a map"),
        ("pass()", "a verdict"),
        ("plan(step(99))", "target 99 is not a candidate"),
        ("plan([step(0), step(7)])", "target 7 is not a candidate"),
        ("plan(step(-1))", "there is no target -1"),
        ("plan(step(65536))", "there is no target 65536"),
        (r#"plan(targets.with_tag("nobody"))"#, "the plan names no target"),
    ] {
        let fault = fault(body);
        assert_eq!(fault.kind, FaultKind::BadAnswer, "{body}: {fault}");
        assert!(fault.message.contains(said), "{body}: {fault}");
    }
    assert_eq!(fault("plan([1, 2])").kind, FaultKind::Trap);
    assert_eq!(fault("targets[99]").kind, FaultKind::Trap);
}

#[test]
fn a_self_test_that_throws_refuses_the_version() {
    let source = "//! name: x\n//! version: 1.0.0\n//! hooks: [route]\n//! config_schema: { type: object }\n\
        fn self_test(config) {\n  if config.share > 1.0 { throw \"share is a part of 1\"; }\n}\n\
        fn route(head, targets, config) { abstain() }";
    let compile = |config: Value| weir_script::compile("x.rhai", source, &config, &Grants::offline());
    assert!(compile(serde_json::json!({ "share": 0.5 })).is_ok());
    let error = compile(serde_json::json!({ "share": 2.5 })).err().unwrap();
    assert_eq!((error.line, error.message.as_str()), (Some(6), "self_test failed: share is a part of 1"));
    let endless =
        source.replace("if config.share > 1.0 {", "loop {").replace("throw \"share is a part of 1\";", "");
    assert!(weir_script::compile("x.rhai", &endless, &Value::Null, &Grants::offline()).is_err());
}

#[test]
fn a_fault_leaves_the_policy_as_it_was() {
    let policy =
        load("fn route(head, targets, config) { if targets.len == 1 { loop {} } plan(targets) }").unwrap();
    let one = Arc::new(weir_policy::Candidates { allowed: Arc::new([0]), ..(*candidates()).clone() });
    let good = policy.route(&request(), &candidates()).unwrap();
    for _ in 0..3 {
        assert_eq!(policy.route(&request(), &one).unwrap_err().kind, FaultKind::Deadline);
        assert_eq!(policy.route(&request(), &candidates()).unwrap(), good);
    }
}

#[test]
fn many_threads_share_a_policy() {
    let source = script(
        "fn route(head, targets, config) { let n = 0; for t in targets { n += t.index; } if n == 6 { plan(targets.reverse()) } else { abstain() } }",
    );
    let policy = weir_script::compile("shared.rhai", &source, &Value::Null, &Grants::offline()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let (request, candidates) = (request(), candidates());
                for _ in 0..200 {
                    let Decision::Plan(plan) = policy.route(&request, &candidates).unwrap() else {
                        panic!("no plan")
                    };
                    assert_eq!(plan.steps.iter().map(|step| step.target).collect::<Vec<_>>(), [3, 2, 1, 0]);
                }
            });
        }
    });
}

/// A closure that is kept could hold what holds it, for ever.
#[test]
fn a_closure_is_no_value() {
    for body in [
        "let a = []; let f = || a; a.push(f); abstain()",
        "let a = []; a.push(|| a); abstain()",
        "let a = [|x| x]; abstain()",
        "let m = #{ f: |x| x }; abstain()",
        "let f = |x| x + 1; f.call(1); abstain()",
        "(|x| x).call(|y| y); abstain()",
        "let a = []; [1].reduce(|s, x| { a.push(s) }, |z| a); abstain()",
        "return |x| x;",
        "keep(|x| x); abstain()",
        "[1].keep(|x| x); abstain()",
    ] {
        let error = refused(&format!("fn keep(f) {{ f }}\nfn route(head, targets, config) {{\n{body}\n}}"));
        assert!(error.message.contains("closure"), "{body}: {error}");
        assert_eq!(error.line, Some(6), "{body}: {error}");
    }
    let captures = "let least = 3; let n = 0; targets.filter(|t| { n += 1; t.index >= least }); [2, 1].sort(|a, b| a - b); \
        if n == 4 { abstain() }";
    assert_eq!(route(captures).unwrap(), Decision::Abstain);
}

/// Whatever a call did with what it was handed, nothing of it is left when it is over.
#[test]
fn a_call_leaves_nothing_behind() {
    for body in [
        "let a = [targets]; let b = a; b.push(a); [1].for_each(|| { a.push(b); b = a; }); abstain()",
        "let a = targets; [1, 2].map(|x| { a = a.reverse(); a }); abstain()",
        "let m = #{ t: targets }; m.m = m; [1].for_each(|| m.n = m); abstain()",
        "let a = [targets]; loop { a.push(a); }",
        "throw targets",
    ] {
        let (request, candidates) = (request(), candidates());
        let policy = load(&format!("fn route(head, targets, config) {{\n{body}\n}}")).unwrap();
        let _ = policy.route(&request, &candidates);
        assert_eq!((Arc::strong_count(&request), Arc::strong_count(&candidates)), (1, 1), "{body}");
    }
}

#[test]
fn deep_nesting_ends_before_the_stack_does() {
    for body in [
        "let a = [1]; loop { a = [a]; }",
        "let m = #{}; loop { m = #{ m: m }; }",
        "let a = [1]; loop { let b = []; b.push(a); a = b; }",
        "let a = []; loop { a.push(a); }",
    ] {
        let source = format!(
            "//! name: deep\n//! version: 1.0.0\n//! hooks: [route]\n//! limits: {{ operations: 10000000, cpu_us: 20000, \
             memory_bytes: 268435456 }}\nfn route(head, targets, config) {{ {body} }}"
        );
        let policy = weir_script::compile("deep.rhai", &source, &Value::Null, &Grants::offline()).unwrap();
        let fault = policy.route(&request(), &candidates()).unwrap_err();
        assert!(matches!(fault.kind, FaultKind::Memory | FaultKind::Deadline), "{body}: {fault}");
    }
}
