//! Zero data retention, proved from outside: canaries go into every field that can carry content, through success,
//! failure, timeout, abort, retry, fallback, reload and policies that try to carry them out; then every sink is searched
//! for them in every form. The same search with retention off must find what is planted in each sink, or it is blind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "how much was searched, and what was skipped, is for people to read")]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use weir_tests::canary::Hit;
use weir_tests::collector::SIGNALS;
use weir_tests::traffic::{self, SURFACES};
use weir_tests::{Client, Collector, Dialect, Gateway, Mint, Reply, Search, Setup, Upstream, soon, until};

const EXFIL: &str = include_str!("../policies/exfil.rhai");
const REPLIES: &str = include_str!("../policies/exfil-replies.rhai");
const REDACT: &str = include_str!("../policies/exfil-redact.rhai");
const PRICE: &str = include_str!("../policies/exfil-price.rhai");

/// How a provider fares, and how a policy answers; what becomes of it whole, and streamed.
const WAYS: [Way; 14] = [
    way("ok", "pass", [(200, "ok", 1); 2]),
    way("odd", "pass", [(200, "ok", 1); 2]),
    way("echo", "pass", [(400, "failed", 1); 2]),
    way("flaky", "pass", [(200, "ok", 3); 2]),
    way("boom", "pass", [(500, "failed", 2); 2]),
    way("hang", "pass", [(504, "failed", 1); 2]),
    way("cut", "pass", [(502, "failed", 1), (CUT, "upstream-cut", 1)]),
    way("garbage", "pass", [(502, "failed", 1); 2]),
    way("said", "pass", [(400, "failed", 1), (502, "failed", 1)]),
    way("loose", "pass", [(403, NOTHING, 0); 2]),
    way("ok", "block", [(451, "refused", 0); 2]),
    way("ok", "answer", [(200, "ok", 0); 2]),
    way("ok", "panic", [(503, "refused", 0); 2]),
    way("ok", "skip", [(503, "failed", 0); 2]),
];

/// What plugins do to a request of their own models.
const TRAPS: [Way; 2] =
    [way("trapped", "pass", [(503, "refused", 0); 2]), way("hooked", "pass", [(200, "ok", 0); 2])];

/// The status of a stream that is cut: 502 if no guard has let anything pass by then, else 200.
const CUT: u16 = 0;
/// Of what may be asked of nobody nothing is posted.
const NOTHING: &str = "";

/// What a provider of any dialect may do.
const FARES: [&str; 7] = ["ok", "odd", "echo", "boom", "cut", "garbage", "said"];

/// Dialects beside chat.
const OTHERS: [Dialect; 3] = [Dialect::Responses, Dialect::Anthropic, Dialect::Gemini];

/// One thing that can happen to a request.
#[derive(Clone, Copy)]
struct Way {
    model: &'static str,
    /// How a policy answers.
    how: &'static str,
    /// Status, the ledger's word and attempts: whole, and streamed.
    ends: [End; 2],
}

