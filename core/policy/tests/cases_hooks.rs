//! The cases runner, hook by hook, over fake policies and with a host.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod fake;

use fake::{Fake, guarded, replace};
use futures::FutureExt;
use serde_json::Value;
use std::sync::Arc;
use weir_llm::price::Nanos;
use weir_policy::cases::{Report, Suite};
use weir_policy::services::{Origin, Outbound, Put, Record, Scope, Take};
use weir_policy::verdict::{
    Admission, Changes, Charge, Deny, Direction, GuardVerdict, Guarded, Preparation, Redaction, Severity,
    Span,
};
use weir_policy::{Answer, Fault, FaultKind, Grants, LoadError, Policy, Question, Retention, Services};

const TARGETS: &str = "targets: [{ id: sim/a, rates: { input: 1, output: 2 } }, { id: sim/b }]\n";

type Ask = fn(&Question, &dyn Services) -> Result<Answer, Fault>;

fn run_as(yaml: &'static str, ask: Ask, text: &str) -> Result<Report, LoadError> {
    let compile = move |_: &Value, grants: &Grants| -> Result<Arc<dyn Policy>, LoadError> {
        let services = Arc::clone(&grants.services);
        Ok(Arc::new(Fake::new("p", yaml).any(move |question| ask(question, &*services))))
    };
    Suite::parse("x.cases.yaml", &format!("{TARGETS}{text}"))?.run(&compile)
}

fn passes(yaml: &'static str, ask: Ask, text: &str) {
    let report = run_as(yaml, ask, text).unwrap_or_else(|error| panic!("{error}"));
    assert!(report.is_ok() && report.passed > 0, "{report}");
}

fn deny(code: &str) -> Deny {
    Deny { status: 429, code: code.into(), message: "no".into(), retry_after_ms: Some(1_000) }
}

fn origin(question: &Question) -> Origin {
    let (tenant, request_id) = match question {
        Question::Admit { view } => (Arc::clone(&view.head().tenant), Arc::clone(&view.head().request_id)),
        Question::Complete { batch } => (Arc::clone(&batch[0].head.tenant), "".into()),
        _ => ("".into(), "".into()),
    };
    Origin {
        policy: "p".into(),
        tenant,
        request_id,
        retention: Retention::Unknown,
        demands: None,
        tainted: false,
    }
}

#[test]
fn admit_allows_with_tags_or_denies() {
    let ask: Ask = |question, _| {
        let Question::Admit { view } = question else { panic!() };
        let plan = view.head().tags.iter().find(|(name, _)| name == "plan").map(|(_, value)| value.clone());
        Ok(Answer::Admit(match plan {
            Some(plan) if plan == "none" => Admission::Deny(deny("no_plan")),
            Some(plan) => Admission::Allow(vec![("tier".into(), plan)]),
            None => Admission::Allow(Vec::new()),
        }))
    };
    let text = r"
cases:
  - { name: nothing to say, expect: allow }
  - { name: a tag, head: { tags: { plan: gold } }, expect: { allow: { tier: gold } } }
  - { name: no, head: { tags: { plan: none } }, expect: { deny: { code: no_plan, retry_after_ms: 1000 } } }
";
    passes("hooks: [admit]", ask, text);
    let wrong = "cases: [{ name: x, head: { tags: { plan: gold } }, expect: allow }]";
    let report = run_as("hooks: [admit]", ask, wrong).unwrap().to_string();
    let expected = r#"expected allow, got allow with the tags {"tier": "gold"}"#;
    assert!(report.ends_with(expected), "{report}");
}

