//! A call of a hook as a value: what an asynchronous policy and a shadowed version are asked with.

use crate::manifest::Hook;
use crate::pipeline::{Heard, Passed};
use crate::policy::{Fault, FaultKind, Policy};
use crate::request::RequestView;
use crate::target::Candidates;
use crate::verdict::{
    Admission, AttemptError, AttemptFacts, Base, Charge, Decision, Direction, GuardVerdict, Preparation,
    Recovery, ReplyMeta, Span, Summary,
};
use std::sync::Arc;
use weir_llm::price::Nanos;

/// What a policy is asked.
#[derive(Clone)]
#[allow(missing_docs, reason = "the hooks of the contract and their parameters")]
pub enum Question {
    Admit { view: Arc<RequestView> },
    Guard { view: Arc<RequestView> },
    Redact { view: Arc<RequestView>, direction: Direction },
    Route { view: Arc<RequestView>, candidates: Arc<Candidates> },
    Attempt { view: Arc<RequestView>, candidates: Arc<Candidates>, facts: Arc<AttemptFacts> },
    OnError { view: Arc<RequestView>, candidates: Arc<Candidates>, errors: Arc<[AttemptError]> },
    GuardResponse { request: Arc<RequestView>, reply: Arc<RequestView>, meta: Arc<ReplyMeta> },
    Stream { view: Arc<RequestView>, heard: Arc<Heard> },
    Quote { view: Arc<RequestView>, bound: Arc<Base> },
    Price { view: Arc<RequestView>, base: Arc<Base> },
    Complete { batch: Arc<[Summary]> },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the hooks of the contract and their answers")]
pub enum Answer {
    Admit(Admission),
    Guard(GuardVerdict),
    Redact(Vec<Span>),
    Route(Decision),
    Attempt(Preparation),
    OnError(Recovery),
    GuardResponse(GuardVerdict),
    Stream(Passed),
    Quote(Nanos),
    Price(Charge),
    Complete,
}

impl Question {
    /// Which hook is asked.
    #[must_use]
    pub fn hook(&self) -> Hook {
        match self {
            Self::Stream { heard, .. } => heard.hook,
            Self::Admit { .. } => Hook::Admit,
            Self::Guard { .. } => Hook::Guard,
            Self::Redact { .. } => Hook::Redact,
            Self::Route { .. } => Hook::Route,
            Self::Attempt { .. } => Hook::Attempt,
            Self::OnError { .. } => Hook::OnError,
            Self::GuardResponse { .. } => Hook::GuardResponse,
            Self::Quote { .. } | Self::Price { .. } => Hook::Price,
            Self::Complete { .. } => Hook::Complete,
        }
    }

    /// What stands for the answer of a guard whose manifest says what it looks for (`when: { finds: [...] }`), where the
    /// host finds none of it in what the guard would be shown: it passes, and nobody is asked.
    #[must_use]
    pub fn spared(&self, policy: &dyn Policy) -> Option<Answer> {
        let sought = &policy.manifest().when.as_ref()?.finds;
        let (shown, pass): (_, fn(GuardVerdict) -> Answer) = match self {
            Self::Guard { view } => (view, Answer::Guard),
            Self::GuardResponse { reply, .. } => (reply, Answer::GuardResponse),
            _ => return None,
        };
        let nothing = !sought.is_empty() && !shown.finds(policy.matchers(), sought);
        nothing.then(|| pass(GuardVerdict::pass()))
    }

    /// Asks a policy, in this thread. A stream is no single call: it is [`crate::pipeline::replayed`].
    ///
    /// # Errors
    /// The policy failed.
    pub fn ask(&self, policy: &dyn Policy) -> Result<Answer, Fault> {
        Ok(match self {
            Self::Admit { view } => Answer::Admit(policy.admit(view)?),
            Self::Guard { view } => Answer::Guard(policy.guard(view)?),
            Self::Redact { view, direction } => Answer::Redact(policy.redact(view, *direction)?),
            Self::Route { view, candidates } => Answer::Route(policy.route(view, candidates)?),
            Self::Attempt { view, candidates, facts } => {
                Answer::Attempt(policy.attempt(view, candidates, facts)?)
            }
            Self::OnError { view, candidates, errors } => {
                Answer::OnError(policy.on_error(view, candidates, errors)?)
            }
            Self::GuardResponse { request, reply, meta } => {
                Answer::GuardResponse(policy.guard_response(request, reply, meta)?)
            }
            Self::Stream { .. } => {
                return Err(Fault::new(FaultKind::Missing, "a stream is watched, not asked"));
            }
            Self::Quote { view, bound } => Answer::Quote(policy.quote(view, bound)?),
            Self::Price { view, base } => Answer::Price(policy.price(view, base)?),
            Self::Complete { batch } => {
                policy.complete(batch)?;
                Answer::Complete
            }
        })
    }
}
