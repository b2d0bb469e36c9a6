//! The ledger as its callers see it.
//!
//! - `surface`: keys, locks, versions, refusals, sums.
//! - `model`: random days against a small model.
//! - `race`: many clients and one budget.
//! - `kill`: `kill -9`.
//! - `check`: planted violations.

mod check;
mod common;
mod kill;
mod model;
mod race;
mod surface;
