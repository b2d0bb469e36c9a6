//! What people and gates ask for. An order answers what is to run; nothing runs until that is handed back.

use super::gate::{self, Gate};
use super::prove::{Cases, Offer, Prover, Step};
use super::record::{BROUGHT_BACK, Ended, Source, Stage};
use super::run::{mark, offered, promoted};
use super::unit::Unit;
use super::{Ship, Units, VERSIONS};
use crate::config::{Config, ShipOptions};
use serde_json::{Value, json};

/// The end of a reason to refuse: nothing was shipped.
const LIVE_ALREADY: &str = "is live already";

/// An order about one policy.
pub enum Order {
    /// A new version.
    Push(Box<Push>),
    /// The next stage, now.
    Promote,
    /// The candidate is taken back.
    Abort,
    /// Another version is live again: the one before, or the one that a digest names.
    Rollback {
        /// A digest, or the beginning of one.
        to: Option<String>,
    },
    /// A candidate that does not run yet.
    Resume,
    /// A gate's word.
    Gate(Gate),
    /// A version's breaker opened.
    Tripped {
        /// Its digest.
        digest: String,
        /// Where.
        hook: &'static str,
    },
}

/// A new version.
pub struct Push {
    /// The script or component.
    pub bytes: Vec<u8>,
    /// Its golden cases.
    pub cases: Option<String>,
    /// Its signature.
    pub signature: Option<String>,
    /// How it goes live; as config says unless set.
    pub options: Option<ShipOptions>,
}

/// Why an order is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum No {
    /// There is no such policy.
    #[error("no policy `{0}` is bound in weir.yaml")]
    Unknown(String),
    /// Not now.
    #[error("{0}")]
    Busy(String),
    /// No: which step, and why.
    #[error("{0}")]
    Refused(String),
}

/// An order that was followed, on copies.
#[derive(Clone)]
pub struct Change {
    /// What is to run.
    pub units: Units,
    /// Whether another pipeline is needed for it.
    pub pipeline: bool,
    /// Whether the live version is another.
    pub live: bool,
    /// Whether that is a rollback, and why.
    pub rollback: Option<&'static str>,
    /// What to answer.
    pub answer: Value,
    /// What to log.
    pub said: String,
}

impl Ship {
    /// Follows an order, on copies.
    ///
    /// # Errors
    /// [`No`]; what runs was not touched.
    pub fn order(&mut self, config: &Config, name: &str, order: Order) -> Result<Change, No> {
        self.crowded = false;
        self.signing.clone_from(&config.signing);
        if !self.units.contains_key(name) {
            return Err(No::Unknown(name.to_owned()));
        }
        match order {
            Order::Push(push) => self.push(config, name, *push),
            Order::Promote => self.promote(name, "promoted"),
            Order::Abort => self.take_back(name, Ended::Aborted, "aborted"),
            Order::Rollback { to } => self.roll_back(name, to.as_deref(), "asked for", "order"),
            Order::Resume => self.start(name),
            Order::Gate(Gate::GoOn) => self.promote(name, "its gates are open"),
            Order::Gate(Gate::TakeBack(why)) => self.take_back(name, Ended::Failed, &why),
            Order::Gate(Gate::Wait(why)) => self.wait(name, why),
            Order::Gate(Gate::Stay) => Err(No::Refused("nothing is to be done".to_owned())),
            Order::Tripped { digest, hook } => self.tripped(name, &digest, hook),
        }
    }

    /// Notes that a push was refused, unless it was of what is live already.
    pub fn refused(&mut self, name: &str, why: &str) {
        if why.ends_with(LIVE_ALREADY) {
            return;
        }
        let Some(unit) = self.units.get_mut(name) else { return };
        unit.index.note(None, Ended::Refused, why);
        if let Err(error) = self.store.save(&unit.index) {
            tracing::error!(policy = name, error = %error, "a refusal could not be remembered");
        }
    }

