//! What one call may use up: CPU time, host calls, memory.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasmtime::{ResourceLimiter, UpdateDeadline};
use weir_policy::Limits;

use crate::ticker::TICK;

/// CPU time of `configure` and `self-test`, at load: nobody waits for them.
const LOAD_CPU: Duration = Duration::from_secs(2);
/// How much later than it means to a tick comes on a machine that is not starved.
const LATE: Duration = Duration::from_micros(250);
/// What the host may take to make room for an instance.
const START: Duration = Duration::from_millis(1);
/// After how long a look at a thread's CPU clock says too little.
const STALE: Duration = Duration::from_micros(500);

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
        /// The most that the thread's CPU clock can have shown at the beginning of the call.
        since: Duration,
        looks: Looks,
    },
    /// Whoever polls the call (`meter`): it gives way at each tick and may go on elsewhere.
    Poller(Arc<Excused>),
}

impl Clock {
    fn own(cpu: Duration, look: Duration, now: Instant) -> Self {
        Self::Own { cpu, since: thread_cpu_at_most(now), looks: Looks::new(look) }
    }
}

/// What looks at a running call's clock have found that it burnt. What interrupts, page faults and a hypervisor take of a
/// thread's core counts as the thread's own time. So the largest leap of a call's clock counts for no more than the call can
/// have run unseen, and neither the first look nor one that finds a leap cuts the call: the next one may.
pub(crate) struct Looks {
    /// For how long it can have run before the first.
    unseen: Duration,
    last: Option<Duration>,
    /// What is not counted of the largest leap.
    spared: Duration,
    burnt: Duration,
}

impl Looks {
    pub(crate) const fn new(unseen: Duration) -> Self {
        Self { unseen, last: None, spared: Duration::ZERO, burnt: Duration::ZERO }
    }

    /// A look at the clock, which shows what the call has burnt since it began: whether that is more than `cpu`.
    pub(crate) fn cut(&mut self, shown: Duration, cpu: Duration) -> bool {
        let (before, last) = (self.burnt, self.last.replace(shown));
        let gained = shown.saturating_sub(last.unwrap_or_default());
        let leapt = gained.saturating_sub(LATE + if last.is_none() { self.unseen } else { TICK });
        self.spared = self.spared.max(leapt);
        self.burnt = shown.saturating_sub(self.spared);
        cpu <= if last.is_none() || !leapt.is_zero() { before } else { self.burnt }
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
    pub(crate) fn of(limits: &Limits, look: Duration, now: Instant) -> Self {
        let clock = Clock::own(Duration::from_micros(limits.cpu_us), look, now);
        Self { host_calls: limits.host_calls, clock }
    }

    /// Of an instance that starts: its own start function runs within the time of a call, after the host has made room.
    pub(crate) fn of_a_start(limits: &Limits, look: Duration) -> Self {
        let mut budget = Self::of(limits, look, Instant::now());
        if let Clock::Own { since, .. } = &mut budget.clock {
            *since += START;
        }
        budget
    }

    /// Of a call that waits.
    pub(crate) const fn polled(limits: &Limits, excused: Arc<Excused>) -> Self {
        Self { host_calls: limits.host_calls, clock: Clock::Poller(excused) }
    }

    /// Of the calls at load.
    pub(crate) fn at_load(look: Duration) -> Self {
        Self { host_calls: Limits::MAX.host_calls, clock: Clock::own(LOAD_CPU, look, Instant::now()) }
    }

    /// At every tick of the epoch: goes on while the call has burnt less than `cpu`, as far as can be told.
    pub(crate) fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let Clock::Own { cpu, since, looks } = &mut self.clock else { return Ok(UpdateDeadline::Yield(1)) };
        let now = thread_cpu();
        let shown = now.saturating_sub(*since);
        if looks.cut(shown, *cpu) { Err(OverCpu.into()) } else { Ok(UpdateDeadline::Continue(1)) }
    }

    /// Every host function begins with this.
    pub(crate) fn host_call(&mut self) -> wasmtime::Result<()> {
        self.host_calls = self.host_calls.checked_sub(1).ok_or(OverHostCalls)?;
        Ok(())
    }

