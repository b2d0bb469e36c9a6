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

/// What a call may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the words of the contract")]
pub enum Verdict {
    Pass,
    /// It was spared: see [`crate::Question::spared`].
    NothingFound,
    Plan,
    Charge,
    Quote,
    Allow,
    Edit,
    Block,
    Deny,
    Answer,
    Abstain,
    Skip,
    Stop,
    FollowPlan,
    RetryAfter,
    Switch,
    Fail,
    Done,
    /// It gave no answer.
    Fault,
    /// It was not asked, since it has failed too often.
    BreakerOpen,
}

impl Verdict {
    /// Every verdict, in the order of their numbers; one that is added comes before the last.
    pub const ALL: [Self; Self::BreakerOpen as usize + 1] = [
        Self::Pass,
        Self::NothingFound,
        Self::Plan,
        Self::Charge,
        Self::Quote,
        Self::Allow,
        Self::Edit,
        Self::Block,
        Self::Deny,
        Self::Answer,
        Self::Abstain,
        Self::Skip,
        Self::Stop,
        Self::FollowPlan,
        Self::RetryAfter,
        Self::Switch,
        Self::Fail,
        Self::Done,
        Self::Fault,
        Self::BreakerOpen,
    ];

    /// The name in traces and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NothingFound => "nothing-found",
            Self::Plan => "plan",
            Self::Charge => "charge",
            Self::Quote => "quote",
            Self::Allow => "allow",
            Self::Edit => "edit",
            Self::Block => "block",
            Self::Deny => "deny",
            Self::Answer => "answer",
            Self::Abstain => "abstain",
            Self::Skip => "skip",
            Self::Stop => "stop",
            Self::FollowPlan => "follow-plan",
            Self::RetryAfter => "retry-after",
            Self::Switch => "switch",
            Self::Fail => "fail",
            Self::Done => "done",
            Self::Fault => "fault",
            Self::BreakerOpen => "breaker-open",
        }
    }
}

/// One call, without content.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Weir's id of the exchange; `None` where a call is not about one.
    pub request_id: Option<&'a str>,
    /// What it came to.
    pub verdict: Verdict,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it failed, if it did.
    pub fault: Option<&'a Fault>,
    /// Whether this fault opened the breaker.
    pub breaker_opened: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_numbered_as_they_are_listed() {
        for (number, verdict) in Verdict::ALL.into_iter().enumerate() {
            assert_eq!(verdict as usize, number, "{}", verdict.as_str());
        }
    }
}
