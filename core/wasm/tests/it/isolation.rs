//! What an instance carries from call to call, and to whom.

use crate::guest::memo;
use crate::world::{candidates, engine, load, request_of};
use std::sync::Arc;
use weir_policy::{Candidates, Decision, Guarded, Policy, Retention};

/// `(calls that this instance has seen, organisation that it remembers)`.
fn ask(policy: &Arc<dyn Policy>, tenant: &str, candidates: &Arc<Candidates>) -> (u16, String) {
    ask_under(policy, tenant, Retention::Unknown, candidates)
}

fn ask_under(
    policy: &Arc<dyn Policy>,
    tenant: &str,
    terms: Retention,
    candidates: &Arc<Candidates>,
) -> (u16, String) {
    match policy.route(&request_of(tenant, terms, "hello"), candidates) {
        Ok(Decision::Deny(deny)) => (deny.status - 400, deny.message),
        other => panic!("{other:?}"),
    }
}

fn policy(manifest: &str, taint: bool, grow: bool) -> Arc<dyn Policy> {
    load(&engine(), &memo(manifest, taint, grow), &[]).expect("it loads")
}

#[test]
fn a_kept_instance_serves_one_organisation() {
    let (memo, facts) = (policy("", false, false), candidates(2));
    assert_eq!(ask(&memo, "acme", &facts), (1, "acme".into()));
    assert_eq!(ask(&memo, "acme", &facts), (2, "acme".into()), "the instance was kept");
    assert_eq!(ask(&memo, "globex", &facts), (1, "globex".into()), "nothing of acme reaches globex");
    assert_eq!(ask(&memo, "acme", &facts), (3, "acme".into()));
    assert_eq!(ask(&memo, "globex", &facts), (2, "globex".into()));
}

#[test]
fn a_shared_instance_does_not_learn_who_asks() {
    let (memo, facts) = (policy("shared: true", false, false), candidates(2));
    assert_eq!(ask(&memo, "acme", &facts), (1, String::new()));
    assert_eq!(ask(&memo, "globex", &facts), (2, String::new()));
}

#[test]
fn an_instance_that_read_something_is_dropped() {
    let (memo, facts) = (policy("", true, false), candidates(2));
    for _ in 0..3 {
        assert_eq!(ask(&memo, "acme", &facts), (1, "acme".into()));
    }
}

#[test]
fn strict_isolation_and_zero_retention_make_every_call_fresh() {
    let facts = candidates(2);
    let strict = policy("isolation: strict", false, false);
    assert_eq!(ask(&strict, "acme", &facts).0, 1);
    assert_eq!(ask(&strict, "acme", &facts).0, 1);
    let auto = policy("", false, false);
    assert_eq!(ask_under(&auto, "acme", Retention::Zero, &facts).0, 1);
    assert_eq!(ask_under(&auto, "acme", Retention::Zero, &facts).0, 1);
    assert_eq!(ask(&auto, "acme", &facts).0, 1, "nothing was kept of the calls before");
}

#[test]
fn an_instance_serves_one_target_table() {
    let memo = policy("", false, false);
    let (old, new) = (candidates(2), candidates(2));
    assert_eq!(ask(&memo, "acme", &old).0, 1);
    assert_eq!(ask(&memo, "acme", &new).0, 1);
    assert_eq!(ask(&memo, "acme", &new).0, 2);
}

/// A guard says how often its instance was asked, in the length of its answer; `taint` has it read a header.
fn counted(manifest: &str, taint: bool) -> Vec<usize> {
    let header = r#"(import "weir:policy/request@0.3.1" "[method]request-view.header"
        (func $header (param i32 i32 i32 i32)))"#;
    let read = "(call $header (local.get $view) (i32.const 5000) (i32.const 6) (i32.const 6000))";
    let body = format!(
        "{}
        (global.set $configured (i32.add (global.get $configured) (i32.const 1)))
        (i32.store8 (i32.const 1024) (i32.const 3)) (i32.store (i32.const 1028) (i32.const 5000))
        (i32.store (i32.const 1032) (global.get $configured))",
        if taint { read } else { "" }
    );
    let policy =
        load(&engine(), &crate::guest::guard_configured(manifest, header, &body), &[]).expect("it loads");
    let asked = ["acme", "acme", "globex", "acme"].map(|tenant| {
        match policy.guard(&request_of(tenant, Retention::Unknown, "hello")).expect("an answer").outcome {
            Guarded::Answer(text) => text.len(),
            other => panic!("{other:?}"),
        }
    });
    // `configure` counts as well.
    asked.map(|calls| calls - 1).to_vec()
}

/// Which config a guard has decides whether it reads: one that does not costs a call, not an instance.
#[test]
fn a_guard_that_reads_nothing_is_kept() {
    assert_eq!(counted("", false), [1, 2, 1, 3]);
    assert_eq!(counted("", true), [1; 4]);
    assert_eq!(counted("isolation: strict", false), [1; 4]);
}

#[test]
fn an_instance_that_grows_is_recycled() {
    let (memo, facts) = (policy("", false, true), candidates(2));
    assert_eq!(ask(&memo, "acme", &facts).0, 1);
    assert_eq!(ask(&memo, "acme", &facts).0, 1);
}

/// More organisations than instances may be kept: the oldest make room, and every call still gets its own.
#[test]
fn many_organisations_share_the_slots() {
    let (memo, facts) = (policy("", false, false), candidates(2));
    for round in 0..3 {
        for organisation in 0..40 {
            let name = format!("organisation-{organisation}");
            assert_eq!(ask(&memo, &name, &facts).1, name, "round {round}");
        }
    }
}
