//! The store against a plain model, and what no model shows: scopes, bounds, ends, layers.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use weir_policy::Retention;
use weir_policy::services::Origin;

const SHARE: usize = 64 << 10;

fn origin(policy: &str, tenant: &str, request_id: &str) -> Origin {
    Origin {
        policy: policy.into(),
        tenant: tenant.into(),
        request_id: request_id.into(),
        retention: Retention::Unknown,
        demands: None,
        tainted: false,
    }
}

fn at<'a>(origin: &'a Origin, scope: Scope, key: &'a str) -> Place<'a> {
    Place { origin, scope, key }
}

fn write(value: &[u8]) -> Put<'_> {
    Put { value, version: None, ttl_ms: None }
}

fn value(store: &Store, place: &Place<'_>, now: u64) -> Option<Vec<u8>> {
    store.get(place, now).unwrap().map(|entry| entry.value)
}

#[derive(Debug, Clone)]
enum Op {
    Put {
        version: Option<u64>,
        ttl: Option<u64>,
        value: u8,
    },
    /// As a compare-and-swap with the version that was read just before.
    Swap {
        value: u8,
    },
    Delete,
    Incr {
        by: i64,
        ttl: Option<u64>,
    },
    Get,
}

fn op() -> impl Strategy<Value = Op> {
    let ttl = || proptest::option::of(0u64..40);
    prop_oneof![
        (proptest::option::of(0u64..4), ttl(), any::<u8>()).prop_map(|(version, ttl, value)| Op::Put {
            version,
            ttl,
            value
        }),
        any::<u8>().prop_map(|value| Op::Swap { value }),
        Just(Op::Delete),
        (any::<i64>(), ttl()).prop_map(|(by, ttl)| Op::Incr { by, ttl }),
        Just(Op::Get),
    ]
}

