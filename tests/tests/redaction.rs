//! Reversible redaction on the way of real requests: the provider sees tokens only, the caller gets his texts back, and
//! nothing of it stays anywhere.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::{Act, Call, Gateway, Reply, Setup, Upstream, reply, soon};

/// Hides e-mail addresses, and what stands in angle brackets. Where an address shows in a reply it refuses: nobody who
/// watches replies may see what was hidden.
const HIDES: &str = r#"//! name: hide
//! version: 1.0.0
//! hooks: [redact]
//! reads: content
//! stream: { bytes: 1 }
//! matchers:
//!   - { name: email, patterns: ['[a-z]+@[a-z.]*[a-z]', '<<[^>]*>>'] }
//! redact: { classes: [email] }
//! declares: { rules: [email] }

fn redact(direction, request, config) {
    let action = if direction == "reply" { refuse() } else { vault("email") };
    spans(request.scan("email"), "email", "high", action)
}

fn redact_stream(state, direction, lane, text, last, config) {
    redacted(spans(scan("email", text), "email", "high", refuse()))
}
"#;

/// Hides as a guard does, and watches no reply.
const GUARDS: &str = r#"//! name: guard
//! version: 1.0.0
//! hooks: [guard]
//! reads: content
//! matchers:
//!   - { name: email, patterns: ['[a-z]+@[a-z.]*[a-z]', '<<[^>]*>>'] }

fn guard(request, config) { edit(edits(request.scan("email"), vault("email"))) }
"#;

const ADA: &str = "ada@example.org";
const KEY: &str = "<<say \"hi\"\n\\o/>>";

const SURFACES: [(&str, bool); 6] = [
    ("chat", false),
    ("chat", true),
    ("responses", false),
    ("responses", true),
    ("messages", false),
    ("messages", true),
];

async fn house(upstream: &Upstream, policy: &str, model: &str) -> (Gateway, String) {
    let patient = "timeouts: { connect: 2s, first_byte: 10s, idle: 10s, total: 60s }";
    let setup = Setup::pair(upstream.address, Upstream::refusing(), model, patient)
        .also("policies:\n  - file: p.rhai")
        .file("p.rhai", policy);
    let gateway = setup.start().await;
    let key = gateway.key(&["--scope", "explain"]);
    (gateway, key)
}

/// A request of an API that speaks of both texts, and may have a tool called or an object answered.
fn asked(api: &str, stream: bool) -> (&'static str, Value) {
    let text = format!("write to {ADA} that {KEY}, then to {ADA}");
    let schema = json!({ "type": "object", "properties": { "to": { "type": "string" } } });
    match api {
        "chat" => (
            "/v1/chat/completions",
            json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": text }],
                "tools": [{ "type": "function", "function": { "name": "mail", "parameters": schema } }] }),
        ),
        "responses" => (
            "/v1/responses",
            json!({ "model": "m", "stream": stream, "input": text, "instructions": format!("you serve {ADA}"),
                "tools": [{ "type": "function", "name": "mail", "parameters": schema }] }),
        ),
        _ => (
            "/v1/messages",
            json!({ "model": "m", "stream": stream, "max_tokens": 64,
                "messages": [{ "role": "user", "content": text }],
                "tools": [{ "name": "mail", "input_schema": schema }] }),
        ),
    }
}

async fn ask(gateway: &Gateway, key: &str, (path, body): (&str, Value)) -> Reply {
    let bearer = format!("Bearer {key}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
        ("anthropic-version", "2023-06-01"),
        ("x-weir-explain", "true"),
    ];
    let mut client = gateway.client().await;
    client.send("POST", path, &headers, body.to_string().as_bytes()).await.unwrap();
    soon("a reply", client.reply()).await.unwrap()
}

/// The tokens of a request, in order, each once.
fn tokens(call: &Call) -> Vec<String> {
    let text = String::from_utf8(call.body.clone()).unwrap();
    let mut found: Vec<String> = Vec::new();
    for rest in text.split("[EMAIL-").skip(1) {
        let token = format!("[EMAIL-{}]", rest.split(']').next().unwrap());
        if !found.contains(&token) {
            found.push(token);
        }
    }
    found
}

