//! Bytes that are no component of ours are refused with words, never with a panic.

use crate::guest::guard;
use crate::world::{engine, granted, request};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use serde_json::Value;
use std::sync::LazyLock;
use weir_policy::Capability;
use weir_wasm::Engine;

static ENGINE: LazyLock<Engine> = LazyLock::new(engine);
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| guard("", "", ""));

/// Loads and, if it does load, asks.
fn survive(bytes: &[u8]) {
    if let Ok(policy) = ENGINE.compile("test.wasm", bytes, &Value::Null, &granted(&Capability::ALL)) {
        let _ = policy.guard(&request("x"));
    }
    let _ = weir_wasm::inspect(bytes);
}

#[test]
fn every_truncation_is_refused() {
    for length in 0..GOOD.len() {
        let cut = &GOOD[..length];
        let loaded = ENGINE.compile("test.wasm", cut, &Value::Null, &granted(&[]));
        assert!(loaded.is_err(), "the first {length} bytes of {} loaded", GOOD.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_garbled_component_never_panics(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = GOOD.clone();
        for (place, byte) in flips {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        survive(&bytes);
    }

    #[test]
    fn a_component_with_a_piece_moved_never_panics(
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        length in 1_usize..200,
    ) {
        let mut bytes = GOOD.clone();
        let from = from.index(bytes.len());
        let piece: Vec<u8> = bytes.drain(from..(from + length).min(GOOD.len())).collect();
        let to = to.index(bytes.len() + 1);
        bytes.splice(to..to, piece);
        survive(&bytes);
    }
}
