use super::gaps::Gaps;
use super::meters::{Meters, Origin};
use super::record::{Attempt, CacheState, Model, Outcome};
use super::*;
use std::collections::BTreeSet;
use std::time::{Duration, Instant, UNIX_EPOCH};
use weir_llm::neutral::Finish;
use weir_llm::neutral::label::ModelName;
use weir_llm::price::Nanos;
use weir_llm::usage::Usage;
use weir_policy::pipeline::{Call, Seat, Seated, Verdict};
use weir_policy::{Api, ErrorClass, Fault, FaultKind, Hook, Target};

/// Every metric with its label keys. A change here is a change of our interface: say so in the release notes.
const GOLDEN: &str = include_str!("metrics.golden");

fn origin(system: &str, host: &str, port: u16) -> Origin {
    Origin { system: system.into(), server: (host.into(), port) }
}

pub(super) fn meters(metrics: &Arc<Metrics>) -> Arc<Meters> {
    Meters::new(
        metrics,
        &["fast".into(), "slow".into()],
        &[Target::bare("openai/gpt-4o-mini"), Target::bare("sim/sim-small")],
        &[origin("openai", "api.example", 443), origin("sim", "sim", 0)],
    )
}

/// A reply by the second target, after the first had refused.
pub(super) fn exchange(meters: &Arc<Meters>) -> Exchange {
    let attempt = |target, from, to| Attempt {
        target,
        span_id: 7 + u64::from(target),
        started: Duration::from_millis(from),
        ended: Duration::from_millis(to),
        ttft: None,
        status: Some(200),
        error: None,
    };
    let mut gaps = Gaps::begin(Instant::now());
    gaps.chunk(Instant::now() + Duration::from_millis(30));
    Exchange {
        meters: Arc::clone(meters),
        request_id: "req_1".into(),
        trace: Trace::begin(Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), true, 1.0),
        started_at: UNIX_EPOCH + Duration::from_micros(1_795_473_738_123_456),
        api: Api::Chat,
        model: Model::Alias(0),
        target: Some(1),
        response_model: ModelName::of("sim-small-2026-11-01"),
        ends: [Finish::Stop, Finish::Length].into_iter().collect(),
        gaps: Some(Box::new(gaps)),
        status: 200,
        outcome: Outcome::Ok,
        error: None,
        refused: None,
        stream: true,
        cache: CacheState::Bypass,
        usage: Usage { input: 100, cached_input: 40, output: 20, ..Usage::default() },
        charged: Nanos(1_000_000_123),
        provider_cost: None,
        ttft: Some(Duration::from_micros(12_345)),
        total: Duration::from_millis(30),
        overhead: Duration::from_micros(33),
        generation: 3,
        key_id: "key_1".into(),
        tenant: "org \"1\"".into(),
        bytes_in: 1024,
        bytes_out: 2048,
        attempts: vec![
            Attempt { error: Some(ErrorClass::RateLimited), status: Some(429), ..attempt(0, 1, 5) },
            Attempt { ttft: Some(Duration::from_millis(7)), ..attempt(1, 5, 30) },
        ],
        policies: Vec::new(),
    }
}

