//! The ledger: opened once, cloned everywhere.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use weir_llm::price::Nanos;

use crate::account::{Account, Budget};
use crate::answer;
use crate::clock::Clock;
use crate::directory::{Directory, Entry, IdentifyError};
use crate::exchange::{ExchangeId, OpenExchanges};
use crate::key::{self, SecretKey};
use crate::limit::RateLimited;
use crate::lock::Lock;
use crate::options::{OpenError, Options};
use crate::people::{self, KeyRow, NewKey, Organisation, Team};
use crate::pepper::{self, Pepper};
use crate::principal::Principal;
use crate::reader::Reader;
use crate::reservation::{Desk, Refused, Reservation};
use crate::store::{
    Changed, Counters, Damage, Hold, Loaded, Opened, PendingRow, People, SqliteStore, Store, StoreError,
    Write,
};
use crate::usage::{Query, UsageRow};
use crate::wishes::Wishes;

/// Figures for metrics and readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Reservations that are open.
    pub pending: usize,
    /// Writes that are queued and not committed.
    pub queued: usize,
    /// Reservations that were dropped unresolved: a bug of the caller.
    pub leaked: u64,
    /// Holds that outlived their time.
    pub expired: u64,
    /// Transactions committed.
    pub commits: u64,
    /// Transactions that failed.
    pub failed_commits: u64,
    /// Holds of an earlier process that were found when it was opened.
    pub adopted: usize,
    /// Postings that an earlier process had journalled and not committed, and that were written when it was opened.
    pub replayed: u64,
    /// Whether it takes writes at all: it has not been closed, and its thread is there.
    pub open: bool,
    /// Postings committed.
    pub postings: u64,
    /// Postings whose commit failed and that wait until the database takes them.
    pub unwritten: u64,
    /// Unix milliseconds of the last commit; `None`: none yet.
    pub last_commit_ms: Option<i64>,
    /// Committed transactions by how long they took, one count for each of [`COMMIT_SECONDS`](crate::COMMIT_SECONDS)
    /// and one for what is beyond.
    pub commit_times: [u64; crate::COMMIT_SECONDS.len() + 1],
    /// How long they took together.
    pub committing: std::time::Duration,
}

/// What a budget has spent in its present period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Charged by postings.
    pub posted: Nanos,
    /// Held for exchanges in flight.
    pub pending: Nanos,
}

/// A handle; clones are the same ledger. It closes when the last one goes, or by [`Ledger::close`].
#[derive(Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
}

struct Shared {
    desk: Arc<Desk>,
    directory: Directory,
    counters: Arc<Counters>,
    clock: Clock,
    dir: PathBuf,
    damage: Vec<Damage>,
    made: bool,
    replayed: u64,
    adopted: usize,
    /// Whoever changes keys, or what they belong to, does so alone: memory takes changes in the order of the rows.
    turn: Mutex<()>,
}

impl Shared {
    async fn reserve(
        &self,
        principal: &Arc<Principal>,
        exchange_id: &str,
        fresh: bool,
        hold: Nanos,
    ) -> Result<Reservation, Refused> {
        let exchange = (ExchangeId::parse(exchange_id), fresh);
        self.desk.reserve(principal, exchange, hold, self.clock.now_ms()).await
    }
}

impl Ledger {
    /// Opens or makes the ledger in `dir`, and keeps others out of it.
    ///
    /// # Errors
    /// If another process has it, or it cannot be read or made.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        pepper::make_private_dir(dir)?;
        let lock = Lock::take(dir, options.admin_addr.as_deref())?;
        let mark = hex::encode(options.pepper.tag(b"weir pepper mark"));
        let opened = SqliteStore::start(dir, options.sync, &mark, options.clock.clone(), lock)?;
        let Opened { store, journal, damage, asides, replayed, made } = opened;
        let counters = store.counters();
        let loaded = store.load()?;
        asides.put(dir).map_err(OpenError::Io)?;
        let adopted = loaded.pending.len();
        let store: Arc<dyn Store> = Arc::new(store);
        let directory = take_over(&*store, options.pepper, loaded, options.clock.now_ms());
        let desk = Desk {
            store,
            journal,
            open: Arc::new(OpenExchanges::default()),
            hold_timeout_ms: AtomicU64::new(millis(options.hold_timeout)),
            leaked: AtomicU64::new(0),
        };
        let desk = Arc::new(desk);
        let (clock, dir) = (options.clock, dir.to_owned());
        let turn = Mutex::new(());
        let shared = Shared { desk, directory, counters, clock, dir, damage, replayed, made, adopted, turn };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A view that takes no lock and cannot write, also while a server runs.
    ///
    /// # Errors
    /// If there is no ledger, or it is not of this binary's version.
    pub fn open_read_only(dir: &Path) -> Result<Reader, OpenError> {
        Reader::open(dir)
    }

