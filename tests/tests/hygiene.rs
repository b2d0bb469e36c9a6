//! No key is told to anybody it is not meant for, and the process comes and goes in good order.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use weir_tests::collector::unpacked;
use weir_tests::{Act, Client, Gate, Gateway, Setup, Upstream, gateway, reply, soon, until};

const PROVIDER_KEY: &str = "sk-provider-one-secret";
const OTHER_PROVIDER_KEY: &str = "sk-provider-two-secret";
const HEADER_SECRET: &str = "operators-header-secret";

fn ask(stream: bool) -> Value {
    json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
}

/// Every file under a folder, with its bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap_or_default()));
        }
    }
    found
}

fn holds(text: &[u8], needle: &str) -> bool {
    text.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn no_key_appears_where_it_does_not_belong() {
    // The collector is an upstream too: it takes what it gets and says 200.
    let collector =
        Upstream::start(|_| Act::reply(200, &[("Content-Type", "application/x-protobuf")], "")).await;
    let upstream = Upstream::start(|call| {
        // A provider that echoes what it was sent, credentials included, in every way it can.
        let echo = format!("you sent {}", call.get("authorization").unwrap_or_default());
        match call.json()["seed"].as_u64() {
            Some(401) => Act::json(401, &reply::error("authentication_error", "invalid_api_key", &echo)),
            Some(500) => Act::reply(500, &[], "<html>broken</html>"),
            Some(1) => Act::new().close(),
            _ => Act::answers(call, "fine words"),
        }
    })
    .await;
    let provider = format!("headers: {{ x-operator: {HEADER_SECRET} }}");
    let setup = Setup::pair(upstream.address, upstream.address, "retries: 0", &provider);
    let otlp = format!(
        "telemetry:\n  log: {{ level: trace }}\n  otlp: {{ endpoint: 'http://{}', logs: true }}",
        collector.address
    );
    let mut gateway = setup.also(&otlp).start().await;
    let (key, revoked) = (gateway.key(&[]), gateway.key(&[]));
    let list = gateway.print(&["key", "list"]);
    let id = list.lines().last().unwrap().split_whitespace().next().unwrap().to_owned();
    assert!(gateway.print(&["key", "revoke", &id]).contains("revoked"));

    let mut replies = Vec::new();
    for stream in [false, true] {
        for seed in [0, 1, 401, 500] {
            let mut body = ask(stream);
            body["seed"] = json!(seed);
            replies.push(gateway.chat(&key, &body).await);
        }
        replies.push(gateway.chat(&revoked, &ask(stream)).await);
        replies.push(gateway.chat(&format!("{key}x"), &ask(stream)).await);
        replies.push(gateway.chat_with(&key, &ask(stream), &[("x-weir-secret", &key)]).await);
        replies.push(gateway.chat_with(&key, &ask(stream), &[("x-weir-tags", &format!("k={key} x"))]).await);
        replies.push(gateway.chat_with(&key, &ask(stream), &[("x-api-key", &revoked)]).await);
    }
    let metrics = gateway.get_admin("/metrics").await;
    assert_eq!(metrics.status(), 200);
    let commands =
        [gateway.usage("key").to_string(), gateway.print(&["key", "list"]), gateway.print(&["check"])];
    gateway.stop().await;
    assert!(collector.count() > 0, "traces were sent");

    let secrets = [key.as_str(), &revoked, PROVIDER_KEY, OTHER_PROVIDER_KEY, HEADER_SECRET];
    let never = |place: &str, bytes: &[u8]| {
        for secret in secrets {
            assert!(!holds(bytes, secret), "{secret} stands in {place}");
        }
    };
    for reply in &replies {
        never("a reply", format!("{reply:?}").as_bytes());
    }
    never("/metrics", metrics.text().as_bytes());
    never("standard output", gateway.stdout().as_bytes());
    never("standard error", gateway.stderr().as_bytes());
    for text in &commands {
        never("what a command prints", text.as_bytes());
    }
    for call in collector.calls() {
        never("a trace's head", call.raw.as_bytes());
        never("a trace", &unpacked(&call));
    }
    for (name, bytes) in files(&gateway.data()) {
        never(&name, &bytes);
    }
    // The secret part by itself, without its prefix, is nowhere either.
    let part = &key[key.len() - 30..];
    for (name, bytes) in files(&gateway.data()) {
        assert!(!holds(&bytes, part), "a part of the key stands in {name}");
    }
    assert!(gateway.stdout().contains("weir::access"), "there was a log to look at");
}

#[tokio::test]
async fn nothing_of_the_callers_credentials_or_of_ours_goes_upstream() {
    let upstream = Upstream::saying("fine").await;
    let gateway = Setup::pair(upstream.address, upstream.address, "", "").start().await;
    let key = gateway.key(&[]);
    let headers = [
        ("x-api-key", key.as_str()),
        ("api-key", &key),
        ("x-weir-cache", "off"),
        ("x-weir-tags", "team=blue"),
        ("x-weir-retention", "unknown"),
        ("Cookie", "session=of-the-caller"),
        ("Proxy-Authorization", "Basic b2YtdGhlLWNhbGxlcg=="),
        ("X-Forwarded-For", "10.1.2.3"),
        ("OpenAI-Organization", "org-of-the-caller"),
    ];
    for stream in [false, true] {
        assert_eq!(gateway.chat_with(&key, &ask(stream), &headers).await.status(), 200);
    }
    for call in upstream.calls() {
        assert_eq!(call.get("authorization"), Some(format!("Bearer {PROVIDER_KEY}").as_str()));
        let head = call.raw.to_ascii_lowercase();
        for never in [
            key.to_ascii_lowercase().as_str(),
            "x-weir-",
            "x-api-key",
            "of-the-caller",
            "proxy-auth",
            "10.1.2.3",
        ] {
            assert!(!head.contains(never), "{never} went upstream: {}", call.raw);
        }
        assert!(!holds(&call.body, &key));
    }
}

#[tokio::test]
async fn secrets_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let gateway = Setup::pair(Upstream::refusing(), Upstream::refusing(), "", "").start().await;
    // The folder itself first (an empty name): the ledger in it follows the umask.
    for name in ["", "pepper", "admin.token"] {
        let mode = fs::metadata(gateway.data().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "data/{name} has mode {mode:o}");
    }
    for header in [None, Some("Bearer wrong"), Some("Bearer ")] {
        let mut client = Client::connect(gateway.admin).await.unwrap();
        let headers: Vec<_> = header.iter().map(|value| ("Authorization", *value)).collect();
        client.send("GET", "/admin/v1/keys", &headers, b"").await.unwrap();
        assert_eq!(soon("a reply", client.reply()).await.unwrap().status(), 401, "{header:?}");
    }
}

