//! The ledger's surface: keys, locks, versions, refusals, sums.

use std::time::Instant;

use crate::common::{NOON, block_on, budget, key, open, posting};
use weir_ledger::people::{DEFAULT_ORGANISATION, DEFAULT_TEAM};
use weir_ledger::{
    Clock, Edit, Group, GroupBy, IdentifyError, Ledger, NewKey, OpenError, Options, Outcome, Pepper, Period,
    Posting, Query, Refused, SecretKey, SettleError, StoreError, UsageRow, Wishes,
};
use weir_llm::price::Nanos;
use weir_llm::terms::DataClass;

#[test]
fn a_key_is_what_it_was_made_as_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let organisation = ledger.create_organisation("acme", &Wishes::retention("days-7")).unwrap();
    let research = Wishes { region: Some("eu,ch".into()), no_training: true, ..Wishes::default() };
    let team = ledger.create_team(Some(&organisation), "research", &research).unwrap();
    let new = NewKey {
        name: "ci".into(),
        team: Some(team.clone()),
        expires_ms: Some(NOON + 10),
        rpm: Some(2),
        concurrency: Some(7),
        budget: budget(5, true, Period::Day),
        wishes: Wishes {
            region: Some("eu".into()),
            class: Some(DataClass::Confidential),
            ..Wishes::retention("days-30")
        },
        tags: vec![("tier".into(), "gold".into()), ("app".into(), "ci".into())],
        scopes: vec!["tags".into()],
        models: Some(vec!["fast".into()]),
    };
    let (row, secret) = ledger.create_key(new).unwrap();
    let text = secret.expose();
    let look = |ledger: &Ledger| {
        let principal = ledger.identify(&text).unwrap();
        assert_eq!((&*principal.key_id, &*principal.key_name), (&*row.id, "ci"));
        assert_eq!((&*principal.team_id, &*principal.organisation_id), (&*team, &*organisation));
        assert_eq!(
            (&*principal.retention, principal.rpm, principal.concurrency),
            ("days-7", Some(2), Some(7))
        );
        assert_eq!((&*principal.regions, principal.no_training), (&["eu,ch".into(), "eu".into()][..], true));
        assert_eq!(principal.class, Some(DataClass::Confidential));
        assert_eq!(principal.tags.iter().map(|tag| &*tag.0).collect::<Vec<_>>(), ["app", "tier"]);
        assert!(principal.may_use("fast") && !principal.may_use("slow"));
        assert!(principal.has_scope("tags") && !principal.has_scope("cache") && principal.has_hard_budget());
        assert_eq!(ledger.list_keys().unwrap(), std::slice::from_ref(&row));
    };
    look(&ledger);
    ledger.close();
    look(&open(dir.path(), &Clock::manual(NOON)));
    let files = ["ledger.sqlite3", "ledger.sqlite3-wal"]
        .map(|name| std::fs::read(dir.path().join(name)).unwrap_or_default());
    let secret = &text.as_bytes()[8..51];
    assert!(
        !files.concat().windows(secret.len()).any(|window| window == secret),
        "the key's text is on disk"
    );
}

