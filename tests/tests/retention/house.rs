//! A gateway with everything around it, and the requests that it lives through.

use super::found::{Found, files};
use super::ways::{CUT, End, FARES, NOTHING, OTHERS, TRAPS, WAYS, Way, once, own};
use serde_json::{Value, json};
use weir_tests::collector::SIGNALS;
use weir_tests::traffic::{self, SURFACES};
use weir_tests::{Client, Collector, Dialect, Gateway, Mint, Reply, Setup, Upstream, soon, until};

/// A gateway with everything around it that content could reach.
pub(crate) struct House {
    mint: Mint,
    pub(crate) gateway: Gateway,
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
pub(crate) fn watched(first: &str) -> String {
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
    pub(crate) async fn new(policies: &str, first: &str, files: &[(&str, String)]) -> Self {
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
    pub(crate) async fn ask(&mut self, key: &str, path: &str, body: &Value, tags: &str) -> Reply {
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
    pub(crate) async fn live_through_it(&mut self, key: &str, traps: &[Way]) {
        for (at, surface @ (path, stream)) in SURFACES.into_iter().enumerate() {
            for way in WAYS.iter().chain(traps) {
                // A target that has failed too often would be passed over: each surface has one of its own.
                let model = if way.model == "flaky" { &format!("flaky-{at}") } else { way.model };
                self.fare(key, surface, model, *way).await;
            }
            for fare in FARES {
                for dialect in OTHERS {
                    let model = format!("{}-{fare}", dialect.name());
                    self.fare(key, surface, &model, once(dialect, fare)).await;
                }
                let model = format!("bare-{}-{fare}", own(path).name());
                self.fare(key, surface, &model, once(own(path), fare)).await;
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
    pub(crate) async fn asked(&mut self, key: &str) -> Vec<(String, Vec<u8>)> {
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
    pub(crate) async fn left(mut self, mut sinks: Vec<(String, Vec<u8>)>) -> Found {
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