#[tokio::test]
async fn an_idle_gateway_stops_when_told() {
    let upstream = Upstream::saying("fine").await;
    let mut gateway = Setup::pair(upstream.address, upstream.address, "", "").start().await;
    let key = gateway.key(&[]);
    // An idle kept connection does not hold it up.
    let mut idle = gateway.client().await;
    idle.chat(&key, &ask(false), &[]).await.unwrap();
    assert_eq!(soon("a reply", idle.reply()).await.unwrap().status(), 200);
    gateway.stop().await;
    soon("the end of an idle connection", idle.closed()).await;
    assert!(Client::connect(gateway.address).await.is_err(), "nobody listens any more");
    gateway.serve().await;
    assert_eq!(gateway.chat(&key, &ask(false)).await.status(), 200, "the key is still there");
    assert_eq!(gateway.postings().len(), 2);
    gateway.ledger_check();
}

#[tokio::test]
async fn streams_finish_inside_the_grace_period() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::start(move |_| {
        let rest = reply::events(&["second"]).into_iter().fold(Act::new(), Act::chunk).end();
        Act::stream().chunk(reply::delta("first ")).wait(&held).then(rest)
    })
    .await;
    let patient = "timeouts: { connect: 60s, first_byte: 60s, idle: 60s, total: 60s }";
    let mut gateway = Setup::pair(upstream.address, upstream.address, "", patient).start().await;
    let key = gateway.key(&[]);
    let mut client = gateway.client().await;
    client.chat(&key, &ask(true), &[]).await.unwrap();
    let head = soon("a head", client.head()).await.unwrap();
    assert!(soon("an event", client.event()).await.unwrap().is_some());
    gateway.terminate();
    stopped_listening(&gateway).await;
    gate.open();
    let mut last = None;
    while let Some(event) = soon("an event", client.event()).await.unwrap() {
        last = Some(event);
    }
    assert_eq!(last.as_deref(), Some("[DONE]"));
    assert!(gateway.ended().await.success());
    assert_eq!(gateway.posting(head.id()).outcome, "ok");
    gateway.ledger_check();
}

