//! The host and its overlay through the trait that engines know.

use super::*;
use std::path::Path;
use weir_policy::Retention;
use weir_policy::services::Level;

fn config(more: &str) -> Config {
    let text = format!("providers: {{ sim: {{ builtin: sim }} }}\n{more}");
    Config::parse(&text, Path::new(""), Path::new("weir.yaml"), &|_| Some("mod-SECRET".to_owned())).unwrap()
}

fn host(more: &str) -> (Arc<Host>, Metrics) {
    let metrics = Metrics::new().unwrap();
    let host = Host::new(&config(more), Arc::new(Upstreams::default()), &metrics).unwrap();
    (Arc::new(host), metrics)
}

fn origin() -> Origin {
    Origin {
        policy: "p".into(),
        tenant: "org".into(),
        request_id: "req_1".into(),
        retention: Retention::Unknown,
        demands: None,
        tainted: false,
    }
}

fn put(value: &[u8]) -> Put<'_> {
    Put { value, version: None, ttl_ms: None }
}

fn get(services: &dyn Services, scope: Scope) -> Option<Vec<u8>> {
    services.kv_get(&origin(), scope, "k").unwrap().map(|entry| entry.value)
}

#[test]
fn what_is_kept_outlives_a_reload() {
    let (host, _) = host("kv: { max_bytes: 1KiB }\n");
    host.kv_put(&origin(), Scope::Tenant, "k", put(b"v")).unwrap();
    let big = vec![0; 2_000];
    assert_eq!(host.kv_put(&origin(), Scope::Tenant, "big", put(&big)), Err(KvError::TooLarge));
    host.configure(&config("kv: { max_bytes: 1MiB }\n"));
    host.kv_put(&origin(), Scope::Tenant, "big", put(&big)).unwrap();
    assert_eq!(get(&*host, Scope::Tenant).as_deref(), Some(&b"v"[..]));
}

#[test]
fn the_end_of_an_exchange_reaches_the_store() {
    let (host, _) = host("");
    host.kv_put(&origin(), Scope::Request, "k", put(b"v")).unwrap();
    assert!(get(&*host, Scope::Request).is_some());
    host.end("req_1");
    assert!(get(&*host, Scope::Request).is_none());
}

#[test]
fn records_go_where_they_belong() {
    let (host, metrics) = host("");
    host.explain_begin(&origin().request_id);
    host.record(&origin(), Record::Counter { name: "hits", by: 3, labels: &[] });
    host.record(&origin(), Record::Observe { name: "score", value: 0.5, labels: &[] });
    host.record(&origin(), Record::Log { level: Level::Info, message: "m", fields: &[] });
    host.record(&origin(), Record::Explain { rule: "cheapest", because: "two" });
    assert_eq!(host.explain_take("req_1"), [("p".into(), "cheapest".into(), "two".into())]);
    let text = metrics.render();
    assert!(text.contains(r#"weir_policy_custom_total{name="hits",policy="p"} 3"#), "{text}");
    assert!(text.contains(r#"weir_policy_custom_sum{name="score",policy="p"} 0.5"#), "{text}");
}

#[test]
fn a_shadow_leaves_no_mark() {
    let alias = "http: { mod: { base_url: \"http://127.0.0.1:9\", allow_private: true } }\n";
    let (host, metrics) = host(alias);
    host.kv_put(&origin(), Scope::Plugin, "k", put(b"real")).unwrap();
    let shadow = Overlay::new(Arc::clone(&host));
    assert_eq!(get(&shadow, Scope::Plugin).as_deref(), Some(&b"real"[..]));
    shadow.kv_put(&origin(), Scope::Plugin, "k", put(b"shadow")).unwrap();
    shadow.kv_put(&origin(), Scope::Request, "k", put(b"shadow")).unwrap();
    assert_eq!(get(&shadow, Scope::Plugin).as_deref(), Some(&b"shadow"[..]));
    assert_eq!(get(&*host, Scope::Plugin).as_deref(), Some(&b"real"[..]));
    assert_eq!(get(&*host, Scope::Request), None);
    shadow.end("req_1");
    assert_eq!(get(&shadow, Scope::Request), None);
    host.explain_begin(&origin().request_id);
    shadow.record(&origin(), Record::Counter { name: "hits", by: 3, labels: &[] });
    shadow.record(&origin(), Record::Explain { rule: "r", because: "b" });
    assert!(host.explain_take("req_1").is_empty() && !metrics.render().contains("hits"));
    let call = Outbound {
        method: "GET".into(),
        host_alias: "mod".into(),
        path: "/".into(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout_ms: 0,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = |services: &dyn Services| runtime.block_on(services.http(&origin(), call.clone())).err();
    assert_eq!(answer(&shadow), Some(HttpError::NotGranted));
    assert_eq!(answer(&*host), Some(HttpError::Connect), "the host itself does call");
}

#[test]
fn an_aliass_secret_is_not_in_its_debug_text() {
    let config =
        config("http: { mod: { base_url: https://mod.example, headers: { x-key: \"${env:K}\" } } }\n");
    assert_eq!(config.http[0].headers[0].1.as_bytes(), b"mod-SECRET");
    assert!(!format!("{config:?}").contains("SECRET"));
}
