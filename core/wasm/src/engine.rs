//! Two wasmtime engines for the life of the process, each with its pool of instance slots and its linkers: one is metered
//! by the clock, for all hooks; one by fuel, for pricers. Both meters on one engine would cost the hooks 63 % on a hot
//! loop.

use crate::cache::Cache;
use crate::component::Component;
use crate::imports::Linkers;
use crate::kept::AllKept;
use crate::load;
use crate::ticker::Ticker;
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};
use weir_policy::{Grants, Limits, LoadError, Policy};

/// Host stack that guest code may use. Workers have 2 MiB; host functions run above the guest's part.
const WASM_STACK_BYTES: usize = 256 << 10;
/// Stack of a call that waits: the guest's part, and the host functions above it.
const ASYNC_STACK_BYTES: usize = 1 << 20;
/// What a slot keeps mapped between instances: below it, re-use is a `memset`; above it, a system call.
///
/// Wasmtime's `pagemap_scan` would reset only what an instance wrote: it is a quarter quicker, and a slot keeps twelve KiB
/// instead of all of it. But a page that was written and swapped out (or is just being moved) is not present to the scan, so
/// it is passed over and comes back in the next instance, which may be another organisation's.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;
/// A component of ours is a module, wit-component's shim and its fixups; one that is being snapshotted has one more.
const CORE_INSTANCES: u32 = 5;
const TABLES: u32 = 4;
/// Slots of those that price: they are called one at a time by each worker thread.
const PRICERS: u32 = 128;
const TABLE_ELEMENTS: usize = 10_000;

/// What an [`Engine`] is made of.
#[derive(Clone)]
pub struct Options {
    /// Where compiled code is kept; not kept if absent.
    pub cache_dir: Option<PathBuf>,
    /// Signs compiled code: whoever knows it can run native code in this process.
    pub mac_key: [u8; 32],
    /// Instance slots for all policies together: a stream keeps one for each policy that watches it, a call that waits
    /// one until it is answered, any other call one per worker thread. A slot that is not in use costs address space.
    pub max_instances: u32,
}

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the Wasm engine does not start: {0}")]
pub struct EngineError(String);

/// Compiles components into policies. Cheap to clone.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    /// For all hooks but `price`.
    pub(crate) timed: Realm,
    /// For `price`: fuel makes a call the same whenever and wherever it is made.
    pub(crate) fueled: Realm,
    pub(crate) ticker: Ticker,
    pub(crate) kept: AllKept,
    pub(crate) kept_per_policy: usize,
}

/// A wasmtime engine and what belongs to it.
pub(crate) struct Realm {
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) linkers: Linkers,
    cache: Option<Cache>,
}

impl Engine {
    /// An engine with its ticker thread.
    ///
    /// # Errors
    /// If the address space for the slots cannot be reserved or the thread cannot start.
    pub fn new(options: Options) -> Result<Self, EngineError> {
        let timed = Realm::new(&options, options.max_instances, |config| config.epoch_interruption(true))?;
        let fueled =
            Realm::new(&options, options.max_instances.min(PRICERS), |config| config.consume_fuel(true))?;
        let ticker = Ticker::start(&timed.wasm).map_err(|e| EngineError(e.to_string()))?;
        let kept_per_policy = (options.max_instances as usize / 8).clamp(1, 64);
        Ok(Self(Arc::new(Inner { timed, fueled, ticker, kept: AllKept::default(), kept_per_policy })))
    }

    /// Loads a component: manifest, config, imports against `grants`, compile (or cache), configure and snapshot,
    /// self-test. `file` names the component in errors. Takes milliseconds to seconds: not for a request's path.
    ///
    /// # Errors
    /// [`LoadError`] says what is wrong and how to mend it.
    pub fn compile(
        &self,
        file: &str,
        component: &[u8],
        config: &serde_json::Value,
        grants: &Grants,
    ) -> Result<Arc<dyn Policy>, LoadError> {
        let loaded = load::policy(&self.0, file, component, config, grants)?;
        Ok(Arc::new(Component(Arc::new(loaded))))
    }
}

impl Realm {
    fn new(
        options: &Options,
        slots: u32,
        meter: fn(&mut Config) -> &mut Config,
    ) -> Result<Self, EngineError> {
        let mut config = config(slots);
        meter(&mut config);
        let wasm = wasmtime::Engine::new(&config).map_err(|e| EngineError(format!("{e:#}")))?;
        let cache = options.cache_dir.clone().map(|dir| Cache::new(dir, options.mac_key, &wasm));
        Ok(Self { linkers: Linkers::new(&wasm), wasm, cache })
    }

    /// The code of a component, from disk or compiled now.
    pub(crate) fn code(&self, component: &[u8]) -> wasmtime::Result<wasmtime::component::Component> {
        match &self.cache {
            Some(cache) => cache.load(&self.wasm, component),
            None => wasmtime::component::Component::new(&self.wasm, component),
        }
    }
}

fn config(max_instances: u32) -> Config {
    let mut config = Config::new();
    config
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(max_instances)));
    config
}

fn pool(max_instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(max_instances)
        .total_core_instances(max_instances.saturating_mul(CORE_INSTANCES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .total_memories(max_instances)
        .max_memories_per_component(1)
        .max_memory_size(usize::try_from(Limits::MAX.memory_bytes).unwrap_or(usize::MAX))
        .total_tables(max_instances.saturating_mul(TABLES))
        .max_tables_per_component(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .total_stacks(max_instances)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_ELEMENTS * size_of::<usize>())
        .max_unused_warm_slots(max_instances.min(100));
    pool
}
