//! Random days of a ledger, against a model of a few lines. After each step memory says what the model says, and at
//! the end of each crash and of the day the rows do too (L1–L6; L7 for everything that was committed).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::common::{NOON, block_on, budget, crash_image, fresh, key, open, poll_once, posting};
use proptest::prelude::*;
use weir_ledger::{
    Clock, GroupBy, Ledger, NewKey, Period, Principal, Query, Refused, Reservation, SettleError, check,
};
use weir_llm::price::Nanos;

const LIMIT: i64 = 1_000;
const TIMEOUT: i64 = 630_000;
const DAY: i64 = 86_400_000;

#[derive(Debug, Clone)]
enum Step {
    /// key, hold
    Reserve(usize, i64),
    /// key, and how much more than what is left
    ReserveTheRest(usize, i64),
    /// The same id again, whatever became of it.
    ReserveAgain(usize, usize),
    /// A future that is dropped before its row is committed, or after.
    ReserveAndForget(usize, i64),
    /// which open reservation, charge in percent of its hold
    Settle(usize, i64),
    Drop(usize),
    /// milliseconds
    Wait(i64),
    Crash,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize, 0..500_i64).prop_map(|(k, h)| Step::Reserve(k, h)),
        2 => (0..2_usize, 0..2_i64).prop_map(|(k, over)| Step::ReserveTheRest(k, over)),
        1 => (0..3_usize, any::<prop::sample::Index>()).prop_map(|(k, i)| Step::ReserveAgain(k, i.index(1 << 20))),
        1 => (0..3_usize, 0..500_i64).prop_map(|(k, h)| Step::ReserveAndForget(k, h)),
        6 => (any::<prop::sample::Index>(), 0..150_i64).prop_map(|(i, c)| Step::Settle(i.index(1 << 20), c)),
        2 => any::<prop::sample::Index>().prop_map(|i| Step::Drop(i.index(1 << 20))),
        1 => prop_oneof![Just(1_000), Just(TIMEOUT / 2), Just(TIMEOUT + 1), Just(DAY)].prop_map(Step::Wait),
        1 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ]
}

/// Keys: 0 hard and for ever, 1 hard by the day, 2 soft.
#[derive(Default)]
struct Model {
    /// What each key has posted, by period.
    posted: HashMap<(usize, i64), i64>,
    /// Holds: exchange → key, period, hold, end, and whether this process holds it.
    holds: HashMap<String, (usize, i64, i64, i64)>,
    /// Exchanges whose hard hold ended without a posting.
    released: HashSet<String>,
    /// Exchange → charged.
    rows: HashMap<String, i64>,
}

impl Model {
    fn period(key: usize, now: i64) -> i64 {
        if key == 1 { now / DAY } else { 0 }
    }

    fn posted(&self, key: usize, now: i64) -> i64 {
        self.posted.get(&(key, Self::period(key, now))).copied().unwrap_or(0)
    }

    fn pending(&self, key: usize, now: i64) -> i64 {
        let period = Self::period(key, now);
        self.holds.values().filter(|hold| hold.0 == key && hold.1 == period).map(|hold| hold.2).sum()
    }

    fn admits(&self, key: usize, now: i64, hold: i64) -> bool {
        let posted = self.posted(key, now);
        if key == 2 { posted < LIMIT } else { posted + self.pending(key, now) + hold <= LIMIT }
    }

    /// Hard holds end by themselves; the soft key's are memory.
    fn expire(&mut self, now: i64) {
        let ended = self.holds.extract_if(|_, hold| hold.0 != 2 && hold.3 < now);
        self.released.extend(ended.map(|(exchange, _)| exchange));
    }

    fn release(&mut self, exchange: &str) {
        if self.holds.remove(exchange).is_some_and(|hold| hold.0 != 2) {
            self.released.insert(exchange.to_owned());
        }
    }

    fn settle(&mut self, exchange: &str, key: usize, period: i64, asked: i64) -> i64 {
        let standing = self.holds.remove(exchange).map_or(0, |hold| hold.2);
        let charged = if key == 2 { asked } else { asked.min(standing) };
        *self.posted.entry((key, period)).or_default() += charged;
        self.rows.insert(exchange.to_owned(), charged);
        charged
    }
}

