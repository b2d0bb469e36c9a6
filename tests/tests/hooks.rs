//! Every hook of the contract, on the way of real requests: what it decides is what callers, providers and the ledger see.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::{Act, Call, Gateway, Reply, Setup, Upstream, reply};

fn ask(text: &str, stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "max_tokens": 20, "messages": [{ "role": "user", "content": text }] })
}

/// A gateway before two providers with one policy.
async fn with(one: &Upstream, two: &Upstream, policy: &str, binding: &str) -> (Gateway, String) {
    let setup = Setup::pair(one.address, two.address, "retries: 0, max_attempts: 3", "")
        .also(&format!("policies:\n  - {{ file: p.rhai{binding} }}"))
        .file("p.rhai", policy);
    let gateway = setup.start().await;
    let key = gateway.key(&[]);
    (gateway, key)
}

async fn pair(text: &'static str) -> (Upstream, Upstream) {
    (Upstream::saying(text).await, Upstream::saying(text).await)
}

fn sent(call: &Call) -> String {
    call.json()["messages"][0]["content"].as_str().unwrap().to_owned()
}

/// A request of one of the three APIs that has the model say what it says, streamed or not.
async fn in_words(gateway: &Gateway, key: &str, api: &str, stream: bool) -> Reply {
    let (path, body) = match api {
        "chat" => ("/v1/chat/completions", ask("hi", stream)),
        "responses" => ("/v1/responses", json!({ "model": "m", "stream": stream, "input": "hi" })),
        _ => (
            "/v1/messages",
            json!({ "model": "m", "stream": stream, "max_tokens": 20, "messages": [{ "role": "user", "content": "hi" }] }),
        ),
    };
    let mut client = gateway.client().await;
    let bearer = format!("Bearer {key}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
        ("anthropic-version", "2023-06-01"),
    ];
    client.send("POST", path, &headers, body.to_string().as_bytes()).await.unwrap();
    client.reply().await.unwrap()
}

/// All text that a reply shows: of the deltas of a stream, or of the whole.
fn words(reply: &Reply) -> String {
    let whole = |json: &Value| {
        let places = ["/choices/0/message/content", "/output/0/content/0/text", "/content/0/text"];
        places.iter().find_map(|at| json.pointer(at)?.as_str().map(str::to_owned)).unwrap_or_default()
    };
    if !reply.get("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
        return whole(&reply.json());
    }
    let text = reply.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    events
        .filter_map(|event| match event["type"].as_str() {
            Some("response.output_text.delta") => event["delta"].as_str().map(str::to_owned),
            Some("content_block_delta") => event["delta"]["text"].as_str().map(str::to_owned),
            Some(_) => None,
            None => event["choices"][0]["delta"]["content"].as_str().map(str::to_owned),
        })
        .collect()
}

const SURFACES: [(&str, bool); 6] = [
    ("chat", false),
    ("chat", true),
    ("responses", false),
    ("responses", true),
    ("messages", false),
    ("messages", true),
];

#[tokio::test]
async fn admit_keeps_out_before_money_is_held() {
    let (one, two) = pair("fine").await;
    let policy = r#"//! name: door
//! version: 1.0.0
//! hooks: [admit]

fn admit(head, config) {
    if head.tag("plan") == "free" { return deny(429, "come_later", "Free callers wait.").retry_after_ms(3000); }
    allow()
}
"#;
    let (gateway, key) = with(&one, &two, policy, "").await;
    let no = gateway.chat_with(&key, &ask("hi", false), &[("x-weir-tags", "plan=free")]).await;
    assert_eq!(no.refused(429), "come_later");
    assert_eq!(no.get("retry-after"), Some("3"));
    assert_eq!((one.count(), gateway.postings().len()), (0, 0), "nothing is posted for who never came in");
    assert_eq!(gateway.chat(&key, &ask("hi", false)).await.status(), 200);
}

const REDACTS: &str = r#"//! name: no-names
//! version: 1.0.0
//! hooks: [redact]
//! reads: content
//! stream: { bytes: 1 }
//! matchers:
//!   - { name: ada, literals: [Lovelace] }
//! redact: { masks: ['[name]'] }
//! declares: { rules: [name] }

fn redact(direction, request, config) { spans(request.scan("ada"), "name", "high", mask(0)) }

// A name may be cut anywhere: what may be its beginning stays.
fn redact_stream(state, direction, lane, text, last, config) {
    let hits = scan("ada", text);
    let end = if hits.is_empty() { 0 } else { hits[hits.len() - 1].end };
    let left = text.bytes - end;
    redacted(spans(hits, "name", "high", mask(0))).hold(if left < 7 { left } else { 7 })
}
"#;

