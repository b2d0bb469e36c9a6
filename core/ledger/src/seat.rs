//! How many exchanges may be under way at one time: one atomic for each thing that has a bound, no lock, no queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The seats of a key, a provider or a target. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Seats(Arc<AtomicU32>);

/// A seat that is taken; free again when dropped.
#[derive(Debug)]
#[must_use = "the seat is free again when this is dropped"]
pub struct Seat(Arc<AtomicU32>);

impl Seats {
    /// Takes a seat, unless `limit` of them are taken.
    #[must_use]
    pub fn take(&self, limit: u32) -> Option<Seat> {
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
            (taken < limit).then_some(taken.saturating_add(1))
        });
        taken.is_ok().then(|| Seat(Arc::clone(&self.0)))
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

// A guard has nothing but its drop: the exchange's future may be cancelled at any await.
impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_seats_are_taken_than_there_are_and_each_comes_back() {
        let seats = Seats::default();
        let two = [seats.take(2).unwrap(), seats.clone().take(2).unwrap()];
        assert!(seats.take(2).is_none());
        assert_eq!(seats.taken(), 2);
        assert!(seats.take(3).is_some(), "a limit that was raised holds at once");
        drop(two);
        assert_eq!(seats.taken(), 0);
        assert!(seats.take(0).is_none());
    }
}