    /// Does host work whose time is not the guest's: it grows with the body, not with the guest's code.
    pub(crate) fn excuse<R>(&mut self, work: impl FnOnce() -> R) -> R {
        match &mut self.clock {
            Clock::Own { since, .. } => {
                let before = Instant::now();
                let done = work();
                *since += before.elapsed();
                done
            }
            Clock::Poller(excused) => {
                let before = thread_cpu();
                let done = work();
                let spent = thread_cpu().saturating_sub(before);
                let spent = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
                excused.0.fetch_add(spent, Ordering::Relaxed);
                done
            }
        }
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

/// The most that this thread's CPU clock can show now: what it showed a moment ago, and all the time since. Each call of a
/// policy begins with this, and the clock itself is a system call that takes as long as some calls. What it is too much
/// by, a call may burn beyond its budget; no call is cut for what others did.
fn thread_cpu_at_most(now: Instant) -> Duration {
    thread_local! {
        static SHOWN: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
    }
    if let Some((when, shown)) = SHOWN.get() {
        let since = now.saturating_duration_since(when);
        if since < STALE {
            return shown + since;
        }
    }
    let shown = thread_cpu();
    SHOWN.set(Some((now, shown)));
    shown
}

/// CPU time of this thread so far.
pub(crate) fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_millis(1);

    fn burn(cpu: Duration) {
        let start = thread_cpu();
        while thread_cpu().saturating_sub(start) < cpu {}
    }

    /// Whether a call that burns on is cut, in reasonable time.
    fn is_cut(budget: &mut Budget) -> bool {
        (0..20).any(|_| {
            burn(TICK);
            budget.tick().is_err()
        })
    }

    #[test]
    fn a_call_is_cut_for_what_it_burnt_itself() {
        let limits = Limits { cpu_us: 2_000, ..Limits::default() };
        let mut budget = Budget::of(&limits, LOOK, Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        assert!(budget.tick().is_ok(), "it was others that ran");
        burn(LOOK + LATE + STALE);
        assert!(budget.tick().is_ok(), "it may have been an interrupt");
        assert!(is_cut(&mut budget));
        let mut budget = Budget::of(&limits, LOOK, Instant::now());
        budget.excuse(|| burn(Duration::from_millis(4)));
        assert!(budget.tick().is_ok(), "it was the host that ran");
        let mut budget = Budget::of_a_start(&limits, LOOK);
        burn(START);
        assert!(
            budget.tick().is_ok() && budget.tick().is_ok(),
            "it was the host that made room for the instance"
        );
        assert!(is_cut(&mut budget));
    }

    /// What a call has burnt at each look, and at which it is cut.
    fn cut_at(cpu: Duration, shown: impl IntoIterator<Item = Duration>) -> Option<usize> {
        let mut looks = Looks::new(LOOK);
        shown.into_iter().position(|shown| looks.cut(shown, cpu))
    }

    #[test]
    fn a_call_that_runs_on_is_cut_at_the_first_look_beyond_its_budget() {
        let ms = Duration::from_millis;
        let steady = |first: Duration| (0..100).map(move |look| first + TICK * look);
        assert_eq!(cut_at(ms(2), steady(LOOK)), Some(4), "2 ms");
        assert_eq!(cut_at(ms(2), steady(TICK)), Some(7), "2 ms");
        assert_eq!(cut_at(ms(1), steady(LOOK)), Some(1), "1 ms, and a tick");
        assert_eq!(cut_at(ms(20), steady(LOOK)), Some(76), "20 ms");
    }

    #[test]
    fn a_leap_of_the_clock_counts_for_what_can_have_gone_unseen() {
        let ms = Duration::from_millis;
        let leap = [ms(50), ms(50) + TICK, ms(50) + TICK * 2];
        assert_eq!(cut_at(ms(2), leap), None, "it may have run for 1.75 ms");
        let twice = [ms(50), ms(90), ms(90) + TICK];
        assert_eq!(cut_at(ms(2), twice), Some(2));
        assert_eq!(cut_at(Duration::from_micros(100), leap), Some(1), "the next look cuts");
        let starved = (1..100).map(|look| ms(50) * look);
        assert_eq!(cut_at(ms(2), starved), Some(2), "a ticker that is always late cuts as well");
        let slow = (1..100).map(|look| ms(6) * look);
        assert_eq!(cut_at(ms(20), slow), Some(5), "one leap is spared, not each");
    }

    #[test]
    fn the_clock_never_shows_more_than_it_is_said_to() {
        for pause in (0..200).map(Duration::from_micros) {
            std::thread::sleep(pause * 5);
            burn(pause);
            // The two clocks may run a little apart.
            let (shown, most) =
                (thread_cpu(), thread_cpu_at_most(Instant::now()) + Duration::from_micros(20));
            assert!(shown <= most, "{shown:?} is more than {most:?}");
        }
    }
}
