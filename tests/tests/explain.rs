//! Who decided what, also where the answer was no: in the header of the reply, and afterwards by `weir explain`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::{Act, Gate, Gateway, Reply, Setup, Upstream, soon, until};

const EXPLAIN: [(&str, &str); 1] = [("x-weir-explain", "true")];

fn ask(text: &str) -> Value {
    json!({ "model": "m", "max_tokens": 20, "messages": [{ "role": "user", "content": text }] })
}

/// A gateway before two providers with policies of these names and sources.
async fn with(one: &Upstream, two: &Upstream, policies: &[(&str, &str)]) -> Gateway {
    let files: Vec<String> =
        policies.iter().map(|(name, _)| format!("  - {{ file: {name}.rhai }}")).collect();
    let setup = Setup::pair(one.address, two.address, "retries: 0, max_attempts: 3", "");
    let setup = setup.also(&format!("policies:\n{}", files.join("\n")));
    let setup = policies.iter().fold(setup, |setup, (name, text)| setup.file(&format!("{name}.rhai"), *text));
    setup.start().await
}

fn explainer(gateway: &Gateway, more: &[&str]) -> String {
    gateway.key(&[&["--scope", "explain"], more].concat())
}

/// What the header says: a list.
fn told(reply: &Reply) -> Vec<Value> {
    let text = reply.get("x-weir-explain").unwrap_or_else(|| panic!("no explanation: {reply:?}"));
    assert!(text.len() <= 4096 && text.is_ascii(), "{text}");
    serde_json::from_str(text).unwrap()
}