    fn push(&mut self, config: &Config, name: &str, push: Push) -> Result<Change, No> {
        // No copy: what it holds could not make room.
        let unit = self.running(name)?;
        let options = push.options.unwrap_or_else(|| unit.options());
        let bindings = unit.bindings.clone();
        let stage = gate::next(None, &options);
        let offer = Offer {
            bytes: push.bytes,
            cases: Cases::Text(push.cases),
            signature: push.signature,
            source: Source::Push,
        };
        let proven = Prover { ship: self, config, bindings: &bindings, mark: mark(stage) }.prove(&offer);
        let proven = proven.map_err(|refusal| self.no(refusal.to_string()))?;
        if proven.name() != name {
            return Err(No::Refused(format!("manifest: it is called `{}`, not `{name}`", proven.name())));
        }
        let mut unit = self.known(name)?;
        let steps = proven.steps;
        if proven.version.content == unit.live.version.content {
            return Err(No::Refused(format!(
                "digest: version {} {LIVE_ALREADY}",
                short(&unit.live.version.digest)
            )));
        }
        let version = proven.version;
        if stage == Stage::Live {
            if let Some(old) = unit.index.candidate.take() {
                unit.index.note(Some(old.version), Ended::Replaced, "a newer version went live");
            }
            let loaded = super::unit::Loaded { version, policies: proven.policies };
            promoted(&mut unit, loaded, "pushed");
        } else {
            offered(&mut unit, version, options);
            self.resume(&mut unit).map_err(|why| self.no(why))?;
            // Held until here, so that nothing is compiled twice.
            drop(proven.policies);
        }
        Ok(self.change(unit, stage, &steps, "pushed"))
    }

    fn promote(&mut self, name: &str, why: &str) -> Result<Change, No> {
        let mut unit = self.known(name)?;
        let Some(pending) = unit.index.candidate.clone() else { return Err(no_candidate(name)) };
        let stage = gate::next(Some(pending.stage), &pending.options);
        // It runs on until something takes its place: a later step may still refuse that.
        let shadowed = unit.candidate.take().and_then(|running| running.shadowed());
        if let Some(pending) = unit.index.candidate.as_mut() {
            pending.stage = stage;
            pending.waits = None;
            pending.shadowed = shadowed.or_else(|| pending.shadowed.take());
        }
        if self.alive(name) >= VERSIONS * unit.bindings.len() {
            unit.previous = None;
        }
        let went = match stage {
            Stage::Live => {
                let loaded = self.loaded(&unit.bindings, &unit.index, &pending.version, mark(stage));
                loaded.map(|loaded| promoted(&mut unit, loaded, why))
            }
            _ => self.resume(&mut unit),
        };
        match went {
            Ok(()) => Ok(self.change(unit, stage, &[], why)),
            Err(why) if self.crowded => Err(No::Busy(why)),
            Err(why) => self.take_back(name, Ended::Failed, &why),
        }
    }

    /// Lets a candidate run that config or a start left behind.
    fn start(&mut self, name: &str) -> Result<Change, No> {
        let mut unit = self.known(name)?;
        let Some(stage) = unit.stage() else { return Err(no_candidate(name)) };
        if self.alive(name) >= VERSIONS * unit.bindings.len() {
            unit.previous = None;
        }
        match self.resume(&mut unit) {
            Ok(()) => Ok(self.change(unit, stage, &[], "on its way")),
            Err(why) if self.crowded => Err(No::Busy(why)),
            Err(why) => self.take_back(name, Ended::Failed, &why),
        }
    }

    fn take_back(&mut self, name: &str, how: Ended, why: &str) -> Result<Change, No> {
        let mut unit = self.known(name)?;
        let Some(pending) = unit.index.candidate.take() else { return Err(no_candidate(name)) };
        unit.candidate = None;
        let said = format!("{} as a {}: {why}", short(&pending.version.digest), pending.stage.as_str());
        unit.index.note(Some(pending.version), how, why);
        let answer = json!({ "policy": name, "taken_back": said });
        let units = self.with(unit);
        let said = format!("taken back: {said}");
        Ok(Change { units, pipeline: true, live: false, rollback: None, answer, said })
    }

