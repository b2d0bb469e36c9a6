//! The thread that advances the epoch, once for all calls. It sleeps while no call is under way.
//!
//! A tick is not the deadline itself: at each tick a running call looks at its thread's CPU clock
//! (see `Budget::tick`), so a call that was merely preempted on a busy machine is not cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;
use wasmtime::EngineWeak;

/// How often a running call looks at its clock once a tick has met it. A call is cut so long after the end of its budget at
/// most, and what the thread's clock was overrated by (`budget::STALE`).
pub(crate) const TICK: Duration = Duration::from_micros(250);
/// The longest time between two looks whether a call runs; see [`Pace`].
const LONGEST: Duration = Duration::from_millis(10);
/// For how long there is no call before the thread goes to sleep, so that steady traffic never wakes it.
const IDLE: Duration = Duration::from_millis(50);

pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
    pace: Pace,
}

/// How often the thread looks whether a call runs: twice in the shortest budget of a policy. Calls that end in microseconds
/// are hardly ever met, and every look is two changes of context: where the thread has no core of its own, a thousand a
/// second are a tenth of what a worker can do.
#[derive(Clone)]
pub(crate) struct Pace(Arc<AtomicU64>);

impl Default for Pace {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl Pace {
    /// For how long a call can run before it is met for the first time.
    pub(crate) fn look(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed)).clamp(TICK, LONGEST)
    }

    /// A call may run for so long at most: whether that is news.
    fn shorten(&self, cpu: Duration) -> bool {
        let half = u64::try_from((cpu / 2).as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_min(half, Ordering::Relaxed) > half
    }
}

/// A call is under way; the ticker runs while one of these lives.
pub(crate) struct Running<'a>(&'a Ticker);

impl Ticker {
    /// Starts the thread; it ends by itself when the engine is gone.
    pub(crate) fn start(engine: &wasmtime::Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (engine, seen) = (engine.weak(), Arc::clone(&shared));
        let thread =
            std::thread::Builder::new().name("wasm-epoch".into()).spawn(move || tick(&engine, &seen))?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    pub(crate) fn pace(&self) -> &Pace {
        &self.shared.pace
    }

    /// A policy with this budget is loaded.
    pub(crate) fn budget(&self, cpu: Duration) {
        if self.shared.pace.shorten(cpu) {
            self.thread.unpark();
        }
    }

    /// As [`Ticker::enter`], and the thread looks at once: a call goes on that has waited, and may have burnt most of its
    /// budget before.
    pub(crate) fn enter_again(&self) -> Running<'_> {
        let running = self.enter();
        self.thread.unpark();
        running
    }

    pub(crate) fn enter(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) && self.shared.asleep.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(self)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.shared.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Wakes the thread, which then finds its engine gone.
impl Drop for Ticker {
    fn drop(&mut self) {
        self.thread.unpark();
    }
}

fn tick(engine: &EngineWeak, shared: &Shared) {
    let mut idle = Duration::ZERO;
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        drop(engine);
        if shared.running.load(Ordering::SeqCst) > 0 {
            idle = Duration::ZERO;
            std::thread::park_timeout(TICK);
        } else if idle < IDLE {
            let look = shared.pace.look();
            idle += look;
            std::thread::park_timeout(look);
        } else if sleep(shared) {
            idle = Duration::ZERO;
        }
    }
}

/// Either this thread sees the call, or the call sees that this thread is asleep; false if none came. The timeout only
/// bounds how long a thread outlives an engine that went while it fell asleep.
fn sleep(shared: &Shared) -> bool {
    shared.asleep.store(true, Ordering::SeqCst);
    if shared.running.load(Ordering::SeqCst) == 0 {
        std::thread::park_timeout(Duration::from_secs(1));
    }
    !shared.asleep.swap(false, Ordering::SeqCst) || shared.running.load(Ordering::SeqCst) > 0
}
