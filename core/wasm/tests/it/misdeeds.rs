//! The hostile corpus in Rust, in every kind of hook: each ends in its fault, in time, with a place.

use crate::hooks::{GRANTS, summary};
use crate::host::Host;
use crate::world::{built, candidates, engine, reply, request};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_llm::usage::{Source, Usage};
use weir_policy::{AttemptFacts, DeltaKind, Direction, Fault, FaultKind, Lane, Policy, ReplyMeta};
use weir_wasm::Engine;

const LANE: Lane = Lane { choice: 0, kind: DeltaKind::Content, index: 0 };

fn load(engine: &Engine, guest: &str, component: &[u8], hook: &str, how: &str) -> Arc<dyn Policy> {
    let grants = Arc::new(Host::default()).grants(&GRANTS);
    let config = json!({ "hook": hook, "how": how });
    engine.compile(guest, component, &config, &grants).unwrap_or_else(|e| panic!("{e}"))
}

/// Asks the hook of this name.
fn ask(policy: &dyn Policy, hook: &str) -> Result<(), Fault> {
    let asked = request("hello");
    match hook {
        "admit" => policy.admit(&asked).map(drop),
        "guard" => policy.guard(&asked).map(drop),
        "route" => policy.route(&asked, &candidates(2)).map(drop),
        "attempt" => {
            let facts = AttemptFacts { target: 0, target_id: "sim/model-0".into(), number: 1 };
            policy.attempt(&asked, &candidates(2), &Arc::new(facts)).map(drop)
        }
        "on-error" => policy.on_error(&asked, &candidates(2), &Arc::from([])).map(drop),
        "guard-response" => {
            let meta = ReplyMeta {
                target: 0,
                target_id: "sim/model-0".into(),
                finish_reason: "stop".into(),
                usage: Usage::default(),
                source: Source::Estimate,
                ttft_ms: 0,
                total_ms: 0,
                attempts: 1,
            };
            policy.guard_response(&asked, &reply(&asked, "x"), &Arc::new(meta)).map(drop)
        }
        "complete" => policy.complete(&Arc::from([summary("acme")])),
        "stream" => policy.stream(&asked).map(drop),
        "push" => policy.stream(&asked)?.push(LANE, "x", false).map(drop),
        "finish" => policy.stream(&asked)?.finish(&Usage::default()).map(drop),
        other => panic!("no hook {other}"),
    }
}

const HOOKS: [&str; 10] = [
    "admit",
    "guard",
    "route",
    "attempt",
    "on-error",
    "guard-response",
    "complete",
    "stream",
    "push",
    "finish",
];

fn fault(policy: &dyn Policy, hook: &str) -> Fault {
    let start = Instant::now();
    let fault = ask(policy, hook).expect_err(hook);
    assert!(start.elapsed() < Duration::from_secs(2), "{hook} took {:?}", start.elapsed());
    for other in HOOKS.into_iter().filter(|other| *other != hook) {
        // A stream that cannot begin has no pushes.
        if hook != "stream" || !["push", "finish"].contains(&other) {
            let answer = std::iter::repeat_with(|| ask(policy, other)).take(50);
            // On a busy machine a debug build can run out of its CPU time.
            let mut answer = answer.skip_while(|a| matches!(a, Err(f) if f.kind == FaultKind::Deadline));
            answer
                .next()
                .expect("time enough")
                .unwrap_or_else(|e| panic!("{other}, after {hook} failed: {e}"));
        }
    }
    fault
}

#[test]
fn an_endless_loop_is_cut_in_every_hook() {
    let (engine, component) = (engine(), built("every-hook"));
    for hook in HOOKS {
        let fault = fault(&*load(&engine, "every-hook", &component, hook, "loop"), hook);
        assert_eq!(fault.kind, FaultKind::Deadline, "{hook}: {fault}");
    }
}

#[test]
fn a_panic_has_a_place_in_every_hook() {
    let (engine, component) = (engine(), built("every-hook"));
    for hook in HOOKS {
        let fault = fault(&*load(&engine, "every-hook", &component, hook, "panic"), hook);
        assert_eq!(fault.kind, FaultKind::Trap, "{hook}: {fault}");
        let place = fault.place.unwrap_or_default();
        assert!(place.contains("misdeeds.rs:") && place.matches(':').count() == 2, "{hook}: {place}");
    }
}

#[test]
fn memory_and_stack_are_bounded_in_every_hook() {
    let (engine, component) = (engine(), built("every-hook"));
    for hook in HOOKS {
        for how in ["memory", "recursion"] {
            let fault = fault(&*load(&engine, "every-hook", &component, hook, how), hook);
            // A guest's own stack lies below its data: it overflows into a trap.
            let bounded = matches!(fault.kind, FaultKind::Memory | FaultKind::Trap | FaultKind::Deadline);
            assert!(bounded, "{hook}, {how}: {fault}");
        }
    }
}

#[test]
fn output_and_host_calls_are_bounded() {
    let (engine, component) = (engine(), built("every-hook"));
    let huge = fault(&*load(&engine, "every-hook", &component, "guard", "huge"), "guard");
    assert!(matches!(huge.kind, FaultKind::BadAnswer | FaultKind::Deadline), "{huge}");
    let calls = fault(&*load(&engine, "every-hook", &component, "guard", "calls"), "guard");
    assert_eq!(calls.kind, FaultKind::Deadline, "{calls}");
}

/// A redactor's panic has no place that a line number could be read from.
#[test]
fn a_hostile_redactor_is_cut_and_says_nothing() {
    let (engine, component) = (engine(), built("redactor"));
    let grants = Arc::new(Host::default()).grants(&GRANTS);
    for (how, kind) in [("loop", FaultKind::Deadline), ("panic", FaultKind::Trap)] {
        for hook in ["redact", "stream", "push"] {
            let config = json!({ "hook": hook, "how": how });
            let policy = engine.compile("redactor", &component, &config, &grants).expect("it loads");
            let asked = request("hello");
            let failed = match hook {
                "redact" => policy.redact(&asked, Direction::Request).map(drop),
                "stream" => policy.stream_redactor(&asked).map(drop),
                _ => policy.stream_redactor(&asked).expect("a redactor").push(LANE, "x", false).map(drop),
            };
            let fault = failed.expect_err(hook);
            assert_eq!(fault.kind, kind, "{hook}, {how}: {fault}");
            assert!(!fault.to_string().contains(".rs:"), "{fault}");
        }
    }
}
