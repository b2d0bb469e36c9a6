//! Paths of `price`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::tests::{Asked, compiled, path_is_script};
use super::value::Value as Walked;
use crate::api::head::HeadHandle;
use crate::api::money::BaseHandle;
use crate::script::Script;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use weir_llm::price::Nanos;
use weir_llm::usage::Usage;
use weir_policy::{Base, Charge, Policy};

/// A script of `price` with this body.
fn script(body: &str) -> Script {
    compiled(&source(body), &Value::Null)
}

fn source(body: &str) -> String {
    let header = "//! name: tested\n//! version: 1.0.0\n//! hooks: [price]\n";
    format!("{header}fn price(head, target, base, config) {{ {body} }}")
}

/// A call that is to be paid.
#[derive(Debug, Clone)]
struct Used {
    asked: Asked,
    target: &'static str,
    list: i64,
}

impl Used {
    fn of(list: i64) -> Self {
        Self { asked: Asked::plain(), target: "a/x", list }
    }

    fn base(&self) -> Arc<Base> {
        Arc::new(Base {
            target_id: self.target.into(),
            usage: Usage { output: self.list.unsigned_abs(), ..Usage::default() },
            rates: Arc::new([]),
            list_price: Nanos(self.list),
        })
    }
}

fn ask(script: &Script, used: &Used) -> Result<Charge, String> {
    script.price(&used.asked.view(), &used.base()).map_err(|fault| fault.message)
}

/// Whether a path of the script fits this call.
fn follows(script: &Script, used: &Used) -> bool {
    let head = Walked::Head(HeadHandle::View(used.asked.view()));
    let mut roots = vec![head, Walked::Other(used.target.into()), Walked::Base(BaseHandle(used.base()))];
    crate::meter::start(&script.0.manifest().limits);
    matches!(script.0.prices.follow(&mut roots), Some(Ok(_)))
}

#[test]
fn a_path_holds_for_any_price_and_for_one_target() {
    let script = script("base.charge().percent(10).fee(3)");
    assert_eq!(ask(&script, &Used::of(100)).unwrap().total, Nanos(113));
    assert!(follows(&script, &Used::of(7)));
    assert!(!follows(&script, &Used { target: "b/x", ..Used::of(100) }));
    assert_eq!(ask(&script, &Used::of(7)).unwrap().total, Nanos(11));
    assert_eq!(ask(&script, &Used { target: "b/x", ..Used::of(7) }).unwrap().total, Nanos(11));
    assert!(follows(&script, &Used { target: "b/x", ..Used::of(100) }));
}

#[test]
fn a_price_as_a_number_is_a_fork() {
    let script = script("charge(base.list_price * 2)");
    assert_eq!(ask(&script, &Used::of(5)).unwrap().total, Nanos(10));
    assert!(follows(&script, &Used::of(5)) && !follows(&script, &Used::of(6)));
    assert_eq!(ask(&script, &Used::of(6)).unwrap().total, Nanos(12));
}

#[test]
fn what_is_too_much_is_refused_on_a_path_as_without() {
    let script = script("base.charge().percent(900).fee(1)");
    ask(&script, &Used::of(1)).unwrap();
    let first = ask(&script, &Used::of(i64::MAX)).unwrap_err();
    assert!(first.contains("more money than fits"), "{first}");
    assert_eq!(ask(&script, &Used::of(2)).unwrap().total, Nanos(21));
}

#[test]
fn a_discount_is_at_most_all_of_it() {
    assert_eq!(ask(&script("base.charge().percent(-100)"), &Used::of(7)).unwrap().total, Nanos(0));
    let refused = ask(&script("base.charge().percent(-101).fee(1000)"), &Used::of(7)).unwrap_err();
    assert!(refused.contains("at most 100 per cent"), "{refused}");
}

#[test]
fn a_target_whose_name_is_too_long_to_keep_is_interpreted() {
    let (a, b): (&str, &str) = (&format!("a/{}", "x".repeat(1_100)), &format!("b/{}", "x".repeat(1_100)));
    let script = script("base.charge().percent(if target.starts_with(\"a/\") { 50 } else { -50 })");
    let ask = |target: &str| {
        let base = Base { target_id: target.into(), ..Base::clone(&Used::of(100).base()) };
        script.price(&Asked::plain().view(), &Arc::new(base)).unwrap().total
    };
    assert_eq!([ask(a), ask(b), ask(a), ask(b)], [150, 50, 150, 50].map(Nanos));
}

