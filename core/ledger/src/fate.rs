//! Who ends a hold: its reservation, or its time.
//!
//! A posting that is written down in the journal has been acknowledged with its charge, so the hold that covers it must
//! stand until the posting is a row. And a hold whose time is over covers nothing. Whichever comes first decides: one
//! atomic step, whatever the clock does and however long either takes after it.

use std::sync::atomic::{AtomicU8, Ordering};

const STANDS: u8 = 0;
const SETTLED: u8 = 1;
const EXPIRED: u8 = 2;

/// Shared by a reservation and the ledger's thread.
#[derive(Debug, Default)]
pub struct Fate(AtomicU8);

impl Fate {
    /// The reservation is settled; false if the hold's time was over before. Then the hold is never ended by its time.
    pub(crate) fn settle(&self) -> bool {
        self.decide(SETTLED)
    }

    /// The hold's time is over; false if its reservation was settled before.
    pub(crate) fn expire(&self) -> bool {
        self.decide(EXPIRED)
    }

    fn decide(&self, fate: u8) -> bool {
        let decided = self.0.compare_exchange(STANDS, fate, Ordering::AcqRel, Ordering::Acquire);
        decided.map_or_else(|before| before == fate, |_| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_first_decides_and_may_ask_again() {
        let settled = Fate::default();
        assert!(settled.settle() && !settled.expire() && settled.settle());
        let expired = Fate::default();
        assert!(expired.expire() && !expired.settle() && expired.expire());
    }
}
