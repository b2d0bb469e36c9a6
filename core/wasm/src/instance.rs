//! A store with an instantiated component and its hooks.
//!
//! `configure` runs in each fresh instance whose policy has a config; a snapshot of the configured state (wizer) will
//! spare that later.

use crate::state::{Budget, Call, Constants, State, View};
use crate::wit::exports::weir::policy::{hook_guard, hook_on_error, hook_route, lifecycle};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::{InstancePre, Resource};
use weir_policy::{Hook, TargetTable};

/// A component, linked: from here an instance is one call away.
pub(crate) struct Template {
    pre: InstancePre<State>,
    lifecycle: lifecycle::GuestIndices,
    guard: Option<hook_guard::GuestIndices>,
    route: Option<hook_route::GuestIndices>,
    on_error: Option<hook_on_error::GuestIndices>,
}

impl Template {
    /// Finds `lifecycle` and the hooks of the manifest; the error is wasmtime's and names what is missing.
    pub(crate) fn new(pre: InstancePre<State>, hooks: &[Hook]) -> wasmtime::Result<Self> {
        let has = |hook| hooks.contains(&hook);
        Ok(Self {
            lifecycle: lifecycle::GuestIndices::new(&pre)?,
            guard: has(Hook::Guard).then(|| hook_guard::GuestIndices::new(&pre)).transpose()?,
            route: has(Hook::Route).then(|| hook_route::GuestIndices::new(&pre)).transpose()?,
            on_error: has(Hook::OnError).then(|| hook_on_error::GuestIndices::new(&pre)).transpose()?,
            pre,
        })
    }
}

/// A live instance.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    instance: wasmtime::component::Instance,
    guard: Option<hook_guard::Guest>,
    route: Option<hook_route::Guest>,
    on_error: Option<hook_on_error::Guest>,
    /// Calls answered.
    pub(crate) calls: u32,
    /// Linear memory right after the start.
    pub(crate) memory_at_start: usize,
    /// Whose requests it has seen.
    pub(crate) organisation: Option<Arc<str>>,
    /// The table that it may have kept.
    pub(crate) table: Option<TargetTable>,
}

/// A failed start, with the store's state for the fault's place.
pub(crate) struct StartError {
    pub(crate) error: wasmtime::Error,
    pub(crate) panicked_at: Option<String>,
}

impl Instance {
    /// Instantiates and configures within the budget of one call, which the hook's own call then renews.
    pub(crate) fn start(template: &Template, constants: &Arc<Constants>) -> Result<Self, StartError> {
        let mut store = Store::new(template.pre.engine(), State::new(Arc::clone(constants)));
        store.limiter(|state| &mut state.memory);
        store.epoch_deadline_callback(|mut context| context.data_mut().budget.tick());
        store.set_epoch_deadline(1);
        store
            .set_hostcall_fuel(usize::try_from(constants.manifest.limits.output_bytes).unwrap_or(usize::MAX));
        match template.pre.instantiate(&mut store) {
            Ok(instance) => Self::configured(store, instance, template, constants),
            Err(error) => Err(StartError { error, panicked_at: store.data_mut().call.panicked_at.take() }),
        }
    }

    fn configured(
        store: Store<State>,
        instance: wasmtime::component::Instance,
        template: &Template,
        constants: &Constants,
    ) -> Result<Self, StartError> {
        let mut this = Self {
            memory_at_start: store.data().memory.current,
            store,
            instance,
            guard: None,
            route: None,
            on_error: None,
            calls: 0,
            organisation: None,
            table: None,
        };
        let Some(config) = &constants.config else { return Ok(this) };
        match this.configure(template, config) {
            Ok(()) => Ok(this),
            Err(error) => {
                Err(StartError { error, panicked_at: this.store.data_mut().call.panicked_at.take() })
            }
        }
    }

    fn configure(&mut self, template: &Template, config: &str) -> wasmtime::Result<()> {
        let lifecycle = template.lifecycle.load(&mut self.store, &self.instance)?;
        lifecycle.call_configure(&mut self.store, config)?.map_err(|said| Refused(said).into())
    }

    /// Asks the candidate whether it may go live.
    pub(crate) fn self_test(&mut self, template: &Template) -> wasmtime::Result<()> {
        let lifecycle = template.lifecycle.load(&mut self.store, &self.instance)?;
        lifecycle.call_self_test(&mut self.store)?.map_err(|said| Refused(said).into())
    }

    /// Sets the views of the next call and its budgets.
    pub(crate) fn arm(&mut self, call: Call) {
        let state = self.store.data_mut();
        let limits = &state.constants.manifest.limits;
        state.budget = Budget::new(Duration::from_micros(limits.cpu_us), limits.host_calls);
        state.call = call;
        self.store.set_epoch_deadline(1);
        self.calls += 1;
    }

    pub(crate) fn guard(
        &mut self,
        template: &Template,
    ) -> wasmtime::Result<crate::wit::weir::policy::types::Verdict> {
        if self.guard.is_none() {
            self.guard = Some(indices(template.guard.as_ref())?.load(&mut self.store, &self.instance)?);
        }
        let hook = indices(self.guard.as_ref())?;
        hook.call_guard(&mut self.store, Resource::<View>::new_borrow(0))
    }

    pub(crate) fn route(
        &mut self,
        template: &Template,
        head: &crate::wit::weir::policy::types::Head,
    ) -> wasmtime::Result<hook_route::Decision> {
        if self.route.is_none() {
            self.route = Some(indices(template.route.as_ref())?.load(&mut self.store, &self.instance)?);
        }
        let hook = indices(self.route.as_ref())?;
        hook.call_route(&mut self.store, head, Resource::<View>::new_borrow(0))
    }

    pub(crate) fn on_error(
        &mut self,
        template: &Template,
        head: &crate::wit::weir::policy::types::Head,
        errors: &[crate::wit::weir::policy::types::AttemptError],
    ) -> wasmtime::Result<hook_on_error::Recovery> {
        if self.on_error.is_none() {
            self.on_error = Some(indices(template.on_error.as_ref())?.load(&mut self.store, &self.instance)?);
        }
        let hook = indices(self.on_error.as_ref())?;
        hook.call_on_error(&mut self.store, head, errors)
    }
}

/// The component said no to its config or in its self-test; the text is the author's, for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

/// A hook that the manifest does not name.
#[derive(Debug, thiserror::Error)]
#[error("the policy has no such hook")]
pub(crate) struct NoHook;

fn indices<T>(hook: Option<&T>) -> Result<&T, NoHook> {
    hook.ok_or(NoHook)
}
