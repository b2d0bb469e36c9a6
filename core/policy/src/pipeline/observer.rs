//! Who wants to know of every call: metrics and logs.

use crate::manifest::Hook;
use crate::policy::Fault;
use std::time::Duration;

/// Told of every call, in the thread of the exchange: be quick.
pub trait Observer: Send + Sync {
    /// A policy was asked, or would have been but for its breaker.
    fn asked(&self, call: &Call<'_>);
}

/// One call, without content.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Weir's id of the exchange; `None` where a call is not about one.
    pub request_id: Option<&'a str>,
    /// Name of the policy.
    pub policy: &'a str,
    /// The author's version.
    pub version: &'a str,
    /// The policy's digest.
    pub digest: &'a str,
    /// Which hook.
    pub hook: Hook,
    /// `pass`, `edit`, `block`, `answer`, `plan`, `deny`, `abstain`, `follow-plan`, `retry-after`, `switch`, `fail`,
    /// `fault`, `breaker-open` or [`super::NOTHING_FOUND`].
    pub verdict: &'static str,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it failed, if it did.
    pub fault: Option<&'a Fault>,
    /// Whether this fault opened the breaker.
    pub breaker_opened: bool,
}
