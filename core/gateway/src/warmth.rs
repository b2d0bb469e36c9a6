//! How likely a provider's prompt cache knows the beginning of a request: a guess, from what was sent where and when, and
//! from what providers said of it. No provider can be asked.
//!
//! The rules, which `docs/src/policies/sticky.md` tells to authors:
//!
//! - The provider read from its cache: 1. Sent, and nothing known yet: 0.75.
//! - Sent again while the cache should have had it, and nothing was read from it: half of what it was.
//! - Sent again later than that, and nothing was read: it has been written anew, so 0.75 at most.
//! - All of that for four minutes since the last use, then less and less; nothing after ten.

use crate::telemetry::live::Clock;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use weir_llm::estimate;
use weir_llm::request::Request;
use weir_policy::Target;

/// The shortest prompt that most providers cache, in tokens (OpenAI's guide; Anthropic asks for as many or more, by model).
const LEAST: u64 = 1024;
/// How long a cache surely lives after its last use: providers name five minutes, and a request takes a while.
const FULL_MS: u64 = 4 * 60_000;
/// How long it lives at most, unless the caller pays for more.
const LIFE_MS: u64 = 10 * 60_000;
/// The guess for what was sent and is neither confirmed nor denied.
const SENT: f32 = 0.75;
/// Most beginnings that are kept in mind, each counted once for every target: some 200 bytes each.
const PLACES: u64 = 32_768;
/// Most targets that are kept in mind for one beginning; the one that was used least lately makes room.
const TARGETS: usize = 32;

/// What a provider's cache sees first of a request: a keyed hash that means nothing outside of its organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Beginning([u8; 16]);

impl Beginning {
    /// Of a request of an organisation; `None` if it is too short for most caches.
    pub fn of(request: &Request, secret: &[u8; 32], tenant: &str) -> Option<Self> {
        let parts = request.beginning();
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if estimate::text_guess(bytes as u64) < LEAST {
            return None;
        }
        let mut hash = Sha256::new();
        let fixed = [secret, b"beginning".as_slice(), tenant.as_bytes(), request.api().as_str().as_bytes()];
        for part in fixed.into_iter().chain(parts) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().first_chunk().copied().map(Self)
    }
}

/// What is known of beginnings at targets; bounded, in memory only.
pub struct Warmth {
    known: Cache<Beginning, Places>,
    clock: Clock,
}

/// Where a beginning was sent, latest last.
pub type Places = Arc<[Place]>;

/// A target that a beginning was sent to. It is known by what is the same after a reload.
#[derive(Debug, Clone)]
pub struct Place {
    target: Arc<str>,
    region: Arc<str>,
    known: Known,
}

/// What is known of a beginning at a target. Times are the clock's.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Known {
    /// The guess while it is fresh.
    likely: f32,
    /// When it was last sent there.
    sent: u64,
    /// Since when it is there, as far as anybody can tell: a request that was sent before could not find it.
    there: u64,
}

/// What came of a request that was sent to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// How long ago it was sent.
    pub ago: Duration,
    /// Whether the provider's cache held input of it; `None`: the provider did not say.
    pub cached: Option<bool>,
}

impl Warmth {
    /// Nothing known yet.
    pub fn new(clock: Clock) -> Self {
        Self::bounded(clock, PLACES)
    }

    fn bounded(clock: Clock, places: u64) -> Self {
        let known = Cache::builder()
            .max_capacity(places)
            .weigher(|_, places: &Places| u32::try_from(places.len()).unwrap_or(u32::MAX))
            .time_to_live(Duration::from_millis(LIFE_MS))
            .build();
        Self { known, clock }
    }

    /// Where a beginning was sent.
    pub fn places(&self, beginning: Beginning) -> Places {
        self.known.get(&beginning).unwrap_or_default()
    }

    /// How likely a target's cache knows the beginning that was sent to these places, 0 to 1.
    pub fn of(&self, places: &[Place], target: &Target) -> f32 {
        let place = places.iter().find(|place| place.is(target));
        place.map_or(0.0, |place| place.known.now(self.clock.ms()))
    }

    /// Notes that a beginning was sent to a target, which answered.
    pub fn note(&self, beginning: Beginning, target: &Target, what: Use) {
        self.known.entry(beginning).and_upsert_with(|old| {
            // In here, where one comes after the other.
            let now = self.clock.ms();
            let old = old.map(moka::Entry::into_value).unwrap_or_default();
            let mut places: Vec<_> = old.iter().filter(|place| place.known.now(now) > 0.0).cloned().collect();
            let same = places.iter().position(|place| place.is(target)).map(|at| places.remove(at));
            if places.len() == TARGETS {
                places.remove(0);
            }
            places.push(Place {
                target: Arc::clone(&target.id),
                region: Arc::clone(&target.region),
                known: Known::after(same.map(|same| same.known), what, now),
            });
            places.into()
        });
    }
}

impl fmt::Debug for Warmth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warmth").field("beginnings", &self.known.entry_count()).finish_non_exhaustive()
    }
}

impl Place {
    fn is(&self, target: &Target) -> bool {
        self.target == target.id && self.region == target.region
    }
}

impl Known {
    /// What is known after a use.
    fn after(old: Option<Self>, what: Use, now: u64) -> Self {
        let sent = now.saturating_sub(u64::try_from(what.ago.as_millis()).unwrap_or(u64::MAX));
        let likely = match (what.cached, old) {
            (Some(true), _) => 1.0,
            (_, None) => SENT,
            (None, Some(old)) => old.likely,
            (Some(false), Some(old)) if old.was_there(sent) => old.likely / 2.0,
            (Some(false), Some(old)) => old.likely.min(SENT),
        };
        // Requests one after the other keep it there.
        let kept = old.filter(|old| sent.saturating_sub(old.sent) <= FULL_MS);
        let there = kept.map_or(now, |old| old.there);
        Self { likely, sent: old.map_or(sent, |old| old.sent.max(sent)), there }
    }

    /// The guess at a time.
    fn now(self, now: u64) -> f32 {
        let age = now.saturating_sub(self.sent);
        let left = LIFE_MS.saturating_sub(age.max(FULL_MS));
        #[allow(clippy::cast_precision_loss, reason = "minutes in milliseconds")]
        let share = left as f32 / (LIFE_MS - FULL_MS) as f32;
        self.likely * share
    }

    /// Whether a request that was sent then should have found it.
    const fn was_there(self, sent: u64) -> bool {
        sent > self.there && sent.saturating_sub(self.sent) <= FULL_MS
    }
}

#[cfg(test)]
mod tests;