#[test]
fn a_quote_goes_the_way_of_the_price_unless_it_has_its_own() {
    let bound = Used::of(100);
    let quote = |script: &Script| script.quote(&bound.asked.view(), &bound.base()).unwrap();
    let one = script("base.charge().percent(10)");
    assert_eq!([quote(&one), quote(&one)], [110, 110].map(Nanos));
    assert!(follows(&one, &Used::of(7)));
    let own = source("base.charge()") + "\nfn quote(head, target, base, config) { 7 }";
    let own = compiled(&own, &Value::Null);
    assert_eq!([quote(&own), quote(&own)], [7, 7].map(Nanos));
    assert!(!follows(&own, &bound));
}

/// Who comes when there is no room left for another branch does not use up the lessons of the others.
#[test]
fn targets_beyond_the_room_of_a_fork_leave_lessons_for_others() {
    let script = script("if head.tenant == \"acme\" { base.charge() } else { base.charge().fee(5) }");
    let ask = |target: String, tenant: &str| {
        let base = Base { target_id: target.into(), ..Base::clone(&Used::of(1).base()) };
        let asked = Asked { tenant: tenant.to_owned(), ..Asked::plain() };
        script.price(&asked.view(), &Arc::new(base)).unwrap()
    };
    (0..150).for_each(|n| drop(ask(format!("a/{n}"), "acme")));
    ask("a/0".to_owned(), "globex");
    let known = |target| follows(&script, &Used { target, asked: Asked::plain(), list: 9 });
    assert!(known("a/0") && known("a/15") && !known("a/16"));
    let globex = Asked { tenant: "globex".to_owned(), ..Asked::plain() };
    assert!(
        follows(&script, &Used { target: "a/0", asked: globex, list: 9 }),
        "learned after all the others"
    );
}

fn used() -> impl Strategy<Value = Used> {
    let target = prop_oneof![Just("a/x"), Just("a/large"), Just("b/x")];
    let tenant = prop_oneof![Just("acme"), Just("globex")];
    let tier = prop::option::of(prop_oneof![Just("gold"), Just("tin")]);
    let list = prop_oneof![0..200i64, Just(5_000_000_000_000)];
    (target, tenant, tier, list).prop_map(|(target, tenant, tier, list)| {
        let asked = Asked { tenant: tenant.to_owned(), tier: tier.map(str::to_owned), ..Asked::plain() };
        Used { asked, target, list }
    })
}

/// The shipped script in several configs, and bodies that do with a charge what can be done.
fn corpus() -> Vec<(String, Value)> {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/pricing.rhai");
    let shipped = std::fs::read_to_string(shipped).unwrap();
    let rules = json!({ "charge_to_tag": "tier", "rules": [
        { "when": { "tenants": ["acme"], "providers": ["b"] }, "percent": -15 },
        { "when": { "tags": { "tier": "gold" } }, "percent": -100, "charge_to": "research" },
        { "when": { "targets": ["a/large"] }, "fee_nanos": 1000, "minimum_nanos": 1100 },
        { "percent": 33 },
    ] });
    let bodies = [
        "let c = base.charge(); if head.tenant == \"acme\" { c.percent(7); } c.item(\"x\", 1)",
        "let c = base.charge(); let d = c; d.fee(5); c.tag(\"t\", target)",
        "if base.charge().total > 100 { base.charge().percent(-50) } else { charge(3) }",
        "let c = charge(base.list_price); c.at_least(50).percent(10).fee(1); c",
        "let all = [base.charge()]; all[0].fee(2); all[0]",
        "let c = base.charge(); if target.starts_with(\"a/\") { c.percent(head.est_input_tokens) } else { c }",
    ];
    let mut all = vec![(shipped.clone(), json!({})), (shipped, rules)];
    all.extend(bodies.map(|body| (source(body), Value::Null)));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The invariant: a script with paths charges what the same script charges that was never asked before.
    #[test]
    fn a_path_charges_what_the_script_would(calls in proptest::collection::vec(used(), 1..24)) {
        path_is_script(corpus(), &calls, ask)?;
    }

    /// More is never charged less, whatever is added: what is held before the call covers what is charged after it.
    #[test]
    fn more_is_never_charged_less(
        small in 0..1_000_000i64, more in 0..1_000_000i64,
        percent in -100..1000i64, fee in 0..1000i64, least in 0..2_000_000i64,
    ) {
        let script = script(&format!("base.charge().percent({percent}).fee({fee}).at_least({least})"));
        let of = |list| ask(&script, &Used::of(list)).unwrap();
        let (less, all) = (of(small), of(small + more));
        prop_assert!(less.total <= all.total && less.total.0 >= 0);
        for charge in [less, all] {
            prop_assert_eq!(charge.items.iter().map(|(_, nanos)| nanos.0).sum::<i64>(), charge.total.0);
        }
    }
}
