//! Metrics of policy calls: found by comparing a handful of names, not by hashing labels.

use super::meters::Slots;
use super::metrics::Metrics;
use arc_swap::ArcSwap;
use prometheus::{Histogram, IntCounter};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use weir_policy::pipeline::{Call, NOTHING_FOUND, Observer, VERDICTS};
use weir_policy::{FaultKind, Hook};

/// What a verdict that is none of the contract's counts as.
const OTHER: &str = "other";
const NOT_ASKED: &str = "breaker-open";
/// Series of older versions of a policy are forgotten, or every edit of a script would leave some behind for ever.
const VERSIONS_KEPT: usize = 4;

/// Counts calls by policy, version, hook and verdict.
pub struct Policies {
    metrics: Arc<Metrics>,
    known: ArcSwap<Vec<Arc<PolicyMeter>>>,
    adding: Mutex<()>,
}

impl Policies {
    /// Nothing counted yet.
    pub fn new(metrics: &Arc<Metrics>) -> Self {
        Self { metrics: Arc::clone(metrics), known: ArcSwap::default(), adding: Mutex::default() }
    }

    /// Counts one call. `version` is the digest; its first eight characters become the label. `verdict` is the name of
    /// the WIT case; an unknown one counts as `other`, and a fault as `fault` whatever it says.
    pub fn called(&self, name: CallName<'_>, verdict: &str, took: Duration, fault: Option<FaultKind>) {
        let name = CallName { version: name.version.get(..8).unwrap_or(name.version), ..name };
        let known = self.known.load();
        let Some(meter) = known.iter().find(|meter| meter.is(name)) else {
            drop(known);
            return self.add(name).count(&self.metrics, verdict, took, fault);
        };
        meter.count(&self.metrics, verdict, took, fault);
    }

    fn add(&self, name: CallName<'_>) -> Arc<PolicyMeter> {
        let _one_at_a_time = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = Vec::clone(&self.known.load());
        if let Some(meter) = known.iter().find(|meter| meter.is(name)) {
            return Arc::clone(meter);
        }
        let same = |meter: &Arc<PolicyMeter>| meter.policy == name.policy && meter.hook == name.hook;
        if known.iter().filter(|meter| same(meter)).count() >= VERSIONS_KEPT
            && let Some(oldest) = known.iter().position(same)
        {
            known.remove(oldest).forget(&self.metrics);
        }
        let meter = Arc::new(PolicyMeter::new(&self.metrics, name));
        known.push(Arc::clone(&meter));
        self.known.store(Arc::new(known));
        meter
    }
}

impl Observer for Policies {
    fn asked(&self, call: &Call<'_>) {
        let name = CallName { policy: call.policy, version: call.digest, hook: call.hook };
        self.called(name, call.verdict, call.elapsed, call.fault.map(|fault| fault.kind));
        if let Some(fault) = call.fault {
            let (policy, version, hook) = (call.policy, call.version, call.hook.as_str());
            // A fault's message names what the engine refused; the contract keeps content out of it. The excerpt is the
            // author's source.
            tracing::warn!(
                request_id = call.request_id, policy, version, hook, kind = fault.kind.as_str(), error = %fault.message,
                place = fault.place.as_deref(), excerpt = fault.excerpt.as_deref(), hint = fault.kind.hint(),
                breaker_opened = call.breaker_opened, "a policy failed"
            );
        }
    }
}

/// What was called.
#[derive(Debug, Clone, Copy)]
pub struct CallName<'a> {
    /// The policy's name, from its manifest.
    pub policy: &'a str,
    /// Digest of source and config.
    pub version: &'a str,
    /// Which hook.
    pub hook: Hook,
}

struct PolicyMeter {
    policy: String,
    version: String,
    hook: Hook,
    verdicts: Slots,
    duration: Histogram,
}

impl PolicyMeter {
    fn new(metrics: &Metrics, name: CallName<'_>) -> Self {
        Self {
            policy: name.policy.into(),
            version: name.version.into(),
            hook: name.hook,
            verdicts: Slots::new(VERDICTS.len() + 1),
            duration: metrics.policy.duration.with_label_values(&[name.policy, name.hook.as_str()]),
        }
    }

    fn is(&self, name: CallName<'_>) -> bool {
        self.hook == name.hook && self.version == name.version && self.policy == name.policy
    }

    fn count(&self, metrics: &Metrics, verdict: &str, took: Duration, fault: Option<FaultKind>) {
        let verdict = if fault.is_some() { "fault" } else { verdict };
        let slot = VERDICTS.iter().position(|known| *known == verdict).unwrap_or(VERDICTS.len());
        self.verdicts.get(slot, || self.calls(metrics, slot)).inc();
        if verdict != NOT_ASKED && verdict != NOTHING_FOUND {
            self.duration.observe(took.as_secs_f64());
        }
        if let Some(kind) = fault {
            metrics
                .policy
                .faults
                .with_label_values(&[&*self.policy, self.hook.as_str(), kind.as_str()])
                .inc();
        }
    }

    fn calls(&self, metrics: &Metrics, slot: usize) -> IntCounter {
        let verdict = VERDICTS.get(slot).copied().unwrap_or(OTHER);
        metrics.policy.calls.with_label_values(&self.labels(verdict))
    }

    fn forget(&self, metrics: &Metrics) {
        for verdict in VERDICTS.into_iter().chain([OTHER]) {
            // A verdict that was never given has no series: nothing to remove.
            metrics.policy.calls.remove_label_values(&self.labels(verdict)).ok();
        }
    }

    fn labels<'a>(&'a self, verdict: &'a str) -> [&'a str; 4] {
        [&self.policy, &self.version, self.hook.as_str(), verdict]
    }
}
