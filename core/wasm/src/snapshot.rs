//! The state that `configure` leaves in a component, made its initial state (wasmtime-wizer): a fresh instance starts
//! configured, and costs what an instance costs.

use crate::instance::Instance;
use crate::meter::now;
use crate::state::State;
use std::panic::AssertUnwindSafe;
use wasmtime::Store;
use wasmtime::component::Lift;
use wasmtime_wizer::{ComponentContext, ComponentInstanceState, Wizer};

/// A component with functions through which its state can be read.
pub(crate) struct Instrumented<'a> {
    wizer: Wizer,
    context: ComponentContext<'a>,
    pub(crate) component: Vec<u8>,
}

/// Most that the reading functions grow a memory by.
const SCRATCH_BYTES: usize = 64 << 10;

impl<'a> Instrumented<'a> {
    /// Adds the functions. An error says what of the component is not supported: tables that change, nested modules.
    pub(crate) fn new(bytes: &'a [u8]) -> wasmtime::Result<Self> {
        let wizer = Wizer::new();
        let (context, component) = guarded(|| wizer.instrument_component(bytes))?;
        Ok(Self { wizer, context, component })
    }

    /// The component as it was, with the state of this instance.
    pub(crate) fn take(self, mut instance: Instance) -> wasmtime::Result<Vec<u8>> {
        let state = instance.store.data_mut();
        state.memory.allow(SCRATCH_BYTES);
        let memory = state.memory.current.saturating_add(SCRATCH_BYTES);
        instance.store.set_hostcall_fuel(memory.saturating_mul(2));
        let mut reader = Reader { instance, failed: None };
        let taken = guarded(|| {
            let taken = self.wizer.snapshot_component(&self.context, &mut reader);
            now(taken).unwrap_or_else(|| Err(wasmtime::Error::msg("reading the state waits")))
        });
        match reader.failed {
            Some(error) => Err(error),
            None => taken,
        }
    }
}

/// wizer has `todo!`s for what few components have (a vector in a global, say). A component is outside data, so a panic
/// on it is an error of the load, not of the gateway.
fn guarded<T>(work: impl FnOnce() -> wasmtime::Result<T>) -> wasmtime::Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(wasmtime::Error::msg("it has something that cannot be snapshotted")))
}

/// Reads an instance. wizer takes no errors from its reader, so the first is kept here and the result thrown away.
struct Reader {
    instance: Instance,
    failed: Option<wasmtime::Error>,
}

impl Reader {
    fn read<R: Lift + 'static>(&mut self, interface: &str, name: &str) -> Option<R> {
        match read(&mut self.instance.store, &self.instance.instance, interface, name) {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed.get_or_insert(error);
                None
            }
        }
    }
}

fn read<R: Lift + 'static>(
    store: &mut Store<State>,
    instance: &wasmtime::component::Instance,
    interface: &str,
    name: &str,
) -> wasmtime::Result<R> {
    let missing = || wasmtime::Error::msg(format!("no `{name}` in `{interface}`"));
    let (_, outer) = instance.get_export(&mut *store, None, interface).ok_or_else(missing)?;
    let (_, index) = instance.get_export(&mut *store, Some(&outer), name).ok_or_else(missing)?;
    let function = instance.get_typed_func::<(), (R,)>(&mut *store, index)?;
    let (value,) = function.call(store, ())?;
    Ok(value)
}

impl ComponentInstanceState for Reader {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        contents(&self.read::<Vec<u8>>(instance, func).unwrap_or_default());
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.read(instance, func).unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.read(instance, func).unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.read::<f32>(instance, func).unwrap_or_default().to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.read::<f64>(instance, func).unwrap_or_default().to_bits()
    }
}
