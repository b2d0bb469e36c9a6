//! From config, its files and what is remembered to what runs.
//!
//! A file that looks as it did when it was last looked at says nothing new: what was live is live, whether it came from the
//! file or by a push. A file that has changed is a candidate; without `ship` in its binding it goes live at once. A candidate runs from the next
//! look on: what it takes the place of has been let go by then.

use super::gate;
use super::prove::{Offer, Prover};
use super::record::{Ended, Index, Stage, Version, now_ms};
use super::run::{mark, offered, promoted};
use super::store::{self, Found};
use super::tally::Tally;
use super::unit::{Loaded, Unit};
use super::{Ship, Units};
use crate::config::{Config, PolicyBinding};
use crate::reload::policies::Mark;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

impl Ship {
    /// What is to run with a config. Nothing is remembered and nothing runs until the answer is handed back.
    ///
    /// # Errors
    /// Everything that is wrong with the policies.
    pub fn bind(&mut self, config: &Config) -> Result<Units, Vec<String>> {
        self.crowded = false;
        self.signing.clone_from(&config.signing);
        self.compiled.list(&config.http);
        let (mut units, mut errors) = (Units::new(), Vec::new());
        for bindings in by_file(config) {
            match self.unit(config, &bindings) {
                Err(why) => errors.push(why),
                Ok(unit) => {
                    if let Some(other) = units.insert(unit.name().to_owned(), unit) {
                        errors.push(format!(
                            "two policies are called `{}`: {} and {}",
                            other.name(),
                            other.index.file,
                            file(&bindings)
                        ));
                    }
                }
            }
        }
        if errors.is_empty() { Ok(units) } else { Err(errors) }
    }

    /// As [`Ship::bind`], with these versions live, where they are not.
    ///
    /// # Errors
    /// As [`Ship::bind`], or one of the versions is no longer kept.
    pub fn bind_at(&mut self, config: &Config, live: &[(String, Version)]) -> Result<Units, Vec<String>> {
        // A broken file must not stand in the way back.
        self.lenient = !live.is_empty();
        let bound = self.bind(config);
        self.lenient = false;
        let mut units = bound?;
        for (name, version) in live {
            let Some(unit) = units.get_mut(name).filter(|u| u.live.version.content != version.content) else {
                continue;
            };
            let loaded = self.loaded(&unit.bindings, &unit.index, version, Mark::Real);
            let loaded = loaded.map_err(|why| vec![format!("{name}: {why}")])?;
            unit.index.note(
                Some(unit.live.version.clone()),
                Ended::RolledBack,
                "config and policies were rolled back",
            );
            let candidate = unit.index.candidate.take();
            promoted(unit, loaded, "config and policies were rolled back");
            unit.index.candidate = candidate.filter(|pending| pending.version.content != version.content);
        }
        Ok(units)
    }

    fn unit(&mut self, config: &Config, bindings: &[PolicyBinding]) -> Result<Unit, String> {
        let Some(first) = bindings.first() else { return Err("it is bound nowhere".to_owned()) };
        let offer = Offer::of_file(first).map_err(|error| error.to_string())?;
        let seen = store::content(&offer.bytes);
        let running = self.units.values().find(|unit| unit.index.file == first.file.display().to_string());
        let known = running.map(|unit| unit.index.clone()).or_else(|| self.store.by_file(&first.file));
        match known {
            Some(index) if index.seen == seen => self.again(config, bindings, index, &offer),
            Some(index) => self.changed(config, bindings, index, &offer),
            None => self.unknown(config, bindings, &offer),
        }
    }