#[test]
fn what_an_organisation_or_a_team_asks_for_can_be_changed_and_holds_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let acme = ledger.create_organisation("acme", &Wishes::default()).unwrap();
    let team = ledger.create_team(Some(&acme), "research", &Wishes::retention("days-30")).unwrap();
    let other = ledger.create_team(Some(&acme), "sales", &Wishes::default()).unwrap();
    let make = |team: Option<&str>, rpm| {
        let new = NewKey { name: "k".into(), team: team.map(str::to_owned), rpm, ..NewKey::default() };
        ledger.create_key(new).map(|(_, secret)| secret.expose()).unwrap()
    };
    let (below, beside, elsewhere) = (make(Some(&team), Some(1)), make(Some(&other), None), make(None, None));
    let asks = |ledger: &Ledger, key: &str| {
        let principal = ledger.identify(key).unwrap();
        (principal.retention.to_string(), principal.regions.to_vec(), principal.no_training)
    };
    let nothing = || ("unknown".to_owned(), Vec::<String>::new(), false);
    assert_eq!(asks(&ledger, &below).0, "days-30");
    let before = ledger.identify(&below).unwrap();
    ledger.admit(&before, Instant::now()).unwrap();

    let strict = Edit {
        name: Some("acme & sons".into()),
        retention: Some(Some("zero".into())),
        region: Some(Some("eu".into())),
        no_training: Some(true),
        class: None,
    };
    ledger.edit(Group::Organisation, &acme, strict).unwrap();
    let all = || ("zero".to_owned(), vec!["eu".to_owned()], true);
    assert_eq!(
        (asks(&ledger, &below), asks(&ledger, &beside), asks(&ledger, &elsewhere)),
        (all(), all(), nothing())
    );
    let after = ledger.identify(&below).unwrap();
    assert!(ledger.admit(&after, Instant::now()).is_err(), "its requests per minute are not full again");
    assert_eq!(&*before.retention, "days-30", "what is under way ends as it began");

    // What is not named stays; nothing is a wish too.
    let loose = Edit { retention: Some(None), no_training: Some(false), ..Edit::default() };
    ledger.edit(Group::Organisation, &acme, loose).unwrap();
    assert_eq!(asks(&ledger, &below), ("days-30".to_owned(), vec!["eu".to_owned()], false));
    ledger.edit(Group::Team, &team, Edit { region: Some(Some("ch".into())), ..Edit::default() }).unwrap();
    assert_eq!(asks(&ledger, &below).1, ["eu", "ch"]);
    assert_eq!(asks(&ledger, &beside).1, ["eu"]);

    let rename = |name: &str| Edit { name: Some(name.into()), ..Edit::default() };
    assert!(matches!(ledger.edit(Group::Team, &team, rename("sales")), Err(StoreError::Exists { .. })));
    ledger.edit(Group::Team, &team, rename("research")).unwrap();
    assert!(matches!(ledger.edit(Group::Team, "team_x", rename("x")), Err(StoreError::Missing { .. })));
    let week = Edit { retention: Some(Some("week".into())), ..Edit::default() };
    assert!(matches!(ledger.edit(Group::Team, &team, week), Err(StoreError::Invalid(_))));
    assert!(matches!(ledger.edit(Group::Team, &team, rename(" ")), Err(StoreError::Invalid(_))));

    let look = |ledger: &Ledger| {
        let organisations = ledger.list_organisations().unwrap();
        let found = organisations.iter().find(|one| one.id == acme).unwrap();
        assert_eq!((found.name.as_str(), found.wishes.region.as_deref()), ("acme & sons", Some("eu")));
        assert_eq!((found.wishes.retention.as_deref(), found.wishes.no_training), (None, false));
        assert_eq!(organisations[0].id, "org_default");
        let teams = ledger.list_teams().unwrap();
        let found = teams.iter().find(|one| one.id == team).unwrap();
        assert_eq!((found.name.as_str(), found.organisation.as_str()), ("research", acme.as_str()));
        assert_eq!((teams.len(), found.wishes.region.as_deref()), (3, Some("ch")));
        assert_eq!(
            asks(ledger, &below),
            ("days-30".to_owned(), vec!["eu".to_owned(), "ch".to_owned()], false)
        );
    };
    look(&ledger);
    ledger.close();
    look(&open(dir.path(), &Clock::manual(NOON)));
}