/// The token of the address and that of the other text.
fn both(call: &Call) -> (String, String) {
    let found = tokens(call);
    assert_eq!(found.len(), 2, "{found:?} in {}", String::from_utf8_lossy(&call.body));
    // Instructions come first in what a Responses caller says; the address is in both.
    (found[0].clone(), found[1].clone())
}

/// Text, thoughts, a call and its arguments, of the deltas of a stream or of the whole.
#[derive(Debug, Default, PartialEq)]
struct Said {
    text: String,
    arguments: String,
}

fn said(api: &str, reply: &Reply) -> Said {
    assert_eq!(reply.status(), 200, "{api}: {reply:?}");
    if reply.get("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
        return streamed(&reply.text());
    }
    let json = reply.json();
    let text = |at: &str| json.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |at: &str| json.pointer(at).and_then(Value::as_array).cloned().unwrap_or_default();
    match api {
        "chat" => Said {
            text: text("/choices/0/message/content"),
            arguments: text("/choices/0/message/tool_calls/0/function/arguments"),
        },
        "responses" => {
            assert_eq!(json["instructions"], format!("you serve {ADA}"), "the caller's own, as he said it");
            let of = |kind: &str| {
                list("/output").into_iter().find(|item| item["type"] == kind).unwrap_or_default()
            };
            Said {
                text: of("message")["content"][0]["text"].as_str().unwrap_or_default().to_owned(),
                arguments: of("function_call")["arguments"].as_str().unwrap_or_default().to_owned(),
            }
        }
        _ => {
            let of = |kind: &str| list("/content").into_iter().find(|item| item["type"] == kind);
            let arguments = of("tool_use").map(|call| call["input"].to_string());
            Said {
                text: of("text").unwrap_or_default()["text"].as_str().unwrap_or_default().to_owned(),
                arguments: arguments.unwrap_or_default(),
            }
        }
    }
}

fn streamed(text: &str) -> Said {
    let mut said = Said::default();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    for event in data.filter_map(|data| serde_json::from_str::<Value>(data).ok()) {
        let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match event["type"].as_str() {
            Some("response.output_text.delta") => said.text += &part(&event["delta"]),
            Some("response.function_call_arguments.delta") => said.arguments += &part(&event["delta"]),
            Some("response.completed") => {
                assert_eq!(event["response"]["instructions"], format!("you serve {ADA}"));
            }
            Some("content_block_delta") => {
                said.text += &part(&event["delta"]["text"]);
                said.arguments += &part(&event["delta"]["partial_json"]);
            }
            Some(_) => {}
            None => {
                let delta = &event["choices"][0]["delta"];
                said.text += &part(&delta["content"]);
                said.arguments += &part(&delta["tool_calls"][0]["function"]["arguments"]);
            }
        }
    }
    said
}

/// A completion that says a text and calls a tool, whole or in small deltas, as the request wants it.
fn acts(call: &Call, text: &str, arguments: &str) -> Act {
    if !call.stream() {
        let mut body = reply::completion(text, 100, 40, 10);
        body["choices"][0]["message"]["tool_calls"] = json!([{ "id": "call_1", "type": "function", "function": { "name": "mail", "arguments": arguments } }]);
        body["choices"][0]["finish_reason"] = "tool_calls".into();
        return Act::json(200, &body);
    }
    let chunk = |delta: Value, finish: Value| {
        reply::event(
            &json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m1",
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] }),
        )
    };
    let small =
        |text: &str| text.chars().collect::<Vec<_>>().chunks(3).map(String::from_iter).collect::<Vec<_>>();
    let mut act = Act::stream();
    for piece in small(text) {
        act = act.chunk(chunk(json!({ "content": piece }), Value::Null));
    }
    let begin = json!([{ "index": 0, "id": "call_1", "type": "function", "function": { "name": "mail", "arguments": "" } }]);
    act = act.chunk(chunk(json!({ "tool_calls": begin }), Value::Null));
    for piece in small(arguments) {
        let more = json!([{ "index": 0, "function": { "arguments": piece } }]);
        act = act.chunk(chunk(json!({ "tool_calls": more }), Value::Null));
    }
    act = act.chunk(chunk(json!({}), "tool_calls".into()));
    [reply::usage_event(100, 40, 10), reply::done()].into_iter().fold(act, Act::chunk).end()
}

