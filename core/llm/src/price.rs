//! Rates in integer pico-dollars per token or other unit, money in integer nano-dollars, and one stated rounding: a cost is summed
//! exactly in pico-dollars and rounded half up to nano-dollars once, at its end. No float touches money.

mod sheet;
mod unit;

pub use self::sheet::{LongPrompt, OPERATOR, Prices, RateSet, Sheet};
pub use self::unit::{Unit, UnitPrice, unit_price, unit_price_bound};

use crate::usage::{Class, Usage};
use serde::{Deserialize, Serialize};
use std::fmt;

const PICO_PER_NANO: u128 = 1_000;
const NANO_PER_USD: u64 = 1_000_000_000;
/// 1 USD per million tokens is 10^12 / 10^6 pico-dollars per token: six decimals are exact.
const RATE_DECIMALS: usize = 6;
const USD_DECIMALS: usize = 12;

/// The price of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Which tokens, or what else.
    pub class: Class,
    /// Pico-dollars (10⁻¹² USD) for each.
    pub pico_per_unit: u64,
}

/// Nano-dollars (10⁻⁹ USD).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Nanos(pub i64);

impl Nanos {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// The sum, unless it overflows.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, unless it overflows.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// A bound from pico-dollars: rounded up, and the most there is if it does not fit.
    #[must_use]
    pub fn bound(pico: u128) -> Self {
        Self(i64::try_from(pico.div_ceil(PICO_PER_NANO)).unwrap_or(i64::MAX))
    }

    /// An exact decimal number of dollars, as in config (`12.50`).
    ///
    /// # Errors
    /// [`DecimalError`] if it is no plain decimal, finer than a nano-dollar, or too large.
    pub fn from_usd(decimal: &str) -> Result<Self, DecimalError> {
        let (negative, digits) = match decimal.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, decimal),
        };
        let nanos = i64::try_from(scaled(digits, 9)?).map_err(|_| DecimalError::TooLarge)?;
        Ok(Self(if negative { -nanos } else { nanos }))
    }
}

impl fmt::Display for Nanos {
    /// `0.000123456 USD`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:09} USD", nanos / NANO_PER_USD, nanos % NANO_PER_USD)
    }
}

/// Why there is no cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Something of a class was used that has no price: unknown is not zero.
    #[error("no price for {}", .0.as_str())]
    Unpriced(Class),
    /// More money than an `i64` of nano-dollars holds (9.2 billion USD).
    #[error("the cost overflows")]
    Overflow,
}

/// As [`Prices::rate`], over bare rates.
#[must_use]
pub fn rate(rates: &[Rate], class: Class) -> Option<u64> {
    let of = |wanted| rates.iter().find(|rate| rate.class == wanted).map(|rate| rate.pico_per_unit);
    of(class).or_else(|| class.falls_back_to().and_then(of))
}

/// As [`Prices::cost`], over bare rates.
///
/// # Errors
/// [`PriceError`] if a used class has no price, or the sum overflows.
pub fn cost(rates: &[Rate], usage: &Usage) -> Result<Nanos, PriceError> {
    let mut pico: u128 = 0;
    for (class, units) in usage.lines() {
        let rate = rate(rates, class).ok_or(PriceError::Unpriced(class))?;
        let line = u128::from(units) * u128::from(rate);
        pico = pico.checked_add(line).ok_or(PriceError::Overflow)?;
    }
    let nanos = pico / PICO_PER_NANO + u128::from(pico % PICO_PER_NANO >= PICO_PER_NANO / 2);
    i64::try_from(nanos).map(Nanos).map_err(|_| PriceError::Overflow)
}

/// Why a decimal was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not digits with at most one point between them.
    #[error("not a plain decimal number such as 0.15")]
    NotDecimal,
    /// More decimals than the integer unit can hold.
    #[error("finer than the unit of account")]
    TooFine,
    /// Does not fit.
    #[error("too large")]
    TooLarge,
}

/// Pico-dollars per token from a decimal of USD per million tokens (`0.15` → 150 000), exactly.
///
/// # Errors
/// [`DecimalError`] if it is no plain decimal, finer than one pico-dollar per token (six decimals), or too large.
pub fn pico_per_token_from_usd_per_mtok(decimal: &str) -> Result<u64, DecimalError> {
    scaled(decimal, RATE_DECIMALS)
}

/// Pico-dollars per unit from a decimal of USD per unit (`0.04` an image), exactly.
///
/// # Errors
/// [`DecimalError`] if it is no plain decimal, finer than a pico-dollar (twelve decimals), or too large.
pub fn pico_from_usd(decimal: &str) -> Result<u64, DecimalError> {
    scaled(decimal, USD_DECIMALS)
}

/// `decimal * 10^places` if that is an integer.
fn scaled(decimal: &str, places: usize) -> Result<u64, DecimalError> {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return Err(DecimalError::NotDecimal);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > places {
        return Err(DecimalError::TooFine);
    }
    let padding = std::iter::repeat_n(b'0', places - fraction.len());
    whole
        .bytes()
        .chain(fraction.bytes())
        .chain(padding)
        .try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .ok_or(DecimalError::TooLarge)
}
