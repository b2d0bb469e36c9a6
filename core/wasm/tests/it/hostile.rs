//! Each kind of misbehaviour ends in its fault, and nobody else notices.

use crate::guest::{guard, router};
use crate::host::{Host, burn};
use crate::world::{candidates, engine, load, request};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weir_policy::{
    Candidates, Capability, Decision, Fault, FaultKind, GuardVerdict, Live, LiveFacts, Policy,
};

fn call(manifest: &str, imports: &str, body: &str) -> Result<GuardVerdict, Fault> {
    let component = guard(manifest, imports, body);
    load(&engine(), &component, &[Capability::Env]).expect("it loads").guard(&request("hello"))
}

fn kind(body: &str) -> FaultKind {
    call("", "", body).expect_err("a fault").kind
}

#[test]
fn a_guard_that_does_nothing_passes() {
    assert_eq!(call("", "", ""), Ok(GuardVerdict::pass()));
}

#[test]
fn an_endless_loop_is_cut() {
    assert_eq!(kind("(loop $l (br $l))"), FaultKind::Deadline);
}

#[test]
fn a_memory_bomb_is_cut() {
    assert_eq!(kind("(loop $l (drop (memory.grow (i32.const 16))) (br $l))"), FaultKind::Memory);
    let table = "(table $t 1 funcref)";
    let grown = call("", table, "(loop $l (drop (table.grow $t (ref.null func) (i32.const 4096))) (br $l))");
    assert_eq!(grown.expect_err("a fault").kind, FaultKind::Memory);
}

#[test]
fn memory_is_cut_at_the_manifests_limit() {
    let grow = "(local.set $i (memory.grow (i32.const 32)))";
    assert!(call("", "", grow).is_ok());
    let tight = call("limits: { memory_bytes: 3000000 }", "", grow);
    assert_eq!(tight.expect_err("a fault").kind, FaultKind::Memory);
}

#[test]
fn a_trap_is_a_trap() {
    assert_eq!(kind("unreachable"), FaultKind::Trap);
    assert_eq!(kind("(drop (i32.load (i32.const -4)))"), FaultKind::Trap);
    assert_eq!(kind("(drop (i32.div_u (i32.const 1) (local.get $i)))"), FaultKind::Trap);
}

#[test]
fn deep_recursion_is_cut() {
    assert_eq!(kind("(drop (call $deep (i32.const 0)))"), FaultKind::Memory);
}

#[test]
fn a_huge_answer_is_refused() {
    let answer = |bytes: u32| {
        format!(
            "(i32.store8 (i32.const 1024) (i32.const 3)) (i32.store (i32.const 1032) (i32.const {bytes}))"
        )
    };
    assert!(call("", "", &answer(1000)).is_ok());
    assert_eq!(kind(&answer(1_100_000)), FaultKind::BadAnswer);
}

/// 100 edits that all name the same 256 KiB: 25 MiB for the host, for a guest of 2 MiB.
#[test]
fn an_answer_that_names_the_same_bytes_many_times_is_refused() {
    let body = "
        (i32.store8 (i32.const 1024) (i32.const 1))
        (i32.store (i32.const 1028) (i32.const 131072))
        (i32.store (i32.const 1032) (i32.const 100))
        (loop $l
            (i32.store offset=131092 (i32.mul (local.get $i) (i32.const 24)) (i32.const 262144))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.const 100))))";
    assert_eq!(kind(body), FaultKind::BadAnswer);
}

#[test]
fn an_answer_outside_of_memory_or_contract_is_refused() {
    assert_eq!(kind("(i32.store8 (i32.const 1024) (i32.const 9))"), FaultKind::BadAnswer);
    assert_eq!(
        kind(
            "(i32.store8 (i32.const 1024) (i32.const 3)) (i32.store (i32.const 1028) (i32.const -1)) \
        (i32.store (i32.const 1032) (i32.const 4))"
        ),
        FaultKind::BadAnswer
    );
}

