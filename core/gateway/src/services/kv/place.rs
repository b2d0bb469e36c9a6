//! Whose key it is, and whether it may be written.

use weir_policy::services::{KvError, Origin, Scope};

/// Longest key.
const MAX_KEY: usize = 256;

/// A key as a policy names it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Whose call it is.
    pub origin: &'a Origin,
    /// How far the key reaches.
    pub scope: Scope,
    /// The key, or the bucket's name.
    pub key: &'a str,
}

/// Keys and buckets of one name do not meet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Key,
    Bucket,
}

impl Place<'_> {
    /// Engines have refused this before; a store that would take it would be one bug away from a leak.
    pub(super) fn writable(&self) -> Result<(), KvError> {
        let closed = self.origin.tainted || self.origin.retention.is_zero();
        if closed && self.scope != Scope::Request { Err(KvError::Closed) } else { Ok(()) }
    }

    /// The name in a table of the policy. No key can be chosen so that it is another owner's: the owner's length stands
    /// before it.
    pub(super) fn name(&self, kind: Kind) -> Result<String, KvError> {
        if self.key.len() > MAX_KEY {
            return Err(KvError::TooLarge);
        }
        let kind = match kind {
            Kind::Key => 'k',
            Kind::Bucket => 'b',
        };
        let owner = match self.scope {
            Scope::Plugin => return Ok(format!("{kind}p{}", self.key)),
            Scope::Tenant => &*self.origin.tenant,
            Scope::Request => &*self.origin.request_id,
        };
        // A shared policy serves no organisation, and outside of a request there is neither.
        if owner.is_empty() {
            return Err(KvError::Unavailable);
        }
        // The table of an exchange holds nothing of another one.
        if self.scope == Scope::Request {
            return Ok(format!("{kind}r{}", self.key));
        }
        Ok(format!("{kind}t{}:{owner}{}", owner.len(), self.key))
    }
}
