//! What `configure` leaves behind is what every instance begins with.

use crate::hooks::GRANTS;
use crate::host::Host;
use crate::world::{built, engine, granted, request};
use serde_json::{Value, json};
use std::sync::Arc;

/// A guest whose hook says how often this instance, or the one that it was made of, was configured.
fn counting(tables: &str) -> Vec<u8> {
    crate::guest::guard_configured(
        "config_schema: { type: object }",
        tables,
        "(i32.store8 (i32.const 1024) (i32.const 3)) (i32.store (i32.const 1028) (i32.const 5000))
         (i32.store (i32.const 1032) (global.get $configured))",
    )
}

fn configured(component: &[u8]) -> Vec<usize> {
    let policy = engine()
        .compile("test.wasm", component, &json!({ "a": 1 }), &granted(&[]))
        .unwrap_or_else(|e| panic!("{e}"));
    let asked = (0..3).map(|_| match policy.guard(&request("x")).expect("an answer").outcome {
        weir_policy::Guarded::Answer(text) => text.len(),
        other => panic!("{other:?}"),
    });
    asked.collect()
}

#[test]
fn the_state_after_configure_is_the_initial_state() {
    assert_eq!(configured(&counting("")), [1, 1, 1]);
}

/// A table that changes cannot be snapshotted: then each instance is configured, with the same result.
#[test]
fn a_component_that_cannot_be_snapshotted_is_configured_each_time() {
    let growing = "(table $t 1 funcref) (func $grow (drop (table.grow $t (ref.null func) (i32.const 1))))";
    assert_eq!(configured(&counting(growing)), [1, 1, 1]);
}

#[test]
fn what_configure_refuses_is_refused_at_load() {
    let component = built("every-hook");
    let compile = |config: &Value| {
        engine().compile("every-hook", &component, config, &Arc::new(Host::default()).grants(&GRANTS))
    };
    let refused = compile(&json!({ "hook": "nowhere" })).err().expect("refused").to_string();
    assert!(refused.contains("there is no hook `nowhere`"), "{refused}");
    let panics = compile(&json!({ "hook": "configure", "how": "panic" })).err().expect("refused").to_string();
    assert!(panics.contains("misdeeds.rs:"), "{panics}");
    let loops = compile(&json!({ "hook": "self-test", "how": "loop" })).err().expect("refused").to_string();
    assert!(loops.contains("self-test failed") && loops.contains("CPU"), "{loops}");
}
