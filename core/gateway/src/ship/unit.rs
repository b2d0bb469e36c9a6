//! A policy as it runs: the live version, the one before it, and the one on its way.

use super::record::{Index, Stage, Version, now_ms};
use super::shadow::Shadowing;
use super::tally::Tally;
use crate::config::{PolicyBinding, ShipOptions};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_policy::Policy;
use weir_policy::pipeline::{Bound, Canary, Shadow};

/// One policy. A copy is a handful of pointers, so that a change that fails leaves no trace.
#[derive(Clone)]
pub struct Unit {
    /// What is remembered of it.
    pub index: Index,
    /// Where config binds it, in order: the same file with a config each.
    pub bindings: Vec<PolicyBinding>,
    /// What decides.
    pub live: Loaded,
    /// What is counted of it.
    pub tally: Arc<Tally>,
    /// What decided before, kept for a quick way back as long as there is room.
    pub previous: Option<Loaded>,
    /// What is on its way.
    pub candidate: Option<Candidate>,
}

/// A compiled version, once per binding.
#[derive(Clone)]
pub struct Loaded {
    /// Which.
    pub version: Version,
    /// In the order of the bindings.
    pub policies: Vec<Arc<dyn Policy>>,
}

/// A version on its way, at a stage.
#[derive(Clone)]
pub struct Candidate {
    /// How.
    pub kind: Running,
    /// Since when.
    pub since: Instant,
}

/// How a candidate runs.
#[derive(Clone)]
pub enum Running {
    /// In shadow, once per binding.
    Shadow(Vec<Arc<Shadowing>>),
    /// For some keys, with what is counted of it and of the live version since.
    Canary {
        /// Compiled.
        loaded: Loaded,
        /// Of 10,000 buckets.
        share: u16,
        /// Counts of the candidate.
        tally: Arc<Tally>,
        /// Counts of the live version in the same time.
        live: Arc<Tally>,
    },
}

impl Loaded {
    /// What the engine calls its versions.
    pub fn digests(&self) -> Vec<String> {
        self.policies.iter().map(|policy| policy.digest().to_owned()).collect()
    }

    /// Whether a digest is one of its versions'.
    pub fn is(&self, digest: &str) -> bool {
        self.policies.iter().any(|policy| policy.digest() == digest)
    }
}

impl Unit {
    /// The name in metrics and paths.
    pub fn name(&self) -> &str {
        &self.index.policy
    }

    /// How versions go live here.
    pub fn options(&self) -> ShipOptions {
        self.bindings.iter().find_map(|binding| binding.ship).unwrap_or_default()
    }

    /// The binding as the pipeline takes it, but for what is served.
    pub fn bound(&self, at: usize) -> Option<Bound> {
        let mut bound = Bound::everywhere(Arc::clone(self.live.policies.get(at)?));
        bound.models.clone_from(&self.bindings.get(at)?.models);
        bound.except.clone_from(&self.bindings.get(at)?.except);
        match self.candidate.as_ref().map(|candidate| &candidate.kind) {
            Some(Running::Shadow(shadows)) => {
                bound.shadow = shadows.get(at).map(|shadow| Arc::clone(shadow) as Arc<dyn Shadow>);
            }
            Some(Running::Canary { loaded, share, .. }) => {
                let policy = loaded.policies.get(at).map(Arc::clone);
                bound.canary = policy.map(|policy| Canary { policy, share: *share });
            }
            None => {}
        }
        Some(bound)
    }

    /// What is to be watched of it.
    pub fn tallies(&self) -> Vec<Arc<Tally>> {
        let mut watched = vec![Arc::clone(&self.tally)];
        if let Some(Candidate { kind: Running::Canary { tally, live, .. }, .. }) = &self.candidate {
            watched.extend([Arc::clone(tally), Arc::clone(live)]);
        }
        watched
    }

    /// Whether a digest is the canary's.
    pub fn is_canary(&self, digest: &str) -> bool {
        let running = self.candidate.as_ref().map(|candidate| &candidate.kind);
        matches!(running, Some(Running::Canary { loaded, .. }) if loaded.is(digest))
    }

    /// Whether the live version is so young that a failure is its own.
    pub fn is_young(&self) -> bool {
        let window = u64::try_from(self.options().rollback_window.as_millis()).unwrap_or(u64::MAX);
        now_ms().saturating_sub(self.index.live_since_ms) < window
    }

    /// How far the candidate is.
    pub fn stage(&self) -> Option<Stage> {
        self.index.candidate.as_ref().map(|pending| pending.stage)
    }

    /// For the admin API, all that is known.
    pub fn json(&self, compiled: usize) -> Value {
        let mut shown = json!({
            "policy": self.name(),
            "file": self.index.file,
            "live": version(&self.live.version),
            "live_since_ms": self.index.live_since_ms,
            "young": self.is_young(),
            "calls": self.tally.json(),
            "before": self.index.before().map(version),
            "compiled_versions": compiled,
            "candidate": Value::Null,
        });
        if let Some(pending) = &self.index.candidate {
            let mut candidate = version(&pending.version);
            candidate["stage"] = pending.stage.as_str().into();
            candidate["waits"] = json!(pending.waits);
            candidate["options"] = options(&pending.options);
            candidate["shadow"] = pending.shadowed.clone().unwrap_or_default();
            if let Some(running) = &self.candidate {
                candidate["stage_seconds"] = running.since.elapsed().as_secs().into();
                running.add(&mut candidate);
            }
            shown["candidate"] = candidate;
        }
        shown
    }
}

impl Candidate {
    /// What a shadow found so far; `None` for a canary.
    pub fn shadowed(&self) -> Option<Value> {
        let Running::Shadow(shadows) = &self.kind else { return None };
        let mut reports: Vec<Value> = shadows.iter().map(|shadow| shadow.json()).collect();
        Some(if reports.len() == 1 { reports.remove(0) } else { json!({ "bindings": reports }) })
    }

    /// Ends the threads of its shadows.
    pub fn end(&self) {
        if let Running::Shadow(shadows) = &self.kind {
            shadows.iter().for_each(|shadow| shadow.end());
        }
    }

    fn add(&self, shown: &mut Value) {
        match &self.kind {
            Running::Shadow(_) => shown["shadow"] = self.shadowed().unwrap_or_default(),
            Running::Canary { share, tally, live, .. } => {
                let share = super::report::percent_text(u64::from(*share));
                shown["canary"] = json!({ "share": share, "candidate": tally.json(), "live": live.json() });
            }
        }
    }
}

/// A version for the admin API.
pub fn version(version: &Version) -> Value {
    json!({
        "digest": version.digest,
        "content": version.content,
        "version": version.version,
        "engine": version.engine,
        "source": version.source,
        "came_ms": version.came_ms,
        "signed": version.signature.is_some(),
    })
}

fn options(options: &ShipOptions) -> Value {
    let span = |span: Option<Duration>| span.map(|span| format!("{}s", span.as_secs()));
    let percent = |parts: u16| super::report::percent_text(u64::from(parts));
    json!({
        "shadow": options.shadow.map(|shadow| json!({ "requests": shadow.requests, "for": span(shadow.span) })),
        "canary": options.canary.map(|canary| json!({ "share": percent(canary.share), "for": span(canary.span) })),
        "max_changed": percent(options.max_changed),
    })
}
