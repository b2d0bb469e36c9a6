//! Principals, keys, budgets, limits, reservations and postings over SQLite.
//!
//! # The way of an exchange
//!
//! [`Ledger::identify`] finds who asks, [`Ledger::admit`] takes one from the requests per minute, [`Ledger::reserve`]
//! holds the money, [`Reservation::settle`] writes the one posting and resolves when it cannot be lost any more.
//!
//! # Invariants
//!
//! - L1: an exchange has one reservation.
//! - L2: it resolves at most once.
//! - L3: for hard budgets posted + pending ≤ limit at every admission.
//! - L4: a balance is the sum of its rows.
//! - L5: rows are append-only; corrections are rows.
//! - L6: no pending row is older than its timeout.
//! - L7: after `kill -9` every acknowledged posting exists, as a row or in the journal.
//!
//! L1 and L2 hold for the table in memory, L3–L7 for rows as well. `tests/ledger/model.rs` plays random days against a small
//! model, `tests/ledger/kill.rs` kills processes, [`check()`] asks a ledger's rows.
//!
//! # Layout
//!
//! - [`ledger`](Ledger): opened once, cloned everywhere: the whole of the API.
//! - [`options`](Options): how it is opened, and why not.
//! - [`reader`](Reader): the same file seen from outside, without a lock.
//! - [`key`]: the text of a key; [`pepper`](Pepper): what it is hashed under.
//! - `directory`: from a key's text to its principal, in memory.
//! - [`principal`](Principal): who asks, ready for the request path.
//! - [`people`]: organisations, teams and keys as rows; `groups`: the first two, listed and changed.
//! - `limit`: requests per minute. [`seat`](Seats): how many at one time.
//! - [`account`](Budget): what a budget has spent and may spend.
//! - [`exchange`](ExchangeId): ids, and which exchanges are open.
//! - [`reservation`](Reservation): money held, then used.
//! - [`posting`](Posting): what is written down at the end.
//! - `journal`: where that is written before it is a row. `fate`: whether a hold ends by its time or by its posting.
//! - [`usage`]: sums over postings.
//! - [`mod@check`]: looks for broken invariants.
//! - [`store`]: what is asked of a database, and SQLite's answer.
//! - [`retention`]: names of retention wishes and their order.
//! - [`wishes`]: what organisation, team and key ask for together.
//! - `answer`: from the ledger's thread to those who wait.
//! - `lock`: one process owns a ledger. `clock`: the time.

mod account;
mod answer;
pub mod check;
mod clock;
mod directory;
mod exchange;
mod fate;
mod groups;
mod journal;
pub mod key;
mod ledger;
mod limit;
mod lock;
mod options;
pub mod people;
mod pepper;
mod posting;
mod principal;
mod reader;
mod reservation;
pub mod retention;
mod seat;
pub mod store;
pub mod usage;
pub mod wishes;

pub use account::{Account, Budget, Period};
pub use answer::{Answer, Answerer};
pub use check::{Report, Violation, check};
pub use clock::Clock;
pub use directory::IdentifyError;
pub use exchange::{ExchangeId, OpenExchanges};
pub use key::SecretKey;
pub use ledger::{Ledger, Spent, Stats};
pub use limit::RateLimited;
pub use lock::is_gone;
pub use options::{OpenError, Options, Sync};
pub use people::{Edit, Group, KeyRow, NewBudget, NewKey, Organisation, Team};
pub use pepper::Pepper;
pub use posting::{Outcome, Posting};
pub use principal::Principal;
pub use reader::Reader;
pub use reservation::{Refused, Reservation, SettleError, Settled};
pub use seat::{Seat, Seats};
pub use store::{COMMIT_SECONDS, Damage, Part, StoreError};
pub use usage::{GroupBy, Query, UsageRow};
pub use wishes::Wishes;