type End = (u16, &'static str, i64);

const fn way(model: &'static str, how: &'static str, ends: [End; 2]) -> Way {
    Way { model, how, ends }
}

/// What becomes of a request to a provider of a dialect that is asked but once.
fn once(dialect: Dialect, bare: bool, fare: &str) -> Way {
    let known = WAYS.iter().find(|way| way.model == fare && way.how == "pass").expect("a way");
    let [whole, streamed] = known.ends.map(|(status, outcome, _)| (status, outcome, 1));
    let streamed = match (dialect, fare) {
        // Chunks of a chat pass as they come where nobody watches.
        (Dialect::Chat, "garbage") if bare => (CUT, "upstream-cut", 1),
        // Google's error says which status it would have had.
        (Dialect::Gemini, "said") => (400, "failed", 1),
        _ => streamed,
    };
    Way { ends: [whole, streamed], ..*known }
}

/// The dialect of an API's callers.
fn own(path: &str) -> Dialect {
    match path {
        "/v1/responses" => Dialect::Responses,
        "/v1/messages" => Dialect::Anthropic,
        _ => Dialect::Chat,
    }
}

/// A gateway with everything around it that content could reach.
struct House {
    mint: Mint,
    gateway: Gateway,
    collector: Collector,
    /// Where policies may call, on looser terms.
    sink: Upstream,
    /// A provider on looser terms.
    loose: Upstream,
    /// Where plugins may call, on looser terms.
    other: Upstream,
    providers: [Upstream; 3],
    /// Request ids that the gateway gave.
    ids: Vec<String>,
    /// What was asked under an id, and how it was to end.
    expected: Vec<(String, String, End)>,
}

/// Every way of a provider in every dialect: one model each, watched by all policies, and one whose replies nobody watches,
/// so that the provider's own bytes pass.
fn native_models(address: std::net::SocketAddr, timeouts: &str) -> [String; 2] {
    let (mut providers, mut models) = (String::new(), String::new());
    for at in 0..SURFACES.len() {
        models += &format!("  flaky-{at}: {{ targets: [one/boom-{at}, two/ok], retries: 1 }}\n");
    }
    for dialect in Dialect::ALL.map(Dialect::name) {
        let base = format!("base_url: 'http://{address}/v1', dialect: {dialect}");
        providers += &format!("  at-{dialect}: {{ {base}, keys: [sk-4], retention: zero, {timeouts} }}\n");
        for fare in FARES.into_iter().chain(["slow"]) {
            for name in ["", "bare-"] {
                models += &format!(
                    "  {name}{dialect}-{fare}: {{ targets: [at-{dialect}/{fare}], retries: 0, cache: {{ ttl: 60s }} }}\n"
                );
            }
        }
    }
    [providers, models]
}

/// The models that every policy watches, as a list in YAML.
fn watched(first: &str) -> String {
    let ways = WAYS.iter().chain(&TRAPS).map(|way| way.model.to_owned());
    let mut names: Vec<String> = ways.filter(|name| name != "flaky").collect();
    names.extend((0..SURFACES.len()).map(|at| format!("flaky-{at}")));
    names.extend([first.to_owned(), "slow".to_owned()]);
    let dialects = Dialect::ALL.map(Dialect::name).into_iter();
    names.extend(dialects.flat_map(|name| FARES.map(|fare| format!("{name}-{fare}"))));
    names.sort();
    names.dedup();
    format!("[{}]", names.join(", "))
}

impl House {
    async fn new(policies: &str, first: &str, files: &[(&str, String)]) -> Self {
        let (mint, collector) = (Mint::default(), Collector::start().await);
        let provider = || {
            let mint = mint.clone();
            Upstream::start(move |call| traffic::provider(&mint, call))
        };
        let (one, two, loose) = (provider().await, provider().await, Upstream::saying("loose").await);
        let native = provider().await;
        let thanks = || Upstream::start(|_| weir_tests::Act::says("thanks"));
        let (sink, other) = (thanks().await, thanks().await);
        // Only who is to be too late is hurried: a slow machine must not make the others so.
        let timeouts = "timeouts: { connect: 10s, first_byte: 15s, idle: 15s, total: 20s }";
        // Where nothing has a price no pricer is asked.
        let prices = "prices: { input: 1, output: 10 }";
        let hurried = "timeouts: { connect: 2s, first_byte: 400ms, idle: 400ms, total: 5s }";
        let [native_providers, native_models] = native_models(native.address, timeouts);
        let mut setup = Setup::new(format!(
            "providers:
  one: {{ base_url: 'http://{}/v1', keys: [sk-1], retention: zero, propagate: true, {timeouts} }}
  mute: {{ base_url: 'http://{}/v1', keys: [sk-1], retention: zero, {hurried} }}
  two: {{ base_url: 'http://{}/v1', keys: [sk-2], retention: zero, {timeouts} }}
  loose: {{ base_url: 'http://{}/v1', keys: [sk-3], retention: days-30, trains: false }}
{native_providers}models:
  {first}: {{ targets: [one/ok] }}
  ok: {{ targets: [{{ target: one/ok, {prices} }}, two/ok], cache: {{ ttl: 60s }} }}
  odd: {{ targets: [{{ target: one/odd, {prices} }}, loose/x] }}
  echo: {{ targets: [one/echo] }}
  boom: {{ targets: [one/boom, loose/x], retries: 1 }}
  hang: {{ targets: [mute/hang], retries: 0 }}
  cut: {{ targets: [one/cut], retries: 0 }}
  garbage: {{ targets: [one/garbage], retries: 0 }}
  said: {{ targets: [one/said], retries: 0 }}
  slow: {{ targets: [one/slow] }}
  loose: {{ targets: [loose/x] }}
  trapped: {{ targets: [one/ok] }}
  hooked: {{ targets: [one/ok] }}
{native_models}http: {{ sink: {{ base_url: 'http://{}', allow_private: true, propagate: true }}, moderation: {{ base_url: 'http://{}', allow_private: true }}, other: {{ base_url: 'http://{}', allow_private: true }} }}
telemetry: {{ log: {{ level: trace, access: true }}, otlp: {{ endpoint: '{}', logs: true, interval: 1s }} }}
policies:
{policies}
",
            one.address, one.address, two.address, loose.address, sink.address, sink.address, other.address, collector.endpoint()
        ))
        .env("RUST_LOG", "trace")
        .own_temporary()
        .arg("--new-key");
        for (name, text) in files {
            setup = setup.file(name, text.clone());
        }
        let gateway = setup.start().await;
        let (ids, expected) = (Vec::new(), Vec::new());
        Self { mint, gateway, collector, sink, other, loose, providers: [one, two, native], ids, expected }
    }

    /// One request with canaries in its body, its headers and its address.
    async fn ask(&mut self, key: &str, path: &str, body: &Value, tags: &str) -> Reply {
        let mut client = self.gateway.client().await;
        self.send(&mut client, key, path, body, tags).await;
        let head = soon("a head", client.head()).await.expect("a head");
        self.ids.extend(head.get("x-weir-request-id").map(str::to_owned));
        // A stream that is cut on the way ends in an error of the connection.
        let body = soon("a body", client.rest()).await.unwrap_or_default();
        Reply { head, body }
    }

    async fn send(&self, client: &mut Client, key: &str, path: &str, body: &Value, tags: &str) {
        let bearer = format!("Bearer {key}");
        let new = |place: &str| self.mint.fresh(place);
        let (own, session, agent, cookie) =
            (new("a header"), new("x-session-id"), new("user-agent"), new("a cookie"));
        let address = format!("{path}?note={}&beta=true", new("the query"));
        let (baggage, state) = (format!("k={}", new("baggage")), format!("v={}", new("tracestate")));
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("anthropic-version", "2023-06-01"),
            ("x-canary", &own),
            ("x-session-id", &session),
            ("User-Agent", &agent),
            ("Cookie", &cookie),
            ("baggage", &baggage),
            ("tracestate", &state),
            ("x-weir-tags", tags),
            ("x-weir-cache", "on"),
        ];
        client.send("POST", &address, &headers, body.to_string().as_bytes()).await.unwrap();
    }

    /// Everything that can happen to a request, in every API, whole and streamed.
    async fn live_through_it(&mut self, key: &str, traps: &[Way]) {
        for (at, surface @ (path, stream)) in SURFACES.into_iter().enumerate() {
            for way in WAYS.iter().chain(traps) {
                // A target that has failed too often would be passed over: each surface has one of its own.
                let model = if way.model == "flaky" { &format!("flaky-{at}") } else { way.model };
                self.fare(key, surface, model, *way).await;
            }
            for fare in FARES {
                for dialect in OTHERS {
                    let model = format!("{}-{fare}", dialect.name());
                    self.fare(key, surface, &model, once(dialect, false, fare)).await;
                }
                let model = format!("bare-{}-{fare}", own(path).name());
                self.fare(key, surface, &model, once(own(path), true, fare)).await;
            }
            self.be_refused(key, path).await;
            for model in ["slow", &format!("bare-{}-slow", own(path).name())] {
                self.leave(key, path, model, stream).await;
            }
            self.reload();
        }
        self.all_came_as_expected();
        assert!(self.mint.count() >= 300, "only {} canaries", self.mint.count());
    }

    /// One request that must end as it is meant to: what is proved of what never happened is nothing.
    async fn fare(&mut self, key: &str, (path, stream): (&str, bool), model: &str, way: Way) {
        let body = traffic::request(&self.mint, path, model, stream);
        let reply = self.ask(key, path, &body, &format!("how={}", way.how)).await;
        let what = format!("{path} {stream} {model} {}", way.how);
        let end = way.ends[usize::from(stream)];
        match (end.0, path) {
            (CUT, _) => assert!(matches!(reply.status(), 200 | 502), "{what}: {reply:?}"),
            (503, "/v1/messages") => assert_eq!(reply.status(), 529, "{what}: {reply:?}"),
            (status, _) => assert_eq!(reply.status(), status, "{what}: {reply:?}"),
        }
        // Whatever the caller asks of the cache.
        let cache = (reply.status() == 200).then_some("bypass");
        assert_eq!(reply.get("x-weir-cache"), cache, "{what}");
        self.expected.push((reply.id().to_owned(), what, end));
    }

    fn all_came_as_expected(&self) {
        let postings = self.gateway.postings();
        for (id, what, (_, outcome, attempts)) in &self.expected {
            let posted = postings.iter().find(|posting| posting.exchange == *id);
            let ended = posted.map_or((NOTHING, 0), |posting| (posting.outcome, posting.attempts));
            assert_eq!(ended, (*outcome, *attempts), "{what}");
        }
    }

    /// Requests that never reach a provider, for reasons that stand next to content.
    async fn be_refused(&mut self, key: &str, path: &str) {
        let new = |place: &str| self.mint.fresh(place);
        let mut bodies = vec![
            json!({ "model": new("the model"), "max_tokens": 5, "messages": [{ "role": new("a role"), "content": "x" }], "input": "x" }),
            json!({ "model": "ok", "max_tokens": new("max_tokens"), "max_output_tokens": new("max_output_tokens"), "messages": new("messages"), "input": 7 }),
            json!({ "model": "ok", "max_tokens": 5, "store": true, "messages": [{ "role": "user", "content": new("a stored prompt") }], "input": new("a stored prompt") }),
        ];
        let unknown = new("an unknown model");
        bodies.push(json!({ "model": unknown, "max_tokens": 5, "messages": [{ "role": "user", "content": "x" }], "input": "x" }));
        for body in bodies {
            let refused = self.ask(key, path, &body, "how=pass").await;
            assert!((400..500).contains(&refused.status()), "{refused:?}");
        }
        let mut client = self.gateway.client().await;
        let broken =
            format!("{{\"model\":\"ok\",\"messages\":[{{\"{}\" oops", self.mint.fresh("a broken body"));
        let address = format!("/v1/{}", self.mint.fresh("an unknown path"));
        for (to, body) in [(path, broken.as_str()), (&address, "{}")] {
            let bearer = format!("Bearer {key}");
            client.send("POST", to, &[("Authorization", &bearer)], body.as_bytes()).await.unwrap();
            let refused = soon("a refusal", client.reply()).await.unwrap();
            assert!((400..500).contains(&refused.status()), "{refused:?}");
        }
        let wrong = format!("Bearer weir_sk_{}", self.mint.fresh("a wrong key"));
        let mut client = self.gateway.client().await;
        client.send("POST", path, &[("Authorization", &wrong)], b"{}").await.unwrap();
        assert_eq!(soon("a refusal", client.reply()).await.unwrap().status(), 401);
    }

    /// A caller that goes away while the model speaks.
    async fn leave(&mut self, key: &str, path: &str, model: &str, stream: bool) {
        let body = traffic::request(&self.mint, path, model, stream);
        let provider = &self.providers[if model == "slow" { 0 } else { 2 }];
        let (before, calls) = (self.gateway.postings().len(), provider.count());
        let mut client = self.gateway.client().await;
        self.send(&mut client, key, path, &body, "how=pass").await;
        let _ = provider.call(calls).await;
        drop(client);
        let posted = until("the gateway settles", || self.gateway.postings().get(before).cloned()).await;
        assert_eq!((posted.outcome, posted.attempts), ("client-abort", 1), "{path} {stream} {model}");
    }

    fn reload(&self) {
        self.gateway.print(&["reload"]);
    }

    async fn admin(&self, path: &str) -> Vec<u8> {
        let token = std::fs::read_to_string(self.gateway.data().join("admin.token")).unwrap();
        let mut client = Client::connect(self.gateway.admin).await.unwrap();
        let bearer = format!("Bearer {}", token.trim());
        client.send("GET", path, &[("Authorization", &bearer)], b"").await.unwrap();
        client.reply().await.unwrap().body
    }

    /// What can be asked of the gateway while it runs: metrics, every GET of the admin API, every explanation, and what
    /// policies have kept.
    async fn asked(&mut self, key: &str) -> Vec<(String, Vec<u8>)> {
        let mut sinks = vec![("metrics".to_owned(), self.gateway.get_admin("/metrics").await.body)];
        for path in [
            "version",
            "policies",
            "policies/exfil",
            "policies/exfil-replies",
            "providers",
            "organisations",
            "teams",
            "keys",
        ] {
            sinks.push((format!("admin {path}"), self.admin(&format!("/admin/v1/{path}")).await));
        }
        for id in &self.ids {
            sinks.push(("explain".to_owned(), self.admin(&format!("/admin/v1/explain/{id}")).await));
        }
        let body = json!({ "model": "ok", "messages": [{ "role": "user", "content": "x" }] });
        let read = self.gateway.chat_with(key, &body, &[("x-weir-tags", "how=read")]).await;
        assert_eq!(read.status(), 418, "{read:?}");
        sinks.push(("kv".to_owned(), read.body));
        // A graceful stop takes the database's log over and removes it: what stands there is seen only while it runs.
        for path in files(&self.gateway.data()) {
            let name = path.strip_prefix(self.gateway.data()).unwrap().display().to_string();
            sinks.push((format!("live {name}"), std::fs::read(&path).unwrap_or_default()));
        }
        sinks
    }

    /// Stops the gateway and gathers what it leaves: files, output, what others were sent.
    async fn left(mut self, mut sinks: Vec<(String, Vec<u8>)>) -> Found {
        self.gateway.stop().await;
        for path in files(self.gateway.folder()) {
            let name = path.strip_prefix(self.gateway.folder()).unwrap().display().to_string();
            sinks.push((name, std::fs::read(&path).unwrap()));
        }
        for (name, called) in [("http", &self.sink), ("http of plugins", &self.other)] {
            let calls = called.calls().into_iter().map(|call| (call.raw.into_bytes(), call.body));
            sinks.push((name.to_owned(), calls.flat_map(|(head, body)| [head, body].concat()).collect()));
        }
        for signal in SIGNALS {
            sinks.push((format!("OTLP {signal}"), self.collector.bytes(signal)));
        }
        assert!(
            !self.collector.spans().is_empty() && !self.collector.records().is_empty(),
            "they came and were read"
        );
        Found { search: self.mint.search(), sinks, loose: self.loose.count() }
    }
}

