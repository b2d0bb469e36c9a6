//! Ids of exchanges, and the table of those that are open (L1 and L2 in memory).

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

const PREFIX: &str = "req_";
const SHARDS: usize = 16;

/// The id of an exchange. Ids of our own form (`req_` + 32 lower-case hex digits) are kept as 16 bytes, which makes
/// rows and indexes small; any other text is kept as it is. The two forms never meet: each text has one of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExchangeId(Form);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Form {
    Bytes([u8; 16]),
    Text(Box<str>),
}

impl ExchangeId {
    /// A fresh id: 48 bits of time, 80 random bits. Ids that grow with time keep the index's writes at its end.
    ///
    /// # Errors
    /// If the operating system has no random bytes.
    pub fn fresh(unix_ms: i64) -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes[6..])?;
        bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
        Ok(Self(Form::Bytes(bytes)))
    }

    /// Reads any text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(compact(text).map_or_else(|| Form::Text(text.into()), Form::Bytes))
    }

    pub(crate) const fn form(&self) -> &Form {
        &self.0
    }

    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Form::Bytes(bytes))
    }
}

fn compact(text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix(PREFIX)?;
    if digits.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; 16];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Bytes(bytes) => write!(f, "{PREFIX}{:032x}", u128::from_be_bytes(*bytes)),
            Form::Text(text) => f.write_str(text),
        }
    }
}

/// The exchanges whose reservation is open. Sharded, so that workers and the ledger's thread rarely meet.
#[derive(Debug, Default)]
pub struct OpenExchanges {
    shards: [Mutex<HashSet<ExchangeId>>; SHARDS],
    hasher: RandomState,
}

impl OpenExchanges {
    /// False if it is open already.
    pub(crate) fn open(&self, id: &ExchangeId) -> bool {
        self.shard(id).lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone())
    }

    /// False if it was not open.
    pub(crate) fn close(&self, id: &ExchangeId) -> bool {
        self.shard(id).lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    fn shard(&self, id: &ExchangeId) -> &Mutex<HashSet<ExchangeId>> {
        let at = usize::try_from(self.hasher.hash_one(id) >> 60).unwrap_or(0);
        &self.shards[at % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_one_form_and_comes_back() {
        for text in
            ["req_0123456789abcdef0123456789abcdef", "req_0123456789ABCDEF0123456789abcdef", "req_1", "", "é"]
        {
            assert_eq!(ExchangeId::parse(text).to_string(), text);
        }
        let fresh = ExchangeId::fresh(1_700_000_000_000).unwrap();
        assert!(matches!(fresh.form(), Form::Bytes(_)));
        assert_eq!(ExchangeId::parse(&fresh.to_string()), fresh);
        assert!(fresh < ExchangeId::fresh(1_700_000_000_001).unwrap());
    }
}
