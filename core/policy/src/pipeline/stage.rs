//! One policy at one hook: whom it concerns, and a call with its answer checked.

use super::breaker::{Breaker, BreakerSettings};
use super::outcome::{Guarding, Recovering, Routing, TraceLine, code_label};
use super::{Bound, PolicyId, Refused, policy_failed};
use crate::answer::{self, Rules};
use crate::head::Head;
use crate::manifest::{FailureMode, Hook, Manifest, Reads, Surface, covers};
use crate::policy::{Fault, FaultKind, LoadError, Policy};
use crate::request::{RequestView, TaintScope};
use crate::target::Candidates;
use crate::verdict::{AttemptError, Decision, Deny, Guarded, Recovery};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) struct Stage {
    pub(super) id: PolicyId,
    pub(super) policy: Arc<dyn Policy>,
    pub(super) name: Arc<str>,
    pub(super) version: Arc<str>,
    pub(super) hook: Hook,
    pub(super) failure: FailureMode,
    pub(super) breaker: Arc<Breaker>,
    models: Option<Vec<String>>,
}

impl Stage {
    pub(super) fn new(
        id: PolicyId,
        bound: &Bound,
        hook: Hook,
        breaker: BreakerSettings,
        now: Instant,
    ) -> Self {
        let manifest = bound.policy.manifest();
        Self {
            id,
            policy: Arc::clone(&bound.policy),
            name: manifest.name.as_str().into(),
            version: manifest.version.as_str().into(),
            hook,
            failure: manifest.failure_mode(hook),
            breaker: Arc::new(Breaker::new(breaker, now)),
            models: bound.models.clone(),
        }
    }

    pub(super) fn bound_to(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|names| names.iter().any(|name| covers(name, model)))
    }

    pub(super) fn applies(&self, head: &Head) -> bool {
        let when = self.policy.manifest().when.as_ref();
        self.bound_to(&head.requested_model) && when.is_none_or(|when| when.holds(head))
    }

    pub(super) fn reads(&self) -> Reads {
        self.policy.manifest().reads
    }

    pub(super) fn same_version(&self, other: &Self) -> bool {
        self.hook == other.hook && self.policy.digest() == other.policy.digest()
    }

    pub(super) fn share_breaker(&mut self, other: &Self) {
        self.breaker = Arc::clone(&other.breaker);
    }

    /// Want of a slot is load, not a fault of the policy.
    pub(super) fn breaks(&self, fault: &Fault) -> bool {
        fault.kind != FaultKind::NoSlot
    }

    /// Load must not open a way past a guard, whatever its author allows for its own faults.
    pub(super) fn mode_after(&self, fault: &Fault) -> FailureMode {
        match self.hook {
            Hook::Guard if fault.kind == FaultKind::NoSlot => FailureMode::Closed,
            _ => self.failure,
        }
    }

    pub(super) fn guard(&self, view: &Arc<RequestView>) -> Result<Guarding, Fault> {
        let asked = self.view_for(view);
        let scope = TaintScope::new(&asked);
        let verdict = self.policy.guard(&asked)?;
        let rules = self.rules(scope, &asked)?;
        let verdict = answer::guarded(verdict, &asked, rules)?;
        let refusal = match &verdict.outcome {
            Guarded::Block(deny) => Some(deny),
            _ => None,
        };
        let code = code_label(refusal, rules.declares, rules.tainted);
        let after = match &verdict.outcome {
            Guarded::Edit(edits) => answer::apply(edits, view)?,
            _ => None,
        };
        view.note_tags(&verdict.tags);
        Ok(Guarding { verdict, after, code })
    }

    pub(super) fn route(
        &self,
        view: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
    ) -> Result<Routing, Fault> {
        let asked = self.view_for(view);
        let scope = TaintScope::new(&asked);
        let decision = self.policy.route(&asked, candidates)?;
        let rules = self.rules(scope, &asked)?;
        let decision = answer::decision(decision, candidates, rules)?;
        let refusal = match &decision {
            Decision::Deny(deny) => Some(deny),
            _ => None,
        };
        Ok(Routing { code: code_label(refusal, rules.declares, rules.tainted), decision })
    }

    pub(super) fn on_error(
        &self,
        view: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        errors: &Arc<[AttemptError]>,
    ) -> Result<Recovering, Fault> {
        let asked = self.view_for(view);
        let scope = TaintScope::new(&asked);
        let recovery = self.policy.on_error(&asked, candidates, errors)?;
        let rules = self.rules(scope, &asked)?;
        let recovery = answer::recovery(recovery, candidates)?;
        let refusal = match &recovery {
            Recovery::Fail(deny) => Some(deny),
            _ => None,
        };
        Ok(Recovering { code: code_label(refusal, rules.declares, rules.tainted), recovery })
    }

    pub(super) fn refused(&self, deny: Deny) -> Refused {
        Refused { policy: Arc::clone(&self.name), deny, failed: false }
    }

    pub(super) fn failed(&self) -> Refused {
        Refused { policy: Arc::clone(&self.name), deny: policy_failed(&self.name), failed: true }
    }

    pub(super) fn line(&self, verdict: &'static str, elapsed: Duration) -> TraceLine {
        TraceLine {
            policy: Arc::clone(&self.name),
            version: Arc::clone(&self.version),
            hook: self.hook,
            verdict,
            reason: None,
            findings: Vec::new(),
            elapsed,
            fault: None,
        }
    }

    /// A policy whose instances serve several organisations never learns who asks.
    fn view_for(&self, view: &Arc<RequestView>) -> Arc<RequestView> {
        if self.policy.manifest().shared { Arc::new(view.anonymous()) } else { Arc::clone(view) }
    }

    fn rules(&self, scope: TaintScope, view: &RequestView) -> Result<Rules<'_>, Fault> {
        let manifest = self.policy.manifest();
        if manifest.reads == Reads::Head && scope.read_content(view) {
            return Err(Fault::new(
                FaultKind::BadAnswer,
                "content was read but the manifest says `reads: head`",
            ));
        }
        Ok(Rules { limits: &manifest.limits, declares: &manifest.declares, tainted: scope.tainted(view) })
    }
}

/// `stream: true` that walks past a guard is the commonest hole in this field.
pub(super) fn check_surfaces(manifest: &Manifest) -> Result<(), LoadError> {
    if !manifest.has(Hook::Guard) {
        return Ok(());
    }
    let left_out = |surface: Surface| {
        !manifest.surfaces.contains(&surface) || manifest.when.as_ref().is_some_and(|w| w.leaves_out(surface))
    };
    match Surface::ALL.iter().find(|surface| left_out(**surface)) {
        None => Ok(()),
        Some(surface) => Err(LoadError::new(
            &manifest.name,
            format!("the guard does not cover `{}`: such requests would walk past it", surface.as_str()),
        )
        .hint("widen `surfaces` and `when`")),
    }
}
