//! Exchanges that go through the journal: answered before they are rows, and rows whatever happens.

use std::path::Path;
use std::sync::Arc;
use std::task::Poll;

use crate::common::{NOON, block_on, budget, crash_image, fresh, journal, key, open, poll_once, posting};
use crate::storage::{fall_ill, get_well, rows};
use rusqlite::Connection;
use weir_ledger::{
    Clock, Ledger, NewKey, OpenError, Options, Outcome, Part, Pepper, Period, Posting, Principal, Query,
    Reservation, SettleError, Spent, Sync, check,
};
use weir_llm::price::Nanos;
use weir_llm::usage::{ServiceTier, Usage};

/// While it lives no commit is possible, and none fails.
struct Stuck(Connection);

impl Stuck {
    fn new(dir: &Path) -> Self {
        let conn = Connection::open(dir.join("ledger.sqlite3")).unwrap();
        conn.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self(conn)
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.0.execute_batch("ROLLBACK").unwrap();
    }
}

fn hard(ledger: &Ledger, limit: i64) -> Arc<Principal> {
    key(ledger, NewKey { budget: budget(limit, true, Period::None), ..NewKey::default() })
}

/// What is ready without waiting for anybody: it lets others go first, once.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    for _ in 0..2 {
        if let Poll::Ready(value) = poll_once(future.as_mut()) {
            return value;
        }
    }
    panic!("it waits")
}

fn reserve(ledger: &Ledger, principal: &Arc<Principal>, id: &str, hold: i64) -> Reservation {
    at_once(ledger.reserve_fresh(principal, id, Nanos(hold))).unwrap()
}

fn settle(reservation: Reservation, charged: i64) -> Result<(), SettleError> {
    at_once(reservation.settle(posting(charged, NOON)))
}

#[test]
fn nobody_waits_for_a_commit_and_a_crash_before_it_loses_nothing() {
    let (dir, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let hard = hard(&ledger, 100);
    let free = key(&ledger, NewKey::default());
    let stuck = Stuck::new(dir.path());
    let (paid, cut, under_way, given) = (fresh(), fresh(), fresh(), fresh());
    assert_eq!(settle(reserve(&ledger, &hard, &paid, 60), 20), Ok(()));
    // The money of a settled hold is free at once: for the next caller on the same connection it must be.
    let over = SettleError::OverHold { asked: Nanos(90), charged: Nanos(50) };
    assert_eq!(settle(reserve(&ledger, &hard, &cut, 50), 90), Err(over));
    let _under_way = reserve(&ledger, &hard, &under_way, 30);
    let named = Posting { request_id: Some("asked-for".into()), ..posting(7, NOON) };
    assert_eq!(at_once(reserve(&ledger, &free, &given, 0).settle(named)), Ok(()));
    let spent = Some(Spent { posted: Nanos(70), pending: Nanos(30) });
    assert_eq!(ledger.spent(&hard), spent);
    assert_eq!(rows(dir.path()), []);

    crash_image(dir.path(), image.path());
    let report = check(image.path()).unwrap();
    assert!(report.is_clean() && report.postings == 0, "{report}");
    assert_eq!(report.waiting, 3);
    let next = open(image.path(), &Clock::manual(NOON));
    let stats = next.stats();
    assert_eq!((stats.replayed, stats.adopted), (3, 1));
    assert_eq!(rows(image.path()), [(0, 7, 7), (0, 20, 20), (0, 50, 90)]);
    assert_eq!(journal(image.path()), Vec::<String>::new(), "what is rows is in no file any more");
    let report = check(image.path()).unwrap();
    assert!(report.is_clean() && report.waiting == 0, "{report}");
    assert_eq!((report.postings, report.pending), (3, 1), "{report}");

    // Here nothing has crashed.
    drop(stuck);
    block_on(ledger.flush());
    assert_eq!(ledger.spent(&hard), spent);
    assert_eq!(rows(dir.path()), rows(image.path()));
    assert_eq!(ledger.stats().pending, 1);
}

#[test]
fn a_hold_whose_posting_comes_soon_is_never_a_row_and_one_that_lasts_is() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let hard = hard(&ledger, 1_000);
    let lasting = reserve(&ledger, &hard, &fresh(), 10);
    block_on(ledger.flush());
    assert_eq!(check(dir.path()).unwrap().pending, 1);
    let stuck = Stuck::new(dir.path());
    for _ in 0..20 {
        settle(reserve(&ledger, &hard, &fresh(), 10), 3).unwrap();
    }
    settle(lasting, 4).unwrap();
    drop(stuck);
    block_on(ledger.flush());
    let report = check(dir.path()).unwrap();
    assert!(report.is_clean() && report.pending == 0 && report.postings == 21, "{report}");
    assert_eq!(ledger.spent(&hard), Some(Spent { posted: Nanos(64), pending: Nanos(0) }));
}

