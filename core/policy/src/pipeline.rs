//! The ordered policies of a snapshot: asked in turn, every answer checked, every failure met as the policy declares.
//!
//! - `guard`: in order; each sees the edits of those before it; the first that blocks or answers ends the round.
//! - `route`: in order; the first that does not abstain decides; nobody decides → the plan from config.
//! - `on-error`: the policy that made the plan first, then in order; the first that does not follow the plan decides.
//!
//! Nothing is locked while a policy runs, and a pipeline without policies costs nothing.

mod breaker;
mod observer;
mod outcome;
mod stage;

pub use breaker::BreakerSettings;
pub use observer::{Call, Observer};
pub use outcome::{GuardEnd, GuardOutcome, RecoveryOutcome, Refused, RouteOutcome, Routed, TraceLine};

use crate::head::Head;
use crate::manifest::{FailureMode, Hook, Reads};
use crate::policy::{Fault, LoadError, Policy};
use crate::request::RequestView;
use crate::target::Candidates;
use crate::verdict::{AttemptError, Decision, Deny, Guarded, Recovery};
use outcome::Verdict;
use sha2::{Digest, Sha256};
use stage::Stage;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A policy as config binds it.
pub struct Bound {
    /// Compiled and configured.
    pub policy: Arc<dyn Policy>,
    /// The model names it is asked about (a trailing `*` matches any rest); all if absent.
    pub models: Option<Vec<String>>,
}

/// Tells which of the bound policies made a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyId(usize);

/// Where the pipeline reads the time; tests bring their own.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// The ordered policies of a snapshot.
pub struct Pipeline {
    guards: Vec<Stage>,
    routes: Vec<Stage>,
    recoveries: Vec<Stage>,
    policies: Vec<Arc<dyn Policy>>,
    digest: String,
    observer: Option<Arc<dyn Observer>>,
    clock: Clock,
}

impl Pipeline {
    /// Builds the stages in the order of config.
    ///
    /// # Errors
    /// A guard that does not cover every surface that is served: what walks past it would walk past silently.
    pub fn new(bound: Vec<Bound>) -> Result<Self, LoadError> {
        Self::with(bound, BreakerSettings::default(), Arc::new(Instant::now))
    }

    /// As [`Pipeline::new`], with breaker settings and a clock.
    ///
    /// # Errors
    /// As [`Pipeline::new`].
    pub fn with(bound: Vec<Bound>, breaker: BreakerSettings, clock: Clock) -> Result<Self, LoadError> {
        bound.iter().try_for_each(|bound| stage::check_surfaces(bound.policy.manifest()))?;
        let digest = digest(&bound);
        let now = clock();
        let stages = |hook: Hook| {
            let has = bound.iter().enumerate().filter(|(_, bound)| bound.policy.manifest().has(hook));
            has.map(|(id, bound)| Stage::new(PolicyId(id), bound, hook, breaker, now)).collect::<Vec<_>>()
        };
        let (guards, routes, recoveries) = (stages(Hook::Guard), stages(Hook::Route), stages(Hook::OnError));
        let policies = bound.into_iter().map(|bound| bound.policy).collect();
        Ok(Self { guards, routes, recoveries, policies, digest, observer: None, clock })
    }

    /// Tells an observer of every call.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Takes over the breakers of policies that an older pipeline has too, so that a reload does not close them.
    #[must_use]
    pub fn keep_breakers_of(mut self, old: &Self) -> Self {
        for stage in self.guards.iter_mut().chain(&mut self.routes).chain(&mut self.recoveries) {
            if let Some(known) = old.stages().find(|known| known.same_version(stage)) {
                stage.share_breaker(known);
            }
        }
        self
    }

    /// SHA-256, hex, over the policies and bindings in order: part of every cache key.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The bound policies, in order.
    pub fn policies(&self) -> impl Iterator<Item = &dyn Policy> {
        self.policies.iter().map(|policy| &**policy)
    }

