//! Which of a provider's keys a request goes out with.
//!
//! A key that was refused (401, 402) is out for all of its provider's models; one that is rate-limited (429), or refused
//! for a model (403), only for that target. A pool outlives reloads as long as its provider, model and keys stay the same.
//! Keys themselves are not here: only their places in the config, and digests to know them again by.

use crate::telemetry::live::Clock;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The first rest of a key whose provider does not say how long it is rate-limited; doubles with each further one.
const REST_MS: u64 = 1_000;
/// The longest such rest.
const LONGEST_REST_MS: u64 = 30_000;
/// How long a refused key is out at first; doubles each time that its probe is refused.
const OUT_MS: u64 = 60_000;
/// The longest that a key stays unasked, whatever its provider says: it is looked at again then.
const LONGEST_MS: u64 = 600_000;
/// How long a probe may take before somebody else tries.
const PROBE_MS: u64 = 30_000;

/// How a key is doing, for whoever looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// It is used.
    Ready = 0,
    /// It is rate-limited, or refused for a model.
    Cooling = 1,
    /// It was refused, and is not asked but for a probe.
    Out = 2,
}

impl Condition {
    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Cooling => "cooling",
            Self::Out => "out",
        }
    }
}

/// How much a request insists on a target none of whose keys is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Insist {
    /// There are other targets to turn to.
    No,
    /// It is the last one: a rest that the provider did not ask for is cut short.
    Last,
    /// The plan waited and asks again.
    Again,
}

/// Why no key may be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Until the first one may be.
    pub ms: u64,
    /// Why not now.
    pub why: Why,
}

/// Why a key may not be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is rate-limited.
    Limited,
    /// The target has more to do than it can, whatever the key.
    Overloaded,
    /// It was refused.
    Refused,
}

/// What is known of a key, in one word: when it may be asked again (ms), and why not now (the low two bits).
#[derive(Debug, Default)]
struct State {
    word: AtomicU64,
    strikes: AtomicU32,
}

const GUESSED: u64 = 0;
const TOLD: u64 = 1;
const OUT: u64 = 2;
const PROBING: u64 = 3;

impl State {
    fn is_ready(&self) -> bool {
        self.word.load(Relaxed) == 0
    }

    /// When it may be asked, and why not before; `None`: now.
    fn shut(&self, now: u64) -> Option<(u64, u64)> {
        let word = self.word.load(Relaxed);
        let (until, why) = (word >> 2, word & 3);
        match why {
            _ if word == 0 => None,
            GUESSED | TOLD if until <= now => None,
            _ => Some((until, why)),
        }
    }

    /// The time for a probe has come, and the caller is the one who makes it.
    fn claim(&self, now: u64) -> bool {
        let word = self.word.load(Relaxed);
        let probe = (now + PROBE_MS) << 2 | PROBING;
        word & 3 >= OUT
            && word >> 2 <= now
            && self.word.compare_exchange(word, probe, Relaxed, Relaxed).is_ok()
    }

    /// Rate-limited: for as long as the provider says, or for a guess.
    fn cool(&self, now: u64, told: Option<u32>) {
        let strikes = self.strikes.fetch_add(1, Relaxed).min(10);
        let (ms, why) = match told {
            Some(ms) => (u64::from(ms).min(LONGEST_MS), TOLD),
            None => ((REST_MS << strikes).min(LONGEST_REST_MS), GUESSED),
        };
        let word = (now + ms.max(1)) << 2 | why;
        // Of two that were limited at once the later end holds; a refused key stays refused.
        let longer = |old: u64| (old & 3 < OUT && old >> 2 < word >> 2).then_some(word);
        self.word.fetch_update(Relaxed, Relaxed, longer).ok();
    }

    /// Refused.
    fn refuse(&self, now: u64) {
        let word = self.word.load(Relaxed);
        // What was under way when it was put out says nothing new.
        if word & 3 == OUT && word >> 2 > now {
            return;
        }
        let strikes = if word & 3 >= OUT { self.strikes.fetch_add(1, Relaxed) + 1 } else { 0 };
        self.strikes.store(strikes, Relaxed);
        let ms = (OUT_MS << strikes.min(10)).min(LONGEST_MS);
        self.word.store((now + ms) << 2 | OUT, Relaxed);
    }

