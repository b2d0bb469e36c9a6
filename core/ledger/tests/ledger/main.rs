//! The ledger as its callers see it.
//!
//! - `surface`: keys, locks, versions, refusals, sums.
//! - `model`: random days against a small model.
//! - `race`: many clients and one budget.
//! - `kill`: `kill -9`.
//! - `check`: planted violations.
//! - `migrate`: ledgers of earlier versions.
//! - `storage`: a disk that is full, and one that forgot.

#[cfg(test)]
mod check;
#[cfg(test)]
mod common;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod migrate;
#[cfg(test)]
mod model;
#[cfg(test)]
mod race;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod surface;
