//! The ledger's one writing thread: it takes whatever is queued, commits it as one transaction, and then tells those who
//! wait. For them there is no timer: an idle ledger commits a single row at once, a busy one commits many.
//!
//! A batch fails or succeeds as a whole. What memory knows of their holds is changed after the commit, never before. What
//! could not be committed is refused, and its postings are tried again: see [`health`](super::health).
//!
//! What is in the journal has been answered, so nothing of it is refused: it becomes a row sooner or later, in the order
//! in which it was queued, and if not in this process's life then when the next one starts. Nobody waits for it either,
//! so it is let gather for a moment, and a hold whose posting comes in that moment is never made a row at all.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rusqlite::Connection;
use weir_llm::price::Nanos;

use super::health::Kept;
use super::rows::{Correction, Statements};
use super::{Ack, Changed, Counters, Hold, HoldError, PendingRow, People, Post, StoreError, Write, people};
use crate::account::{Account, Budget, Period};
use crate::answer::Bell;
use crate::clock::Clock;
use crate::exchange::{ExchangeId, OpenExchanges};
use crate::journal::{Entry, Held, Posted, Record};
use crate::posting::Posting;
use crate::reservation::SettleError;

/// Rows in one transaction. More gains nothing and makes the first of them wait.
const BATCH: usize = 1024;
/// For how long rows that nobody waits for are let gather.
const GATHER: Duration = Duration::from_millis(25);
/// The longest sleep while holds are pending: the wall clock may be set.
const NAP: Duration = Duration::from_secs(30);

/// The thread's state.
pub(super) struct Writer<'c> {
    conn: &'c Connection,
    statements: Statements<'c>,
    queue: &'c Receiver<Write>,
    counters: Arc<Counters>,
    clock: Clock,
    pending: Pending,
    kept: Kept,
    /// A commit has failed in this round: what comes behind it in the queue is not tried.
    vain: bool,
    /// The latest round began with a row that nobody waits for: there will be more, and nobody is to wake this thread.
    gathers: bool,
}

/// Holds that are rows, or in the journal.
#[derive(Default)]
struct Pending {
    holds: HashMap<ExchangeId, Hold>,
    by_end: BTreeSet<(i64, ExchangeId)>,
}

/// A write that shares its transaction with others.
pub(super) enum Row {
    Hold(Hold, Ack<Result<(), HoldError>>),
    Post(Box<Post>, Ack<Result<(), SettleError>>),
}

/// What the transaction did with a row.
enum Written {
    Hold(Result<(), HoldError>),
    /// What was charged, of how much.
    Post(Result<i64, SettleError>),
}

