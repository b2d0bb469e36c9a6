//! The ledger as its callers see it.
//!
//! - `surface`: keys, locks, versions, refusals, sums.
//! - `model`: random days against a small model.
//! - `race`: many clients and one budget.
//! - `kill`: `kill -9`.
//! - `check`: planted violations.
//! - `migrate`: ledgers of earlier versions.

#[cfg(test)]
mod check;
#[cfg(test)]
mod common;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod migrate;
#[cfg(test)]
mod model;
#[cfg(test)]
mod race;
#[cfg(test)]
mod surface;
