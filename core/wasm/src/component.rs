//! The policy: fresh or kept instance, call, keep or drop.

use crate::engine::Inner;
use crate::instance::{Instance, StartError, Template};
use crate::kept::{Kept, Owner};
use crate::state::{Call, Constants};
use crate::{fault, lift, lower};
use std::sync::Arc;
use weir_policy::manifest::Isolation;
use weir_policy::{
    AttemptError, Candidates, Decision, Fault, GuardVerdict, Manifest, Policy, Recovery, RequestView,
    Retention,
};

/// A loaded component.
pub(crate) struct Component {
    pub(crate) engine: Arc<Inner>,
    pub(crate) constants: Arc<Constants>,
    pub(crate) template: Template,
    pub(crate) kept: Kept,
    pub(crate) digest: String,
}

impl Policy for Component {
    fn manifest(&self) -> &Manifest {
        &self.constants.manifest
    }

    fn digest(&self) -> &str {
        &self.digest
    }

    /// Always fresh: a guard is there to read content.
    fn guard(&self, request: &Arc<RequestView>) -> Result<GuardVerdict, Fault> {
        let _running = self.engine.ticker.enter();
        let mut instance = self.fresh()?;
        instance.arm(Call { view: Some(Arc::clone(request)), ..Call::default() });
        let answer = instance.guard(&self.template);
        answer.map(lift::verdict).map_err(|error| failed(&error, &mut instance))
    }

    fn route(&self, request: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Result<Decision, Fault> {
        let head = lower::head(request.head(), self.constants.manifest.shared);
        let answer = self.call(request, candidates, |instance| instance.route(&self.template, &head))?;
        Ok(lift::decision(answer))
    }

    fn on_error(
        &self,
        request: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        errors: &Arc<[AttemptError]>,
    ) -> Result<Recovery, Fault> {
        let head = lower::head(request.head(), self.constants.manifest.shared);
        let errors: Vec<_> = errors.iter().map(lower::attempt_error).collect();
        let answer =
            self.call(request, candidates, |instance| instance.on_error(&self.template, &head, &errors))?;
        Ok(lift::recovery(answer))
    }
}

impl Component {
    /// A call that may reuse an instance, and leaves it for the next if it read nothing.
    fn call<R>(
        &self,
        request: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        hook: impl FnOnce(&mut Instance) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        let _running = self.engine.ticker.enter();
        let owner = self.owner(request, candidates);
        let kept = owner.as_ref().and_then(|owner| self.kept.take(owner));
        let mut instance = kept.map_or_else(|| self.fresh(), Ok)?;
        let (view, candidates) = (Some(Arc::clone(request)), Some(Arc::clone(candidates)));
        instance.arm(Call { view, candidates, ..Call::default() });
        let answer = hook(&mut instance).map_err(|error| failed(&error, &mut instance))?;
        let last = std::mem::take(&mut instance.store.data_mut().call);
        if let Some(owner) = owner.filter(|_| !last.tainted) {
            self.kept.put(instance, owner);
        }
        Ok(answer)
    }

    /// Whose instance may serve this request; `None` if it must be a fresh one.
    fn owner(&self, request: &RequestView, candidates: &Candidates) -> Option<Owner> {
        let head = request.head();
        if self.constants.manifest.isolation == Isolation::Strict || head.retention == Retention::Zero {
            return None;
        }
        let organisation = (!self.constants.manifest.shared).then(|| Arc::clone(&head.tenant));
        Some(Owner { organisation, table: Arc::clone(&candidates.table) })
    }

    /// A new instance; if no slot is free, those that this policy keeps are given up first.
    fn fresh(&self) -> Result<Instance, Fault> {
        let started = match Instance::start(&self.template, &self.constants) {
            Err(StartError { error, .. }) if fault::is_no_slot(&error) => {
                self.kept.clear();
                Instance::start(&self.template, &self.constants)
            }
            started => started,
        };
        started.map_err(|StartError { error, panicked_at }| fault::of(&error, panicked_at))
    }
}

fn failed(error: &wasmtime::Error, instance: &mut Instance) -> Fault {
    fault::of(error, instance.store.data_mut().call.panicked_at.take())
}
