//! Metrics of policy calls: found when a version is called for the first time.

use super::meters::Slots;
use super::metrics::Metrics;
use prometheus::{Histogram, IntCounter};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use weir_policy::pipeline::{Call, Seat, Seated, Verdict};
use weir_policy::{FaultKind, Hook};

/// Series of older versions of a policy are forgotten, or every edit of a script would leave some behind for ever.
const VERSIONS_KEPT: usize = 4;

/// Counts calls by policy, version, hook and verdict.
pub struct Policies {
    metrics: Arc<Metrics>,
    /// Held when a version is called for the first time, never by a later call.
    known: Mutex<Vec<Arc<PolicyMeter>>>,
}

/// The seat of a version at a hook. Its series appear with its first call: a version that is never asked pushes none out.
pub struct Counted {
    policies: Arc<Policies>,
    name: Name,
    version: String,
    meter: OnceLock<Arc<PolicyMeter>>,
}

/// What is called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    policy: String,
    /// The first eight characters of the digest of source and config.
    digest: String,
    hook: Hook,
}

impl Policies {
    /// Nothing counted yet.
    pub fn new(metrics: &Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { metrics: Arc::clone(metrics), known: Mutex::default() })
    }

    /// The seat of a version.
    pub fn seat(self: &Arc<Self>, of: Seated<'_>) -> Counted {
        let digest = of.digest.get(..8).unwrap_or(of.digest).to_owned();
        let name = Name { policy: of.policy.to_owned(), digest, hook: of.hook };
        let version = of.version.to_owned();
        Counted { policies: Arc::clone(self), name, version, meter: OnceLock::new() }
    }

    fn meter(&self, name: &Name) -> Arc<PolicyMeter> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = known.iter().find(|meter| meter.name == *name) {
            return Arc::clone(meter);
        }
        let same =
            |meter: &Arc<PolicyMeter>| meter.name.policy == name.policy && meter.name.hook == name.hook;
        // What a seat counts into stays.
        let gone = |meter: &Arc<PolicyMeter>| same(meter) && Arc::strong_count(meter) == 1;
        if known.iter().filter(|meter| same(meter)).count() >= VERSIONS_KEPT
            && let Some(oldest) = known.iter().position(gone)
        {
            known.remove(oldest).forget(&self.metrics);
        }
        let meter = Arc::new(PolicyMeter::new(&self.metrics, name.clone()));
        known.push(Arc::clone(&meter));
        meter
    }
}

impl Seat for Counted {
    fn asked(&self, call: &Call<'_>) {
        let meter = self.meter.get_or_init(|| self.policies.meter(&self.name));
        meter.count(&self.policies.metrics, call.verdict, call.elapsed, call.fault.map(|fault| fault.kind));
        if let Some(fault) = call.fault {
            let (policy, version, hook) = (&*self.name.policy, &*self.version, self.name.hook.as_str());
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

struct PolicyMeter {
    name: Name,
    verdicts: Slots,
    duration: Histogram,
}

impl PolicyMeter {
    fn new(metrics: &Metrics, name: Name) -> Self {
        let duration = metrics.policy.duration.with_label_values(&[&*name.policy, name.hook.as_str()]);
        Self { name, verdicts: Slots::new(Verdict::ALL.len()), duration }
    }

    fn count(&self, metrics: &Metrics, verdict: Verdict, took: Duration, fault: Option<FaultKind>) {
        let verdict = if fault.is_some() { Verdict::Fault } else { verdict };
        self.verdicts.get(verdict as usize, || self.calls(metrics, verdict)).inc();
        if !matches!(verdict, Verdict::BreakerOpen | Verdict::NothingFound) {
            self.duration.observe(took.as_secs_f64());
        }
        if let Some(kind) = fault {
            metrics
                .policy
                .faults
                .with_label_values(&[&*self.name.policy, self.name.hook.as_str(), kind.as_str()])
                .inc();
        }
    }

    fn calls(&self, metrics: &Metrics, verdict: Verdict) -> IntCounter {
        metrics.policy.calls.with_label_values(&self.labels(verdict))
    }

    fn forget(&self, metrics: &Metrics) {
        for verdict in Verdict::ALL {
            // A verdict that was never given has no series: nothing to remove.
            metrics.policy.calls.remove_label_values(&self.labels(verdict)).ok();
        }
    }

    fn labels(&self, verdict: Verdict) -> [&str; 4] {
        [&self.name.policy, &self.name.digest, self.name.hook.as_str(), verdict.as_str()]
    }
}
