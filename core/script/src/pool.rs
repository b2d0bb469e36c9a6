//! The threads on which scripts run that wait: started when they are needed, gone when they have been idle.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Most calls that wait at the same time. A thread that waits costs the pages of its stack that it has touched.
const MOST: usize = 256;
/// How long a thread waits for something to do.
const IDLE: Duration = Duration::from_secs(10);
/// As the threads of the gateway have: `engine::DEPTH` is made for it.
const STACK: usize = 2 << 20;

pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Held to hand over a job, never while one runs.
static POOL: Mutex<Pool> = Mutex::new(Pool { jobs: VecDeque::new(), idle: 0, alive: 0 });
static WORK: Condvar = Condvar::new();

struct Pool {
    jobs: VecDeque<Job>,
    idle: usize,
    alive: usize,
}

/// Starts a job at once; `false`: every thread is taken.
pub(crate) fn run(job: Job) -> bool {
    let mut pool = pool();
    if pool.idle > pool.jobs.len() {
        pool.jobs.push_back(job);
        WORK.notify_one();
        return true;
    }
    if pool.alive >= MOST {
        return false;
    }
    let thread = std::thread::Builder::new().name("weir-script".into()).stack_size(STACK);
    let started = thread.spawn(move || worker(job)).is_ok();
    pool.alive += usize::from(started);
    started
}

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

fn worker(first: Job) {
    let mut next = Some(first);
    while let Some(job) = next {
        // A script's panic is caught where it runs; this keeps the count of threads right whatever happens.
        let _ = catch_unwind(AssertUnwindSafe(job));
        next = wait();
    }
}

/// The next job; `None` after a while without one: the thread ends.
fn wait() -> Option<Job> {
    let mut pool = pool();
    pool.idle += 1;
    let empty = |pool: &mut Pool| pool.jobs.is_empty();
    (pool, _) = WORK.wait_timeout_while(pool, IDLE, empty).unwrap_or_else(PoisonError::into_inner);
    pool.idle -= 1;
    let job = pool.jobs.pop_front();
    pool.alive -= usize::from(job.is_none());
    job
}
