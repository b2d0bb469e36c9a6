//! What a version must stand before it is asked anything: digest → signature → grants → compile → config → self-test →
//! coverage → golden cases. Each step may refuse; nothing that runs is touched.

use super::record::{Kind, Source, Version, now_ms};
use super::{Ship, served, signature, store};
use crate::config::{Config, PolicyBinding};
use crate::reload::policies::{self, Compiled, Mark};
use crate::services::check_aliases;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_policy::{Grants, LoadError, Policy, cases, coverage};

/// What the engines say of a self-test that failed: of a script, of a component.
const SELF_TESTS: [&str; 2] = ["self_test failed: ", "the self-test failed: "];
/// What stands before a component's own word about its config, and within what is no word of its own but a fault.
const CONFIGURES: (&str, &str) = ("the component does not start: ", " in policy: ");
/// Steps whose refusals name file and place already, in an engine's words.
const PLACED: [&str; 6] = ["manifest", "grants", "compile", "config", "self-test", "coverage"];

/// What is to become a version.
pub struct Offer {
    /// The script or component.
    pub bytes: Vec<u8>,
    /// Its golden cases.
    pub cases: Cases,
    /// Its signature.
    pub signature: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

/// Golden cases.
pub enum Cases {
    /// A file, if it is there.
    Beside(PathBuf),
    /// Their text, if there is any.
    Text(Option<String>),
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which.
    pub step: &'static str,
    /// What it says.
    pub said: String,
    /// What it took.
    pub ms: u64,
}

/// A version that stood everything.
pub struct Proven {
    /// Which.
    pub version: Version,
    /// Compiled, once per binding.
    pub policies: Vec<Arc<dyn Policy>>,
    /// The steps.
    pub steps: Vec<Step>,
}

/// The step that refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub step: &'static str,
    /// Why, in a sentence.
    pub why: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.step, self.why)
    }
}

impl Refusal {
    /// In a sentence about a binding's file.
    pub fn in_file(self, binding: &PolicyBinding) -> String {
        if PLACED.contains(&self.step) { self.why } else { format!("{}: {self}", binding.file.display()) }
    }
}

impl Proven {
    /// What the policy is called.
    pub fn name(&self) -> &str {
        self.policies.first().map(|policy| policy.manifest().name.as_str()).unwrap_or_default()
    }
}

impl Offer {
    /// What a binding's file offers: its bytes, with cases and signature from beside it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_file(binding: &PolicyBinding) -> Result<Self, LoadError> {
        let bytes = policies::read(binding)?;
        let mut beside = binding.file.clone().into_os_string();
        beside.push(".minisig");
        Ok(Self {
            bytes,
            cases: Cases::Beside(binding.file.with_extension("cases.yaml")),
            signature: std::fs::read_to_string(PathBuf::from(beside)).ok(),
            source: Source::File,
        })
    }
}

/// Where a version is proven.
pub struct Prover<'a> {
    /// Compiles it and keeps its bytes.
    pub ship: &'a mut Ship,
    /// In force, or about to be.
    pub config: &'a Config,
    /// Where it is bound.
    pub bindings: &'a [PolicyBinding],
    /// As what it runs first.
    pub mark: Mark,
}

impl Prover<'_> {
    /// Takes all steps, and keeps what stood them.
    ///
    /// # Errors
    /// The one that refused.
    pub fn prove(&mut self, offer: &Offer) -> Result<Proven, Refusal> {
        let trial = Trial { config: self.config, bindings: self.bindings, offer };
        let (mut steps, policies) =
            trial.until_cases(|source| self.ship.compile(self.bindings, source, self.mark))?;
        let (name, digest, version) = policies.first().map_or_else(Default::default, |policy| {
            let manifest = policy.manifest();
            (manifest.name.clone(), policy.digest().to_owned(), manifest.version.clone())
        });
        let scratch = |text: &str| self.ship.store.scratch(&name, "pushed.cases.yaml", text);
        steps.step("golden cases", || trial.cases(&self.ship.compiled, scratch), Clone::clone)?;
        let kind = Kind::of(&offer.bytes);
        let kept = self.ship.store.put(&name, kind, &offer.bytes);
        let content = kept.map_err(|error| Refusal { step: "store", why: error.to_string() })?;
        let signature = offer.signature.clone();
        let source = offer.source;
        let version =
            Version { content, digest, version, engine: kind, source, came_ms: now_ms(), signature };
        Ok(Proven { version, policies, steps: steps.0 })
    }
}