/// What a reader of the contract would write: one map, no sharing, no index of ends.
#[derive(Default)]
struct Model {
    entries: BTreeMap<(usize, &'static str), Entry>,
    until: BTreeMap<(usize, &'static str), u64>,
    version: u64,
}

type Key = (usize, &'static str);

impl Model {
    fn read(&mut self, key: Key, now: u64) -> Option<Entry> {
        if self.until.get(&key).is_some_and(|until| *until <= now) {
            self.remove(key);
        }
        let mut entry = self.entries.get(&key)?.clone();
        entry.ttl_ms = self.until.get(&key).map(|until| until - now);
        Some(entry)
    }

    fn write(&mut self, key: Key, value: Vec<u8>, until: Option<u64>) -> u64 {
        self.remove(key);
        self.version += 1;
        self.entries.insert(key, Entry { value, version: self.version, ttl_ms: None });
        until.map(|until| self.until.insert(key, until));
        self.version
    }

    fn remove(&mut self, key: Key) {
        self.entries.remove(&key);
        self.until.remove(&key);
    }

    fn put(&mut self, key: Key, put: Put<'_>, now: u64) -> Result<u64, KvError> {
        let there = self.read(key, now).map_or(0, |entry| entry.version);
        if put.version.is_some_and(|version| version != there) {
            return Err(KvError::Conflict);
        }
        Ok(self.write(key, put.value.to_vec(), put.ttl_ms.map(|ttl| now + ttl)))
    }

    fn incr(&mut self, key: Key, by: i64, ttl: Option<u64>, now: u64) -> Result<i64, KvError> {
        let entry = self.read(key, now);
        let before: i64 = match &entry {
            None => 0,
            Some(entry) => String::from_utf8(entry.value.clone())
                .ok()
                .and_then(|t| t.parse().ok())
                .ok_or(KvError::Conflict)?,
        };
        let sum = before.checked_add(by).ok_or(KvError::Conflict)?;
        let until = if entry.is_some() { self.until.get(&key).copied() } else { ttl.map(|ttl| now + ttl) };
        self.write(key, sum.to_string().into_bytes(), until);
        Ok(sum)
    }
}

proptest! {
    /// Every scope and layer of one policy behaves as the model does. (The version is compared by what it does: a failed
    /// write may use one up.)
    #[test]
    fn agrees_with_a_plain_map(
        ops in proptest::collection::vec((0usize..3, 0usize..3, 0u64..30, op()), 1..200), layered in any::<bool>(),
    ) {
        let store = if layered { Store::over(Arc::new(Store::new(SHARE)), SHARE) } else { Store::new(SHARE) };
        let (caller, mut model, mut now) = (origin("p", "org", "req_1"), Model::default(), 0);
        for (scope, key, pause, op) in ops {
            now += pause;
            let key = ["a", "b", ""][key];
            let (place, key) = (at(&caller, Scope::ALL[scope], key), (scope, key));
            match op {
                Op::Put { version: Some(version @ 1..), ttl, value } => {
                    // Versions of the store and of the model differ by the writes that failed: only 0 means the same.
                    let put = Put { value: &[value], version: Some(u64::MAX - version), ttl_ms: ttl };
                    prop_assert_eq!(store.put(&place, put, now), Err(KvError::Conflict));
                }
                Op::Put { version, ttl, value } => {
                    let put = Put { value: &[value], version, ttl_ms: ttl };
                    let (ours, theirs) = (store.put(&place, put, now), model.put(key, put, now));
                    prop_assert_eq!(ours.map(drop), theirs.map(drop));
                }
                Op::Swap { value } => {
                    let version = Some(store.get(&place, now).unwrap().map_or(0, |entry| entry.version));
                    let put = Put { value: &[value], version, ttl_ms: None };
                    let new = store.put(&place, put, now).unwrap();
                    prop_assert!(Some(new) > version);
                    model.write(key, vec![value], None);
                    if version != Some(0) {
                        prop_assert_eq!(store.put(&place, put, now), Err(KvError::Conflict));
                    }
                }
                Op::Delete => {
                    store.delete(&place, now).unwrap();
                    model.remove(key);
                }
                Op::Incr { by, ttl } => {
                    prop_assert_eq!(store.incr(&place, by, ttl, now), model.incr(key, by, ttl, now));
                }
                Op::Get => {}
            }
            let (ours, theirs) = (store.get(&place, now).unwrap(), model.read(key, now));
            prop_assert_eq!(ours.map(|e| (e.value, e.ttl_ms)), theirs.map(|e| (e.value, e.ttl_ms)));
        }
    }

    /// What is used is what is there: nothing is left when all has ended.
    #[test]
    fn everything_is_given_back(ops in proptest::collection::vec((0usize..3, 0u64..9, 0usize..2_000), 1..150)) {
        let store = Store::new(SHARE);
        let caller = origin("p", "org", "req_1");
        for (scope, key, len) in &ops {
            let put = Put { value: &vec![0; *len], version: None, ttl_ms: Some(10) };
            // Some do not fit: that must not be counted either.
            let _ = store.put(&at(&caller, Scope::ALL[*scope], &key.to_string()), put, 0);
            prop_assert!(store.used("p") <= SHARE);
        }
        store.end("req_1");
        store.spaces.find("p").unwrap().sweep(10);
        prop_assert_eq!(store.used("p"), 0);
        prop_assert_eq!(store.bounds.entries(), 0);
        prop_assert_eq!(store.open.load(Relaxed), 0);
    }
}

#[test]
fn owners_never_meet() {
    let store = Store::new(SHARE);
    let callers = [
        origin("p", "org", "req_1"),
        origin("p", "or", "req_12"),
        origin("p", "1:or", "req_"),
        origin("q", "org", "req_1"),
    ];
    // Keys that would be another owner's if the two were only put one after the other.
    for key in ["x", "gx", "2:orx", "", "kpx"] {
        for (index, caller) in callers.iter().enumerate() {
            for scope in [Scope::Tenant, Scope::Request] {
                store.put(&at(caller, scope, key), write(&[u8::try_from(index).unwrap()]), 0).unwrap();
            }
        }
    }
    for key in ["x", "gx", "2:orx", "", "kpx"] {
        for (index, caller) in callers.iter().enumerate() {
            for scope in [Scope::Tenant, Scope::Request] {
                assert_eq!(
                    value(&store, &at(caller, scope, key), 0),
                    Some(vec![u8::try_from(index).unwrap()])
                );
            }
            assert_eq!(value(&store, &at(caller, Scope::Plugin, key), 0), None);
        }
    }
    let plugin = at(&callers[0], Scope::Plugin, "x");
    store.put(&plugin, write(b"all"), 0).unwrap();
    assert_eq!(value(&store, &at(&callers[1], Scope::Plugin, "x"), 0).as_deref(), Some(&b"all"[..]));
    assert_eq!(value(&store, &at(&callers[3], Scope::Plugin, "x"), 0), None, "another policy");
}

#[test]
fn a_scope_without_an_owner_is_nobodys() {
    let (store, nobody) = (Store::new(SHARE), origin("p", "", ""));
    for scope in [Scope::Tenant, Scope::Request] {
        assert_eq!(store.put(&at(&nobody, scope, "k"), write(b"v"), 0), Err(KvError::Unavailable));
        assert_eq!(store.get(&at(&nobody, scope, "k"), 0), Err(KvError::Unavailable));
    }
    store.put(&at(&nobody, Scope::Plugin, "k"), write(b"v"), 0).unwrap();
}

#[test]
fn who_has_read_content_writes_for_its_exchange_only() {
    let store = Store::new(SHARE);
    let tainted = Origin { tainted: true, ..origin("p", "org", "req_1") };
    let zero = Origin { retention: Retention::Zero, ..origin("p", "org", "req_2") };
    let rate = Take { cost: 1, per_min: 1, burst: 1 };
    for caller in [&tainted, &zero] {
        for scope in [Scope::Plugin, Scope::Tenant] {
            let place = at(caller, scope, "k");
            assert_eq!(store.put(&place, write(b"v"), 0), Err(KvError::Closed));
            assert_eq!(store.incr(&place, 1, None, 0), Err(KvError::Closed));
            assert_eq!(store.delete(&place, 0), Err(KvError::Closed));
            assert_eq!(store.take(&place, rate, 0), Err(KvError::Closed));
            assert_eq!(store.get(&place, 0), Ok(None), "reading is not writing");
        }
        store.put(&at(caller, Scope::Request, "k"), write(b"v"), 0).unwrap();
    }
    assert_eq!(store.used("p"), 2 * (3 + 1 + 160), "nothing but the two entries of exchanges");
}

#[test]
fn the_end_of_an_exchange_is_the_end_of_its_keys() {
    let store = Store::new(SHARE);
    let (one, two) = (origin("p", "org", "req_1"), origin("p", "org", "req_2"));
    for caller in [&one, &two] {
        store.put(&at(caller, Scope::Request, "k"), write(b"v"), 0).unwrap();
    }
    store.end("req_1");
    store.end("req_1");
    assert_eq!(value(&store, &at(&one, Scope::Request, "k"), 0), None);
    assert_eq!(value(&store, &at(&two, Scope::Request, "k"), 0).as_deref(), Some(&b"v"[..]));
    assert_eq!(store.open.load(Relaxed), 1);
    // What is written after the end goes in the end.
    store.put(&at(&one, Scope::Request, "late"), write(b"v"), 0).unwrap();
    for id in 0..1_000 {
        store
            .put(
                &at(&origin("p", "org", &format!("req_new{id}")), Scope::Request, "k"),
                write(b"v"),
                EXCHANGE_MS,
            )
            .ok();
    }
    assert!(!store.exchanges("req_1").by_id.contains_key("req_1"));
}

#[test]
fn keys_values_and_shares_are_bounded() {
    let store = Store::new(100_000);
    let caller = origin("p", "org", "req_1");
    let long = "k".repeat(257);
    assert_eq!(store.put(&at(&caller, Scope::Plugin, &long), write(b"v"), 0), Err(KvError::TooLarge));
    store.put(&at(&caller, Scope::Plugin, &long[1..]), write(b"v"), 0).unwrap();
    let big = vec![0; MAX_VALUE + 1];
    let place = at(&caller, Scope::Plugin, "k");
    assert_eq!(store.put(&place, write(&big), 0), Err(KvError::TooLarge));
    store.put(&place, write(&big[1..]), 0).unwrap();
    assert_eq!(store.put(&at(&caller, Scope::Tenant, "k"), write(&big[1..]), 0), Err(KvError::TooLarge));
    assert_eq!(value(&store, &place, 0).map(|v| v.len()), Some(MAX_VALUE), "a failed write changes nothing");
    // Another policy has a share of its own.
    store.put(&at(&origin("q", "org", "req_1"), Scope::Tenant, "k"), write(&big[1..]), 0).unwrap();
    // Smaller always fits, and makes room.
    store.resize(1);
    store.put(&place, write(b"small"), 0).unwrap();
    assert_eq!(store.put(&place, write(b"larger"), 0), Err(KvError::TooLarge));
    store.delete(&place, 0).unwrap();
}

#[test]
fn what_has_ended_makes_room() {
    let store = Store::new(100_000);
    let caller = origin("p", "org", "req_1");
    let put = Put { value: &[0; 1_000], version: None, ttl_ms: Some(50) };
    let fill = |now| {
        let keys = (0..1_000).map(|n| format!("{now}-{n}"));
        keys.take_while(|key| store.put(&at(&caller, Scope::Plugin, key), put, now).is_ok()).count()
    };
    let first = fill(0);
    assert!(first > 80, "{first}");
    assert_eq!(fill(49), 0);
    assert_eq!(fill(50), first);
}

#[test]
fn buckets_and_keys_of_one_name_do_not_meet() {
    let store = Store::new(SHARE);
    let caller = origin("p", "org", "req_1");
    let place = at(&caller, Scope::Tenant, "k");
    let rate = Take { cost: 2, per_min: 60, burst: 3 };
    store.put(&place, write(b"text"), 0).unwrap();
    assert_eq!(store.take(&place, rate, 0), Ok(true));
    assert_eq!(store.take(&place, rate, 999), Ok(false));
    assert_eq!(store.take(&place, rate, 1_000), Ok(true));
    assert_eq!(store.take(&place, Take { cost: 4, ..rate }, 1_000_000), Ok(false), "more than it holds");
    assert_eq!(value(&store, &place, 0).as_deref(), Some(&b"text"[..]));
    // A full bucket is not remembered.
    store.spaces.find("p").unwrap().sweep(1_000_000);
    assert_eq!(store.bounds.entries(), 1);
}

#[test]
fn threads_lose_no_increment_and_pass_no_bucket_twice() {
    let store = Store::new(SHARE);
    let caller = origin("p", "org", "req_1");
    let passed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    store.incr(&at(&caller, Scope::Plugin, "n"), 1, None, 0).unwrap();
                    let rate = Take { cost: 1, per_min: 1, burst: 100 };
                    let may = store.take(&at(&caller, Scope::Plugin, "b"), rate, 0).unwrap();
                    passed.fetch_add(usize::from(may), Relaxed);
                }
            });
        }
    });
    assert_eq!(value(&store, &at(&caller, Scope::Plugin, "n"), 0).as_deref(), Some(&b"2000"[..]));
    assert_eq!(passed.load(Relaxed), 100);
}