    /// Who a key's text belongs to. In memory, about a microsecond.
    ///
    /// # Errors
    /// If it is nobody's, or not any more.
    pub fn identify(&self, key_text: &str) -> Result<Arc<Principal>, IdentifyError> {
        self.shared.directory.identify(key_text, self.shared.clock.now_ms())
    }

    /// Takes one request from the key's requests per minute.
    ///
    /// # Errors
    /// If they are used up.
    pub fn admit(&self, principal: &Principal, now: Instant) -> Result<(), RateLimited> {
        principal.admit(now)
    }

    /// Holds money for an exchange. Without a hard budget this is memory only and ready at once; with one it is
    /// ready when the row is committed. `hold` is an upper bound of what will be charged.
    ///
    /// # Errors
    /// If the budget has no room, the exchange is known, or the row cannot be written.
    pub async fn reserve(
        &self,
        principal: &Arc<Principal>,
        exchange_id: &str,
        hold: Nanos,
    ) -> Result<Reservation, Refused> {
        self.shared.reserve(principal, exchange_id, false, hold).await
    }

    /// The same for an exchange whose id nobody has used before, in this process or an earlier one, which the caller
    /// answers for. The database needs not be asked, so hold and posting go through the journal: see
    /// [`Sync::Normal`](crate::Sync::Normal).
    ///
    /// # Errors
    /// If the budget has no room, or neither journal nor database takes the hold.
    pub async fn reserve_fresh(
        &self,
        principal: &Arc<Principal>,
        exchange_id: &str,
        hold: Nanos,
    ) -> Result<Reservation, Refused> {
        self.shared.reserve(principal, exchange_id, true, hold).await
    }

    /// For holds that are made from now on; see [`Options::hold_timeout`].
    pub fn set_hold_timeout(&self, timeout: Duration) {
        self.shared.desk.hold_timeout_ms.store(millis(timeout), Ordering::Relaxed);
    }

    /// What a key's budget has spent in its present period; `None`: it has none.
    #[must_use]
    pub fn spent(&self, principal: &Principal) -> Option<Spent> {
        let (posted, pending) = principal.account.as_ref()?.spent(self.shared.clock.now_ms());
        Some(Spent { posted: Nanos(posted), pending: Nanos(pending) })
    }

    /// Makes a key; its text is in the answer and nowhere else. Blocks for one commit.
    ///
    /// # Errors
    /// If something in it is not valid, its team is not there, or the row cannot be written.
    pub fn create_key(&self, new: NewKey) -> Result<(KeyRow, SecretKey), StoreError> {
        if let Some(problem) = new.problem() {
            return Err(StoreError::Invalid(problem));
        }
        let secret = SecretKey::generate().map_err(no_random)?;
        let tag = self.shared.directory.tag(secret.secret());
        let uid = key::public_id("key_").map_err(no_random)?;
        let _turn = self.turn();
        let Changed::Key(record) = self.change(People::Key(new, tag, uid))? else {
            return Err(StoreError::Closed);
        };
        let now = self.shared.clock.now_ms();
        let account = record.key.budget.clone().map(|budget| {
            let period = budget.period.index(now);
            Arc::new(Account::new(budget, period, 0, 0))
        });
        let principal = Arc::new(record.principal(account));
        self.shared.directory.insert(&Entry { tag, principal, revoked: false });
        Ok((record.key, secret))
    }

    /// Takes a key back, at once. Exchanges under way end and are settled. Blocks for one commit.
    ///
    /// # Errors
    /// If there is no such key, or the row cannot be written.
    pub fn revoke_key(&self, key_id: &str) -> Result<(), StoreError> {
        let _turn = self.turn();
        self.change(People::Revoke(key_id.to_owned()))?;
        self.shared.directory.revoke(key_id);
        Ok(())
    }