#[test]
fn redact_sees_both_directions_in_the_form_of_any_api() {
    let ask: Ask = |question, _| {
        let Question::Redact { view, direction } = question else { panic!() };
        let find = |segment| {
            let text = view.text(segment, 0, u32::MAX).unwrap();
            let start = text.find("secret")? as u32;
            let (rule, severity, end) = (0, Severity::High, start + 6);
            let replace = Redaction::Mask(u16::from(*direction == Direction::Reply));
            Some(Span { segment, start, end, rule, severity, replace })
        };
        Ok(Answer::Redact((0..view.segment_count()).filter_map(find).collect()))
    };
    let yaml =
        "hooks: [redact]\nreads: content\nredact: { masks: ['[in]', '[out]'] }\ndeclares: { rules: [word] }";
    let text = r#"
cases:
  - { name: nothing, texts: [hello], expect: pass }
  - { name: request, texts: [a secret, b], expect: { texts: ["a [in]", b] }, findings: [word] }
  - { name: reply, reply: [the secret is out], expect: { texts: ["the [out] is out"] } }
  - { name: messages, api: messages, reply: [one, secret], expect: { texts: [one, "[out]"] } }
  - { name: responses, api: responses, texts: [secret], expect: { texts: ["[in]"] } }
  - { name: embeddings, api: embeddings, texts: [x, secret], expect: { texts: [x, "[in]"] } }
  - { name: whole, reply: { choices: [{ message: { content: secret } }] },
      expect: { body: { choices: [{ message: { content: "[out]" } }] } } }
"#;
    passes(yaml, ask, text);
}

#[test]
fn what_redact_hides_has_the_same_token_in_every_run_and_comes_back() {
    let ask: Ask = |question, _| {
        let Question::Redact { view, .. } = question else { panic!() };
        let text = view.text(0, 0, u32::MAX).unwrap();
        let hits = text.match_indices("secret").map(|(at, hit)| (at as u32, (at + hit.len()) as u32));
        let replace = if text.starts_with("no ") { Redaction::Refuse } else { Redaction::Vault(0) };
        let span = |(start, end)| Span { segment: 0, start, end, rule: 0, severity: Severity::High, replace };
        Ok(Answer::Redact(hits.map(span).collect()))
    };
    let yaml = "hooks: [redact]\nreads: content\nredact: { classes: [word] }\ndeclares: { rules: [word] }";
    let text = r#"
cases:
  - { name: hidden, texts: [a secret], expect: { texts: ["a [WORD-1-case00]"] },
      restores: { "so, [word-1-CASE00]!": "so, secret!", "[WORD-2-case00]": "[WORD-2-case00]" } }
  - { name: arguments, texts: [a secret], expect: { texts: ["a [WORD-1-case00]"] },
      restores: { '{"k": "[WORD-1-case00]"}': '{"k": "secret"}' } }
  - { name: refused, texts: [no secret], expect: { block: { status: 403, code: sensitive_content } },
      reason: sensitive_content, findings: [word] }
  - { name: nothing hidden, texts: [hello], expect: pass, restores: { hello: hello } }
"#;
    passes(yaml, ask, text);
    let wrong = r#"
cases:
  - { name: wrong, texts: [a secret], expect: { texts: ["a [WORD-1-case00]"] }, restores: { "[WORD-1-case00]": other } }
"#;
    let report = run_as(yaml, ask, wrong).unwrap();
    assert!(!report.is_ok() && report.to_string().contains("got \"secret\""), "{report}");
}

#[test]
fn attempt_edits_sets_headers_or_skips() {
    let ask: Ask = |question, _| {
        let Question::Attempt { facts, .. } = question else { panic!() };
        let headers = vec![("x-team".to_owned(), "a".to_owned())];
        let edits = vec![replace(0, 0, 2, "yo")];
        Ok(Answer::Attempt(match (&*facts.target_id, facts.number) {
            ("sim/b", 1) => Preparation::Skip("not here".into()),
            ("sim/b", 2) => Preparation::Edit(Changes { edits, headers: Vec::new() }),
            ("sim/b", _) => Preparation::Edit(Changes { edits, headers }),
            (_, 1) => Preparation::Pass,
            _ => Preparation::Edit(Changes { edits: Vec::new(), headers }),
        }))
    };
    let text = "
cases:
  - { name: pass, attempt: { target: sim/a }, expect: pass }
  - { name: header, attempt: { target: sim/a, number: 2 }, expect: { headers: { x-team: a } } }
  - { name: skip, attempt: { target: sim/b }, expect: { skip: not here } }
  - { name: texts, texts: [hi you], attempt: { target: sim/b, number: 2 }, expect: { texts: [yo you] } }
  - { name: both, texts: [hi], attempt: { target: sim/b, number: 3 },
      expect: { changes: { texts: [yo], headers: { x-team: a } } } }
";
    passes("hooks: [attempt]", ask, text);
}