#[test]
fn what_was_acknowledged_is_charged_also_if_the_database_fails_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let hard = hard(&ledger, 100);
    let lasting = reserve(&ledger, &hard, &fresh(), 10);
    block_on(ledger.flush());
    fall_ill(dir.path());
    settle(reserve(&ledger, &hard, &fresh(), 60), 20).unwrap();
    let released = reserve(&ledger, &hard, &fresh(), 15);
    block_on(ledger.flush());
    assert!(ledger.trouble().unwrap().to_string().contains("the disk is full"));
    // From now on everybody waits for the database, and is told.
    assert!(matches!(lasting.settle(posting(9, NOON)).wait(), Err(SettleError::Storage(_))));
    assert!(block_on(ledger.reserve_fresh(&hard, &fresh(), Nanos(1))).is_err());
    drop(released);
    block_on(ledger.flush());
    assert_eq!((ledger.stats().unwritten, rows(dir.path())), (2, vec![]));

    // A process that ends now loses nothing either: not what was acknowledged.
    let image = tempfile::tempdir().unwrap();
    crash_image(dir.path(), image.path());
    get_well(image.path());
    let next = open(image.path(), &Clock::manual(NOON));
    assert_eq!((next.stats().replayed, rows(image.path())), (1, vec![(0, 20, 20)]));

    get_well(dir.path());
    block_on(ledger.flush());
    assert_eq!((ledger.trouble(), ledger.stats().unwritten), (None, 0));
    assert_eq!(rows(dir.path()), [(3, 0, 9), (0, 20, 20)]);
    let report = check(dir.path()).unwrap();
    assert!(report.is_clean() && report.pending == 1, "{report}");
    assert_eq!(ledger.spent(&hard).unwrap().posted, Nanos(20));
    ledger.close();
    assert_eq!(journal(dir.path()), Vec::<String>::new());
}

/// The journal takes the hold and does not take the posting: both are on their way at one time all the same.
#[test]
fn a_hold_of_the_journal_and_a_posting_that_waits_meet_in_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let (hard, free) = (hard(&ledger, 1_000), key(&ledger, NewKey::default()));
    let stuck = Stuck::new(dir.path());
    // As many as may wait without anybody waiting for them.
    while ledger.stats().queued < 10_000 {
        settle(reserve(&ledger, &free, &fresh(), 0), 0).unwrap();
    }
    let held = reserve(&ledger, &hard, &fresh(), 50);
    let mut waits = held.settle(posting(30, NOON));
    for _ in 0..9 {
        assert!(poll_once(std::pin::Pin::new(&mut waits)).is_pending());
    }
    drop(stuck);
    assert_eq!(waits.wait(), Ok(()));
    assert_eq!(ledger.spent(&hard), Some(Spent { posted: Nanos(30), pending: Nanos(0) }));
    let report = check(dir.path()).unwrap();
    assert!(report.is_clean() && report.pending == 0, "{report}");
    assert_eq!(ledger.usage(&Query::default()).unwrap().iter().map(|row| row.charged.0).sum::<i64>(), 30);
}

/// Rows that were queued later must not be seen before those that failed: they may have their room from them.
#[test]
fn nothing_overtakes_what_could_not_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let hard = hard(&ledger, 100);
    let first = reserve(&ledger, &hard, &fresh(), 60);
    block_on(ledger.flush());
    fall_ill(dir.path());
    settle(first, 20).unwrap();
    let second = reserve(&ledger, &hard, &fresh(), 80);
    block_on(ledger.flush());
    assert!(ledger.trouble().is_some());
    get_well(dir.path());
    // It comes before the database is tried again by itself.
    assert_eq!(second.settle(posting(80, NOON)).wait(), Ok(()));
    let report = check(dir.path()).unwrap();
    assert!(report.is_clean() && report.pending == 0, "{report}");
    assert_eq!(rows(dir.path()), [(0, 20, 20), (0, 80, 80)]);
    assert_eq!(ledger.spent(&hard), Some(Spent { posted: Nanos(100), pending: Nanos(0) }));
}