    /// A file that no policy is known to come from: its manifest says which policy it is.
    fn unknown(
        &mut self,
        config: &Config,
        bindings: &[PolicyBinding],
        offer: &Offer,
    ) -> Result<Unit, String> {
        let proven = self.proven(config, bindings, offer, Mark::Real)?;
        let name = proven.name().to_owned();
        let remembered = match self.units.get(&name) {
            Some(unit) => Found::Index(Box::new(unit.index.clone())),
            None => self.store.load(&name).map_err(|error| error.to_string())?,
        };
        let mut lost = None;
        match remembered {
            Found::Index(mut index) => {
                index.file = file(bindings);
                return match index.seen == proven.version.content {
                    true => self.again(config, bindings, *index, offer),
                    false => self.changed(config, bindings, *index, offer),
                };
            }
            Found::Lost(aside, what) => {
                tracing::error!(
                    policy = name, aside = %aside.display(), error = what,
                    "what was remembered of a policy cannot be read; its file is live"
                );
                lost = Some(format!("what was remembered could not be read ({what}); the file is live"));
            }
            Found::Nothing => {}
        }
        let version = proven.version;
        let mut index = Index {
            format: 1,
            policy: name,
            file: file(bindings),
            seen: version.content.clone(),
            live: version.clone(),
            live_since_ms: now_ms(),
            candidate: None,
            history: VecDeque::new(),
        };
        index.note(Some(version.clone()), Ended::Live, lost.unwrap_or_else(|| "first seen".to_owned()));
        Ok(unit(index, bindings, Loaded { version, policies: proven.policies }))
    }

    /// A file that has not changed: what was live is live.
    fn again(
        &mut self,
        config: &Config,
        bindings: &[PolicyBinding],
        mut index: Index,
        offer: &Offer,
    ) -> Result<Unit, String> {
        let live = match self.loaded(bindings, &index, &index.live.clone(), Mark::Real) {
            Ok(live) => live,
            // A version whose bytes are lost, or that is not signed, cannot be live; the operator's file is the next best
            // word.
            Err(why) if index.live.content != index.seen => {
                tracing::error!(
                    policy = index.policy,
                    error = why,
                    "the live version cannot be loaded; its file is live"
                );
                index.candidate = None;
                return self.go_live(
                    config,
                    bindings,
                    index,
                    offer,
                    &format!("the live version cannot be loaded: {why}"),
                );
            }
            Err(_) => return self.restored(config, bindings, index, offer),
        };
        index.live = live.version.clone();
        let mut unit = unit(index, bindings, live);
        if let Some(running) = self.units.get(unit.name()) {
            let same = running.live.version.content == unit.live.version.content;
            let rebound = !same_terms(&running.bindings, bindings);
            if same && !rebound {
                unit.tally = Arc::clone(&running.tally);
                unit.previous.clone_from(&running.previous);
                unit.candidate.clone_from(&running.candidate);
                self.end_unsigned(&mut unit);
                return Ok(unit);
            }
        }
        Ok(unit)
    }

    /// A candidate goes on as long as it is signed as config asks now.
    fn end_unsigned(&self, unit: &mut Unit) {
        let Some(pending) = &unit.index.candidate else { return };
        let Err(why) = self.signed(&unit.index.policy, &pending.version) else { return };
        tracing::error!(policy = unit.index.policy, error = why, "the candidate is given up");
        let version = pending.version.clone();
        unit.index.candidate = None;
        unit.index.note(Some(version), Ended::Refused, why);
        unit.candidate = None;
    }

    /// The live version is the file's, but its bytes are no longer kept, or its signature has come since.
    fn restored(
        &mut self,
        config: &Config,
        bindings: &[PolicyBinding],
        mut index: Index,
        offer: &Offer,
    ) -> Result<Unit, String> {
        let proven = self.proven(config, bindings, offer, Mark::Real)?;
        index.live = Version { source: index.live.source, came_ms: index.live.came_ms, ..proven.version };
        let live = Loaded { version: index.live.clone(), policies: proven.policies };
        Ok(unit(index, bindings, live))
    }