#[test]
fn guard_response_reads_the_reply_and_what_is_known_of_it() {
    let ask: Ask = |question, _| {
        let Question::GuardResponse { reply, meta, .. } = question else { panic!() };
        let text = reply.text(0, 0, u32::MAX).unwrap();
        Ok(Answer::GuardResponse(guarded(match (&*meta.finish_reason, text.as_str()) {
            ("length" | "max_tokens", _) => Guarded::Block(deny("cut_short")),
            _ if meta.usage.output > 100 => Guarded::Answer(format!("too much for {}", meta.target_id)),
            (_, "bad") => Guarded::Edit(vec![replace(0, 0, 3, "good")]),
            _ => return Ok(Answer::GuardResponse(GuardVerdict::pass())),
        })))
    };
    let text = "
cases:
  - { name: pass, reply: [fine], expect: pass }
  - { name: edit, api: responses, reply: [bad, bad], expect: { texts: [good, bad] } }
  - { name: block, reply: [x], meta: { finish_reason: length }, expect: { block: { code: cut_short } } }
  - { name: read, api: messages, reply: { content: [{ type: text, text: x }], stop_reason: max_tokens },
      expect: block }
  - { name: answer, reply: [x], meta: { target: sim/b, usage: { output: 101 } },
      expect: { answer: too much for sim/b } }
";
    passes("hooks: [guard-response]\nreads: content\nbuffer_streams: true", ask, text);
}

#[test]
fn price_is_exact_and_quotes_come_before() {
    let ask: Ask = |question, _| match question {
        Question::Quote { bound, .. } => Ok(Answer::Quote(Nanos(bound.list_price.0 * 2))),
        Question::Price { base, .. } if base.usage.output > 1_000 => {
            Ok(Answer::Price(Charge { total: Nanos(-1), items: Vec::new(), tags: Vec::new() }))
        }
        Question::Price { base, .. } => Ok(Answer::Price(Charge {
            total: base.list_price,
            items: vec![("list".into(), base.list_price)],
            tags: vec![("by".into(), "p".into())],
        })),
        _ => panic!(),
    };
    let text = "
cases:
  - name: charge
    target: sim/a
    usage: { input: 100, cached_input: 11, output: 6 }
    expect: { charge: 0.000123 }
    items: [[list, 0.000123]]
    tags: { by: p }
  - { name: nanos, target: sim/a, usage: { output: 1 }, expect: { charge-nanos: 2000 } }
  - { name: quote, target: sim/a, usage: { input.cache-write.1h: 1000 }, expect: { quote: 0.002 } }
  - { name: stated, target: sim/b, list_price: 0.5, expect: { charge: 0.50 } }
  - { name: negative, target: sim/a, usage: { output: 1001 }, expect: { fault: bad_answer } }
  - { name: not asked, api: embeddings, target: sim/a, usage: { input: 1 }, expect: list-price }
";
    passes("hooks: [price]\nsurfaces: [chat]", ask, text);
    let wrong = "cases: [{ name: x, target: sim/a, usage: { output: 1 }, expect: { charge: 0.1 } }]";
    let report = run_as("hooks: [price]", ask, wrong).unwrap().to_string();
    let expected = "expected a charge of 0.1 USD, got a charge of 0.000002000 USD (list 0.000002000 USD)";
    assert!(report.ends_with(expected), "{report}");
    let unpriced = "cases: [{ name: x, target: sim/b, usage: { output: 1 }, expect: { charge: 0.1 } }]";
    let error = run_as("hooks: [price]", ask, unpriced).unwrap_err().to_string();
    assert!(error.contains("x.cases.yaml:2:28") && error.contains("list_price"), "{error}");
}