struct World {
    dir: tempfile::TempDir,
    life: usize,
    clock: Clock,
    ledger: Ledger,
    keys: Vec<(String, Arc<Principal>)>,
    open: Vec<(String, usize, i64, Reservation)>,
    model: Model,
    names: Vec<String>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOON);
        let ledger = open(&dir.path().join("0"), &clock);
        let budgets = [
            budget(LIMIT, true, Period::None),
            budget(LIMIT, true, Period::Day),
            budget(LIMIT, false, Period::None),
        ];
        let keys = budgets.into_iter().map(|budget| {
            let (_, secret) =
                ledger.create_key(NewKey { name: "k".into(), budget, ..NewKey::default() }).unwrap();
            let text = secret.expose();
            let principal = ledger.identify(&text).unwrap();
            (text, principal)
        });
        let keys = keys.collect();
        Self {
            dir,
            life: 0,
            clock,
            ledger,
            keys,
            open: Vec::new(),
            model: Model::default(),
            names: Vec::new(),
        }
    }

    fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    async fn reserve_as(
        &self,
        is_fresh: bool,
        key: usize,
        id: &str,
        hold: i64,
    ) -> Result<Reservation, Refused> {
        let principal = &self.keys[key].1;
        if is_fresh {
            self.ledger.reserve_fresh(principal, id, Nanos(hold)).await
        } else {
            self.ledger.reserve(principal, id, Nanos(hold)).await
        }
    }

    fn reserve(&mut self, key: usize, hold: i64) {
        // Every other one goes through the journal.
        let is_fresh = self.names.len().is_multiple_of(2);
        let exchange = if is_fresh { fresh() } else { format!("other-{}", self.names.len()) };
        self.names.push(exchange.clone());
        let now = self.now();
        let fits = self.model.admits(key, now, hold);
        let reserved = block_on(self.reserve_as(is_fresh, key, &exchange, hold));
        match reserved {
            Ok(reservation) => {
                assert!(fits, "L3: {hold} was admitted for key {key}");
                let period = Model::period(key, now);
                self.model.holds.insert(exchange.clone(), (key, period, hold, now + TIMEOUT));
                self.open.push((exchange, key, period, reservation));
            }
            Err(Refused::OverBudget { limit, posted, pending, hold: asked }) => {
                assert!(!fits, "{hold} was refused for key {key}");
                let expected = (LIMIT, self.model.posted(key, now), self.model.pending(key, now), hold);
                assert_eq!((limit.0, posted.0, pending.0, asked.0), expected);
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// L1. A soft key, whose reservations are no rows, finds out only at settlement; what is written stays.
    fn reserve_again(&mut self, key: usize, which: usize) {
        if self.names.is_empty() || !self.model.admits(key, self.now(), 0) {
            return;
        }
        let exchange = self.names[which % self.names.len()].clone();
        let open = self.open.iter().any(|open| open.0 == exchange);
        let stands = self.model.rows.contains_key(&exchange) || self.model.holds.contains_key(&exchange);
        let released = self.model.released.contains(&exchange);
        if !open && !stands && !released {
            return;
        }
        match block_on(self.ledger.reserve(&self.keys[key].1, &exchange, Nanos(0))) {
            Err(refused) => {
                assert_eq!(refused, Refused::Duplicate);
                assert!(open || key != 2);
            }
            Ok(reservation) => {
                assert!(key == 2 && !open, "L1: {exchange} was reserved twice");
                let settled = reservation.settle(posting(1, self.now())).wait();
                assert_eq!(settled, if stands { Err(SettleError::Duplicate) } else { Ok(()) }, "L2");
                if !stands {
                    *self.model.posted.entry((2, 0)).or_default() += 1;
                    self.model.rows.insert(exchange, 1);
                }
            }
        }
    }

    fn reserve_and_forget(&mut self, key: usize, hold: i64) {
        let is_fresh = self.names.len().is_multiple_of(2);
        let exchange = if is_fresh { fresh() } else { format!("forgotten-{}", self.names.len()) };
        self.names.push(exchange.clone());
        if key != 2 && self.model.admits(key, self.now(), hold) {
            self.model.released.insert(exchange.clone());
        }
        {
            let mut future = std::pin::pin!(self.reserve_as(is_fresh, key, &exchange, hold));
            let _ = poll_once(future.as_mut());
        }
        block_on(self.ledger.flush());
        self.model.expire(self.now());
    }

    fn settle(&mut self, which: usize, percent: i64) {
        if self.open.is_empty() {
            return;
        }
        let (exchange, key, period, reservation) = self.open.swap_remove(which % self.open.len());
        let asked = reservation.hold().0 * percent / 100;
        let now = self.now();
        self.model.expire(now);
        let settled = reservation.settle(posting(asked, now)).wait();
        let charged = self.model.settle(&exchange, key, period, asked);
        match settled {
            Ok(()) => assert_eq!(charged, asked),
            Err(SettleError::OverHold { asked: a, charged: c }) => assert_eq!((a.0, c.0), (asked, charged)),
            Err(other) => panic!("{other}"),
        }
    }

    fn drop_one(&mut self, which: usize) {
        if self.open.is_empty() {
            return;
        }
        let (exchange, ..) = self.open.swap_remove(which % self.open.len());
        self.model.release(&exchange);
        block_on(self.ledger.flush());
        self.model.expire(self.now());
    }

    fn wait(&mut self, ms: i64) {
        self.clock.set(self.now() + ms);
        block_on(self.ledger.flush());
        self.model.expire(self.now());
    }

    /// Everything that was not acknowledged is gone; what was held by hard budgets counts until its time.
    fn crash(&mut self) {
        self.life += 1;
        let dead = self.ledger.dir().to_owned();
        let image = self.dir.path().join(self.life.to_string());
        crash_image(&dead, &image);
        self.reopen(&image);
        self.model.holds.retain(|_, hold| hold.0 != 2);
    }

    fn restart(&mut self) {
        for (exchange, ..) in self.open.drain(..) {
            self.model.release(&exchange);
        }
        self.ledger.close();
        let dir = self.ledger.dir().to_owned();
        self.reopen(&dir);
    }

    fn reopen(&mut self, dir: &std::path::Path) {
        self.ledger = open(dir, &self.clock);
        self.open.clear();
        block_on(self.ledger.flush());
        self.model.expire(self.now());
        for (text, principal) in &mut self.keys {
            *principal = self.ledger.identify(text).unwrap();
        }
    }

    fn agree(&self) {
        let now = self.now();
        for (key, (_, principal)) in self.keys.iter().enumerate() {
            let spent = self.ledger.spent(principal).unwrap();
            let expected = (self.model.posted(key, now), self.model.pending(key, now));
            assert_eq!((spent.posted.0, spent.pending.0), expected, "L4: key {key}");
            assert!(key == 2 || expected.0 + expected.1 <= LIMIT, "L3");
        }
        assert_eq!(self.ledger.stats().pending, self.open.len(), "L2");
    }

    fn rows_agree(&self) {
        block_on(self.ledger.flush());
        let report = check(self.ledger.dir()).unwrap();
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.postings, self.model.rows.len() as u64, "L7");
        let hard = self.model.holds.values().filter(|hold| hold.0 != 2).count();
        assert_eq!(report.pending, hard as u64, "L6");
        let names = self.model.rows.keys().map(String::as_str);
        assert_eq!(weir_ledger::check::missing(self.ledger.dir(), names).unwrap(), Vec::<String>::new());
        let sums = self.ledger.usage(&Query { group_by: GroupBy::Day, ..Query::default() }).unwrap();
        let charged: i64 = sums.iter().map(|row| row.charged.0).sum();
        assert_eq!(charged, self.model.rows.values().sum::<i64>(), "L4");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_days(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Reserve(key, hold) => world.reserve(key, hold),
                Step::ReserveTheRest(key, over) => {
                    let (now, model) = (world.now(), &world.model);
                    let rest = LIMIT - model.posted(key, now) - model.pending(key, now);
                    world.reserve(key, rest + over);
                }
                Step::ReserveAgain(key, which) => world.reserve_again(key, which),
                Step::ReserveAndForget(key, hold) => world.reserve_and_forget(key, hold),
                Step::Settle(which, percent) => world.settle(which, percent),
                Step::Drop(which) => world.drop_one(which),
                Step::Wait(ms) => world.wait(ms),
                Step::Crash => { world.crash(); world.rows_agree(); }
                Step::Restart => { world.restart(); world.rows_agree(); }
            }
            world.agree();
        }
        world.rows_agree();
    }
}

#[test]
fn a_clean_day_leaks_nothing_and_a_forgotten_reservation_counts() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let hard = key(&ledger, NewKey { budget: budget(100, true, Period::Month), ..NewKey::default() });
    let free = key(&ledger, NewKey::default());
    block_on(ledger.reserve(&hard, "a", Nanos(100))).unwrap().settle(posting(1, NOON)).wait().unwrap();
    assert_eq!(ledger.stats().leaked, 0);
    drop(block_on(ledger.reserve(&hard, "b", Nanos(99))).unwrap());
    drop(block_on(ledger.reserve(&free, "c", Nanos(5))).unwrap());
    block_on(ledger.flush());
    let stats = ledger.stats();
    assert_eq!((stats.leaked, stats.pending, stats.queued, stats.postings), (2, 0, 0, 1));
    assert_eq!(ledger.spent(&hard).unwrap().posted, Nanos(1));
}
