//! Who may have content: wishes of organisation, team, key and request, and that no plan, fallback, retry or recovery
//! leads past them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::traffic::SURFACES;
use weir_tests::{Act, Answer, Dialect, Gateway, Reply, Setup, Upstream, reply};

/// Names and values.
type Headers<'a> = &'a [(&'a str, &'a str)];

fn ask(model: &str) -> Value {
    json!({ "model": model, "max_tokens": 20, "messages": [{ "role": "user", "content": "hi" }] })
}

fn with(model: &str, more: Value) -> Value {
    let mut body = ask(model);
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Four providers: each differs from the strictest in one thing.
struct House {
    strict: Upstream,
    keeps: Upstream,
    trains: Upstream,
    far: Upstream,
    gateway: Gateway,
}

impl House {
    async fn new(more: &str, policy: Option<&str>) -> Self {
        let (strict, keeps) = (Upstream::saying("strict").await, Upstream::saying("keeps").await);
        let (trains, far) = (Upstream::saying("trains").await, Upstream::saying("far").await);
        let at = |upstream: &Upstream| format!("base_url: 'http://{}/v1', keys: [sk-x]", upstream.address);
        let mut setup = Setup::new(format!(
            "providers:
  strict: {{ {}, retention: zero, region: eu-west-1 }}
  keeps: {{ {}, retention: days-30, trains: false, region: eu-west-1 }}
  trains: {{ {}, retention: days-30, trains: true, region: eu-west-1 }}
  far: {{ {}, retention: zero, region: us-east-1 }}
  nowhere: {{ {} }}
models:
  all: {{ targets: [trains/t, keeps/k, far/f, strict/s], retries: 0 }}
  loose: {{ targets: [trains/t, nowhere/n], retries: 0 }}
  abroad: {{ targets: [far/f], retries: 0 }}
{more}
",
            at(&strict),
            at(&keeps),
            at(&trains),
            at(&far),
            at(&trains)
        ));
        if let Some(policy) = policy {
            setup = setup.file("p.rhai", policy).also("policies: [{ file: p.rhai, grants: [targets] }]");
        }
        let gateway = setup.start().await;
        Self { strict, keeps, trains, far, gateway }
    }

    fn counts(&self) -> [usize; 4] {
        [self.strict.count(), self.keeps.count(), self.trains.count(), self.far.count()]
    }

    async fn post(&self, key: &str, path: &str, body: &Value, headers: &[(&str, &str)]) -> Reply {
        let mut client = self.gateway.client().await;
        let bearer = format!("Bearer {key}");
        let mut all = vec![("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        all.extend_from_slice(headers);
        client.send("POST", path, &all, body.to_string().as_bytes()).await.unwrap();
        client.reply().await.unwrap()
    }

    async fn models(&self, key: &str, headers: &[(&str, &str)]) -> Vec<String> {
        let listed = self.get(key, "/v1/models", headers).await.json();
        listed["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["id"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn get(&self, key: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut client = self.gateway.client().await;
        let bearer = format!("Bearer {key}");
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        client.send("GET", path, &all, b"").await.unwrap();
        client.reply().await.unwrap()
    }
}

#[tokio::test]
async fn every_wish_leads_past_who_does_not_fit() {
    let house = House::new("", None).await;
    let any = house.gateway.key(&[]);
    let none: Headers<'_> = &[];
    let cases: [(Headers<'_>, Value, &str); 7] = [
        (none, json!({}), "trains"),
        (&[("x-weir-training", "deny")], json!({}), "keeps"),
        (none, json!({ "provider": { "data_collection": "deny" } }), "keeps"),
        (&[("x-weir-retention", "zero")], json!({}), "far"),
        (none, json!({ "provider": { "zdr": true } }), "far"),
        (&[("x-weir-retention", "zero"), ("x-weir-region", "EU")], json!({}), "strict"),
        (&[("x-weir-region", "us,ap")], json!({}), "far"),
    ];
    for (headers, more, who) in cases {
        let reply = house.gateway.chat_with(&any, &with("all", more.clone()), headers).await;
        assert_eq!(reply.answer(), who, "{headers:?} {more}: {reply:?}");
    }
    // The wish was to us: no provider is shown it.
    for call in house.far.calls().iter().chain(&house.keeps.calls()) {
        assert_eq!(call.json()["provider"], Value::Null, "{:?}", call.json());
    }
}

#[tokio::test]
async fn organisation_team_key_and_request_hold_together() {
    let house = House::new("", None).await;
    let gateway = &house.gateway;
    let organisation =
        gateway.print(&["organisation", "create", "acme", "--region", "eu,us"]).trim().to_owned();
    let args = ["team", "create", "research", "--organisation", &organisation, "--no-training"];
    let team = gateway.print(&args).trim().to_owned();
    let plain = gateway.key(&["--team", &team]);
    assert_eq!(
        gateway.chat(&plain, &ask("all")).await.answer(),
        "keeps",
        "in eu or us, and trains on nothing"
    );
    let zero = gateway.key(&["--team", &team, "--retention", "zero"]);
    assert_eq!(gateway.chat(&zero, &ask("all")).await.answer(), "far");
    let near = gateway.key(&["--team", &team, "--retention", "zero", "--region", "eu"]);
    assert_eq!(gateway.chat(&near, &ask("all")).await.answer(), "strict");
    let before = house.counts();
    // A request only tightens.
    let loose = with("loose", json!({ "provider": { "zdr": false, "data_collection": "allow" } }));
    let headers =
        [("x-weir-retention", "unknown"), ("x-weir-training", "allow"), ("x-weir-region", "us,eu,ap")];
    let reply = gateway.chat_with(&near, &loose, &headers).await;
    assert_eq!(reply.refused(403), "zdr_no_eligible_endpoint");
    let reply = gateway.chat_with(&near, &ask("all"), &[("x-weir-region", "us")]).await;
    assert_eq!(reply.refused(403), "no_eligible_region", "eu and us: nowhere");
    assert_eq!(house.counts(), before, "nothing was sent");
    let listed = gateway.print(&["key", "list"]);
    assert!(listed.contains("eu,us+eu"), "{listed}");
    gateway.ledger_check();
}

#[tokio::test]
async fn nobody_eligible_is_said_in_each_callers_words_and_nothing_is_sent() {
    let house = House::new("", None).await;
    let zero = house.gateway.key(&["--retention", "zero"]);
    let chat = house.post(&zero, "/v1/chat/completions", &ask("loose"), &[]).await;
    assert_eq!(chat.refused(403), "zdr_no_eligible_endpoint");
    let input = json!({ "model": "loose", "input": "hi" });
    let responses = house.post(&zero, "/v1/responses", &input, &[]).await;
    assert_eq!(responses.refused(403), "zdr_no_eligible_endpoint");
    let messages = house.post(&zero, "/v1/messages", &ask("loose"), &[]).await;
    assert_eq!(messages.status(), 403);
    assert_eq!(messages.json()["type"], "error");
    assert_eq!(messages.json()["error"]["type"], "permission_error");
    for api in ["/v1/chat/completions", "/v1/responses", "/v1/messages"] {
        let mut body = ask("loose");
        body["input"] = json!("hi");
        for stream in [false, true] {
            body["stream"] = json!(stream);
            let reply = house.post(&zero, api, &body, &[]).await;
            assert_eq!(
                (reply.status(), reply.get("content-type")),
                (403, Some("application/json")),
                "{api} {stream}"
            );
        }
    }
    let far = house.post(&zero, "/v1/chat/completions", &ask("abroad"), &[("x-weir-region", "eu")]).await;
    assert_eq!(far.refused(403), "no_eligible_region");
    assert_eq!(house.counts(), [0; 4]);
    for (body, field) in [
        (json!({ "provider": { "zdr": "yes" } }), "provider.zdr"),
        (json!({ "provider": { "data_collection": "no" } }), "provider.data_collection"),
    ] {
        let reply = house.gateway.chat(&zero, &with("all", body)).await;
        assert_eq!((reply.status(), &reply.json()["error"]["param"]), (400, &json!(field)), "{reply:?}");
    }
}

#[tokio::test]
async fn a_key_sees_the_models_that_it_may_use() {
    let house = House::new("", None).await;
    let any = house.gateway.key(&[]);
    assert_eq!(house.models(&any, &[]).await, ["abroad", "all", "loose"]);
    assert_eq!(house.models(&any, &[("x-weir-region", "eu")]).await, ["all", "loose"]);
    let near = house.gateway.key(&["--retention", "zero", "--region", "eu"]);
    assert_eq!(house.models(&near, &[]).await, ["all"]);
    for (path, status) in
        [("all", 200), ("loose", 404), ("abroad", 404), ("strict%2Fs", 200), ("trains%2Ft", 404)]
    {
        let reply = house.get(&near, &format!("/v1/models/{path}"), &[]).await;
        assert_eq!(reply.status(), status, "{path}: {reply:?}");
    }
}

/// A policy that plans whoever it likes, and switches to whoever it likes after an error.
const STUBBORN: &str = r#"//! name: stubborn
//! version: 1.0.0
//! hooks: [route, on-error]
//! capabilities: [targets]

fn wanted(head) {
    let tag = head.tag("index");
    let index = 0;
    for word in ["0", "1", "2", "3", "4", "5", "6", "7"] {
        if word == tag { return index; }
        index += 1;
    }
    0
}
fn route(head, targets, config) { plan([step(wanted(head))]).ask_on_error() }
fn on_error(head, errors, targets, config) { switch_to(step(wanted(head))) }
"#;

#[tokio::test]
async fn no_plan_and_no_recovery_leads_to_who_is_not_eligible() {
    let house = House::new("", Some(STUBBORN)).await;
    let (any, near) = (house.gateway.key(&[]), house.gateway.key(&["--retention", "zero", "--region", "eu"]));
    let mut reached = std::collections::BTreeSet::new();
    for index in 0..8 {
        let tag = format!("index={index}");
        reached.insert(house.gateway.chat_with(&any, &ask("all"), &[("x-weir-tags", &tag)]).await.answer());
    }
    assert!(reached.len() > 2, "the policy does get its way where it may: {reached:?}");
    let before = house.counts();
    for index in 0..8 {
        let tag = format!("index={index}");
        let reply = house.gateway.chat_with(&near, &ask("all"), &[("x-weir-tags", &tag)]).await;
        assert_eq!(reply.answer(), "strict", "{index}: {reply:?}");
    }
    let after = house.counts();
    assert_eq!(after[1..], before[1..], "nothing went to anybody else");
    assert!(after[0] >= before[0] + 8);
}

#[tokio::test]
async fn when_all_who_are_eligible_fail_the_others_are_not_asked() {
    let broken = Upstream::start(|_| Act::json(500, &reply::error("server_error", "broken", "no"))).await;
    let keeps = Upstream::saying("keeps").await;
    let gateway = Setup::new(format!(
        "providers:
  broken: {{ base_url: 'http://{}/v1', keys: [sk-b], retention: zero }}
  keeps: {{ base_url: 'http://{}/v1', keys: [sk-k], retention: days-1 }}
models:
  m: {{ targets: [broken/b, keeps/k], retries: 1 }}
policies: [{{ file: p.rhai, grants: [targets] }}]
",
        broken.address, keeps.address
    ))
    .file("p.rhai", STUBBORN)
    .start()
    .await;
    let zero = gateway.key(&["--retention", "zero"]);
    for index in ["0", "1", "2"] {
        let tag = format!("index={index}");
        let reply = gateway.chat_with(&zero, &ask("m"), &[("x-weir-tags", &tag)]).await;
        assert_eq!(reply.status(), 500, "{reply:?}");
    }
    assert!(broken.count() >= 3);
    assert_eq!(keeps.count(), 0);
    gateway.ledger_check();
}

#[tokio::test]
async fn state_files_and_hosted_tools_are_refused_by_field_under_zero_retention() {
    let house = House::new("", None).await;
    let zero = house.gateway.key(&["--retention", "zero"]);
    let base = json!({ "model": "all", "input": "hi" });
    let file = json!([{ "role": "user", "content": [{ "type": "input_file", "file_id": "file-1" }] }]);
    for (more, field) in [
        (json!({ "previous_response_id": "resp_1" }), "previous_response_id"),
        (json!({ "conversation": "conv_1" }), "conversation"),
        (json!({ "background": true }), "background"),
        (json!({ "store": true }), "store"),
        (json!({ "tools": [{ "type": "web_search" }] }), "tools[0]"),
        (
            json!({ "tools": [{ "type": "mcp", "server_label": "x", "server_url": "https://x.example" }] }),
            "tools[0]",
        ),
        (json!({ "input": file }), "input[0].content[0].file_id"),
    ] {
        let mut body = base.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = house.post(&zero, "/v1/responses", &body, &[]).await;
        assert_eq!(reply.refused(400), "zdr_feature_not_covered", "{more}");
        assert_eq!(reply.json()["error"]["param"], field, "{reply:?}");
    }
    let search = with("all", json!({ "web_search_options": {} }));
    assert_eq!(house.gateway.chat(&zero, &search).await.refused(400), "zdr_feature_not_covered");
    assert_eq!(house.gateway.chat(&zero, &with("all", json!({ "store": true }))).await.status(), 400);
    for path in ["/v1/batches", "/v1/files", "/v1/messages/batches"] {
        assert_eq!(house.post(&zero, path, &json!({}), &[]).await.status(), 404, "{path}");
    }
    assert_eq!(house.counts(), [0; 4], "nothing was sent");
    // What is not asked for is forced, whatever the provider's default.
    assert_eq!(house.gateway.chat(&zero, &ask("all")).await.status(), 200);
    assert_eq!(house.far.call(0).await.json()["store"], json!(false));
}

/// A reply is stored at OpenAI unless it is told not to; who has no store may refuse to hear of one.
#[tokio::test]
async fn a_store_is_forbidden_in_every_api_at_every_provider_that_may_have_one() {
    let upstream = Upstream::start(|call| match Dialect::of(call) {
        Dialect::Chat if call.model() == "refuses" && call.json().get("store").is_some() => {
            Act::json(422, &json!({ "detail": [{ "type": "extra_forbidden", "loc": ["body", "store"] }] }))
        }
        _ => Answer::saying("fine").act(call),
    })
    .await;
    let at = format!("base_url: 'http://{}/v1', keys: [k], retention: zero", upstream.address);
    let gateway = Setup::new(format!(
        "providers:
  a: {{ {at}, dialect: openai-chat, vendor: openai }}
  b: {{ {at}, dialect: openai-responses, vendor: openai }}
  c: {{ {at}, dialect: openai-chat }}
  d: {{ {at}, dialect: openai-chat, vendor: mistral }}
  e: {{ {at}, dialect: openai-responses, vendor: xai }}
models:
  m: {{ targets: [a/chat] }}
"
    ))
    .start()
    .await;
    let zero = gateway.key(&["--retention", "zero"]);
    let ask = async |key: &str, path: &str, stream: bool, model: &str| {
        let mut body = json!({ "model": model, "stream": stream });
        body[if path == "/v1/responses" { "input" } else { "messages" }] =
            json!([{ "role": "user", "content": "hi" }]);
        if path == "/v1/messages" {
            body["max_tokens"] = json!(20);
        }
        let bearer = format!("Bearer {key}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let mut client = gateway.client().await;
        client.send("POST", path, &headers, body.to_string().as_bytes()).await.unwrap();
        let reply = client.reply().await.unwrap();
        assert_eq!(reply.status(), 200, "{path} {stream} {model}: {reply:?}");
        upstream.calls().pop().unwrap().json()["store"].clone()
    };
    for (path, stream) in SURFACES {
        for (model, told) in [
            ("a/chat", json!(false)),
            ("b/responses", json!(false)),
            ("c/unknown", json!(false)),
            ("d/refuses", Value::Null),
            ("e/responses", json!(false)),
        ] {
            assert_eq!(ask(&zero, path, stream, model).await, told, "{path} {stream} {model}");
        }
    }
    let any = gateway.key(&[]);
    assert_eq!(ask(&any, "/v1/messages", false, "a/chat").await, Value::Null, "the control");
}

#[tokio::test]
async fn no_attested_terms_make_state_less_than_state() {
    let upstream = Upstream::start(|call| Answer::saying("fine").act(call)).await;
    let gateway = Setup::new(format!(
        "providers: {{ p: {{ base_url: 'http://{}/v1', dialect: openai-responses, keys: [k], retention: zero, covers: [state, background] }} }}
models: {{ m: {{ targets: [p/m] }} }}
",
        upstream.address
    ))
    .start()
    .await;
    let bearer = format!("Bearer {}", gateway.key(&["--retention", "zero"]));
    let ask = async |field: &str, value: Value| {
        let mut client = gateway.client().await;
        let mut body = json!({ "model": "m", "input": "hi" });
        body[field] = value;
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        client.send("POST", "/v1/responses", &headers, body.to_string().as_bytes()).await.unwrap();
        client.reply().await.unwrap()
    };
    for (field, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!("conv_1")),
        ("background", json!(true)),
    ] {
        let reply = ask(field, value).await;
        assert_eq!((reply.status(), &reply.json()["error"]["param"]), (400, &json!(field)), "{reply:?}");
    }
    assert_eq!(upstream.count(), 0);
    assert_eq!(ask("store", json!(true)).await.status(), 200);
    assert_eq!(upstream.call(0).await.json()["store"], json!(false));
}

#[tokio::test]
async fn a_feature_that_the_operator_attests_is_served() {
    let (covers, plain) = (Upstream::saying("covers").await, Upstream::saying("plain").await);
    let gateway = Setup::new(format!(
        "providers:
  plain: {{ base_url: 'http://{}/v1', keys: [sk-p], retention: zero }}
  covers: {{ base_url: 'http://{}/v1', keys: [sk-c], retention: zero, covers: [web-search], attested: our contract }}
models: {{ m: {{ targets: [plain/p, covers/c] }} }}
",
        plain.address, covers.address
    ))
    .start()
    .await;
    let zero = gateway.key(&["--retention", "zero"]);
    assert_eq!(gateway.chat(&zero, &ask("m")).await.answer(), "plain");
    assert_eq!(gateway.chat(&zero, &with("m", json!({ "web_search_options": {} }))).await.answer(), "covers");
    let listed = gateway.print(&["providers"]);
    assert!(listed.contains("our contract"), "{listed}");
    let token = std::fs::read_to_string(gateway.data().join("admin.token")).unwrap();
    let mut admin = weir_tests::Client::connect(gateway.admin).await.unwrap();
    let bearer = format!("Bearer {}", token.trim());
    admin.send("GET", "/admin/v1/providers", &[("Authorization", &bearer)], b"").await.unwrap();
    let terms = admin.reply().await.unwrap().json();
    assert_eq!(terms["providers"][1]["attested"], "our contract");
    assert!(terms["known"].as_array().unwrap().len() > 10);
}

/// Who chooses providers in its turn is told what holds, wherever the wish came from.
#[tokio::test]
async fn openrouter_is_told_what_holds() {
    let router = Upstream::saying("routed").await;
    let gateway = Setup::new(format!(
        "providers: {{ router: {{ base_url: 'http://{}/v1', vendor: openrouter, keys: [sk-r], retention: zero }} }}
models: {{ m: {{ targets: [router/x] }} }}
",
        router.address
    ))
    .start()
    .await;
    let zero = gateway.key(&["--retention", "zero"]);
    let body = with("m", json!({ "provider": { "zdr": false, "data_collection": "deny", "order": ["a"] } }));
    assert_eq!(gateway.chat(&zero, &body).await.answer(), "routed");
    let expected = json!({ "zdr": true, "data_collection": "deny", "order": ["a"] });
    assert_eq!(router.call(0).await.json()["provider"], expected);
}

#[tokio::test]
async fn what_organisations_and_teams_ask_for_is_listed_and_changed_while_the_gateway_runs() {
    let house = House::new("", None).await;
    let gateway = &house.gateway;
    let organisation = gateway.print(&["organisation", "create", "acme"]).trim().to_owned();
    let args = ["team", "create", "research", "--organisation", &organisation];
    let team = gateway.print(&args).trim().to_owned();
    let key = gateway.key(&["--team", &team]);
    let who = async || gateway.chat(&key, &ask("all")).await.answer();
    assert_eq!(who().await, "trains");
    let update = ["organisation", "update", &organisation, "--name", "acme gmbh", "--training", "no"];
    assert!(gateway.print(&update).contains("acme gmbh"));
    assert_eq!(who().await, "keeps", "at once, for keys that were there before");
    gateway.print(&["team", "update", &team, "--retention", "zero", "--region", "eu"]);
    assert_eq!(who().await, "strict");
    let listed = |what: &str, id: &str| {
        let all: Value = serde_json::from_str(&gateway.print(&[what, "list", "--json"])).unwrap();
        let list = all[format!("{what}s")].as_array().unwrap().clone();
        list.into_iter().find(|one| one["id"] == id).unwrap()
    };
    let found = listed("organisation", &organisation);
    assert_eq!(
        found,
        json!({
            "id": organisation, "name": "acme gmbh", "retention": null, "region": null, "no_training": true, "class": null
        })
    );
    let found = listed("team", &team);
    assert_eq!((&found["organisation"], &found["region"]), (&json!(organisation), &json!("eu")));
    let table = gateway.print(&["team", "list"]);
    assert!(table.contains(&team) && table.contains("zero") && table.contains("team_default"), "{table}");
    gateway.print(&["team", "update", &team, "--retention", "none", "--region", "none"]);
    gateway.print(&["organisation", "update", &organisation, "--training", "yes"]);
    assert_eq!(who().await, "trains", "a wish can be taken back");
    for (args, says) in [
        (["organisation", "update", "org_nobody", "--training=no"], "org_nobody"),
        (["team", "update", &team, "--retention=week"], "week"),
        (["team", "update", &team, "--region=EU"], "EU"),
    ] {
        let refused = gateway.run(&args);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && why.contains(says), "{args:?}: {why}");
    }
    let nothing = gateway.run(&["team", "update", &team]);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("nothing is to be another"));
}

/// Shows what it has read to three services, as far as it may.
const TELLS: &str = "//! name: p
//! version: 1.0.0
//! hooks: [guard]
//! reads: content
//! capabilities: [http]
//! http: [loose, near, sound]
//! on_failure: closed

fn guard(request, config) {
    let text = request.text(0);
    for alias in [\"loose\", \"near\", \"sound\"] {
        try { http_send(#{ method: \"POST\", host_alias: alias, path: \"/\" + alias, headers: #{}, body: text }); } catch { }
    }
    pass()
}
";

#[tokio::test]
async fn a_policy_shows_content_only_to_services_that_the_exchange_allows() {
    let beside = Upstream::start(|_| Act::says("thanks")).await;
    let at = format!("base_url: 'http://{}', allow_private: true", beside.address);
    let aliases = format!(
        "http:
  loose: {{ {at} }}
  near: {{ {at}, region: eu-west-1 }}
  sound: {{ {at}, region: us-east-1, trains: false }}
policies: [{{ file: p.rhai, grants: [http] }}]"
    );
    let provider = Upstream::saying("fine").await;
    let gateway = Setup::new(format!(
        "providers: {{ p: {{ base_url: 'http://{}/v1', keys: [k], retention: zero, region: eu-west-1 }} }}\n\
         models: {{ m: {{ targets: [p/m], retries: 0 }} }}\n{aliases}\n",
        provider.address
    ))
    .file("p.rhai", TELLS)
    .start()
    .await;
    let key = gateway.key(&[]);
    let mut seen = 0;
    for (headers, told) in [
        (&[][..], &["/loose", "/near", "/sound"][..]),
        (&[("x-weir-training", "deny")], &["/sound"]),
        (&[("x-weir-region", "eu")], &["/near"]),
        (&[("x-weir-region", "eu"), ("x-weir-training", "deny")], &[]),
        (&[("x-weir-retention", "zero")], &[]),
    ] {
        let reply = gateway.chat_with(&key, &ask("m"), headers).await;
        assert_eq!(reply.answer(), "fine", "{headers:?}: {reply:?}");
        let calls = beside.calls().split_off(seen);
        seen += calls.len();
        let paths: Vec<&str> = calls.iter().map(|call| call.line.trim_start_matches("POST ")).collect();
        assert_eq!(paths, told, "{headers:?}");
        assert!(calls.iter().all(|call| call.body == b"hi"), "{headers:?}");
    }
}