/// Each try may wait for seconds: what is queued behind a commit that has failed does not try again by itself.
#[test]
fn a_round_tries_a_database_that_fails_once() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let free = key(&ledger, NewKey::default());
    fall_ill(dir.path());
    let stuck = Stuck::new(dir.path());
    for _ in 0..2_000 {
        settle(reserve(&ledger, &free, &fresh(), 0), 1).unwrap();
    }
    drop(stuck);
    block_on(ledger.flush());
    let stats = ledger.stats();
    assert_eq!((stats.unwritten, stats.queued), (2_000, 0));
    // One for the first row, one for the round behind it, one when it is tried again, and one for whoever flushes.
    assert!(stats.failed_commits <= 4, "{stats:?}");
    get_well(dir.path());
    block_on(ledger.flush());
    assert_eq!((ledger.stats().unwritten, rows(dir.path()).len()), (0, 2_000));
}

/// What a future that is dropped leaves behind, at each place where it can be dropped.
#[test]
fn whoever_leaves_in_the_middle_keeps_no_money_and_loses_no_posting() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let hard = hard(&ledger, 100);
    let id = fresh();
    {
        let mut asked = std::pin::pin!(ledger.reserve_fresh(&hard, &id, Nanos(90)));
        assert!(poll_once(asked.as_mut()).is_pending());
        assert_eq!(ledger.spent(&hard).unwrap().pending, Nanos(90));
    }
    // As long as the rows do not say that it is let go, it is not.
    block_on(ledger.flush());
    assert_eq!(ledger.spent(&hard), Some(Spent { posted: Nanos(0), pending: Nanos(0) }));
    drop(reserve(&ledger, &hard, &fresh(), 90).settle(posting(10, NOON)));
    let mut polled = reserve(&ledger, &hard, &fresh(), 90).settle(posting(20, NOON));
    assert!(poll_once(std::pin::Pin::new(&mut polled)).is_pending());
    drop(polled);
    assert_eq!(ledger.spent(&hard), Some(Spent { posted: Nanos(30), pending: Nanos(0) }));
    block_on(ledger.flush());
    assert_eq!((rows(dir.path()), ledger.stats().pending), (vec![(0, 10, 10), (0, 20, 20)], 0));
    ledger.close();
    assert_eq!(journal(dir.path()), Vec::<String>::new());
    let report = check(dir.path()).unwrap();
    assert!(report.is_clean() && report.pending == 0, "{report}");
}

#[test]
fn closed_while_the_database_fails_it_leaves_its_journal_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let free = key(&ledger, NewKey::default());
    let one = reserve(&ledger, &free, &fresh(), 0);
    fall_ill(dir.path());
    settle(one, 20).unwrap();
    ledger.close();
    assert_eq!((rows(dir.path()), journal(dir.path()).len()), (vec![], 1));
    get_well(dir.path());
    let next = open(dir.path(), &Clock::manual(NOON));
    assert_eq!((rows(dir.path()), journal(dir.path()).len()), (vec![(0, 20, 20)], 0));
    assert_eq!(next.stats().replayed, 1);
}

/// The hold's time and its posting, in both orders.
#[test]
fn whichever_comes_first_decides_for_a_hold_at_the_end_of_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOON);
    let ledger = open(dir.path(), &clock);
    let hard = hard(&ledger, 100);
    let (late, first) = (reserve(&ledger, &hard, &fresh(), 40), reserve(&ledger, &hard, &fresh(), 40));
    block_on(ledger.flush());
    // Settled, and then the clock leaps before the posting can be a row.
    let stuck = Stuck::new(dir.path());
    settle(first, 30).unwrap();
    clock.set(NOON + 1_000_000);
    drop(stuck);
    block_on(ledger.flush());
    assert_eq!(ledger.stats().expired, 1, "the other one's time is over");
    let over = SettleError::OverHold { asked: Nanos(30), charged: Nanos(0) };
    assert_eq!(late.settle(posting(30, NOON)).wait(), Err(over));
    assert_eq!(ledger.spent(&hard), Some(Spent { posted: Nanos(30), pending: Nanos(0) }));
    assert_eq!(rows(dir.path()), [(0, 0, 30), (0, 30, 30)]);
    let report = check(dir.path()).unwrap();
    assert!(report.is_clean() && report.pending == 0, "{report}");
}

