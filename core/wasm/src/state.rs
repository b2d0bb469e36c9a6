//! What a store holds: the policy's constants, the call's views, and the budgets.

use crate::telemetry::Sink;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{ResourceLimiter, UpdateDeadline};
use weir_policy::matcher::Matchers;
use weir_policy::{Candidates, Manifest, RequestView};

/// What the guest's handle of the request stands for. It carries nothing: a store serves one request at a time, and a
/// handle is a borrow for one call, so the state knows which request is meant.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct View;

/// What does not change while a policy is loaded, shared by its instances.
pub(crate) struct Constants {
    pub(crate) manifest: Manifest,
    pub(crate) matchers: Matchers,
    /// The operator's config as JSON text; `None` if it is empty.
    pub(crate) config: Option<String>,
    /// The component itself: the texts that a panic may name as its file.
    pub(crate) component: Vec<u8>,
    pub(crate) sink: Arc<dyn Sink>,
}

/// The data of a store.
pub(crate) struct State {
    pub(crate) constants: Arc<Constants>,
    pub(crate) call: Call,
    pub(crate) budget: Budget,
    pub(crate) memory: Memory,
}

/// One call's views and what it did. A new call starts from the default: nothing of the last one stays.
#[derive(Default)]
pub(crate) struct Call {
    pub(crate) view: Option<Arc<RequestView>>,
    pub(crate) candidates: Option<Arc<Candidates>>,
    /// Whether it read content, a header or an attribute.
    pub(crate) tainted: bool,
    pub(crate) panicked_at: Option<String>,
    pub(crate) now_ms: Option<u64>,
    /// Matchers scanned once already; see [`Budget::excuse`].
    pub(crate) scanned: Vec<String>,
}

impl State {
    pub(crate) fn new(constants: Arc<Constants>) -> Self {
        let limits = constants.manifest.limits;
        Self {
            constants,
            call: Call::default(),
            budget: Budget::new(Duration::from_micros(limits.cpu_us), limits.host_calls),
            memory: Memory { limit: bytes(limits.memory_bytes), current: 0 },
        }
    }
}

/// CPU time and host calls of one call.
pub(crate) struct Budget {
    cpu: Duration,
    host_calls: u64,
    /// The thread's CPU clock at the first tick of the call; a call that ends before its first tick never asks.
    since: Option<Duration>,
}

/// The call ran over its CPU time.
#[derive(Debug, thiserror::Error)]
#[error("more CPU time than cpu_us")]
pub(crate) struct OverCpu;

/// The call made too many host calls.
#[derive(Debug, thiserror::Error)]
#[error("more calls into the host than host_calls")]
pub(crate) struct OverHostCalls;

impl Budget {
    pub(crate) const fn new(cpu: Duration, host_calls: u64) -> Self {
        Self { cpu, host_calls, since: None }
    }

    /// At every tick of the epoch: goes on while the thread has burnt less than `cpu` since the first tick. So a call is
    /// cut after `cpu` and at most two ticks.
    pub(crate) fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let now = thread_cpu();
        let since = *self.since.get_or_insert(now);
        if now.saturating_sub(since) >= self.cpu {
            return Err(OverCpu.into());
        }
        Ok(UpdateDeadline::Continue(1))
    }

    /// Every host function begins with this.
    pub(crate) fn host_call(&mut self) -> wasmtime::Result<()> {
        self.host_calls = self.host_calls.checked_sub(1).ok_or(OverHostCalls)?;
        Ok(())
    }

    /// Does host work whose time is not the guest's: it grows with the body, not with the guest's code. Before the first
    /// tick there is nothing to correct, so the clock (a system call) is not asked.
    pub(crate) fn excuse<R>(&mut self, work: impl FnOnce() -> R) -> R {
        if self.since.is_none() {
            return work();
        }
        let before = thread_cpu();
        let done = work();
        self.since = self.since.map(|since| since + thread_cpu().saturating_sub(before));
        done
    }
}

/// Linear memory and tables of one instance.
pub(crate) struct Memory {
    limit: usize,
    /// Bytes of linear memory now.
    pub(crate) current: usize,
}

/// The instance wanted more memory or table than it may have.
#[derive(Debug, thiserror::Error)]
#[error("more memory than memory_bytes")]
pub(crate) struct OverMemory;

impl ResourceLimiter for Memory {
    /// An error rather than a refusal: a guest that cannot allocate would only trap with a less clear reason.
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.limit {
            return Err(OverMemory.into());
        }
        self.current = desired;
        Ok(true)
    }

    /// The pool's own bound refuses what is beyond it.
    fn table_growing(&mut self, _: usize, _: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let _ = maximum;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        Err(OverMemory.into())
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        Err(OverMemory.into())
    }
}

fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn bytes(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
