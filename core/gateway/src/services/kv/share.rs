//! What a policy may take of the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use weir_policy::services::KvError;

/// Most entries of all policies together.
const MAX_ENTRIES: usize = 1_000_000;

/// What holds for all policies.
pub(super) struct Bounds {
    share: AtomicUsize,
    entries: AtomicUsize,
}

impl Bounds {
    pub(super) const fn new(share: usize) -> Self {
        Self { share: AtomicUsize::new(share), entries: AtomicUsize::new(0) }
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.entries.load(Relaxed)
    }

    pub(super) fn resize(&self, share: usize) {
        self.share.store(share, Relaxed);
    }
}

/// What one policy has taken.
pub(super) struct Share {
    bounds: Arc<Bounds>,
    bytes: AtomicUsize,
    version: AtomicU64,
}

impl Share {
    pub(super) const fn new(bounds: Arc<Bounds>) -> Self {
        Self { bounds, bytes: AtomicUsize::new(0), version: AtomicU64::new(0) }
    }

    pub(super) fn used(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// Whether little is left, so that it pays to look for what has ended.
    pub(super) fn is_tight(&self) -> bool {
        let share = self.bounds.share.load(Relaxed);
        self.used() >= share - share / 8 || self.bounds.entries.load(Relaxed) >= MAX_ENTRIES
    }

    /// Puts an entry of `new` bytes in the place of one of `old`; 0 is no entry. Shrinking is always allowed.
    pub(super) fn replace(&self, old: usize, new: usize) -> Result<(), KvError> {
        if old == 0 && new > 0 && self.bounds.entries.fetch_add(1, Relaxed) >= MAX_ENTRIES {
            self.bounds.entries.fetch_sub(1, Relaxed);
            return Err(KvError::TooLarge);
        }
        let share = self.bounds.share.load(Relaxed);
        let fits = |bytes: usize| {
            let after = bytes.saturating_sub(old).saturating_add(new);
            (new <= old || after <= share).then_some(after)
        };
        let fitted = self.bytes.fetch_update(Relaxed, Relaxed, fits).is_ok();
        if (fitted && old > 0 && new == 0) || (!fitted && old == 0) {
            self.bounds.entries.fetch_sub(1, Relaxed);
        }
        if fitted { Ok(()) } else { Err(KvError::TooLarge) }
    }

    /// Counts from 1 and never repeats, so that an entry that was deleted and made again is another one.
    pub(super) fn next_version(&self) -> u64 {
        self.version.fetch_add(1, Relaxed) + 1
    }

    /// Later versions are above this one.
    pub(super) fn versions_above(&self, version: u64) {
        self.version.fetch_max(version, Relaxed);
    }
}