    /// It answered. What was under way since before it was shut does not open it.
    fn well(&self, now: u64) {
        let word = self.word.load(Relaxed);
        let opens = word & 3 == PROBING || word & 3 < OUT && word >> 2 <= now;
        if opens && self.word.compare_exchange(word, 0, Relaxed, Relaxed).is_ok() {
            self.strikes.store(0, Relaxed);
        }
    }

    fn condition(&self, now: u64) -> Condition {
        match self.shut(now) {
            None => Condition::Ready,
            Some((_, GUESSED | TOLD)) => Condition::Cooling,
            Some(_) => Condition::Out,
        }
    }
}

/// A key at one target.
struct Slot {
    /// At its provider.
    key: Arc<State>,
    here: State,
}

impl Slot {
    fn shut(&self, now: u64) -> Option<(u64, u64)> {
        self.key.shut(now).max(self.here.shut(now))
    }

    /// As [`Slot::shut`], once what is due for a probe was claimed for one.
    fn shut_but_for_a_probe(&self, now: u64) -> Option<(u64, u64)> {
        let open = |state: &State| state.shut(now).is_none() || state.claim(now);
        // Nothing is claimed of a key that the other half keeps shut.
        let blocked = [&*self.key, &self.here].into_iter().filter_map(|state| state.shut(now));
        match blocked.filter(|(until, why)| *why < OUT || *until > now).max() {
            Some(shut) => Some(shut),
            None if open(&self.key) && open(&self.here) => None,
            None => self.shut(now),
        }
    }
}

/// The keys of one target.
pub struct Keys {
    provider: Box<str>,
    digests: Box<[[u8; 32]]>,
    slots: Box<[Slot]>,
    turn: AtomicUsize,
    /// Until when the target is overloaded, by its own word.
    overloaded: AtomicU64,
    clock: Clock,
}

impl Keys {
    /// The place of the key to use: the next in turn that is ready.
    ///
    /// # Errors
    /// None is, and how long that lasts.
    pub fn pick(&self, insist: Insist) -> Result<usize, Wait> {
        let count = self.slots.len();
        let start = if count > 1 { self.turn.fetch_add(1, Relaxed) % count } else { 0 };
        let ready = |slot: &Slot| slot.key.is_ready() && slot.here.is_ready();
        // No clock is read while all is well.
        if self.slots.get(start).is_some_and(ready) {
            return Ok(start);
        }
        self.pick_at(self.clock.ms(), start, insist)
    }

    fn pick_at(&self, now: u64, start: usize, insist: Insist) -> Result<usize, Wait> {
        let places = || (start..self.slots.len()).chain(0..start);
        if let Some(place) = places().find(|&at| self.slots[at].shut(now).is_none()) {
            return Ok(place);
        }
        if let Some(place) = places().find(|&at| self.slots[at].shut_but_for_a_probe(now).is_none()) {
            return Ok(place);
        }
        let shut = |at: usize| self.slots[at].shut(now).unwrap_or_default();
        let may = |at: &usize| match shut(*at).1 {
            GUESSED => insist >= Insist::Last,
            // What one caller's request may have brought about, and the word of one key of one, shut nobody out for whom
            // there is nobody else: asking beats refusing.
            OUT.. if self.slots.len() == 1 || self.slots[*at].key.shut(now).is_none() => {
                insist >= Insist::Last
            }
            _ => insist == Insist::Again,
        };
        if let Some(place) = places().filter(may).min_by_key(|&at| shut(at).0) {
            return Ok(place);
        }
        let (until, why) = places().map(shut).min().unwrap_or_default();
        let why = match why {
            OUT.. => Why::Refused,
            _ if now < self.overloaded.load(Relaxed) => Why::Overloaded,
            _ => Why::Limited,
        };
        Err(Wait { ms: until.saturating_sub(now).max(1), why })
    }

    /// Whether some key is ready at once.
    pub fn has_another(&self) -> bool {
        let now = self.clock.ms();
        self.slots.iter().any(|slot| slot.shut(now).is_none())
    }