/// All that was gathered.
struct Found {
    search: Search,
    sinks: Vec<(String, Vec<u8>)>,
    loose: usize,
}

impl Found {
    fn hits(&self) -> Vec<Hit> {
        self.sinks.iter().flat_map(|(sink, bytes)| self.search.hits(sink, bytes)).collect()
    }

    /// Each of these policies was asked in each of its hooks.
    fn has_tried(&self, policies: &[(&str, &[&str])]) {
        let metrics = self.sinks.iter().find(|(sink, _)| sink == "metrics").map(|(_, bytes)| bytes).unwrap();
        let metrics = String::from_utf8_lossy(metrics);
        for (policy, hook) in
            policies.iter().flat_map(|(policy, hooks)| hooks.iter().map(move |h| (policy, h)))
        {
            let counted =
                format!("weir_policy_call_duration_seconds_count{{hook=\"{hook}\",policy=\"{policy}\"}}");
            assert!(metrics.contains(&counted), "{policy} was never asked in {hook}");
        }
    }

    fn is_clean(&self, what: &str) {
        let bytes: usize = self.sinks.iter().map(|(_, bytes)| bytes.len()).sum();
        println!(
            "{what}: {} sinks, {bytes} bytes searched for {} canaries",
            self.sinks.len(),
            self.search.count()
        );
        for needed in [
            "data/ledger.sqlite3",
            "live ledger.sqlite3-wal",
            "stdout.1",
            "stderr.1",
            "OTLP traces",
            "OTLP metrics",
            "OTLP logs",
            "metrics",
            "explain",
            "kv",
        ] {
            assert!(self.sinks.iter().any(|(sink, _)| sink.contains(needed)), "{needed} was not searched");
        }
        // They did try: what they said stands there, without its words.
        for tried in ["stdout.1", "metrics", "explain"] {
            let said = |(sink, bytes): &(String, Vec<u8>)| {
                sink.contains(tried) && bytes.windows(10).any(|ten| ten == b"undeclared")
            };
            assert!(self.sinks.iter().any(said), "{what}: no policy tried to write to {tried}");
        }
        let hits: Vec<String> = self.hits().iter().map(ToString::to_string).collect();
        assert!(hits.is_empty(), "{what}: content has leaked:\n{}", hits.join("\n"));
        assert_eq!(self.loose, 0, "{what}: a provider on looser terms was asked");
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

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