#[test]
fn host_calls_are_counted() {
    let imports = r#"(import "weir:policy/env@0.3.1" "now-ms" (func $now (result i64)))"#;
    let calls = |count: u32| {
        format!(
            "(loop $l (drop (call $now)) (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $i) (i32.const {count}))))"
        )
    };
    let manifest = "capabilities: [env]\nlimits: { host_calls: 100, cpu_us: 20000 }";
    assert!(call(manifest, imports, &calls(100)).is_ok());
    let over = call(manifest, imports, &calls(10_000)).expect_err("a fault");
    assert_eq!(
        (over.kind, over.message.as_str()),
        (FaultKind::Deadline, "more calls into the host than host_calls")
    );
}

/// `body` a thousand times.
fn often(body: &str) -> String {
    format!(
        "(loop $l {body} (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))"
    )
}

/// The first count of a segment is the host's work, each further one the guest's.
#[test]
fn counting_a_segment_again_and_again_is_cut() {
    let imports = r#"(import "weir:policy/tokens@0.3.1" "count-segment" (func $count (param i32 i32 i32) (result i32)))"#;
    let count = "(drop (call $count (i32.const 5000) (i32.const 1) (i32.const 0)))";
    let host = Host::burning(Duration::from_millis(3));
    let guards = |body: &str| {
        let component = guard("capabilities: [tokens]", imports, body);
        let policy =
            engine().compile("test.wasm", &component, &Value::Null, &host.grants(&[Capability::Tokens]));
        policy.expect("it loads").guard(&request("hello"))
    };
    assert_eq!(guards(count), Ok(GuardVerdict::pass()), "once takes longer than cpu_us and is excused");
    let cut = guards(&often(count)).expect_err("a fault");
    assert_eq!((cut.kind, cut.message.as_str()), (FaultKind::Deadline, "more CPU time than cpu_us"));
    assert!(host.counted.load(Ordering::SeqCst) < 1000);
}

/// A scan that fails is as much work as one that does not.
#[test]
fn scanning_in_vain_again_and_again_is_cut() {
    let imports = r#"(import "weir:policy/request@0.3.1" "[method]request-view.scan" (func $scan (param i32 i32 i32 i32)))
        (data (i32.const 5000) "m")"#;
    let scan = "(call $scan (local.get $view) (i32.const 5000) (i32.const 1) (i32.const 2000))";
    let component = guard("matchers: [{ name: m, literals: [x] }]", imports, &often(scan));
    let policy = load(&engine(), &component, &[]).expect("it loads");
    let cut = policy.guard(&request(&"x".repeat(20_000))).expect_err("a fault");
    assert_eq!((cut.kind, cut.message.as_str()), (FaultKind::Deadline, "more CPU time than cpu_us"));
}

/// The first look at the candidates is the host's work, each further one the guest's.
#[test]
fn asking_for_the_candidates_again_and_again_is_cut() {
    struct Slow;
    impl LiveFacts for Slow {
        fn live(&self, target: u16) -> Live {
            burn(Duration::from_millis(3));
            Live { target, ..Live::default() }
        }
    }
    let imports = r#"(import "weir:policy/targets@0.3.1" "candidates" (func $candidates (param i32)))"#;
    let ask = "(call $candidates (i32.const 3000))";
    let one = Arc::new(Candidates { facts: Arc::new(Slow), ..(*candidates(1)).clone() });
    let routes = |body: &str| {
        let component = router("capabilities: [targets]", imports, body);
        let policy = load(&engine(), &component, &[Capability::Targets]).expect("it loads");
        policy.route(&request("hello"), &one)
    };
    assert_eq!(routes(ask), Ok(Decision::Abstain), "once takes longer than cpu_us and is excused");
    let cut = routes(&often(ask)).expect_err("a fault");
    assert_eq!((cut.kind, cut.message.as_str()), (FaultKind::Deadline, "more CPU time than cpu_us"));
}

