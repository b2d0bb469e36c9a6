//! The thread that advances the epoch, once for all calls. It sleeps while no call is under way.
//!
//! A tick is not the deadline itself: at each tick a running call looks at its thread's CPU clock
//! (see `state::Budget`), so a call that was merely preempted on a busy machine is not cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;
use wasmtime::EngineWeak;

/// How often a running call looks at its clock. A call is cut at most two ticks after the end of its budget, and what one
/// policy may take from its neighbours beyond that budget is a millisecond.
pub(crate) const TICK: Duration = Duration::from_micros(500);
/// Ticks without a call after which the thread goes to sleep, so that steady traffic never wakes it.
const IDLE_TICKS: u32 = 100;

pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
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

    pub(crate) fn enter(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
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
    let mut idle = 0;
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        drop(engine);
        idle = if shared.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        if idle < IDLE_TICKS {
            std::thread::park_timeout(TICK);
        } else {
            sleep(shared);
            idle = 0;
        }
    }
}

/// Either this thread sees the call, or the call sees that this thread is asleep. The timeout only bounds how long a
/// thread outlives an engine that went while it fell asleep.
fn sleep(shared: &Shared) {
    shared.asleep.store(true, Ordering::SeqCst);
    if shared.running.load(Ordering::SeqCst) == 0 {
        std::thread::park_timeout(Duration::from_secs(1));
    }
    shared.asleep.store(false, Ordering::SeqCst);
}