#[test]
fn metric_names_and_label_keys_are_the_golden_ones() {
    let metrics = Arc::new(Metrics::new().unwrap());
    metrics.count_genai().unwrap();
    let meters = meters(&metrics);
    meters.count(&exchange(&meters));
    meters.count(&Exchange { provider_cost: Some(Nanos(5)), ..exchange(&meters) });
    meters.count(&Exchange { usage: Usage { images: 2, ..Usage::default() }, ..exchange(&meters) });
    meters.show(|_| weir_policy::Live::default());
    let fault = Fault::new(FaultKind::Trap, "it trapped");
    Policies::new(&metrics)
        .seat(seated("0123456789abcdef"))
        .asked(&Call { fault: Some(&fault), ..call(Verdict::Plan) });
    metrics.reload(true);
    metrics.shed("in_flight");
    metrics.recovered.with_label_values(&["wal"]).inc();
    metrics.drained.with_label_values(&["whole"]).inc();
    metrics.provider_key_state.with_label_values(&["openai", "0"]).set(1);
    metrics.otlp.sent("traces", 3);
    metrics.otlp.dropped("logs", "queue", 3);
    let text = metrics.render();
    let help = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let listed: Vec<String> = help
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let keys: BTreeSet<&str> = text.lines().filter(|l| belongs(l, name)).flat_map(keys).collect();
            format!("{name} {kind} {}", Vec::from_iter(keys).join(","))
        })
        .collect();
    let listed = listed.join("\n").replace(" \n", "\n") + "\n";
    assert_eq!(listed, GOLDEN);
    let allowed =
        ["api", "alias", "provider", "model", "class", "basis", "policy", "hook", "kind", "version"];
    // `key`: the place of a provider's key in its list.
    let genai = genai::ATTRIBUTES.iter().map(|(label, _)| *label);
    let more = ["verdict", "result", "status", "outcome", "signal", "reason", "why", "what", "key"];
    let allowed = allowed.into_iter().chain(more).chain(genai).collect::<BTreeSet<_>>();
    assert!(text.lines().flat_map(keys).all(|key| allowed.contains(key)), "only closed sets are labels");
    for (secret, whose) in
        [("key_1", "key"), ("org", "tenant"), ("req_1", "request"), ("2026-11-01", "model by provider")]
    {
        assert!(!text.contains(secret), "the {whose} is in the metrics");
    }
}

fn belongs(line: &str, family: &str) -> bool {
    let name = line.split(['{', ' ']).next().unwrap_or("");
    name == family
        || ["_bucket", "_sum", "_count"].iter().any(|suffix| name.strip_suffix(suffix) == Some(family))
}

fn keys(line: &str) -> impl Iterator<Item = &str> {
    let labels =
        line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(labels, _)| labels);
    labels.split(',').filter_map(|label| label.split_once('=')).map(|(key, _)| key).filter(|key| *key != "le")
}

#[test]
fn an_exchange_is_counted_where_it_belongs() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let meters = meters(&metrics);
    meters.count(&exchange(&meters));
    let hit = Exchange {
        outcome: Outcome::CacheHit,
        cache: CacheState::Hit,
        attempts: vec![],
        ..exchange(&meters)
    };
    meters.count(&hit);
    meters.count(&Exchange { model: Model::Alias(77), target: Some(99), status: 404, ..hit });
    let text = metrics.render();
    for line in [
        r#"weir_requests_total{alias="fast",api="chat",outcome="ok",status="2xx"} 1"#,
        r#"weir_requests_total{alias="fast",api="chat",outcome="cache_hit",status="2xx"} 1"#,
        r#"weir_requests_total{alias="(none)",api="chat",outcome="cache_hit",status="4xx"} 1"#,
        r#"weir_attempts_total{class="rate-limited",model="gpt-4o-mini",provider="openai"} 1"#,
        r#"weir_attempts_total{class="ok",model="sim-small",provider="sim"} 1"#,
        r#"weir_tokens_total{class="input.cached",model="sim-small",provider="sim"} 40"#,
        r#"weir_cost_nanodollars_total{basis="charged",model="sim-small",provider="sim"} 1000000123"#,
        r#"weir_cost_usd_total{basis="charged",model="sim-small",provider="sim"} 1.000000123"#,
        r#"weir_unpriced_exchanges_total{model="sim-small",provider="sim"} 1"#,
        r#"weir_cache_requests_total{result="hit"} 2"#,
        r#"weir_time_to_first_token_seconds_bucket{model="sim-small",provider="sim",le="0.01"} 1"#,
        r#"weir_time_to_first_token_seconds_bucket{model="sim-small",provider="sim",le="0.005"} 0"#,
        "weir_received_bytes_total 3072",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[test]
fn figures_of_others_are_asked_for_at_each_scrape() {
    let metrics = Metrics::new().unwrap();
    metrics.on_scrape(|metrics| metrics.ledger_queue_depth.inc());
    let _first = metrics.render();
    assert!(metrics.render().contains("\nweir_ledger_queue_depth 2\n"));
}

/// A scraper that knows what exemplars are gets them, of recorded traces only; any other gets the plain text.
#[test]
fn exemplars_lead_to_traces() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let meters = meters(&metrics);
    let unrecorded = Trace::begin(None, false, 0.0);
    meters.count(&Exchange { trace: unrecorded, ..exchange(&meters) });
    let openmetrics = || metrics.render_for("application/openmetrics-text;version=1.0.0,text/plain;q=0.5").1;
    assert!(!openmetrics().contains("trace_id"), "nobody could look it up");
    meters.count(&exchange(&meters));
    let text = openmetrics();
    let exemplar = format!("{{trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\",span_id=\"{:016x}\"}}", 8);
    for line in [
        "# TYPE weir_requests counter",
        r#"weir_requests_total{alias="fast",api="chat",outcome="ok",status="2xx"} 2"#,
        &[
            r#"weir_time_to_first_token_seconds_bucket{model="sim-small",provider="sim",le="0.01"} 2 # "#,
            &exemplar,
            " 0.007 1795473738.153",
        ]
        .concat(),
        r#"weir_request_duration_seconds_bucket{alias="fast",api="chat",le="+Inf"} 2"#,
        "# TYPE weir_overhead_seconds histogram",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    assert!(text.ends_with("\n# EOF\n"));
    assert!(
        text.lines().any(|l| l.starts_with("weir_overhead_seconds_bucket") && l.contains("# {trace_id="))
    );
    let (kind, plain) = metrics.render_for("text/plain");
    assert!(kind.starts_with("text/plain") && !plain.contains("trace_id") && !plain.contains("EOF"));
    // A later generation goes on where the last one was.
    let next = super::tests::meters(&metrics);
    next.count(&Exchange { trace: Trace::begin(None, false, 0.0), ..exchange(&next) });
    assert!(openmetrics().contains(&exemplar));
}

#[test]
fn a_histogram_that_somebody_else_keeps_is_shown() {
    let metrics = Metrics::new().unwrap();
    metrics.ledger_commit_seconds.set(&[0.1, 0.5], &[3, 0, 1], 2.5);
    let text = metrics.render();
    for line in
        ["_bucket{le=\"0.1\"} 3", "_bucket{le=\"0.5\"} 3", "_bucket{le=\"+Inf\"} 4", "_sum 2.5", "_count 4"]
    {
        assert!(text.contains(&format!("weir_ledger_commit_seconds{line}\n")), "{line} is not in {text}");
    }
}

fn seated(digest: &str) -> Seated<'_> {
    Seated { policy: "route", version: "1.0.0", digest, hook: Hook::Route }
}

