//! Live facts per target: what routing reads and breakers decide by. Atomics only; no lock, no SQL.
//!
//! # Layout
//!
//! - `window`: sliding quantiles and the failure rate of the last minute.
//! - `breaker`: when a target is not to be asked.

mod breaker;
mod window;

use breaker::Breaker;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use weir_policy::{ErrorClass, LiveFacts};
use window::{Minute, Quantiles};

/// A headroom that was not confirmed for this long is forgotten: providers' windows are a minute.
const HEADROOM_MS: u64 = 60_000;
/// So many failures in a row make a target look unhealthy before its breaker opens.
const UNHEALTHY: u32 = 3;

/// The live facts of a generation's targets. [`Live::rebind`] makes the next generation's table from it: a target with
/// the same id keeps its history, and exchanges still under way on the old table feed the same figures.
#[derive(Clone)]
pub struct Live {
    clock: Clock,
    targets: Arc<[Arc<Stats>]>,
    by_id: Arc<HashMap<Arc<str>, Arc<Stats>>>,
}

impl Live {
    /// A table without history.
    #[must_use]
    pub fn new(ids: &[Arc<str>]) -> Self {
        Self::with_clock(ids, Clock::system())
    }

    /// As [`Live::new`], with time from elsewhere.
    #[must_use]
    pub fn with_clock(ids: &[Arc<str>], clock: Clock) -> Self {
        Self { clock, targets: Arc::default(), by_id: Arc::default() }.rebind(ids)
    }

    /// The table of the next generation.
    #[must_use]
    pub fn rebind(&self, ids: &[Arc<str>]) -> Self {
        let stats = |id: &Arc<str>| self.by_id.get(id).map_or_else(Arc::default, Arc::clone);
        let by_id: HashMap<_, _> = ids.iter().map(|id| (Arc::clone(id), stats(id))).collect();
        let targets = ids.iter().map(|id| Arc::clone(&by_id[id])).collect();
        Self { clock: self.clock.clone(), targets, by_id: Arc::new(by_id) }
    }

    /// Whether an attempt may start: the breaker is closed, or it is time for a probe and nobody else is at it.
    #[must_use]
    pub fn permits(&self, target: u16) -> bool {
        self.stats(target)
            .is_none_or(|stats| stats.breaker.state(self.clock.ms()) != weir_policy::Breaker::Open)
    }

    /// An attempt starts. It counts as in flight until the guard is dropped; while the breaker is half open it is the
    /// probe. Starting is never refused here: whether to respect [`Live::permits`] is the caller's choice, since with
    /// every breaker open trying beats refusing.
    pub fn started(&self, target: u16) -> InFlight {
        let stats = self.stats(target).map(Arc::clone);
        let probe = stats.as_ref().is_some_and(|stats| {
            stats.in_flight.fetch_add(1, Relaxed);
            stats.breaker.take_probe(self.clock.ms())
        });
        InFlight { stats, probe }
    }

    /// An attempt brought a complete reply: `ttft` from its start to the first content, `took` to the last byte,
    /// `tokens` of output.
    pub fn succeeded(&self, target: u16, ttft: Duration, tokens: u64, took: Duration) {
        let Some(stats) = self.stats(target) else { return };
        let now = self.clock.ms();
        stats.minute.add(now, true);
        stats.ttft.add(now, millis(ttft));
        if let Some(tps) = rate(tokens, took.saturating_sub(ttft)) {
            stats.tps.add(now, tps);
        }
        stats.away_until.store(0, Relaxed);
        if stats.breaker.succeeded(now) {
            stats.minute.clear();
        }
    }

    /// An attempt failed. Failures that are the caller's doing or wish, or ours, say nothing of the target and are not
    /// counted.
    pub fn failed(&self, target: u16, class: ErrorClass) {
        let Some(stats) = self.stats(target) else { return };
        if !speaks_of_target(class) {
            return;
        }
        let now = self.clock.ms();
        stats.minute.add(now, false);
        if matches!(class, ErrorClass::RateLimited | ErrorClass::Quota) {
            stats.set_headroom(now, 0.0);
        }
        stats.breaker.failed(now, stats.minute.totals(now));
    }

    /// Nobody is to ask a target for so long: its provider said so, or none of its keys may be used.
    pub fn away(&self, target: u16, ms: u64) {
        if let Some(stats) = self.stats(target) {
            stats.away_until.store(self.clock.ms().saturating_add(ms), Relaxed);
        }
    }

    /// Whether a target may be asked: its breaker permits it and it is not away.
    #[must_use]
    pub fn is_there(&self, target: u16) -> bool {
        self.stats(target).is_none_or(|stats| {
            let (calm, away) = (stats.breaker.is_calm(), stats.away_until.load(Relaxed));
            calm && away == 0 || self.permits(target) && away <= self.clock.ms()
        })
    }

    /// The provider said what share (0 to 1) of its rate limit is left; see [`headroom`].
    pub fn headroom(&self, target: u16, share: f32) {
        if let Some(stats) = self.stats(target) {
            stats.set_headroom(self.clock.ms(), share);
        }
    }

    fn stats(&self, target: u16) -> Option<&Arc<Stats>> {
        self.targets.get(usize::from(target))
    }
}

impl LiveFacts for Live {
    fn live(&self, target: u16) -> weir_policy::Live {
        self.at(self.clock.ms(), target)
    }

