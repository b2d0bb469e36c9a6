//! Instances of one policy that read no content and wait for the next call.

use crate::instance::Instance;
use std::sync::{Arc, Mutex, PoisonError};
use weir_policy::TargetTable;

/// Calls after which an instance is dropped: bounds what a slow leak or a drifting state can do.
const MAX_CALLS: u32 = 10_000;
/// Linear memory that an instance may have grown by.
const MAX_GROWTH_BYTES: usize = 1 << 20;

/// Whose calls an instance serves.
#[derive(Clone)]
pub(crate) struct Owner {
    /// The organisation; `None` for a `shared` policy, whose instances learn of none.
    pub(crate) organisation: Option<Arc<str>>,
    /// An instance may keep the target table of its first call, so it serves that table only.
    pub(crate) table: TargetTable,
}

pub(crate) struct Kept {
    instances: Mutex<Vec<Instance>>,
    capacity: usize,
}

impl Kept {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { instances: Mutex::default(), capacity }
    }

    /// An instance of this owner, the one used last.
    pub(crate) fn take(&self, owner: &Owner) -> Option<Instance> {
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        let index = instances.iter().rposition(|instance| owner.owns(instance))?;
        Some(instances.remove(index))
    }

    /// Keeps an instance unless it is due; the one unused for longest makes room. Dropped outside of the lock.
    pub(crate) fn put(&self, mut instance: Instance, owner: Owner) {
        if due(&instance) {
            return;
        }
        instance.organisation = owner.organisation;
        instance.table = Some(owner.table);
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = (instances.len() >= self.capacity).then(|| instances.remove(0));
        instances.push(instance);
        drop(instances);
        drop(oldest);
    }

    /// Gives all slots back.
    pub(crate) fn clear(&self) {
        let all = std::mem::take(&mut *self.instances.lock().unwrap_or_else(PoisonError::into_inner));
        drop(all);
    }
}

impl Owner {
    fn owns(&self, instance: &Instance) -> bool {
        let same_table = instance.table.as_ref().is_some_and(|table| Arc::ptr_eq(table, &self.table));
        same_table && instance.organisation == self.organisation
    }
}

fn due(instance: &Instance) -> bool {
    let grown = instance.store.data().memory.current.saturating_sub(instance.memory_at_start);
    instance.calls >= MAX_CALLS || grown > MAX_GROWTH_BYTES
}