    /// All keys, revoked ones too, oldest first. Reads the database.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn list_keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let records = self.shared.desk.store.keys()?;
        Ok(records.into_iter().map(|record| record.key).collect())
    }

    /// Makes an organisation; answers its public id. Blocks for one commit.
    ///
    /// # Errors
    /// If the name is taken or the wish is not valid.
    pub fn create_organisation(&self, name: &str, wishes: &Wishes) -> Result<String, StoreError> {
        check(wishes)?;
        let id = key::public_id("org_").map_err(no_random)?;
        let (name, wishes) = (name.to_owned(), wishes.clone());
        self.change(People::Organisation(Organisation { id: id.clone(), name, wishes }))?;
        Ok(id)
    }

    /// Makes a team in an organisation (`None`: the default one); answers its public id. Blocks for one commit.
    ///
    /// # Errors
    /// If the name is taken, the organisation is not there, or the wish is not valid.
    pub fn create_team(
        &self,
        organisation: Option<&str>,
        name: &str,
        wishes: &Wishes,
    ) -> Result<String, StoreError> {
        check(wishes)?;
        let id = key::public_id("team_").map_err(no_random)?;
        let organisation = organisation.unwrap_or(people::DEFAULT_ORGANISATION).to_owned();
        let (name, wishes) = (name.to_owned(), wishes.clone());
        self.change(People::Team(Team { id: id.clone(), organisation, name, wishes }))?;
        Ok(id)
    }

    /// Sums over postings that are committed, not those that are in the journal alone. Reads the database.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn usage(&self, query: &Query) -> Result<Vec<UsageRow>, StoreError> {
        self.shared.desk.store.usage(query)
    }

    /// Resolves when everything queued before it is committed.
    pub async fn flush(&self) {
        let (done, flushed) = answer::pair();
        self.shared.desk.store.write(Write::Flush(done));
        // A closed store has nothing queued.
        let _ = flushed.await;
    }

    /// Commits what is queued, lets go of file and lock. Later writes are refused. Blocks.
    pub fn close(&self) {
        self.shared.desk.store.close();
    }

    /// Figures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Shared { desk, counters, .. } = &*self.shared;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            pending: desk.open.len(),
            queued: desk.store.depth(),
            leaked: read(&desk.leaked),
            expired: read(&counters.expired),
            commits: read(&counters.commits),
            failed_commits: read(&counters.failed_commits),
            adopted: self.shared.adopted,
            replayed: self.shared.replayed,
            open: desk.store.is_open(),
            postings: read(&counters.postings),
            unwritten: counters.health.unwritten(),
            last_commit_ms: Some(counters.last_commit_ms.load(Ordering::Relaxed)).filter(|at| *at != 0),
            commit_times: counters.commit_times.each_ref().map(read),
            committing: std::time::Duration::from_nanos(read(&counters.commit_nanos)),
        }
    }

    /// Why nothing can be written, if that is so: then nothing is reserved either, until a write goes through again.
    #[must_use]
    pub fn trouble(&self) -> Option<StoreError> {
        self.shared.counters.health.trouble()
    }

    /// Whether there was no ledger in its folder before it was opened.
    #[must_use]
    pub fn was_made(&self) -> bool {
        self.shared.made
    }

    /// What its files had lost when it was opened: the operator must be told.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.shared.damage
    }

    /// Where it lives.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.shared.desk.store
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.shared.directory
    }

    /// Waits for those who change keys before.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.shared.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change(&self, change: People) -> Result<Changed, StoreError> {
        let (answer, changed) = mpsc::channel();
        self.shared.desk.store.write(Write::People(Box::new(change), answer));
        changed.recv().unwrap_or(Err(StoreError::Closed))
    }
}

/// Builds memory from rows. Holds of an earlier process count as spent until their time is over.
fn take_over(store: &dyn Store, pepper: Pepper, loaded: Loaded, now_ms: i64) -> Directory {
    let balances: HashMap<i64, (i64, i64)> =
        loaded.balances.into_iter().map(|(id, at, sum)| (id, (at, sum))).collect();
    let mut accounts: HashMap<i64, Arc<Account>> = HashMap::new();
    let mut entries = Vec::with_capacity(loaded.keys.len());
    for record in loaded.keys {
        let account = record.key.budget.as_ref().map(|budget| {
            let new = || Arc::new(reopen(budget, balances.get(&budget.id), &loaded.pending, now_ms));
            Arc::clone(accounts.entry(budget.id).or_insert_with(new))
        });
        let revoked = record.key.revoked_ms.is_some();
        entries.push(Entry { tag: record.tag, principal: Arc::new(record.principal(account)), revoked });
    }
    let adopt = |row: PendingRow| {
        let account = Arc::clone(accounts.get(&row.budget)?);
        let PendingRow { exchange, key, period, amount, created_ms, expires_ms, .. } = row;
        let fate = Arc::default();
        Some(Hold { exchange, key, account, period, amount, created_ms, expires_ms, fate })
    };
    store.write(Write::Adopt(loaded.pending.into_iter().filter_map(adopt).collect()));
    Directory::new(pepper, entries)
}

/// A clock that was set back does not bring an old period back: the last one that was written in goes on.
fn reopen(budget: &Budget, last: Option<&(i64, i64)>, pending: &[PendingRow], now_ms: i64) -> Account {
    let of_budget = || pending.iter().filter(|row| row.budget == budget.id);
    let known = of_budget().map(|row| row.period).chain(last.map(|(period, _)| *period));
    let period = known.fold(budget.period.index(now_ms), i64::max);
    let posted = last.filter(|(at, _)| *at == period).map_or(0, |(_, sum)| *sum);
    let held = of_budget().filter(|row| row.period == period).map(|row| row.amount).sum();
    Account::new(budget.clone(), period, posted, held)
}

fn check(wishes: &Wishes) -> Result<(), StoreError> {
    wishes.problem().map_or(Ok(()), |problem| Err(StoreError::Invalid(problem)))
}

fn no_random(error: getrandom::Error) -> StoreError {
    StoreError::Invalid(format!("the operating system has no random bytes: {error}"))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
