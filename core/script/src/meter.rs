//! Operations, host calls, CPU time and native memory of the call that runs on this thread.
//!
//! Rhai counts operations per call stack, and a native function that calls a closure works on a copy of the count: a
//! closure called a million times would never be stopped. So the count is kept here, once per thread; a policy call
//! is synchronous and never nested.

use crate::fault::raise;
use crate::waiting;
use rhai::{Dynamic, EvalAltResult};
use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::time::{Duration, Instant};
use weir_policy::{FaultKind, Limits};

/// How many operations pass between two looks at the clock (1 to 2 µs of plain code); a host call is one as well.
const STRIDE: u64 = 32;

thread_local! {
    static METER: Meter = const {
        Meter {
            used: Cell::new(0),
            most: Cell::new(0),
            half: Cell::new(Duration::ZERO),
            look_at: Cell::new(None),
            cpu_end: Cell::new(None),
            host_calls: Cell::new(0),
            memory: Cell::new(0),
            excess: Cell::new(None),
        }
    };
}

struct Meter {
    used: Cell<u64>,
    most: Cell<u64>,
    half: Cell<Duration>,
    look_at: Cell<Option<Instant>>,
    cpu_end: Cell<Option<Duration>>,
    host_calls: Cell<u64>,
    memory: Cell<u64>,
    excess: Cell<Option<Excess>>,
}

/// Which bound a call ran over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    /// `limits.operations`
    Operations,
    /// `limits.cpu_us`
    Cpu,
    /// `limits.host_calls`
    HostCalls,
    /// `limits.memory_bytes`
    Memory,
    /// `limits.wall_ms`
    Wall,
    /// Nobody waits for the answer any more.
    Abandoned,
}

impl Excess {
    pub(crate) const fn kind(self) -> FaultKind {
        match self {
            Self::Memory => FaultKind::Memory,
            _ => FaultKind::Deadline,
        }
    }

    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Operations => "too many operations",
            Self::Cpu => "out of CPU time",
            Self::HostCalls => "too many calls into the host",
            Self::Memory => "too much is kept (limits.memory_bytes)",
            Self::Wall => "out of time (limits.wall_ms)",
            Self::Abandoned => "nobody waits for the answer any more",
        }
    }
}

/// Starts counting for a call on this thread.
pub(crate) fn start(limits: &Limits) {
    METER.with(|meter| {
        meter.used.set(0);
        meter.most.set(limits.operations);
        meter.half.set(Duration::from_micros(limits.cpu_us) / 2);
        meter.look_at.set(None);
        meter.cpu_end.set(None);
        meter.host_calls.set(limits.host_calls);
        meter.memory.set(limits.memory_bytes);
        meter.excess.set(None);
    });
}

/// How many calls into the host pass between two looks at the clock: each may take longer than many operations, but a
/// handful of scans is what a guard is for.
const CALLS: u64 = 4;

/// Counts a call from the script into the host.
pub(crate) fn host_call() -> Result<(), Box<EvalAltResult>> {
    let excess = METER.with(|meter| {
        match meter.host_calls.get().checked_sub(1) {
            Some(left) => {
                meter.host_calls.set(left);
                if left.is_multiple_of(CALLS) {
                    meter.look();
                }
            }
            None => meter.excess.set(Some(Excess::HostCalls)),
        }
        meter.excess.get()
    });
    excess.map_or(Ok(()), |excess| Err(stop(excess)))
}

/// Counts bytes that a value of our own holds: Rhai bounds the sizes of its texts, arrays and maps, not of what is inside
/// of a native value. Nothing is given back before the call is over.
pub(crate) fn keep(bytes: usize) -> Result<(), Box<EvalAltResult>> {
    let left = METER.with(|meter| {
        let left = meter.memory.get().checked_sub(bytes as u64);
        meter.memory.set(left.unwrap_or(0));
        left
    });
    left.map(|_| ()).ok_or_else(|| stop(Excess::Memory))
}

/// Ends the call: the error may be caught, but the next operation ends the script all the same.
pub(crate) fn stop(excess: Excess) -> Box<EvalAltResult> {
    METER.with(|meter| meter.excess.set(Some(excess)));
    raise(excess.kind(), excess.message())
}

/// What the last call on this thread ran over, if anything.
pub(crate) fn excess() -> Option<Excess> {
    METER.with(|meter| meter.excess.get())
}

/// Called by Rhai at every operation; an answer stops the script and cannot be caught by it.
pub(crate) fn tick(_: u64) -> Option<Dynamic> {
    METER.with(|meter| {
        let used = meter.used.get() + 1;
        meter.used.set(used);
        if used > meter.most.get() {
            meter.excess.set(Some(Excess::Operations));
        } else if used.is_multiple_of(STRIDE) {
            meter.look();
        }
        meter.excess.get().map(|_| Dynamic::UNIT)
    })
}

impl Meter {
    fn look(&self) {
        if self.out_of_time() {
            self.excess.set(Some(Excess::Cpu));
        } else if waiting::abandoned() {
            self.excess.set(Some(Excess::Abandoned));
        }
    }

    /// The limit is CPU time, since a thread that the kernel did not run is not at fault; but the thread's CPU clock
    /// is a system call. So the first half is measured on the wall clock, and only a call that outlives it has its
    /// second half measured on the CPU clock. No call gets more than the limit, none is stopped before half of it.
    fn out_of_time(&self) -> bool {
        let now = Instant::now();
        let half = self.half.get();
        let Some(look_at) = self.look_at.get() else {
            self.look_at.set(Some(now + half));
            return false;
        };
        if now < look_at {
            return false;
        }
        let used = thread_cpu();
        let left = match self.cpu_end.get() {
            Some(end) => end.saturating_sub(used),
            None => {
                self.cpu_end.set(Some(used + half));
                half
            }
        };
        self.look_at.set(Some(now + left));
        left.is_zero()
    }
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
