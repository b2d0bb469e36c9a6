//! One key while nobody else has it.

use super::share::Share;
use super::table::{Slot, Table, Value};
use weir_policy::services::KvError;

/// One key of a locked table.
pub(super) struct Cell<'a> {
    pub(super) table: &'a mut Table,
    pub(super) name: &'a str,
    pub(super) now: u64,
    pub(super) share: &'a Share,
}

impl Cell<'_> {
    /// What stands there; nothing if it was forgotten.
    pub(super) fn slot(&self) -> Option<&Slot> {
        self.table.get(self.name, self.now).filter(|slot| !matches!(slot.value, Value::Gone))
    }

    pub(super) fn set(&mut self, value: Value, until: Option<u64>) -> Result<u64, KvError> {
        let version = self.share.next_version();
        self.table.set(self.name, Slot { value, version, until }, self.share)?;
        Ok(version)
    }

    pub(super) fn remove(&mut self) {
        self.table.remove(self.name, self.share);
    }

    /// Takes over what stands beneath, unless the key was written here.
    pub(super) fn adopt(&mut self, slot: Slot) -> Result<(), KvError> {
        if self.table.get(self.name, self.now).is_some() {
            return Ok(());
        }
        self.share.versions_above(slot.version);
        self.table.set(self.name, slot, self.share)
    }
}
