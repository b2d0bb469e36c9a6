//! Whatever bytes are pushed as a plugin: they are refused with a reason, or they are a policy that stays within its
//! limits. `make fuzz` seeds the corpus with the shipped plugins, so that most inputs are components that are a little
//! wrong.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use weir_policy::Grants;
use weir_wasm::{Engine, Options, inspect};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let options = Options { cache_dir: None, mac_key: [0; 32], max_instances: 8 };
    Engine::new(options).expect("an engine")
});

fuzz_target!(|bytes: &[u8]| {
    let said = inspect::inspect(bytes);
    let loaded = ENGINE.compile("fuzz.wasm", bytes, &serde_json::Value::Null, &Grants::offline());
    match (&said, &loaded) {
        // What loads says what it is, and says the same both times.
        (Ok(said), Ok(policy)) => assert_eq!(said.manifest.name, policy.manifest().name),
        (Err(_), Ok(_)) => panic!("loaded, but cannot be inspected"),
        (_, Err(error)) => assert!(!error.to_string().is_empty(), "refused without a reason"),
    }
});