/// Takes all steps with a file, and keeps nothing: what `weir check` asks. The policy's name.
///
/// # Errors
/// The one that refused.
pub fn rehearse(
    compiled: &mut Compiled,
    config: &Config,
    bindings: &[PolicyBinding],
) -> Result<String, String> {
    let Some(first) = bindings.first() else { return Err("it is bound nowhere".to_owned()) };
    let offer = Offer::of_file(first).map_err(|error| error.to_string())?;
    let trial = Trial { config, bindings, offer: &offer };
    let compile = |source: policies::Source<'_>| {
        let versions = bindings.iter().map(|binding| compiled.version(binding, source, Mark::Real));
        versions.collect::<Result<_, _>>().map_err(|error: LoadError| error.to_string())
    };
    let proven = trial.until_cases(compile).and_then(|(mut steps, policies)| {
        // A file's cases lie beside it: there is nothing to be written for them.
        let nowhere = |_: &str| Err(std::io::Error::from(std::io::ErrorKind::Unsupported));
        steps.step("golden cases", || trial.cases(compiled, nowhere), Clone::clone)?;
        Ok(policies.first().map(|policy| policy.manifest().name.clone()).unwrap_or_default())
    });
    proven.map_err(|refusal| refusal.in_file(first))
}

/// One offer under one config.
struct Trial<'a> {
    config: &'a Config,
    bindings: &'a [PolicyBinding],
    offer: &'a Offer,
}

