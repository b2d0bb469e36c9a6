//! Entries behind one lock, and when they end.

use super::gcra::Level;
use super::share::Share;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use weir_policy::services::{Entry, KvError};

/// What an entry takes beside its key and value: its places in the two indices, roughly.
const OVERHEAD: usize = 160;

/// What stands under a name.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) value: Value,
    pub(super) version: u64,
    /// From then on it is not there any more.
    pub(super) until: Option<u64>,
}

#[derive(Clone)]
pub(super) enum Value {
    Bytes(Box<[u8]>),
    Bucket(Level),
    /// Deleted in a store that reads through: hides what is beneath.
    Gone,
}

/// Entries, and those that end in the order in which they do.
#[derive(Default)]
pub(super) struct Table {
    slots: HashMap<Arc<str>, Slot>,
    ends: BTreeSet<(u64, Arc<str>)>,
}

impl Slot {
    pub(super) fn entry(self, now: u64) -> Option<Entry> {
        let Value::Bytes(value) = self.value else { return None };
        let ttl_ms = self.until.map(|until| until.saturating_sub(now));
        Some(Entry { value: value.into_vec(), version: self.version, ttl_ms })
    }

    /// The value as decimal text.
    pub(super) fn integer(&self) -> Option<i64> {
        let Value::Bytes(value) = &self.value else { return None };
        std::str::from_utf8(value).ok()?.parse().ok()
    }

    pub(super) const fn level(&self) -> Option<Level> {
        match self.value {
            Value::Bucket(level) => Some(level),
            _ => None,
        }
    }

    fn size(&self, name: &str) -> usize {
        let value = match &self.value {
            Value::Bytes(value) => value.len(),
            _ => 0,
        };
        name.len() + value + OVERHEAD
    }
}

impl Table {
    pub(super) fn get(&self, name: &str, now: u64) -> Option<&Slot> {
        self.slots.get(name).filter(|slot| slot.until.is_none_or(|until| now < until))
    }

    /// Writes, if the share allows it.
    pub(super) fn set(&mut self, name: &str, slot: Slot, share: &Share) -> Result<(), KvError> {
        let old = self.slots.get_key_value(name);
        share.replace(old.map_or(0, |(name, old)| old.size(name)), slot.size(name))?;
        let name = old.map_or_else(|| name.into(), |(name, _)| Arc::clone(name));
        if let Some(until) = old.and_then(|(_, old)| old.until) {
            self.ends.remove(&(until, Arc::clone(&name)));
        }
        if let Some(until) = slot.until {
            self.ends.insert((until, Arc::clone(&name)));
        }
        self.slots.insert(name, slot);
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str, share: &Share) {
        let Some((name, slot)) = self.slots.remove_entry(name) else { return };
        release(share, &name, &slot);
        if let Some(until) = slot.until {
            self.ends.remove(&(until, name));
        }
    }

    /// Clears at most so many entries that have ended.
    pub(super) fn sweep(&mut self, most: usize, now: u64, share: &Share) {
        for _ in 0..most {
            if self.ends.first().is_none_or(|(until, _)| now < *until) {
                return;
            }
            let Some((_, name)) = self.ends.pop_first() else { return };
            if let Some(slot) = self.slots.remove(&name) {
                release(share, &name, &slot);
            }
        }
    }

    /// Gives everything back.
    pub(super) fn clear(self, share: &Share) {
        for (name, slot) in &self.slots {
            release(share, name, slot);
        }
    }
}

fn release(share: &Share, name: &str, slot: &Slot) {
    // Shrinking is always allowed.
    let _ = share.replace(slot.size(name), 0);
}