#[test]
fn complete_is_told_of_what_has_ended_and_its_failures_are_seen() {
    let ask: Ask = |question, services| {
        let Question::Complete { batch } = question else { panic!() };
        let origin = origin(question);
        for summary in &**batch {
            if summary.status == 599 {
                return Err(Fault::new(FaultKind::Trap, "it broke"));
            }
            let labels = [("outcome".to_owned(), summary.outcome.as_str().to_owned())];
            services.record(&origin, Record::Counter { name: "done", by: 1, labels: &labels });
            services.kv_incr(&origin, Scope::Tenant, "spent", summary.charged.0, None).unwrap();
        }
        Ok(Answer::Complete)
    };
    let text = "
cases:
  - name: two organisations
    head: { tenant: acme }
    complete:
      - { outcome: ok, target: sim/a, charged: 0.000001, usage: { input: 3 } }
      - { outcome: failed, errors: [timeout-idle], head: { tenant: other }, charged: 0 }
      - { charged: 0.000002 }
    expect: done
    records: [counter done 1 outcome=ok, counter done, counter done]
    kv_after: { tenant/spent: 3000, tenant@other/spent: 0, plugin/spent: null }
  - { name: it fails, complete: [{ status: 599 }], expect: { fault: trap } }
";
    passes("hooks: [complete]", ask, text);
    let wrong = "cases: [{ name: x, complete: [{ outcome: okk }], expect: done }]";
    let error = run_as("hooks: [complete]", ask, wrong).unwrap_err().to_string();
    assert!(error.contains("unknown outcome `okk` (did you mean `ok`?)"), "{error}");
}

/// Three calls a minute for each organisation; remembers the last tenant; asks a host about others.
fn limiter(question: &Question, services: &dyn Services) -> Result<Answer, Fault> {
    let Question::Admit { view } = question else { panic!() };
    let origin = origin(question);
    let seen = services.kv_get(&origin, Scope::Plugin, "last").unwrap();
    let put = Put { value: view.head().tenant.as_bytes(), version: seen.map(|e| e.version), ttl_ms: None };
    services.kv_put(&origin, Scope::Plugin, "last", put).unwrap();
    if view.head().tenant.is_empty() {
        let call = Outbound {
            method: "GET".into(),
            host_alias: "who".into(),
            path: "/".into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout_ms: 0,
        };
        let answer = services.http(&origin, call).now_or_never().unwrap();
        let known = answer.is_ok_and(|reply| reply.body == b"friend");
        return Ok(Answer::Admit(if known {
            Admission::Allow(Vec::new())
        } else {
            Admission::Deny(deny("who"))
        }));
    }
    let rate = Take { cost: 1, per_min: 3, burst: 3 };
    Ok(Answer::Admit(match services.kv_take(&origin, Scope::Tenant, "calls", rate).unwrap() {
        true => Admission::Allow(vec![("at".into(), services.now_ms().to_string())]),
        false => Admission::Deny(deny("too_many")),
    }))
}

#[test]
fn a_case_has_a_host_of_its_own() {
    let text = "
cases:
  - { name: first, now_ms: 7, head: { tenant: a }, expect: { allow: { at: 7 } }, kv_after: { plugin/last: a } }
  - { name: fourth, head: { tenant: a }, times: 4, expect: { deny: { code: too_many } } }
  - { name: later, now_ms: 0, head: { tenant: a }, times: 4, every_ms: 7000, expect: { allow: { at: 21000 } } }
  - { name: known, http: [{ alias: who, path: /, body: friend }], expect: allow, calls: [who GET /] }
  - { name: down, http: [{ alias: who, error: timeout }], expect: { deny: { code: who } } }
  - { name: kept, kv: { plugin/last: z }, head: { tenant: b }, expect: allow, tags: {}, kv_after: { plugin/last: b } }
";
    let report = run_as("hooks: [admit]", limiter, text).unwrap().to_string();
    let last = "expected allow, got allow with the tags";
    assert!(report.starts_with("x.cases.yaml: 5 of 6 cases pass") && report.contains(last), "{report}");
}

