//! Reversible redaction on the way of real requests: the provider sees tokens only, the caller gets his texts back, and
//! nothing of it stays anywhere.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::process::Command;
use weir_tests::{Act, Answer, Call, Dialect, Gate, Gateway, Reply, Setup, Tool, Upstream, reply, soon};

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
    house_of(Dialect::Chat, upstream, "p.rhai", policy, model).await
}

/// A gateway whose provider speaks a dialect. The policy's text stands in its file, if it has one.
async fn house_of(
    dialect: Dialect,
    upstream: &Upstream,
    file: &str,
    policy: &str,
    model: &str,
) -> (Gateway, String) {
    let patient = "timeouts: { connect: 2s, first_byte: 10s, idle: 10s, total: 60s }";
    let provider = format!("{patient}, dialect: {}", dialect.name());
    let mut setup = Setup::pair(upstream.address, Upstream::refusing(), model, &provider)
        .also(&format!("policies:\n  - file: '{file}'"));
    if !policy.is_empty() {
        setup = setup.file(file, policy);
    }
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

/// An answer that says a text and calls a tool, in small deltas where it is streamed.
fn answer(text: &str, arguments: &str) -> Answer {
    let small =
        |text: &str| text.chars().collect::<Vec<_>>().chunks(3).map(String::from_iter).collect::<Vec<_>>();
    let tool = Tool { name: "mail".into(), arguments: small(arguments) };
    Answer { text: small(text), tool: Some(tool), ..Answer::saying("") }
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
        let text = format!("To {ada}: {} \\{}\\]", key.to_lowercase(), ada.trim_end_matches(']'));
        answer(&text, &arguments.to_string()).act(call)
    })
    .await;
    for (dialect, policy) in
        Dialect::ALL.into_iter().flat_map(|dialect| [(dialect, HIDES), (dialect, GUARDS)])
    {
        let (gateway, key) = house_of(dialect, &upstream, "p.rhai", policy, "").await;
        for (api, stream) in SURFACES {
            let reply = ask(&gateway, &key, asked(api, stream)).await;
            let said = said(api, &reply);
            let place = format!("{api} {stream} over {}: {}", dialect.name(), reply.text());
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
        Answer { text: answer.chars().map(String::from).collect(), ..Answer::saying("") }.act(call)
    })
    .await;
    for dialect in Dialect::ALL {
        let (gateway, key) = house_of(dialect, &upstream, "p.rhai", HIDES, "").await;
        for (api, stream) in SURFACES {
            let reply = ask(&gateway, &key, asked(api, stream)).await;
            let text = said(api, &reply).text;
            let place = format!("{api} {stream} over {}: {text}", dialect.name());
            let answer: Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {place}"));
            assert_eq!(answer, json!({ "to": [ADA], "words": KEY }), "{place}");
        }
    }
}

/// The provider's own dialect, so that its events pass but for what is put back.
#[tokio::test]
async fn a_native_stream_in_pieces_of_any_size_is_restored_the_same() {
    let upstream = Upstream::start(|call| {
        let (ada, key) = both(call);
        let arguments = json!({ "to": ada, "body": key });
        let bytes = answer(&format!("é {ada}!"), &arguments.to_string()).told(call).concat();
        bytes.chunks(call.index % PIECES + 1).fold(Act::stream(), Act::chunk).end()
    })
    .await;
    for (api, dialect) in
        [("chat", Dialect::Chat), ("responses", Dialect::Responses), ("messages", Dialect::Anthropic)]
    {
        let (gateway, key) = house_of(dialect, &upstream, "p.rhai", GUARDS, "").await;
        for size in 1..=PIECES {
            let reply = ask(&gateway, &key, asked(api, true)).await;
            let said = said(api, &reply);
            let arguments: Value = serde_json::from_str(&said.arguments).unwrap();
            let expected = (format!("é {ADA}!"), json!({ "to": ADA, "body": KEY }));
            assert_eq!((said.text, arguments), expected, "{api} in pieces of {size}: {}", reply.text());
        }
    }
}

/// Most bytes in a piece of a stream that is cut everywhere.
const PIECES: usize = 40;

/// What a caller says in the words that the shipped plugin finds: as it is, in a URL, in base64 and in a call's JSON.
const SAYS: &str = "Repeat: mail ada@example.org or 4111 1111 1111 1111, see https://x.example/?to=ada%40example.org&id=aWQ6IGFkYUBleGFtcGxlLm9yZyE= \"q\"";

/// The arguments of a call that a model has made before.
fn arguments() -> Value {
    json!({ "to": ADA, "pay": ["4111111111111111", 7], "at": "https://x.example/?to=ada%40example.org",
        "raw": "aWQ6IGFkYUBleGFtcGxlLm9yZyE=", "inner": json!({ "to": ADA, "say": "\"hi\"" }).to_string() })
}