/// What `weir explain` keeps of a request, as JSON and for people: written when the exchange is over.
async fn kept(gateway: &Gateway, id: &str) -> (Value, String) {
    let json = until("the exchange is kept", || {
        let output = gateway.run(&["explain", "--json", id]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    })
    .await;
    (json, gateway.print(&["explain", id]))
}

fn ids(value: &Value, key: &str) -> Vec<String> {
    let of = |item: &Value| item[key].as_str().unwrap_or_default().to_owned();
    value.as_array().unwrap().iter().map(of).collect()
}

const BY_WORD: [(&str, &str); 3] = [
    (
        "door",
        r#"//! name: door
//! version: 1.0.0
//! hooks: [admit]
fn admit(head, config) {
    if head.tag("stop") == "admit" { return deny(403, "closed", "Closed."); }
    allow()
}
"#,
    ),
    (
        "ear",
        r#"//! name: ear
//! version: 2.0.0
//! hooks: [guard]
//! reads: content
//! matchers: [{ name: bad, literals: [damn] }]
//! declares: { codes: [impolite], rules: [bad] }
fn guard(request, config) {
    if request.scan("bad").is_empty() { return pass(); }
    block(deny(451, "impolite", "No."))
}
"#,
    ),
    (
        "way",
        r#"//! name: way
//! version: 3.0.0
//! hooks: [route]
fn route(head, targets, config) {
    if head.tag("stop") == "route" { return deny(503, "nowhere", "Nowhere."); }
    plan(targets).reason("as they come")
}
"#,
    ),
];

#[tokio::test]
async fn a_refusal_is_explained_as_a_reply_is() {
    let (one, two) = (Upstream::saying("fine").await, Upstream::saying("fine").await);
    let gateway = with(&one, &two, &BY_WORD).await;
    let key = explainer(&gateway, &[]);
    let cases = [
        ("stop=admit", "hi", 403, ("admit", "door", "1.0.0", "deny", "closed")),
        ("stop=guard", "damn", 451, ("guard", "ear", "2.0.0", "block", "impolite")),
        ("stop=route", "hi", 503, ("route", "way", "3.0.0", "deny", "nowhere")),
    ];
    for (tags, text, status, (hook, policy, version, verdict, reason)) in cases {
        let reply = gateway.chat_with(&key, &ask(text), &[EXPLAIN[0], ("x-weir-tags", tags)]).await;
        assert_eq!(reply.refused(status), reason);
        assert_eq!(reply.get("x-weir-policy-generation"), Some("1"));
        assert_eq!(reply.get("x-weir-attempts"), Some("0"));
        let said = told(&reply);
        let last = said.last().unwrap();
        assert_eq!(
            (&last["hook"], &last["policy"], &last["version"], &last["verdict"], &last["reason"]),
            (&json!(hook), &json!(policy), &json!(version), &json!(verdict), &json!(reason)),
            "{said:?}"
        );
        assert!(last["us"].is_u64());
        let (kept, shown) = kept(&gateway, reply.id()).await;
        assert_eq!(ids(&kept["targets"], "target"), ["one/m1", "two/m2"], "{kept:#}");
        assert_eq!((&kept["status"], &kept["outcome"]), (&json!(status), &json!("refused")));
        assert_eq!(kept["attempts"], json!([]));
        assert!(shown.contains("+ one/m1") && shown.contains(reason) && !shown.contains("damn"), "{shown}");
    }
    // A key that did not ask is told nothing, and the operator all the same.
    let plain = gateway.key(&[]);
    let reply = gateway.chat_with(&plain, &ask("hi"), &[("x-weir-tags", "stop=admit")]).await;
    assert_eq!((reply.get("x-weir-explain"), reply.get("x-weir-policy-generation")), (None, Some("1")));
    assert!(kept(&gateway, reply.id()).await.1.contains("closed"));
    assert_eq!((one.count(), two.count()), (0, 0));
}

#[tokio::test]
async fn who_may_not_have_a_request_is_said_with_the_reason() {
    let (one, two) = (Upstream::saying("fine").await, Upstream::saying("fine").await);
    let gateway = with(&one, &two, &BY_WORD).await;
    let key = explainer(&gateway, &[]);
    let reply = gateway.chat_with(&key, &ask("hi"), &[EXPLAIN[0], ("x-weir-retention", "zero")]).await;
    assert_eq!(reply.refused(403), "zdr_no_eligible_endpoint");
    let out: Vec<Value> = told(&reply).into_iter().filter(|item| !item["left_out"].is_null()).collect();
    assert_eq!(ids(&json!(out), "target"), ["one/m1", "two/m2"]);
    let (json, shown) = kept(&gateway, reply.id()).await;
    assert_eq!(json["refused"], "zdr_no_eligible_endpoint");
    assert!(shown.contains("- one/m1: it keeps content") && shown.contains("asks for zero"), "{shown}");

    let poor = explainer(&gateway, &["--budget", "0.000000001"]);
    let reply = gateway.chat_with(&poor, &ask("hi"), &EXPLAIN).await;
    assert_eq!(reply.refused(402), "budget_exceeded");
    assert_eq!(ids(&json!(told(&reply)), "policy")[0], "door");
    let (json, shown) = kept(&gateway, reply.id()).await;
    assert_eq!(json["refused"], "budget_exceeded");
    assert!(shown.contains("+ one/m1") && shown.contains("(402) budget_exceeded"), "{shown}");

    // What came to an end before any policy could be asked says so, rather than nothing.
    let mut unknown = ask("hi");
    unknown["model"] = json!("nobody");
    let reply = gateway.chat_with(&key, &unknown, &EXPLAIN).await;
    assert_eq!((reply.refused(404).as_str(), told(&reply).len()), ("model_not_found", 0));
    let (json, shown) = kept(&gateway, reply.id()).await;
    assert_eq!((&json["targets"], &json["refused"]), (&Value::Null, &json!("model_not_found")));
    assert!(shown.contains("no policy was asked"), "{shown}");
}

#[tokio::test]
async fn a_target_without_a_feature_under_its_terms_is_no_candidate() {
    let (one, two) = (Upstream::saying("one").await, Upstream::saying("two").await);
    let setup = Setup::new(format!(
        "providers:
  one: {{ base_url: 'http://{}/v1', keys: [sk-one], retention: zero }}
  two: {{ base_url: 'http://{}/v1', keys: [sk-two], retention: zero, covers: [web-search] }}
models:
  m: {{ targets: [one/a, two/b], retries: 0 }}
policies:
  - {{ file: way.rhai }}",
        one.address, two.address
    ));
    let gateway = setup.file("way.rhai", BY_WORD[2].1).start().await;
    let key = explainer(&gateway, &[]);
    let mut search = ask("hi");
    search["web_search_options"] = json!({});
    let reply = gateway.chat_with(&key, &search, &[EXPLAIN[0], ("x-weir-retention", "zero")]).await;
    assert_eq!((reply.answer().as_str(), one.count()), ("two", 0), "{reply:?}");
    let (json, shown) = kept(&gateway, reply.id()).await;
    let candidates: Vec<&Value> =
        json["targets"].as_array().unwrap().iter().map(|t| &t["candidate"]).collect();
    assert_eq!(candidates, [&json!(false), &json!(true)], "{json:#}");
    assert!(shown.contains("- one/a: its zero-retention terms do not extend to web-search"), "{shown}");
    assert!(told(&reply).iter().any(|item| item["target"] == "one/a" && item["left_out"].is_string()));
}

#[tokio::test]
async fn each_attempt_is_told_with_its_class_and_its_status() {
    let broken = |status: u16| {
        move |_: &_| Act::json(status, &json!({ "error": { "message": "SECRET", "code": "SECRET" } }))
    };
    let (one, two) = (Upstream::start(broken(503)).await, Upstream::start(broken(400)).await);
    let gateway = with(&one, &two, &BY_WORD).await;
    let key = explainer(&gateway, &[]);
    let reply = gateway.chat_with(&key, &ask("hi"), &EXPLAIN).await;
    assert_eq!((reply.status(), reply.get("x-weir-attempts")), (400, Some("2")), "{reply:?}");
    let tries: Vec<Value> = told(&reply).into_iter().filter(|item| item["attempt"].is_u64()).collect();
    let (json, shown) = kept(&gateway, reply.id()).await;
    for (tries, what) in [(json!(tries), "header"), (json["attempts"].clone(), "kept")] {
        let of = |at: usize| {
            (tries[at]["target"].clone(), tries[at]["class"].clone(), tries[at]["status"].clone())
        };
        assert_eq!(of(0), (json!("one/m1"), json!("overloaded"), json!(503)), "{what}: {tries:#}");
        assert_eq!(of(1), (json!("two/m2"), json!("bad-request"), json!(400)), "{what}: {tries:#}");
    }
    assert!(
        shown.contains("1 one/m1: overloaded (503)") && shown.contains("2 two/m2: bad-request (400)"),
        "{shown}"
    );
    assert!(shown.contains("plan (as they come)\n  one/m1 -> two/m2"), "{shown}");
    assert!(!format!("{json}{shown}{:?}", reply.get("x-weir-explain")).contains("SECRET"), "{shown}");
}

#[tokio::test]
async fn whoever_was_passed_over_is_told_with_the_reason() {
    let gate = Gate::new();
    let held = gate.clone();
    let one = Upstream::start(move |_| Act::new().wait(&held).then(Act::says("late"))).await;
    let two = Upstream::start(|call| match call.index {
        0 => Act::reply(429, &[("Retry-After", "60"), ("Content-Type", "application/json")], "{}"),
        _ => Act::says("never"),
    })
    .await;
    let three = Upstream::saying("three").await;
    let skips = r#"//! name: skips
//! version: 1.0.0
//! hooks: [attempt]
fn attempt(head, attempt, config, request) {
    if attempt.target == "three/c" && head.tag("skip") == "yes" { return skip("closed-today"); }
    pass()
}
"#;
    let setup = Setup::new(format!(
        "providers:
  one: {{ base_url: 'http://{}/v1', keys: [sk-one], concurrency: 1 }}
  two: {{ base_url: 'http://{}/v1', keys: [sk-two] }}
  three: {{ base_url: 'http://{}/v1', keys: [sk-three] }}
models:
  m: {{ targets: [one/a, two/b, three/c], retries: 0 }}
policies:
  - {{ file: skips.rhai }}",
        one.address, two.address, three.address
    ));
    let gateway = setup.file("skips.rhai", skips).start().await;
    let key = explainer(&gateway, &[]);
    let mut first = gateway.client().await;
    first.chat(&key, &ask("hi"), &[]).await.unwrap();
    let _ = one.call(0).await;

    let reply = gateway.chat_with(&key, &ask("hi"), &EXPLAIN).await;
    assert_eq!(reply.answer(), "three", "{reply:?}");
    let (json, shown) = kept(&gateway, reply.id()).await;
    assert_eq!(ids(&json["attempts"], "target"), ["one/a", "two/b", "three/c"], "{json:#}");
    assert_eq!(json["attempts"][0]["passed_over"], "target_full");
    assert_eq!(
        (&json["attempts"][1]["class"], &json["attempts"][1]["attempt"]),
        (&json!("rate-limited"), &json!(1))
    );
    assert_eq!((&json["attempts"][2]["class"], &json["attempts"][2]["attempt"]), (&json!("ok"), &json!(2)));
    assert!(shown.contains("- one/a: it has as many requests under way as it may"), "{shown}");

    // Its key rests now, so it comes last; and the one before it is passed over by a policy.
    let headers = [EXPLAIN[0], ("x-weir-tags", "skip=yes")];
    let reply = gateway.chat_with(&key, &ask("hi"), &headers).await;
    assert_eq!(reply.refused(429), "rate_limit_exceeded");
    assert_eq!(reply.get("x-weir-attempts"), Some("0"));
    let passed: Vec<Value> =
        told(&reply).into_iter().filter(|item| item["passed_over"].is_string()).collect();
    assert_eq!(ids(&json!(passed), "target"), ["one/a", "three/c", "two/b"]);
    assert_eq!(ids(&json!(passed), "passed_over"), ["target_full", "target_skipped", "rate_limit_exceeded"]);
    let (json, shown) = kept(&gateway, reply.id()).await;
    assert_eq!(json["plan"]["set_back"], json!(["two/b"]), "{json:#}");
    assert!(
        shown.contains("asked to be left alone: two/b") && shown.contains("because closed-today"),
        "{shown}"
    );
    gate.open();
    assert_eq!(soon("the first reply", first.reply()).await.unwrap().answer(), "late");
}

#[tokio::test]
async fn a_fault_shows_its_source_to_the_operator_and_not_to_the_caller() {
    let (one, two) = (Upstream::saying("fine").await, Upstream::saying("fine").await);
    let fails = r#"//! name: fails
//! version: 1.0.0
//! hooks: [guard]
//! reads: content
fn guard(request, config) {
    let text = request.text(0);
    throw text;
}
"#;
    let gateway = with(&one, &two, &[("fails", fails)]).await;
    let key = explainer(&gateway, &[]);
    let reply = gateway.chat_with(&key, &ask("SECRET"), &EXPLAIN).await;
    assert_eq!(reply.refused(503), "policy_failed");
    let fault = &told(&reply)[0]["fault"];
    assert_eq!((&fault["kind"], &fault["message"]), (&json!("trap"), &json!("the script threw")));
    assert!(fault["place"].as_str().unwrap().contains("fails.rhai:7:"), "{fault}");
    assert_eq!((fault.get("excerpt"), fault.get("hint")), (None, None), "the source is not the caller's");

    let (json, shown) = kept(&gateway, reply.id()).await;
    assert!(json["decisions"][0]["fault"]["excerpt"].as_str().unwrap().contains("throw text;"), "{json:#}");
    assert!(
        shown.contains("       7 |     throw text;\n         |     ^")
            && shown.contains("hint: ask it again"),
        "{shown}"
    );
    let log = until("the fault is in the log", || {
        let log = gateway.stdout();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line["message"] == "a policy failed")
    })
    .await;
    assert!(log["excerpt"].as_str().unwrap().contains("throw text;"), "{log}");
    assert!(log["hint"].as_str().unwrap().contains("weir policy run"), "{log}");
    assert!(log["place"].as_str().unwrap().contains("fails.rhai:7:"), "{log}");
    assert!(
        !gateway.stdout().contains("SECRET")
            && !shown.contains("SECRET")
            && !json.to_string().contains("SECRET")
    );
}

