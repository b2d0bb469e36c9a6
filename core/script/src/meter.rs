//! Operations and CPU time of the call that runs on this thread.
//!
//! Rhai counts operations per call stack, and a native function that calls a closure works on a copy of the count: a
//! closure called a million times would never be stopped. So the count is kept here, once per thread; a policy call
//! is synchronous and never nested.

use rhai::Dynamic;
use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::time::{Duration, Instant};
use weir_policy::Limits;

/// How many operations pass between two looks at the clock (1 to 2 µs of plain code).
const STRIDE: u64 = 32;

thread_local! {
    static METER: Meter = const {
        Meter {
            used: Cell::new(0),
            most: Cell::new(0),
            half: Cell::new(Duration::ZERO),
            look_at: Cell::new(None),
            cpu_end: Cell::new(None),
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
    excess: Cell<Option<Excess>>,
}

/// Which bound a call ran over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    /// `limits.operations`
    Operations,
    /// `limits.cpu_us`
    Cpu,
}

/// Starts counting for a call on this thread.
pub(crate) fn start(limits: &Limits) {
    METER.with(|meter| {
        meter.used.set(0);
        meter.most.set(limits.operations);
        meter.half.set(Duration::from_micros(limits.cpu_us) / 2);
        meter.look_at.set(None);
        meter.cpu_end.set(None);
        meter.excess.set(None);
    });
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
        } else if used.is_multiple_of(STRIDE) && meter.out_of_time() {
            meter.excess.set(Some(Excess::Cpu));
        }
        meter.excess.get().map(|_| Dynamic::UNIT)
    })
}

impl Meter {
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