impl<'c> Writer<'c> {
    pub(super) fn new(
        conn: &'c Connection,
        queue: &'c Receiver<Write>,
        counters: Arc<Counters>,
        clock: Clock,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            statements: Statements::new(conn)?,
            queue,
            counters,
            clock,
            pending: Pending::default(),
            kept: Kept::default(),
            vain: false,
            gathers: false,
        })
    }

    /// Until the last sender is gone and the queue is empty.
    pub(super) fn run(mut self) {
        let mut rows = Vec::with_capacity(BATCH);
        loop {
            self.sweep();
            self.mend();
            let Some(first) = self.wait() else { return self.mend_now() };
            if let Some(first) = first {
                self.take(first, &mut rows);
            }
        }
    }

    /// `None`: shut. `Some(None)`: a hold may have ended.
    fn wait(&mut self) -> Option<Option<Write>> {
        let mut found = self.queue.try_recv();
        let gathered = self.gathers && matches!(found, Err(TryRecvError::Empty));
        if gathered {
            self.gather();
            found = self.queue.try_recv();
        }
        let slept = found.is_err();
        let write = found.map_or_else(|_| self.sleep(), |write| Some(Some(write)));
        self.gathers = matches!(&write, Some(Some(write)) if !write.is_awaited());
        if self.gathers && (slept || !gathered) {
            self.gather();
        } else if slept || gathered {
            // Whoever else is ready to run on this core may have rows too: one commit for all of them.
            std::thread::yield_now();
        }
        write
    }

    /// Lets rows come that nobody waits for; whoever brings one that is awaited ends this.
    fn gather(&self) {
        if self.counters.awaited.load(Ordering::Relaxed) == 0 {
            std::thread::park_timeout(GATHER);
        }
    }

    fn sleep(&self) -> Option<Option<Write>> {
        let nap = match (self.pending.first_end(), self.kept.due()) {
            (None, None) => return self.queue.recv().ok().map(Some),
            (None, Some(due)) => due,
            (Some(end), due) => {
                // The sweep has just been: a hold past its time could not be ended, so do not try at once again.
                let left =
                    u64::try_from(end.saturating_sub(self.clock.now_ms())).ok().filter(|left| *left > 0);
                Duration::from_millis(left.map_or(1000, |left| left + 1)).min(NAP).min(due.unwrap_or(NAP))
            }
        };
        match self.queue.recv_timeout(nap) {
            Ok(write) => Some(Some(write)),
            Err(RecvTimeoutError::Timeout) => Some(None),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Commits rows together; anything else comes after what was queued before it.
    fn take(&mut self, first: Write, rows: &mut Vec<Row>) {
        self.vain = false;
        let mut next = Some(first);
        while let Some(write) = next {
            self.counters.queued.fetch_sub(1, Ordering::Relaxed);
            self.counters.awaited.fetch_sub(write.is_awaited().into(), Ordering::Relaxed);
            match write {
                Write::Hold(hold, ack) => {
                    if ack.is_journalled() {
                        // It stands, whether it is a row or not.
                        self.pending.insert(hold.clone());
                    }
                    rows.push(Row::Hold(hold, ack));
                }
                Write::Post(post, ack) => rows.push(Row::Post(post, ack)),
                other => {
                    self.commit(rows);
                    self.one(other);
                }
            }
            if rows.len() >= BATCH {
                self.commit(rows);
                self.sweep();
            }
            next = self.queue.try_recv().ok();
        }
        self.commit(rows);
    }

    fn one(&mut self, write: Write) {
        match write {
            Write::Adopt(holds) => holds.into_iter().for_each(|hold| self.pending.insert(hold)),
            Write::Release(exchange, open) => self.release(&exchange, &open),
            Write::People(change, answer) => self.people(*change, &answer),
            Write::Flush(done) => {
                self.sweep();
                self.mend_now();
                done.send(());
            }
            Write::Hold(..) | Write::Post(..) => {}
        }
    }

    /// Behind what waits since a commit failed: rows that overtook it would show more spent than there is.
    fn commit(&mut self, rows: &mut Vec<Row>) {
        if rows.is_empty() {
            return;
        }
        if self.kept.holds_some() && !self.vain {
            self.mend_now();
        }
        match self.counters.health.trouble().filter(|_| self.kept.holds_some()) {
            Some(trouble) => rows.drain(..).for_each(|row| self.refuse(row, &trouble)),
            None => self.commit_now(rows),
        }
    }

    fn commit_now(&mut self, rows: &mut Vec<Row>) {
        match self.write(rows, &passing(rows)) {
            Ok(written) => {
                self.committed();
                let bell = Arc::new(Bell::default());
                rows.drain(..).zip(written).for_each(|(row, written)| self.tell(row, written, &bell));
                bell.ring();
            }
            Err(error) => {
                self.failed(&error);
                rows.drain(..).for_each(|row| self.refuse(row, &error));
            }
        }
    }

    /// `passing`: exchanges whose hold and posting are among the rows, and the hold is no row yet: it needs not be.
    fn write(&mut self, rows: &[Row], passing: &HashSet<ExchangeId>) -> Result<Vec<Written>, StoreError> {
        self.statements.begin()?;
        let mut written = Vec::with_capacity(rows.len());
        let mut balances: HashMap<(i64, i64), i64> = HashMap::new();
        let (mut postings, mut total) = (0, 0);
        for row in rows {
            written.push(match row {
                Row::Hold(hold, ack) if ack.is_journalled() && passing.contains(&hold.exchange) => {
                    Written::Hold(Ok(()))
                }
                Row::Hold(hold, _) => Written::Hold(if self.statements.hold(hold)? {
                    Ok(())
                } else {
                    Err(HoldError::Duplicate)
                }),
                Row::Post(post, ack) => match self.post(post, ack.is_journalled(), passing)? {
                    None => Written::Post(Err(SettleError::Duplicate)),
                    Some(charged) => {
                        postings += 1;
                        total += charged;
                        if let Some(hold) = &post.hold {
                            *balances.entry((hold.account.budget().id, hold.period)).or_default() += charged;
                        }
                        Written::Post(Ok(charged))
                    }
                },
            });
        }
        for ((budget, period), charged) in balances {
            self.statements.add_to_balance(budget, period, charged)?;
        }
        if postings > 0 {
            self.statements.add_to_totals(postings, total, 0)?;
        }
        self.statements.commit()?;
        self.counters.postings.fetch_add(postings.unsigned_abs(), Ordering::Relaxed);
        Ok(written)
    }

    /// What was charged; `None` if the exchange has a posting.
    fn post(
        &mut self,
        post: &Post,
        is_journalled: bool,
        passing: &HashSet<ExchangeId>,
    ) -> Result<Option<i64>, StoreError> {
        let asked = post.posting.charged.0;
        let standing = self.pending.holds.get(&post.exchange).map(|hold| hold.amount);
        let charged = match (&post.hold, standing) {
            // Its hold stood when it was written down, and its caller was told.
            _ if is_journalled => post.allowed(),
            (Some(hold), _) if hold.account.budget().hard => asked.min(standing.unwrap_or(0)),
            // The hold of another reservation, left by an earlier process: the exchange is not this one's (L1).
            (_, Some(_)) => return Ok(None),
            (_, None) => asked,
        };
        let cut = Some(asked - charged).filter(|cut| *cut > 0);
        if !self.statements.post(post, charged, cut)? {
            return Ok(None);
        }
        if standing.is_some() && !passing.contains(&post.exchange) {
            self.statements.unhold(&post.exchange)?;
        }
        Ok(Some(charged))
    }

    /// After the commit.
    fn tell(&mut self, row: Row, written: Written, bell: &Arc<Bell>) {
        match (row, written) {
            // If it is not Ok it is a second time, after a failure or a restart.
            (Row::Hold(_, Ack::Journal(entry)), Written::Hold(_)) => entry.written(),
            (Row::Hold(hold, Ack::Commit(done)), Written::Hold(answer)) => {
                if answer.is_ok() {
                    self.pending.insert(hold);
                } else {
                    hold.account.resolve(hold.period, hold.amount, 0);
                }
                // If nobody listens any more, their release is behind it in the queue.
                done.put(answer, bell);
            }
            (Row::Post(post, ack), Written::Post(answer)) => self.tell_post(*post, ack, answer, bell),
            _ => {}
        }
    }

    fn tell_post(
        &mut self,
        post: Post,
        ack: Ack<Result<(), SettleError>>,
        answer: Result<i64, SettleError>,
        bell: &Arc<Bell>,
    ) {
        let done = match ack {
            Ack::Commit(done) => Some(done),
            Ack::Failed => None,
            Ack::Journal(entry) => {
                self.pending.remove(&post.exchange);
                return entry.written();
            }
        };
        let asked = post.posting.charged;
        if let Some(hold) = &post.hold {
            // A hard hold whose row is gone has left the account before, and was charged nothing; one whose row
            // stands (the posting was a duplicate) stays in the account until its time is over.
            let ends = if hold.account.budget().hard {
                answer.is_ok() && self.pending.remove(&post.exchange).is_some()
            } else {
                true
            };
            if ends {
                hold.account.resolve(hold.period, hold.amount, answer.as_ref().map_or(0, |charged| *charged));
            }
        }
        post.open.close(&post.exchange);
        let answer = match answer {
            Ok(charged) if charged < asked.0 => Err(SettleError::OverHold { asked, charged: Nanos(charged) }),
            other => other.map(drop),
        };
        if let Some(done) = done {
            done.put(answer, bell);
        }
    }

    fn release(&mut self, exchange: &ExchangeId, open: &OpenExchanges) {
        if let Some(hold) = self.pending.holds.get(exchange).cloned() {
            self.end(&[hold], Correction::Released);
        }
        open.close(exchange);
    }

    /// Ends the holds that are past their time (L6).
    fn sweep(&mut self) {
        let now = self.clock.now_ms();
        let ended = self.pending.ended(now);
        if !ended.is_empty() && self.end(&ended, Correction::Expired) {
            self.counters.expired.fetch_add(ended.len() as u64, Ordering::Relaxed);
        }
    }

    /// Lets holds go with a correction each. If that fails they stay, and are tried again.
    fn end(&mut self, holds: &[Hold], why: Correction) -> bool {
        let now = self.clock.now_ms();
        if let Err(error) = self.end_rows(holds, why, now) {
            self.failed(&error.into());
            return false;
        }
        self.committed();
        for hold in holds {
            if let Some(hold) = self.pending.remove(&hold.exchange) {
                hold.account.resolve(hold.period, hold.amount, 0);
            }
        }
        true
    }

    fn end_rows(&mut self, holds: &[Hold], why: Correction, now: i64) -> rusqlite::Result<()> {
        self.statements.begin()?;
        for hold in holds {
            self.statements.correct(hold, why, now)?;
        }
        self.statements.add_to_totals(0, 0, i64::try_from(holds.len()).unwrap_or(i64::MAX))?;
        self.statements.swept(now)?;
        self.statements.commit()
    }

    fn people(&mut self, change: People, answer: &mpsc::Sender<Result<Changed, StoreError>>) {
        let done = self.statements.begin().map_err(StoreError::from);
        let done = done.and_then(|()| people::apply(self.conn, change, self.clock.now_ms()));
        let done =
            done.and_then(|changed| self.statements.commit().map(|()| changed).map_err(StoreError::from));
        match &done {
            Ok(_) => self.committed(),
            Err(error @ StoreError::Database(_)) => self.failed(error),
            Err(_) => self.statements.rollback(),
        }
        let _ = answer.send(done);
    }

    /// Tries a database that failed again, when it is time to.
    fn mend(&mut self) {
        if self.kept.due().is_some_and(|due| due.is_zero()) {
            self.mend_now();
        }
    }

    /// Writes the postings that wait; without any, just something.
    fn mend_now(&mut self) {
        while self.kept.due().is_some() {
            let mut rows = self.kept.take(BATCH, &self.counters.health);
            let tried = rows.len();
            let failures = self.counters.failed_commits.load(Ordering::Relaxed);
            if rows.is_empty() {
                let _ = self.end(&[], Correction::Expired);
            } else {
                self.commit_now(&mut rows);
            }
            if self.counters.failed_commits.load(Ordering::Relaxed) != failures {
                return self.kept.back_in_front(tried);
            }
        }
    }

    fn committed(&mut self) {
        self.kept.written(&self.counters.health);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        self.counters.commit_took(self.statements.elapsed());
        self.counters.last_commit_ms.store(self.clock.now_ms(), Ordering::Relaxed);
    }

    fn failed(&mut self, why: &StoreError) {
        self.vain = true;
        self.statements.rollback();
        self.kept.failed(why.clone(), &self.counters.health);
        self.counters.failed_commits.fetch_add(1, Ordering::Relaxed);
    }

    /// A hold that somebody waits for is let go. A posting waits, and its hold with it: the safe side.
    fn refuse(&mut self, row: Row, error: &StoreError) {
        match row {
            Row::Hold(hold, Ack::Commit(done)) => {
                hold.account.resolve(hold.period, hold.amount, 0);
                done.send(Err(HoldError::Storage(error.clone())));
            }
            Row::Post(mut post, Ack::Commit(done)) => {
                post.posting.withhold();
                self.kept.keep(Row::Post(post, Ack::Failed), &self.counters.health);
                done.send(Err(SettleError::Storage(error.clone())));
            }
            row => self.kept.keep(row, &self.counters.health),
        }
    }

    /// Writes what an earlier process had in its journal, beside the holds that are rows; answers how many postings
    /// were none yet. What is a row already stays as it is.
    pub(super) fn replay(
        &mut self,
        records: Vec<(Record<Posting>, Entry)>,
        standing: Vec<PendingRow>,
    ) -> Result<u64, StoreError> {
        standing.into_iter().for_each(|row| self.pending.insert(stand_in(row)));
        let open = Arc::new(OpenExchanges::default());
        let mut rows = records.into_iter().map(|(record, entry)| Row::replayed(record, entry, &open));
        let bell = Arc::new(Bell::default());
        loop {
            let batch: Vec<Row> = rows.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            batch.iter().for_each(|row| {
                if let Row::Hold(hold, _) = row {
                    self.pending.insert(hold.clone());
                }
            });
            // Any hold may be a row already, so none passes.
            let written = self.write(&batch, &HashSet::new()).map_err(|error| {
                StoreError::Database(format!("what is in its journal cannot be written: {error}"))
            })?;
            self.committed();
            batch.into_iter().zip(written).for_each(|(row, written)| self.tell(row, written, &bell));
        }
        // Memory takes them over from their rows.
        self.pending = Pending::default();
        Ok(self.counters.postings.load(Ordering::Relaxed))
    }
}

impl Row {
    fn replayed(record: Record<Posting>, entry: Entry, open: &Arc<OpenExchanges>) -> Self {
        let Posted { exchange, key, hold, posting } = match record {
            Record::Hold(row) => return Self::Hold(stand_in(row), Ack::Journal(entry)),
            Record::Post(posted) => posted,
        };
        let hold = hold.map(|Held { budget, hard, period, amount }| Hold {
            exchange: exchange.clone(),
            key,
            account: nobodys(budget, hard, period),
            period,
            amount,
            created_ms: posting.at_ms,
            expires_ms: posting.at_ms,
            fate: Arc::default(),
        });
        let post = Post { exchange, key, posting, hold, open: Arc::clone(open) };
        Self::Post(Box::new(post), Ack::Journal(entry))
    }
}

/// A hold whose account is nobody's: what a row has to know of it.
fn stand_in(row: PendingRow) -> Hold {
    let PendingRow { exchange, key, budget, period, amount, created_ms, expires_ms } = row;
    let account = nobodys(budget, true, period);
    Hold { exchange, key, account, period, amount, created_ms, expires_ms, fate: Arc::default() }
}

fn nobodys(id: i64, hard: bool, period: i64) -> Arc<Account> {
    Arc::new(Account::new(Budget { id, limit: Nanos(0), hard, period: Period::None }, period, 0, 0))
}

/// Exchanges whose hold and posting are both among these rows, and did not wait for one another.
fn passing(rows: &[Row]) -> HashSet<ExchangeId> {
    let held = rows.iter().filter_map(|row| match row {
        Row::Hold(hold, ack) if ack.is_journalled() => Some(&hold.exchange),
        _ => None,
    });
    let held: HashSet<_> = held.collect();
    let posted = rows.iter().filter_map(|row| match row {
        Row::Post(post, _) => Some(&post.exchange),
        Row::Hold(..) => None,
    });
    posted.filter(|exchange| held.contains(exchange)).cloned().collect()
}

impl Pending {
    fn insert(&mut self, hold: Hold) {
        self.by_end.insert((hold.expires_ms, hold.exchange.clone()));
        self.holds.insert(hold.exchange.clone(), hold);
    }

    fn remove(&mut self, exchange: &ExchangeId) -> Option<Hold> {
        let hold = self.holds.remove(exchange)?;
        self.by_end.remove(&(hold.expires_ms, hold.exchange.clone()));
        Some(hold)
    }

    fn first_end(&self) -> Option<i64> {
        self.by_end.first().map(|(end, _)| *end)
    }

    fn ended(&self, now_ms: i64) -> Vec<Hold> {
        let ended = self.by_end.iter().take_while(|(end, _)| *end < now_ms);
        let holds = ended.filter_map(|(_, exchange)| self.holds.get(exchange));
        holds.filter(|hold| hold.fate.expire()).cloned().collect()
    }
}