#[tokio::test]
async fn an_explanation_that_is_long_or_not_ascii_is_no_less_there() {
    let (one, two) = (Upstream::saying("fine").await, Upstream::saying("fine").await);
    let sources: Vec<(String, String)> = (0..60)
        .map(|at| {
            let name = format!("a-door-with-a-rather-long-name-{at}");
            let text = format!("//! name: {name}\n//! version: 1.0.0\n//! hooks: [admit]\nfn admit(head, config) {{ allow() }}\n");
            (name, text)
        })
        .collect();
    let way = BY_WORD[2].1.replace("as they come", "günstigste zuerst");
    let mut policies: Vec<(&str, &str)> = vec![("way", &way)];
    let gateway = with(&one, &two, &policies).await;
    let key = explainer(&gateway, &[]);
    let reply = gateway.chat_with(&key, &ask("hi"), &EXPLAIN).await;
    assert_eq!(told(&reply)[0]["reason"], "günstigste zuerst", "{reply:?}");

    policies.extend(sources.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let gateway = with(&one, &two, &policies).await;
    let key = explainer(&gateway, &[]);
    let reply = gateway.chat_with(&key, &ask("hi"), &EXPLAIN).await;
    let said = told(&reply);
    let (mark, shown) = said.split_last().unwrap();
    // 61 policies and one attempt.
    assert_eq!(mark["cut"].as_u64().unwrap() + shown.len() as u64, 62, "{said:?}");
    assert_eq!(mark["whole"], format!("weir explain {}", reply.id()));
    assert_eq!(kept(&gateway, reply.id()).await.0["decisions"].as_array().unwrap().len(), 61);
}
