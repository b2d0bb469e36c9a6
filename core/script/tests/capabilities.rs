//! What a script may ask of the host, and what it may not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod bench;

use bench::desk::{Desk, all};
use bench::{candidates, policy, request, settled};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use weir_llm::usage::Usage;
use weir_policy::{
    Capability, DeltaKind, FaultKind, Grants, Guarded, Lane, LoadError, Offline, Policy, RequestView,
    Retention, Summary,
};

fn load(desk: &Arc<Desk>, capabilities: &str, body: &str) -> Arc<dyn Policy> {
    let header = format!(
        "hooks: [guard]\nreads: content\ncapabilities: [{capabilities}]\n\
         declares: {{ rules: [known], reasons: [because], codes: [], tags: {{ pii: [found, none] }} }}"
    );
    let source = policy(&header, &format!("fn guard(request, config) {{\n{body}\n}}"));
    match weir_script::compile("tested.rhai", &source, &Value::Null, &all(desk)) {
        Ok(policy) => policy,
        Err(error) => panic!("{error}"),
    }
}

/// What a guard with this body answers the caller.
fn answer(desk: &Arc<Desk>, capabilities: &str, body: &str) -> String {
    match load(desk, capabilities, body).guard(&request()).unwrap().outcome {
        Guarded::Answer(text) => text,
        other => panic!("{other:?}"),
    }
}

fn refused(header: &str, body: &str, capabilities: &[Capability]) -> LoadError {
    let grants = Grants { capabilities: capabilities.to_vec(), services: Arc::new(Offline) };
    weir_script::compile("tested.rhai", &policy(header, body), &Value::Null, &grants).err().unwrap()
}

#[test]
fn what_is_not_granted_is_refused_with_the_line_that_would_grant_it() {
    let header = "hooks: [admit]\ncapabilities: [kv, env]";
    let error = refused(header, "fn admit(head, config) { allow() }", &[Capability::Env]);
    assert_eq!(error.message, "the policy asks for `kv`, which the operator has not granted");
    assert_eq!(error.hint.as_deref(), Some("add to the policy in weir.yaml: `grants: [env, kv]`"));
    assert_eq!(error.line, Some(4), "{error}");
    assert!(error.excerpt.unwrap().contains("//! capabilities: [kv, env]"));
}

