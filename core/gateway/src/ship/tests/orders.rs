//! Orders and changed files: what is live, what is remembered, what is refused.

use super::{Yard, content, good, push, script};
use crate::config::{CanaryOptions, ShadowOptions, ShipOptions};
use crate::ship::order::{No, Order};
use crate::ship::record::{Ended, HISTORY, Stage};
use crate::ship::store::{Found, Store};
use crate::ship::unit::{Candidate, Running};
use crate::ship::{VERSIONS, gate::Gate};
use proptest::prelude::{Strategy, any, prop_oneof};
use std::sync::Arc;

const AT_ONCE: ShipOptions = ShipOptions {
    shadow: None,
    canary: None,
    max_changed: 2_000,
    rollback_window: std::time::Duration::from_secs(600),
};

fn staged(shadow: bool, canary: bool) -> ShipOptions {
    ShipOptions {
        shadow: shadow.then_some(ShadowOptions { requests: None, span: None }),
        canary: canary.then_some(CanaryOptions { share: 500, span: None }),
        ..AT_ONCE
    }
}

fn refused(result: Result<serde_json::Value, No>) -> String {
    match result {
        Err(No::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// Asks what runs so many questions.
pub(super) fn ask(yard: &Yard, times: usize) {
    let (view, candidates) = super::shadows::question(&["sim/a"]);
    for _ in 0..times {
        let mut trace = Vec::new();
        let routed = yard.pipeline.route(&view, &candidates, &mut trace);
        let _ = futures::executor::block_on(routed);
    }
}

#[test]
fn a_push_without_stages_is_live_at_once_and_after_a_restart() {
    let mut yard = Yard::new("", &good("file"));
    let answer = yard.push(&good("pushed"), AT_ONCE).unwrap();
    assert_eq!(answer["stage"], "live");
    let steps: Vec<_> = answer["steps"].as_array().unwrap().iter().map(|step| step["step"].clone()).collect();
    assert_eq!(
        steps,
        ["digest", "signature", "grants", "compile", "config", "self-test", "coverage", "golden cases"]
    );
    assert_eq!(yard.live(), content(&good("pushed")));
    // The file has not changed: it says nothing new.
    yard.reload().unwrap();
    assert_eq!(yard.live(), content(&good("pushed")));
    let yard = yard.reopened("");
    assert_eq!(yard.live(), content(&good("pushed")));
}

#[test]
fn a_changed_file_goes_live_at_once_where_nothing_else_is_asked() {
    let mut yard = Yard::new("", &good("one"));
    yard.push(&good("pushed"), AT_ONCE).unwrap();
    yard.write(&good("two"));
    yard.reload().unwrap();
    assert_eq!(yard.live(), content(&good("two")));
    yard.order(Order::Rollback { to: None }).unwrap();
    assert_eq!(yard.live(), content(&good("pushed")));
    let yard = yard.reopened("");
    assert_eq!(yard.live(), content(&good("pushed")), "a rollback outlives the process");
}

#[test]
fn a_changed_file_is_a_candidate_where_stages_are_asked_for() {
    let ship = ", ship: { shadow: {}, canary: { share: 5% } }";
    let mut yard = Yard::new(ship, &good("one"));
    assert_eq!(yard.ship.units()["p"].stage(), None, "what is first seen is live");
    yard.write(&good("two"));
    yard.reload().unwrap();
    assert_eq!(yard.live(), content(&good("one")));
    assert_eq!(yard.ship.units()["p"].stage(), Some(Stage::Shadow));
    yard.look();
    assert!(yard.ship.units()["p"].candidate.is_some(), "it runs from the next look on");
    yard.reload().unwrap();
    assert!(yard.ship.units()["p"].candidate.is_some(), "a reload that changes nothing changes nothing");
    yard.order(Order::Promote).unwrap();
    assert_eq!(yard.ship.units()["p"].stage(), Some(Stage::Canary));
    let mut yard = yard.reopened(ship);
    assert_eq!(yard.ship.units()["p"].stage(), Some(Stage::Canary), "a candidate outlives the process");
    yard.look();
    assert!(yard.ship.units()["p"].candidate.is_some());
    yard.order(Order::Promote).unwrap();
    assert_eq!(yard.live(), content(&good("two")));
    assert_eq!(yard.ship.units()["p"].stage(), None);
}

#[test]
fn a_file_that_becomes_another_policy_takes_nobodys_place() {
    let mut yard = Yard::new("", &good("one"));
    yard.write(&good("two").replace("name: p", "name: q"));
    yard.reload().unwrap();
    assert_eq!(yard.ship.units().keys().collect::<Vec<_>>(), ["q"]);
    yard.write(&good("one"));
    yard.reload().unwrap();
    assert_eq!(yard.live(), content(&good("one")));
}

#[test]
fn a_file_that_is_broken_at_a_start_leaves_the_version_before_it_live() {
    let yard = Yard::new("", &good("one"));
    yard.write(&script("2", "abstian()"));
    let mut yard = yard.reopened("");
    assert_eq!(yard.live(), content(&good("one")));
    let history = yard.ship.history("p").unwrap();
    assert_eq!(history["history"][0]["how"], "refused");
    assert!(history["history"][0]["why"].as_str().unwrap().contains("abstian"), "{history}");
    let why = yard.reload().unwrap_err().join("\n");
    assert!(why.contains("p.rhai:6") && why.contains("abstian"), "{why}");
}

#[test]
fn what_an_engine_does_in_one_go_is_told_apart() {
    let mut yard = Yard::new("", &good("one"));
    let header = |more: &str| good("x").replace("hooks: [route]\n", &format!("hooks: [route]\n{more}"));
    let asks = refused(yard.push(&header("//! capabilities: [http]\n"), AT_ONCE));
    assert!(asks.starts_with("grants: ") && asks.contains("p.rhai:4") && asks.contains("`http`"), "{asks}");
    let wants = "//! config_schema: { type: object, required: [floor] }\n";
    let wants = refused(yard.push(&header(wants), AT_ONCE));
    assert!(wants.starts_with("config: ") && wants.contains("floor"), "{wants}");
    let tests =
        refused(yard.push(&(good("x") + "fn self_test(config) { throw \"two is not one\" }\n"), AT_ONCE));
    assert!(tests.starts_with("self-test: ") && tests.contains("two is not one"), "{tests}");
    assert!(refused(yard.push("//! nam: p\n", AT_ONCE)).starts_with("manifest: "));
}

#[test]
fn each_step_may_refuse_and_says_so() {
    let mut yard = Yard::new("", &good("one"));
    assert!(refused(yard.push(&script("2", "abstian()"), AT_ONCE)).starts_with("compile: "));
    assert!(refused(yard.push(&good("one"), AT_ONCE)).contains("live already"));
    let other = good("x").replace("name: p", "name: q");
    assert!(refused(yard.push(&other, AT_ONCE)).contains("called `q`, not `p`"));
    let blind = "//! name: p\n//! version: '1'\n//! hooks: [guard]\n//! surfaces: [chat]\n\nfn guard(request, config) { pass() }\n";
    assert!(refused(yard.push(blind, AT_ONCE)).starts_with("coverage: "));
    let Order::Push(mut with_cases) = push(&good("cases"), AT_ONCE) else { unreachable!() };
    with_cases.cases =
        Some("targets: [{ id: sim/a }]\ncases:\n  - name: it plans\n    expect: { plan: [sim/a] }\n".into());
    let why = refused(yard.order(Order::Push(with_cases)));
    assert!(why.starts_with("golden cases: ") && why.contains("it plans"), "{why}");
    assert!(matches!(yard.ship.order(&yard.config, "q", Order::Promote), Err(No::Unknown(_))));
    assert!(refused(yard.order(Order::Promote)).contains("no version on its way"));
    assert!(refused(yard.order(Order::Rollback { to: None })).contains("no version of `p` before"));
    assert!(refused(yard.order(Order::Rollback { to: Some("abcdef".into()) })).contains("history p"));
    assert_eq!(yard.live(), content(&good("one")));
    let refusals =
        yard.ship.units()["p"].index.history.iter().filter(|entry| entry.how == Ended::Refused).count();
    assert_eq!(refusals, 4, "every push that was refused is remembered, but for what is live already");
}

#[test]
fn refused_pushes_leave_the_way_back_open() {
    let mut yard = Yard::new("", &good("one"));
    yard.push(&good("two"), AT_ONCE).unwrap();
    for _ in 0..HISTORY {
        assert!(refused(yard.push(&good("two"), AT_ONCE)).contains("live already"));
        assert!(refused(yard.push(&script("3", "abstian()"), AT_ONCE)).starts_with("compile: "));
    }
    let history = &yard.ship.units()["p"].index.history;
    assert_eq!((history.len(), history[HISTORY - 1].how), (HISTORY, Ended::Refused));
    yard.order(Order::Rollback { to: None }).unwrap();
    assert_eq!(yard.live(), content(&good("one")));
}

#[test]
fn candidates_that_ended_leave_the_way_back_open() {
    let mut yard = Yard::new("", &good("one"));
    yard.push(&good("two"), AT_ONCE).unwrap();
    for number in 0..HISTORY {
        yard.push(&good(&number.to_string()), staged(false, true)).unwrap();
        yard.order(Order::Abort).unwrap();
    }
    refused(yard.push(&script("3", "abstian()"), AT_ONCE));
    assert_eq!(yard.ship.units()["p"].index.history[HISTORY - 1].how, Ended::Refused, "the latest is kept");
    let before = yard.ship.units()["p"].index.before().unwrap();
    assert_eq!(before.content, content(&good("one")));
    yard.push(&good("three"), AT_ONCE).unwrap();
    yard.order(Order::Rollback { to: None }).unwrap();
    assert_eq!(yard.live(), content(&good("two")));
}

#[test]
fn whoever_names_a_version_takes_none_back() {
    let mut yard = Yard::new("", &good("one"));
    yard.push(&good("two"), AT_ONCE).unwrap();
    yard.order(Order::Rollback { to: None }).unwrap();
    yard.order(Order::Rollback { to: Some(content(&good("two"))) }).unwrap();
    assert_eq!(yard.live(), content(&good("two")));
    yard.order(Order::Rollback { to: None }).unwrap();
    assert_eq!(yard.live(), content(&good("one")));
    // The other one was taken back by now, without a word of where to.
    let why = refused(yard.order(Order::Rollback { to: None }));
    assert!(why.contains("`weir policy history p`") && why.contains("`--to`"), "{why}");
}

/// What somebody chose another version over does not come back by itself.
#[test]
fn a_breaker_does_not_undo_a_persons_choice() {
    let chosen = script("1.0.0", "throw \"down\"");
    let mut yard = Yard::new("", &chosen);
    yard.push(&good("left"), AT_ONCE).unwrap();
    yard.order(Order::Rollback { to: Some(content(&chosen)) }).unwrap();
    ask(&yard, 5);
    yard.look();
    assert_eq!(yard.live(), content(&chosen));
    yard.order(Order::Rollback { to: None }).unwrap();
    assert_eq!(yard.live(), content(&good("left")), "a person may");
}

#[test]
fn a_promotion_that_is_not_made_leaves_the_shadow_running() {
    for crowded in [false, true] {
        let mut yard = Yard::new("", &good("zero"));
        let held = crowded.then(|| Arc::clone(&yard.ship.units()["p"].live.policies[0]));
        yard.push(&good("one"), AT_ONCE).unwrap();
        yard.push(&good("two"), staged(true, true)).unwrap();
        // What comes after an order may refuse it still: the disk, for one.
        drop(yard.ship.order(&yard.config, "p", Order::Promote).unwrap());
        yard.look();
        ask(&yard, 1);
        let unit = &yard.ship.units()["p"];
        assert_eq!(unit.stage(), Some(Stage::Shadow));
        let Some(Candidate { kind: Running::Shadow(shadows), .. }) = &unit.candidate else {
            panic!("it is in shadow")
        };
        super::shadows::report(&shadows[0], 1);
        drop(held);
    }
}

#[test]
fn a_signature_is_asked_for_where_config_says_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.rhai"), good("one")).unwrap();
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    let yaml = format!("{}signing: {{ keys: [{key}], required: true }}\n", super::yaml(""));
    let path = std::path::Path::new("weir.yaml");
    let config = crate::config::Config::parse(&yaml, folder.path(), path, &|_| None).unwrap();
    let why = super::fresh(folder.path()).bind(&config).err().unwrap().join("\n");
    assert!(why.contains("signature: ") && why.contains("minisign"), "{why}");
}

#[test]
fn a_gate_takes_back_and_a_breaker_of_a_young_version_rolls_back() {
    let mut yard = Yard::new("", &good("one"));
    yard.push(&good("two"), staged(false, true)).unwrap();
    yard.order(Order::Gate(Gate::TakeBack("it failed".into()))).unwrap();
    assert_eq!(yard.ship.units()["p"].stage(), None);
    yard.push(&good("three"), AT_ONCE).unwrap();
    let digest = yard.running().remove(0);
    yard.order(Order::Tripped { digest: digest.clone(), hook: "route" }).unwrap();
    assert_eq!(yard.live(), content(&good("one")));
    assert!(refused(yard.order(Order::Tripped { digest, hook: "route" })).contains("gone already"));
    let history = yard.ship.history("p").unwrap().to_string();
    assert!(history.contains("its breaker opened at `route`") && history.contains("it failed"), "{history}");
    // The way back skips what was taken back.
    assert!(refused(yard.order(Order::Rollback { to: None })).contains("no version"));
}

#[test]
fn a_young_version_that_fails_at_once_is_rolled_back_by_itself() {
    let mut yard = Yard::new("", &good("one"));
    yard.push(&script("2.0.0", "throw \"broken\""), AT_ONCE).unwrap();
    ask(&yard, 5);
    yard.look();
    assert_eq!(yard.live(), content(&good("one")));
}

#[test]
fn a_breaker_is_heard_until_there_is_room_for_the_way_back() {
    let mut yard = Yard::new("", &good("zero"));
    let _stream = Arc::clone(&yard.ship.units()["p"].live.policies[0]);
    yard.push(&good("one"), AT_ONCE).unwrap();
    let broken = script("2.0.0", "throw \"broken\"");
    yard.push(&broken, AT_ONCE).unwrap();
    yard.push(&good("three"), staged(false, true)).unwrap();
    let Some(Candidate { kind: Running::Canary { loaded, .. }, .. }) = &yard.ship.units()["p"].candidate
    else {
        panic!("it is a canary");
    };
    let asked = Arc::clone(&loaded.policies[0]);
    ask(&yard, 5);
    for _ in 0..3 {
        yard.look();
        assert_eq!(yard.live(), content(&broken), "there is no room yet");
        assert!(
            yard.ship.units()["p"].candidate.is_none(),
            "the canary makes room, and does not come between"
        );
    }
    drop(asked);
    yard.look();
    assert_eq!(yard.live(), content(&good("one")));
    yard.look();
    assert!(yard.ship.units()["p"].candidate.is_some(), "the canary goes on beside what is live now");
    assert!(yard.ship.watcher().tripped().is_empty(), "it is not said again");
}

#[test]
fn a_fourth_version_waits_until_one_is_let_go() {
    let mut yard = Yard::new("", &good("0"));
    let held: Vec<Arc<dyn weir_policy::Policy>> = (1..=2)
        .map(|number| {
            yard.push(&good(&number.to_string()), AT_ONCE).unwrap();
            Arc::clone(&yard.ship.units()["p"].live.policies[0])
        })
        .collect();
    let first = held[0].clone();
    yard.push(&good("3"), AT_ONCE).unwrap();
    let waits = yard.push(&good("4"), AT_ONCE);
    assert!(matches!(&waits, Err(No::Busy(why)) if why.contains("none of them is cut")), "{waits:?}");
    assert_eq!(yard.live(), content(&good("3")));
    drop((held, first));
    yard.push(&good("4"), AT_ONCE).unwrap();
}

#[test]
fn two_thousand_swaps_leave_no_version_behind() {
    let mut yard = Yard::new("", &good("0"));
    for number in 1..=2_000 {
        yard.push(&good(&number.to_string()), AT_ONCE).unwrap();
        assert!(yard.ship.alive("p") <= VERSIONS, "swap {number}: {}", yard.ship.alive("p"));
    }
    assert_eq!(yard.live(), content(&good("2000")));
    let kept = std::fs::read_dir(yard.folder.path().join("policies/p")).unwrap().count();
    assert!(kept <= crate::ship::record::HISTORY + 3, "{kept} files");
}

#[derive(Debug, Clone)]
enum Deed {
    Push { number: u8, shadow: bool, canary: bool },
    Bad,
    File { number: u8 },
    BadFile,
    Promote,
    Abort,
    Back,
    Look,
    Gate { on: bool },
    Restart,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0..6_u8, any::<bool>(), any::<bool>())
            .prop_map(|(number, shadow, canary)| Deed::Push { number, shadow, canary }),
        1 => proptest::strategy::Just(Deed::Bad),
        2 => (0..6_u8).prop_map(|number| Deed::File { number }),
        1 => proptest::strategy::Just(Deed::BadFile),
        4 => proptest::strategy::Just(Deed::Promote),
        1 => proptest::strategy::Just(Deed::Abort),
        2 => proptest::strategy::Just(Deed::Back),
        2 => proptest::strategy::Just(Deed::Look),
        1 => any::<bool>().prop_map(|on| Deed::Gate { on }),
        1 => proptest::strategy::Just(Deed::Restart),
    ]
}

