//! Zero data retention, proved from outside: canaries go into every field that can carry content, through success,
//! failure, timeout, abort, retry, fallback, reload and policies that try to carry them out; then every sink is searched
//! for them in every form. The same search with retention off must find what is planted in each sink, or it is blind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "how much was searched, and what was skipped, is for people to read")]

#[path = "retention/found.rs"]
mod found;
#[path = "retention/house.rs"]
mod house;
#[path = "retention/ways.rs"]
mod ways;

use found::files;
use house::{House, watched};
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;
use ways::TRAPS;
use weir_tests::canary::Hit;
use weir_tests::traffic;
use weir_tests::{Client, Gateway, Mint, Reply, Setup, Upstream};

const EXFIL: &str = include_str!("../policies/exfil.rhai");
const REPLIES: &str = include_str!("../policies/exfil-replies.rhai");
const REDACT: &str = include_str!("../policies/exfil-redact.rhai");
const PRICE: &str = include_str!("../policies/exfil-price.rhai");

/// What redactors see beside the others.
const REDACTED: &str = "[odd, cut, echo, openai-responses-odd, anthropic-cut, gemini-odd]";

const GRANTS: &str = "grants: [targets, env, telemetry, annotate, tokens, kv, http]";

/// The scripts, with what they declare.
fn scripts(declared: &str) -> Vec<(&'static str, String)> {
    let with = |text: &str| text.replace("DECLARED", declared);
    vec![
        ("exfil.rhai", with(EXFIL)),
        ("exfil-replies.rhai", with(REPLIES)),
        ("exfil-redact.rhai", with(REDACT)),
        ("exfil-price.rhai", with(PRICE)),
    ]
}

/// A policy that watches some models.
fn bound(file: &str, models: &str) -> String {
    format!("  - {{ file: '{file}', {GRANTS}, models: {models} }}\n")
}

/// One that sees whole replies only: who calls others has no time in a stream.
fn bound_whole(file: &str, models: &str) -> String {
    let streams = "[chat-stream, responses-stream, messages-stream]";
    format!("  - {{ file: '{file}', {GRANTS}, models: {models}, except: {streams} }}\n")
}

