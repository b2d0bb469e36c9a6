//! What a budget has spent and may still spend, in memory.
//!
//! Invariant (L3): after every admission to a hard budget, `posted + pending ≤ limit`. It holds because a hold is
//! checked and added under one lock, because a posting never charges more than its hold, and because a hold leaves
//! `pending` only when what resolves it is in the journal or committed: memory never shows more room than they do. A soft
//! budget refuses only once `posted` has reached its limit; what is in flight may go over it.

use std::sync::{Mutex, PoisonError};

use weir_llm::price::Nanos;

const DAY_MS: i64 = 86_400_000;

/// When a budget begins anew (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Period {
    /// Never.
    #[default]
    None,
    /// At midnight.
    Day,
    /// On the first of the month.
    Month,
}

impl Period {
    /// `none`, `day`, `month`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The inverse of [`Period::as_str`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::None, Self::Day, Self::Month].into_iter().find(|period| period.as_str() == name)
    }

    /// The number of the period that `unix_ms` falls in: 0, days since 1970, or months since year 0.
    #[must_use]
    pub const fn index(self, unix_ms: i64) -> i64 {
        match self {
            Self::None => 0,
            Self::Day => unix_ms.div_euclid(DAY_MS),
            Self::Month => months(unix_ms.div_euclid(DAY_MS)),
        }
    }

    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Day => 1,
            Self::Month => 2,
        }
    }

    pub(crate) fn from_code(code: i64) -> Option<Self> {
        [Self::None, Self::Day, Self::Month].into_iter().find(|period| period.code() == code)
    }
}

/// Months since year 0 for a day since 1970. Howard Hinnant's `civil_from_days`: years begin in March there, so that
/// the leap day is a year's last.
const fn months(day: i64) -> i64 {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    (era * 400 + year) * 12 + from_march + 2
}

/// A budget as its principal sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Row id.
    pub id: i64,
    /// What may be spent in a period.
    pub limit: Nanos,
    /// Never overspent, at the price of one record in the journal before the first attempt; else see the module's text.
    pub hard: bool,
    /// When it begins anew.
    pub period: Period,
}

/// The live side of a budget.
#[derive(Debug)]
pub struct Account {
    budget: Budget,
    spent: Mutex<Spent>,
}

#[derive(Debug, Clone, Copy)]
struct Spent {
    period: i64,
    posted: i64,
    pending: i64,
}

/// Why a hold did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) posted: i64,
    pub(crate) pending: i64,
}

impl Account {
    /// `posted` and `pending` are those of `period`.
    pub(crate) const fn new(budget: Budget, period: i64, posted: i64, pending: i64) -> Self {
        Self { budget, spent: Mutex::new(Spent { period, posted, pending }) }
    }

    pub(crate) const fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Holds money in the period of `now_ms`, whose number is the answer.
    pub(crate) fn hold(&self, now_ms: i64, hold: i64) -> Result<i64, Over> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.roll(self.budget.period.index(now_ms));
        let asked = if self.budget.hard { spent.pending.saturating_add(hold) } else { 1 };
        if spent.posted.saturating_add(asked) > self.budget.limit.0 {
            return Err(Over { posted: spent.posted, pending: spent.pending });
        }
        spent.pending = spent.pending.saturating_add(hold);
        Ok(spent.period)
    }

    /// Ends a hold of `period` with what was charged. Called when that cannot be lost any more.
    pub(crate) fn resolve(&self, period: i64, hold: i64, charged: i64) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.period == period {
            spent.pending = spent.pending.saturating_sub(hold);
            spent.posted = spent.posted.saturating_add(charged);
        }
    }

    /// `(posted, pending)` of the period of `now_ms`.
    pub(crate) fn spent(&self, now_ms: i64) -> (i64, i64) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.roll(self.budget.period.index(now_ms));
        (spent.posted, spent.pending)
    }
}

impl Spent {
    /// A clock that steps back does not bring an old period back.
    const fn roll(&mut self, period: i64) {
        if period > self.period {
            *self = Self { period, posted: 0, pending: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_on_the_first_at_midnight_utc() {
        // 2024-02-29T23:59:59.999Z and one millisecond later; 1970-01; 1999-12-31; 2000-01-01.
        assert_eq!(Period::Month.index(1_709_251_199_999), 2024 * 12 + 1);
        assert_eq!(Period::Month.index(1_709_251_200_000), 2024 * 12 + 2);
        assert_eq!(Period::Month.index(0), 1970 * 12);
        assert_eq!(Period::Month.index(946_684_799_999), 1999 * 12 + 11);
        assert_eq!(Period::Month.index(946_684_800_000), 2000 * 12);
        let mut last = Period::Month.index(0);
        for day in 0..40_000 {
            let month = Period::Month.index(day * DAY_MS);
            assert!(month == last || month == last + 1);
            last = month;
        }
    }

    #[test]
    fn a_hold_of_an_old_period_does_not_touch_the_new_one() {
        let budget = Budget { id: 1, limit: Nanos(100), hard: true, period: Period::Day };
        let account = Account::new(budget, 0, 0, 0);
        let first = account.hold(0, 100).unwrap();
        assert_eq!(account.hold(DAY_MS - 1, 1), Err(Over { posted: 0, pending: 100 }));
        let second = account.hold(DAY_MS, 60).unwrap();
        account.resolve(first, 100, 100);
        assert_eq!(account.spent(DAY_MS), (0, 60));
        account.resolve(second, 60, 10);
        assert_eq!(account.spent(0), (10, 0), "the clock stepped back");
    }
}
