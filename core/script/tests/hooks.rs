//! Each hook, from its arguments to its typed answer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod bench;

use bench::{ask, candidates, policy, request, settled};
use serde_json::Value;
use std::sync::Arc;
use weir_llm::price::{Nanos, Rate};
use weir_llm::reply::Reply;
use weir_llm::usage::{Class, Source, Usage};
use weir_policy::{
    Admission, Api, AttemptFacts, Base, Budget, Changes, Charge, Closing, DeltaKind, Deny, Direction, Edit,
    Fault, FaultKind, Finding, Grants, GuardVerdict, Guarded, Lane, Next, Policy, Preparation, Redaction,
    Replacement, ReplyMeta, RequestView, Severity, Span, StreamStep, TextEdit,
};

const LANE: Lane = Lane { choice: 0, kind: DeltaKind::Content, index: 0 };

fn load(header: &str, body: &str) -> Arc<dyn Policy> {
    let source = policy(header, body);
    match weir_script::compile("tested.rhai", &source, &Value::Null, &Grants::offline()) {
        Ok(policy) => policy,
        Err(error) => panic!("{error}"),
    }
}

fn deny(status: u16, code: &str) -> Deny {
    Deny { status, code: code.into(), message: "m".into(), retry_after_ms: None }
}

fn said<T: std::fmt::Debug>(answer: Result<T, Fault>) -> Fault {
    answer.unwrap_err()
}

#[test]
fn admit_sees_the_head_and_lets_in_or_refuses() {
    let policy = load(
        "hooks: [admit]",
        r#"fn admit(head, config) {
            if head.budget != () && head.budget.left < 10 { return deny(402, "poor", "m"); }
            if head.requested_model == "slow" { return 1; }
            allow().tag("tier", head.tag("tier")).tag("left", if head.budget == () { "none" } else { head.budget.left.to_string() })
        }"#,
    );
    let tags =
        |left: &str| vec![("tier".to_owned(), "gold".to_owned()), ("left".to_owned(), left.to_owned())];
    assert_eq!(policy.admit(&request()).unwrap(), Admission::Allow(tags("none")));
    let with = |left: i64| {
        let view = request();
        let head = weir_policy::Head {
            budget: Some(Budget { limit: Nanos(100), left: Nanos(left) }),
            ..view.head().clone()
        };
        Arc::new(RequestView::new(head, Arc::clone(view.request()), Vec::new()))
    };
    assert_eq!(policy.admit(&with(50)).unwrap(), Admission::Allow(tags("50")));
    assert_eq!(policy.admit(&with(5)).unwrap(), Admission::Deny(deny(402, "poor")));
    let forgets = load("hooks: [admit]", "fn admit(head, config) { if head.stream { allow() } }");
    let fault = said(forgets.admit(&request()));
    assert_eq!((fault.kind, fault.message.contains("nothing")), (FaultKind::BadAnswer, true), "{fault}");
}

#[test]
fn guards_know_the_conversation_by_its_hash() {
    let policy = load(
        "hooks: [guard]",
        r#"fn guard(request, config) { answer(if request.session() == () { "none" } else { request.session() }) }"#,
    );
    let Guarded::Answer(none) = policy.guard(&request()).unwrap().outcome else { panic!("no answer") };
    assert_eq!(none, "none");
    let view = request();
    let keyed =
        RequestView::new(view.head().clone(), Arc::clone(view.request()), Vec::new()).with_secret([7; 32]);
    let Guarded::Answer(hash) = policy.guard(&Arc::new(keyed)).unwrap().outcome else { panic!("no answer") };
    assert_eq!(hash.len(), 32, "{hash}");
}

const REDACTOR: &str = "hooks: [redact]\nreads: content\nmatchers:\n  - { name: digits, patterns: ['[0-9]+'] }\n\
    redact: { masks: ['[number]', '[x]'], classes: [number] }\ndeclares: { rules: [other, digits] }";

fn redactor(whole: &str, windows: &str) -> Arc<dyn Policy> {
    load(
        REDACTOR,
        &format!(
            "fn redact(direction, request, config) {{ {whole} }}\n\
             fn redact_stream(state, direction, lane, text, last, config) {{ {windows} }}"
        ),
    )
}

