use super::*;
use proptest::prelude::*;

struct World {
    ring: Ring,
    ms: Arc<AtomicU64>,
}

impl World {
    fn new() -> Self {
        let ms = Arc::new(AtomicU64::new(1_000_000));
        Self { ring: Ring::new(Clock::manual(Arc::clone(&ms))), ms }
    }

    fn pass(&self, ms: u64) {
        self.ms.fetch_add(ms, Relaxed);
    }

    fn condition(&self, place: usize) -> Condition {
        self.ring.conditions()[&("p".into(), place)]
    }
}

#[test]
fn keys_take_turns_and_a_limited_one_is_passed_over_for_as_long_as_was_said() {
    let world = World::new();
    let keys = world.ring.keys("p", "m", &["a", "b", "c"]);
    let turns: Vec<_> = (0..6).map(|_| keys.pick(Insist::No).unwrap()).collect();
    assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
    keys.limited(1, Some(5_000));
    assert_eq!((world.condition(1), keys.has_another()), (Condition::Cooling, true));
    assert!((0..30).all(|_| keys.pick(Insist::No).unwrap() != 1));
    world.pass(4_999);
    assert!((0..30).all(|_| keys.pick(Insist::No).unwrap() != 1));
    world.pass(1);
    assert!((0..3).any(|_| keys.pick(Insist::No).unwrap() == 1));
    assert_eq!(world.condition(1), Condition::Ready);
}

#[test]
fn a_rest_that_nobody_asked_for_doubles_and_is_cut_short_by_need() {
    let world = World::new();
    let keys = world.ring.keys("p", "m", &["a"]);
    for rest in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        keys.limited(0, None);
        assert_eq!(keys.pick(Insist::No), Err(Wait { ms: rest, why: Why::Limited }));
        assert_eq!(keys.pick(Insist::Last), Ok(0), "there is nobody else");
        world.pass(rest);
        assert_eq!(keys.pick(Insist::No), Ok(0));
    }
    keys.well(0);
    keys.limited(0, None);
    assert_eq!(keys.closed_for(), Some(1_000), "an answer in between ends the run");
}

#[test]
fn what_the_provider_asked_for_is_kept_even_if_there_is_nobody_else() {
    let world = World::new();
    let keys = world.ring.keys("p", "m", &["a", "b"]);
    keys.limited(0, Some(9_000));
    keys.limited(1, Some(7_000));
    assert_eq!(keys.pick(Insist::Last), Err(Wait { ms: 7_000, why: Why::Limited }));
    keys.well(1);
    assert_eq!(keys.closed_for(), Some(7_000), "an answer that was under way opens nothing");
    assert!(keys.pick(Insist::Again).is_ok(), "the plan waited by itself");
    keys.limited(1, Some(10));
    assert_eq!(keys.closed_for(), Some(7_000), "the later end holds");
    keys.limited(1, Some(u32::MAX));
    keys.limited(0, Some(u32::MAX));
    assert_eq!(keys.closed_for(), Some(LONGEST_MS), "no header shuts a target for days");
    world.ring.keys("p", "other", &["a", "b"]).pick(Insist::No).unwrap();
}

#[test]
fn a_refused_key_is_out_for_all_models_and_comes_back_by_one_probe() {
    let world = World::new();
    let (keys, other) = (world.ring.keys("p", "m", &["a"]), world.ring.keys("p", "n", &["a"]));
    let mut out = 60_000;
    for _ in 0..6 {
        keys.refused(0, false);
        keys.refused(0, false);
        assert_eq!(other.pick(Insist::No), Err(Wait { ms: out, why: Why::Refused }));
        assert_eq!(other.pick(Insist::Last), Ok(0), "the only key where there is no other target");
        assert_eq!(world.condition(0), Condition::Out);
        world.pass(out - 1);
        assert!(keys.pick(Insist::No).is_err());
        world.pass(1);
        assert_eq!(other.pick(Insist::No), Ok(0), "the probe");
        assert!(keys.pick(Insist::No).is_err(), "one at a time");
        out = (out * 2).min(600_000);
    }
    world.pass(PROBE_MS);
    assert_eq!(keys.pick(Insist::No), Ok(0), "a probe of which nothing was heard is made again");
    keys.well(0);
    assert_eq!((world.condition(0), other.pick(Insist::No)), (Condition::Ready, Ok(0)));
    keys.refused(0, false);
    assert_eq!(keys.closed_for(), Some(60_000), "it begins anew");
}

