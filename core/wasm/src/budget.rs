//! What one call may use up: CPU time, host calls, memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasmtime::{ResourceLimiter, UpdateDeadline};
use weir_policy::Limits;

/// CPU time of `configure` and `self-test`, at load: nobody waits for them.
const LOAD_CPU: Duration = Duration::from_secs(2);

/// CPU time and host calls of one call.
pub(crate) struct Budget {
    host_calls: u64,
    clock: Clock,
}

/// Who watches the CPU time.
enum Clock {
    /// The call itself, at each tick of the epoch: it stays on one thread.
    Own {
        cpu: Duration,
        /// When the call began. The thread's CPU clock is a system call; most calls end before their first tick and ask
        /// for neither.
        began: Instant,
        /// The thread's CPU clock at the beginning of the call, as guessed at its first tick.
        since: Option<Duration>,
    },
    /// Whoever polls the call (`meter`): it gives way at each tick and may go on elsewhere.
    Poller(Arc<Excused>),
}

impl Clock {
    fn own(cpu: Duration) -> Self {
        Self::Own { cpu, began: Instant::now(), since: None }
    }
}

/// CPU time within a call that waits which is not the guest's, in ns.
#[derive(Default)]
pub(crate) struct Excused(AtomicU64);

impl Excused {
    pub(crate) fn time(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
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
    /// Of a call that stays on its thread.
    pub(crate) fn of(limits: &Limits) -> Self {
        Self { host_calls: limits.host_calls, clock: Clock::own(Duration::from_micros(limits.cpu_us)) }
    }

    /// Of a call that waits.
    pub(crate) const fn polled(limits: &Limits, excused: Arc<Excused>) -> Self {
        Self { host_calls: limits.host_calls, clock: Clock::Poller(excused) }
    }

    /// Of the calls at load.
    pub(crate) fn at_load() -> Self {
        Self { host_calls: Limits::MAX.host_calls, clock: Clock::own(LOAD_CPU) }
    }

    /// At every tick of the epoch: goes on while the thread has burnt less than `cpu`. What it burnt before the first tick
    /// is taken for the time that passed, but for no more than [`guessed`]: a call that was preempted for all of that time
    /// still has the rest.
    pub(crate) fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let Clock::Own { cpu, began, since } = &mut self.clock else { return Ok(UpdateDeadline::Yield(1)) };
        let now = thread_cpu();
        let since = since.get_or_insert_with(|| now.saturating_sub(began.elapsed().min(guessed(*cpu))));
        if now.saturating_sub(*since) >= *cpu {
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
    /// tick only the time is taken, which is no system call.
    pub(crate) fn excuse<R>(&mut self, work: impl FnOnce() -> R) -> R {
        if let Clock::Own { began, since: None, .. } = &mut self.clock {
            let before = Instant::now();
            let done = work();
            *began += before.elapsed();
            return done;
        }
        let before = thread_cpu();
        let done = work();
        let spent = thread_cpu().saturating_sub(before);
        match &mut self.clock {
            Clock::Own { since, .. } => *since = since.map(|since| since + spent),
            Clock::Poller(excused) => {
                let spent = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
                excused.0.fetch_add(spent, Ordering::Relaxed);
            }
        }
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

impl Memory {
    pub(crate) fn of(limits: &Limits) -> Self {
        Self { limit: usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX), current: 0 }
    }

    /// Room for `bytes` more: what the host itself lets an instance do.
    pub(crate) const fn allow(&mut self, bytes: usize) {
        self.limit = self.limit.saturating_add(bytes);
    }
}

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

/// The most that a call with this budget is taken to have burnt before its first tick, which comes no later.
pub(crate) fn guessed(cpu: Duration) -> Duration {
    cpu * 3 / 4
}

/// CPU time of this thread so far.
pub(crate) fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burn(cpu: Duration) {
        let start = thread_cpu();
        while thread_cpu().saturating_sub(start) < cpu {}
    }

    #[test]
    fn what_was_burnt_before_the_first_tick_counts_up_to_a_part() {
        let cpu = Duration::from_millis(2);
        let limits = Limits { cpu_us: 2_000, ..Limits::default() };
        let mut budget = Budget::of(&limits);
        burn(cpu);
        assert!(budget.tick().is_ok(), "it could have been another thread's time");
        burn(cpu - guessed(cpu));
        assert!(budget.tick().is_err(), "the rest was its own");
    }
}