#[test]
fn the_most_sensitive_class_of_organisation_team_and_key_holds() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let said = || std::iter::once(None).chain(DataClass::ALL.map(Some));
    let wishes = |class| Wishes { class, ..Wishes::default() };
    let mut keys = Vec::new();
    for first in said() {
        let organisation = ledger.create_organisation(&format!("{first:?}"), &wishes(first)).unwrap();
        for second in said() {
            let name = format!("{first:?} {second:?}");
            let team = ledger.create_team(Some(&organisation), &name, &wishes(second)).unwrap();
            for third in said() {
                let new = NewKey {
                    name: "k".into(),
                    team: Some(team.clone()),
                    wishes: wishes(third),
                    ..NewKey::default()
                };
                let (row, secret) = ledger.create_key(new).unwrap();
                // Whoever says nothing changes nothing; all others are ordered.
                let most = [first, second, third].into_iter().flatten().max();
                assert_eq!(row.class, most, "{first:?} {second:?} {third:?}");
                keys.push((secret.expose(), most));
            }
        }
    }
    let look = |ledger: &Ledger| {
        for (text, most) in &keys {
            assert_eq!(ledger.identify(text).unwrap().class, *most);
        }
    };
    look(&ledger);
    ledger.close();
    look(&open(dir.path(), &Clock::manual(NOON)));
}

#[test]
fn a_class_is_changed_taken_back_and_survives_other_changes() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let secret = |class| Edit { class: Some(class), ..Edit::default() };
    let (_, text) = ledger.create_key(NewKey { name: "k".into(), ..NewKey::default() }).unwrap();
    let text = text.expose();
    let class = |ledger: &Ledger| ledger.identify(&text).unwrap().class;
    assert_eq!(class(&ledger), None);
    ledger.edit(Group::Organisation, DEFAULT_ORGANISATION, secret(Some(DataClass::Restricted))).unwrap();
    ledger.edit(Group::Team, DEFAULT_TEAM, secret(Some(DataClass::Public))).unwrap();
    assert_eq!(class(&ledger), Some(DataClass::Restricted), "at once");
    let other = Edit { region: Some(Some("eu".into())), ..Edit::default() };
    ledger.edit(Group::Organisation, DEFAULT_ORGANISATION, other).unwrap();
    assert_eq!(class(&ledger), Some(DataClass::Restricted), "what is not named stays");
    let organisations = ledger.list_organisations().unwrap();
    assert_eq!(organisations[0].wishes.class, Some(DataClass::Restricted));
    assert_eq!(ledger.list_teams().unwrap()[0].wishes.class, Some(DataClass::Public));
    ledger.edit(Group::Organisation, DEFAULT_ORGANISATION, secret(None)).unwrap();
    assert_eq!(class(&ledger), Some(DataClass::Public));
    ledger.close();

    // A word that this version does not know is as strict as can be.
    let conn = rusqlite::Connection::open(dir.path().join("ledger.sqlite3")).unwrap();
    conn.execute("UPDATE keys SET class = 'secret'", []).unwrap();
    drop(conn);
    assert_eq!(class(&open(dir.path(), &Clock::manual(NOON))), Some(DataClass::Restricted));
}

#[test]
fn a_key_ends() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOON);
    let ledger = open(dir.path(), &clock);
    let make = |new| ledger.create_key(new).map(|(row, secret)| (row.id, secret.expose())).unwrap();
    let (_, brief) = make(NewKey { name: "brief".into(), expires_ms: Some(NOON + 10), ..NewKey::default() });
    let (id, gone) = make(NewKey { name: "gone".into(), ..NewKey::default() });
    let (_, stays) = make(NewKey { name: "stays".into(), ..NewKey::default() });
    let error = |ledger: &Ledger, text: &str| ledger.identify(text).err();
    assert_eq!(error(&ledger, &brief), None);
    clock.set(NOON + 10);
    ledger.revoke_key(&id).unwrap();
    clock.set(NOON + 20);
    ledger.revoke_key(&id).unwrap();
    let look = |ledger: &Ledger| {
        assert_eq!(error(ledger, &brief), Some(IdentifyError::Expired));
        assert_eq!(error(ledger, &gone), Some(IdentifyError::Revoked));
        assert_eq!(error(ledger, &stays), None);
        assert_eq!(error(ledger, &stays[..50]), Some(IdentifyError::Malformed));
        assert_eq!(error(ledger, &SecretKey::generate().unwrap().expose()), Some(IdentifyError::Unknown));
        assert_eq!(ledger.list_keys().unwrap()[1].revoked_ms, Some(NOON + 10), "the first revocation counts");
    };
    look(&ledger);
    ledger.close();
    look(&open(dir.path(), &clock));
}

