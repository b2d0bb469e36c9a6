//! Whatever text stands where a manifest should: a manifest within its ceilings, or a refusal that says why. As a file of
//! its own, and as the head of a script that is compiled: each manifest that can be read, and one of eight others.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_policy::{Grants, Limits, Manifest};

fuzz_target!(|text: &str| {
    let readable = match Manifest::parse_yaml(text, "manifest.yaml") {
        Ok(manifest) => {
            within(&manifest);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty(), "refused without a reason");
            false
        }
    };
    if !readable && text.len() % 8 != 0 {
        return;
    }
    let header: String = text.lines().map(|line| format!("//! {line}\n")).collect();
    let script = format!("{header}fn route(head, targets, config) {{ abstain() }}\n");
    match weir_script::compile("fuzz.rhai", &script, &serde_json::Value::Null, &Grants::offline()) {
        Ok(policy) => within(policy.manifest()),
        Err(error) => assert!(!error.to_string().is_empty(), "refused without a reason"),
    }
});

fn within(manifest: &Manifest) {
    let (limits, most) = (&manifest.limits, &Limits::MAX);
    assert!(!manifest.name.is_empty() && !manifest.hooks.is_empty(), "a policy without a name or a hook");
    assert!(limits.cpu_us <= most.cpu_us && limits.memory_bytes <= most.memory_bytes, "above a ceiling");
    assert!(
        limits.output_bytes <= most.output_bytes && limits.host_calls <= most.host_calls,
        "above a ceiling"
    );
    assert!(limits.wall_ms <= most.wall_ms && limits.http_calls <= most.http_calls, "above a ceiling");
}
