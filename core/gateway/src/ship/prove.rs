//! What a version must stand before it is asked anything: digest → signature → grants, compile, config, self-test →
//! coverage → golden cases. Each step may refuse; nothing that runs is touched.

use super::record::{Kind, Source, Version, now_ms};
use super::{Ship, served, signature, store};
use crate::config::{Config, PolicyBinding};
use crate::reload::policies::{self, Mark};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use weir_policy::{Grants, LoadError, Policy, cases, coverage};

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
    /// Takes all steps.
    ///
    /// # Errors
    /// The one that refused.
    pub fn prove(&mut self, offer: &Offer) -> Result<Proven, Refusal> {
        let mut steps = Steps::default();
        let kind = Kind::of(&offer.bytes);
        let content = steps.step("digest", || Ok(store::content(&offer.bytes)), Clone::clone)?;
        let signed = || signature::check(&self.config.signing, &offer.bytes, offer.signature.as_deref());
        steps.step("signature", signed, |said| (*said).to_owned())?;
        let source = policies::Source { engine: kind.engine(), bytes: &offer.bytes };
        // Manifest, grants, code, config and self-test, for every binding.
        let compile = || self.ship.compile(self.bindings, source, self.mark);
        let policies = steps.step("compile", compile, |policies| compiled_text(policies))?;
        let covered = || self.covered(&policies);
        steps.step("coverage", covered, |()| "whole".to_owned())?;
        let Some(policy) = policies.first() else {
            return Err(Refusal { step: "compile", why: "it is bound nowhere".to_owned() });
        };
        let name = policy.manifest().name.clone();
        steps.step("golden cases", || self.cases(&name, offer, source), Clone::clone)?;
        let kept = self.ship.store.put(&name, kind, &offer.bytes);
        kept.map_err(|error| Refusal { step: "store", why: error.to_string() })?;
        let version = Version {
            content,
            digest: policy.digest().to_owned(),
            version: policy.manifest().version.clone(),
            engine: kind,
            source: offer.source,
            came_ms: now_ms(),
        };
        Ok(Proven { version, policies, steps: steps.0 })
    }

    fn covered(&self, policies: &[Arc<dyn Policy>]) -> Result<(), String> {
        for (policy, binding) in policies.iter().zip(self.bindings) {
            let mut served = served::surfaces(self.config, binding);
            served.retain(|surface| !binding.except.contains(surface));
            coverage::check(policy.manifest(), &served).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The cases bring their own config and a host of their own: nothing that they do leaves a mark.
    fn cases(&self, name: &str, offer: &Offer, source: policies::Source<'_>) -> Result<String, String> {
        match &offer.cases {
            Cases::Beside(path) if path.exists() => self.run(path, source),
            Cases::Beside(_) | Cases::Text(None) => Ok("none".to_owned()),
            Cases::Text(Some(text)) => {
                let path =
                    self.ship.store.scratch(name, "pushed.cases.yaml", text).map_err(|e| e.to_string())?;
                let report = self.run(&path, source);
                // What cannot be removed is written over by the next push.
                let _ = std::fs::remove_file(path);
                report
            }
        }
    }

    fn run(&self, path: &Path, source: policies::Source<'_>) -> Result<String, String> {
        let file =
            self.bindings.first().map(|binding| binding.file.display().to_string()).unwrap_or_default();
        let compile = |config: &serde_json::Value, grants: &Grants| {
            let config = if config.is_null() { serde_json::json!({}) } else { config.clone() };
            self.ship.compiled.fresh(&file, source, &config, grants)
        };
        let report = cases::run_with(path, &compile).map_err(|error| error.to_string())?;
        if report.is_ok() { Ok(format!("{} pass", report.passed)) } else { Err(report.to_string()) }
    }
}

fn compiled_text(policies: &[Arc<dyn Policy>]) -> String {
    policies.first().map_or_else(String::new, |policy| {
        let manifest = policy.manifest();
        format!("{} {}", manifest.name, manifest.version)
    })
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
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.push(Step { step, said: said(&taken), ms });
        Ok(taken)
    }
}
