//! The whole way, from text to config or errors. `WEIR_BLESS=1` rewrites the golden files.

use super::*;
use proptest::prelude::*;
use std::fmt::Write as _;
use std::time::Duration;
use weir_llm::terms::Feature;
use weir_llm::usage::Class;
use weir_policy::manifest::Surface;
use weir_policy::{Capability, Retention};

const DATA: &str = "src/config/testdata";

fn env(name: &str) -> Option<String> {
    match name {
        "API_KEY" => Some("env-SECRET-0123456789".to_owned()),
        "ORG" => Some("acme".to_owned()),
        "EVIL" => Some("x y\nSECRET".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, Path::new(DATA), Path::new("weir.yaml"), &env)
}

fn full() -> String {
    std::fs::read_to_string(format!("{DATA}/full.yaml")).unwrap()
}

/// Compares with a golden file, or rewrites it.
fn golden(path: &str, now: &str) {
    if std::env::var_os("WEIR_BLESS").is_some() {
        return std::fs::write(path, now).unwrap();
    }
    let then = std::fs::read_to_string(path).unwrap();
    assert!(then == now, "{path} is stale: run with WEIR_BLESS=1 and read the diff\n{now}");
}

#[test]
fn every_case_prints_what_the_golden_file_says() {
    let path = format!("{DATA}/cases.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let (mut now, mut refused) = (String::new(), 0);
    for case in text.split("=== ").skip(1) {
        let (name, yaml) = case.split_once('\n').unwrap();
        let yaml: String = yaml.split_inclusive('\n').filter(|line| !line.starts_with("> ")).collect();
        let lines: Vec<String> = match parse(&yaml) {
            Ok(config) => {
                config.warnings.iter().map(|w| format!("warning: {}", w.in_file(&"weir.yaml"))).collect()
            }
            Err(errors) => {
                refused += 1;
                errors.to_string().lines().map(str::to_owned).collect()
            }
        };
        let _ = write!(now, "=== {name}\n{yaml}");
        for line in &lines {
            let _ = writeln!(now, "> {line}");
        }
        assert!(!lines.concat().contains("SECRET"), "{name} shows a secret: {lines:#?}");
    }
    assert!(refused >= 25, "only {refused} cases are refused");
    golden(&path, &now);
}

#[test]
fn the_reference_is_up_to_date() {
    golden("src/config/reference.md", &reference_markdown());
}

#[test]
fn every_key_arrives() {
    let config = parse(&full()).unwrap_or_else(|e| panic!("{e}"));
    let Server { listen, tls, admin, workers, region, limits, timeouts } = &config.server;
    assert_eq!((listen.to_string(), admin.to_string()), ("[::1]:8443".into(), "127.0.0.1:9000".into()));
    assert_eq!(tls.as_ref().unwrap().key, Path::new(DATA).join("key.pem"));
    assert_eq!((workers.get(), region.as_str()), (3, "eu-1"));
    let (per_key, lag) = (Some(3), Duration::from_secs(2));
    let (connections, min_rate, in_flight) = (9, 1024, 7);
    let sizes = Limits {
        body: 1 << 20,
        buffered: 16 << 20,
        header: 8192,
        in_flight,
        per_key,
        connections,
        min_rate,
        lag,
    };
    assert_eq!(*limits, sizes);
    let millis =
        [timeouts.idle, timeouts.header, timeouts.body, timeouts.write, timeouts.stall, timeouts.grace]
            .map(|d| d.as_millis());
    assert_eq!(millis, [120_000, 60_000, 2_500, 3_000, 2_000, 3_600_000]);
    assert_eq!((config.data, config.ledger_sync), (Path::new(DATA).join("state"), LedgerSync::Full));
    assert_eq!(config.cache_bytes, 1_000_000_000);
    assert_eq!(config.log, Log { level: Level::Debug, access: false });
    let otlp = config.otlp.unwrap();
    assert_eq!(otlp.endpoint.to_string(), "http://127.0.0.1:4318");
    assert_eq!((otlp.headers[0].0.as_str(), otlp.headers[0].1.is_sensitive()), ("x-token", true));
    assert_eq!((otlp.traces, otlp.metrics, otlp.logs), (false, Some(Duration::from_secs(5)), true));
    assert!((otlp.sample - 0.25).abs() < 1e-9 && config.genai == GenAi::Both);
    assert!(config.providers[1].propagate && config.http[1].propagate && !config.http[0].propagate);
    assert_eq!(config.admin_token.unwrap().expose(), "file-SECRET-0123456789");
    assert!(config.catalogue.version.contains("mine"));
    assert!(!config.direct && config.core_dumps);
}

/// It holds thousands of models: a copy for each config made its fuzz target crawl.
#[test]
fn the_embedded_catalogue_is_lent() {
    let config = parse("providers: { sim: { builtin: sim } }\n").unwrap();
    assert!(matches!(config.catalogue, Cow::Borrowed(_)));
    assert!(matches!(parse(&full()).unwrap().catalogue, Cow::Owned(_)));
}

/// The environment of OpenTelemetry speaks where the file says nothing, and numbers need no quotes.
#[test]
fn the_names_of_the_conventions() {
    let genai = |telemetry: &str, env: &'static str| {
        let file = format!("providers: {{ sim: {{ builtin: sim }} }}\ntelemetry: {telemetry}");
        let env = move |name: &str| (name == "OTEL_SEMCONV_STABILITY_OPT_IN").then(|| env.to_owned());
        Config::parse(&file, Path::new(DATA), Path::new("weir.yaml"), &env).map(|config| config.genai)
    };
    assert_eq!(genai("{}", "").unwrap(), GenAi::V1_41);
    assert_eq!(genai("{}", "http, gen_ai_latest_experimental").unwrap(), GenAi::Latest);
    assert_eq!(genai("{ genai: 1.41 }", "gen_ai_latest_experimental").unwrap(), GenAi::V1_41);
    assert_eq!(genai("{ genai: latest }", "").unwrap(), GenAi::Latest);
    let wrong = genai("{ genai: 2.0 }", "").unwrap_err().to_string();
    assert!(wrong.contains("`1.41`, `latest`, `both`"), "{wrong}");
    let short = genai("{ otlp: { endpoint: 'http://h', interval: 10ms } }", "").unwrap_err().to_string();
    assert!(short.contains("shorter than 1s"), "{short}");
}

/// Public terms hold for the host that they are of; what the operator says goes first; unknown is kept and trained on.
#[test]
fn terms_come_from_the_operator_then_from_the_host_then_from_nobody() {
    let file = "providers:
  public: { base_url: 'https://api.openai.com/v1' }
  signed: { base_url: 'https://api.openai.com/v1', retention: zero, attested: our contract }
  openai: { base_url: 'https://proxy.example/v1' }
  groq: { vendor: groq }
";
    let config = parse(file).unwrap();
    let terms = |name: &str| {
        let provider = config.providers.iter().find(|provider| provider.name == name).unwrap();
        (provider.retention, provider.trains, provider.terms.public.map(|terms| terms.provider))
    };
    assert_eq!(terms("public"), (Retention::Days(30), false, Some("openai")));
    assert_eq!(terms("signed"), (Retention::Zero, false, None));
    assert_eq!(terms("openai"), (Retention::Unknown, true, None), "a name proves nothing");
    assert_eq!(terms("groq"), (Retention::ZeroExceptSafety, true, Some("groq")));
    let nothing = "providers: { a: { base_url: 'https://x.example', attested: hearsay } }";
    assert!(parse(nothing).unwrap_err().to_string().contains("nothing that it could attest"));
}

#[test]
fn a_provider_and_its_model_arrive() {
    let config = parse(&full()).unwrap();
    let [sim, openai] = config.providers.as_slice() else { panic!("two providers") };
    assert_eq!((sim.kind.clone(), sim.retention, sim.trains), (ProviderKind::Sim, Retention::Zero, false));
    let ProviderKind::Http(endpoint) = &openai.kind else { panic!("on the network") };
    assert_eq!(
        (endpoint.host.as_str(), endpoint.port, endpoint.prefix.as_str()),
        ("api.example.com", 443, "/v1")
    );
    assert_eq!(
        openai.keys.iter().map(Secret::expose).collect::<Vec<_>>(),
        ["env-SECRET-0123456789", "file-SECRET-0123456789"]
    );
    let (name, value) = &openai.headers[0];
    assert_eq!(
        (name.as_str(), value.as_bytes(), value.is_sensitive()),
        ("openai-organization", &b"org-acme"[..], true)
    );
    let (cert, proxy) = (openai.client_cert.as_ref().unwrap(), openai.proxy.as_ref().unwrap());
    assert_eq!(
        (&cert.cert, &cert.key),
        (&Path::new(DATA).join("cert.pem"), &Path::new(DATA).join("key.pem"))
    );
    assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.example", 3128));
    // weir:env-SECRET-0123456789
    let basic = "Basic d2VpcjplbnYtU0VDUkVULTAxMjM0NTY3ODk=";
    assert_eq!(proxy.authorization.as_ref().map(Secret::expose), Some(basic));
    assert_eq!((openai.http, openai.streams), (Http::Two, 50));
    assert_eq!((sim.http, sim.streams, sim.proxy.is_none()), (Http::Auto, 100, true));
    assert_eq!((openai.retention, openai.trains), (Retention::Days(30), false));
    assert_eq!(openai.terms.attested.as_deref(), Some("our contract of 2026-05"));
    assert!(openai.terms.operators && openai.terms.public.is_none());
    assert!(!openai.terms.excluded.contains(&Feature::WebSearch), "covers takes it out");
    assert!(openai.terms.excluded.contains(&Feature::State));
    assert_eq!(openai.timeouts.total, Duration::from_secs(4));

    let fast = &config.models[0];
    assert_eq!((fast.cache_ttl, fast.retries, fast.max_attempts), (Some(Duration::from_secs(300)), 2, 6));
    assert_eq!((fast.targets[0].provider, fast.targets[0].model.as_str()), (0, "sim-small"));
    let mini = &fast.targets[1];
    let bounds = DrainBounds { max: Duration::from_secs(5), bytes: 1 << 20 };
    assert_eq!((sim.drain, openai.drain), (None, Some(bounds)));
    assert_eq!((openai.concurrency, mini.concurrency), (Some(50), Some(5)));
    assert_eq!((mini.provider, mini.model.as_str(), mini.weight), (1, "org/gpt-4o-mini", 2));
    assert_eq!((mini.quality, mini.context, mini.max_output), (Some(0.7), Some(128_000), Some(16_384)));
    let can = mini.capabilities.expect("it is said");
    assert_eq!(can.names().collect::<Vec<_>>(), ["tools", "vision"]);
    let rate = |class| mini.rates.iter().flatten().find(|r| r.class == class).map(|r| r.pico_per_unit);
    assert_eq!(rate(Class::Input), Some(150_000));
    assert_eq!(rate(Class::CacheWrite5m), Some(187_500));
    assert_eq!(rate(Class::Output), Some(600_001));
    assert_eq!(rate(Class::InputAudio), Some(10_000_000));
}

#[test]
fn how_a_policy_ships_and_who_signs_it_arrive() {
    let config = parse(&full()).unwrap();
    let route = &config.policies[0];
    assert_eq!(route.except, [Surface::ChatStream, Surface::Embeddings]);
    let ship = route.ship.unwrap();
    let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
    assert_eq!(ship.shadow, Some(ShadowOptions { requests: Some(500), span: minutes(10) }));
    assert_eq!(ship.canary, Some(CanaryOptions { share: 250, span: minutes(60) }));
    assert_eq!((ship.max_changed, Some(ship.rollback_window)), (3_000, minutes(5)));
    assert_eq!((config.signing.keys.len(), config.signing.required), (1, true));
    let file = "providers: { sim: { builtin: sim } }\npolicies: [{ file: route.rhai, ship: {} }]";
    assert_eq!(parse(file).unwrap().policies[0].ship, Some(ShipOptions::default()));
}

#[test]
fn a_policy_and_the_files_to_watch_arrive() {
    let config = parse(&full()).unwrap();
    let [route] = config.policies.as_slice() else { panic!("the disabled one is left out") };
    assert_eq!((route.engine, route.models.as_deref()), (Engine::Rhai, Some(&["fast".to_owned()][..])));
    assert_eq!(route.grants, [Capability::Targets, Capability::Env]);
    let expected = serde_json::json!({
        "strategy": "cheapest", "ratio": 0.25, "seats": [1, -2], "secret": "acme", "price": "${literal}", "none": null
    });
    assert_eq!(route.config, expected);
    let watched: Vec<_> = config.watched.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
    let expected = ["catalogue.json", "cert.pem", "key.pem", "key.txt", "route.rhai", "route.rhai.minisig"];
    assert_eq!(watched, expected, "a signature, too, may come later");
}

#[test]
fn secrets_do_not_show_in_debug() {
    let debug = format!("{:?}", parse(&full()).unwrap());
    assert!(!debug.contains("SECRET") && !debug.contains("org-acme"), "{debug}");
}

/// Found by fuzzing: names, too, may have come from elsewhere.
#[test]
fn what_came_from_elsewhere_is_shown_as_it_is_written() {
    let text = "providers:\n  sim: { builtin: sim }\nmodels:\n  fast: { targets: ['sim${env:KEY}/sim-small', 'x${env:LONGER}/y', '${env:A}/z'] }\n";
    let env = |name: &str| {
        let value = ["s3cr3t-0123", "s3cr3t-0123456", "ab"]
            [["KEY", "LONGER", "A"].iter().position(|known| *known == name)?];
        Some(value.to_owned())
    };
    let errors = Config::parse(text, Path::new(""), Path::new("weir.yaml"), &env).unwrap_err().to_string();
    for shown in ["`sim${env:KEY}`", "`x${env:LONGER}`", "`ab`"] {
        assert!(errors.contains(&format!("there is no provider {shown}")), "{errors}");
    }
}

#[test]
fn the_embedded_file_is_valid_everywhere() {
    let empty = tempfile::tempdir().unwrap();
    let config = Config::parse(DEFAULT_YAML, empty.path(), Path::new("default.yaml"), &|_| None).unwrap();
    assert_eq!(config.server.listen.to_string(), file::default::LISTEN);
    assert_eq!((config.policies.len(), config.warnings.len()), (0, 3), "{:?}", config.warnings);
    assert_eq!(config.models[0].name, "fast");
}

#[test]
fn load_says_why_a_file_cannot_be_read() {
    let error = Config::load(Path::new("no/such/weir.yaml")).unwrap_err();
    assert_eq!(error.to_string(), "no/such/weir.yaml: there is no such file");
}

#[test]
fn restart_is_needed_for_what_is_bound_once_and_for_nothing_else() {
    let old = parse(&full()).unwrap();
    let with = |from: &str, to: &str| {
        let text = full();
        assert!(text.contains(from), "{from}");
        Config::needs_restart(&old, &parse(&text.replace(from, to)).unwrap())
    };
    assert_eq!(with("workers: 3", "workers: 4"), ["server.workers"]);
    assert_eq!(with("localhost:9000", "localhost:9001"), ["server.admin"]);
    assert_eq!(with("data: state", "data: other"), ["data"]);
    assert_eq!(with("stall: 2s", "stall: 1s"), ["server.timeouts.stall"]);
    assert_eq!(with("retries: 2", "retries: 3"), [""; 0]);
    assert_eq!(with("body: 2500ms", "body: 1s"), [""; 0]);
}

#[test]
fn every_key_of_the_schema_stands_in_the_full_file() {
    let (text, reference) = (full(), reference_markdown());
    let keys = reference.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let names = keys.filter_map(|key| key.rsplit('.').next()).filter(|name| !name.starts_with('<'));
    for name in names.map(|name| name.trim_end_matches("[]")) {
        assert!(text.contains(&format!("{name}:")), "full.yaml lacks `{name}`");
    }
}

/// Every value of the full file replaced by every kind of value, or taken out: always words, never a mismatch.
#[test]
fn no_value_of_any_kind_in_any_place_upsets_the_reader() {
    let whole: serde_json::Value = serde_saphyr::from_str(&full()).unwrap();
    let mut places = Vec::new();
    pointers(&whole, String::new(), &mut places);
    assert!(places.len() > 100, "only {} places", places.len());
    let (mut accepted, mut refused) = (0, 0);
    for place in &places {
        for kind in ["null", "true", "-1", r#""x""#, "[]", r#"["x"]"#, "{}", r#"{"x":{}}"#] {
            let mut damaged = whole.clone();
            *damaged.pointer_mut(place).unwrap() = serde_json::from_str(kind).unwrap();
            match parse(&damaged.to_string()) {
                Ok(_) => accepted += 1,
                Err(errors) => {
                    refused += 1;
                    assert!(!errors.to_string().contains("does not fit"), "{place} = {kind}: {errors}");
                }
            }
        }
    }
    assert!(accepted > 50 && refused > 500, "{accepted} accepted, {refused} refused");
}

fn pointers(value: &serde_json::Value, path: String, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            map.iter().for_each(|(key, child)| {
                pointers(child, format!("{path}/{}", key.replace('/', "~1")), found)
            });
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, child)| pointers(child, format!("{path}/{i}"), found));
        }
        _ => {}
    }
    found.push(path);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to a file: no panic, no mismatch of schema and shape, no secret in a message.
    #[test]
    fn a_damaged_file_is_refused_in_words(cuts in proptest::collection::vec((0usize..2_000, 0usize..40, 0usize..12), 1..4)) {
        let mut text = full().replace("${env:API_KEY}", "sk-SECRET");
        for (start, len, put) in cuts {
            let puts = ["", "~", "[]", "{}", "x", "a: b", "\n", "  ", "'", "${env:EVIL}", "0", "[{}]"];
            let (start, end) = (start.min(text.len()), (start + len).min(text.len()));
            if text.is_char_boundary(start) && text.is_char_boundary(end) {
                text.replace_range(start..end, puts[put]);
            }
        }
        if let Err(errors) = parse(&text) {
            let shown = errors.to_string();
            prop_assert!(!errors.problems.is_empty());
            prop_assert!(!shown.contains("does not fit"), "{shown}\n{text}");
            prop_assert!(!shown.contains("env-SECRET") && !shown.contains("file-SECRET"), "{shown}");
        }
    }
}