/// Does it; whether it was refused.
fn perform(yard: &mut Yard, deed: &Deed) -> bool {
    let text = |number: u8| good(&format!("version {number}"));
    match deed {
        Deed::Push { number, shadow, canary } => yard.push(&text(*number), staged(*shadow, *canary)).is_err(),
        Deed::Bad => yard.push(&script("9", "abstian()"), AT_ONCE).is_err(),
        Deed::File { number } => {
            yard.write(&text(*number));
            yard.reload().is_err()
        }
        Deed::BadFile => {
            yard.write("no policy at all");
            yard.reload().is_err()
        }
        Deed::Promote => yard.order(Order::Promote).is_err(),
        Deed::Abort => yard.order(Order::Abort).is_err(),
        Deed::Back => yard.order(Order::Rollback { to: None }).is_err(),
        Deed::Gate { on: true } => yard.order(Order::Gate(Gate::GoOn)).is_err(),
        Deed::Gate { on: false } => yard.order(Order::Gate(Gate::TakeBack("test".into()))).is_err(),
        Deed::Look => {
            yard.look();
            false
        }
        Deed::Restart => false,
    }
}

fn check(yard: &Yard, before: &str, refused: bool, deed: &Deed) {
    let unit = &yard.ship.units()["p"];
    assert_eq!(
        yard.running(),
        unit.live.digests(),
        "exactly one version is live, and it is the one that runs"
    );
    assert!(yard.ship.alive("p") <= VERSIONS, "{deed:?}: {} versions are compiled", yard.ship.alive("p"));
    if refused {
        assert_eq!(unit.live.version.content, before, "{deed:?} was refused and changed what is live");
    }
    let store = Store::of(yard.folder.path());
    let Found::Index(index) = store.load("p").unwrap() else { panic!("nothing is remembered") };
    assert_eq!(*index, unit.index, "what is remembered is what runs");
    assert!(unit.index.candidate.is_some() || unit.candidate.is_none(), "what runs is on its way");
    assert!(unit.index.versions().all(|version| store.bytes("p", version).is_ok()), "all bytes are kept");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 48, ..Default::default() })]

    #[test]
    fn whatever_is_ordered_one_version_is_live_and_refusals_change_nothing(
        deeds in proptest::collection::vec(deed(), 1..25),
        staged in any::<bool>(),
    ) {
        let ship = if staged { ", ship: { shadow: {}, canary: { share: 5% } }" } else { "" };
        let mut yard = Yard::new(ship, &good("version 0"));
        for deed in &deeds {
            let before = yard.live();
            if matches!(deed, Deed::Restart) {
                yard = yard.reopened(ship);
            }
            let refused = perform(&mut yard, deed);
            check(&yard, &before, refused, deed);
        }
    }
}