#[test]
fn what_is_not_asked_for_is_not_callable() {
    for (call, capability) in [
        (r#"kv_get("tenant", "a")"#, "kv"),
        (r#"kv_put("tenant", "a", "b")"#, "kv"),
        (r#"kv_take("tenant", "a", 1, 2, 3)"#, "kv"),
        (r#"http_send(#{})"#, "http"),
        (r#"annotate("a", "b")"#, "annotate"),
        (r#"counter("a", 1)"#, "telemetry"),
        (r#"explain("a", "b")"#, "telemetry"),
        ("now_ms()", "env"),
        ("random()", "env"),
        (r#"bucket("a")"#, "env"),
        (r#"count_segment("a", 0)"#, "tokens"),
    ] {
        let body = format!("fn admit(head, config) {{\n  {call};\n  allow()\n}}");
        let error = refused("hooks: [admit]", &body, &Capability::ALL);
        assert_eq!((error.line, error.column), (Some(5), Some(3)), "{call}: {error}");
        assert!(error.message.contains(&format!("needs the capability `{capability}`")), "{error}");
        let hint = error.hint.unwrap();
        assert!(hint.contains(&format!("add `{capability}` to `capabilities`")), "{hint}");
    }
    // Names that mean two functions are looked at when they are called.
    for (call, capability) in [(r#"log("info", "a")"#, "telemetry"), (r#"count("a", "b")"#, "tokens")] {
        let source = policy("hooks: [guard]", &format!("fn guard(request, config) {{ {call}; pass() }}"));
        let policy = weir_script::compile("x.rhai", &source, &Value::Null, &Grants::offline()).unwrap();
        let fault = policy.guard(&request()).unwrap_err();
        assert!(fault.message.contains(&format!("add `{capability}` to `capabilities`")), "{fault}");
    }
}

#[test]
fn kv_keeps_texts_numbers_and_versions() {
    let desk = Arc::new(Desk::default());
    let body = r#"
        let log = "";
        log += if kv_get("tenant", "k") == () { "none " } else { "some " };
        log += `${kv_put("tenant", "k", "text")} `;
        let e = kv_get("tenant", "k");
        log += `${e.value} ${e.version} ${e.ttl_ms == ()} ${e.bytes.len()} `;
        try { kv_cas("tenant", "k", 7, "x"); } catch (e) { log += e + " "; }
        log += `${kv_cas("tenant", "k", 1, "y", 1000)} `;
        log += `${kv_incr("tenant", "n", 2)} ${kv_incr("tenant", "n", 3, 1000)} `;
        try { kv_incr("tenant", "k", 1); } catch (e) { log += e + " "; }
        kv_delete("tenant", "k");
        log += if kv_get("tenant", "k") == () { "gone " } else { "there " };
        log += `${kv_take("tenant", "b", 2, 60, 3)} ${kv_take("tenant", "b", 2, 60, 3)} `;
        let long = ""; long.pad(257, "x");
        try { kv_get("tenant", long); } catch (e) { log += e + " "; }
        let wide = ""; wide.pad(70000, "x");
        try { kv_put("tenant", "w", wide); } catch (e) { log += e; }
        answer(log)"#;
    assert_eq!(
        answer(&desk, "kv", body),
        "none 1 text 1 true 4 conflict 2 2 5 conflict gone true false too-large too-large"
    );
}

#[test]
fn after_content_was_read_only_the_exchanges_own_keys_can_be_written() {
    let desk = Arc::new(Desk::default());
    let body = r#"
        kv_put("plugin", "before", "x");
        request.text(0);
        let log = "";
        for scope in ["plugin", "tenant", "request"] {
            try { kv_put(scope, "k", "x"); log += "put "; } catch (e) { log += e + " "; }
            try { kv_incr(scope, "n", 1); log += "incr "; } catch (e) { log += e + " "; }
            try { kv_take(scope, "b", 1, 1, 1); log += "take "; } catch (e) { log += e + " "; }
            try { kv_delete(scope, "b"); log += "delete "; } catch (e) { log += e + " "; }
        }
        answer(log + kv_get("plugin", "before").value)"#;
    let closed = "closed closed closed closed ".repeat(2);
    assert_eq!(answer(&desk, "kv", body), format!("{closed}put incr take delete x"));
}

#[test]
fn under_zero_retention_nothing_is_left_behind() {
    let desk = Arc::new(Desk::default());
    let policy = load(
        &desk,
        "kv",
        r#"kv_put("request", "k", "x"); try { kv_put("tenant", "k", "x"); } catch (e) { return answer(e); } pass()"#,
    );
    let view = request();
    let head = weir_policy::Head { retention: Retention::Zero, ..view.head().clone() };
    let zero = Arc::new(RequestView::new(head, Arc::clone(view.request()), Vec::new()));
    assert_eq!(policy.guard(&zero).unwrap().outcome, Guarded::Answer("closed".into()));
    assert_eq!(policy.guard(&view).unwrap().outcome, Guarded::Pass);
}

#[test]
fn what_was_read_does_not_leave_by_telemetry_or_notes() {
    let desk = Arc::new(Desk::default());
    let body = r#"
        log("info", "free text", #{ n: 1 });
        let t = request.text(0);
        log("warn", t, #{ pii: "found", t: t });
        log("error", "because");
        counter(t, 2, #{ pii: t });
        counter("known", 1);
        observe("known", 1.5, #{ pii: "none" });
        observe("known", 2);
        explain("known", t);
        explain(t, "because");
        annotate("pii", "found");
        annotate("secret", t);
        pass()"#;
    let policy = load(&desk, "telemetry, annotate", body);
    let view = request();
    policy.guard(&view).unwrap();
    let said = desk.said();
    assert!(!said.iter().any(|line| line.contains("Hello")), "{said:#?}");
    let wanted = [
        r#"tested acme: Log { level: Info, message: "free text", fields: [("n", "1")] }"#,
        r#"tested acme: Log { level: Warn, message: "undeclared", fields: [("pii", "found"), ("undeclared", "undeclared")] }"#,
        r#"tested acme: Log { level: Error, message: "because", fields: [] }"#,
        r#"tested acme: Counter { name: "undeclared", by: 2, labels: [("pii", "undeclared")] }"#,
        r#"tested acme: Counter { name: "known", by: 1, labels: [] }"#,
        r#"tested acme: Observe { name: "known", value: 1.5, labels: [("pii", "none")] }"#,
        r#"tested acme: Observe { name: "known", value: 2.0, labels: [] }"#,
        r#"tested acme: Explain { rule: "known", because: "undeclared" }"#,
        r#"tested acme: Explain { rule: "undeclared", because: "because" }"#,
    ];
    assert_eq!(said, wanted);
    let notes = [("pii", "found"), ("undeclared", "undeclared")];
    assert_eq!(view.notes(), notes.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

/// Headers and attributes taint as content does.
#[test]
fn a_header_taints_too() {
    for read in [r#"request.header("accept")"#, r#"request.attr("tier")"#] {
        let desk = Arc::new(Desk::default());
        load(&desk, "telemetry", &format!("{read}; log(\"info\", \"free text\"); pass()"))
            .guard(&request())
            .unwrap();
        assert!(desk.said()[0].contains("undeclared"), "{read}: {:?}", desk.said());
    }
    let desk = Arc::new(Desk::default());
    let body = r#"request.session(); request.segments(); request.head.tag("tier"); count_segment("m", 0);
        log("info", "free text"); pass()"#;
    load(&desk, "telemetry, tokens", body).guard(&request()).unwrap();
    assert!(desk.said()[0].contains("free text"), "{:?}", desk.said());
}

#[test]
fn a_window_of_a_stream_is_content() {
    let desk = Arc::new(Desk::default());
    let source = policy(
        "hooks: [stream]\ncapabilities: [telemetry, kv]",
        r#"fn stream(state, lane, text, last, config) {
            log("info", text);
            try { kv_put("tenant", "k", text); } catch (e) { log("info", e); }
            kv_put("request", "k", text);
            pass()
        }"#,
    );
    let policy = weir_script::compile("tested.rhai", &source, &Value::Null, &all(&desk)).unwrap();
    let lane = Lane { choice: 0, kind: DeltaKind::Content, index: 0 };
    let mut stream = policy.stream(&request()).unwrap();
    stream.push(lane, "my secret", true).unwrap();
    stream.finish(&Usage::default()).unwrap();
    assert_eq!(desk.said().len(), 2);
    assert!(desk.said().iter().all(|line| line.contains("undeclared")), "{:?}", desk.said());
}

#[test]
fn tokens_are_the_hosts_and_do_not_taint() {
    let desk = Arc::new(Desk::default());
    let body = r#"answer(`${count("ab", "cde")} ${count_segment("ab", 0)} ${count_segment("ab", 9)}`)"#;
    assert_eq!(answer(&desk, "tokens", body), "2003 2006 0");
}

#[test]
fn clock_chance_and_buckets() {
    let desk = Arc::new(Desk::default());
    let body = r#"answer(`${now_ms()} ${random()} ${bucket("a") == bucket("a")} ${bucket("a") != bucket("b")}
        ${bucket("a") >= 0 && bucket("a") < 10000}`)"#;
    let said = answer(&desk, "env", body);
    assert_eq!(
        said.split_whitespace().collect::<Vec<_>>(),
        ["1700000000000", "9223372036854775807", "true", "true", "true"]
    );
}

#[test]
fn notes_have_bounds() {
    let desk = Arc::new(Desk::default());
    let body = r#"
        let long = ""; long.pad(129, "x");
        let log = "";
        try { annotate("k", long); } catch (e) { log += e + " "; }
        try { for i in 0..40 { annotate(`k${i}`, "v"); } } catch (e) { log += e; }
        answer(log)"#;
    assert_eq!(answer(&desk, "annotate", body), "budget budget");
}

#[test]
fn a_batch_of_several_organisations_is_nobodys() {
    let desk = Arc::new(Desk::default());
    let source = policy(
        "hooks: [complete]\ncapabilities: [telemetry, kv]",
        r#"fn complete(batch, config) {
            counter("settled", batch.len);
            try { kv_put("tenant", "k", "x"); } catch (e) { log("info", e); }
        }"#,
    );
    let policy = weir_script::compile("tested.rhai", &source, &Value::Null, &all(&desk)).unwrap();
    let of = |tenant: &str, retention| {
        let head = weir_policy::Head { tenant: tenant.into(), retention, ..(*settled().head).clone() };
        Summary { head: Arc::new(head), ..settled() }
    };
    let unknown = Retention::Unknown;
    policy.complete(&vec![of("acme", unknown), of("acme", unknown)].into()).unwrap();
    policy.complete(&vec![of("acme", unknown), of("globex", Retention::Zero)].into()).unwrap();
    assert_eq!(
        desk.said(),
        [
            r#"tested acme: Counter { name: "settled", by: 2, labels: [] }"#,
            r#"tested : Counter { name: "settled", by: 2, labels: [] }"#,
            r#"tested : Log { level: Info, message: "closed", fields: [] }"#,
        ]
    );
}

#[test]
fn calls_into_the_host_are_counted() {
    let desk = Arc::new(Desk::default());
    for body in [
        r#"loop { kv_get("tenant", "k"); }"#,
        "loop { now_ms(); }",
        "loop { request.text(0); }",
        r#"loop { request.header("a"); }"#,
        r#"loop { try { scan("m", "t"); } catch { } }"#,
        // What ends a call cannot be caught.
        r#"loop { try { kv_get("tenant", "k"); } catch { } }"#,
    ] {
        let header = "hooks: [guard]\nreads: content\ncapabilities: [kv, env]\nlimits: { host_calls: 100 }";
        let source = policy(header, &format!("fn guard(request, config) {{ {body} }}"));
        let policy = weir_script::compile("x.rhai", &source, &Value::Null, &all(&desk)).unwrap();
        let fault = policy.guard(&request()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Deadline, "{body}: {fault}");
        assert_eq!(fault.message, "too many calls into the host", "{body}");
    }
}

/// A call into the host may take longer than all that a script does between two looks at the clock.
#[test]
fn calls_into_the_host_are_looks_at_the_clock() {
    let desk = Desk::burning(Duration::from_millis(2));
    for body in [r#"loop { count_segment("m", 0); }"#, r#"loop { try { count("m", "t"); } catch { } }"#] {
        let before = desk.counted();
        let fault = load(&desk, "tokens", body).guard(&request()).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Deadline, "out of CPU time"), "{body}");
        // Three looks, one at every fourth call.
        assert!(desk.counted() - before <= 13, "{body}: {} calls", desk.counted() - before);
    }
}

/// `reads: head` and every way to content: each throws `not-granted`.
#[test]
fn content_that_was_not_asked_for_is_not_read() {
    let view =
        bench::ask(r#"{"model":"fast","messages":[{"role":"user","name":"alice","content":"Hello."}]}"#);
    let guard = |reads: &str, body: &str| {
        let header = format!("hooks: [guard]\nreads: {reads}\nmatchers: [{{ name: m, literals: [Hello] }}]");
        let source = policy(&header, &format!("fn guard(request, config) {{ {body}; pass() }}"));
        let policy = weir_script::compile("x.rhai", &source, &Value::Null, &Grants::offline()).unwrap();
        policy.guard(&view).map(|verdict| verdict.outcome)
    };
    for body in [
        "request.text(0)",
        "request.text(0, 0, 1)",
        "request.bytes(0, 0, 1)",
        r#"request.json("/messages", 99)"#,
        r#"request.scan("m")"#,
        "request.segments()",
        "request.segments(0, 9)",
    ] {
        let fault = guard("head", body).unwrap_err();
        assert!(fault.message.starts_with("not-granted"), "{body}: {fault}");
        assert_eq!(guard("content", body), Ok(Guarded::Pass), "{body}");
    }
    for body in [
        "if request.segments().len() > 0 { return answer(request.segments()[0].name); }",
        "if request.segments(0, 9).len() > 0 { return answer(request.segments(0, 9)[0].name); }",
    ] {
        assert_eq!(guard("content", body), Ok(Guarded::Answer("alice".into())), "{body}");
    }
}

#[test]
fn a_shared_policy_belongs_to_no_organisation() {
    let desk = Arc::new(Desk::default());
    let source = policy(
        "hooks: [route]\nshared: true\ncapabilities: [telemetry]",
        r#"fn route(head, targets, config) { log("info", "x"); abstain() }"#,
    );
    let policy = weir_script::compile("x.rhai", &source, &Value::Null, &all(&desk)).unwrap();
    policy.route(&request(), &candidates()).unwrap();
    assert!(desk.said()[0].starts_with("tested : "), "{:?}", desk.said());
}