    /// Whether no policy is bound at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages().next().is_none()
    }

    /// Whether some policy may read content of requests for this model; answered without a request at hand.
    #[must_use]
    pub fn needs_content(&self, model: &str) -> bool {
        self.stages().any(|stage| stage.reads() == Reads::Content && stage.bound_to(model))
    }

    /// Whether some guard is bound to this model.
    #[must_use]
    pub fn has_guards(&self, model: &str) -> bool {
        self.guards.iter().any(|stage| stage.bound_to(model))
    }

    /// Whether some route policy is bound to this model.
    #[must_use]
    pub fn has_routes(&self, model: &str) -> bool {
        self.routes.iter().any(|stage| stage.bound_to(model))
    }

    /// Whether some on-error policy is bound to this model.
    #[must_use]
    pub fn has_on_error(&self, model: &str) -> bool {
        self.recoveries.iter().any(|stage| stage.bound_to(model))
    }

    /// The policies and hooks whose breaker is open now.
    pub fn open_breakers(&self) -> impl Iterator<Item = (&str, Hook)> {
        self.stages().filter(|stage| stage.breaker.is_open()).map(|stage| (&*stage.name, stage.hook))
    }

    /// Asks the guards.
    #[must_use]
    pub fn guard(&self, view: &Arc<RequestView>) -> GuardOutcome {
        let mut outcome = GuardOutcome::pass(Arc::clone(view));
        for stage in applicable(&self.guards, view.head()) {
            let asked = self.ask(stage, &mut outcome.trace, |stage| stage.guard(&outcome.view));
            let guarding = match asked {
                Ok(guarding) => guarding,
                Err(FailureMode::Open) => continue,
                Err(FailureMode::Closed | FailureMode::StaticPlan) => {
                    outcome.end = GuardEnd::Blocked(stage.failed());
                    break;
                }
            };
            if let Some(after) = guarding.after {
                outcome.edited = true;
                outcome.view = after;
            }
            outcome.tags.extend(guarding.verdict.tags);
            match guarding.verdict.outcome {
                Guarded::Pass | Guarded::Edit(_) => {}
                Guarded::Block(deny) => outcome.end = GuardEnd::Blocked(stage.refused(deny)),
                Guarded::Answer(text) => {
                    outcome.end = GuardEnd::Answered { policy: Arc::clone(&stage.name), text };
                }
            }
            if !matches!(outcome.end, GuardEnd::Pass) {
                break;
            }
        }
        outcome
    }

    /// Asks the route policies.
    #[must_use]
    pub fn route(&self, view: &Arc<RequestView>, candidates: &Arc<Candidates>) -> RouteOutcome {
        let mut trace = Vec::new();
        for stage in applicable(&self.routes, view.head()) {
            let by = Some(stage.id);
            let decision = match self.ask(stage, &mut trace, |stage| stage.route(view, candidates)) {
                Ok(routing) => match routing.decision {
                    Decision::Plan(plan) => Routed::Plan(plan),
                    Decision::Deny(deny) => Routed::Refused(stage.refused(deny)),
                    Decision::Abstain => continue,
                },
                Err(FailureMode::Open) => continue,
                Err(FailureMode::Closed) => Routed::Refused(stage.failed()),
                Err(FailureMode::StaticPlan) => {
                    return RouteOutcome { decision: Routed::Static, by: None, trace };
                }
            };
            return RouteOutcome { decision, by, trace };
        }
        RouteOutcome { decision: Routed::Static, by: None, trace }
    }

    /// Asks what to do after a failed attempt; `planner` made the plan, if a policy did.
    #[must_use]
    pub fn on_error(
        &self,
        view: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        errors: &Arc<[AttemptError]>,
        planner: Option<PolicyId>,
    ) -> RecoveryOutcome {
        let mut trace = Vec::new();
        let first = self.recoveries.iter().filter(|stage| Some(stage.id) == planner);
        let rest = self.recoveries.iter().filter(|stage| Some(stage.id) != planner);
        for stage in first.chain(rest).filter(|stage| stage.applies(view.head())) {
            match self.ask(stage, &mut trace, |stage| stage.on_error(view, candidates, errors)) {
                Ok(recovering) if recovering.recovery == Recovery::FollowPlan => {}
                Ok(recovering) => return RecoveryOutcome { recovery: recovering.recovery, trace },
                Err(FailureMode::Closed) => {
                    return RecoveryOutcome { recovery: Recovery::Fail(stage.failed().deny), trace };
                }
                Err(FailureMode::Open | FailureMode::StaticPlan) => {}
            }
        }
        RecoveryOutcome { recovery: Recovery::FollowPlan, trace }
    }

    /// One call: breaker, clock, observer and trace around it. No answer is an error: what the policy declares to
    /// follow then.
    fn ask<T: Verdict>(
        &self,
        stage: &Stage,
        trace: &mut Vec<TraceLine>,
        call: impl FnOnce(&Stage) -> Result<T, Fault>,
    ) -> Result<T, FailureMode> {
        let Some(leave) = stage.breaker.ask(|| (self.clock)()) else {
            let line = stage.line("breaker-open", Duration::ZERO);
            self.tell(stage, &line, false);
            trace.push(line);
            return Err(stage.failure);
        };
        let start = (self.clock)();
        let answer = call(stage);
        let end = (self.clock)();
        let mut line = stage.line("fault", end.saturating_duration_since(start));
        let mut opened = false;
        let answer = match answer {
            Ok(verdict) => {
                stage.breaker.succeeded(leave);
                verdict.note(&mut line);
                Ok(verdict)
            }
            Err(fault) => {
                opened = stage.breaks(&fault) && stage.breaker.failed(leave, end);
                let mode = stage.mode_after(&fault);
                line.fault = Some(fault);
                Err(mode)
            }
        };
        self.tell(stage, &line, opened);
        trace.push(line);
        answer
    }

    fn tell(&self, stage: &Stage, line: &TraceLine, opened: bool) {
        if let Some(observer) = &self.observer {
            observer.asked(&Call {
                policy: &stage.name,
                version: &stage.version,
                digest: stage.policy.digest(),
                hook: stage.hook,
                verdict: line.verdict,
                elapsed: line.elapsed,
                fault: line.fault.as_ref(),
                breaker_opened: opened,
            });
        }
    }

    fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.guards.iter().chain(&self.routes).chain(&self.recoveries)
    }
}

impl Default for Pipeline {
    /// No policies.
    fn default() -> Self {
        Self {
            guards: Vec::new(),
            routes: Vec::new(),
            recoveries: Vec::new(),
            policies: Vec::new(),
            digest: digest(&[]),
            observer: None,
            clock: Arc::new(Instant::now),
        }
    }
}

fn applicable<'a>(stages: &'a [Stage], head: &'a Head) -> impl Iterator<Item = &'a Stage> {
    stages.iter().filter(move |stage| stage.applies(head))
}

/// Lengths stand before texts, so that no two lists of bindings read the same.
fn digest(bound: &[Bound]) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    for bound in bound {
        part(bound.policy.digest());
        match &bound.models {
            None => part("all"),
            Some(models) => {
                part(&models.len().to_string());
                models.iter().for_each(|model| part(model));
            }
        }
    }
    hex::encode(hash.finalize())
}

/// The refusal that a policy's failure makes: it names the policy and nothing else.
fn policy_failed(policy: &str) -> Deny {
    Deny {
        status: 503,
        code: "policy_failed".into(),
        message: format!("The policy `{policy}` could not decide about this request. Try again later."),
        retry_after_ms: Some(1_000),
    }
}
