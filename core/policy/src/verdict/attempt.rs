//! The answers of `admit` and `attempt`.

use super::{Deny, Edit};
use std::fmt;
use std::sync::Arc;

/// The answer of `admit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Let it in; the tags are attributes for later policies.
    Allow(Vec<(String, String)>),
    /// Refuse.
    Deny(Deny),
}

/// Which attempt `attempt` is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptFacts {
    /// Index into the target table.
    pub target: u16,
    /// The target's id.
    pub target_id: Arc<str>,
    /// Counts from 1.
    pub number: u8,
}

/// The answer of `attempt`.
#[derive(Debug, Clone, PartialEq)]
pub enum Preparation {
    /// Send it as it is.
    Pass,
    /// Send it with these changes, to this target only.
    Edit(Changes),
    /// Not this target, for this reason.
    Skip(String),
}

/// What differs for one target.
#[derive(Clone, PartialEq, Default)]
pub struct Changes {
    /// Edits of content.
    pub edits: Vec<Edit>,
    /// Headers to set; an empty value removes one that Weir would send.
    pub headers: Vec<(String, String)>,
}

impl fmt::Debug for Changes {
    /// Names of headers without their values, which a policy may have made of what it read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Changes").field("edits", &self.edits).field("headers", &headers).finish()
    }
}
