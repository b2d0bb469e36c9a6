//! Who wants to know of every call: metrics and logs. A version has a seat at an observer for each of its hooks, so that
//! nothing is looked up when it is asked.

use crate::manifest::Hook;
use crate::policy::Fault;
use std::sync::Arc;
use std::time::Duration;

/// Gives a seat to each version at each of its hooks, when a pipeline is built.
pub trait Observer: Send + Sync {
    /// The seat of a version.
    fn seat(self: Arc<Self>, of: Seated<'_>) -> Arc<dyn Seat>;
}

/// Whose seat it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seated<'a> {
    /// Name of the policy.
    pub policy: &'a str,
    /// The author's version.
    pub version: &'a str,
    /// The policy's digest.
    pub digest: &'a str,
    /// Which hook.
    pub hook: Hook,
}

/// Told of every call of a version, in the thread of the exchange: be quick.
pub trait Seat: Send + Sync {
    /// It was asked, or would have been but for its breaker.
    fn asked(&self, call: &Call<'_>);
}

/// What a call may come to, the usual first. `fault` stands for one that gave no answer, `breaker-open` and
/// [`super::NOTHING_FOUND`] for one that was not made.
pub const VERDICTS: [&str; 20] = [
    "pass",
    super::NOTHING_FOUND,
    "plan",
    "charge",
    "quote",
    "allow",
    "edit",
    "block",
    "deny",
    "answer",
    "abstain",
    "skip",
    "stop",
    "follow-plan",
    "retry-after",
    "switch",
    "fail",
    "done",
    "fault",
    "breaker-open",
];

/// One call, without content.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Weir's id of the exchange; `None` where a call is not about one.
    pub request_id: Option<&'a str>,
    /// One of [`VERDICTS`].
    pub verdict: &'static str,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it failed, if it did.
    pub fault: Option<&'a Fault>,
    /// Whether this fault opened the breaker.
    pub breaker_opened: bool,
}
