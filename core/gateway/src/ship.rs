//! How a version of a policy goes live: proven, then asked in shadow, then for some keys, then for all; and back.
//!
//! Everything here runs on the reload thread. A change is made on copies: if a later step refuses it, the copies are
//! dropped and what runs was never touched.
//!
//! # Layout
//!
//! - [`record`], [`store`]: what is remembered, and where.
//! - [`prove`], [`signature`], [`served`]: what a version must stand first.
//! - [`unit`](mod@unit): a policy as it runs.
//! - [`bind`]: from config, files and what is remembered to what runs.
//! - [`run`]: versions as they run: compiled, in shadow, as canaries, live.
//! - [`order`]: what people and gates ask for: push, promote, abort, roll back.
//! - [`due`]: what gates and breakers ask for by themselves.
//! - [`gate`]: whether a candidate goes on by itself.
//! - [`shadow`], [`frozen`], [`diff`], [`minimise`], [`report`]: what a candidate would have decided.
//! - [`tally`]: what is counted of versions that decide.

pub mod bind;
pub mod diff;
pub mod due;
pub mod frozen;
pub mod gate;
pub mod minimise;
pub mod order;
pub mod prove;
pub mod record;
pub mod report;
pub mod run;
pub mod served;
pub mod shadow;
pub mod signature;
pub mod store;
pub mod tally;
pub mod unit;

#[cfg(test)]
mod tests;

use crate::config::{Config, Signing};
use crate::reload::policies::Compiled;
use record::Entry;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use store::{Store, StoreError};
use tally::Watcher;
use unit::Unit;
use weir_policy::pipeline::Bound;

/// Compiled versions of one binding that may be held at a time: by the snapshot, by exchanges that drain, by a shadow.
pub const VERSIONS: usize = 3;

/// All policies, by name.
pub type Units = BTreeMap<String, Unit>;

/// The policies that run and how they change.
pub struct Ship {
    store: Store,
    compiled: Compiled,
    watcher: Arc<Watcher>,
    units: Units,
    /// Who has to have signed what is loaded, by the config that is in force or about to be.
    signing: Signing,
    /// Whether the last refusal was for want of room: it is worth another try.
    crowded: bool,
    /// Whether a file that is broken now is passed over for what was live: on the way back it is.
    lenient: bool,
}

impl Ship {
    /// Nothing runs yet; what is remembered is in the data folder.
    pub fn new(data: &Path, compiled: Compiled, watcher: Arc<Watcher>) -> Self {
        Self {
            store: Store::of(data),
            compiled,
            watcher,
            units: Units::new(),
            signing: Signing::default(),
            crowded: false,
            lenient: false,
        }
    }

    /// Who observes the pipelines.
    pub const fn watcher(&self) -> &Arc<Watcher> {
        &self.watcher
    }

    /// The policies that run.
    pub const fn units(&self) -> &Units {
        &self.units
    }

    /// Whether the last refusal was for want of room: it is worth another try.
    pub const fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// Compiled versions of a policy that anybody holds.
    pub fn alive(&self, name: &str) -> usize {
        self.compiled.alive(name)
    }

    /// Remembers what is new in these units; to be called before they are swapped in.
    ///
    /// # Errors
    /// The disk's word: then they must not be swapped in.
    pub fn remember(&self, units: &Units) -> Result<(), StoreError> {
        for (name, unit) in units {
            let known = self.units.get(name).map(|known| &known.index);
            if known != Some(&unit.index) {
                self.store.save(&unit.index)?;
            }
        }
        Ok(())
    }

    /// Lets these units run from now on: their pipeline was swapped in.
    pub fn adopt(&mut self, units: Units) {
        let old = std::mem::replace(&mut self.units, units);
        for (name, unit) in &old {
            let same = |a: &unit::Candidate, b: &unit::Candidate| a.since == b.since;
            let now = self.units.get(name).and_then(|unit| unit.candidate.as_ref());
            match &unit.candidate {
                Some(gone) if now.is_none_or(|now| !same(now, gone)) => gone.end(),
                _ => {}
            }
        }
        self.watcher.watch(self.units.values().flat_map(Unit::tallies).collect());
    }

    /// Everything that is known of one policy.
    pub fn status(&self, name: &str) -> Option<Value> {
        self.units.get(name).map(|unit| unit.json(self.alive(name)))
    }

    /// A line for each policy.
    pub fn list(&self) -> Vec<Value> {
        let line = |(name, unit): (&String, &Unit)| {
            json!({
                "name": name,
                "version": unit.live.version.version,
                "digest": unit.live.version.digest,
                "live": unit::version(&unit.live.version),
                "candidate": unit.index.candidate.as_ref().map(|pending| {
                    let mut shown = unit::version(&pending.version);
                    shown["stage"] = pending.stage.as_str().into();
                    shown["waits"] = json!(pending.waits);
                    shown
                }),
            })
        };
        self.units.iter().map(line).collect()
    }

    /// How versions of a policy ended, the latest first.
    pub fn history(&self, name: &str) -> Option<Value> {
        let line = |entry: &Entry| {
            json!({
                "at_ms": entry.at_ms,
                "how": entry.how.as_str(),
                "why": entry.why,
                "version": entry.version.as_ref().map(unit::version),
            })
        };
        let unit = self.units.get(name)?;
        Some(
            json!({ "policy": name, "history": unit.index.history.iter().rev().map(line).collect::<Vec<_>>() }),
        )
    }

    /// Ends what runs beside the exchanges.
    pub fn stop(&self) {
        for candidate in self.units.values().filter_map(|unit| unit.candidate.as_ref()) {
            candidate.end();
        }
    }
}

/// The bindings of config, in its order, as the pipeline takes them.
pub fn bound(config: &Config, units: &Units) -> Vec<Bound> {
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bound = Vec::with_capacity(config.policies.len());
    for binding in &config.policies {
        let Some(unit) = units.values().find(|unit| unit.bindings.iter().any(|b| b.file == binding.file))
        else {
            continue;
        };
        let at = taken.entry(unit.name()).or_default();
        bound.extend(
            unit.bound(*at).map(|bound| Bound { served: served::surfaces(config, binding), ..bound }),
        );
        *at += 1;
    }
    bound
}