#[test]
fn a_key_refused_for_one_model_is_good_for_others() {
    let world = World::new();
    let (keys, other) = (world.ring.keys("p", "m", &["a", "b"]), world.ring.keys("p", "n", &["a", "b"]));
    keys.refused(0, true);
    assert!((0..9).all(|_| keys.pick(Insist::No) == Ok(1)));
    keys.refused(1, true);
    assert!(
        keys.pick(Insist::No).is_err() && keys.pick(Insist::Last).is_ok(),
        "any caller can bring that about"
    );
    assert!((0..9).any(|_| other.pick(Insist::No) == Ok(0)));
    assert_eq!((world.condition(0), world.condition(1)), (Condition::Cooling, Condition::Cooling));
}

#[test]
fn a_target_that_asks_to_be_left_alone_is_whatever_the_key() {
    let world = World::new();
    let keys = world.ring.keys("p", "m", &["a", "b"]);
    keys.rest(3_000);
    assert_eq!(keys.pick(Insist::Last), Err(Wait { ms: 3_000, why: Why::Overloaded }));
    world.pass(3_000);
    assert_eq!(keys.closed_for(), None);
}

#[test]
fn a_reload_keeps_what_is_known_of_keys_that_stay() {
    let world = World::new();
    let keys = world.ring.keys("p", "m", &["a", "b"]);
    keys.refused(0, false);
    keys.limited(1, Some(5_000));
    let same = world.ring.keys("p", "m", &["a", "b"]);
    assert!(Arc::ptr_eq(&keys, &same));
    let next = world.ring.keys("p", "m", &["c", "a"]);
    assert!((0..9).all(|_| next.pick(Insist::No) == Ok(0)), "the refused key is still refused");
    assert!(world.ring.keys("q", "m", &["a"]).pick(Insist::No).is_ok(), "another provider's is another key");
    assert_eq!(world.ring.keys("p", "m", &[]).pick(Insist::No), Ok(0), "a provider without keys");
}

#[derive(Debug, Clone)]
enum Event {
    Pass(u64),
    Pick(Insist),
    Well(usize),
    Limited(usize, Option<u32>),
    Refused(usize, bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0_u64..90_000).prop_map(Event::Pass),
        prop_oneof![Just(Insist::No), Just(Insist::Last), Just(Insist::Again)].prop_map(Event::Pick),
        (0_usize..3).prop_map(Event::Well),
        (0_usize..3, prop::option::of(0_u32..20_000)).prop_map(|(at, ms)| Event::Limited(at, ms)),
        (0_usize..3, any::<bool>()).prop_map(|(at, here)| Event::Refused(at, here)),
    ]
}

proptest! {
    /// Whatever happens: a key that was just refused or limited is not picked while another is ready, no wait is longer
    /// than the longest, and after it every pool opens again by itself.
    #[test]
    fn no_order_of_events_picks_a_shut_key_or_shuts_a_pool_for_good(events in prop::collection::vec(event(), 1..60)) {
        let world = World::new();
        let keys = world.ring.keys("p", "m", &["a", "b", "c"]);
        for event in events {
            match event {
                Event::Pass(ms) => world.pass(ms),
                Event::Well(at) => keys.well(at),
                Event::Limited(at, told) => keys.limited(at, told),
                Event::Refused(at, here) => keys.refused(at, here),
                Event::Pick(insist) => {
                    let now = world.ms.load(Relaxed);
                    let ready: Vec<_> = (0..3).filter(|&at| keys.slots[at].shut(now).is_none()).collect();
                    match keys.pick(insist) {
                        Ok(at) if !ready.is_empty() => prop_assert!(ready.contains(&at)),
                        Ok(_) => {}
                        Err(wait) => {
                            prop_assert!(ready.is_empty() && insist < Insist::Again);
                            prop_assert!(wait.ms <= LONGEST_MS);
                        }
                    }
                }
            }
        }
        world.pass(LONGEST_MS);
        prop_assert!(keys.pick(Insist::No).is_ok());
    }
}
