//! One policy at one hook: whom it concerns, and which of its versions is asked.

use super::breaker::{Breaker, BreakerSettings};
use super::observer::{Observer, Seat, Seated};
use super::{PolicyId, Refused, TraceLine, Verdict, policy_failed};
use crate::coverage;
use crate::head::Head;
use crate::manifest::{FailureMode, Hook, Surface, When, covers};
use crate::policy::{Fault, LoadError, Policy};
use crate::question::{Answer, Question};
use crate::request::RequestView;
use crate::verdict::{Deny, Summary};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A policy as config binds it.
#[derive(Clone)]
pub struct Bound {
    /// Compiled and configured.
    pub policy: Arc<dyn Policy>,
    /// The model names it is asked about (a trailing `*` matches any rest); all if absent.
    pub models: Option<Vec<String>>,
    /// What is served where it is bound.
    pub served: Vec<Surface>,
    /// What the operator lets pass it unseen.
    pub except: Vec<Surface>,
    /// A version that takes part of the traffic.
    pub canary: Option<Canary>,
    /// A version that is told of every question and decides nothing.
    pub shadow: Option<Arc<dyn Shadow>>,
}

/// A version that is asked in place of the live one for some keys.
#[derive(Clone)]
pub struct Canary {
    /// Compiled and configured.
    pub policy: Arc<dyn Policy>,
    /// Of 10,000 buckets.
    pub share: u16,
}

/// Told of every question and of what the live version answered, in the thread of the exchange: be quick.
pub trait Shadow: Send + Sync {
    /// As [`Policy::reads_headers`].
    fn reads_headers(&self) -> bool {
        true
    }

    /// As [`Policy::reads_warmth`].
    fn reads_warmth(&self) -> bool {
        true
    }

    /// A question was answered.
    fn asked(&self, question: Question, live: &Result<Answer, Fault>, took: Duration);
}

impl Bound {
    /// A policy that is bound to every model and every surface.
    #[must_use]
    pub fn everywhere(policy: Arc<dyn Policy>) -> Self {
        let served = Surface::ALL.to_vec();
        Self { policy, models: None, served, except: Vec::new(), canary: None, shadow: None }
    }

    /// The coverage proof, for every version that decides.
    pub(super) fn check(&self) -> Result<(), LoadError> {
        let served: Vec<Surface> =
            self.served.iter().copied().filter(|surface| !self.except.contains(surface)).collect();
        coverage::check(self.policy.manifest(), &served)?;
        self.canary.as_ref().map_or(Ok(()), |canary| coverage::check(canary.policy.manifest(), &served))
    }
}

/// One version of a policy at one hook.
pub(super) struct Version {
    pub(super) policy: Arc<dyn Policy>,
    pub(super) version: Arc<str>,
    pub(super) failure: FailureMode,
    pub(super) breaker: Arc<Breaker>,
    /// Where its calls are told.
    pub(super) seat: Option<Arc<dyn Seat>>,
    has: bool,
    shared: bool,
    /// What heads decide of the manifest's `when`.
    when: Option<Box<When>>,
    /// A bit for each surface that the manifest names.
    surfaces: u16,
}

pub(super) struct Stage {
    pub(super) id: PolicyId,
    pub(super) name: Arc<str>,
    pub(super) hook: Hook,
    pub(super) shadow: Option<Arc<dyn Shadow>>,
    models: Option<Vec<String>>,
    live: Version,
    canary: Option<Box<(u16, Version)>>,
}

impl Version {
    fn new(policy: &Arc<dyn Policy>, hook: Hook, breaker: BreakerSettings, now: Instant) -> Self {
        let manifest = policy.manifest();
        Self {
            policy: Arc::clone(policy),
            version: manifest.version.as_str().into(),
            failure: manifest.failure_mode(hook),
            breaker: Arc::new(Breaker::new(breaker, now)),
            seat: None,
            has: manifest.has(hook),
            shared: manifest.shared,
            when: manifest.when.as_ref().filter(|when| when.looks_at_heads()).cloned().map(Box::new),
            surfaces: manifest.surfaces.iter().map(|surface| bit(*surface)).fold(0, |all, one| all | one),
        }
    }

    /// A policy whose instances serve several organisations never learns who asks.
    pub(super) fn view_for(&self, view: &Arc<RequestView>) -> Arc<RequestView> {
        if self.shared { Arc::new(view.anonymous()) } else { Arc::clone(view) }
    }

    fn concerns(&self, head: &Head, bytes: u64) -> bool {
        self.has
            && self.surfaces & bit(Surface::of(head.api, head.stream)) != 0
            && self.when.as_ref().is_none_or(|when| when.holds(head, bytes))
    }
}

const fn bit(surface: Surface) -> u16 {
    1 << surface as u16
}

impl Stage {
    /// `None`: no version of the policy has this hook.
    pub(super) fn new(
        id: PolicyId,
        bound: &Bound,
        hook: Hook,
        breaker: BreakerSettings,
        now: Instant,
    ) -> Option<Self> {
        let live = Version::new(&bound.policy, hook, breaker, now);
        let canary = bound.canary.as_ref();
        let canary =
            canary.map(|canary| Box::new((canary.share, Version::new(&canary.policy, hook, breaker, now))));
        if !live.has && canary.as_ref().is_none_or(|canary| !canary.1.has) {
            return None;
        }
        let name = bound.policy.manifest().name.as_str().into();
        Some(Self {
            id,
            name,
            hook,
            shadow: bound.shadow.clone(),
            models: bound.models.clone(),
            live,
            canary,
        })
    }

