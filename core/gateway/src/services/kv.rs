//! The key-value store of policies: in this process, bounded, gone with it.
//!
//! A policy's keys lie in its own space, cut into shards with a lock each; nothing is held longer than one operation. What
//! belongs to one exchange lies apart, so that its end costs one look-up. A store may lie over another one and read
//! through it: what is written there, nobody else sees.
//!
//! # Layout
//!
//! - `table`: entries of one shard, and when they end.
//! - `share`: what a policy may take.
//! - `gcra`: the arithmetic of rate limits.
//! - `place`: whose key it is; `cell`: one key while nobody else has it.

mod cell;
mod gcra;
mod place;
mod share;
mod table;

#[cfg(test)]
mod tests;

pub(super) use gcra::Rate;
pub use place::Place;

use super::by_policy::ByPolicy;
use cell::Cell;
use gcra::Level;
use place::Kind;
use share::{Bounds, Share};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use table::{Slot, Table, Value};
use weir_policy::services::{Entry, KvError, Put, Scope, Take};

/// Longest value.
const MAX_VALUE: usize = 64 << 10;
/// Locks of a policy's space, and of what belongs to exchanges.
const SHARDS: usize = 16;
/// Ended entries that one write clears away beside its own work.
const SWEEP: usize = 8;
/// No exchange lasts so long: what is still there was written after its end.
const EXCHANGE_MS: u64 = 25 * 60 * 60 * 1000;
/// Nobody tells a layer that an exchange has ended, and its own calls may come later than that.
const LAYERED_EXCHANGE_MS: u64 = 10 * 60 * 1000;

/// A store. Times are milliseconds of a clock that never goes back.
pub struct Store {
    bounds: Arc<Bounds>,
    spaces: ByPolicy<Space>,
    exchanges: [Mutex<Exchanges>; SHARDS],
    /// Exchanges that have entries.
    open: AtomicUsize,
    /// How long they can last.
    exchange_ms: u64,
    hash: RandomState,
    /// Where keys are looked up that were never written here.
    beneath: Option<Arc<Store>>,
}

/// What belongs to one policy.
struct Space {
    shards: [Mutex<Table>; SHARDS],
    share: Share,
}

/// What belongs to exchanges, by request id.
#[derive(Default)]
struct Exchanges {
    by_id: HashMap<Arc<str>, Exchange>,
    searched: u64,
}

struct Exchange {
    born: u64,
    tables: Vec<(Arc<Space>, Table)>,
}

impl Store {
    /// An empty store, of which each policy may take `share` bytes.
    #[must_use]
    pub fn new(share: usize) -> Self {
        Self {
            bounds: Arc::new(Bounds::new(share)),
            spaces: ByPolicy::default(),
            exchanges: Default::default(),
            open: AtomicUsize::new(0),
            exchange_ms: EXCHANGE_MS,
            hash: RandomState::new(),
            beneath: None,
        }
    }

    /// An empty store that reads through to another one, and never writes there.
    #[must_use]
    pub fn over(beneath: Arc<Self>, share: usize) -> Self {
        Self { beneath: Some(beneath), exchange_ms: LAYERED_EXCHANGE_MS, ..Self::new(share) }
    }

    /// Changes what each policy may take; who has more keeps it, and cannot add to it.
    pub fn resize(&self, share: usize) {
        self.bounds.resize(share);
    }

    /// Bytes that a policy takes now.
    #[must_use]
    pub fn used(&self, policy: &str) -> usize {
        self.spaces.find(policy).map_or(0, |space| space.share.used())
    }

    /// A key's entry.
    ///
    /// # Errors
    /// `TooLarge`: the key; `Unavailable`: the scope has no owner here.
    pub fn get(&self, place: &Place<'_>, now: u64) -> Result<Option<Entry>, KvError> {
        let name = place.name(Kind::Key)?;
        Ok(self.look(place, &name, now).and_then(|slot| slot.entry(now)))
    }

    /// Writes; the new version.
    ///
    /// # Errors
    /// [`KvError`]; a failed write changes nothing.
    pub fn put(&self, place: &Place<'_>, put: Put<'_>, now: u64) -> Result<u64, KvError> {
        if put.value.len() > MAX_VALUE {
            return Err(KvError::TooLarge);
        }
        self.change(place, Kind::Key, now, |cell| {
            let there = cell.slot().map_or(0, |slot| slot.version);
            if put.version.is_some_and(|wanted| wanted != there) {
                return Err(KvError::Conflict);
            }
            cell.set(Value::Bytes(put.value.into()), ends(put.ttl_ms, now))
        })
    }