#[test]
fn a_new_key_or_a_revocation_resets_nobodys_limits() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let (row, secret) =
        ledger.create_key(NewKey { name: "a".into(), rpm: Some(1), ..NewKey::default() }).unwrap();
    let text = secret.expose();
    let now = Instant::now();
    ledger.admit(&ledger.identify(&text).unwrap(), now).unwrap();
    let other = key(&ledger, NewKey::default());
    let refused = ledger.admit(&ledger.identify(&text).unwrap(), now).unwrap_err();
    assert_eq!((refused.limit, refused.remaining), (1, 0));
    assert!((59_000..=60_000).contains(&refused.retry_after_ms));
    assert_eq!(ledger.admit(&other, now), Ok(()));
    assert_ne!(row.id, &*other.key_id);
}

#[test]
fn what_is_not_valid_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let make = |new| ledger.create_key(new).map(|(row, _)| row.id).unwrap_err();
    let named = || NewKey { name: "n".into(), ..NewKey::default() };
    assert!(matches!(make(NewKey { wishes: Wishes::retention("week"), ..named() }), StoreError::Invalid(_)));
    assert!(matches!(
        make(NewKey { budget: budget(-1, true, Period::None), ..named() }),
        StoreError::Invalid(_)
    ));
    assert!(matches!(make(NewKey::default()), StoreError::Invalid(_)));
    let lost = NewKey { team: Some("team_x".into()), budget: budget(1, true, Period::None), ..named() };
    assert_eq!(make(lost), StoreError::Missing { what: "team", name: "team_x".into() });
    assert!(matches!(ledger.revoke_key("key_x"), Err(StoreError::Missing { what: "key", .. })));
    assert!(matches!(
        ledger.create_organisation("default", &Wishes::default()),
        Err(StoreError::Exists { .. })
    ));
    assert!(matches!(
        ledger.create_team(None, "default", &Wishes::default()),
        Err(StoreError::Exists { .. })
    ));
    assert_eq!(ledger.list_keys().unwrap(), []);
    let conn = rusqlite::Connection::open(dir.path().join("ledger.sqlite3")).unwrap();
    let budgets: i64 = conn.query_row("SELECT count(*) FROM budgets", [], |row| row.get(0)).unwrap();
    assert_eq!(budgets, 0);
}

#[test]
fn a_second_process_is_told_who_was_first_and_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(Pepper::load_or_create(dir.path()).unwrap());
    options.admin_addr = Some("127.0.0.1:8081".into());
    let ledger = Ledger::open(dir.path(), options.clone()).unwrap();
    let error = Ledger::open(dir.path(), options.clone()).err().unwrap().to_string();
    let pid = std::process::id();
    assert_eq!(error, format!("the ledger is in use by process {pid}; its admin API is at 127.0.0.1:8081"));
    let principal = key(&ledger, NewKey::default());
    block_on(ledger.reserve(&principal, "x", Nanos(1))).unwrap().settle(posting(1, NOON)).wait().unwrap();
    let reader = Ledger::open_read_only(dir.path()).unwrap();
    assert_eq!(reader.usage(&Query::default()).unwrap(), ledger.usage(&Query::default()).unwrap());
    assert_eq!(reader.list_keys().unwrap().len(), 1);
    assert!(reader.check().unwrap().is_clean());
    drop((ledger, principal));
    // The last handle closes it; the thread lets the lock go when it has ended.
    let again = std::iter::repeat_with(|| Ledger::open(dir.path(), options.clone()));
    let opened = again.inspect(|_| std::thread::yield_now()).find_map(|opened| match opened {
        Err(OpenError::Locked { .. }) => None,
        other => Some(other),
    });
    opened.unwrap().unwrap();
    assert_eq!(reader.usage(&Query::default()).unwrap().len(), 1, "a reader outlives the server");
}

