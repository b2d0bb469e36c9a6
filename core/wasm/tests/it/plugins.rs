//! The plugins that we ship, built from source as `weir plugin build` does, under their golden cases.

use crate::world::{engine, granted, request};
use serde_json::json;
use std::path::{Path, PathBuf};
use weir_policy::{Capability, FaultKind, GuardVerdict, Guarded, Manifest, Policy, cases};
use weir_wasm::build;

fn plugin(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins").join(name)
}

/// Into a folder of its own: the default place is the user's.
fn built(name: &str) -> (Vec<u8>, Manifest) {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("plugin.wasm");
    let built = build::plugin(&plugin(name), Some(&out)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(built.path, out);
    (std::fs::read(&out).expect("the component"), built.manifest)
}

fn pass_their_cases(name: &str, component: &[u8], grants: &[Capability]) {
    let engine = engine();
    let compile = |config: &serde_json::Value, host: &weir_policy::Grants| {
        let granted = weir_policy::Grants { capabilities: grants.to_vec(), ..host.clone() };
        engine.compile(name, component, config, &granted)
    };
    let report =
        cases::run_with(&plugin(name).join("cases.yaml"), &compile).unwrap_or_else(|e| panic!("{e}"));
    assert!(report.is_ok() && report.passed > 0, "{report}");
}

#[test]
fn mask_pii_masks() {
    let (component, manifest) = built("mask-pii");
    assert_eq!(manifest.name, "mask-pii");
    let inspected = weir_wasm::inspect(&component).expect("a component of ours");
    let ours = |import: &String| {
        ["types", "request", "fault"].iter().any(|i| *import == format!("weir:policy/{i}@0.3.1"))
    };
    assert!(inspected.imports.iter().all(ours), "{:?}", inspected.imports);
    assert!(component.len() < 300_000, "{} bytes", component.len());
    pass_their_cases("mask-pii", &component, &[]);
}

#[test]
fn headers_are_there_for_whoever_may_ask_for_them() {
    let reads = |name: &str, capabilities: &[Capability]| {
        let (component, _) = built(name);
        let policy = engine().compile(name, &component, &serde_json::Value::Null, &granted(capabilities));
        policy.unwrap_or_else(|error| panic!("{error}")).reads_headers()
    };
    assert!(!reads("mask-pii", &[]), "it does not import them, so none need be copied for it");
    assert!(reads("json-schema-output", &[Capability::Kv]), "it imports them");
}

/// Two calls at once and one after another: nothing of one shows in the other.
#[test]
fn mask_pii_is_asked_by_many_at_once() {
    let (component, _) = built("mask-pii");
    let engine = engine();
    let policy =
        engine.compile("mask-pii", &component, &serde_json::Value::Null, &granted(&[])).expect("it loads");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let clean = answer(&*policy, "nothing here");
                    assert_eq!(clean.outcome, Guarded::Pass);
                    let dirty = answer(&*policy, "to ada@example.org");
                    let Guarded::Edit(edits) = dirty.outcome else { panic!("not masked") };
                    assert_eq!((edits[0].start, edits[0].end), (3, 18));
                }
            });
        }
    });
}

/// What the guard says. On a busy machine a debug build can run out of its CPU time, which is not what is asked here.
fn answer(policy: &dyn Policy, text: &str) -> GuardVerdict {
    let answers = (0..100).map(|_| policy.guard(&request(text)));
    let mut answers =
        answers.skip_while(|answer| matches!(answer, Err(fault) if fault.kind == FaultKind::Deadline));
    answers.next().expect("time enough in one of a hundred calls").expect("an answer")
}

#[test]
fn route_cheapest_routes() {
    let (component, _) = built("route-cheapest");
    pass_their_cases("route-cheapest", &component, &[Capability::Targets]);
    let compile = |name: &str, component: &[u8], grants| {
        engine().compile(name, component, &serde_json::Value::Null, &granted(grants)).expect("it loads")
    };
    assert!(compile("route-cheapest", &component, &[Capability::Targets]).reads_warmth());
    assert!(!compile("redact-pii", &built("redact-pii").0, &[]).reads_warmth(), "it can see no target");
    let error = engine()
        .compile("route-cheapest", &component, &serde_json::Value::Null, &granted(&[]))
        .err()
        .expect("refused");
    assert!(error.to_string().contains("grants: [targets]"), "{error}");
}

/// No runtime is here: one that waits is asked as `weir policy test` and the proof before a load ask it.
fn passes(name: &str, grant: Capability) {
    let (component, manifest) = built(name);
    assert_eq!(manifest.name, name);
    assert!(component.len() < 600_000, "{name}: {} bytes", component.len());
    pass_their_cases(name, &component, &[grant]);
}

#[test]
fn json_schema_output_passes_its_cases() {
    passes("json-schema-output", Capability::Kv);
}

#[test]
fn request_limits_passes_its_cases() {
    passes("request-limits", Capability::Tokens);
}

#[test]
fn request_limits_is_asked_where_a_bound_may_be_hurt() {
    let (component, _) = built("request-limits");
    let from = |config: serde_json::Value| {
        let compiled =
            engine().compile("request-limits", &component, &config, &granted(&[Capability::Tokens]));
        compiled.expect("it loads").manifest().when.as_ref().map(|when| when.min_body_bytes)
    };
    assert_eq!(from(json!({ "max_body_bytes": 1000, "max_input_tokens": 200 })), Some(201));
    assert_eq!(from(json!({ "max_body_bytes": 1000, "system_prompts": ["developer"] })), Some(0));
    assert_eq!(from(json!({})), Some(u64::MAX));
}

/// It has no capability, and no sink to import.
#[test]
fn redact_pii_passes_its_cases() {
    let (component, manifest) = built("redact-pii");
    assert!(manifest.capabilities.is_empty());
    assert!(component.len() < 400_000, "{} bytes", component.len());
    pass_their_cases("redact-pii", &component, &[]);
}

#[test]
fn route_slo_passes_its_cases() {
    passes("route-slo", Capability::Targets);
}

#[test]
fn webhook_guard_passes_its_cases() {
    passes("webhook-guard", Capability::Http);
}

#[test]
fn a_folder_without_manifest_says_so() {
    let error = build::plugin(Path::new(env!("CARGO_MANIFEST_DIR")), None).expect_err("no manifest");
    assert!(error.to_string().contains("manifest.yaml"), "{error}");
}