fn clean(call: &Call) {
    let body = String::from_utf8(call.body.clone()).unwrap();
    assert!(!body.contains("ada@") && !body.contains("say \\\"hi"), "{body}");
}

#[tokio::test]
async fn the_provider_sees_tokens_and_the_caller_gets_texts_in_every_api() {
    let upstream = Upstream::start(|call| {
        let (ada, key) = both(call);
        let arguments =
            json!({ "to": ada, "body": format!("I {key}"), "raw": json!({ "k": key }).to_string() });
        acts(
            call,
            &format!("To {ada}: {} \\{}\\]", key.to_lowercase(), ada.trim_end_matches(']')),
            &arguments.to_string(),
        )
    })
    .await;
    for policy in [HIDES, GUARDS] {
        let (gateway, key) = house(&upstream, policy, "").await;
        for (api, stream) in SURFACES {
            let reply = ask(&gateway, &key, asked(api, stream)).await;
            let said = said(api, &reply);
            let place = format!("{api} {stream}: {}", reply.text());
            assert_eq!(said.text, format!("To {ADA}: {KEY} {ADA}"), "{place}");
            let arguments: Value =
                serde_json::from_str(&said.arguments).unwrap_or_else(|error| panic!("{error}: {place}"));
            assert_eq!(
                (&arguments["to"], &arguments["body"]),
                (&json!(ADA), &json!(format!("I {KEY}"))),
                "{place}"
            );
            let raw: Value = serde_json::from_str(arguments["raw"].as_str().unwrap()).unwrap();
            assert_eq!(raw, json!({ "k": KEY }), "{place}");
            assert!(!reply.text().contains("[EMAIL-"), "{place}");
        }
        gateway.ledger_check();
    }
    upstream.calls().iter().for_each(clean);
}

#[tokio::test]
async fn a_structured_answer_stays_json() {
    let upstream = Upstream::start(|call| {
        let (ada, key) = both(call);
        let answer = json!({ "to": [ada], "words": key }).to_string();
        match call.stream() {
            true => {
                let small: Vec<String> = answer.chars().map(String::from).collect();
                Act::streams(&small.iter().map(String::as_str).collect::<Vec<_>>())
            }
            false => Act::says(&answer),
        }
    })
    .await;
    let (gateway, key) = house(&upstream, HIDES, "").await;
    for (api, stream) in SURFACES {
        let reply = ask(&gateway, &key, asked(api, stream)).await;
        let text = said(api, &reply).text;
        let answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {api} {stream}: {text}"));
        assert_eq!(answer, json!({ "to": [ADA], "words": KEY }), "{api} {stream}");
    }
}

#[tokio::test]
async fn a_stream_cut_at_every_byte_is_restored_the_same() {
    // The n-th request gets a stream whose bytes come in two chunks, cut at its n-th byte; the first gets them one by one.
    let upstream = Upstream::start(|call| {
        let (ada, _) = both(call);
        let bytes = reply::events(&["é ", &ada[..7], &ada[7..], "!"]).concat();
        match call.index {
            0 => bytes.iter().fold(Act::stream(), |act, byte| act.chunk([*byte])).end(),
            cut => {
                let (one, two) = bytes.split_at(cut.min(bytes.len()));
                let act = if one.is_empty() { Act::stream() } else { Act::stream().chunk(one) };
                if two.is_empty() { act.end() } else { act.chunk(two).end() }
            }
        }
    })
    .await;
    let (gateway, key) = house(&upstream, GUARDS, "").await;
    let (_, body) = asked("chat", true);
    let first = gateway.chat(&key, &body).await;
    assert_eq!(first.answer(), format!("é {ADA}!"));
    let longest = reply::events(&["é ", "[EMAIL", "-1-aaaaaa]", "!"]).concat().len();
    let mut client = gateway.client().await;
    for cut in 1..=longest {
        client.chat(&key, &body, &[]).await.unwrap();
        let reply = client.reply().await.unwrap();
        assert_eq!((reply.status(), reply.answer()), (200, format!("é {ADA}!")), "cut at byte {cut}");
    }
}

