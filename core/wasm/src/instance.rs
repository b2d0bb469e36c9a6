//! A store with an instantiated component, and the calls into it.

use crate::budget::{Budget, Excused};
use crate::exports::{Export, Exports};
use crate::state::{Call, Constants, State};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::{ComponentNamedList, InstancePre, Lift, Lower};
use wasmtime::{Engine, Store};
use weir_policy::{Limits, TargetTable};

/// A component, linked: from here an instance is one call away.
pub(crate) struct Template {
    pub(crate) pre: InstancePre<State>,
    /// What is linked waits: every call into an instance is asynchronous.
    pub(crate) waits: bool,
    /// Each instance must be configured: the state that `configure` leaves could not be snapshotted.
    pub(crate) configures: bool,
}

/// A live instance.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    pub(crate) instance: wasmtime::component::Instance,
    waits: bool,
    /// Metered by fuel rather than by the clock.
    fueled: bool,
    /// Calls answered.
    pub(crate) calls: u32,
    /// When the last one began; before the first, when the instance was made.
    pub(crate) used: Instant,
    /// Linear memory right after the start.
    pub(crate) memory_at_start: usize,
    /// Whose requests it has seen.
    pub(crate) organisation: Option<Arc<str>>,
    /// The table that it may have kept.
    pub(crate) table: Option<TargetTable>,
}

/// A failed start, with the place where the guest said that it panicked.
pub(crate) struct StartError {
    pub(crate) error: wasmtime::Error,
    pub(crate) panicked_at: Option<String>,
}

/// How much a call may burn where calls are metered by fuel.
#[derive(Clone, Copy)]
pub(crate) struct Fuel(pub(crate) u64);

impl Instance {
    /// Instantiates and, if need be, configures within the budget of one call, which the hook's own call then renews.
    pub(crate) async fn start(
        template: &Template,
        exports: &Exports,
        constants: &Arc<Constants>,
        fuel: Option<Fuel>,
    ) -> Result<Self, StartError> {
        let mut this = Self::bare(template, constants, fuel).await?;
        if !template.configures {
            return Ok(this);
        }
        match this.configure(exports).await {
            Ok(()) => Ok(this),
            Err(error) => Err(this.failed(error)),
        }
    }

    /// As [`Instance::start`] with the budgets of a load, not configured.
    pub(crate) async fn at_load(
        template: &Template,
        constants: &Arc<Constants>,
        fueled: bool,
    ) -> Result<Self, StartError> {
        let mut this =
            Self::bare(template, constants, fueled.then_some(Fuel(Limits::MAX.operations))).await?;
        this.store.data_mut().budget = Budget::at_load(constants.pace.look());
        Ok(this)
    }

    async fn bare(
        template: &Template,
        constants: &Arc<Constants>,
        fuel: Option<Fuel>,
    ) -> Result<Self, StartError> {
        let mut store = store(template.pre.engine(), constants, fuel);
        let started = match template.waits {
            true => template.pre.instantiate_async(&mut store).await,
            false => template.pre.instantiate(&mut store),
        };
        match started {
            Ok(instance) => Ok(Self {
                memory_at_start: store.data().memory.current,
                store,
                instance,
                waits: template.waits,
                fueled: fuel.is_some(),
                calls: 0,
                used: Instant::now(),
                organisation: None,
                table: None,
            }),
            Err(error) => Err(StartError { error, panicked_at: store.data_mut().call.panicked_at.take() }),
        }
    }

    /// An error of this instance, with the place of its panic.
    pub(crate) fn failed(&mut self, error: wasmtime::Error) -> StartError {
        StartError { error, panicked_at: self.store.data_mut().call.panicked_at.take() }
    }

    /// Hands it the operator's config.
    pub(crate) async fn configure(&mut self, exports: &Exports) -> wasmtime::Result<()> {
        let constants = Arc::clone(&self.store.data().constants);
        let (done,) = self.invoke(&exports.configure, (constants.config.as_str(),)).await?;
        done.map_err(|said| Refused(said).into())
    }

    /// Asks the candidate whether it may go live.
    pub(crate) async fn self_test(&mut self, exports: &Exports) -> wasmtime::Result<()> {
        let (done,) = self.invoke(&exports.self_test, ()).await?;
        done.map_err(|said| Refused(said).into())
    }

    /// Sets the views of the next call and its budgets; `excused` where whoever polls it watches the CPU time.
    pub(crate) fn arm(&mut self, call: Call, excused: Option<Arc<Excused>>) -> wasmtime::Result<()> {
        let now = Instant::now();
        let state = self.store.data_mut();
        state.call = call;
        let limits = state.constants.manifest.limits;
        state.budget = match excused {
            Some(excused) => Budget::polled(&limits, excused),
            None => Budget::of(&limits, state.constants.pace.look(), now),
        };
        self.calls += 1;
        self.used = now;
        if self.fueled {
            return self.store.set_fuel(limits.operations);
        }
        self.store.set_epoch_deadline(1);
        Ok(())
    }

    /// The next call of a stream: new budgets, the same views, and what it has read it has read.
    pub(crate) fn rearm(&mut self) -> wasmtime::Result<()> {
        let call = std::mem::take(&mut self.store.data_mut().call);
        let call = Call { now_ms: None, scanned: Vec::new(), counted: BTreeSet::new(), ..call };
        self.arm(call, None)
    }

    /// Calls a function of the component.
    pub(crate) async fn invoke<P, R>(&mut self, export: &Export<P, R>, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let function = export.of(&mut self.store, &self.instance)?;
        match self.waits {
            true => function.call_async(&mut self.store, params).await,
            false => function.call(&mut self.store, params),
        }
    }
}

fn store(engine: &Engine, constants: &Arc<Constants>, fuel: Option<Fuel>) -> Store<State> {
    let output = usize::try_from(constants.manifest.limits.output_bytes).unwrap_or(usize::MAX);
    let mut store = Store::new(engine, State::new(Arc::clone(constants)));
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(output);
    match fuel {
        // Fails only on an engine without fuel; the first call would then find none.
        Some(Fuel(units)) => drop(store.set_fuel(units)),
        None => {
            store.epoch_deadline_callback(|mut context| context.data_mut().budget.tick());
            store.set_epoch_deadline(1);
        }
    }
    store
}

/// The component said no to its config or in its self-test; the text is the author's, for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);