#[tokio::test]
async fn what_outlasts_the_grace_period_ends_with_an_error_and_is_settled() {
    let upstream = Upstream::start(|_| Act::stream().chunk(reply::delta("first ")).hang()).await;
    let patient = "timeouts: { connect: 60s, first_byte: 60s, idle: 60s, total: 60s }";
    let setup = Setup::pair(upstream.address, upstream.address, "", patient);
    let mut gateway = setup.server("  timeouts: { grace: 300ms }").start().await;
    let key = gateway.key(&[]);
    let mut client = gateway.client().await;
    client.chat(&key, &ask(true), &[]).await.unwrap();
    let head = soon("a head", client.head()).await.unwrap();
    assert!(soon("an event", client.event()).await.unwrap().is_some());
    gateway.terminate();
    let error = soon("the terminal error", client.event()).await.unwrap().unwrap();
    let error: Value = serde_json::from_str(&error).unwrap();
    assert_eq!(error["error"]["code"], "stream_broken");
    assert_eq!(soon("the end", client.event()).await.unwrap(), None);
    assert!(gateway.ended().await.success());
    assert_eq!((gateway.posting(head.id()).outcome, gateway.posting(head.id()).charged), ("upstream-cut", 0));
    gateway.ledger_check();
}

#[tokio::test]
async fn a_whole_reply_that_outlasts_the_grace_period_is_refused_and_settled() {
    let upstream = Upstream::start(|_| Act::new().hang()).await;
    let patient = "timeouts: { connect: 60s, first_byte: 60s, idle: 60s, total: 60s }";
    let setup = Setup::pair(upstream.address, upstream.address, "", patient);
    let mut gateway = setup.server("  timeouts: { grace: 300ms }").start().await;
    let key = gateway.key(&["--budget", "1"]);
    let mut client = gateway.client().await;
    let mut body = ask(false);
    body["max_tokens"] = json!(10);
    client.chat(&key, &body, &[]).await.unwrap();
    upstream.call(0).await;
    gateway.terminate();
    let reply = soon("a refusal", client.reply()).await.unwrap();
    assert_eq!(reply.refused(503), "shutting_down");
    assert!(gateway.ended().await.success());
    assert_eq!(gateway.posting(reply.id()).charged, 0);
    gateway.ledger_check();
}

async fn stopped_listening(gateway: &Gateway) {
    until("the gateway stops listening", || {
        std::net::TcpStream::connect(gateway.address).is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_second_process_on_the_same_ledger_is_refused_by_name() {
    let mut gateway = Setup::pair(Upstream::refusing(), Upstream::refusing(), "", "").start().await;
    let config = fs::read_to_string(gateway.config()).unwrap();
    let config = config.replace(&gateway.address.to_string(), &gateway::free_address().to_string());
    let config = config.replace(&gateway.admin.to_string(), &gateway::free_address().to_string());
    let other = gateway.folder().join("other.yaml");
    fs::write(&other, config).unwrap();
    let second = std::process::Command::new(gateway::binary())
        .current_dir(gateway.folder())
        .args(["--config", other.to_str().unwrap(), "serve"])
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&gateway.pid().to_string()), "it does not name {}: {said}", gateway.pid());
    assert_eq!(gateway.get_admin("/readyz").await.status(), 200, "the first does not notice");
    gateway.kill();
    gateway.serve().await;
}

/// Pingora's own timers are a thread that wakes a hundred times a second for as long as the process lives, once anybody has
/// used one: where it shares a core with the workers, they lose a tenth of what they can do.
#[tokio::test]
async fn nobody_starts_pingoras_clock() {
    let upstream = Upstream::start(|call| Act::answers(call, "fine words")).await;
    let mut gateway = Setup::pair(upstream.address, upstream.address, "retries: 0", "").start().await;
    let key = gateway.key(&[]);
    for stream in [false, true] {
        assert_eq!(gateway.chat(&key, &ask(stream)).await.status(), 200);
    }
    let threads = fs::read_dir(format!("/proc/{}/task", gateway.pid())).unwrap();
    let names = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).unwrap());
    let names: Vec<_> = names.collect();
    assert!(!names.is_empty() && names.iter().all(|name| name.trim() != "Timer thread"), "{names:?}");
    gateway.stop().await;
}