#[test]
fn a_file_that_cannot_be_read_in_places_gives_what_it_can_and_is_put_aside() {
    let (dir, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let free = key(&ledger, NewKey::default());
    let stuck = Stuck::new(dir.path());
    for charged in 1..=9 {
        settle(reserve(&ledger, &free, &fresh(), 0), charged).unwrap();
    }
    crash_image(dir.path(), image.path());
    drop(stuck);
    let name = journal(image.path()).pop().unwrap();
    let whole = std::fs::read(image.path().join(&name)).unwrap();
    let header = "weir ledger journal 1\nsalt".len();
    let frame = (whole.len() - header) / 9;

    // Cut off anywhere in the last record: most likely nobody was told of it. It is said and kept, and that is all.
    for cut in [1, frame / 2, frame - 1] {
        let copy = tempfile::tempdir().unwrap();
        crash_image(image.path(), copy.path());
        std::fs::write(copy.path().join(&name), &whole[..whole.len() - cut]).unwrap();
        let next = open(copy.path(), &Clock::manual(NOON));
        assert_eq!(next.stats().replayed, 8, "cut {cut}");
        let [damage] = next.damage() else { panic!("a cut of {cut}: {:?}", next.damage()) };
        assert!(damage.may_be_cut_off && damage.aside.exists() && damage.good == 8, "{damage}");
        assert!(check(copy.path()).unwrap().is_clean());
    }
    // A flipped bit anywhere in a record costs that record, and is told of until somebody has seen to it.
    let middle = [0, 5, 9, frame / 2, frame - 1].map(|of_frame| (4, of_frame));
    let last = [5, 9, frame - 1].map(|of_frame| (8, of_frame));
    for (record, of_frame) in middle.into_iter().chain(last) {
        let at = header + record * frame + of_frame;
        let copy = tempfile::tempdir().unwrap();
        crash_image(image.path(), copy.path());
        let mut bad = whole.clone();
        bad[at] ^= 0x10;
        std::fs::write(copy.path().join(&name), &bad).unwrap();
        let next = open(copy.path(), &Clock::manual(NOON));
        assert_eq!(next.stats().replayed, 8, "a flip at {at}");
        let [damage] = next.damage() else { panic!("a flip at {at}: {:?}", next.damage()) };
        assert_eq!((damage.part, damage.good, damage.lost), (Part::Journal, record, 1), "{damage}");
        assert!(!damage.may_be_cut_off);
        assert_eq!(std::fs::read(&damage.aside).unwrap(), bad);
        let report = check(copy.path()).unwrap();
        assert_eq!(report.violations.iter().map(|found| found.law).collect::<Vec<_>>(), ["L7"], "{report}");
        let aside = damage.aside.clone();
        next.close();
        assert!(open(copy.path(), &Clock::manual(NOON)).damage().is_empty(), "it is told of once");
        std::fs::remove_file(aside).unwrap();
        assert!(check(copy.path()).unwrap().is_clean());
    }
    // Another version's records are not guessed at.
    std::fs::write(image.path().join(&name), b"weir ledger journal 2\n...").unwrap();
    let refused = Ledger::open(image.path(), Options::new(Pepper::load_or_create(image.path()).unwrap()));
    let Err(error @ OpenError::Journal(_)) = refused else { panic!("it was opened") };
    assert!(error.to_string().contains(&name), "{error}");
    assert!(matches!(check(image.path()), Err(OpenError::Journal(_))));
    assert!(image.path().join(&name).exists());
}

#[test]
fn where_a_commit_must_survive_the_loss_of_power_there_is_no_journal() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(Pepper::load_or_create(dir.path()).unwrap());
    options.sync = Sync::Full;
    let ledger = Ledger::open(dir.path(), options).unwrap();
    let hard = hard(&ledger, 100);
    let held = block_on(ledger.reserve_fresh(&hard, &fresh(), Nanos(10))).unwrap();
    held.settle(posting(10, NOON)).wait().unwrap();
    assert_eq!((rows(dir.path()), journal(dir.path()).len()), (vec![(0, 10, 10)], 0));
}

/// `WEIR_BLESS=1` writes the file anew: only together with a new version in the journal's header.
#[test]
fn records_of_this_version_are_read_for_as_long_as_it_is_this_version() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ledger/journal-1.golden");
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let (hard, free) = (hard(&ledger, 100), key(&ledger, NewKey::default()));
    if std::env::var_os("WEIR_BLESS").is_some() {
        let _stuck = Stuck::new(dir.path());
        settle(reserve(&ledger, &hard, &fresh(), 50), 20).unwrap();
        let _under_way = reserve(&ledger, &hard, &fresh(), 30);
        let used = Usage { images: 2, tier: ServiceTier::Flex, ..posting(0, NOON).usage };
        let id = Some("asked-for".into());
        let gone = Posting { status: Outcome::ClientAbort, request_id: id, usage: used, ..posting(60, NOON) };
        at_once(reserve(&ledger, &free, &fresh(), 0).settle(gone)).unwrap();
        std::fs::copy(dir.path().join(&journal(dir.path())[0]), golden).unwrap();
        return;
    }
    ledger.close();
    std::fs::copy(golden, dir.path().join("ledger.journal-000001")).unwrap();
    let next = open(dir.path(), &Clock::manual(NOON));
    assert_eq!((next.stats().replayed, next.stats().adopted), (2, 1));
    assert_eq!(rows(dir.path()), [(0, 20, 20), (1, 60, 60)]);
    assert_eq!(next.usage(&Query::default()).unwrap().iter().map(|row| row.usage.images).sum::<u64>(), 2);
    assert!(check(dir.path()).unwrap().is_clean());
}