#[test]
fn redact_answers_with_spans_of_the_manifest() {
    let policy = redactor(
        r#"let hits = request.scan("digits");
           if direction == "reply" { return pass(); }
           let all = spans(hits, "digits", "high", mask("[number]"));
           all.push(span(0, 0, 1, 0, "low", hash("number")));
           all.push(span(0, 1, 2, "other", "info", drop()));
           all.push(span(hits[0], "digits", "low", mask(1)));
           all"#,
        "pass()",
    );
    let view = ask(r#"{"model":"fast","messages":[{"role":"user","content":"call 12 or 345"}]}"#);
    let span = |start, end, rule, severity, replace| Span { segment: 0, start, end, rule, severity, replace };
    assert_eq!(
        policy.redact(&view, Direction::Request).unwrap(),
        [
            span(5, 7, 1, Severity::High, Redaction::Mask(0)),
            span(11, 14, 1, Severity::High, Redaction::Mask(0)),
            span(0, 1, 0, Severity::Low, Redaction::Hash(0)),
            span(1, 2, 0, Severity::Info, Redaction::Drop),
            span(5, 7, 1, Severity::Low, Redaction::Mask(1)),
        ]
    );
    assert_eq!(policy.redact(&view, Direction::Reply).unwrap(), []);
    for (body, kind) in [
        (r#"[span(0, 0, 1, "secret", "low", drop())]"#, FaultKind::BadAnswer),
        (r#"[span(0, 0, 1, 7, "low", drop())]"#, FaultKind::BadAnswer),
        (r#"[span(0, 0, 1, 0, "low", mask("secret"))]"#, FaultKind::BadAnswer),
        (r#"[span(0, 0, 1, 0, "low", text("secret"))]"#, FaultKind::Trap),
        (r#"edit([edit(0, 0, 1, text("secret"))])"#, FaultKind::BadAnswer),
        (r#"pass().finding("secret", "low")"#, FaultKind::BadAnswer),
        (r#"["secret"]"#, FaultKind::BadAnswer),
        ("throw request.text(0)", FaultKind::Trap),
    ] {
        let fault = said(redactor(body, "pass()").redact(&view, Direction::Request));
        assert_eq!(fault.kind, kind, "{body}: {fault}");
        // The excerpt is the script's own line; what was said must not quote what a value was.
        assert!(!fault.message.contains("secret"), "{body}: {fault}");
    }
}

#[test]
fn redact_stream_holds_and_replaces() {
    let policy = redactor(
        "pass()",
        r#"let hits = scan("digits", text);
           if !last && !hits.is_empty() && hits[hits.len() - 1].end == text.len() {
               return redacted(spans(hits.extract(0, hits.len() - 1), "digits", "low", mask(0)))
                   .hold(text.len() - hits[hits.len() - 1].start);
           }
           spans(hits, "digits", "low", mask(0))"#,
    );
    let mut stream = policy.stream_redactor(&request()).unwrap();
    let step = stream.push(LANE, "is 12 or 3", false).unwrap();
    assert_eq!((step.hold, step.next, step.spans.len()), (1, Next::More, 1));
    assert_eq!((step.spans[0].start, step.spans[0].end), (3, 5));
    let step = stream.push(LANE, "34", true).unwrap();
    assert_eq!((step.hold, step.spans.len()), (0, 1));
    let writes = redactor("pass()", r#"edit([edit(0, 1, text("x"))])"#);
    let fault = said(writes.stream_redactor(&request()).unwrap().push(LANE, "a", true));
    assert_eq!(fault.kind, FaultKind::BadAnswer, "{fault}");
}

#[test]
fn a_redactor_hides_refuses_and_reports_and_knows_who_asks_and_what_is_called() {
    let policy = load(
        REDACTOR,
        r#"fn redact(direction, request, config) {
               [span(0, 0, 1, "digits", "high", vault("number")), span(0, 1, 2, 0, "high", refuse()),
                span(0, 2, 3, 0, "low", report()), span(0, 3, 4, 0, "low", vault(0))]
           }
           fn redact_open(direction, head, config) { #{ who: direction + head.tenant, tool: "" } }
           fn redact_call(state, lane, tool, config) { state.tool = tool + lane.index; }
           fn redact_stream(state, direction, lane, text, last, config) {
               if text == state.who { return redacted([span(0, 1, 0, "low", refuse())]); }
               if text == state.tool { return redacted([span(0, 1, 0, "low", report())]); }
               pass()
           }"#,
    );
    let view = request();
    let spans = policy.redact(&view, Direction::Request).unwrap();
    let replaces: Vec<Redaction> = spans.iter().map(|span| span.replace).collect();
    assert_eq!(replaces, [Redaction::Vault(0), Redaction::Refuse, Redaction::Report, Redaction::Vault(0)]);
    let mut stream = policy.stream_redactor(&view).unwrap();
    let who = format!("reply{}", view.head().tenant);
    assert_eq!(stream.push(LANE, &who, false).unwrap().spans[0].replace, Redaction::Refuse);
    assert!(stream.push(LANE, "mail0", false).unwrap().spans.is_empty(), "not called yet");
    stream.call(LANE, "mail").unwrap();
    assert_eq!(stream.push(LANE, "mail0", false).unwrap().spans[0].replace, Redaction::Report);
}

#[test]
fn attempt_changes_or_skips_one_target() {
    let policy = load(
        "hooks: [attempt]\nreads: content",
        r#"fn attempt(head, attempt, config, request) {
            if attempt.number == 1 { return pass(); }
            if attempt.number == 2 { return skip("too far"); }
            if attempt.number == 3 { return set_header("x-a", attempt.target).set_header("x-b", ""); }
            if attempt.number == 4 { return edit([edit(0, 0, 5, text("Bye"))]).set_header("x-a", attempt.facts.model); }
            if attempt.number == 5 { return edit([edit(0, 0, 5, drop())]); }
            if attempt.number == 6 { return block(deny(403, "x", "m")); }
            if attempt.number == 7 { return pass().finding("r", "low"); }
            if attempt.number == 8 { return skip("x").set_header("x-a", "1"); }
            attempt.index
        }"#,
    );
    let at = |number: u8| {
        let facts = Arc::new(AttemptFacts { target: 2, target_id: "a/2".into(), number });
        policy.attempt(&request(), &candidates(), &facts)
    };
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(at(1).unwrap(), Preparation::Pass);
    assert_eq!(at(2).unwrap(), Preparation::Skip("too far".into()));
    let headers = vec![header("x-a", "a/2"), header("x-b", "")];
    assert_eq!(at(3).unwrap(), Preparation::Edit(Changes { edits: vec![], headers }));
    let edit = Edit { segment: 0, start: 0, end: 5, replace: Replacement::Text("Bye".into()) };
    let changes = Changes { edits: vec![edit.clone()], headers: vec![header("x-a", "2")] };
    assert_eq!(at(4).unwrap(), Preparation::Edit(changes));
    let edits = vec![Edit { replace: Replacement::Drop, ..edit }];
    assert_eq!(at(5).unwrap(), Preparation::Edit(Changes { edits, headers: vec![] }));
    for (number, kind) in [
        (6, FaultKind::BadAnswer),
        (7, FaultKind::BadAnswer),
        (8, FaultKind::Trap),
        (9, FaultKind::BadAnswer),
    ] {
        let fault = said(at(number));
        assert_eq!(fault.kind, kind, "{number}: {fault}");
    }
}

#[test]
fn guard_response_sees_the_reply_and_its_facts() {
    let policy = load(
        "hooks: [guard-response]\nreads: content",
        r#"fn guard_response(head, meta, reply, config) {
            let u = meta.usage;
            if reply.text(0) == "Hi." && head.tenant == "acme" && meta.index == 1 && meta.target == "a/1"
                && meta.finish_reason == "stop" && u.of("output") == 7 && u.source == "provider"
                && u.total_input == 3 && u.lines.len() == 2 && u.lines[1].class == "output"
                && u.lines[1].quantity == 7 && meta.ttft_ms == 20 && meta.total_ms == 90 && meta.attempts == 2 {
                return answer("Hello.").finding("greeting", "info").tag("checked", "yes");
            }
            block(deny(502, "unexpected", "m"))
        }"#,
    );
    let body = br#"{"choices":[{"message":{"role":"assistant","content":"Hi."},"finish_reason":"stop"}]}"#;
    let reply = Reply::parse(Api::Chat, bytes::Bytes::from_static(body)).unwrap();
    let meta = |target| {
        Arc::new(ReplyMeta {
            target,
            target_id: format!("a/{target}").into(),
            finish_reason: "stop".into(),
            usage: Usage { input: 3, output: 7, ..Usage::default() },
            source: Source::Provider,
            ttft_ms: 20,
            total_ms: 90,
            attempts: 2,
        })
    };
    let request = request();
    let reply = Arc::new(request.of_reply(Arc::new(reply)));
    let finding = Finding {
        rule: "greeting".into(),
        severity: Severity::Info,
        segment: None,
        start: 0,
        end: 0,
        score: 1.0,
    };
    assert_eq!(
        policy.guard_response(&request, &reply, &meta(1)).unwrap(),
        GuardVerdict {
            outcome: Guarded::Answer("Hello.".into()),
            findings: vec![finding],
            tags: vec![("checked".into(), "yes".into())],
        }
    );
    let blocked = policy.guard_response(&request, &reply, &meta(2)).unwrap().outcome;
    assert_eq!(blocked, Guarded::Block(deny(502, "unexpected")));
}

#[test]
fn a_stream_keeps_its_state_and_says_what_next() {
    let policy = load(
        "hooks: [stream]\nreads: content",
        r#"fn stream_open(head, config) { #{ tenant: head.tenant, windows: 0, kinds: [] } }
           fn stream(state, lane, text, last, config) {
               state.windows += 1;
               state.kinds.push(`${lane.choice}${lane.kind}${lane.index}`);
               if text == "hold" { return hold(2); }
               if text == "edit" { return edit([edit(0, 1, text("E"))]).hold(1); }
               if text == "wide" { return window(4096); }
               if text == "both" { return edit([edit(0, 1, drop())]).hold(1).window(64); }
               if text == "done" { return detach(); }
               if text == "stop" { return stop(deny(451, "stopped", "m")); }
               if text == "other" { return edit([edit(1, 0, 1, drop())]); }
               if text == "spans" { return redacted([]).hold(1); }
               if text == "block" { return block(deny(451, "stopped", "m")); }
               if text == "" { return; }
               pass()
           }
           fn stream_finish(state, usage, config) {
               closing().tag("tenant", state.tenant).tag("windows", state.windows.to_string())
                   .tag("last", state.kinds[state.kinds.len() - 1]).finding("f", "low")
                   .tag("used", usage.of("output").to_string())
           }"#,
    );
    let mut stream = policy.stream(&request()).unwrap();
    let mut push = |text: &str| stream.push(LANE, text, false);
    let pass = StreamStep::pass();
    let edit = |replace| TextEdit { start: 0, end: 1, replace };
    assert_eq!(push("x").unwrap(), pass);
    assert_eq!(push("hold").unwrap(), StreamStep { hold: 2, ..pass.clone() });
    let edits = vec![edit(Replacement::Text("E".into()))];
    assert_eq!(push("edit").unwrap(), StreamStep { edits, hold: 1, next: Next::More });
    assert_eq!(push("wide").unwrap(), StreamStep { next: Next::Window(4096), ..pass.clone() });
    let edits = vec![edit(Replacement::Drop)];
    assert_eq!(push("both").unwrap(), StreamStep { edits, hold: 1, next: Next::Window(64) });
    assert_eq!(push("done").unwrap().next, Next::Detach);
    assert_eq!(push("stop").unwrap().next, Next::Stop(deny(451, "stopped")));
    for bad in ["other", "block", ""] {
        assert_eq!(push(bad).unwrap_err().kind, FaultKind::BadAnswer, "{bad}");
    }
    assert_eq!(push("spans").unwrap(), StreamStep { hold: 1, ..pass });
    let tool = Lane { choice: 1, kind: DeltaKind::ToolArgs, index: 2 };
    stream.push(tool, "y", true).unwrap();
    let Closing { findings, tags } = stream.finish(&Usage { output: 5, ..Usage::default() }).unwrap();
    assert_eq!(findings.len(), 1);
    let tags: Vec<_> = tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("tenant", "acme"), ("windows", "12"), ("last", "1tool-args2"), ("used", "5")]);
}

#[test]
fn streams_do_not_share_their_state() {
    let policy = load(
        "hooks: [stream]",
        r#"fn stream(state, lane, text, last, config) {
               state.n = if "n" in state { state.n + 1 } else { 1 };
               hold(state.n)
           }"#,
    );
    let mut one = policy.stream(&request()).unwrap();
    let mut two = policy.stream(&request()).unwrap();
    assert_eq!(one.push(LANE, "a", false).unwrap().hold, 1);
    assert_eq!(one.push(LANE, "a", false).unwrap().hold, 2);
    assert_eq!(two.push(LANE, "a", false).unwrap().hold, 1);
    assert_eq!(one.finish(&Usage::default()).unwrap(), Closing::default());
}

fn base(list_price: i64) -> Arc<Base> {
    Arc::new(Base {
        target_id: "a/1".into(),
        usage: Usage { input: 1000, output: 10, cached_input: 3, ..Usage::default() },
        rates: vec![
            Rate { class: Class::Input, pico_per_unit: 150_000 },
            Rate { class: Class::Output, pico_per_unit: 600_050 },
        ]
        .into(),
        list_price: Nanos(list_price),
    })
}

#[test]
fn price_and_quote_are_whole_nano_dollars() {
    let policy = load(
        "hooks: [price]",
        r#"fn quote(head, target, bound, config) { mul_div_up(bound.list_price, 11, 10) }
           fn price(head, target, base, config) {
               let off = percent(base.list_price, 10);
               charge(base.list_price - off).item("discount", -off).item("output", base.cost_of("output"))
                   .item("input", base.rate("input")).item("units", base.of("input"))
                   .item("lines", base.lines.len()).item("rates", base.rates[1].pico_per_unit)
                   .item("target", target.len()).tag("by", head.tenant)
           }"#,
    );
    let items =
        |list: &[(&str, i64)]| list.iter().map(|(n, v)| ((*n).to_owned(), Nanos(*v))).collect::<Vec<_>>();
    assert_eq!(policy.quote(&request(), &base(101)).unwrap(), Nanos(112));
    assert_eq!(
        policy.price(&request(), &base(109)).unwrap(),
        Charge {
            total: Nanos(99),
            items: items(&[
                ("discount", -10),
                // 10 × 600 050 pico is 6 000.5 nano: halves up, as in the list price.
                ("output", 6001),
                ("input", 150_000),
                ("units", 1000),
                ("lines", 3),
                ("rates", 600_050),
                ("target", 3),
            ]),
            tags: vec![("by".into(), "acme".into())],
        }
    );
}

#[test]
fn a_script_without_quote_quotes_what_it_would_charge() {
    let policy =
        load("hooks: [price]", "fn price(head, target, base, config) { charge(base.list_price * 2) }");
    assert_eq!(policy.quote(&request(), &base(21)).unwrap(), Nanos(42));
}

#[test]
fn money_is_never_a_float() {
    for (body, kind, message) in [
        ("charge(base.list_price * 1.5)", FaultKind::Trap, "never a float"),
        ("charge(1).item(\"x\", 0.5)", FaultKind::Trap, "never a float"),
        ("charge(percent(base.list_price, 12.5))", FaultKind::Trap, "mul_div(amount, 125, 1000)"),
        ("charge(mul_div(base.list_price, 1, 0))", FaultKind::Trap, "above 0"),
        ("charge(mul_div(9223372036854775807, 4, 2))", FaultKind::Trap, "more money than fits"),
        ("base.list_price", FaultKind::BadAnswer, "say charge(total)"),
    ] {
        let policy = load("hooks: [price]", &format!("fn price(head, target, base, config) {{ {body} }}"));
        let fault = said(policy.price(&request(), &base(1)));
        assert_eq!(fault.kind, kind, "{body}: {fault}");
        assert!(fault.message.contains(message), "{body}: {fault}");
    }
    let quotes = load(
        "hooks: [price]",
        "fn price(head, target, base, config) { charge(1) }\nfn quote(head, target, bound, config) { 1.5 }",
    );
    let fault = said(quotes.quote(&request(), &base(1)));
    assert!(fault.kind == FaultKind::BadAnswer && fault.message.contains("a float"), "{fault}");
}

#[test]
fn complete_sees_every_settled_exchange() {
    let policy = load(
        "hooks: [complete]",
        r#"fn complete(batch, config) {
            if batch.len != 2 { throw "two are expected"; }
            for s in batch {
                let fine = s.head.tenant == "acme" && s.outcome == "ok" && s.target == "a/1" && s.status == 200
                    && s.usage.of("output") == 7 && s.charged == 42 && s.provider_cost == () && s.ttft_ms == 5
                    && s.total_ms == 9 && s.errors == ["overloaded"] && s.attempts == 2 && s.cache == "miss"
                    && s.tag("team") == "red" && s.tags.team == "red";
                if !fine { throw "not as expected"; }
            }
            if batch[1].tag("nothing") != () { throw "no such tag"; }
        }"#,
    );
    policy.complete(&vec![settled(), settled()].into()).unwrap();
    assert_eq!(said(policy.complete(&vec![settled()].into())).kind, FaultKind::Trap);
}

#[test]
fn a_hook_that_is_not_there_is_missing() {
    let policy = load("hooks: [admit]", "fn admit(head, config) { allow() }");
    assert_eq!(said(policy.guard(&request())).kind, FaultKind::Missing);
    assert_eq!(policy.stream(&request()).err().unwrap().kind, FaultKind::Missing);
    assert_eq!(said(policy.price(&request(), &base(1))).kind, FaultKind::Missing);
    assert!(!policy.waits());
}
