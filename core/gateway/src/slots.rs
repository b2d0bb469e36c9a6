//! Slots for instances of policies, of which the process has so many: an exchange takes what it will keep before anything
//! of it is done, so that no guard finds itself without one in the middle of it.

use crate::refusal::Refusal;
use std::sync::atomic::{AtomicU32, Ordering};

/// The slots that nobody has taken.
#[derive(Debug)]
pub struct Slots(AtomicU32);

/// The slots of one exchange.
#[derive(Debug)]
pub struct Taken<'a> {
    slots: &'a Slots,
    count: u32,
}

impl Slots {
    /// So many, all free.
    #[must_use]
    pub const fn new(count: u32) -> Self {
        Self(AtomicU32::new(count))
    }

    /// Takes some at once; `None`: there was no need of any.
    ///
    /// # Errors
    /// 503: fewer are free.
    pub fn take(&self, count: u32) -> Result<Option<Taken<'_>>, Refusal> {
        if count == 0 {
            return Ok(None);
        }
        let less = |free: u32| free.checked_sub(count);
        match self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less) {
            Ok(_) => Ok(Some(Taken { slots: self, count })),
            Err(_) => {
                Err(Refusal::busy("overloaded", "As many streams are watched by policies as may be.", 1000)
                    .shed("slots"))
            }
        }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.slots.0.fetch_add(self.count, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back_and_none_is_taken_in_part() {
        let slots = Slots::new(3);
        let two = slots.take(2).unwrap();
        let refusal = slots.take(2).unwrap_err();
        assert_eq!((refusal.status, refusal.retry_after_ms, refusal.shed), (503, Some(1000), Some("slots")));
        assert!(slots.take(0).unwrap().is_none());
        let one = slots.take(1).unwrap();
        assert!(slots.take(1).is_err());
        drop((one, two));
        assert!(slots.take(3).unwrap().is_some());
    }
}
