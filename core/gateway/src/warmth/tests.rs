use super::*;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use weir_llm::api::Api;

const MINUTE: u64 = 60_000;
const ONE: Beginning = Beginning([1; 16]);

struct World {
    warmth: Warmth,
    now: Arc<AtomicU64>,
}

fn world() -> World {
    let now = Arc::new(AtomicU64::new(1_000_000_000));
    World { warmth: Warmth::new(Clock::manual(Arc::clone(&now))), now }
}

impl World {
    fn pass(&self, ms: u64) {
        self.now.fetch_add(ms, Relaxed);
    }

    /// A request that took a second.
    fn send(&self, cached: Option<bool>) {
        self.pass(2_000);
        self.warmth.note(ONE, &target("a/m", "eu"), Use { ago: Duration::from_secs(1), cached });
    }

    fn at(&self, beginning: Beginning, target: &Target) -> f32 {
        self.warmth.of(&self.warmth.places(beginning), target)
    }

    fn warm(&self) -> f32 {
        self.at(ONE, &target("a/m", "eu"))
    }

    #[track_caller]
    fn is(&self, expected: f32) {
        assert!((self.warm() - expected).abs() < 1e-4, "{} is not {expected}", self.warm());
    }
}

fn target(id: &str, region: &str) -> Target {
    Target { region: region.into(), ..Target::bare(id) }
}

#[test]
fn what_the_provider_says_is_believed() {
    let world = world();
    world.is(0.0);
    world.send(Some(false));
    world.is(0.75);
    world.send(Some(false));
    world.is(0.375);
    world.send(Some(false));
    world.is(0.1875);
    world.send(Some(true));
    world.is(1.0);
    world.send(Some(false));
    world.is(0.5);
}

#[test]
fn who_does_not_count_says_nothing() {
    let world = world();
    world.send(None);
    world.is(0.75);
    world.send(None);
    world.is(0.75);
    world.send(Some(true));
    world.send(None);
    world.is(1.0);
}

#[test]
fn it_is_full_for_four_minutes_and_gone_after_ten() {
    let world = world();
    world.send(Some(true));
    world.pass(4 * MINUTE - 1_000);
    world.is(1.0);
    world.pass(3 * MINUTE);
    world.is(0.5);
    world.pass(3 * MINUTE - 1);
    assert!(world.warm() > 0.0);
    world.pass(1);
    world.is(0.0);
    world.send(Some(false));
    world.is(0.75);
}

#[test]
fn a_use_makes_it_last() {
    let world = world();
    world.send(Some(true));
    world.pass(8 * MINUTE);
    world.send(Some(true));
    world.pass(3 * MINUTE);
    world.is(1.0);
}

/// The cache may have forgotten by then: that is no evidence against it.
#[test]
fn a_miss_that_comes_late_only_takes_the_confirmation() {
    let world = world();
    world.send(Some(true));
    world.pass(5 * MINUTE);
    world.send(Some(false));
    world.is(0.75);
    world.send(Some(false));
    world.is(0.375);
    world.pass(5 * MINUTE);
    world.send(Some(false));
    world.is(0.375);
}

/// Ten requests that are sent at once cannot find what the first of them is still writing.
#[test]
fn requests_at_the_same_time_say_nothing_of_each_other() {
    let world = world();
    world.send(Some(false));
    for _ in 0..9 {
        let what = Use { ago: Duration::from_secs(1), cached: Some(false) };
        world.warmth.note(ONE, &target("a/m", "eu"), what);
    }
    world.is(0.75);
    // A long reply: what was sent before it ended is not counted against it either.
    world.pass(MINUTE);
    world.warmth.note(ONE, &target("a/m", "eu"), Use { ago: Duration::from_secs(61), cached: Some(false) });
    world.is(0.75);
}

/// One request a second, of five seconds each: there is always one under way.
#[test]
fn requests_that_overlap_for_long_are_evidence() {
    let world = world();
    let answered = |cached| {
        world.pass(1_000);
        world.warmth.note(
            ONE,
            &target("a/m", "eu"),
            Use { ago: Duration::from_secs(5), cached: Some(cached) },
        );
    };
    (0..6).for_each(|_| answered(false));
    world.is(0.75);
    (0..10).for_each(|_| answered(false));
    assert!(world.warm() < 0.01, "{}", world.warm());
    answered(true);
    world.is(1.0);
}

