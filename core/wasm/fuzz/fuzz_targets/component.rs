//! Whatever bytes are pushed as a plugin: they are refused with a reason, or they are a policy that is asked and stays
//! within its limits. Most inputs are small components of ours with a few bytes changed, since those get furthest;
//! `.ci/fuzz` adds a shipped plugin as it is.
#![no_main]

#[path = "../../tests/it/guest.rs"]
#[allow(dead_code)]
mod guest;
#[path = "../../tests/it/world.rs"]
#[allow(dead_code)]
mod world;

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use weir_policy::Capability;
use weir_wasm::{Engine, inspect};

static ENGINE: LazyLock<Engine> = LazyLock::new(world::engine);

static BASES: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| {
    let now = r#"(import "weir:policy/env@0.3.1" "now-ms" (func $now (result i64)))"#;
    [
        guest::guard("", "", ""),
        guest::guard("capabilities: [env]", now, "(drop (call $now))"),
        guest::guard_configured("limits: { cpu_us: 100, memory_bytes: 4194304 }", "", "(loop $l (br $l))"),
        guest::memo("shared: true\n", false, true),
    ]
});

/// The bytes themselves, or one of the components above, changed: where (two bytes), how, and a byte.
fn component(data: &[u8]) -> Vec<u8> {
    let Some((&base, rest)) = data.split_first() else { return Vec::new() };
    let Some(base) = BASES.get(usize::from(base)) else { return rest.to_vec() };
    let mut bytes = base.clone();
    for change in rest.chunks_exact(4) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % (bytes.len() + 1);
        match (change[2] % 4, bytes.get_mut(at)) {
            (0, Some(byte)) => *byte = change[3],
            (1, Some(byte)) => *byte ^= 1 << (change[3] % 8),
            (2, Some(_)) => {
                let end = bytes.len().min(at + usize::from(change[3]));
                bytes.drain(at..end);
            }
            _ => bytes.insert(at, change[3]),
        }
    }
    bytes
}

fuzz_target!(|data: &[u8]| {
    let bytes = component(data);
    let said = inspect::inspect(&bytes);
    match (&said, world::load(&ENGINE, &bytes, &Capability::ALL)) {
        // What loads says what it is, and says the same both times.
        (Ok(said), Ok(policy)) => {
            assert_eq!(said.manifest.name, policy.manifest().name);
            let _ = policy.guard(&world::request("x"));
        }
        (Err(_), Ok(_)) => panic!("loaded, but cannot be inspected"),
        (_, Err(error)) => assert!(!error.to_string().is_empty(), "refused without a reason"),
    }
});
