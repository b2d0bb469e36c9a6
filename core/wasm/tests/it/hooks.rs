//! Every hook of a request and a reply through a real component, and what its capabilities did.

use crate::host::Host;
use crate::world::{built, candidates, engine, head, reply, request, request_of};
use serde_json::Value;
use std::sync::Arc;
use weir_llm::price::Nanos;
use weir_llm::usage::{Source, Usage};
use weir_policy::verdict::{CacheState, Outcome};
use weir_policy::{
    Admission, Api, AttemptError, AttemptFacts, Breaker, Budget, Candidates, Capability, Changes, DataClass,
    Decision, ErrorClass, Guarded, Head, Live, LiveFacts, Needs, Policy, Preparation, Recovery, ReplyMeta,
    RequestView, Retention, Summary,
};

pub(crate) const GRANTS: [Capability; 6] = [
    Capability::Targets,
    Capability::Env,
    Capability::Telemetry,
    Capability::Annotate,
    Capability::Tokens,
    Capability::Kv,
];

fn loaded() -> (Arc<Host>, Arc<dyn Policy>) {
    let host = Arc::new(Host::default());
    let component = built("every-hook");
    let policy = engine().compile("every-hook", &component, &Value::Null, &host.grants(&GRANTS));
    (host, policy.unwrap_or_else(|e| panic!("{e}")))
}

#[test]
fn every_hook_is_asked_and_answers() {
    let (host, policy) = loaded();
    admit(&*policy);
    guard(&host, &*policy);
    route(&*policy);
    attempt(&*policy);
    on_error(&*policy);
    guard_response(&*policy);
    complete(&host, &*policy);
    heads(&*policy);
}

/// An organisation's keys are its own; the place of the third key is the exchange.
fn admit(policy: &dyn Policy) {
    let seen = |tenant: &str| match policy.admit(&request_of(tenant, Retention::Unknown, "x")) {
        Ok(Admission::Allow(tags)) => tags[1].1.clone(),
        Ok(Admission::Deny(deny)) => deny.code,
        Err(fault) => panic!("{fault}"),
    };
    let asked: Vec<String> = ["a", "a", "b", "a", "a", "b"].map(seen).to_vec();
    assert_eq!(asked, ["1", "2", "1", "3", "too_many", "2"]);
}