#[test]
fn a_call_without_a_reply_is_named() {
    let report =
        run_as("hooks: [admit]", limiter, "cases: [{ name: x, expect: allow }]").unwrap().to_string();
    assert!(report.ends_with("; `http` has no reply for who GET /"), "{report}");
}

#[test]
fn a_hook_is_known_by_what_the_case_brings() {
    let yaml = "hooks: [admit, attempt, price, complete]";
    let ask: Ask = |question, _| match question {
        Question::Admit { .. } => Ok(Answer::Admit(Admission::Allow(Vec::new()))),
        Question::Attempt { .. } => Ok(Answer::Attempt(Preparation::Pass)),
        Question::Price { base, .. } => {
            Ok(Answer::Price(Charge { total: base.list_price, items: Vec::new(), tags: Vec::new() }))
        }
        Question::Complete { .. } => Ok(Answer::Complete),
        _ => panic!(),
    };
    let text = "
cases:
  - { name: a, expect: allow }
  - { name: b, attempt: { target: sim/a }, expect: pass }
  - { name: c, target: sim/a, usage: { input: 1 }, expect: { charge-nanos: 1000 } }
  - { name: d, complete: [{}], expect: done }
";
    passes(yaml, ask, text);
    let wrong = [
        ("{ name: x, reply: [y], expect: pass }", "brings and expects what no hook of the policy has"),
        (
            "{ name: x, texts: [y], expect: { plan: [] } }",
            "case `x` asks `route`, a hook that the policy has not",
        ),
        ("{ name: x, hook: prize, expect: done }", "unknown hook `prize` (did you mean `price`?)"),
        ("{ name: x, complete: [{}] }", "the key `expect` is missing"),
        ("{ name: x, kv: { shelf/k: 1 }, expect: allow }", "`shelf/k` is no key of the store"),
        ("{ name: x, api: chatt, expect: allow }", "unknown API `chatt` (did you mean `chat`?)"),
    ];
    for (case, expected) in wrong {
        let error = run_as(yaml, ask, &format!("cases:\n  - {case}")).unwrap_err().to_string();
        assert!(
            error.starts_with("x.cases.yaml:3:") && error.contains(expected),
            "{error}\nwanted {expected}"
        );
    }
}

#[test]
fn what_comes_of_a_case_can_be_told() {
    let compile = |_: &Value, grants: &Grants| -> Result<Arc<dyn Policy>, LoadError> {
        let services = Arc::clone(&grants.services);
        Ok(Arc::new(Fake::new("p", "hooks: [admit]").any(move |question| limiter(question, &*services))))
    };
    let suite = Suite::parse("x", "cases: []").unwrap();
    let case = serde_json::json!({ "name": "run", "head": { "tenant": "a" }, "now_ms": 5 });
    let told = suite.with_case(&case).unwrap().tell(&compile).unwrap();
    let json = told[0].to_json();
    assert_eq!(json["answer"], "allow");
    assert_eq!(json["tags"]["at"], "5");
    assert_eq!(json["kv"]["plugin/last"], "a");
    assert_eq!(json["trace"][0]["verdict"], "allow");
    assert!(told[0].to_string().contains("trace     p@1 admit: allow"), "{}", told[0]);
}

#[test]
fn a_case_can_be_asked_again_and_again() {
    let compile = |_: &Value, grants: &Grants| -> Result<Arc<dyn Policy>, LoadError> {
        let services = Arc::clone(&grants.services);
        Ok(Arc::new(Fake::new("p", "hooks: [admit]").any(move |question| limiter(question, &*services))))
    };
    let text = "cases: [{ name: x, head: { tenant: a }, expect: allow }]";
    let probes = Suite::parse("x", text).unwrap().probes(&compile).unwrap();
    for fresh in [false, true] {
        for _ in 0..10 {
            probes[0].ready();
            probes[0].ask(fresh).unwrap();
        }
    }
}