#[test]
fn versions_and_peppers_that_do_not_fit_are_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Ledger::open_read_only(dir.path()), Err(OpenError::Missing(_))));
    open(dir.path(), &Clock::system()).close();
    let other = Ledger::open(dir.path(), Options::new(Pepper::new(&[7; 32]))).err().unwrap();
    assert!(matches!(other, OpenError::WrongPepper), "{other}");
    let conn = rusqlite::Connection::open(dir.path().join("ledger.sqlite3")).unwrap();
    conn.execute("UPDATE meta SET value = '99' WHERE name = 'schema'", []).unwrap();
    let pepper = Pepper::load_or_create(dir.path()).unwrap();
    let newer = Ledger::open(dir.path(), Options::new(pepper)).err().unwrap();
    assert!(newer.to_string().contains("version 99"), "{newer}");
    assert!(matches!(Ledger::open_read_only(dir.path()), Err(OpenError::Newer { found: 99, .. })));
}

#[test]
fn amounts_that_cannot_be_are_refused_and_give_the_money_back() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let hard = key(&ledger, NewKey { budget: budget(10, true, Period::None), ..NewKey::default() });
    for (id, charged) in [("negative", -1), ("absurd", i64::MAX)] {
        let reservation = block_on(ledger.reserve(&hard, id, Nanos(10))).unwrap();
        assert_eq!(reservation.settle(posting(charged, NOON)).wait(), Err(SettleError::Insane));
        block_on(ledger.flush());
    }
    // A hostile hold cannot wrap the sum; a negative one makes no room.
    let over = block_on(ledger.reserve(&hard, "huge", Nanos(i64::MAX))).err().unwrap();
    assert!(matches!(over, Refused::OverBudget { .. }), "{over}");
    let kept = block_on(ledger.reserve(&hard, "kept", Nanos(10))).unwrap();
    let none = block_on(ledger.reserve(&hard, "none", Nanos(-10))).unwrap();
    assert!(block_on(ledger.reserve(&hard, "more", Nanos(1))).is_err());
    drop((kept, none));
    ledger.close();
    assert_eq!(block_on(ledger.reserve(&hard, "late", Nanos(1))).err(), Some(Refused::Closed));
    let free = block_on(ledger.reserve(&key_free(), "x", Nanos(1))).unwrap();
    assert_eq!(free.settle(posting(1, NOON)).wait(), Err(SettleError::Closed));
}

/// A principal without a budget, of another ledger.
fn key_free() -> std::sync::Arc<weir_ledger::Principal> {
    let dir = tempfile::tempdir().unwrap();
    key(&open(dir.path(), &Clock::system()), NewKey::default())
}

#[test]
fn more_than_the_hold_is_cut_and_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let hard = key(&ledger, NewKey { budget: budget(10, true, Period::None), ..NewKey::default() });
    let soft = key(&ledger, NewKey { budget: budget(10, false, Period::None), ..NewKey::default() });
    let over = block_on(ledger.reserve(&hard, "a", Nanos(4))).unwrap().settle(posting(9, NOON)).wait();
    assert_eq!(over, Err(SettleError::OverHold { asked: Nanos(9), charged: Nanos(4) }));
    block_on(ledger.reserve(&soft, "b", Nanos(4))).unwrap().settle(posting(9, NOON)).wait().unwrap();
    assert_eq!(ledger.spent(&hard).unwrap().posted, Nanos(4));
    assert_eq!(ledger.spent(&soft).unwrap().posted, Nanos(9));
    let conn = rusqlite::Connection::open(dir.path().join("ledger.sqlite3")).unwrap();
    let cuts = "SELECT exchange, charged, cut FROM postings ORDER BY id";
    let cuts: Vec<(String, i64, Option<i64>)> = conn
        .prepare(cuts)
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(cuts, [("a".to_owned(), 4, Some(5)), ("b".to_owned(), 9, None)]);
    // A soft budget refuses once it is spent.
    block_on(ledger.reserve(&soft, "c", Nanos(999))).unwrap().settle(posting(1, NOON)).wait().unwrap();
    assert!(matches!(block_on(ledger.reserve(&soft, "d", Nanos(0))).err(), Some(Refused::OverBudget { .. })));
}