    pub(super) fn bound_to(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|names| names.iter().any(|name| covers(name, model)))
    }

    pub(super) fn applies(&self, head: &Head) -> bool {
        self.concerns(head, head.body_bytes)
    }

    /// The same of a guard, which judges what edits have left.
    pub(super) fn applies_to(&self, view: &RequestView) -> bool {
        self.concerns(view.head(), view.body_bytes())
    }

    fn concerns(&self, head: &Head, bytes: u64) -> bool {
        self.bound_to(&head.requested_model) && self.version(head).concerns(head, bytes)
    }

    /// The version that a key's requests meet: the same at every hook of an exchange and from one to the next.
    pub(super) fn version(&self, head: &Head) -> &Version {
        match self.canary.as_deref() {
            Some((share, canary)) if head.bucket(&self.name) < u32::from(*share) => canary,
            _ => &self.live,
        }
    }

    pub(super) fn versions(&self) -> impl Iterator<Item = &Version> {
        std::iter::once(&self.live).chain(self.canary.as_ref().map(|canary| &canary.1))
    }

    /// Takes a seat for each version.
    pub(super) fn seat(&mut self, observer: &Arc<dyn Observer>) {
        let (name, hook) = (Arc::clone(&self.name), self.hook);
        for version in self.versions_mut() {
            let digest = version.policy.digest();
            let of = Seated { policy: &name, version: &version.version, digest, hook };
            version.seat = Some(Arc::clone(observer).seat(of));
        }
    }

    pub(super) fn versions_mut(&mut self) -> impl Iterator<Item = &mut Version> {
        std::iter::once(&mut self.live).chain(self.canary.as_mut().map(|canary| &mut canary.1))
    }

    /// Whether a version that decides, or the one that is only told, may read headers.
    pub(super) fn reads_headers(&self) -> bool {
        self.versions().any(|version| version.policy.reads_headers())
            || self.shadow.as_ref().is_some_and(|shadow| shadow.reads_headers())
    }

    /// The same of how warm prompt caches are.
    pub(super) fn reads_warmth(&self) -> bool {
        self.versions().any(|version| version.policy.reads_warmth())
            || self.shadow.as_ref().is_some_and(|shadow| shadow.reads_warmth())
    }

    /// What load or a caller brings about says nothing of the policy.
    pub(super) const fn breaks(fault: &Fault) -> bool {
        !fault.kind.is_from_outside()
    }

    /// Neither load nor a caller may open a way past what protects, whatever its author allows for its own faults.
    pub(super) fn mode_after(&self, version: &Version, fault: &Fault) -> FailureMode {
        match self.hook.default_failure_mode() {
            FailureMode::Closed if fault.kind.is_from_outside() => FailureMode::Closed,
            _ => version.failure,
        }
    }

    /// What follows a failure where there is no plan to fall back to.
    pub(super) fn give_way(&self, mode: FailureMode) -> Result<(), Refused> {
        match mode {
            FailureMode::Closed => Err(self.failed()),
            FailureMode::Open | FailureMode::StaticPlan => Ok(()),
        }
    }

    pub(super) fn refused(&self, deny: Deny) -> Refused {
        Refused { policy: Arc::clone(&self.name), deny, failed: false }
    }

    pub(super) fn failed(&self) -> Refused {
        Refused { policy: Arc::clone(&self.name), deny: policy_failed(&self.name), failed: true }
    }

    pub(super) fn line(&self, version: &Version, verdict: Verdict, elapsed: Duration) -> TraceLine {
        TraceLine {
            policy: Arc::clone(&self.name),
            version: Arc::clone(&version.version),
            hook: self.hook,
            verdict,
            reason: None,
            findings: Vec::new(),
            elapsed,
            ended: None,
            fault: None,
        }
    }

    /// The summaries that concern this policy: by version, and by organisation unless it is `shared`, which learns of
    /// none.
    pub(super) fn parts(&self, batch: &[Summary]) -> Vec<Part<'_>> {
        let mut parts: Vec<Owned<'_>> = Vec::new();
        for summary in batch.iter().filter(|summary| self.applies(&summary.head)) {
            let version = self.version(&summary.head);
            let shared = version.policy.manifest().shared;
            let owner = (!shared).then(|| Arc::clone(&summary.head.tenant));
            let summary = if shared { summary.anonymous() } else { summary.clone() };
            match parts.iter_mut().find(|(known, of, _)| *known == owner && std::ptr::eq(*of, version)) {
                Some((.., part)) => part.push(summary),
                None => parts.push((owner, version, vec![summary])),
            }
        }
        parts.into_iter().map(|(_, version, batch)| Part { version, batch: batch.into() }).collect()
    }
}

/// Whose summaries, which version is told, and the summaries.
type Owned<'a> = (Option<Arc<str>>, &'a Version, Vec<Summary>);

/// Summaries for one call of `complete`.
pub(super) struct Part<'a> {
    pub(super) version: &'a Version,
    pub(super) batch: Arc<[Summary]>,
}