    /// How long no key may be used; `None`: one may.
    pub fn closed_for(&self) -> Option<u64> {
        let now = self.clock.ms();
        let shut: Option<Vec<u64>> = self.slots.iter().map(|slot| Some(slot.shut(now)?.0)).collect();
        shut?.into_iter().min().map(|until| until.saturating_sub(now))
    }

    /// A key's request was answered.
    pub fn well(&self, place: usize) {
        let Some(slot) = self.slots.get(place) else { return };
        if !slot.key.is_ready() || !slot.here.is_ready() {
            let now = self.clock.ms();
            slot.key.well(now);
            slot.here.well(now);
        }
    }

    /// A key is rate-limited here, for as long as the provider said if it did.
    pub fn limited(&self, place: usize, told: Option<u32>) {
        if let Some(slot) = self.slots.get(place) {
            slot.here.cool(self.clock.ms(), told);
        }
    }

    /// The target is to be left alone for so long, whatever the key.
    pub fn rest(&self, told: u32) {
        let now = self.clock.ms();
        self.overloaded.fetch_max(now + u64::from(told).min(LONGEST_MS), Relaxed);
        self.slots.iter().for_each(|slot| slot.here.cool(now, Some(told)));
    }

    /// A key was refused: here only, or at all.
    pub fn refused(&self, place: usize, here: bool) {
        let Some(slot) = self.slots.get(place) else { return };
        let state = if here { &slot.here } else { &*slot.key };
        state.refuse(self.clock.ms());
    }
}

/// A provider, and a key of it by its hash.
type Owned = (String, [u8; 32]);

/// All keys of the process, by provider.
pub struct Ring {
    clock: Clock,
    targets: Mutex<HashMap<(String, String), Weak<Keys>>>,
    keys: Mutex<HashMap<Owned, Weak<State>>>,
}

impl Default for Ring {
    fn default() -> Self {
        Self::new(Clock::system())
    }
}

impl Ring {
    /// Knows no key yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, targets: Mutex::default(), keys: Mutex::default() }
    }

    /// The keys of a provider's model; one place even for a provider that asks for none.
    pub fn keys(&self, provider: &str, model: &str, keys: &[&str]) -> Arc<Keys> {
        let digest = |key: &&str| Sha256::digest(key.as_bytes()).into();
        let digests: Box<[[u8; 32]]> =
            if keys.is_empty() { [[0; 32]].into() } else { keys.iter().map(digest).collect() };
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (provider.to_owned(), model.to_owned());
        let known = targets.get(&name).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| known.digests == digests) {
            return known;
        }
        let slot = |digest: &[u8; 32]| Slot { key: self.state(provider, *digest), here: State::default() };
        let made = Arc::new(Keys {
            provider: provider.into(),
            slots: digests.iter().map(slot).collect(),
            digests,
            turn: AtomicUsize::new(0),
            overloaded: AtomicU64::new(0),
            clock: self.clock.clone(),
        });
        sweep(&mut targets);
        targets.insert(name, Arc::downgrade(&made));
        made
    }

    fn state(&self, provider: &str, digest: [u8; 32]) -> Arc<State> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (provider.to_owned(), digest);
        if let Some(state) = keys.get(&name).and_then(Weak::upgrade) {
            return state;
        }
        let made = Arc::new(State::default());
        sweep(&mut keys);
        keys.insert(name, Arc::downgrade(&made));
        made
    }

    /// How every key is doing: the worst of what is known of it, by provider and place.
    pub fn conditions(&self) -> BTreeMap<(Box<str>, usize), Condition> {
        let now = self.clock.ms();
        let mut all = BTreeMap::new();
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        for keys in targets.values().filter_map(Weak::upgrade) {
            for (place, slot) in keys.slots.iter().enumerate() {
                // Refused for one model, a key is still good for others.
                let here = slot.here.condition(now).min(Condition::Cooling);
                let worst = all.entry((keys.provider.clone(), place)).or_insert(Condition::Ready);
                *worst = here.max(slot.key.condition(now)).max(*worst);
            }
        }
        all
    }
}

/// Forgets now and then what is used no more.
fn sweep<K: Eq + Hash, V>(map: &mut HashMap<K, Weak<V>>) {
    if map.len() % 64 == 63 {
        map.retain(|_, weak| weak.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests;