fn call(verdict: Verdict) -> Call<'static> {
    let elapsed = Duration::from_micros(2);
    Call { request_id: Some("req_1"), verdict, elapsed, fault: None, breaker_opened: false }
}

#[test]
fn old_versions_of_a_policy_leave_no_series_behind() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let policies = Policies::new(&metrics);
    let (live, other) = (policies.seat(seated("live-one")), policies.seat(seated("live-two")));
    live.asked(&call(Verdict::Plan));
    for version in 0..20 {
        let version = format!("{version:08}-and-the-rest");
        let seat = policies.seat(seated(&version));
        seat.asked(&call(Verdict::Plan));
        seat.asked(&call(Verdict::Abstain));
    }
    let text = metrics.render();
    let calls: Vec<_> = text.lines().filter(|line| line.starts_with("weir_policy_calls_total")).collect();
    assert_eq!(calls.len(), 7, "the live one, and three others with two verdicts: {calls:#?}");
    assert!(calls.iter().any(|line| line.contains("00000019") && line.contains("abstain")), "{calls:#?}");
    assert!(text.contains(r#"weir_policy_call_duration_seconds_count{hook="route",policy="route"} 41"#));
    live.asked(&call(Verdict::Plan));
    other.asked(&call(Verdict::Plan));
    let text = metrics.render();
    let counts = |version: &str, calls| {
        let line = format!(
            r#"weir_policy_calls_total{{hook="route",policy="route",verdict="plan",version="{version}"}} {calls}"#
        );
        text.lines().any(|known| known == line)
    };
    assert!(counts("live-one", 2) && counts("live-two", 1), "what is asked still keeps its series: {text}");
}

#[test]
fn pipelines_report_their_calls() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let policies = Policies::new(&metrics);
    let fault = Fault::new(FaultKind::Deadline, "too slow");
    let seat =
        |hook| policies.seat(Seated { policy: "mask", version: "1.2.0", digest: "0123456789abcdef", hook });
    seat(Hook::OnError).asked(&Call { fault: Some(&fault), breaker_opened: true, ..call(Verdict::Fault) });
    seat(Hook::OnError).asked(&call(Verdict::BreakerOpen));
    seat(Hook::Price).asked(&call(Verdict::Charge));
    let text = metrics.render();
    for line in [
        r#"weir_policy_calls_total{hook="on-error",policy="mask",verdict="fault",version="01234567"} 1"#,
        r#"weir_policy_calls_total{hook="on-error",policy="mask",verdict="breaker-open",version="01234567"} 1"#,
        r#"weir_policy_calls_total{hook="price",policy="mask",verdict="charge",version="01234567"} 1"#,
        r#"weir_policy_faults_total{hook="on-error",kind="deadline",policy="mask"} 1"#,
        r#"weir_policy_call_duration_seconds_count{hook="on-error",policy="mask"} 1"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_access_line_is_one_json_object() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let meters = meters(&metrics);
    let mut text = String::new();
    access::line(&exchange(&meters), |line| text = String::from_utf8(line.to_vec()).unwrap());
    let wanted = concat!(
        r#"{"timestamp":"2026-11-23T22:42:18.153456Z","level":"INFO","message":"exchange","target":"weir::access","#,
        r#""request_id":"req_1","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","api":"chat","alias":"fast","#,
        r#""provider":"sim","model":"sim-small","response_model":"sim-small-2026-11-01","status":200,"#,
        r#""outcome":"ok","stream":true,"cache":"bypass","finish_reasons":["stop","length"],"#,
        r#""attempts":2,"retries":0,"tried":["openai/gpt-4o-mini rate-limited","sim/sim-small ok"],"#,
        r#""tokens":{"input":100,"input.cached":40,"output":20},"charged_usd":1.000000123,"provider_usd":null,"#,
        r#""ttft_ms":12.345,"total_ms":30.000,"overhead_ms":0.033,"bytes_in":1024,"bytes_out":2048,"#,
        r#""generation":3,"tenant":"org \"1\"","key_id":"key_1"}"#,
        "\n"
    );
    assert_eq!(text, wanted);
    serde_json::from_str::<serde_json::Value>(&text).unwrap();

    let usage = Usage { seconds: 61, search_units: 2, ..Usage::default() };
    let line = Exchange { usage, ..exchange(&meters) };
    access::line(&line, |line| text = String::from_utf8(line.to_vec()).unwrap());
    assert!(
        text.contains(r#""tokens":{},"units":{"audio.seconds":61,"search-units":2},"charged_usd""#),
        "{text}"
    );
}

#[test]
fn what_a_caller_wrote_cannot_break_out_of_its_string() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let meters = meters(&metrics);
    let nasty = "a\"b\\c\nd\u{1}\u{7f}é\",\"status\":500";
    let mut value = serde_json::Value::Null;
    let exchange = Exchange { key_id: nasty.into(), ..exchange(&meters) };
    access::line(&exchange, |line| value = serde_json::from_slice(line).unwrap());
    assert_eq!(value["key_id"], nasty);
    assert_eq!(value["status"], 200);
}

/// Whoever adds a field has to come here and answer for it: facts and figures only, no content, no credential.
#[test]
fn an_exchange_carries_no_content() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let Exchange {
        meters: _,        // names from config
        request_id: _,    // ours
        trace: _,         // ids
        started_at: _,    // time
        api: _,           // enum
        model: _,         // index
        target: _,        // index
        response_model,   // a name by the provider, or nothing: traces and logs only
        ends: _,          // enums
        gaps: _,          // times
        status: _,        // number
        outcome: _,       // enum
        error: _,         // enum
        refused: _,       // a word of ours
        stream: _,        // flag
        cache: _,         // enum
        usage: _,         // numbers
        charged: _,       // number
        provider_cost: _, // number
        ttft: _,          // time
        total: _,         // time
        overhead: _,      // time
        generation: _,    // number
        key_id: _,        // id, log only
        tenant: _,        // id, log only
        bytes_in: _,      // number
        bytes_out: _,     // number
        attempts: _,      // indices, times, enums
        policies: _,      // names from manifests, times, enums
    } = exchange(&meters(&metrics));
    assert!(!response_model.is_empty());
}
