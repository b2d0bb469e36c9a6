//! Instances of one policy that read no content and wait for the next call.

use crate::instance::Instance;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use weir_policy::TargetTable;

/// Calls after which an instance is dropped: bounds what a slow leak or a drifting state can do.
const MAX_CALLS: u32 = 10_000;
/// Linear memory that an instance may have grown by.
const MAX_GROWTH_BYTES: usize = 1 << 20;
/// How long an instance waits for its next call, from when its last one began.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// Whose calls an instance serves.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    /// The organisation; `None` for a `shared` policy, whose instances learn of none.
    pub(crate) organisation: Option<&'a Arc<str>>,
    /// An instance may keep the target table of its first call, so it serves that table only; `None` where the hook
    /// sees no targets.
    pub(crate) table: Option<&'a TargetTable>,
}

pub(crate) struct Kept {
    /// The one whose call ended last stands last.
    instances: Mutex<Vec<Instance>>,
    capacity: usize,
}

impl Kept {
    /// An instance of this owner, the one used last.
    pub(crate) fn take(&self, owner: Owner<'_>) -> Option<Instance> {
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        let index = instances.iter().rposition(|instance| owner.owns(instance))?;
        Some(instances.remove(index))
    }

    /// Keeps an instance unless it is due; the one unused for longest makes room, and those that waited for too long go.
    /// Dropped outside of the lock.
    pub(crate) fn put(&self, instance: Instance) {
        if due(&instance) {
            return;
        }
        let since = |earlier: &Instance| instance.used.saturating_duration_since(earlier.used);
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = instances.iter().take_while(|earlier| since(earlier) > MAX_IDLE).count();
        let full = (instances.len() + 1).saturating_sub(self.capacity);
        let mut gone = None;
        if idle.max(full) > 0 {
            gone = Some(instances.drain(..idle.max(full)).collect::<Vec<_>>());
        }
        instances.push(instance);
        drop(instances);
        drop(gone);
    }

    /// Gives all slots back.
    fn clear(&self) {
        let all = std::mem::take(&mut *self.instances.lock().unwrap_or_else(PoisonError::into_inner));
        drop(all);
    }
}

/// The kept instances of all policies of an engine: when its pool is empty, all are given up.
#[derive(Default)]
pub(crate) struct AllKept(Mutex<Vec<Weak<Kept>>>);

impl AllKept {
    /// Room for the kept instances of one policy.
    pub(crate) fn of_policy(&self, capacity: usize) -> Arc<Kept> {
        let kept = Arc::new(Kept { instances: Mutex::default(), capacity });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        all.push(Arc::downgrade(&kept));
        kept
    }

    /// Gives all slots back.
    pub(crate) fn clear(&self) {
        let all: Vec<_> = {
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.iter().filter_map(Weak::upgrade).collect()
        };
        all.iter().for_each(|kept| kept.clear());
    }
}

impl Instance {
    /// Of a fresh one: whom it may serve from now on.
    pub(crate) fn owned_by(mut self, owner: Option<Owner<'_>>) -> Self {
        self.organisation = owner.and_then(|owner| owner.organisation).map(Arc::clone);
        self.table = owner.and_then(|owner| owner.table).map(Arc::clone);
        self
    }
}

impl Owner<'_> {
    fn owns(self, instance: &Instance) -> bool {
        let same_table = match (&instance.table, self.table) {
            (Some(kept), Some(asked)) => Arc::ptr_eq(kept, asked),
            (None, None) => true,
            _ => false,
        };
        same_table && instance.organisation.as_ref() == self.organisation
    }
}

fn due(instance: &Instance) -> bool {
    let grown = instance.store.data().memory.current.saturating_sub(instance.memory_at_start);
    instance.calls >= MAX_CALLS || grown > MAX_GROWTH_BYTES
}
