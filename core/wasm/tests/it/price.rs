//! Pricers: metered by fuel, alone, the same answer every time.

use crate::world::{built, engine, granted, request};
use serde_json::{Value, json};
use std::sync::Arc;
use weir_llm::price::Nanos;
use weir_llm::usage::Usage;
use weir_policy::{Base, FaultKind, Policy};

fn load(config: &Value) -> Arc<dyn Policy> {
    engine().compile("pricer", &built("pricer"), config, &granted(&[])).unwrap_or_else(|e| panic!("{e}"))
}

fn base() -> Arc<Base> {
    Arc::new(Base {
        target_id: "sim/model-0".into(),
        usage: Usage { input: 1_000, output: 500, ..Usage::default() },
        rates: Arc::from([]),
        list_price: Nanos(1_000_000),
    })
}

#[test]
fn a_price_is_the_same_every_time() {
    let pricer = load(&Value::Null);
    let asked: Vec<_> = (0..5).map(|_| pricer.price(&request("x"), &base()).expect("a charge")).collect();
    assert_eq!(asked[0].total, Nanos(1_100_000));
    assert_eq!(asked[0].items[2], ("calls before".to_owned(), Nanos(0)));
    assert_eq!(asked[0].tags, [("fast at sim/model-0".to_owned(), "1500".to_owned())]);
    assert!(asked.iter().all(|charge| *charge == asked[0]), "{asked:?}");
    assert_eq!(pricer.quote(&request("x"), &base()), Ok(Nanos(2_000_000)));
}

#[test]
fn a_hostile_pricer_is_cut_by_its_operations() {
    let kind = |how: &str| {
        let pricer = load(&json!({ "hook": "price", "how": how }));
        assert_eq!(pricer.quote(&request("x"), &base()), Ok(Nanos(2_000_000)), "the other function works");
        let fault = pricer.price(&request("x"), &base()).expect_err("a fault");
        assert_eq!(pricer.price(&request("x"), &base()), Err(fault.clone()), "the same fault every time");
        fault
    };
    let cut = kind("loop");
    assert_eq!(cut.kind, FaultKind::Deadline);
    assert!(cut.message.contains("operations"), "{cut}");
    assert_eq!(kind("panic").kind, FaultKind::Trap);
    // The guest's own stack lies below its data: it overflows into a trap.
    assert!(matches!(kind("recursion").kind, FaultKind::Memory | FaultKind::Trap | FaultKind::Deadline));
    assert!(matches!(kind("memory").kind, FaultKind::Memory | FaultKind::Deadline));
    assert!(matches!(kind("huge").kind, FaultKind::BadAnswer | FaultKind::Deadline));
}

/// What it imports is types; whoever wants more is refused by name.
#[test]
fn a_pricer_imports_no_function() {
    let inspected = weir_wasm::inspect(&built("pricer")).expect("a component of ours");
    assert!(inspected.imports.iter().all(|i| i == "weir:policy/types@0.3.1"), "{:?}", inspected.imports);
}