#[tokio::test]
async fn redact_sees_both_ways_in_every_api_and_across_every_edge() {
    let says = |call: &Call| match call.stream() {
        true => Act::streams(&["I am Ada Lo", "ve", "lace, hel", "lo"]),
        false => Act::says("I am Ada Lovelace, hello"),
    };
    let (one, two) = (Upstream::start(says).await, Upstream::start(says).await);
    let (gateway, key) = with(&one, &two, REDACTS, "").await;
    for (api, stream) in SURFACES {
        let reply = in_words(&gateway, &key, api, stream).await;
        assert_eq!(reply.status(), 200, "{api} {stream}: {reply:?}");
        assert_eq!(words(&reply), "I am Ada [name], hello", "{api} {stream}: {}", reply.text());
        assert!(!reply.text().contains("Lovelace"), "{api} {stream}: {}", reply.text());
    }
    let calls = one.count();
    gateway.chat(&key, &ask("who is Lovelace?", false)).await;
    assert_eq!(sent(&one.call(calls).await), "who is [name]?");
    gateway.ledger_check();
}

#[tokio::test]
async fn attempt_changes_what_one_target_gets_and_passes_over_another() {
    let (one, two) = pair("fine").await;
    let policy = r#"//! name: by-target
//! version: 1.0.0
//! hooks: [attempt]
//! reads: content
//! declares: { reasons: [closed-today] }

fn attempt(head, attempt, config, request) {
    if attempt.target == "one/m1" { return skip("closed-today"); }
    edit([edit(0, 0, 2, text("good day"))]).set_header("x-team", "blue")
}
"#;
    let (gateway, key) = with(&one, &two, policy, "").await;
    let reply = gateway.chat(&key, &ask("hi there", false)).await;
    assert_eq!((reply.status(), reply.get("x-weir-target")), (200, Some("two/m2")));
    let call = two.call(0).await;
    assert_eq!((sent(&call).as_str(), call.get("x-team")), ("good day there", Some("blue")));
    assert_eq!(
        (one.count(), reply.get("x-weir-attempts")),
        (0, Some("1")),
        "who is passed over is not asked"
    );
}

#[tokio::test]
async fn guard_response_refuses_edits_and_answers_and_the_customer_pays_for_what_he_gets() {
    let (one, two) = (
        Upstream::start(|call| Act::says(&format!("you said {}", sent(call)))).await,
        Upstream::saying("never").await,
    );
    let policy = r#"//! name: mouth
//! version: 1.0.0
//! hooks: [guard-response]
//! reads: content
//! buffer_streams: true
//! matchers:
//!   - { name: bad, literals: [damn] }
//! declares: { rules: [bad], codes: [impolite] }

fn guard_response(head, meta, reply, config) {
    let hits = reply.scan("bad");
    if hits.is_empty() { return pass(); }
    let said = reply.text(0);
    if said.contains("twice") { return block(deny(451, "impolite", "That was impolite.")); }
    if said.contains("hush") { return answer("I would rather not."); }
    edit(edits(hits, text("dear"))).finding("bad", "low", hits[0])
}
"#;
    let (gateway, key) = with(&one, &two, policy, "").await;
    let said = async |text: &str| gateway.chat(&key, &ask(text, false)).await;
    assert_eq!(said("nothing").await.answer(), "you said nothing");
    let edited = said("damn").await;
    assert_eq!(edited.answer(), "you said dear");
    assert_eq!(gateway.posting(edited.id()).charged, 180_000);
    let blocked = said("damn twice").await;
    assert_eq!(blocked.refused(451), "impolite");
    let posting = gateway.posting(blocked.id());
    assert_eq!((posting.outcome, posting.charged, posting.provider_cost), ("refused", 0, Some(180_000)));
    let hushed = said("damn hush").await;
    assert_eq!(hushed.answer(), "I would rather not.");
    assert_eq!(gateway.posting(hushed.id()).charged, 0);
    gateway.ledger_check();
}

#[tokio::test]
async fn a_stream_that_a_guard_of_replies_wants_whole_is_collected_first() {
    let says = |call: &Call| match call.stream() {
        true => Act::streams(&["one da", "mn two"]),
        false => Act::says("one damn two"),
    };
    let (one, two) = (Upstream::start(says).await, Upstream::start(says).await);
    let policy = r#"//! name: whole
//! version: 1.0.0
//! hooks: [guard-response]
//! reads: content
//! buffer_streams: true
//! matchers:
//!   - { name: bad, literals: [damn] }

fn guard_response(head, meta, reply, config) { edit(edits(reply.scan("bad"), text("dear"))) }
"#;
    let (gateway, key) = with(&one, &two, policy, "").await;
    for (api, stream) in SURFACES {
        let reply = in_words(&gateway, &key, api, stream).await;
        assert_eq!(
            (reply.status(), words(&reply).as_str()),
            (200, "one dear two"),
            "{api} {stream}: {reply:?}"
        );
    }
    gateway.ledger_check();
}

