//! `price` and `complete`.

use crate::{Base, Charge, Head, Nanos, Plugin, Summary};

/// The hook `price`: what a customer pays, in integer nano-dollars. Pure: such a plugin has no other hook and no
/// capability, is metered by fuel (`limits.operations`), and each call has a fresh instance, so that the same question
/// always has the same answer.
///
/// ```
/// use weir_sdk::{Base, Charge, Config, Head, Nanos, Plugin, Price, testing};
///
/// /// The list price and a tenth.
/// struct Margin;
/// impl Plugin for Margin {
///     fn configure(_: Config<'_>) -> Result<Self, String> { Ok(Self) }
/// }
/// impl Price for Margin {
///     fn quote(&self, _: &Head, _: &str, bound: &Base) -> Nanos {
///         bound.list_price + bound.list_price / 10
///     }
///     fn price(&self, _: &Head, _: &str, base: &Base) -> Charge {
///         Charge::of([("list", base.list_price), ("margin", base.list_price / 10)])
///     }
/// }
/// weir_sdk::export!(Margin: price);
///
/// let base = testing::base(&[("input", 1_000)], 2_000_000);
/// assert_eq!(Margin.price(&testing::head(), "a/x", &base).total, 2_200_000);
/// ```
pub trait Price: Plugin {
    /// The most that may be charged: what a hard budget holds before the call.
    fn quote(&self, head: &Head, target_id: &str, bound: &Base) -> Nanos;

    /// What is charged after it.
    fn price(&self, head: &Head, target_id: &str, base: &Base) -> Charge;
}

/// The hook `complete`: after settlement, off the critical path, in batches of one organisation.
///
/// ```
/// use weir_sdk::{Complete, Config, Plugin, Summary, telemetry, testing};
///
/// /// Counts what was charged.
/// struct Count;
/// impl Plugin for Count {
///     fn configure(_: Config<'_>) -> Result<Self, String> { Ok(Self) }
/// }
/// impl Complete for Count {
///     fn complete(&self, batch: &[Summary]) {
///         let charged = batch.iter().map(|summary| summary.charged.unsigned_abs()).sum();
///         telemetry::counter("charged_nanos", charged, &[]);
///     }
/// }
/// weir_sdk::export!(Count: complete);
///
/// Count.complete(&[testing::summary(), testing::summary()]);
/// assert_eq!(testing::records().len(), 1);
/// ```
pub trait Complete: Plugin {
    /// Exports what happened.
    fn complete(&self, batch: &[Summary]);
}