#[test]
fn a_layer_reads_through_and_writes_nothing_beneath() {
    let beneath = Arc::new(Store::new(SHARE));
    let caller = origin("p", "org", "req_1");
    let place = |key: &'static str| at(&caller, Scope::Plugin, key);
    for key in ["a", "n", "gone"] {
        beneath.put(&place(key), write(b"7"), 0).unwrap();
    }
    let rate = Take { cost: 2, per_min: 1, burst: 3 };
    beneath.take(&place("b"), rate, 0).unwrap();
    let layer = Store::over(Arc::clone(&beneath), SHARE);
    let before = layer.get(&place("a"), 0).unwrap().unwrap();
    assert_eq!(before.value, b"7");
    assert_eq!(layer.put(&place("a"), Put { version: Some(0), ..write(b"8") }, 0), Err(KvError::Conflict));
    let version = layer.put(&place("a"), Put { version: Some(before.version), ..write(b"8") }, 0).unwrap();
    assert!(version > before.version);
    assert_eq!(layer.incr(&place("n"), 1, None, 0), Ok(8));
    layer.delete(&place("gone"), 0).unwrap();
    assert_eq!(layer.take(&place("b"), rate, 0), Ok(false), "the level beneath counts");
    assert_eq!(value(&layer, &place("gone"), 0), None);
    layer.put(&place("gone"), Put { version: Some(0), ..write(b"again") }, 0).unwrap();
    for key in ["a", "n", "gone"] {
        assert_eq!(value(&beneath, &place(key), 0).as_deref(), Some(&b"7"[..]), "{key}");
    }
}

#[test]
fn a_layer_forgets_exchanges_by_itself() {
    let layer = Store::over(Arc::new(Store::new(SHARE)), SHARE);
    let put = |id: usize, now| {
        layer
            .put(&at(&origin("p", "org", &format!("req_{id}")), Scope::Request, "k"), write(b"v"), now)
            .unwrap();
    };
    (0..100).for_each(|id| put(id, 0));
    assert_eq!(layer.open.load(Relaxed), 100);
    // Enough to come by every shard.
    (1_000..1_200).for_each(|id| put(id, LAYERED_EXCHANGE_MS));
    assert_eq!(layer.open.load(Relaxed), 200);
}