    fn all(&self, targets: &[u16]) -> Vec<weir_policy::Live> {
        let now = self.clock.ms();
        targets.iter().map(|&target| self.at(now, target)).collect()
    }

    /// Who is healthy has a closed breaker.
    fn up(&self, targets: &[u16]) -> Vec<bool> {
        let now = self.clock.ms();
        let up = |&target: &u16| {
            self.stats(target).is_some_and(|stats| stats.is_healthy(now, stats.breaker.state(now)))
        };
        targets.iter().map(up).collect()
    }
}

impl Live {
    fn at(&self, now: u64, target: u16) -> weir_policy::Live {
        let Some(stats) = self.stats(target) else {
            return weir_policy::Live { target, ..Default::default() };
        };
        let breaker = stats.breaker.state(now);
        weir_policy::Live {
            target,
            healthy: stats.is_healthy(now, breaker),
            in_flight: stats.in_flight.load(Relaxed),
            ttft_p50_ms: stats.ttft.p50(now),
            ttft_p95_ms: stats.ttft.p95(now),
            tps_p50: tenths(stats.tps.p50(now)),
            err_rate_1m: stats.minute.totals(now).failure_share(),
            headroom: stats.headroom(now),
            breaker,
            // It differs by request: whoever wants it asks `exchange::warm`.
            prompt_cache_warm: 0.0,
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("targets", &self.targets.len()).finish_non_exhaustive()
    }
}

/// An attempt under way; dropping it ends that, whatever came of it.
#[derive(Debug)]
#[must_use = "the attempt counts as in flight until this is dropped"]
pub struct InFlight {
    stats: Option<Arc<Stats>>,
    probe: bool,
}

// A guard has nothing but its drop: the attempt's future may be cancelled at any await.
impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(stats) = &self.stats {
            stats.in_flight.fetch_sub(1, Relaxed);
            if self.probe {
                stats.breaker.give_probe_back();
            }
        }
    }
}

/// Milliseconds on a clock that never goes back.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System(Instant),
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The system's.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System(Instant::now()))
    }

    /// One that stands still until its number is changed.
    #[must_use]
    pub const fn manual(ms: Arc<AtomicU64>) -> Self {
        Self(Source::Manual(ms))
    }

    /// Now.
    #[must_use]
    pub fn ms(&self) -> u64 {
        match &self.0 {
            Source::System(start) => u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            Source::Manual(ms) => ms.load(Relaxed),
        }
    }
}

/// The smaller share of what is left of requests and tokens, by the `x-ratelimit-*` headers that OpenAI-compatible
/// providers send; `None` without them.
#[must_use]
pub fn headroom<'h>(header: impl Fn(&'static str) -> Option<&'h str>) -> Option<f32> {
    let share = |limit, remaining| -> Option<f32> {
        let limit: f32 = header(limit)?.trim().parse().ok()?;
        let remaining: f32 = header(remaining)?.trim().parse().ok()?;
        (limit > 0.0 && remaining.is_finite()).then(|| (remaining / limit).clamp(0.0, 1.0))
    };
    let requests = share("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests");
    let tokens = share("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens");
    requests.into_iter().chain(tokens).reduce(f32::min)
}

/// What is known of one target.
#[derive(Debug, Default)]
struct Stats {
    in_flight: AtomicU32,
    ttft: Quantiles,
    /// Tenths of a token a second.
    tps: Quantiles,
    minute: Minute,
    breaker: Breaker,
    /// Share in the low 32 bits (as `f32`), until when it holds above them (ms / 256).
    headroom: AtomicU64,
    /// When it may be asked again; 0 unless somebody said.
    away_until: AtomicU64,
}

impl Stats {
    fn is_healthy(&self, now: u64, breaker: weir_policy::Breaker) -> bool {
        breaker == weir_policy::Breaker::Closed
            && self.breaker.failures_in_a_row() < UNHEALTHY
            && self.away_until.load(Relaxed) <= now
    }

    fn set_headroom(&self, now: u64, share: f32) {
        let until = (now + HEADROOM_MS) >> 8;
        self.headroom.store(until << 32 | u64::from(share.clamp(0.0, 1.0).to_bits()), Relaxed);
    }

    fn headroom(&self, now: u64) -> f32 {
        let packed = self.headroom.load(Relaxed);
        let holds = now >> 8 < packed >> 32;
        #[allow(clippy::cast_possible_truncation, reason = "the low half is meant")]
        if holds { f32::from_bits(packed as u32) } else { 1.0 }
    }
}

/// Whether a failure of this class is evidence about the target rather than about the request or the gateway.
const fn speaks_of_target(class: ErrorClass) -> bool {
    !matches!(
        class,
        ErrorClass::BadRequest
            | ErrorClass::ModelNotFound
            | ErrorClass::ContextTooLong
            | ErrorClass::ContentFilter
            | ErrorClass::PluginDenied
            | ErrorClass::Cancelled
            | ErrorClass::Other
    )
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Tenths of a token a second; nothing for replies too short or too quick to measure.
fn rate(tokens: u64, took: Duration) -> Option<u32> {
    let micros = u64::try_from(took.as_micros()).ok().filter(|micros| *micros >= 1000)?;
    (tokens > 1).then(|| u32::try_from(tokens.saturating_mul(10_000_000) / micros).unwrap_or(u32::MAX))
}

#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn tenths(value: u32) -> f32 {
    value as f32 / 10.0
}

#[cfg(test)]
mod tests;
