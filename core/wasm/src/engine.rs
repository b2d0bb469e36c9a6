//! One wasmtime engine for the life of the process: its pool of instance slots, its ticker, its linkers.

use crate::cache::Cache;
use crate::imports::Linkers;
use crate::load;
use crate::telemetry::{Sink, Tracing};
use crate::ticker::Ticker;
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};
use weir_policy::{Capability, Limits, LoadError, Policy};

/// Host stack that guest code may use. Workers have 2 MiB; host functions run above the guest's part.
const WASM_STACK_BYTES: usize = 256 << 10;
/// What a slot keeps mapped between instances: below it, re-use is a `memset`; above it, a system call.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;
/// A component of ours is a module, wit-component's shim and its fixups.
const CORE_INSTANCES: u32 = 4;
const TABLES: u32 = 4;
const TABLE_ELEMENTS: usize = 10_000;

/// What an [`Engine`] is made of.
#[derive(Clone)]
pub struct Options {
    /// Where compiled code is kept; not kept if absent.
    pub cache_dir: Option<PathBuf>,
    /// Signs compiled code: whoever knows it can run native code in this process.
    pub mac_key: [u8; 32],
    /// Instance slots, for all policies together.
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
    pub(crate) wasm: wasmtime::Engine,
    pub(crate) ticker: Ticker,
    pub(crate) cache: Option<Cache>,
    pub(crate) linkers: Linkers,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) kept_per_policy: usize,
}

impl Engine {
    /// An engine with its ticker thread; what components log goes to `tracing`.
    ///
    /// # Errors
    /// If the address space for the slots cannot be reserved or the thread cannot start.
    pub fn new(options: Options) -> Result<Self, EngineError> {
        Self::with_sink(options, Arc::new(Tracing))
    }

    /// An engine whose components log and count into `sink`.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn with_sink(options: Options, sink: Arc<dyn Sink>) -> Result<Self, EngineError> {
        let error = |e: &dyn std::fmt::Display| EngineError(e.to_string());
        let wasm =
            wasmtime::Engine::new(&config(options.max_instances)).map_err(|e| error(&format!("{e:#}")))?;
        let ticker = Ticker::start(&wasm).map_err(|e| error(&e))?;
        let cache = options.cache_dir.map(|dir| Cache::new(dir, options.mac_key, &wasm));
        let linkers = Linkers::new(&wasm);
        let kept_per_policy = (options.max_instances as usize / 8).clamp(1, 64);
        Ok(Self(Arc::new(Inner { wasm, ticker, cache, linkers, sink, kept_per_policy })))
    }

    /// Loads a component: manifest, config, imports against `grants`, compile (or cache), self-test. `file` names the
    /// component in errors. Takes milliseconds to seconds: not for a request's path.
    ///
    /// # Errors
    /// [`LoadError`] says what is wrong and how to mend it.
    pub fn compile(
        &self,
        file: &str,
        component: &[u8],
        config: &serde_json::Value,
        grants: &[Capability],
    ) -> Result<Arc<dyn Policy>, LoadError> {
        let policy = load::policy(&self.0, file, component, config, grants)?;
        Ok(Arc::new(policy))
    }
}

fn config(max_instances: u32) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
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
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(TABLE_ELEMENTS * size_of::<usize>())
        .max_unused_warm_slots(max_instances.min(100));
    pool
}