#[test]
fn each_target_and_each_beginning_has_its_own() {
    let world = world();
    world.send(Some(true));
    for (beginning, id, region) in
        [(Beginning([2; 16]), "a/m", "eu"), (ONE, "a/n", "eu"), (ONE, "b/m", "eu"), (ONE, "a/m", "us")]
    {
        assert!(world.at(beginning, &target(id, region)) < f32::EPSILON, "{id} {region}");
    }
    // As after a reload: another row of another table.
    assert!(world.at(ONE, &Target { weight: 9, ..target("a/m", "eu") }) > 0.99);
}

#[test]
fn it_is_bounded() {
    let warmth = Warmth::bounded(Clock::system(), 50);
    let what = Use { ago: Duration::ZERO, cached: Some(false) };
    for n in 0..1000_u64 {
        let mut beginning = [0; 16];
        beginning[..8].copy_from_slice(&n.to_le_bytes());
        warmth.note(Beginning(beginning), &target("a/m", ""), what);
        warmth.note(Beginning(beginning), &target("b/m", ""), what);
    }
    warmth.known.run_pending_tasks();
    assert!((2..=50).contains(&warmth.known.weighted_size()), "{}", warmth.known.weighted_size());
}

/// Callers may name models that nobody listed.
#[test]
fn a_beginning_has_so_many_targets_and_no_more() {
    let world = world();
    let named = |n: usize| target(&format!("a/m{n}"), "eu");
    let what = Use { ago: Duration::ZERO, cached: None };
    for n in 0..TARGETS {
        world.warmth.note(ONE, &named(n), what);
    }
    world.warmth.note(ONE, &named(0), what);
    world.warmth.note(ONE, &named(TARGETS), what);
    assert_eq!(world.warmth.places(ONE).len(), TARGETS);
    assert!([0, 2, TARGETS].into_iter().all(|n| world.at(ONE, &named(n)) > 0.5));
    assert!(world.at(ONE, &named(1)) < f32::EPSILON, "it was used least lately");
}

/// A request of each dialect with a tool, a system prompt and a first message.
fn requests(tool: &str, system: &str, said: &str) -> [(Api, Value); 3] {
    let turn = json!({ "role": "user", "content": said });
    let function = json!({ "name": tool, "parameters": { "type": "object" } });
    [
        (
            Api::Chat,
            json!({ "model": "m", "messages": [{ "role": "system", "content": system }, turn],
                "tools": [{ "type": "function", "function": function }] }),
        ),
        (
            Api::Responses,
            json!({ "model": "m", "instructions": system, "input": said,
                "tools": [{ "type": "function", "name": tool, "parameters": { "type": "object" } }] }),
        ),
        (
            Api::Messages,
            json!({ "model": "m", "max_tokens": 9, "system": system, "messages": [turn],
                "tools": [{ "name": tool, "input_schema": { "type": "object" } }] }),
        ),
    ]
}

fn beginnings(tenant: &str, requests: [(Api, Value); 3]) -> [Option<Beginning>; 3] {
    requests.map(|(api, body)| {
        let request = Request::parse(api, body.to_string().into()).unwrap();
        Beginning::of(&request, &[7; 32], tenant)
    })
}

#[test]
fn a_beginning_is_tools_and_instructions_and_whose_they_are() {
    let system = "Be brief. ".repeat(410);
    let known = beginnings("acme", requests("look", &system, "hello"));
    assert!(known.iter().all(Option::is_some));
    assert_eq!(known, beginnings("acme", requests("look", &system, &"something else ".repeat(999))));
    let others = [
        beginnings("acme", requests("listen", &system, "hello")),
        beginnings("acme", requests("look", &system.replace("brief", "quick"), "hello")),
        beginnings("globex", requests("look", &system, "hello")),
    ];
    for other in others {
        assert!(other.iter().zip(&known).all(|(other, known)| other.is_some() && other != known));
    }
    let (_, body) = &requests("look", &system, "hello")[0];
    let request = Request::parse(Api::Chat, body.to_string().into()).unwrap();
    assert_ne!(
        Beginning::of(&request, &[8; 32], "acme"),
        known[0],
        "another installation's means nothing here"
    );
}

#[test]
fn what_is_too_short_for_a_cache_has_no_beginning() {
    let system = "Be brief. ".repeat(390);
    let long = "hello ".repeat(9999);
    assert_eq!(beginnings("acme", requests("look", &system, &long)), [None; 3]);
    let embeddings = json!({ "model": "m", "input": long }).to_string();
    let embeddings = Request::parse(Api::Embeddings, embeddings.into()).unwrap();
    assert_eq!(Beginning::of(&embeddings, &[7; 32], "acme"), None);
}