    fn roll_back(
        &mut self,
        name: &str,
        to: Option<&str>,
        why: &str,
        label: &'static str,
    ) -> Result<Change, No> {
        let (index, bindings) = {
            let unit = self.known(name)?;
            (unit.index, unit.bindings)
        };
        let wanted = match to {
            Some(digest) => index.find(digest).ok_or_else(|| {
                No::Refused(format!(
                    "no version `{digest}` of `{name}` is kept; `weir policy history {name}` lists them"
                ))
            })?,
            None => index.before().ok_or_else(|| {
                No::Refused(format!(
                    "there is no version of `{name}` before the live one to roll back to; `weir policy history {name}` lists those that are kept, and `--to` brings one back"
                ))
            })?,
        };
        if wanted.content == index.live.content {
            return Err(No::Refused(format!("version {} {LIVE_ALREADY}", short(&wanted.digest))));
        }
        let loaded = self.loaded(&bindings, &index, wanted, mark(Stage::Live)).map_err(|why| self.no(why))?;
        let mut unit = self.known(name)?;
        let candidate = unit.index.candidate.take();
        // Whoever names another version says nothing against this one.
        if to.is_none() {
            unit.index.note(Some(unit.live.version.clone()), Ended::RolledBack, why);
        }
        let said = format!("{BROUGHT_BACK}{why}");
        promoted(&mut unit, loaded, &said);
        // Whoever was on its way still is, counted anew against the version that is live now.
        unit.index.candidate =
            candidate.filter(|pending| pending.version.content != unit.live.version.content);
        let change = self.change(unit, Stage::Live, &[], &said);
        Ok(Change { rollback: Some(label), ..change })
    }

    fn wait(&mut self, name: &str, why: String) -> Result<Change, No> {
        let mut unit = self.known(name)?;
        let Some(pending) = unit.index.candidate.as_mut() else { return Err(no_candidate(name)) };
        pending.waits = Some(why.clone());
        let units = self.with(unit);
        let said = format!("waits for a word: {why}");
        Ok(Change { units, pipeline: false, live: false, rollback: None, answer: Value::Null, said })
    }

    fn tripped(&mut self, name: &str, digest: &str, hook: &str) -> Result<Change, No> {
        let unit = self.running(name)?;
        let why = format!("its breaker opened at `{hook}`");
        if unit.is_canary(digest) {
            return self.take_back(name, Ended::Failed, &why);
        }
        if !unit.live.is(digest) {
            return Err(No::Refused("the version is gone already".to_owned()));
        }
        if !unit.is_young() {
            return Err(No::Refused(format!("{why}, but it is not young any more")));
        }
        if unit.index.was_named() {
            return Err(No::Refused(format!("{why}, but a person chose it over the one before it")));
        }
        match self.roll_back(name, None, &why, "breaker") {
            Err(No::Busy(why)) => self.give_way(name, why),
            done => done,
        }
    }

    /// Whoever is on its way makes room for the way back, and runs again once that was gone.
    fn give_way(&self, name: &str, why: String) -> Result<Change, No> {
        let mut unit = self.known(name)?;
        if unit.candidate.take().is_none() {
            return Err(No::Busy(why));
        }
        let (units, said) = (self.with(unit), "its candidate makes room for the way back".to_owned());
        Ok(Change { units, pipeline: true, live: false, rollback: None, answer: Value::Null, said })
    }

    fn running(&self, name: &str) -> Result<&Unit, No> {
        self.units.get(name).ok_or_else(|| No::Unknown(name.to_owned()))
    }

    /// A copy, to be changed.
    fn known(&self, name: &str) -> Result<Unit, No> {
        self.running(name).cloned()
    }

    fn no(&self, why: String) -> No {
        if self.crowded { No::Busy(why) } else { No::Refused(why) }
    }

    fn with(&self, unit: Unit) -> Units {
        let mut units = self.units.clone();
        units.insert(unit.name().to_owned(), unit);
        units
    }

    fn change(&self, unit: Unit, stage: Stage, steps: &[Step], why: &str) -> Change {
        let live = stage == Stage::Live;
        let pending = unit.index.candidate.as_ref().filter(|_| !live);
        let version = pending.map_or(&unit.live.version, |pending| &pending.version);
        let answer = json!({
            "policy": unit.name(),
            "version": super::unit::version(version),
            "stage": stage.as_str(),
            "steps": steps,
        });
        let said = format!("version {} is {}: {why}", short(&version.digest), stage.as_str());
        Change { units: self.with(unit), pipeline: true, live, rollback: None, answer, said }
    }
}

fn no_candidate(name: &str) -> No {
    No::Refused(format!("`{name}` has no version on its way"))
}

/// Enough of a digest for people.
pub fn short(digest: &str) -> &str {
    digest.get(..8).unwrap_or(digest)
}
