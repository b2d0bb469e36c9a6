//! One thing for each policy: made at its first use, found without a lock afterwards.

use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A `T` by policy name. Names are the operator's, so there are few, and none is ever forgotten.
pub(super) struct ByPolicy<T> {
    known: ArcSwap<HashMap<Arc<str>, Arc<T>>>,
    adding: Mutex<()>,
}

impl<T> Default for ByPolicy<T> {
    fn default() -> Self {
        Self { known: ArcSwap::default(), adding: Mutex::default() }
    }
}

impl<T> ByPolicy<T> {
    /// The policy's own, if it has one.
    pub(super) fn find(&self, policy: &str) -> Option<Arc<T>> {
        self.known.load().get(policy).cloned()
    }

    /// The policy's own; `make` is called the first time.
    pub(super) fn of(&self, policy: &Arc<str>, make: impl FnOnce() -> T) -> Arc<T> {
        self.find(policy).unwrap_or_else(|| self.add(policy, make))
    }

    /// All of them.
    pub(super) fn all(&self) -> Arc<HashMap<Arc<str>, Arc<T>>> {
        self.known.load_full()
    }

    fn add(&self, policy: &Arc<str>, make: impl FnOnce() -> T) -> Arc<T> {
        let _one_at_a_time = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.find(policy) {
            return found;
        }
        let made = Arc::new(make());
        let mut known = HashMap::clone(&self.known.load());
        known.insert(Arc::clone(policy), Arc::clone(&made));
        self.known.store(Arc::new(known));
        made
    }
}
