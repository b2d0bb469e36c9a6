//! Numbers as JSON has them: no difference between `1` and `1.0`.

use serde_json::Number;
use std::cmp::Ordering;

/// Above this a float has no fraction to lose, and an integer may not be a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The number if it is whole and known exactly.
#[allow(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
pub(super) fn whole(number: &Number) -> Option<i128> {
    let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    integer.or_else(|| {
        let float = number.as_f64()?;
        (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i128)
    })
}

/// Whether it has no fraction.
pub(super) fn is_integer(number: &Number) -> bool {
    whole(number).is_some() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
}

pub(super) fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// Whether `a` is a multiple of `b`. Fractions are not exact in binary: what differs by less than a billionth is taken as
/// equal.
pub(super) fn is_multiple(a: &Number, b: &Number) -> bool {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) if b != 0 => a % b == 0,
        _ => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            let times = a / b;
            (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
        }
    }
}
