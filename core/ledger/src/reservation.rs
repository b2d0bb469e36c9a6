//! Money held before the call, what was really used after it.
//!
//! Invariants: an exchange has one reservation (L1: the table of open exchanges, the primary key of `reservations`,
//! the unique index of `postings`); it resolves at most once (L2: `settle` takes it by value, and what is dropped
//! unresolved is released); under a hard budget a posting never charges more than the hold that stands (L3): the
//! caller clamps, and if it did not, the ledger writes what the hold allows, notes the cut in the row and says
//! [`SettleError::OverHold`]. A hold that outlived its time stands at nothing.
//!
//! An exchange whose id is fresh has its hold and its posting written down in the journal, and goes on at once. Whether
//! it goes that way or waits for a commit, it comes to the same rows and the same answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use weir_llm::price::Nanos;

use crate::answer::{self, Answer};
use crate::exchange::{ExchangeId, OpenExchanges};
use crate::fate::Fate;
use crate::journal::{Entry, Journal, Record, Ticket};
use crate::posting::Posting;
use crate::principal::Principal;
use crate::store::{Ack, Hold, HoldError, Post, Store, StoreError, Write};

/// The reservation of one exchange. Dropped unresolved it lets its money go and counts as leaked.
#[must_use = "an unsettled reservation is released without a posting"]
pub struct Reservation {
    desk: Arc<Desk>,
    principal: Arc<Principal>,
    exchange: ExchangeId,
    fresh: bool,
    hold: Option<Hold>,
    amount: Nanos,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In memory alone: no row of it is on its way.
    Begun,
    /// Asked for and not handed out: its future may be dropped in the middle.
    Asked,
    /// In the caller's hands.
    Open,
    /// Settled, or ended by whoever refused it.
    Done,
}

/// Where reservations are made and ended.
pub(crate) struct Desk {
    pub(crate) store: Arc<dyn Store>,
    /// None where a commit has to survive the loss of power.
    pub(crate) journal: Option<Arc<Journal>>,
    pub(crate) open: Arc<OpenExchanges>,
    pub(crate) hold_timeout_ms: AtomicU64,
    pub(crate) leaked: AtomicU64,
}

/// Why nothing was reserved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The budget has no room for it.
    #[error(
        "over budget: limit {limit}, spent {posted}, held for requests in flight {pending}, this request {hold}"
    )]
    OverBudget {
        /// What may be spent in the period.
        limit: Nanos,
        /// What was spent.
        posted: Nanos,
        /// What is held for exchanges in flight.
        pending: Nanos,
        /// What was asked for.
        hold: Nanos,
    },
    /// The exchange has a reservation, or a posting.
    #[error("the exchange has been reserved for before")]
    Duplicate,
    /// The ledger is shut.
    #[error("the ledger is closed")]
    Closed,
    /// The row could not be written.
    #[error("{0}")]
    Storage(StoreError),
}

/// Why a posting is not in the ledger as it was handed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// It asked for more than its hard budget's hold. The row is written, with `charged` and the rest as its cut.
    #[error("the posting asks for {asked}, its hold allows {charged}; the rest was not charged")]
    OverHold {
        /// What the caller wanted to charge.
        asked: Nanos,
        /// What the row says.
        charged: Nanos,
    },
    /// The exchange has a posting; it stays as it is.
    #[error("the exchange has been settled before")]
    Duplicate,
    /// An amount that cannot be: negative, or over a million dollars. Nothing is written.
    #[error("the posting's amounts are not believable")]
    Insane,
    /// The ledger is shut; nothing is written.
    #[error("the ledger is closed")]
    Closed,
    /// The database failed; nothing is written.
    #[error("{0}")]
    Storage(StoreError),
}

/// Resolves when the posting is in the journal or committed. It is under way already: dropping this does not stop it.
#[must_use = "a reply may be ended only after its posting cannot be lost"]
pub struct Settled(Settling);

enum Settling {
    /// On its way into the journal, once the others have had their turn.
    Gathers(Gathering, Turn),
    /// Past it.
    Past(Past),
}

enum Past {
    /// In the journal.
    Done(Result<(), SettleError>),
    /// On its way to the database.
    Waits(Answer<Result<(), SettleError>>),
}

struct Gathering {
    desk: Arc<Desk>,
    post: Box<Post>,
    ticket: Ticket,
}

/// A hold on its way into the journal or to the database. Whoever asked may go away in the middle: then it gets there
/// all the same, and its release behind it, so that its money is let go when the rows say so and not before.
struct Asking<'d> {
    desk: &'d Desk,
    hold: Option<(Hold, Option<Ticket>)>,
}