const WATCH: &str = r#"//! name: watch
//! version: 1.0.0
//! hooks: [stream, guard-response]
//! reads: content
//! stream: { bytes: 1 }
//! matchers:
//!   - { name: code, literals: ['1234'] }
//!   - { name: stop, literals: [STOP] }
//! declares: { rules: [code], codes: [enough] }

fn guard_response(head, meta, reply, config) { edit(edits(reply.scan("code"), text("XXXX"))) }

fn stream(state, lane, text, last, config) {
    if !scan("stop", text).is_empty() { return stop(deny(403, "enough", "That is enough.")); }
    let hits = scan("code", text);
    let end = if hits.is_empty() { 0 } else { hits[hits.len() - 1].end };
    let left = text.bytes - end;
    edit(edits(hits, text("XXXX"))).hold(if left < 3 { left } else { 3 })
}
"#;

#[tokio::test]
async fn stream_edits_on_the_way_and_stops_in_the_callers_own_protocol() {
    let says = |call: &Call| match (call.stream(), call.json().to_string().contains("go on")) {
        (true, true) => Act::streams(&["fine so far, ", "ST", "OP ", "secret"]),
        (true, false) => Act::streams(&["pin 12", "3", "4 is it", "12"]),
        (false, _) => Act::says("pin 1234 is it12"),
    };
    let (one, two) = (Upstream::start(says).await, Upstream::start(says).await);
    let (gateway, key) = with(&one, &two, WATCH, "").await;
    for (api, stream) in SURFACES {
        let reply = in_words(&gateway, &key, api, stream).await;
        assert_eq!(
            (reply.status(), words(&reply).as_str()),
            (200, "pin XXXX is it12"),
            "{api} {stream}: {}",
            reply.text()
        );
    }
    let stopped = gateway.chat(&key, &ask("go on", true)).await;
    assert_eq!(stopped.status(), 200, "its head had left");
    assert!(!stopped.text().contains("secret") && !stopped.text().contains("STOP"), "{}", stopped.text());
    assert!(!stopped.text().contains("[DONE]"), "no success: {}", stopped.text());
    let last: Value = serde_json::from_str(stopped.events().last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "enough", "{last}");
    let posting = gateway.posting(stopped.id());
    assert_eq!((posting.outcome, posting.charged), ("refused", 0));
    assert!(posting.provider_cost.is_some_and(|cost| cost > 0));
    gateway.ledger_check();
}

/// Whoever sees streams only is not passed by a provider that answers in one piece.
#[tokio::test]
async fn a_whole_reply_to_a_streamed_request_does_not_pass_those_who_watch_streams() {
    const STREAMS: &str = r#"//! name: streams
//! version: 1.0.0
//! hooks: [stream]
//! reads: content

fn stream(state, lane, text, last, config) { pass() }
"#;
    let says = |_: &Call| Act::says("a whole secret");
    let (one, two) = (Upstream::start(says).await, Upstream::start(says).await);
    let (gateway, key) = with(&one, &two, WATCH, "").await;
    assert_eq!(gateway.chat(&key, &ask("x", true)).await.status(), 200, "its guard of whole replies saw it");
    let except = ", except: [chat, responses, messages, images, transcription]";
    let (gateway, key) = with(&one, &two, STREAMS, except).await;
    let reply = gateway.chat(&key, &ask("x", true)).await;
    assert_eq!(reply.refused(502), "unreadable_reply", "{reply:?}");
    assert!(!reply.text().contains("secret"), "{reply:?}");
    assert_eq!(gateway.posting(reply.id()).charged, 0);
    gateway.ledger_check();
}

#[tokio::test]
async fn a_stream_that_is_stopped_before_anything_left_has_a_real_status() {
    let says = |_: &Call| Act::streams(&["STOP at once"]);
    let (one, two) = (Upstream::start(says).await, Upstream::start(says).await);
    let (gateway, key) = with(&one, &two, WATCH, "").await;
    let stopped = gateway.chat(&key, &ask("x", true)).await;
    assert_eq!(stopped.refused(403), "enough");
}

