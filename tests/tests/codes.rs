//! A redactor fails with a number of its own making. It has read content by then, so the number must show nowhere.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use std::path::Path;
use std::process::Command;
use weir_tests::collector::SIGNALS;
use weir_tests::{Client, Collector, Gateway, Setup, Upstream, soon};

/// Lengths of prompts that are all `z`. The guest fails with the sum of the bytes that it reads where their count is odd.
/// One number of five digits may stand somewhere by accident; that all of these stand in one place is none.
/// (With more of them its breaker would open: it fails at replies, too.)
const LENGTHS: [u16; 3] = [401, 403, 405];

/// Built into the folder.
fn guest(folder: &Path) -> String {
    let out = folder.join("exfil-redact.wasm");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/guests/exfil-redact");
    let built = Command::new(weir_tests::gateway::binary())
        .args(["plugin", "build", source, "--out"])
        .arg(&out)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    out.display().to_string()
}

async fn explained(gateway: &Gateway, id: &str) -> Vec<u8> {
    let token = std::fs::read_to_string(gateway.data().join("admin.token")).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let mut admin = Client::connect(gateway.admin).await.unwrap();
    let path = format!("/admin/v1/explain/{id}");
    // An exchange is over a moment after its caller has been answered.
    soon("the exchange is kept", async {
        loop {
            admin.send("GET", &path, &[("Authorization", &bearer)], b"").await.unwrap();
            let reply = admin.reply().await.unwrap();
            if reply.status() == 200 {
                return reply.body;
            }
        }
    })
    .await
}

/// Whether the number stands there by itself, not as a part of a longer one.
fn tells(text: &str, number: &str) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit());
    text.match_indices(number).any(|(at, _)| {
        !digit(text[..at].chars().next_back()) && !digit(text[at + number.len()..].chars().next())
    })
}

#[test]
fn the_search_finds_a_number_that_stands_by_itself() {
    assert!(tells("code=48922", "48922") && tells("(48922)", "48922") && tells("0xbf1a ", "0xbf1a"));
    assert!(!tells("148922", "48922") && !tells("0.489220", "48922"));
}

#[tokio::test]
async fn a_redactors_own_code_reaches_no_log_metric_trace_or_reply() {
    let folder = tempfile::tempdir().unwrap();
    let (upstream, collector) = (Upstream::saying("fine").await, Collector::start().await);
    let mut gateway = Setup::new(format!(
        "providers: {{ one: {{ base_url: 'http://{}/v1', keys: [sk-1] }} }}
models: {{ m: {{ targets: [one/m1] }} }}
telemetry: {{ log: {{ level: trace, access: true }}, otlp: {{ endpoint: '{}', logs: true, interval: 1s }} }}
policies: [{{ file: '{}', grants: [env, tokens], models: [m] }}]
",
        upstream.address,
        collector.endpoint(),
        guest(folder.path())
    ))
    .env("RUST_LOG", "trace")
    .own_temporary()
    .start()
    .await;
    let key = gateway.key(&["--scope", "explain"]);
    let (mut replies, mut explanations) = (Vec::new(), Vec::new());
    for length in LENGTHS {
        let prompt = "z".repeat(usize::from(length));
        let body = json!({ "model": "m", "messages": [{ "role": "user", "content": prompt }] });
        let reply = gateway.chat_with(&key, &body, &[("x-weir-explain", "true")]).await;
        // Its manifest says `on_failure: open`.
        assert_eq!(reply.status(), 200, "{}", reply.text());
        explanations.extend(explained(&gateway, reply.id()).await);
        replies.extend(format!("{reply:?} {}", reply.text()).into_bytes());
    }
    let metrics = gateway.get_admin("/metrics").await.body;
    gateway.stop().await;
    let mut sinks = vec![
        ("replies".to_owned(), replies),
        ("explanations".to_owned(), explanations),
        ("metrics".to_owned(), metrics),
        ("standard output".to_owned(), gateway.stdout().into_bytes()),
        ("standard error".to_owned(), gateway.stderr().into_bytes()),
        ("ledger".to_owned(), std::fs::read(gateway.data().join("ledger.sqlite3")).unwrap()),
    ];
    sinks.extend(SIGNALS.map(|signal| (format!("OTLP {signal}"), collector.bytes(signal))));
    for (sink, bytes) in &sinks {
        assert!(!bytes.is_empty(), "{sink} was not searched");
        let text = String::from_utf8_lossy(bytes);
        for (form, write) in [
            ("decimal", (|code| format!("{code}")) as fn(u16) -> String),
            ("hex", |code| format!("{code:#x}")),
        ] {
            let told =
                LENGTHS.iter().filter(|length| tells(&text, &write(*length * u16::from(b'z')))).count();
            assert!(told < LENGTHS.len(), "{sink} tells the code, in {form}:\n{text}");
        }
    }
    // It did fail so, and whoever runs the gateway is told that much.
    let said = |sink: &str| {
        let (_, bytes) = sinks.iter().find(|(name, _)| name == sink).unwrap();
        String::from_utf8_lossy(bytes).into_owned()
    };
    for sink in ["standard output", "explanations"] {
        let words = said(sink).matches("failed with a code of its own").count();
        assert!(words >= LENGTHS.len(), "{sink}: {}", said(sink));
    }
}