#[test]
fn a_hold_past_its_time_is_let_go_and_charges_nothing_later() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOON);
    let ledger = open(dir.path(), &clock);
    let hard = key(&ledger, NewKey { budget: budget(10, true, Period::None), ..NewKey::default() });
    let late = block_on(ledger.reserve(&hard, "late", Nanos(10))).unwrap();
    clock.set(NOON + 630_001);
    block_on(ledger.flush());
    assert_eq!((ledger.spent(&hard).unwrap().pending, ledger.stats().expired), (Nanos(0), 1));
    let next = block_on(ledger.reserve(&hard, "next", Nanos(10))).unwrap();
    assert_eq!(
        late.settle(posting(6, NOON)).wait(),
        Err(SettleError::OverHold { asked: Nanos(6), charged: Nanos(0) })
    );
    next.settle(posting(10, NOON)).wait().unwrap();
    let report = weir_ledger::check(dir.path()).unwrap();
    assert!(report.is_clean() && report.postings == 2, "{report}");
}

#[test]
fn a_failed_commit_is_told_keeps_the_money_held_and_harms_nothing_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let hard = key(&ledger, NewKey { budget: budget(10, true, Period::None), ..NewKey::default() });
    let free = key(&ledger, NewKey::default());
    let held = block_on(ledger.reserve(&hard, "held", Nanos(6))).unwrap();
    let vandal = rusqlite::Connection::open(dir.path().join("ledger.sqlite3")).unwrap();
    let fire = "CREATE TRIGGER fire BEFORE INSERT ON postings BEGIN SELECT RAISE(ABORT, 'disk on fire'); END";
    vandal.execute_batch(fire).unwrap();
    let told = held.settle(posting(6, NOON)).wait().unwrap_err();
    assert!(told.to_string().contains("disk on fire"), "{told}");
    assert_eq!(ledger.spent(&hard).unwrap().pending, Nanos(6), "its row is still to be written");
    assert!(block_on(ledger.reserve(&hard, "more", Nanos(5))).is_err());
    vandal.execute_batch("DROP TRIGGER fire").unwrap();
    block_on(ledger.flush());
    let spent = ledger.spent(&hard).unwrap();
    assert_eq!((spent.posted, spent.pending), (Nanos(0), Nanos(0)), "what was withheld costs nothing");
    block_on(ledger.reserve(&free, "held", Nanos(0))).unwrap().settle(posting(1, NOON)).wait().unwrap_err();
    block_on(ledger.reserve(&free, "next", Nanos(0))).unwrap().settle(posting(1, NOON)).wait().unwrap();
    let stats = ledger.stats();
    assert_eq!((stats.failed_commits > 0, stats.postings, stats.pending), (true, 2, 0));
    assert!(weir_ledger::check(dir.path()).unwrap().is_clean());
}

#[test]
fn a_posting_is_written_also_if_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let principal = key(&ledger, NewKey::default());
    drop(block_on(ledger.reserve(&principal, "x", Nanos(0))).unwrap().settle(posting(1, NOON)));
    ledger.close();
    assert_eq!(weir_ledger::check::missing(dir.path(), ["x", "y"]).unwrap(), ["y"]);
}