/// A plugin of the tests' own, built into a folder.
fn component(shop: &TempDir, name: &str) -> String {
    let guest = format!("{}/guests/{name}", env!("CARGO_MANIFEST_DIR"));
    let out = shop.path().join(format!("{name}.wasm"));
    let built = Command::new(weir_tests::gateway::binary())
        .args(["plugin", "build", &guest, "--out"])
        .arg(&out)
        .output();
    let built = built.expect("weir runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    out.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_request_under_zero_retention_is_anywhere_scripts() {
    let watched = watched("first");
    let policies = [
        format!("  - {{ file: exfil.rhai, {GRANTS} }}\n"),
        bound("exfil-replies.rhai", &watched),
        bound("exfil-price.rhai", &watched),
        format!("  - {{ file: exfil-redact.rhai, models: {REDACTED} }}\n"),
    ];
    let mut house = House::new(&policies.concat(), "first", &scripts("declared")).await;
    let key = house.gateway.key(&["--retention", "zero"]);
    house.live_through_it(&key, &[]).await;
    let asked = house.asked(&key).await;
    let found = house.left(asked).await;
    found.has_tried(&[
        ("exfil", &["admit", "guard", "route", "attempt", "on-error", "complete"]),
        ("exfil-replies", &["guard-response", "stream"]),
        ("exfil-redact", &["redact"]),
        ("exfil-price", &["price"]),
    ]);
    found.is_clean("scripts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_request_under_zero_retention_is_anywhere_components() {
    let (watched, shop) = (watched("first"), tempfile::tempdir().unwrap());
    let hostile = component(&shop, "hostile");
    let policies = [
        // First, since only the first policy that plans is asked for a plan; it abstains.
        bound_whole(&component(&shop, "exfil-http"), &watched),
        bound(&component(&shop, "exfil"), &watched),
        bound(&component(&shop, "exfil-price"), &watched),
        format!("  - {{ file: '{}', {GRANTS}, models: {REDACTED} }}\n", component(&shop, "exfil-redact")),
        format!("  - {{ file: '{hostile}', config: {{ how: panic }}, models: [trapped] }}\n"),
        bound(&component(&shop, "webhook"), "[hooked]"),
    ];
    let mut house = House::new(&policies.concat(), "first", &[]).await;
    let key = house.gateway.key(&["--retention", "zero", "--tag", "hostile=yes"]);
    house.live_through_it(&key, &TRAPS).await;
    let asked = house.asked(&key).await;
    let found = house.left(asked).await;
    found.has_tried(&[
        (
            "exfil",
            &["admit", "guard", "route", "attempt", "on-error", "guard-response", "stream", "complete"],
        ),
        ("exfil-http", &["admit", "guard", "route", "attempt", "on-error", "guard-response", "complete"]),
        ("exfil-redact", &["redact"]),
        ("exfil-price", &["price"]),
        ("hostile", &["guard"]),
        ("webhook", &["guard"]),
    ]);
    found.is_clean("components");
}

/// The same search, retention off, and something planted where each sink takes it: a sink in which nothing is found is
/// one into which the search cannot see.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_search_sees_into_every_sink() {
    let plants = Mint::default();
    let shop = tempfile::tempdir().unwrap();
    let (alias, declared) = (plants.fresh("a model's name"), plants.fresh("a declared word"));
    let (owner, kept) = (plants.fresh("a key's name"), plants.fresh("a tag"));
    let (organisation, team) = (plants.fresh("an organisation's name"), plants.fresh("a team's name"));
    let policies = [
        bound("exfil.rhai", &watched(&alias)),
        bound("exfil-replies.rhai", &watched(&alias)),
        bound_whole(&component(&shop, "exfil-http"), &watched(&alias)),
    ];
    let mut house = House::new(&policies.concat(), &alias, &scripts(&declared)).await;
    let acme = house.gateway.print(&["organisation", "create", &organisation]).trim().to_owned();
    house.gateway.print(&["team", "create", &team, "--organisation", &acme]);
    let key = house.gateway.print(&["key", "create", &owner, "-q"]).trim().to_owned();
    let body = json!({ "model": alias, "messages": [{ "role": "user", "content": declared }] });
    for tags in ["how=pass".to_owned(), format!("how=pass,plant={kept}")] {
        let reply = house.ask(&key, "/v1/chat/completions", &body, &tags).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
    }
    let asked = house.asked(&key).await;
    let found = house.left(asked).await;
    let search = plants.search();
    let hits: Vec<Hit> = found.sinks.iter().flat_map(|(sink, bytes)| search.hits(sink, bytes)).collect();
    for (sink, place) in [
        ("stdout.1", "a declared word"),
        ("stdout.1", "a model's name"),
        ("stderr.1", "a model's name"),
        ("metrics", "a declared word"),
        ("explain", "a declared word"),
        ("admin keys", "a key's name"),
        ("admin organisations", "an organisation's name"),
        ("admin teams", "a team's name"),
        ("data/ledger.sqlite3", "a key's name"),
        ("live ledger.sqlite3-wal", "a key's name"),
        ("data/policies", "a declared word"),
        ("OTLP traces", "a model's name"),
        ("OTLP metrics", "a model's name"),
        ("OTLP metrics", "a declared word"),
        ("OTLP logs", "a model's name"),
        ("http", "a declared word"),
        ("http of plugins", "a declared word"),
        ("kv", "a tag"),
    ] {
        // Of two sinks with one beginning each is looked into for itself.
        let named = |hit: &&Hit| if sink == "http" { hit.sink == sink } else { hit.sink.contains(sink) };
        let seen = hits.iter().filter(named).any(|hit| hit.place == place);
        let all: Vec<_> = hits.iter().map(|hit| (&hit.sink, &hit.place)).collect();
        assert!(seen, "the search is blind in {sink}: {place} is not found among {all:?}");
    }
    // With retention off a policy's calls may carry content: the exchange's own canaries are found there.
    for sink in ["http", "http of plugins"] {
        assert!(found.hits().iter().any(|hit| hit.sink == sink), "content went to the alias: {sink}");
    }
}

/// What the kernel would do with a core.
fn core_pattern() -> String {
    std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default().trim().to_owned()
}

/// A gateway that is killed by SIGABRT with content in its memory; the cores in its folder, and the content.
async fn aborted(privacy: &str) -> (Gateway, Vec<PathBuf>, Mint) {
    let mint = Mint::default();
    let provider = Upstream::start(|_| weir_tests::Act::new().hang()).await;
    let setup = Setup::new(format!(
        "providers: {{ one: {{ base_url: 'http://{}/v1', keys: [sk-1], retention: zero }} }}\nmodels: {{ ok: {{ targets: [one/ok] }} }}\n{privacy}\n",
        provider.address
    ));
    let mut gateway = setup.cores().start().await;
    let key = gateway.key(&["--retention", "zero"]);
    let mut client = gateway.client().await;
    let body = traffic::request(&mint, "/v1/chat/completions", "ok", false);
    client.chat(&key, &body, &[]).await.unwrap();
    let _ = provider.call(0).await;
    gateway.signal("-ABRT");
    let status = gateway.ended().await;
    assert!(!status.success());
    let cores = files(gateway.folder())
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core")));
    let cores = cores.collect();
    (gateway, cores, mint)
}

#[tokio::test]
async fn a_crash_leaves_no_core() {
    let (_gateway, cores, _) = aborted("").await;
    assert_eq!(cores, Vec::<PathBuf>::new());
}

/// The control: where the operator allows cores, there is one, and content is in it. So the test above looks where one
/// would lie.
#[tokio::test]
async fn a_core_that_is_allowed_is_found_with_content_in_it() {
    let pattern = core_pattern();
    if pattern.starts_with(['|', '/']) {
        println!(
            "SKIPPED, LOUDLY: core_pattern is `{pattern}`, so cores do not lie in the folder of the process"
        );
        return;
    }
    let (_gateway, cores, mint) = aborted("privacy: { core_dumps: true }").await;
    assert_eq!(cores.len(), 1, "a core with core_pattern `{pattern}`");
    assert!(mint.search().sees(&cores[0]), "memory holds the request that is under way");
}

const NOTES: &str = r#"//! name: notes
//! version: 1.0.0
//! hooks: [admit]
//! capabilities: [kv]

fn admit(head, config) {
    let note = head.tag("note");
    if note != () { kv_put("tenant", "note", note); return allow(); }
    let entry = kv_get("tenant", "note");
    deny(418, "note", if entry == () { "nothing" } else { entry.value })
}
"#;

/// Nothing of one organisation is visible to another: not a cached reply, not what policies keep, not its models, not
/// what it spent.
#[tokio::test]
async fn nothing_of_one_organisation_is_visible_to_another() {
    let provider = Upstream::saying("shared words").await;
    let gateway = Setup::new(format!(
        "providers: {{ one: {{ base_url: 'http://{}/v1', keys: [sk-1] }} }}
models:
  m: {{ targets: [one/m1], cache: {{ ttl: 60s }} }}
  secret: {{ targets: [one/m2] }}
  noted: {{ targets: [one/m3] }}
policies: [{{ file: n.rhai, grants: [kv], models: [noted] }}]
",
        provider.address
    ))
    .file("n.rhai", NOTES)
    .start()
    .await;
    let tenant = |name: &str, more: &[&str]| {
        let organisation = gateway.print(&["organisation", "create", name]).trim().to_owned();
        let team =
            gateway.print(&["team", "create", "all", "--organisation", &organisation]).trim().to_owned();
        let mut args = vec!["--team", team.as_str()];
        args.extend_from_slice(more);
        gateway.key(&args)
    };
    let (a, b) = (tenant("a", &[]), tenant("b", &["--model", "m", "--model", "noted"]));
    let ask = json!({ "model": "m", "messages": [{ "role": "user", "content": "the same words" }] });
    let cache = |reply: Reply| reply.get("x-weir-cache").map(str::to_owned);
    assert_eq!(cache(gateway.chat(&a, &ask).await).as_deref(), Some("miss"));
    assert_eq!(cache(gateway.chat(&a, &ask).await).as_deref(), Some("hit"), "its own");
    assert_eq!(cache(gateway.chat(&b, &ask).await).as_deref(), Some("miss"), "never another's");
    assert_eq!(provider.count(), 2, "b's request went to the provider");
    assert_eq!(cache(gateway.chat(&b, &ask).await).as_deref(), Some("hit"), "its own");

    let note = json!({ "model": "noted", "messages": [{ "role": "user", "content": "x" }] });
    assert_eq!(gateway.chat_with(&a, &note, &[("x-weir-tags", "note=of-a")]).await.status(), 200);
    let seen = async |key: &str| gateway.chat(key, &note).await.text();
    assert!(seen(&a).await.contains("of-a"));
    assert!(seen(&b).await.contains("nothing") && !seen(&b).await.contains("of-a"));

    let models = async |key: &str| {
        let mut client = gateway.client().await;
        let bearer = format!("Bearer {key}");
        client.send("GET", "/v1/models", &[("Authorization", &bearer)], b"").await.unwrap();
        client.reply().await.unwrap().text()
    };
    assert!(models(&a).await.contains("secret") && !models(&b).await.contains("secret"));
    let secret = json!({ "model": "secret", "messages": ask["messages"] });
    assert_eq!(gateway.chat(&b, &secret).await.refused(404), "model_not_found");
    // Explanations and usage are the operator's; callers have no way to them, whoever's they are.
    for path in ["/admin/v1/explain/req_1", "/admin/v1/keys", "/v1/usage"] {
        for key in [&a, &b] {
            let mut client = gateway.client().await;
            let bearer = format!("Bearer {key}");
            client.send("GET", path, &[("Authorization", &bearer)], b"").await.unwrap();
            assert_eq!(client.reply().await.unwrap().status(), 404, "{path}");
            let mut admin = Client::connect(gateway.admin).await.unwrap();
            admin.send("GET", path, &[("Authorization", &bearer)], b"").await.unwrap();
            assert!(matches!(admin.reply().await.unwrap().status(), 401 | 404), "{path}");
        }
    }
    let refused = gateway.chat_with(&b, &ask, &[("x-weir-explain", "true")]).await;
    assert_eq!(refused.refused(403), "header_not_allowed");
    gateway.ledger_check();
}
