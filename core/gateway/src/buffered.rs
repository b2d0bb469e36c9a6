//! The process-wide budget for bytes held in memory on behalf of callers.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes may be buffered at once, over all exchanges.
pub struct Budget {
    used: AtomicUsize,
    limit: usize,
}

/// Bytes taken from the budget; given back when dropped.
pub struct Held<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl Budget {
    /// A budget of so many bytes.
    pub const fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit }
    }

    /// Bytes held now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Holds nothing yet.
    pub const fn open(&self) -> Held<'_> {
        Held { budget: self, bytes: 0 }
    }
}

impl Held<'_> {
    /// Whether `more` bytes could be taken now.
    pub fn fits(&self, more: usize) -> bool {
        self.budget.used().saturating_add(more) <= self.budget.limit
    }

    /// Holds what another one held, too.
    pub fn absorb(&mut self, mut other: Held<'_>) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Gives so many bytes back.
    pub fn shrink(&mut self, less: usize) {
        let less = less.min(self.bytes);
        self.bytes -= less;
        self.budget.used.fetch_sub(less, Ordering::Relaxed);
    }

    /// Takes `more` bytes; `false`, and nothing taken, if the process is out of them.
    #[must_use]
    pub fn grow(&mut self, more: usize) -> bool {
        let before = self.budget.used.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.budget.limit {
            self.budget.used.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.bytes += more;
        true
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_not_taken_and_what_is_held_comes_back() {
        let budget = Budget::new(10);
        {
            let mut one = budget.open();
            let mut two = budget.open();
            assert!(one.grow(7));
            assert!(!two.grow(4) && !two.fits(4) && two.fits(3));
            assert!(two.grow(3));
            assert_eq!(budget.used(), 10);
        }
        assert_eq!(budget.used(), 0);
    }
}
