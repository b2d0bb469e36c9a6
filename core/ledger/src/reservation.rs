//! Money held before the call, what was really used after it.
//!
//! Invariants: an exchange has one reservation (L1: the table of open exchanges, the primary key of `reservations`,
//! the unique index of `postings`); it resolves at most once (L2: `settle` takes it by value, and what is dropped
//! unresolved is released); under a hard budget a posting never charges more than the hold that stands (L3): the
//! caller clamps, and if it did not, the ledger writes what the hold allows, notes the cut in the row and says
//! [`SettleError::OverHold`]. A hold that outlived its time stands at nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use weir_llm::price::Nanos;

use crate::answer::{self, Answer};
use crate::exchange::{ExchangeId, OpenExchanges};
use crate::posting::Posting;
use crate::principal::Principal;
use crate::store::{Hold, HoldError, Post, Store, StoreError, Write};

/// The reservation of one exchange. Dropped unresolved it lets its money go and counts as leaked.
#[must_use = "an unsettled reservation is released without a posting"]
pub struct Reservation {
    desk: Arc<Desk>,
    principal: Arc<Principal>,
    exchange: ExchangeId,
    hold: Option<Hold>,
    amount: Nanos,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
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

/// Resolves when the posting is committed. The posting is under way already: dropping this does not stop it.
#[must_use = "a reply may be ended only after its posting is committed"]
pub struct Settled(Answer<Result<(), SettleError>>);

impl Desk {
    /// Reserves. Without a hard budget it is ready at once; with one, when its row is committed.
    pub(crate) async fn reserve(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        exchange: ExchangeId,
        amount: Nanos,
        now_ms: i64,
    ) -> Result<Reservation, Refused> {
        let mut reservation = self.begin(principal, exchange, amount, now_ms)?;
        if principal.has_hard_budget()
            && let Some(hold) = reservation.hold.clone()
        {
            let (done, committed) = answer::pair();
            self.store.write(Write::Hold(hold, done));
            reservation.state = State::Asked;
            let row = committed.await.ok_or(Refused::Closed).and_then(|row| row.map_err(Refused::from));
            if let Err(refused) = row {
                reservation.refuse();
                return Err(refused);
            }
        }
        reservation.state = State::Open;
        Ok(reservation)
    }

    /// The part in memory: no await, no allocation.
    fn begin(
        self: &Arc<Self>,
        principal: &Arc<Principal>,
        exchange: ExchangeId,
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
        Ok(Reservation { desk, principal, exchange, hold, amount, state: State::Asked })
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
        let (done, settled) = answer::pair();
        if !posting.is_sane() {
            // The reservation is dropped here, and so released and counted.
            done.send(Err(SettleError::Insane));
            return Settled(settled);
        }
        self.state = State::Done;
        let post = Post {
            exchange: self.exchange.clone(),
            key: self.principal.row,
            posting,
            hold: self.hold.take(),
            open: Arc::clone(&self.desk.open),
            done,
        };
        self.desk.store.write(Write::Post(Box::new(post)));
        Settled(settled)
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
        self.state = State::Done;
        if self.is_hard() {
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

impl Settled {
    /// Waits on this thread. Not for async code.
    ///
    /// # Errors
    /// As the future.
    pub fn wait(self) -> Result<(), SettleError> {
        self.0.wait().unwrap_or(Err(SettleError::Closed))
    }
}

impl Future for Settled {
    type Output = Result<(), SettleError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or(Err(SettleError::Closed)))
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
