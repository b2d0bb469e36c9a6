//! What reaches `/metrics`, and what does not.

use super::*;
use prometheus::TextEncoder;
use weir_policy::Retention;

struct Recorder(Registry, Records);

impl Recorder {
    fn new() -> Self {
        let registry = Registry::new();
        let records = Records::new(&registry).unwrap();
        Self(registry, records)
    }

    fn count(&self, policy: &str, name: &str, labels: &[(&str, &str)]) {
        self.1.count(&origin(policy), name, 1, &owned(labels));
    }

    /// The lines of `/metrics` that name a policy.
    fn shown(&self) -> Vec<String> {
        let text = TextEncoder::new().encode_to_string(&self.0.gather()).unwrap();
        text.lines().filter(|line| line.contains("policy=")).map(str::to_owned).collect()
    }
}

fn origin(policy: &str) -> Origin {
    Origin {
        policy: policy.into(),
        tenant: "org-SECRET".into(),
        request_id: "req_SECRET".into(),
        retention: Retention::Unknown,
        demands: None,
        tainted: false,
    }
}

fn owned(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn counters_and_histograms_are_shown_with_the_policys_name() {
    let recorder = Recorder::new();
    recorder.count("a", "hits", &[("kind", "email"), ("lang", "de")]);
    recorder.count("a", "hits", &[("lang", "de"), ("kind", "email")]);
    recorder.count("a", "hits", &[]);
    recorder.count("b", "hits", &[("kind", "\"quoted\"\\")]);
    recorder.1.observe(&origin("a"), "score", 0.3, &[]);
    recorder.1.observe(&origin("a"), "score", 1e9, &[]);
    let shown = recorder.shown();
    for line in [
        r#"weir_policy_custom_total{kind="email",lang="de",name="hits",policy="a"} 2"#,
        r#"weir_policy_custom_total{name="hits",policy="a"} 1"#,
        r#"weir_policy_custom_total{kind="\"quoted\"\\",name="hits",policy="b"} 1"#,
        r#"weir_policy_custom_bucket{name="score",policy="a",le="0.5"} 1"#,
        r#"weir_policy_custom_count{name="score",policy="a"} 2"#,
    ] {
        assert!(shown.iter().any(|shown| shown == line), "{line}\n{shown:#?}");
    }
    assert!(!shown.concat().contains("SECRET"));
}

#[test]
fn a_policy_has_so_many_series_and_no_more() {
    let recorder = Recorder::new();
    for n in 0..300 {
        recorder.count("loud", "hits", &[("n", &n.to_string())]);
    }
    recorder.count("loud", "hits", &[("n", "0")]);
    recorder.1.observe(&origin("loud"), "score", 1.0, &[]);
    recorder.count("calm", "hits", &[]);
    let shown = recorder.shown();
    let of = |prefix: &str| shown.iter().filter(|line| line.starts_with(prefix)).count();
    assert_eq!(of("weir_policy_custom_total"), 256 + 1);
    assert_eq!(of("weir_policy_custom_bucket"), 0);
    assert!(
        shown.contains(&r#"weir_policy_series_dropped_total{policy="loud"} 45"#.to_owned()),
        "{shown:#?}"
    );
    assert!(shown.contains(&r#"weir_policy_custom_total{n="0",name="hits",policy="loud"} 2"#.to_owned()));
    assert!(shown.contains(&r#"weir_policy_custom_total{name="hits",policy="calm"} 1"#.to_owned()));
}

#[test]
fn what_no_metric_can_be_called_is_dropped_and_counted() {
    let recorder = Recorder::new();
    let long = "x".repeat(65);
    for name in ["", "Hits", "1st", "a-b", "a\nb", "hits\u{e9}", &long] {
        recorder.count("p", name, &[]);
    }
    for label in ["", "policy", "name", "le", "__x", "A", "a b", &long] {
        recorder.count("p", "hits", &[(label, "v")]);
    }
    recorder.count("p", "hits", &[("a", "x\ny")]);
    recorder.count("p", "hits", &[("a", &long)]);
    recorder.count("p", "hits", &[("a", "1"), ("a", "2")]);
    recorder.count("p", "hits", &[("a", ""), ("b", ""), ("c", ""), ("d", ""), ("e", "")]);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        recorder.1.observe(&origin("p"), "score", value, &[]);
    }
    let dropped = r#"weir_policy_records_dropped_total{policy="p",reason="invalid"} 22"#;
    assert_eq!(recorder.shown(), [dropped]);
}

#[test]
fn the_log_of_one_policy_is_bounded() {
    let recorder = Recorder::new();
    let log = |policy, level, now| recorder.1.log(&origin(policy), level, "m", &[], now);
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink).finish();
    tracing::subscriber::with_default(subscriber, || {
        (0..LINES_AT_ONCE + 7).for_each(|_| log("loud", Level::Info, 0));
        log("calm", Level::Info, 0);
        // A second later there are a hundred more; what is below the log's level does not count.
        (0..1_000).for_each(|_| log("loud", Level::Trace, 1_000));
        (0..101).for_each(|_| log("loud", Level::Warn, 1_000));
    });
    assert_eq!(recorder.shown(), [r#"weir_policy_records_dropped_total{policy="loud",reason="rate"} 8"#]);
}

#[test]
fn fields_are_bounded_json() {
    let fields = owned(&[("a\"b", "c\nd"), ("long", &"\u{fc}".repeat(1_000))]);
    let text = json(&fields);
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(parsed["a\"b"], "c\nd");
    assert_eq!(parsed["long"].as_str().unwrap().len(), MAX_VALUE);
    let many: Vec<_> = (0..99).map(|n| (n.to_string(), String::new())).collect();
    assert_eq!(json(&many).matches(':').count(), MAX_FIELDS);
    assert_eq!(json(&[]), "{}");
}