/// Lets whoever else is ready go first, once.
#[derive(Default)]
struct Turn(bool);

/// With more rows than this on their way to the database, whoever brings one more waits for it.
const MOST_QUEUED: usize = 10_000;

impl Desk {
    /// Reserves. Without a hard budget it is ready at once; with one, when its hold is in the journal or committed.
    /// `fresh`: nobody has used the exchange's id before.
    pub(crate) async fn reserve(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        (exchange, fresh): (ExchangeId, bool),
        amount: Nanos,
        now_ms: i64,
    ) -> Result<Reservation, Refused> {
        let mut reservation = self.begin(principal, (exchange, fresh), amount, now_ms)?;
        if principal.has_hard_budget()
            && let Some(hold) = reservation.hold.clone()
        {
            reservation.state = State::Asked;
            let ticket = self.write_down(fresh, || Record::from(&hold));
            let gathers = ticket.is_some();
            let mut asking = Asking { desk: self, hold: Some((hold, ticket)) };
            if gathers {
                Turn::default().await;
            }
            if let Some(committed) = asking.go() {
                let row = committed.await.ok_or(Refused::Closed).and_then(|row| row.map_err(Refused::from));
                if let Err(refused) = row {
                    reservation.refuse();
                    return Err(refused);
                }
            }
        }
        reservation.state = State::Open;
        Ok(reservation)
    }

    /// Into the journal. `None`: there is none, it does not take it, or the database is too far behind or ill: then
    /// its answer is to be waited for.
    fn write_down<'p>(&self, fresh: bool, record: impl FnOnce() -> Record<&'p Posting>) -> Option<Ticket> {
        let journal = self.journal.as_ref().filter(|_| fresh)?;
        if self.store.depth() > MOST_QUEUED || self.store.trouble().is_some() {
            return None;
        }
        journal.append(&record())
    }

    fn write_out(&self, ticket: Ticket) -> Option<Entry> {
        self.journal.as_ref()?.write_out(ticket)
    }

    /// Ends an exchange whose posting is on its way into the journal; if it does not get there, it waits.
    fn finish(&self, post: Box<Post>, ticket: Ticket) -> Past {
        let Some(entry) = self.write_out(ticket) else { return self.wait_for(post) };
        let (asked, charged) = (post.posting.charged, Nanos(post.allowed()));
        let held = post.hold.as_ref().map(|hold| (Arc::clone(&hold.account), hold.period, hold.amount));
        let exchange = post.exchange.clone();
        // The row goes first: a hold that fits only now is queued behind it.
        self.store.write(Write::Post(post, Ack::Journal(entry)));
        if let Some((account, period, amount)) = held {
            account.resolve(period, amount, charged.0);
        }
        self.open.close(&exchange);
        Past::Done(if charged < asked { Err(SettleError::OverHold { asked, charged }) } else { Ok(()) })
    }

    fn wait_for(&self, post: Box<Post>) -> Past {
        let (done, settled) = answer::pair();
        self.store.write(Write::Post(post, Ack::Commit(done)));
        Past::Waits(settled)
    }

    /// The part in memory: no await.
    fn begin(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        (exchange, fresh): (ExchangeId, bool),
        amount: Nanos,
        now_ms: i64,
    ) -> Result<Reservation, Refused> {
        let amount = Nanos(amount.0.max(0));
        // What cannot be written down is not begun.
        if let Some(trouble) = self.store.trouble() {
            return Err(Refused::Storage(trouble));
        }
        if !self.open.open(&exchange) {
            return Err(Refused::Duplicate);
        }
        let hold = match &principal.account {
            None => None,
            Some(account) => match account.hold(now_ms, amount.0) {
                Ok(period) => Some(Hold {
                    exchange: exchange.clone(),
                    key: principal.row,
                    account: Arc::clone(account),
                    period,
                    amount: amount.0,
                    created_ms: now_ms,
                    expires_ms: now_ms.saturating_add_unsigned(self.hold_timeout_ms.load(Ordering::Relaxed)),
                    fate: Arc::new(Fate::default()),
                }),
                Err(over) => {
                    self.open.close(&exchange);
                    return Err(Refused::OverBudget {
                        limit: account.budget().limit,
                        posted: Nanos(over.posted),
                        pending: Nanos(over.pending),
                        hold: amount,
                    });
                }
            },
        };
        let (desk, principal) = (Arc::clone(self), Arc::clone(principal));
        Ok(Reservation { desk, principal, exchange, fresh, hold, amount, state: State::Begun })
    }
}

impl Reservation {
    /// What is held. Under a hard budget the caller charges no more than this.
    #[must_use]
    pub const fn hold(&self) -> Nanos {
        self.amount
    }