/// Names are the caller's where models are asked for directly: what does not fit into a record waits for its row.
#[test]
fn what_is_too_long_for_the_journal_waits_for_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let free = key(&ledger, NewKey::default());
    let stuck = Stuck::new(dir.path());
    let long = Posting { alias: "x".repeat(5_000).into(), ..posting(8, NOON) };
    let mut waits = reserve(&ledger, &free, &fresh(), 0).settle(long);
    for _ in 0..9 {
        assert!(poll_once(std::pin::Pin::new(&mut waits)).is_pending());
    }
    drop(stuck);
    waits.wait().unwrap();
    assert_eq!(rows(dir.path()), [(0, 8, 8)]);
}

/// The database's log has lost its latest part, and with it keys of which the journal knows.
#[test]
fn what_has_lost_its_key_is_put_aside_and_nobody_inherits_it() {
    let (dir, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let kept = hard(&ledger, 100);
    let sound = std::fs::metadata(dir.path().join("ledger.sqlite3-wal")).unwrap().len();
    let gone = [key(&ledger, NewKey::default()), hard(&ledger, 100)];
    let stuck = Stuck::new(dir.path());
    settle(reserve(&ledger, &kept, &fresh(), 20), 15).unwrap();
    settle(reserve(&ledger, &gone[0], &fresh(), 0), 1_000).unwrap();
    settle(reserve(&ledger, &gone[1], &fresh(), 50), 200).unwrap_err();
    let _open = reserve(&ledger, &gone[1], &fresh(), 50);
    crash_image(dir.path(), image.path());
    drop(stuck);
    let log = image.path().join("ledger.sqlite3-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[usize::try_from(sound).unwrap() + 100] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    let left = journal(image.path());
    assert_eq!(check(image.path()).unwrap().waiting, 1, "what has no key waits for nobody");
    // A start that fails puts no journal aside: the next one has to tell.
    let unknown = image.path().join("ledger.journal-000009");
    std::fs::write(&unknown, b"weir ledger journal 2\n...").unwrap();
    let pepper = || Pepper::load_or_create(image.path()).unwrap();
    assert!(matches!(Ledger::open(image.path(), Options::new(pepper())), Err(OpenError::Journal(_))));
    assert!(image.path().join(&left[0]).exists());
    std::fs::remove_file(unknown).unwrap();

    let next = open(image.path(), &Clock::manual(NOON));
    // The log was put aside by the start that failed, which `check` says still.
    let [orphans] = next.damage() else { panic!("{:?}", next.damage()) };
    // Two postings and two holds; a hold lets through what it stands for.
    let known = (orphans.part, orphans.good, orphans.lost);
    assert_eq!(known, (Part::Orphans(Nanos(1_050)), 2, 4), "{orphans}");
    assert!(orphans.to_string().contains("(0.000001050 USD in all)"), "{orphans}");
    assert!(orphans.aside.ends_with(format!("{}.damaged-1", left[0])), "{orphans}");
    let files = [image.path().join("ledger.sqlite3-wal.damaged-1"), orphans.aside.clone()];
    assert!(files[1].exists(), "what is written is put aside at once");
    assert_eq!((next.stats().replayed, rows(image.path())), (1, vec![(0, 15, 15)]));
    // Keys and budgets that come after have the ids of those that are gone, and nothing else of them.
    for _ in 0..2 {
        let stranger = hard(&next, 100);
        assert_eq!(next.spent(&stranger), Some(Spent { posted: Nanos(0), pending: Nanos(0) }));
    }
    let laws: Vec<_> = check(image.path()).unwrap().violations.iter().map(|found| found.law).collect();
    assert_eq!(laws, ["L7", "L7"]);
    next.close();
    let again = open(image.path(), &Clock::manual(NOON));
    assert_eq!((again.damage(), again.stats().replayed), (&[][..], 0), "it is told of once");
    again.close();
    files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    let report = check(image.path()).unwrap();
    assert!(report.is_clean() && report.postings == 1, "{report}");
}
