//! How sensitive content is: organisation, team, key and request say it, the most sensitive holds, and policies see it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_tests::{Gateway, Reply, Setup, Upstream};

/// Each class has a provider of its name, but the most sensitive: that goes nowhere.
const ROUTE: &str = "//! name: p
//! version: 1.0.0
//! hooks: [route]

fn route(head, targets, config) {
    let known = targets.with_provider(head.class);
    if known.is_empty { return deny(403, \"too_sensitive\", \"This goes nowhere.\"); }
    plan(known)
}
";

fn ask() -> Value {
    json!({ "model": "m", "max_tokens": 20, "messages": [{ "role": "user", "content": "hi" }] })
}

struct House {
    gateway: Gateway,
    upstreams: Vec<Upstream>,
}

impl House {
    async fn new() -> Self {
        let (mut upstreams, mut providers) = (Vec::new(), String::new());
        for class in ["public", "internal", "confidential"] {
            let upstream = Upstream::saying(class).await;
            let address = upstream.address;
            providers += &format!("  {class}: {{ base_url: 'http://{address}/v1', keys: [sk-x] }}\n");
            upstreams.push(upstream);
        }
        let setup = Setup::new(format!(
            "providers:
{providers}models:
  m: {{ targets: [internal/m, public/m, confidential/m], retries: 0 }}
policies: [{{ file: p.rhai, grants: [targets] }}]
"
        ));
        Self { gateway: setup.file("p.rhai", ROUTE).start().await, upstreams }
    }

    fn sent(&self) -> usize {
        self.upstreams.iter().map(Upstream::count).sum()
    }

    /// Where a request goes, with or without the header.
    async fn goes(&self, key: &str, header: Option<&str>) -> String {
        let headers: Vec<_> = header.map(|class| ("x-weir-class", class)).into_iter().collect();
        let reply = self.gateway.chat_with(key, &ask(), &headers).await;
        if reply.status() == 403 { reply.refused(403) } else { reply.answer() }
    }

    async fn post(&self, key: &str, path: &str, body: &Value, class: &str) -> Reply {
        let mut client = self.gateway.client().await;
        let bearer = format!("Bearer {key}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("x-weir-class", class),
        ];
        client.send("POST", path, &headers, body.to_string().as_bytes()).await.unwrap();
        client.reply().await.unwrap()
    }
}

#[tokio::test]
async fn the_most_sensitive_of_organisation_team_key_and_request_is_what_policies_see() {
    let house = House::new().await;
    let gateway = &house.gateway;
    let plain = gateway.key(&[]);
    assert_eq!(house.goes(&plain, None).await, "internal", "nobody says anything");
    for (class, seen) in [("public", "internal"), ("internal", "internal"), ("confidential", "confidential")]
    {
        assert_eq!(house.goes(&plain, Some(class)).await, seen, "only the request says something");
    }
    assert_eq!(house.goes(&plain, Some("restricted")).await, "too_sensitive");
    let public = gateway.key(&["--class", "public"]);
    assert_eq!(house.goes(&public, None).await, "public");

    let args = ["organisation", "create", "acme", "--class", "internal"];
    let organisation = gateway.print(&args).trim().to_owned();
    let args = ["team", "create", "legal", "--organisation", &organisation, "--class", "confidential"];
    let team = gateway.print(&args).trim().to_owned();
    let below = gateway.key(&["--team", &team, "--class", "public"]);
    assert_eq!(house.goes(&below, None).await, "confidential", "the team's");
    for class in ["public", "internal", "confidential"] {
        assert_eq!(house.goes(&below, Some(class)).await, "confidential", "{class}: nothing lowers it");
    }
    assert_eq!(house.goes(&below, Some("restricted")).await, "too_sensitive", "it may be raised");
    let restricted = gateway.key(&["--team", &team, "--class", "restricted"]);
    let before = house.sent();
    for header in [None, Some("public")] {
        assert_eq!(house.goes(&restricted, header).await, "too_sensitive", "the key's");
    }
    assert_eq!(house.sent(), before, "nothing was sent");
    gateway.ledger_check();
}

#[tokio::test]
async fn a_class_is_listed_and_changed_while_the_gateway_runs() {
    let house = House::new().await;
    let gateway = &house.gateway;
    let organisation = gateway.print(&["organisation", "create", "acme"]).trim().to_owned();
    let team = gateway.print(&["team", "create", "legal", "--organisation", &organisation]).trim().to_owned();
    let key = gateway.key(&["--team", &team]);
    assert_eq!(house.goes(&key, None).await, "internal");
    gateway.print(&["organisation", "update", &organisation, "--class", "confidential"]);
    assert_eq!(house.goes(&key, Some("public")).await, "confidential", "at once, for keys that were there");
    let table = gateway.print(&["team", "update", &team, "--class", "restricted"]);
    assert!(table.contains("CLASS") && table.contains("restricted"), "{table}");
    assert_eq!(house.goes(&key, None).await, "too_sensitive");

    let json = |args: &[&str]| serde_json::from_str::<Value>(&gateway.print(args)).unwrap();
    let organisations = json(&["organisation", "list", "--json"]);
    assert_eq!(organisations["organisations"][0]["class"], Value::Null, "the default one");
    assert_eq!(organisations["organisations"][1]["class"], "confidential");
    assert_eq!(json(&["team", "list", "--json"])["teams"][1]["class"], "restricted");
    for (list, class) in [("organisation", "confidential"), ("team", "restricted")] {
        let table = gateway.print(&[list, "list"]);
        assert!(table.contains("CLASS") && table.contains(class), "{table}");
    }
    let keys = gateway.print(&["key", "list"]);
    assert!(keys.contains("CLASS") && keys.contains("restricted"), "what holds for the key: {keys}");

    // What is not named stays; `none` takes it back.
    gateway.print(&["team", "update", &team, "--name", "law"]);
    assert_eq!(house.goes(&key, None).await, "too_sensitive");
    let now = json(&["team", "update", &team, "--class", "none", "--json"]);
    assert_eq!(now["class"], Value::Null);
    assert_eq!(house.goes(&key, None).await, "confidential");
    gateway.print(&["organisation", "update", &organisation, "--class", "public"]);
    assert_eq!(house.goes(&key, None).await, "public");
    for args in [
        ["organisation", "update", &organisation, "--class=secret"],
        ["key", "create", "new", "--class=secret"],
    ] {
        let refused = gateway.run(&args);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && why.contains("restricted"), "{args:?}: {why}");
    }
}

#[tokio::test]
async fn a_class_that_is_none_is_refused_in_each_callers_words() {
    let house = House::new().await;
    let key = house.gateway.key(&["--class", "restricted"]);
    let input = json!({ "model": "m", "input": "hi" });
    let says = |reply: &Reply| {
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        let named = ["x-weir-class", "public", "internal", "confidential", "restricted"];
        assert!(named.iter().all(|word| message.contains(word)), "{message}");
    };
    for wrong in ["secret", "Public", "", "public, internal"] {
        for (path, body) in [("/v1/chat/completions", &ask()), ("/v1/responses", &input)] {
            let reply = house.post(&key, path, body, wrong).await;
            assert_eq!(reply.refused(400), "bad_header", "{path} {wrong:?}");
            says(&reply);
        }
        let reply = house.post(&key, "/v1/messages", &ask(), wrong).await;
        assert_eq!(reply.status(), 400, "{reply:?}");
        assert_eq!(reply.json()["type"], "error");
        assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
        says(&reply);
    }
    assert_eq!(house.sent(), 0);
}

#[tokio::test]
async fn a_kept_reply_is_served_to_its_own_class_only() {
    let house = House::new().await;
    let key = house.gateway.key(&[]);
    let get = async |class| {
        let headers = [("x-weir-cache", "on"), ("x-weir-class", class)];
        let reply = house.gateway.chat_with(&key, &ask(), &headers).await;
        (reply.get("x-weir-cache").unwrap_or_default().to_owned(), reply.answer())
    };
    let said = |cache: &str, answer: &str| (cache.to_owned(), answer.to_owned());
    assert_eq!(get("internal").await, said("miss", "internal"));
    assert_eq!(get("confidential").await, said("miss", "confidential"));
    assert_eq!(get("internal").await, said("hit", "internal"));
    assert_eq!(get("confidential").await, said("hit", "confidential"));
}