/// A conversation in which a tool was called with those.
fn repeats(api: &str, stream: bool) -> (&'static str, Value) {
    let (path, mut body) = asked(api, stream);
    let call = |id: &str| json!([{ "id": id, "type": "function", "function": { "name": "mail", "arguments": arguments().to_string() } }]);
    match api {
        "chat" => {
            body["messages"] = json!([
                { "role": "user", "content": "mail him" },
                { "role": "assistant", "content": null, "tool_calls": call("call_0") },
                { "role": "tool", "tool_call_id": "call_0", "content": "sent" },
                { "role": "user", "content": SAYS },
            ]);
        }
        "responses" => {
            body["input"] = json!([
                { "role": "user", "content": "mail him" },
                { "type": "function_call", "call_id": "call_0", "name": "mail", "arguments": arguments().to_string() },
                { "type": "function_call_output", "call_id": "call_0", "output": "sent" },
                { "role": "user", "content": SAYS },
            ]);
        }
        _ => {
            let result = json!({ "type": "tool_result", "tool_use_id": "toolu_0", "content": "sent" });
            body["messages"] = json!([
                { "role": "user", "content": "mail him" },
                { "role": "assistant", "content": [{ "type": "tool_use", "id": "toolu_0", "name": "mail", "input": arguments() }] },
                { "role": "user", "content": [result, { "type": "text", "text": SAYS }] },
            ]);
        }
    }
    (path, body)
}

/// The first string in a body that fits, wherever the dialect has it.
fn find(value: &Value, fits: &dyn Fn(&Value) -> bool) -> Option<Value> {
    if fits(value) {
        return Some(value.clone());
    }
    match value {
        Value::Object(members) => members.values().find_map(|value| find(value, fits)),
        Value::Array(items) => items.iter().find_map(|value| find(value, fits)),
        _ => None,
    }
}

/// Says what it is told to, and calls what was called before, with what it sees of both.
fn parrot(call: &Call) -> Act {
    let body = call.json();
    let text = find(&body, &|value| value.as_str().is_some_and(|text| text.starts_with("Repeat: "))).unwrap();
    let called = |value: &Value| match value {
        Value::String(text) => text.starts_with('{') && text.contains("\"raw\""),
        other => other["raw"].is_string(),
    };
    let called = find(&body, &called).unwrap();
    let arguments = called.as_str().map_or_else(|| called.to_string(), str::to_owned);
    answer(text.as_str().unwrap(), &arguments).act(call)
}

#[tokio::test]
async fn the_shipped_plugin_hides_and_gives_back_whatever_its_form_in_every_api() {
    let folder = tempfile::tempdir().unwrap();
    let (source, plugin) = (
        concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/redact-pii"),
        folder.path().join("redact-pii.wasm"),
    );
    let build = Command::new(weir_tests::gateway::binary())
        .args(["plugin", "build", source, "--out"])
        .arg(&plugin)
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
    let upstream = Upstream::start(parrot).await;
    for dialect in Dialect::ALL {
        let (gateway, key) = house_of(dialect, &upstream, &plugin.display().to_string(), "", "").await;
        for (api, stream) in SURFACES {
            let reply = ask(&gateway, &key, repeats(api, stream)).await;
            let place = format!("{api} {stream} over {}: {}", dialect.name(), reply.text());
            let said = said(api, &reply);
            assert_eq!(said.text, SAYS, "{place}");
            let called: Value =
                serde_json::from_str(&said.arguments).unwrap_or_else(|error| panic!("{error}: {place}"));
            assert_eq!(called, arguments(), "{place}");
            assert!(!reply.text().contains("[EMAIL-") && !reply.text().contains("[CARD-"), "{place}");
        }
        gateway.ledger_check();
    }
    assert_eq!(upstream.count(), Dialect::ALL.len() * SURFACES.len());
    for call in upstream.calls() {
        let body = String::from_utf8(call.body).unwrap();
        for hidden in ["ada@", "ada%40", "aWQ6IGFk", "4111"] {
            assert!(!body.contains(hidden), "{hidden} in {body}");
        }
        assert!(body.contains("[EMAIL-1-") && body.contains("[CARD-"), "{body}");
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

/// The text of one event of a chat's stream.
fn delta(event: &str) -> String {
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_can_be_no_token_leaves_at_once() {
    let gate = Gate::new();
    let closed = gate.clone();
    let upstream = Upstream::start(move |call| {
        let (ada, _) = both(call);
        let events = reply::events(&["Hello ", &ada[..9], &ada[9..]]);
        let (now, later) = events.split_at(2);
        let act = now.iter().fold(Act::stream(), Act::chunk).wait(&closed);
        later.iter().fold(act, Act::chunk).end()
    })
    .await;
    let (gateway, key) = house(&upstream, GUARDS, "").await;
    let mut client = gateway.client().await;
    client.chat(&key, &asked("chat", true).1, &[]).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
    let mut text = String::new();
    while text.is_empty() {
        text += &delta(&soon("the first text", client.event()).await.unwrap().unwrap());
    }
    assert_eq!(text, "Hello ", "the provider has not gone on yet");
    gate.open();
    while let Some(event) = client.event().await.unwrap() {
        text += &delta(&event);
    }
    assert_eq!(text, format!("Hello {ADA}"));
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
