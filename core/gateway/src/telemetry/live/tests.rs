use super::*;
use weir_policy::Breaker::{Closed, HalfOpen, Open};

struct World {
    live: Live,
    now: Arc<AtomicU64>,
}

fn world() -> World {
    let now = Arc::new(AtomicU64::new(1_000_000));
    World { live: Live::with_clock(&ids(&["a/m", "b/m"]), Clock::manual(Arc::clone(&now))), now }
}

fn ids(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

impl World {
    fn pass(&self, ms: u64) {
        self.now.fetch_add(ms, Relaxed);
    }

    fn fail(&self, times: usize) {
        (0..times).for_each(|_| self.live.failed(0, ErrorClass::ServerError));
    }

    fn succeed(&self) {
        self.live.succeeded(0, Duration::from_millis(100), 51, Duration::from_millis(1100));
    }

    fn breaker(&self) -> weir_policy::Breaker {
        self.live.live(0).breaker
    }
}

#[test]
fn a_new_target_is_healthy_and_unmeasured() {
    let facts = world().live.live(1);
    let fresh = weir_policy::Live { target: 1, healthy: true, headroom: 1.0, ..Default::default() };
    assert_eq!(facts, fresh);
    assert!(!world().live.live(9).healthy, "a target that does not exist is nothing to route to");
}

#[test]
fn figures_of_successes() {
    let world = world();
    let guards = [world.live.started(0), world.live.started(0)];
    assert_eq!(world.live.live(0).in_flight, 2);
    drop(guards);
    world.succeed();
    let facts = world.live.live(0);
    assert_eq!(facts.in_flight, 0);
    assert!(facts.ttft_p50_ms.abs_diff(100) <= 12 && facts.ttft_p95_ms == facts.ttft_p50_ms, "{facts:?}");
    assert!((facts.tps_p50 - 51.0).abs() <= 51.0 / 8.0, "51 tokens in the second after the first: {facts:?}");
    assert_eq!(world.live.live(1).ttft_p50_ms, 0, "each target has its own");
}

#[test]
fn five_failures_in_a_row_open_and_one_probe_closes() {
    let world = world();
    world.fail(4);
    assert_eq!((world.breaker(), world.live.live(0).healthy), (Closed, false));
    assert_eq!(world.live.up(&[0, 1, 9]), [false, true, false], "as the facts say");
    world.succeed();
    world.fail(4);
    assert_eq!(world.breaker(), Closed, "the success in between ended the run");
    world.fail(1);
    assert_eq!((world.breaker(), world.live.permits(0)), (Open, false));
    world.pass(9_999);
    assert_eq!(world.breaker(), Open);
    world.pass(1);
    assert_eq!((world.breaker(), world.live.permits(0)), (HalfOpen, true));
    let probe = world.live.started(0);
    assert_eq!((world.breaker(), world.live.permits(0)), (Open, false), "one probe at a time");
    let other = world.live.started(0);
    drop(other);
    assert_eq!(world.breaker(), Open, "only the probe's own end frees its place");
    world.succeed();
    drop(probe);
    assert_eq!((world.breaker(), world.live.live(0).healthy), (Closed, true));
    assert_eq!(world.live.up(&[0]), [true]);
    assert!(world.live.live(0).err_rate_1m < f32::EPSILON, "the bad minute does not count twice");
}

#[test]
fn each_failed_probe_doubles_the_wait_up_to_a_minute() {
    let world = world();
    world.fail(5);
    for wait in [10_000, 20_000, 40_000, 60_000, 60_000] {
        world.pass(wait - 1);
        assert_eq!(world.breaker(), Open, "before {wait} ms");
        world.pass(1);
        assert_eq!(world.breaker(), HalfOpen, "after {wait} ms");
        let probe = world.live.started(0);
        world.fail(1);
        drop(probe);
        assert_eq!(world.breaker(), Open);
    }
}

#[test]
fn a_probe_that_is_given_up_frees_its_place() {
    let world = world();
    world.fail(5);
    world.pass(10_000);
    let probe = world.live.started(0);
    world.live.failed(0, ErrorClass::Cancelled);
    drop(probe);
    assert_eq!(world.breaker(), HalfOpen);
}

#[test]
fn what_was_under_way_when_it_opened_neither_closes_nor_prolongs() {
    let world = world();
    world.fail(5);
    world.pass(5_000);
    world.succeed();
    assert_eq!(world.breaker(), Open);
    world.fail(3);
    world.pass(5_000);
    assert_eq!(world.breaker(), HalfOpen);
}

#[test]
fn more_than_half_of_twenty_within_a_minute_opens() {
    let world = world();
    for _ in 0..9 {
        world.succeed();
        world.fail(1);
    }
    world.succeed();
    world.fail(1);
    assert_eq!(world.breaker(), Closed, "ten of twenty are not more than half");
    world.fail(1);
    assert_eq!(world.breaker(), Open);
}

#[test]
fn the_callers_own_faults_and_ours_say_nothing_of_the_target() {
    let world = world();
    for class in [
        ErrorClass::BadRequest,
        ErrorClass::ContextTooLong,
        ErrorClass::ContentFilter,
        ErrorClass::Cancelled,
        ErrorClass::Other,
    ] {
        (0..10).for_each(|_| world.live.failed(0, class));
    }
    let facts = world.live.live(0);
    assert_eq!((facts.breaker, facts.healthy, facts.err_rate_1m), (Closed, true, 0.0));
}

#[test]
fn headroom_is_told_by_headers_and_429_and_expires() {
    let world = world();
    let headers = [
        ("x-ratelimit-limit-requests", "1000"),
        ("x-ratelimit-remaining-requests", "900"),
        ("x-ratelimit-limit-tokens", "1000"),
        ("x-ratelimit-remaining-tokens", "250"),
    ];
    let of = |known: &[(&str, &'static str)], name| known.iter().find(|h| h.0 == name).map(|h| h.1);
    assert_eq!(headroom(|name| of(&headers, name)), Some(0.25), "the scarcer one");
    assert_eq!(headroom(|name| of(&headers[..2], name)), Some(0.9));
    assert_eq!(headroom(|name| of(&headers[..1], name)), None);
    assert_eq!(headroom(|name| of(&[("x-ratelimit-limit-tokens", "0"), headers[3]], name)), None);
    world.live.headroom(0, 0.25);
    assert!((world.live.live(0).headroom - 0.25).abs() < f32::EPSILON);
    world.live.failed(0, ErrorClass::RateLimited);
    assert!(world.live.live(0).headroom < f32::EPSILON);
    world.pass(HEADROOM_MS);
    assert!((world.live.live(0).headroom - 1.0).abs() < f32::EPSILON);
}

#[test]
fn a_target_keeps_its_history_across_reloads() {
    let world = world();
    let under_way = world.live.started(0);
    world.fail(5);
    let next = world.live.rebind(&ids(&["c/m", "a/m"]));
    let facts = next.live(1);
    assert_eq!((facts.target, facts.breaker, facts.in_flight), (1, Open, 1));
    assert_eq!(next.live(0).breaker, Closed);
    drop(under_way);
    assert_eq!(next.live(1).in_flight, 0, "an exchange of the old generation ends in the new one's figures");
    assert_eq!(
        world.live.rebind(&ids(&["b/m"])).rebind(&ids(&["a/m"])).live(0).breaker,
        Closed,
        "gone is gone"
    );
}
