//! Versions as they run: compiled, in shadow, as canaries, live. No more than a few of one policy are held at a time.

use super::gate;
use super::order::short;
use super::record::{Ended, Index, Pending, Stage, Version, now_ms};
use super::shadow::{Shadowing, Versions};
use super::signature;
use super::tally::Tally;
use super::unit::{Candidate, Loaded, Running, Unit};
use super::{Ship, VERSIONS};
use crate::config::{PolicyBinding, ShipOptions};
use crate::reload::policies::{Mark, Source};
use std::sync::Arc;
use std::time::Instant;
use weir_policy::{Capability, Policy};

impl Ship {
    /// Compiles a version, once per binding; no more of them are held at a time than [`VERSIONS`].
    ///
    /// # Errors
    /// The bytes are no policy under these bindings, or too many versions are still in use.
    pub(super) fn compile(
        &mut self,
        bindings: &[PolicyBinding],
        source: Source<'_>,
        mark: Mark,
    ) -> Result<Vec<Arc<dyn Policy>>, String> {
        let versions = bindings.iter().map(|binding| self.compiled.version(binding, source, mark));
        let policies: Vec<_> = versions.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let name = policies.first().map(|policy| policy.manifest().name.clone()).unwrap_or_default();
        let room = VERSIONS * bindings.len();
        self.make_room(&name, room);
        if self.alive(&name) > room {
            self.crowded = true;
            return Err(format!(
                "{VERSIONS} compiled versions of `{name}` are held by requests under way, and none of them is cut: this one waits until one is done"
            ));
        }
        Ok(policies)
    }

    /// Lets go what can be had again: the way back costs a compilation then, and a shadow begins anew if nothing takes
    /// its place.
    fn make_room(&mut self, name: &str, room: usize) {
        if self.alive(name) > room
            && let Some(unit) = self.units.get_mut(name)
        {
            unit.previous = None;
        }
        if self.alive(name) > room
            && let Some(unit) = self.units.get_mut(name)
            && matches!(&unit.candidate, Some(Candidate { kind: Running::Shadow(_), .. }))
            && let Some(candidate) = unit.candidate.take()
        {
            candidate.end();
        }
    }

    /// A version that was proven before, from its bytes; signed as config asks now, whatever it asked then.
    pub(super) fn loaded(
        &mut self,
        bindings: &[PolicyBinding],
        index: &Index,
        version: &Version,
        mark: Mark,
    ) -> Result<Loaded, String> {
        let bytes = self.signed(&index.policy, version)?;
        let source = Source { engine: version.engine.engine(), bytes: &bytes };
        let policies = self.compile(bindings, source, mark)?;
        let mut version = version.clone();
        if let Some(policy) = policies.first() {
            // Another config makes another digest of the same bytes.
            policy.digest().clone_into(&mut version.digest);
        }
        Ok(Loaded { version, policies })
    }

    /// The bytes of a version that is signed as config asks now.
    pub(super) fn signed(&self, policy: &str, version: &Version) -> Result<Vec<u8>, String> {
        let bytes = self.store.bytes(policy, version).map_err(|error| error.to_string())?;
        signature::check(&self.signing, &bytes, version.signature.as_deref())
            .map_err(|why| unsigned(policy, version, &why))?;
        Ok(bytes)
    }

    /// Lets the candidate run at its stage, counted anew.
    pub(super) fn resume(&mut self, unit: &mut Unit) -> Result<(), String> {
        unit.candidate = None;
        let Some(pending) = unit.index.candidate.clone() else { return Ok(()) };
        let loaded = self.loaded(&unit.bindings, &unit.index, &pending.version, mark(pending.stage))?;
        let kind = match pending.stage {
            Stage::Shadow => Running::Shadow(self.shadows(unit, &loaded)?),
            Stage::Canary => Running::Canary {
                share: pending.options.canary.map_or(0, |canary| canary.share),
                tally: Tally::of(unit.name(), loaded.digests()),
                live: Tally::of(unit.name(), unit.live.digests()),
                loaded,
            },
            Stage::Live => return Ok(()),
        };
        unit.candidate = Some(Candidate { kind, since: Instant::now() });
        Ok(())
    }

    fn shadows(&mut self, unit: &mut Unit, candidate: &Loaded) -> Result<Vec<Arc<Shadowing>>, String> {
        let stateful = unit.live.policies.iter().any(|policy| {
            let asks = |capability| policy.manifest().asks_for(capability);
            asks(Capability::Kv) || asks(Capability::Http) || asks(Capability::Telemetry)
        });
        // The live version is asked again for examples: one that leaves marks gets a twin that leaves none.
        let live = if stateful {
            unit.previous = None;
            self.loaded(&unit.bindings, &unit.index, &unit.live.version, Mark::None)?
        } else {
            unit.live.clone()
        };
        let pairs = live.policies.iter().zip(&candidate.policies);
        let started = pairs.map(|(live, candidate)| {
            let versions = Versions { live: Arc::clone(live), candidate: Arc::clone(candidate) };
            Shadowing::start(versions).map_err(|error| format!("no thread for a shadow: {error}"))
        });
        started.collect()
    }
}

fn unsigned(policy: &str, version: &Version, why: &str) -> String {
    let (digest, version) = (short(&version.digest), &version.version);
    format!(
        "version {version} ({digest}) of `{policy}` is not signed as `signing` of weir.yaml asks: {why}. Sign its file with `minisign -S -m FILE` and ship it again with `weir policy push FILE`, or name its key in `signing.keys`"
    )
}

/// A version is on its way; it runs when [`Ship::resume`] lets it.
pub(super) fn offered(unit: &mut Unit, version: Version, options: ShipOptions) {
    if let Some(old) = unit.index.candidate.take() {
        unit.index.note(Some(old.version), Ended::Replaced, "a newer candidate came");
    }
    let stage = gate::next(None, &options);
    unit.candidate = None;
    unit.index.candidate = Some(Pending { version, stage, options, waits: None, shadowed: None });
}

/// A version takes the place of the live one.
pub(super) fn promoted(unit: &mut Unit, loaded: Loaded, why: &str) {
    let old = std::mem::replace(&mut unit.live, loaded);
    unit.previous = (old.version.content != unit.live.version.content).then_some(old);
    unit.tally = Tally::of(unit.name(), unit.live.digests());
    unit.candidate = None;
    unit.index.candidate = None;
    unit.index.live = unit.live.version.clone();
    unit.index.live_since_ms = now_ms();
    unit.index.note(Some(unit.live.version.clone()), Ended::Live, why);
}

/// Whether a version at a stage leaves marks.
pub(super) const fn mark(stage: Stage) -> Mark {
    match stage {
        Stage::Shadow => Mark::None,
        Stage::Canary | Stage::Live => Mark::Real,
    }
}