fn guard(host: &Host, policy: &dyn Policy) {
    let view = request("the swordfish");
    let verdict = policy.guard(&view).expect("a verdict");
    let Guarded::Edit(edits) = verdict.outcome else { panic!("{verdict:?}") };
    assert_eq!((edits[0].segment, edits[0].start, edits[0].end), (0, 4, 13));
    assert_eq!(verdict.findings[0].rule, "secret");
    assert_eq!(verdict.tags, [("kv".to_owned(), "closed".to_owned())], "content was read: kv is closed");
    assert!(!host.keys().iter().any(|key| key.contains("leak")), "{:?}", host.keys());
    assert!(host.keys().contains(&"every-hook/request/req_test/noted".to_owned()), "{:?}", host.keys());

    let said = host.said().join("\n");
    assert!(said.contains(r#"Explain { rule: "secret", because: "found" }"#), "{said}");
    assert!(said.contains(r#"message: "undeclared""#) && !said.contains("what was read"), "{said}");
    let notes = view.notes();
    assert!(notes.contains(&("tier".into(), "gold".into())), "{notes:?}");
    assert!(!notes.iter().any(|(name, value)| name == "leak" || value == "what was read"), "{notes:?}");
}

/// Facts that differ in every field, so that none can stand in another's place.
struct Busy;

impl LiveFacts for Busy {
    fn live(&self, target: u16) -> Live {
        Live {
            target,
            healthy: target < 7,
            in_flight: u32::from(target) + 0x0100_0000,
            ttft_p50_ms: u32::from(target) * 10,
            ttft_p95_ms: u32::MAX,
            tps_p50: f32::from(target) + 0.5,
            err_rate_1m: 0.25,
            headroom: -0.125,
            breaker: Breaker::HalfOpen,
            prompt_cache_warm: 0.75,
        }
    }
}

fn route(policy: &dyn Policy) {
    let busy = Candidates { facts: Arc::new(Busy), ..(*candidates(8)).clone() };
    let Ok(Decision::Plan(plan)) = policy.route(&request("hello"), &Arc::new(busy)) else { panic!() };
    assert_eq!(plan.steps.len(), 8);
    assert_eq!(
        &*plan.reason,
        "8 of 8, true, 7 false 16777223 70 4294967295 7.5 0.25 -0.125 Breaker::HalfOpen 0.75"
    );
    assert_eq!(plan.budget_nanos, Some(5), "the host counted the segment's tokens");
    assert_eq!(plan.sticky.map(|hash| hash.len()), Some(32));
}

/// A head that has all there is, and differs wherever there are numbers and texts.
fn full() -> Head {
    Head {
        request_id: "req_1".into(),
        api: Api::Messages,
        requested_model: "tell".into(),
        stream: true,
        tenant: "org_é".into(),
        project: "team".into(),
        key_id: "key_22".into(),
        user_hash: Some("user_333".into()),
        region: "north".into(),
        class: DataClass::Restricted,
        retention: Retention::Days(513),
        demands: None,
        tags: Arc::from([("a".to_owned(), "1".to_owned()), ("bc".to_owned(), String::new())]),
        deadline_ms: 0x0101_0102,
        est_input_tokens: 0x0202_0203,
        max_output_tokens: Some(0x0303_0304),
        segment_count: 0x0404_0405,
        body_bytes: 0x0505_0506_0507_0508,
        needs: Needs { tools: true, parallel_tools: true, ..Needs::default() },
        attempt: 9,
        budget: Some(Budget { limit: Nanos(i64::MAX), left: Nanos(-2) }),
    }
}

/// What a plugin is given, and what it asks for.
fn told(policy: &dyn Policy, head: Head) -> [String; 3] {
    let view = RequestView::new(head, Arc::clone(request("hello").request()), Vec::new());
    let Ok(Decision::Deny(deny)) = policy.route(&Arc::new(view), &candidates(1)) else { panic!() };
    let told: Vec<String> = deny.message.lines().map(str::to_owned).collect();
    told.try_into().expect("two heads and a size")
}

/// Given as an argument and asked for, each field is what the host said.
fn heads(policy: &dyn Policy) {
    let heads = |head: Head| {
        let most = head.max_output_tokens;
        let [given, asked, size] = told(policy, head);
        assert_eq!(given, asked);
        let least = "body-bytes: 361700868485481736, segment-count: 67372037, est-input-tokens: 33686019";
        assert_eq!(size, format!("Size {{ {least}, max-output-tokens: {most:?} }}"));
        given
    };
    let head = |api: &str, stream: bool, user: &str, most: &str, budget: &str| {
        format!(
            "Head {{ request-id: \"req_1\", api: Api::{api}, requested-model: \"tell\", stream: {stream}, \
             tenant: \"org_é\", project: \"team\", key-id: \"key_22\", user-hash: {user}, region: \"north\", \
             class: DataClass::Restricted, retention: Retention::Days(513), tags: [(\"a\", \"1\"), (\"bc\", \"\")], \
             deadline-ms: 16843010, est-input-tokens: 33686019, max-output-tokens: {most}, \
             segment-count: 67372037, body-bytes: 361700868485481736, needs: Needs(TOOLS | PARALLEL_TOOLS), \
             attempt: 9, budget: {budget} }}"
        )
    };
    let (user, most) = ("Some(\"user_333\")", "Some(50529028)");
    let budget = "Some(Budget { limit: 9223372036854775807, left: -2 })";
    assert_eq!(heads(full()), head("Messages", true, user, most, budget));
    let other = Head { api: Api::CountTokens, stream: false, ..full() };
    assert_eq!(heads(other), head("Other(\"count-tokens\")", false, user, most, budget));
    let nobodys = Head { user_hash: None, ..full() };
    assert_eq!(heads(nobodys), head("Messages", true, "None", most, budget));
    let boundless = Head { max_output_tokens: None, ..full() };
    assert_eq!(heads(boundless), head("Messages", true, user, "None", budget));
    assert_eq!(heads(Head { budget: None, ..full() }), head("Messages", true, user, most, "None"));
}

fn attempt(policy: &dyn Policy) {
    let ask = |number| {
        let facts = Arc::new(AttemptFacts { target: 1, target_id: "sim/model-1".into(), number });
        policy.attempt(&request("hello"), &candidates(2), &facts).expect("an answer")
    };
    let headers = vec![("x-target".to_owned(), "sim/model-1".to_owned())];
    assert_eq!(ask(1), Preparation::Edit(Changes { edits: Vec::new(), headers }));
    assert_eq!(ask(2), Preparation::Pass);
    assert_eq!(ask(3), Preparation::Skip("fewest".into()));
}

fn on_error(policy: &dyn Policy) {
    let error = |retry_after_ms| AttemptError {
        target: 0,
        target_id: "sim/model-0".into(),
        class: ErrorClass::RateLimited,
        status: Some(429),
        provider_code: None,
        retry_after_ms,
        elapsed_ms: 3,
    };
    let ask = |errors: Vec<AttemptError>| {
        policy.on_error(&request("hello"), &candidates(2), &errors.into()).expect("an answer")
    };
    assert_eq!(ask(vec![error(None), error(Some(70))]), Recovery::RetryAfter(70));
    assert_eq!(ask(vec![error(None)]), Recovery::FollowPlan);
}

fn guard_response(policy: &dyn Policy) {
    let asked = request("hello");
    let meta = Arc::new(ReplyMeta {
        target: 0,
        target_id: "sim/model-0".into(),
        finish_reason: "stop".into(),
        usage: Usage { input: 3, output: 4, ..Usage::default() },
        source: Source::Provider,
        ttft_ms: 1,
        total_ms: 2,
        attempts: 1,
    });
    let ask =
        |text: &str| policy.guard_response(&asked, &reply(&asked, text), &meta).expect("an answer").outcome;
    assert_eq!(ask("fine"), Guarded::Answer("stop of 2".into()));
    assert!(matches!(ask("the swordfish"), Guarded::Block(deny) if deny.status == 451));
}

/// A batch of two organisations is two calls, each with its own.
fn complete(host: &Host, policy: &dyn Policy) {
    let batch: Vec<Summary> = ["a", "b", "a"].map(summary).to_vec();
    policy.complete(&batch.into()).expect("an answer");
    let said = host.said().join("\n");
    assert!(
        said.contains(r#"name: "charged", by: 20, labels: [("tenant", "a"), ("keys", "unavailable")]"#),
        "{said}"
    );
    assert!(
        said.contains(r#"name: "charged", by: 10, labels: [("tenant", "b"), ("keys", "unavailable")]"#),
        "{said}"
    );
}

pub(crate) fn summary(tenant: &str) -> Summary {
    Summary {
        head: Arc::new(head(tenant, Retention::Unknown)),
        outcome: Outcome::Ok,
        target_id: Some("sim/model-0".into()),
        status: 200,
        usage: Usage::default(),
        source: Source::Provider,
        charged: Nanos(10),
        provider_cost: None,
        ttft_ms: None,
        total_ms: 5,
        errors: vec![ErrorClass::Network],
        attempts: 2,
        tags: Vec::new(),
        cache: CacheState::Miss,
    }
}

/// The host is told whose call it is; a redactor hears of the same word in both directions.
#[test]
fn a_redactor_answers_with_offsets() {
    let redactor = engine()
        .compile("redactor", &built("redactor"), &Value::Null, &Arc::new(Host::default()).grants(&GRANTS))
        .unwrap_or_else(|e| panic!("{e}"));
    let asked: Arc<RequestView> = request("a swordfish");
    let spans = redactor.redact(&asked, weir_policy::Direction::Request).expect("spans");
    assert_eq!((spans[0].start, spans[0].end, spans[0].replace), (2, 11, weir_policy::Redaction::Mask(0)));
    let reply = reply(&asked, "swordfish");
    let spans = redactor.redact(&reply, weir_policy::Direction::Reply).expect("spans");
    assert_eq!((spans[0].start, spans[0].replace), (0, weir_policy::Redaction::Hash(0)));
}

#[test]
fn a_redactor_hides_refuses_and_reports() {
    for (action, wanted) in [
        ("vault", weir_policy::Redaction::Vault(0)),
        ("refuse", weir_policy::Redaction::Refuse),
        ("report", weir_policy::Redaction::Report),
    ] {
        let config = serde_json::json!({ "action": action });
        let redactor = engine()
            .compile("redactor", &built("redactor"), &config, &Arc::new(Host::default()).grants(&GRANTS))
            .unwrap_or_else(|e| panic!("{e}"));
        let spans = redactor.redact(&request("a swordfish"), weir_policy::Direction::Request).expect("spans");
        assert_eq!(spans[0].replace, wanted);
    }
}

#[test]
fn origins_say_whose_call_it_is() {
    let (host, policy) = loaded();
    policy.admit(&request_of("acme", Retention::Unknown, "x")).expect("an answer");
    policy.guard(&request_of("acme", Retention::Zero, "x")).expect("an answer");
    let origins = host.origins.lock().expect("no panic");
    let (first, last) = (origins.first().expect("one"), origins.last().expect("one"));
    assert_eq!((&*first.policy, &*first.tenant, &*first.request_id), ("every-hook", "acme", "req_test"));
    assert!(!first.tainted && last.tainted);
    assert_eq!(last.retention, Retention::Zero);
}

/// Under zero retention an organisation's keys are not written, whatever was read.
#[test]
fn zero_retention_leaves_no_key() {
    let (host, policy) = loaded();
    let admitted = policy.admit(&request_of("acme", Retention::Zero, "x")).expect("an answer");
    assert!(matches!(admitted, Admission::Deny(_)), "the count could not be written");
    assert_eq!(host.keys(), Vec::<String>::new());
}
