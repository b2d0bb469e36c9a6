//! What a script's `route` or `price` asked of the host, remembered as a path, so that the next request need not be
//! interpreted.
//!
//! A script decides by what the host tells it: given the same answers it does the same. So the host's functions that a
//! call went through are written down, each with what it was given: a value that an earlier function on the path made,
//! or a constant. What came back as a plain value (a number, a text, a yes or no) is written down too: the path forks
//! there. A later request walks the path: the same functions are called with the request's own lists and facts, and as
//! long as each plain value is one that the path knows, what stands at its end is what the script would have answered.
//! Else the script is interpreted, and what it did becomes another branch.
//!
//! What has another result each time, or has an effect (time, chance, `kv`, telemetry, content), is never on a path: a
//! call that meets such a function is interpreted, always. Nothing is learned from a request of zero retention.
//!
//! - `watch`: what a call under observation does, function by function.
//! - `tree`: the paths of one script, and the walk.
//! - `value`: what a walk holds.

#[cfg(test)]
mod prices;
#[cfg(test)]
mod tests;
pub(crate) mod tree;
pub(crate) mod value;
pub(crate) mod watch;

use arc_swap::ArcSwapOption;
use rhai::Dynamic;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tree::{Added, Path, Tree};
use value::Value;

/// Calls that are watched, in the life of a function of a version.
const LESSONS: u32 = 64;
/// Further calls that may be watched for nothing, since a fork on their way has no room for another branch: a caller, or a
/// target, that comes too late is not to use up the lessons of all others.
const SPARE: u32 = 256;
/// Requests in a row that no path fits, after the last lesson, until the paths are given up.
const PATIENCE: u32 = 256;

/// The paths of one function of a version of a script.
pub(crate) struct Paths {
    tree: ArcSwapOption<Tree>,
    /// Held while a path is added, never while one is followed.
    adding: Mutex<()>,
    lessons: AtomicU32,
    spare: AtomicU32,
    /// Requests since the last one that a path fitted, after the last lesson.
    misses: AtomicU32,
}

/// A function of the host panicked: a bug of Weir's, which costs this call.
pub(crate) struct Panicked;

impl Paths {
    pub(crate) fn new() -> Self {
        Self {
            tree: ArcSwapOption::empty(),
            adding: Mutex::new(()),
            lessons: AtomicU32::new(LESSONS),
            spare: AtomicU32::new(SPARE),
            misses: AtomicU32::new(0),
        }
    }

    /// What the script answers, if a path fits what differs from call to call: its first arguments. They are as before if
    /// none does.
    pub(crate) fn follow(&self, roots: &mut Vec<Value>) -> Option<Result<Value, Panicked>> {
        let tree = self.tree.load();
        let tree = tree.as_ref()?;
        let walked = catch_unwind(AssertUnwindSafe(|| tree.walk(roots)));
        // Read before written: where every request fits, the cores share the line.
        if matches!(walked, Ok(Some(_))) && self.misses.load(Ordering::Relaxed) > 0 {
            self.misses.store(0, Ordering::Relaxed);
        }
        walked.map_err(|_| Panicked).transpose()
    }

    /// Calls the script under observation, and adds the path that it went. `roots`: so many arguments differ from call to call,
    /// the first ones.
    pub(crate) fn watch<E>(
        &self,
        roots: usize,
        arguments: &mut [Dynamic],
        call: impl FnOnce(&mut [Dynamic]) -> Result<Dynamic, E>,
    ) -> Result<Dynamic, E> {
        let (answer, path) = watch::watch(arguments, roots, call);
        if let Some(path) = path {
            self.learn(path);
        }
        answer
    }

    /// Whether the next call is to be watched, and if not, that it was one more that no path fitted.
    pub(crate) fn lesson(&self) -> bool {
        if self.lessons.load(Ordering::Relaxed) == 0 {
            if self.tree.load().is_some() && self.misses.fetch_add(1, Ordering::Relaxed) >= PATIENCE {
                self.tree.store(None);
            }
            return false;
        }
        take(&self.lessons)
    }

    fn learn(&self, path: Path) {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever follows a path meanwhile keeps the tree that they have.
        let mut tree = self.tree.load().as_deref().cloned().unwrap_or_default();
        match tree.add(path) {
            Added::Yes => self.tree.store(Some(Arc::new(tree))),
            Added::NoRoom if take(&self.spare) => {
                self.lessons.fetch_add(1, Ordering::Relaxed);
            }
            Added::NoRoom | Added::Known => {}
            // Given the same, the script did another thing: it is not what we think that it is.
            Added::Contradicts => {
                self.lessons.store(0, Ordering::Relaxed);
                self.tree.store(None);
            }
        }
    }
}

/// One of what is left, if anything is.
fn take(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}