    /// Whether a charge is bounded by the hold.
    #[must_use]
    pub fn is_hard(&self) -> bool {
        self.principal.has_hard_budget()
    }

    /// Whose it is.
    #[must_use]
    pub const fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// The exchange's id.
    #[must_use]
    pub const fn exchange(&self) -> &ExchangeId {
        &self.exchange
    }

    /// Ends the reservation with a posting.
    pub fn settle(mut self, posting: Posting) -> Settled {
        if !posting.is_sane() {
            // The reservation is dropped here, and so released and counted.
            return Settled(Settling::Past(Past::Done(Err(SettleError::Insane))));
        }
        self.state = State::Done;
        let post = Box::new(Post {
            exchange: self.exchange.clone(),
            key: self.principal.row,
            posting,
            hold: self.hold.take(),
            open: Arc::clone(&self.desk.open),
        });
        // A hold that is settled stands until its posting is a row; one whose time is over covers nothing.
        let stands = post.hold.as_ref().is_none_or(|hold| hold.fate.settle());
        Settled(match self.desk.write_down(self.fresh && stands, || Record::from(&*post)) {
            Some(ticket) => {
                let desk = Arc::clone(&self.desk);
                Settling::Gathers(Gathering { desk, post, ticket }, Turn::default())
            }
            None => Settling::Past(self.desk.wait_for(post)),
        })
    }

    /// Ends a reservation whose row was refused: the store has let its money go.
    fn refuse(&mut self) {
        self.state = State::Done;
        self.desk.open.close(&self.exchange);
    }

    fn release(&mut self) {
        if self.state == State::Open {
            self.desk.leaked.fetch_add(1, Ordering::Relaxed);
        }
        let before = std::mem::replace(&mut self.state, State::Done);
        if before != State::Begun && self.is_hard() {
            let (exchange, open) = (self.exchange.clone(), Arc::clone(&self.desk.open));
            self.desk.store.write(Write::Release(exchange, open));
            return;
        }
        if let Some(hold) = &self.hold {
            hold.account.resolve(hold.period, hold.amount, 0);
        }
        self.desk.open.close(&self.exchange);
    }
}

/// The one place where a reservation can be forgotten is a dropped future, so its end has to be here.
impl Drop for Reservation {
    fn drop(&mut self) {
        if self.state != State::Done {
            self.release();
        }
    }
}

impl Asking<'_> {
    /// The answer of the database, if it has to be waited for.
    fn go(&mut self) -> Option<Answer<Result<(), HoldError>>> {
        let (hold, ticket) = self.hold.take()?;
        if let Some(entry) = ticket.and_then(|ticket| self.desk.write_out(ticket)) {
            self.desk.store.write(Write::Hold(hold, Ack::Journal(entry)));
            return None;
        }
        let (done, committed) = answer::pair();
        self.desk.store.write(Write::Hold(hold, Ack::Commit(done)));
        Some(committed)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        drop(self.go());
    }
}

impl Settled {
    /// Past the journal, and gone from here.
    fn take(&mut self) -> Past {
        let gone = Settling::Past(Past::Done(Err(SettleError::Closed)));
        match std::mem::replace(&mut self.0, gone) {
            Settling::Gathers(Gathering { desk, post, ticket }, _) => desk.finish(post, ticket),
            Settling::Past(past) => past,
        }
    }

    /// Waits on this thread. Not for async code.
    ///
    /// # Errors
    /// As the future.
    pub fn wait(mut self) -> Result<(), SettleError> {
        match self.take() {
            Past::Waits(answer) => answer.wait().unwrap_or(Err(SettleError::Closed)),
            Past::Done(answer) => answer,
        }
    }
}

impl Future for Settled {
    type Output = Result<(), SettleError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Settling::Gathers(_, turn) = &mut self.0
            && Pin::new(turn).poll(cx).is_pending()
        {
            return Poll::Pending;
        }
        match self.take() {
            Past::Done(answer) => Poll::Ready(answer),
            Past::Waits(mut answer) => {
                let settled = Pin::new(&mut answer).poll(cx).map(|it| it.unwrap_or(Err(SettleError::Closed)));
                if settled.is_pending() {
                    self.0 = Settling::Past(Past::Waits(answer));
                }
                settled
            }
        }
    }
}

impl From<HoldError> for Refused {
    fn from(error: HoldError) -> Self {
        match error {
            HoldError::Duplicate => Self::Duplicate,
            HoldError::Storage(error) => Self::Storage(error),
        }
    }
}

/// What is under way goes on without whoever waited for it.
impl Drop for Settled {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