    /// A file with other bytes than before: a candidate, or live at once.
    fn changed(
        &mut self,
        config: &Config,
        bindings: &[PolicyBinding],
        mut index: Index,
        offer: &Offer,
    ) -> Result<Unit, String> {
        let options = bindings.iter().find_map(|binding| binding.ship).unwrap_or_default();
        let stage = gate::next(None, &options);
        let patient = self.lenient || !self.units.contains_key(&index.policy);
        if stage == Stage::Live && !patient {
            return self.go_live(config, bindings, index, offer, "its file has changed");
        }
        let mut unit = match self.loaded(bindings, &index, &index.live.clone(), Mark::Real) {
            Ok(live) => {
                index.live = live.version.clone();
                unit(index, bindings, live)
            }
            Err(why) => {
                let why = format!("the live version cannot be loaded: {why}");
                return self.go_live(config, bindings, index, offer, &why);
            }
        };
        let proven = self.proven(config, bindings, offer, mark(stage));
        if proven.as_ref().is_ok_and(|proven| proven.name() != unit.name()) {
            return self.unknown(config, bindings, offer);
        }
        if let Some(running) = self.units.get(unit.name()) {
            unit.tally = Arc::clone(&running.tally);
            unit.previous.clone_from(&running.previous);
        }
        match proven {
            Ok(proven) if stage == Stage::Live => {
                let version = proven.version;
                unit.index.seen.clone_from(&version.content);
                promoted(&mut unit, Loaded { version, policies: proven.policies }, "its file has changed");
            }
            Ok(proven) => {
                unit.index.seen.clone_from(&proven.version.content);
                offered(&mut unit, proven.version, options);
            }
            // At a start, and on the way back, there is a version that ran before: it is better than none.
            Err(why) if patient => {
                tracing::error!(
                    policy = unit.name(),
                    error = why,
                    "the changed file is refused; the version before it is live"
                );
                unit.index.note(None, Ended::Refused, why);
            }
            Err(why) => return Err(why),
        }
        Ok(unit)
    }

    fn go_live(
        &mut self,
        config: &Config,
        bindings: &[PolicyBinding],
        mut index: Index,
        offer: &Offer,
        why: &str,
    ) -> Result<Unit, String> {
        let proven = self.proven(config, bindings, offer, Mark::Real)?;
        // A file that is another policy now takes nobody's place.
        if proven.name() != index.policy {
            return self.unknown(config, bindings, offer);
        }
        if let Some(pending) = index.candidate.take() {
            index.note(Some(pending.version), Ended::Replaced, "the file has changed and went live");
        }
        let version = proven.version;
        index.seen.clone_from(&version.content);
        let running = self.units.get(&index.policy).map(|unit| unit.live.clone());
        let loaded = Loaded { version, policies: proven.policies };
        let mut unit = unit(index, bindings, running.unwrap_or_else(|| loaded.clone()));
        promoted(&mut unit, loaded, why);
        Ok(unit)
    }

    fn proven(
        &mut self,
        config: &Config,
        bindings: &[PolicyBinding],
        offer: &Offer,
        mark: Mark,
    ) -> Result<super::prove::Proven, String> {
        let mut prover = Prover { ship: self, config, bindings, mark };
        prover.prove(offer).map_err(|refusal| match bindings.first() {
            Some(first) => refusal.in_file(first),
            None => refusal.to_string(),
        })
    }
}

/// The bindings of config, those of one file together.
pub fn by_file(config: &Config) -> Vec<Vec<PolicyBinding>> {
    let mut files: Vec<&Path> = config.policies.iter().map(|binding| binding.file.as_path()).collect();
    files.sort_unstable();
    files.dedup();
    let of = |file: &Path| config.policies.iter().filter(|binding| binding.file == file).cloned().collect();
    files.into_iter().map(of).collect()
}

fn unit(index: Index, bindings: &[PolicyBinding], live: Loaded) -> Unit {
    let tally = Tally::of(&index.policy, live.digests());
    Unit { index, bindings: bindings.to_vec(), live, tally, previous: None, candidate: None }
}

fn file(bindings: &[PolicyBinding]) -> String {
    bindings.first().map(|binding| binding.file.display().to_string()).unwrap_or_default()
}

/// Whether versions compile to the same under both.
fn same_terms(before: &[PolicyBinding], now: &[PolicyBinding]) -> bool {
    before.len() == now.len()
        && before.iter().zip(now).all(|(b, n)| b.config == n.config && b.grants == n.grants)
}