/// The place of a panic is believed only if the component's own bytes contain it: here a text of the request's making.
#[test]
fn a_fault_carries_no_content() {
    let imports = r#"(import "weir:policy/fault@0.3.1" "panicked" (func $panicked (param i32 i32 i32 i32)))
        (import "weir:policy/request@0.3.1" "[method]request-view.text" (func $text (param i32 i32 i32 i32 i32)))
        (data (i32.const 5000) "src/lib.rs")"#;
    let leak = "(call $text (local.get $view) (i32.const 0) (i32.const 0) (i32.const 99) (i32.const 2000))
        (call $panicked (i32.load (i32.const 2004)) (i32.load (i32.const 2008)) (i32.const 1) (i32.const 1)) unreachable";
    let own = "(call $panicked (i32.const 5000) (i32.const 10) (i32.const 7) (i32.const 3)) unreachable";
    let fault = |body| {
        let component = guard("", imports, body);
        load(&engine(), &component, &[]).expect("it loads").guard(&request("a secret")).expect_err("a fault")
    };
    assert_eq!(fault(own).place.as_deref(), Some("src/lib.rs:7:3"));
    let leaked = fault(leak);
    assert_eq!(leaked.place.as_deref(), Some("undeclared"));
    assert!(!format!("{leaked:?}").contains("secret"));
}

/// Two policies on one engine: one loops for ever on another thread, the other answers every call.
#[test]
fn others_go_on() {
    let engine = engine();
    let policy = |body: &str| load(&engine, &guard("", "", body), &[]).expect("it loads");
    let (hostile, good): (Arc<dyn Policy>, Arc<dyn Policy>) = (policy("(loop $l (br $l))"), policy(""));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let cut = scope.spawn(|| {
            let mut cut = 0;
            while !done.load(Ordering::SeqCst) || cut == 0 {
                assert_eq!(hostile.guard(&request("x")).expect_err("a fault").kind, FaultKind::Deadline);
                cut += 1;
            }
            cut
        });
        for _ in 0..500 {
            assert_eq!(good.guard(&request("x")), Ok(GuardVerdict::pass()));
        }
        done.store(true, Ordering::SeqCst);
        assert!(cut.join().expect("the hostile thread") > 0);
    });
}

/// More calls at once than slots: some find none, none hangs, and all slots come back.
#[test]
fn no_slot_is_a_fault_of_its_own() {
    let engine = engine();
    let slow =
        load(&engine, &guard("limits: { cpu_us: 20000 }", "", "(loop $l (br $l))"), &[]).expect("it loads");
    let start = std::sync::Barrier::new(32);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..32)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    slow.guard(&request("x")).expect_err("a fault").kind
                })
            })
            .collect();
        for call in calls {
            let kind = call.join().expect("a call");
            assert!(matches!(kind, FaultKind::Deadline | FaultKind::NoSlot), "{kind:?}");
        }
    });
    let good = load(&engine, &guard("", "", ""), &[]).expect("it loads");
    assert!((0..100).all(|_| good.guard(&request("x")).is_ok()));
}

/// What the host writes goes where the guest's allocator says.
#[test]
fn an_allocator_that_lies_hurts_nobody_else() {
    let ask = |place: &str| {
        // The config, which is two bytes, is given to it as it should be.
        let realloc = format!(
            "(func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32)
                (if (result i32) (i32.eq (local.get 3) (i32.const 2))
                    (then (i32.const 1024)) (else {place})))"
        );
        let component = crate::guest::router_allocating(&realloc, "", "", "");
        let policy = load(&engine(), &component, &[]).expect("it loads");
        [(); 2].map(|()| policy.route(&request("hello"), &candidates(2)))
    };
    for beyond in ["(i32.const -8)", "(i32.const 2097152)", "(i32.const 2097144)"] {
        let answers = ask(beyond);
        assert!(answers.iter().all(Result::is_err), "{beyond}: {answers:?}");
    }
    let grows = "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))";
    for within in ["(i32.const 65536)", "(i32.const 0)", grows] {
        let answers = ask(within);
        assert!(answers.iter().all(|answer| *answer == Ok(Decision::Abstain)), "{within}: {answers:?}");
    }
}