#[test]
fn a_clock_that_is_set_back_brings_no_money_back() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(NOON);
    let ledger = open(dir.path(), &clock);
    let new = NewKey { name: "daily".into(), budget: budget(10, true, Period::Day), ..NewKey::default() };
    let text = ledger.create_key(new).unwrap().1.expose();
    let reserve = |ledger: &Ledger, id: &str| {
        let principal = ledger.identify(&text).unwrap();
        block_on(ledger.reserve(&principal, id, Nanos(10)))
    };
    reserve(&ledger, "a").unwrap().settle(posting(10, NOON)).wait().unwrap();
    clock.set(NOON - 86_400_000);
    assert!(reserve(&ledger, "b").is_err());
    ledger.close();
    let ledger = open(dir.path(), &clock);
    assert!(reserve(&ledger, "c").is_err());
    clock.set(NOON + 86_400_000);
    reserve(&ledger, "d").unwrap().settle(posting(10, NOON)).wait().unwrap();
}

#[test]
fn sums_are_shown_by_key_model_provider_and_day() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let a = key(&ledger, NewKey { name: "a".into(), ..NewKey::default() });
    let b = key(&ledger, NewKey { name: "b".into(), ..NewKey::default() });
    let day = 86_400_000;
    let rows = [
        (&a, posting(10, NOON)),
        (&a, Posting { provider_cost: None, model: "sim-large".into(), ..posting(20, NOON) }),
        (
            &a,
            Posting {
                status: Outcome::CacheHit,
                provider: "".into(),
                saved_by_cache: Nanos(7),
                ..posting(0, NOON + day)
            },
        ),
        (&b, Posting { status: Outcome::Failed, ..posting(0, NOON + day) }),
    ];
    for (n, (principal, posting)) in rows.into_iter().enumerate() {
        block_on(ledger.reserve(principal, &n.to_string(), Nanos(0)))
            .unwrap()
            .settle(posting)
            .wait()
            .unwrap();
    }
    let ask = |group_by| ledger.usage(&Query { group_by, ..Query::default() }).unwrap();
    let short = |rows: &[UsageRow]| {
        rows.iter().map(|row| (row.group.clone(), row.exchanges, row.charged.0)).collect::<Vec<_>>()
    };
    let by_key = ask(GroupBy::Key);
    assert_eq!(short(&by_key), [(a.key_id.to_string(), 3, 30), (b.key_id.to_string(), 1, 0)]);
    let first = &by_key[0];
    assert_eq!(
        (first.name.as_deref(), first.unpriced, first.cache_hits, first.unfinished),
        (Some("a"), 1, 1, 0)
    );
    assert_eq!((first.provider_cost.0, first.saved_by_cached_input.0, first.saved_by_cache.0), (10, 6, 7));
    assert_eq!((first.usage.input, first.usage.cached_input, first.usage.output), (30, 9, 21));
    assert_eq!(by_key[1].unfinished, 1);
    let named = |rows: &[(&str, u64, i64)]| {
        rows.iter().map(|row| (row.0.to_owned(), row.1, row.2)).collect::<Vec<_>>()
    };
    assert_eq!(short(&ask(GroupBy::Model)), named(&[("sim-large", 1, 20), ("sim-small", 3, 10)]));
    assert_eq!(short(&ask(GroupBy::Provider)), named(&[("sim", 3, 30), ("", 1, 0)]));
    assert_eq!(short(&ask(GroupBy::Day)), named(&[("2023-11-14", 2, 30), ("2023-11-15", 2, 0)]));
    let late = Query { since_ms: Some(NOON + 1), until_ms: Some(NOON + day), group_by: GroupBy::Day };
    assert_eq!(ledger.usage(&late).unwrap(), []);
}

#[test]
fn an_upstream_that_claims_absurd_usage_breaks_no_sum() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), &Clock::manual(NOON));
    let principal = key(&ledger, NewKey::default());
    for id in ["a", "b"] {
        let mut posting = posting(0, NOON);
        posting.usage.input = u64::MAX;
        posting.generation = u64::MAX;
        block_on(ledger.reserve(&principal, id, Nanos(0))).unwrap().settle(posting).wait().unwrap();
    }
    let sums = ledger.usage(&Query::default()).unwrap();
    assert_eq!(sums[0].usage.input, 2 * u64::from(u32::MAX));
}