impl Trial<'_> {
    /// Digest, signature, grants, code, config, self-test and coverage, for every binding.
    fn until_cases(
        &self,
        compile: impl FnOnce(policies::Source<'_>) -> Result<Vec<Arc<dyn Policy>>, String>,
    ) -> Result<(Steps, Vec<Arc<dyn Policy>>), Refusal> {
        let mut steps = Steps::default();
        steps.step("digest", || Ok(store::content(&self.offer.bytes)), Clone::clone)?;
        let (signing, signature) = (&self.config.signing, self.offer.signature.as_deref());
        let signed = || signature::check(signing, &self.offer.bytes, signature);
        steps.step("signature", signed, |said| (*said).to_owned())?;
        let policies = self.compiled(&mut steps, compile)?;
        steps.step("coverage", || self.covered(&policies), |()| "whole".to_owned())?;
        Ok((steps, policies))
    }

    /// An engine takes these steps in one go, and its error says what is wrong, not which of them refused.
    fn compiled(
        &self,
        steps: &mut Steps,
        compile: impl FnOnce(policies::Source<'_>) -> Result<Vec<Arc<dyn Policy>>, String>,
    ) -> Result<Vec<Arc<dyn Policy>>, Refusal> {
        let began = Instant::now();
        let compiled = compile(self.source());
        let policies = compiled.map_err(|why| Refusal { step: self.refusing(&why), why })?;
        let Some(policy) = policies.first() else {
            return Err(Refusal { step: "compile", why: "it is bound nowhere".to_owned() });
        };
        let manifest = policy.manifest();
        let granted: Vec<&str> = manifest.capabilities.iter().map(|capability| capability.as_str()).collect();
        let granted = if granted.is_empty() { "nothing is asked for".to_owned() } else { granted.join(", ") };
        let config = if manifest.config_schema.is_some() { "fits" } else { "none is taken" };
        steps.note("grants", granted, Duration::ZERO);
        steps.note("compile", format!("{} {}", manifest.name, manifest.version), began.elapsed());
        steps.note("config", config.to_owned(), Duration::ZERO);
        steps.note("self-test", "passed".to_owned(), Duration::ZERO);
        Ok(policies)
    }

    /// The step that refused, found by taking those anew that need no engine.
    fn refusing(&self, why: &str) -> &'static str {
        if let Some(step) = said_by_the_policy(why) {
            return step;
        }
        let file = self.file();
        let Ok(manifest) = policies::manifest(&file, self.source()) else { return "manifest" };
        let aliases: Vec<String> = self.config.http.iter().map(|alias| alias.name.clone()).collect();
        let granted = |binding: &PolicyBinding| {
            manifest.capabilities.iter().all(|asked| binding.grants.contains(asked))
        };
        if !self.bindings.iter().all(granted) || check_aliases(&file, &manifest, &aliases).is_err() {
            return "grants";
        }
        let fits = |binding: &PolicyBinding| manifest.check_config(&file, &binding.config).is_ok();
        if self.bindings.iter().all(fits) { "compile" } else { "config" }
    }

    fn covered(&self, policies: &[Arc<dyn Policy>]) -> Result<(), String> {
        for (policy, binding) in policies.iter().zip(self.bindings) {
            let mut served = served::surfaces(self.config, binding);
            served.retain(|surface| !binding.except.contains(surface));
            coverage::check(policy.manifest(), &served).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The cases bring their own config and a host of their own: nothing that they do leaves a mark. `scratch` writes
    /// those that came as text.
    fn cases<E: std::fmt::Display>(
        &self,
        compiled: &Compiled,
        scratch: impl FnOnce(&str) -> Result<PathBuf, E>,
    ) -> Result<String, String> {
        match &self.offer.cases {
            Cases::Beside(path) if path.exists() => self.run(path, compiled),
            Cases::Beside(_) | Cases::Text(None) => Ok("none".to_owned()),
            Cases::Text(Some(text)) => {
                let path = scratch(text).map_err(|error| error.to_string())?;
                let report = self.run(&path, compiled);
                // What cannot be removed is written over by the next push.
                let _ = std::fs::remove_file(path);
                report
            }
        }
    }

    fn run(&self, path: &Path, compiled: &Compiled) -> Result<String, String> {
        let file = self.file();
        let compile = |config: &serde_json::Value, grants: &Grants| {
            let config = if config.is_null() { serde_json::json!({}) } else { config.clone() };
            compiled.fresh(&file, self.source(), &config, grants)
        };
        let report = cases::run_with(path, &compile).map_err(|error| error.to_string())?;
        if report.is_ok() { Ok(format!("{} pass", report.passed)) } else { Err(report.to_string()) }
    }

    fn source(&self) -> policies::Source<'_> {
        policies::Source { engine: Kind::of(&self.offer.bytes).engine(), bytes: &self.offer.bytes }
    }

    fn file(&self) -> String {
        self.bindings.first().map(|binding| binding.file.display().to_string()).unwrap_or_default()
    }
}

/// The step at which a policy itself said no.
fn said_by_the_policy(why: &str) -> Option<&'static str> {
    if SELF_TESTS.iter().any(|said| why.contains(said)) {
        return Some("self-test");
    }
    let said = why.split_once(CONFIGURES.0).map(|(_, said)| said);
    said.is_some_and(|said| !said.contains(CONFIGURES.1)).then_some("config")
}

#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    fn step<T>(
        &mut self,
        step: &'static str,
        take: impl FnOnce() -> Result<T, String>,
        said: impl FnOnce(&T) -> String,
    ) -> Result<T, Refusal> {
        let began = Instant::now();
        let taken = take().map_err(|why| Refusal { step, why })?;
        self.note(step, said(&taken), began.elapsed());
        Ok(taken)
    }

    fn note(&mut self, step: &'static str, said: String, took: Duration) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.0.push(Step { step, said, ms });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_policy::{Fault, FaultKind};

    #[test]
    fn a_components_word_is_told_from_its_fault() {
        assert_eq!(said_by_the_policy("p.wasm: the self-test failed: two is not one"), Some("self-test"));
        assert_eq!(said_by_the_policy("p.rhai:3:1: self_test failed: two is not one"), Some("self-test"));
        assert_eq!(said_by_the_policy("p.wasm: the component does not start: no such floor"), Some("config"));
        let fault = Fault::new(FaultKind::Trap, "unreachable");
        assert_eq!(said_by_the_policy(&format!("p.wasm: the component does not start: {fault}")), None);
        assert_eq!(said_by_the_policy("p.wasm: the component does not compile: no"), None);
    }
}