    /// Forgets a key.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn delete(&self, place: &Place<'_>, now: u64) -> Result<(), KvError> {
        let over = self.beneath.is_some();
        self.change(place, Kind::Key, now, |cell| {
            if over {
                return cell.set(Value::Gone, None).map(drop);
            }
            cell.remove();
            Ok(())
        })
    }

    /// Adds to an integer; the sum. The life of the key counts from its first increment.
    ///
    /// # Errors
    /// As [`Store::put`]; `Conflict` also where the sum is no 64-bit integer.
    pub fn incr(&self, place: &Place<'_>, by: i64, ttl_ms: Option<u64>, now: u64) -> Result<i64, KvError> {
        self.change(place, Kind::Key, now, |cell| {
            let (before, until) = match cell.slot() {
                None => (0, ends(ttl_ms, now)),
                Some(slot) => (slot.integer().ok_or(KvError::Conflict)?, slot.until),
            };
            let sum = before.checked_add(by).ok_or(KvError::Conflict)?;
            cell.set(Value::Bytes(sum.to_string().into_bytes().into()), until)?;
            Ok(sum)
        })
    }

    /// Whether a bucket lets `rate.cost` pass now.
    ///
    /// # Errors
    /// As [`Store::put`].
    pub fn take(&self, place: &Place<'_>, rate: Take, now: u64) -> Result<bool, KvError> {
        self.change(place, Kind::Bucket, now, |cell| {
            let level = cell.slot().and_then(Slot::level).unwrap_or_else(|| Level::empty(now));
            let Some(next) = level.take(rate, now) else { return Ok(false) };
            if rate.cost > 0 {
                cell.set(Value::Bucket(next), next.empty_at(rate.per_min))?;
            }
            Ok(true)
        })
    }

    /// Forgets what an exchange wrote in its own scope. Costs next to nothing if that is nothing.
    pub fn end(&self, request_id: &str) {
        if self.open.load(Relaxed) == 0 {
            return;
        }
        let ended = self.exchanges(request_id).by_id.remove(request_id);
        if let Some(exchange) = ended {
            self.forget(exchange);
        }
    }

    /// A copy of what stands under a name, here or beneath.
    fn look(&self, place: &Place<'_>, name: &str, now: u64) -> Option<Slot> {
        let here = self.spaces.find(&place.origin.policy).and_then(|space| match place.scope {
            Scope::Request => {
                let exchanges = self.exchanges(&place.origin.request_id);
                let exchange = exchanges.by_id.get(&*place.origin.request_id)?;
                let (_, table) = exchange.tables.iter().find(|(of, _)| Arc::ptr_eq(of, &space))?;
                table.get(name, now).cloned()
            }
            _ => self.shard(&space, name).get(name, now).cloned(),
        });
        here.or_else(|| self.beneath.as_ref()?.look(place, name, now))
    }

    /// Runs `act` on a key while nobody else can.
    fn change<T>(
        &self,
        place: &Place<'_>,
        kind: Kind,
        now: u64,
        act: impl FnOnce(&mut Cell<'_>) -> Result<T, KvError>,
    ) -> Result<T, KvError> {
        place.writable()?;
        let name = place.name(kind)?;
        let space = self.spaces.of(&place.origin.policy, || Space::new(&self.bounds));
        if space.share.is_tight() {
            space.sweep(now);
        }
        let beneath = self.beneath.as_ref().and_then(|beneath| beneath.look(place, &name, now));
        let act = |table: &mut Table| {
            table.sweep(SWEEP, now, &space.share);
            let mut cell = Cell { table, name: &name, now, share: &space.share };
            if let Some(slot) = beneath {
                cell.adopt(slot)?;
            }
            act(&mut cell)
        };
        match place.scope {
            Scope::Request => {
                let mut exchanges = self.exchanges(&place.origin.request_id);
                act(self.of_exchange(&mut exchanges, &place.origin.request_id, &space, now))
            }
            _ => act(&mut self.shard(&space, &name)),
        }
    }

    /// The table of a policy in an exchange; made if there is none.
    fn of_exchange<'a>(
        &self,
        exchanges: &'a mut Exchanges,
        id: &Arc<str>,
        space: &Arc<Space>,
        now: u64,
    ) -> &'a mut Table {
        // Looking at all of them is not for every write.
        if exchanges.searched + self.exchange_ms / 25 <= now {
            exchanges.searched = now;
            let old = exchanges.by_id.extract_if(|_, exchange| exchange.born + self.exchange_ms <= now);
            old.for_each(|(_, exchange)| self.forget(exchange));
        }
        let exchange = exchanges.by_id.entry(Arc::clone(id)).or_insert_with(|| {
            self.open.fetch_add(1, Relaxed);
            Exchange { born: now, tables: Vec::new() }
        });
        let tables = &mut exchange.tables;
        let at = tables.iter().position(|(of, _)| Arc::ptr_eq(of, space)).unwrap_or_else(|| {
            tables.push((Arc::clone(space), Table::default()));
            tables.len() - 1
        });
        &mut tables[at].1
    }

    fn forget(&self, exchange: Exchange) {
        self.open.fetch_sub(1, Relaxed);
        for (space, table) in exchange.tables {
            table.clear(&space.share);
        }
    }

    fn exchanges(&self, request_id: &str) -> MutexGuard<'_, Exchanges> {
        lock(&self.exchanges[self.slot(request_id)])
    }

    fn shard<'a>(&self, space: &'a Space, name: &str) -> MutexGuard<'a, Table> {
        lock(&space.shards[self.slot(name)])
    }

    fn slot(&self, name: &str) -> usize {
        // Within the array by the remainder.
        self.hash.hash_one(name) as usize % SHARDS
    }
}

impl Space {
    fn new(bounds: &Arc<Bounds>) -> Self {
        Self { shards: Default::default(), share: Share::new(Arc::clone(bounds)) }
    }

    /// Clears all that has ended.
    fn sweep(&self, now: u64) {
        for shard in &self.shards {
            lock(shard).sweep(usize::MAX, now, &self.share);
        }
    }
}

fn ends(ttl_ms: Option<u64>, now: u64) -> Option<u64> {
    ttl_ms.map(|ttl| now.saturating_add(ttl))
}

/// A panic while a table was locked leaves at worst one key half written: no reason to lose the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
