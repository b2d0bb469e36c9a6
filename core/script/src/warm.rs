//! Which native function a call in a script means, kept from one call of a policy to the next.
//!
//! Rhai resolves a function by name and argument types and remembers it for one evaluation. A hook is so short that
//! resolving would be most of its cost, so each thread keeps what it has resolved, by policy. It holds functions
//! only, never a value of a script; a call that fails takes its cache with it.

use rhai::Caches;
use std::cell::RefCell;

/// Policies whose caches a thread keeps; the one that was used longest ago goes first.
const KEPT: usize = 16;

thread_local! {
    static WARM: RefCell<Vec<(u64, Caches)>> = const { RefCell::new(Vec::new()) };
}

/// Runs `work` with the cache of a policy; `policy` is unique in the process.
pub(crate) fn with<T, E>(policy: u64, work: impl FnOnce(&mut Caches) -> Result<T, E>) -> Result<T, E> {
    let mut caches = take(policy);
    let result = work(&mut caches);
    if result.is_ok() {
        keep(policy, caches);
    }
    result
}

fn take(policy: u64) -> Caches {
    WARM.with_borrow_mut(|warm| match warm.iter().position(|(known, _)| *known == policy) {
        Some(place) => warm.remove(place).1,
        None => Caches::new(),
    })
}

fn keep(policy: u64, mut caches: Caches) {
    caches.rewind_fn_resolution_caches(1);
    WARM.with_borrow_mut(|warm| {
        if warm.len() == KEPT {
            warm.remove(0);
        }
        warm.push((policy, caches));
    });
}