#[tokio::test]
async fn a_guard_of_replies_that_would_not_see_streams_is_refused_with_its_cells() {
    let (one, two) = pair("fine").await;
    let policy = "//! name: half\n//! version: 1.0.0\n//! hooks: [guard-response]\n//! reads: content\n\nfn guard_response(head, meta, reply, config) { pass() }\n";
    let (gateway, key) = with(&one, &two, &REDACTS.replace("no-names", "whole"), "").await;
    std::fs::write(gateway.folder().join("p.rhai"), policy).unwrap();
    let refused = gateway.run(&["reload"]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    for cell in ["chat-stream × output", "messages-stream × tool arguments", "responses-stream × output"] {
        assert!(why.contains(cell), "{cell} in {why}");
    }
    assert_eq!(gateway.chat(&key, &ask("hi", false)).await.status(), 200, "the running version goes on");
}

#[tokio::test]
async fn price_says_what_the_customer_pays_and_what_is_held() {
    let (one, two) = pair("fine").await;
    let policy = r#"//! name: half-price
//! version: 1.0.0
//! hooks: [price]

fn price(head, target, base, config) { charge(mul_div_up(base.list_price, 1, 2)).item("half", base.list_price) }
"#;
    let (gateway, key) = with(&one, &two, policy, "").await;
    let reply = gateway.chat(&key, &ask("hi", false)).await;
    assert_eq!(reply.get("x-weir-cost"), Some("0.000090000"));
    let posting = gateway.posting(reply.id());
    assert_eq!((posting.charged, posting.provider_cost), (90_000, Some(180_000)));
    let streamed = gateway.chat(&key, &ask("hi", true)).await;
    assert_eq!(gateway.posting(streamed.id()).charged, 90_000);
    // The hold is half of what the list says of the dearer target: every byte a token in, 20 tokens out.
    let bytes = i64::try_from(ask("hi", false).to_string().len()).unwrap();
    let hold = (bytes * 2_000 + 20 * 20_000 + 1) / 2;
    let hard = gateway.key(&["--budget", &format!("0.{hold:09}")]);
    assert_eq!(gateway.chat(&hard, &ask("hi", false)).await.status(), 200, "it just fits");
    let short = gateway.key(&["--budget", &format!("0.{:09}", hold - 1)]);
    assert_eq!(gateway.chat(&short, &ask("hi", false)).await.refused(402), "budget_exceeded");
    gateway.ledger_check();
}

#[tokio::test]
async fn complete_is_told_when_all_is_done() {
    let one = Upstream::start(|call| match call.index {
        0 => Act::json(503, &reply::error("server_error", "overloaded", "later")),
        _ => Act::answers(call, "fine"),
    })
    .await;
    let two = Upstream::saying("fine").await;
    let policy = r#"//! name: book
//! version: 1.0.0
//! hooks: [admit, complete]
//! capabilities: [telemetry]

fn admit(head, config) { allow().tag("shift", "night") }

fn complete(batch, config) {
    for s in batch {
        log("info", "done", #{ outcome: s.outcome, target: s.target, charged: s.charged.to_string(), errors: s.errors.len().to_string(), shift: s.tag("shift") });
    }
}
"#;
    let (mut gateway, key) = with(&one, &two, policy, ", grants: [telemetry]").await;
    let reply = gateway.chat(&key, &ask("hi", false)).await;
    assert_eq!(reply.get("x-weir-target"), Some("two/m2"));
    gateway.stop().await;
    let log = gateway.stdout();
    let line = log
        .lines()
        .find(|line| line.contains("\"done\"") || line.contains("said=done") || line.contains("done"))
        .unwrap_or_default();
    for fact in ["ok", "two/m2", "360000", "night"] {
        assert!(log.contains(fact), "{fact} in {line}\n{log}");
    }
}

#[tokio::test]
async fn complete_is_told_again_of_what_it_could_not_take() {
    let (one, two) = (Upstream::saying("fine").await, Upstream::saying("fine").await);
    // Fails at the first call, as an export does whose collector is away.
    let policy = r#"//! name: book
//! version: 1.0.0
//! hooks: [complete]
//! capabilities: [kv, telemetry]

fn complete(batch, config) {
    if kv_incr("plugin", "calls", 1, 600000) == 1 { throw "away"; }
    for s in batch { log("info", "booked", #{ charged: s.charged.to_string() }); }
}
"#;
    let (mut gateway, key) = with(&one, &two, policy, ", grants: [kv, telemetry]").await;
    gateway.chat(&key, &ask("hi", false)).await;
    let faults = "weir_policy_faults_total{hook=\"complete\",kind=\"trap\",policy=\"book\"} 1";
    gateway.metrics_with(&[faults]).await;
    // It is tried again in time, and at the latest when the gateway stops.
    gateway.stop().await;
    assert_eq!(gateway.stdout().matches("booked").count(), 1, "{}", gateway.stdout());
}
