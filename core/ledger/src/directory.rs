//! All keys in memory: from a key's text to its principal in about a microsecond, without SQL and without a lock.
//!
//! The table is found by the first 8 bytes of the tag. The tag is an HMAC under a secret pepper, so nobody outside can
//! aim at a bucket, and the time that the bucket takes says nothing about a key; the whole tag is then compared in
//! constant time.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwap;
use subtle::ConstantTimeEq;

use crate::key;
use crate::people::KeyRecord;
use crate::pepper::{Pepper, Tag};
use crate::principal::Principal;

/// Why a key was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentifyError {
    /// Not of a key's form, or its checksum is wrong: mistyped or cut off.
    #[error("this is not a complete Weir key (its form or checksum is wrong)")]
    Malformed,
    /// Well-formed, but not one of ours.
    #[error("unknown key")]
    Unknown,
    /// Taken back.
    #[error("this key has been revoked")]
    Revoked,
    /// Past its end.
    #[error("this key has expired")]
    Expired,
}

/// The table, swapped as a whole.
pub(crate) struct Directory {
    pepper: Pepper,
    table: ArcSwap<Table>,
}

/// One key.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) tag: Tag,
    pub(crate) principal: Arc<Principal>,
    pub(crate) revoked: bool,
}

/// Keys whose tags begin alike share a bucket; with 64 bits that does not happen, but nothing rests on it.
type Table = HashMap<u64, Vec<Entry>, BuildHasherDefault<AlreadyHashed>>;

impl Directory {
    pub(crate) fn new(pepper: Pepper, entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut table = Table::default();
        for entry in entries {
            table.entry(bucket(&entry.tag)).or_default().push(entry);
        }
        Self { pepper, table: ArcSwap::from_pointee(table) }
    }

    pub(crate) fn tag(&self, secret: &[u8]) -> Tag {
        self.pepper.tag(secret)
    }

    pub(crate) fn identify(&self, text: &str, now_ms: i64) -> Result<Arc<Principal>, IdentifyError> {
        let tag = self.pepper.tag(key::parse(text).ok_or(IdentifyError::Malformed)?);
        let table = self.table.load();
        let entries = table.get(&bucket(&tag)).map_or(&[][..], Vec::as_slice);
        let entry =
            entries.iter().find(|entry| bool::from(entry.tag.ct_eq(&tag))).ok_or(IdentifyError::Unknown)?;
        if entry.revoked {
            return Err(IdentifyError::Revoked);
        }
        if entry.principal.expires_ms.is_some_and(|end| end <= now_ms) {
            return Err(IdentifyError::Expired);
        }
        Ok(Arc::clone(&entry.principal))
    }

    pub(crate) fn insert(&self, entry: &Entry) {
        self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table.entry(bucket(&entry.tag)).or_default().push(entry.clone());
            table
        });
    }

    /// Some keys have other wishes from now on.
    pub(crate) fn rewish(&self, records: Vec<KeyRecord>) {
        let records: HashMap<Tag, KeyRecord> =
            records.into_iter().map(|record| (record.tag, record)).collect();
        self.table.rcu(|table| {
            let mut table = Table::clone(table);
            for entry in table.values_mut().flatten() {
                if let Some(record) = records.get(&entry.tag) {
                    entry.principal = Arc::new(entry.principal.rewished(&record.key));
                }
            }
            table
        });
    }

    /// The limiter and the account live in the principal, which stays: a revocation resets nothing.
    pub(crate) fn revoke(&self, key_id: &str) {
        self.table.rcu(|table| {
            let mut table = Table::clone(table);
            for entry in table.values_mut().flatten() {
                entry.revoked |= &*entry.principal.key_id == key_id;
            }
            table
        });
    }
}

fn bucket(tag: &Tag) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&tag[..8]);
    u64::from_le_bytes(first)
}

/// A bucket's number is a piece of an HMAC: hashing it again gains nothing.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