#[tokio::test]
async fn what_was_hidden_is_in_no_cache_and_another_exchange_has_other_tokens() {
    let upstream = Upstream::start(|call| Act::answers(call, &both(call).0)).await;
    let (gateway, key) = house(&upstream, HIDES, "cache: { ttl: 60s }").await;
    for stream in [false, false, true, true] {
        let reply = gateway.chat(&key, &asked("chat", stream).1).await;
        assert_eq!((reply.answer().as_str(), reply.get("x-weir-cache")), (ADA, Some("bypass")));
    }
    let mut seen: Vec<String> = upstream.calls().iter().map(|call| both(call).0).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4, "each exchange asked, with tokens of its own: {seen:?}");
    let stranger = Upstream::start(move |call| Act::answers(call, &seen[call.index])).await;
    let (other, key) = house(&stranger, HIDES, "").await;
    for _ in 0..4 {
        let reply = other.chat(&key, &asked("chat", false).1).await;
        assert!(reply.answer().starts_with("[EMAIL-1-"), "a token of another exchange stays: {reply:?}");
    }
    // The control: where nothing is hidden, the cache keeps.
    let plain = json!({ "model": "m", "messages": [{ "role": "user", "content": "hello" }] });
    let quiet = Upstream::saying("hi").await;
    let (third, key) = house(&quiet, HIDES, "cache: { ttl: 60s }").await;
    for state in ["miss", "hit"] {
        assert_eq!(third.chat(&key, &plain).await.get("x-weir-cache"), Some(state));
    }
}

#[tokio::test]
async fn a_redactor_refuses_in_the_callers_envelope_and_nothing_leaves() {
    let upstream = Upstream::start(|call| Act::answers(call, "write to eve@example.org then")).await;
    let refuses = HIDES.replace("else { vault(\"email\") }", "else { refuse() }");
    let (gateway, key) = house(&upstream, &refuses, "").await;
    for (api, stream) in SURFACES {
        let reply = ask(&gateway, &key, asked(api, stream)).await;
        assert_eq!(reply.status(), 403, "{api} {stream}: {reply:?}");
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("`email`") && !message.contains("ada"), "{message}");
    }
    assert_eq!(upstream.count(), 0, "zero bytes were sent");
    let plain = |stream: bool| json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(gateway.chat(&key, &plain(false)).await.refused(403), "sensitive_content");
    let stopped = gateway.chat(&key, &plain(true)).await;
    assert!(
        !stopped.text().contains("eve@") && stopped.text().contains("sensitive_content"),
        "{}",
        stopped.text()
    );
    gateway.ledger_check();
}

#[tokio::test]
async fn a_report_leaves_the_text_and_is_in_the_explanation() {
    let upstream = Upstream::saying("fine").await;
    let reports = HIDES.replace("else { vault(\"email\") }", "else { report() }");
    let (gateway, key) = house(&upstream, &reports, "").await;
    let reply = ask(&gateway, &key, asked("chat", false)).await;
    assert!(String::from_utf8_lossy(&upstream.call(0).await.body).contains(ADA));
    let explained = gateway.print(&["explain", reply.id()]);
    assert!(explained.contains("hide") && !explained.contains("ada@"), "{explained}");
}

#[tokio::test]
async fn nothing_that_was_hidden_is_written_anywhere() {
    let upstream = Upstream::start(|call| Act::answers(call, &format!("to {}", both(call).0))).await;
    let (mut gateway, key) = house(&upstream, HIDES, "cache: { ttl: 60s }").await;
    for (api, stream) in SURFACES {
        let reply = ask(&gateway, &key, asked(api, stream)).await;
        assert!(said(api, &reply).text.ends_with(ADA));
        let explanation = reply.get("x-weir-explain").unwrap_or_default().to_owned();
        assert!(!explanation.contains("ada"), "{explanation}");
        assert!(!gateway.print(&["explain", reply.id()]).contains("ada@"));
    }
    let metrics = gateway.get_admin("/metrics").await.text();
    assert!(metrics.contains("weir_") && !metrics.contains("ada@"));
    gateway.stop().await;
    let log = gateway.stdout() + &gateway.stderr();
    assert!(log.contains("redact") || log.contains("200"), "the log is there: {log}");
    let mut files = vec![gateway.data()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(ADA.len()).any(|window| window == ADA.as_bytes()), "{}", path.display());
    }
    assert!(!log.contains("ada@"), "{log}");
}
