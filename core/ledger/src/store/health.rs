//! Whether the database takes writes, and what waits until it does.
//!
//! The declared mode of a ledger that cannot be written is *closed*: what cannot be held or posted is refused, the door
//! included, until a write goes through again. A posting whose commit failed is told so, and its reply is withheld; the
//! row waits here and is written, without a charge for what was withheld, as soon as the database takes it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use weir_llm::price::Nanos;

use super::{Post, StoreError};
use crate::posting::Outcome;

/// Between two tries of a database that failed.
pub(super) const RETRY: Duration = Duration::from_millis(500);

/// What the ledger's thread tells everybody: a look at it costs one load.
#[derive(Debug, Default)]
pub(crate) struct Health {
    ill: AtomicBool,
    why: Mutex<Option<StoreError>>,
    unwritten: AtomicU64,
}

/// What the ledger's thread keeps for itself.
#[derive(Default)]
pub(super) struct Kept {
    posts: Vec<Post>,
    next_try: Option<Instant>,
}

impl Health {
    /// Why the last write failed, if none has gone through since.
    pub(crate) fn trouble(&self) -> Option<StoreError> {
        if !self.ill.load(Ordering::Relaxed) {
            return None;
        }
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Postings that wait for the database.
    pub(crate) fn unwritten(&self) -> u64 {
        self.unwritten.load(Ordering::Relaxed)
    }

    fn set(&self, why: Option<StoreError>) {
        let ill = why.is_some();
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.ill.store(ill, Ordering::Relaxed);
    }

    fn is_ill(&self) -> bool {
        self.ill.load(Ordering::Relaxed)
    }
}

impl Kept {
    /// After a write that failed: the first try comes at once, the others in their turn.
    pub(super) fn failed(&mut self, why: StoreError, health: &Health) {
        self.next_try = Some(Instant::now() + if health.is_ill() { RETRY } else { Duration::ZERO });
        health.set(Some(why));
    }

    /// After a write that went through.
    pub(super) fn written(&mut self, health: &Health) {
        if self.next_try.is_none() {
            return;
        }
        if self.posts.is_empty() {
            self.next_try = None;
            health.set(None);
        } else {
            self.next_try = Some(Instant::now());
        }
    }

    /// A posting that waits from now on. Whoever waited for it has been told that it failed.
    pub(super) fn keep(&mut self, mut post: Post, health: &Health) {
        if matches!(post.posting.status, Outcome::Ok | Outcome::CacheHit) {
            // The reply is withheld, so nobody pays for it; what the provider takes is taken.
            post.posting.status = Outcome::Failed;
            post.posting.charged = Nanos(0);
            post.posting.saved_by_cached_input = Nanos(0);
            post.posting.saved_by_cache = Nanos(0);
        }
        self.posts.push(post);
        health.unwritten.store(self.posts.len() as u64, Ordering::Relaxed);
    }

    /// How long until the next try; `None`: the database is well.
    pub(super) fn due(&self) -> Option<Duration> {
        self.next_try.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Some of those that wait.
    pub(super) fn take(&mut self, most: usize, health: &Health) -> Vec<Post> {
        let posts = self.posts.split_off(self.posts.len().saturating_sub(most));
        health.unwritten.store(self.posts.len() as u64, Ordering::Relaxed);
        posts
    }
}
