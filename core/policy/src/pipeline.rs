//! The ordered policies of a snapshot: asked in turn, every answer checked, every failure met as the policy declares.
//!
//! - `admit`: in order; the first that denies ends the round.
//! - `redact`: in order; each sees what the one before it left; the first that refuses ends the round.
//! - `guard`, `guard-response`: in order; each sees the edits of those before it; the first that blocks or answers ends
//!   the round.
//! - `route`: in order; the first that does not abstain decides; nobody decides → the plan from config.
//! - `attempt`: in order; edits and headers add up; the first that skips ends the round.
//! - `on-error`: the policy that made the plan first, then in order; the first that does not follow the plan decides.
//! - `stream`: one link per redactor, then one per guard, for the life of a stream.
//! - `price`: the first that concerns the request, alone.
//! - `complete`: all, with what concerns them; what one could not be told is given back, to be told again.
//!
//! Nothing is locked while a policy runs, and a pipeline without policies costs nothing. A policy that waits (it may call
//! out) is awaited; all others answer in the thread of the exchange.

mod breaker;
mod checked;
mod completed;
mod heard;
mod link;
mod observer;
mod outcome;
mod stage;
mod stream;

pub use breaker::BreakerSettings;
pub use completed::Untold;
pub use heard::{Heard, Passed, Piece, replayed};
pub use observer::{Call, Observer, Seat, Seated, Verdict};
pub use outcome::{Attempted, GuardEnd, GuardOutcome, Redacted, Refused, RouteOutcome, Routed, TraceLine};
pub use stage::{Bound, Canary, Shadow};
pub use stream::{Streamed, Streams};

use crate::head::Head;
use crate::manifest::{Capability, FailureMode, Hook, Reads};
use crate::policy::{Fault, LoadError, Policy};
use crate::question::{Answer, Question};
use crate::request::RequestView;
use crate::target::Candidates;
use crate::verdict::{
    Admission, AttemptError, AttemptFacts, Base, Charge, Decision, Deny, Direction, Guarded, Preparation,
    Recovery, ReplyMeta,
};
use checked::Checked;
use outcome::Noted;
use sha2::{Digest, Sha256};
use stage::{Stage, Version};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_llm::price::Nanos;

/// Tells which of the bound policies made a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyId(usize);

/// Where the pipeline reads the time; tests bring their own.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// Who said what, in order; without content.
pub type Trace = Vec<TraceLine>;

/// The hooks that are asked for a model, and whether content is read: what the gateway need not do is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    hooks: u16,
    content: bool,
    headers: bool,
    warmth: bool,
    telemetry: bool,
    watchers: u16,
}

impl Asked {
    /// Whether some policy has this hook.
    #[must_use]
    pub const fn has(self, hook: Hook) -> bool {
        self.hooks & bit(hook) != 0
    }

    /// Whether some policy may read content of requests.
    #[must_use]
    pub const fn content(self) -> bool {
        self.content
    }

    /// Whether some policy may read headers of requests.
    #[must_use]
    pub const fn headers(self) -> bool {
        self.headers
    }

    /// Whether some policy may read how warm prompt caches are.
    #[must_use]
    pub const fn warmth(self) -> bool {
        self.warmth
    }

    /// Whether some policy may add lines to the decision trace.
    #[must_use]
    pub const fn telemetry(self) -> bool {
        self.telemetry
    }

    /// Slots that an exchange keeps: one for each policy that may watch its stream. What is asked and answered takes one for
    /// as long as that lasts.
    #[must_use]
    pub const fn slots(self, stream: bool) -> u32 {
        if stream { self.watchers as u32 } else { 0 }
    }

    /// Whether replies must be readable: somebody redacts or guards them.
    #[must_use]
    pub const fn replies(self) -> bool {
        self.has(Hook::GuardResponse) || self.has(Hook::Stream) || self.has(Hook::Redact)
    }

    /// Whether nobody is asked at all.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.hooks == 0
    }
}

const fn bit(hook: Hook) -> u16 {
    1 << hook as u16
}

/// The ordered policies of a snapshot.
pub struct Pipeline {
    /// By hook, in the order of [`Hook::ALL`].
    stages: [Vec<Stage>; Hook::ALL.len()],
    policies: Vec<Arc<dyn Policy>>,
    digest: String,
    clock: Clock,
}

impl Pipeline {
    /// Builds the stages in the order of config.
    ///
    /// # Errors
    /// A policy that protects and does not see all that is served where it is bound: what walks past it would walk past
    /// silently.
    pub fn new(bound: Vec<Bound>) -> Result<Self, LoadError> {
        Self::with(bound, BreakerSettings::default(), Arc::new(Instant::now))
    }

    /// As [`Pipeline::new`], with breaker settings and a clock.
    ///
    /// # Errors
    /// As [`Pipeline::new`].
    pub fn with(bound: Vec<Bound>, breaker: BreakerSettings, clock: Clock) -> Result<Self, LoadError> {
        bound.iter().try_for_each(Bound::check)?;
        let digest = digest(&bound);
        let now = clock();
        let stages = Hook::ALL.map(|hook| {
            let bound = bound.iter().enumerate();
            bound.filter_map(|(id, bound)| Stage::new(PolicyId(id), bound, hook, breaker, now)).collect()
        });
        let policies = bound.into_iter().map(|bound| bound.policy).collect();
        Ok(Self { stages, policies, digest, clock })
    }

    /// Tells an observer of every call.
    #[must_use]
    pub fn observed_by(mut self, observer: &Arc<dyn Observer>) -> Self {
        self.stages.iter_mut().flatten().for_each(|stage| stage.seat(observer));
        self
    }

    /// Takes over the breakers of versions that an older pipeline has too, so that a reload does not close them.
    #[must_use]
    pub fn keep_breakers_of(mut self, old: &Self) -> Self {
        for (hook, stages) in Hook::ALL.into_iter().zip(&mut self.stages) {
            let known: Vec<&Version> = old.of(hook).iter().flat_map(Stage::versions).collect();
            for version in stages.iter_mut().flat_map(Stage::versions_mut) {
                if let Some(same) =
                    known.iter().find(|known| known.policy.digest() == version.policy.digest())
                {
                    version.breaker = Arc::clone(&same.breaker);
                }
            }
        }
        self
    }

    /// SHA-256, hex, over the policies and bindings in order: part of every cache key.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The bound policies, in order.
    pub fn policies(&self) -> impl Iterator<Item = &dyn Policy> {
        self.policies.iter().map(|policy| &**policy)
    }

    /// What is asked for a model; answered without a request at hand.
    #[must_use]
    pub fn asked(&self, model: &str) -> Asked {
        let mut asked = Asked::default();
        for stage in self.stages.iter().flatten().filter(|stage| stage.bound_to(model)) {
            asked.hooks |= bit(stage.hook);
            asked.content |= stage.versions().any(|v| v.policy.manifest().reads == Reads::Content);
            asked.telemetry |= stage.versions().any(|v| v.policy.manifest().asks_for(Capability::Telemetry));
            asked.headers |= stage.hook.shows_a_view() && stage.reads_headers();
            asked.warmth |= stage.hook.shows_targets() && stage.reads_warmth();
            let watches = matches!(stage.hook, Hook::Stream | Hook::Redact);
            asked.watchers += u16::from(watches && stage.versions().any(|v| v.policy.takes_slots()));
        }
        asked
    }

    /// The policies and hooks whose breaker is open now.
    pub fn open_breakers(&self) -> impl Iterator<Item = (&str, Hook)> {
        let open = |stage: &&Stage| stage.versions().any(|version| version.breaker.is_open());
        self.stages.iter().flatten().filter(open).map(|stage| (&*stage.name, stage.hook))
    }

    /// Asks who may come in.
    ///
    /// # Errors
    /// One denied, or failed and its manifest says `closed`.
    pub async fn admit(&self, view: &Arc<RequestView>, trace: &mut Trace) -> Result<(), Refused> {
        for stage in self.applicable(Hook::Admit, view.head()) {
            let make = |view| Question::Admit { view };
            match self.ask(stage, view, trace, make, checked::admitting).await {
                Ok(checked::Admitting { admission: Admission::Allow(tags), .. }) => view.note_tags(&tags),
                Ok(checked::Admitting { admission: Admission::Deny(deny), .. }) => {
                    return Err(stage.refused(deny));
                }
                Err(mode) => stage.give_way(mode)?,
            }
        }
        Ok(())
    }

    /// Asks the redactors; the view of what is left.
    ///
    /// # Errors
    /// One refused, or failed and its manifest says `closed`.
    pub async fn redact(
        &self,
        view: &Arc<RequestView>,
        direction: Direction,
        trace: &mut Trace,
    ) -> Result<Redacted, Refused> {
        let mut left = Redacted { view: Arc::clone(view), edited: false };
        for stage in self.applicable(Hook::Redact, view.head()) {
            let make = |view| Question::Redact { view, direction };
            match self.ask(stage, &left.view, trace, make, checked::redacting).await {
                Ok(checked::Redacting { refused: Some(deny), .. }) => return Err(stage.refused(deny)),
                Ok(redaction) => left.take(redaction.after),
                Err(mode) => stage.give_way(mode)?,
            }
        }
        Ok(left)
    }

    /// Asks the guards.
    pub async fn guard(&self, view: &Arc<RequestView>, trace: &mut Trace) -> GuardOutcome {
        self.guards(Hook::Guard, view, trace, |_, view| Question::Guard { view }).await
    }

    /// Asks the guards of a whole reply, which `reply` shows.
    pub async fn guard_response(
        &self,
        request: &Arc<RequestView>,
        reply: &Arc<RequestView>,
        meta: &Arc<ReplyMeta>,
        trace: &mut Trace,
    ) -> GuardOutcome {
        let make = |version: &Version, reply| Question::GuardResponse {
            request: version.view_for(request),
            reply,
            meta: Arc::clone(meta),
        };
        self.guards(Hook::GuardResponse, reply, trace, make).await
    }

    async fn guards(
        &self,
        hook: Hook,
        view: &Arc<RequestView>,
        trace: &mut Trace,
        make: impl Fn(&Version, Arc<RequestView>) -> Question,
    ) -> GuardOutcome {
        let mut outcome = GuardOutcome::pass(Arc::clone(view));
        for stage in self.of(hook) {
            if !stage.applies_to(&outcome.view) {
                continue;
            }
            let current = Arc::clone(&outcome.view);
            let make = |shown| make(stage.version(view.head()), shown);
            let guarding = match self.ask(stage, &current, trace, make, checked::guarding).await {
                Ok(guarding) => guarding,
                Err(FailureMode::Open) => continue,
                Err(FailureMode::Closed | FailureMode::StaticPlan) => {
                    outcome.end = GuardEnd::Blocked(stage.failed());
                    break;
                }
            };
            current.note_tags(&guarding.verdict.tags);
            outcome.take(guarding.after);
            outcome.end = match guarding.verdict.outcome {
                Guarded::Pass | Guarded::Edit(_) => continue,
                Guarded::Block(deny) => GuardEnd::Blocked(stage.refused(deny)),
                Guarded::Answer(text) => GuardEnd::Answered { policy: Arc::clone(&stage.name), text },
            };
            break;
        }
        outcome
    }

    /// Asks the route policies.
    pub async fn route(
        &self,
        view: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        trace: &mut Trace,
    ) -> RouteOutcome {
        for stage in self.applicable(Hook::Route, view.head()) {
            let by = Some(stage.id);
            let make = |view| Question::Route { view, candidates: Arc::clone(candidates) };
            let check = |context: &Checked<'_>, answer| checked::routing(context, answer, candidates);
            let decision = match self.ask(stage, view, trace, make, check).await {
                Ok(routing) => match routing.decision {
                    Decision::Plan(plan) => Routed::Plan(plan),
                    Decision::Deny(deny) => Routed::Refused(stage.refused(deny)),
                    Decision::Abstain => continue,
                },
                Err(FailureMode::Open) => continue,
                Err(FailureMode::Closed) => Routed::Refused(stage.failed()),
                Err(FailureMode::StaticPlan) => return RouteOutcome { decision: Routed::Static, by: None },
            };
            return RouteOutcome { decision, by };
        }
        RouteOutcome { decision: Routed::Static, by: None }
    }

    /// Asks what differs for the target of an attempt.
    ///
    /// # Errors
    /// One failed, and its manifest says `closed`.
    pub async fn attempt(
        &self,
        view: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        facts: &Arc<AttemptFacts>,
        trace: &mut Trace,
    ) -> Result<Attempted, Refused> {
        let mut attempted = Attempted::unchanged(Arc::clone(view));
        for stage in self.applicable(Hook::Attempt, view.head()) {
            let make = |view| Question::Attempt {
                view,
                candidates: Arc::clone(candidates),
                facts: Arc::clone(facts),
            };
            let current = Arc::clone(&attempted.view);
            match self.ask(stage, &current, trace, make, checked::preparing).await {
                Ok(checked::Preparing { preparation: Preparation::Skip(reason), .. }) => {
                    attempted.skip = Some(reason);
                    return Ok(attempted);
                }
                Ok(checked::Preparing { preparation, after }) => attempted.take(preparation, after),
                Err(mode) => stage.give_way(mode)?,
            }
        }
        Ok(attempted)
    }

    /// Asks what to do after a failed attempt; `planner` made the plan, if a policy did.
    pub async fn on_error(
        &self,
        view: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        errors: &Arc<[AttemptError]>,
        planner: Option<PolicyId>,
        trace: &mut Trace,
    ) -> Recovery {
        let stages = || self.applicable(Hook::OnError, view.head());
        let first = stages().filter(|stage| Some(stage.id) == planner);
        let rest = stages().filter(|stage| Some(stage.id) != planner);
        for stage in first.chain(rest) {
            let make = |view| Question::OnError {
                view,
                candidates: Arc::clone(candidates),
                errors: Arc::clone(errors),
            };
            let check = |context: &Checked<'_>, answer| checked::recovering(context, answer, candidates);
            match self.ask(stage, view, trace, make, check).await {
                Ok(recovering) if recovering.recovery == Recovery::FollowPlan => {}
                Ok(recovering) => return recovering.recovery,
                Err(FailureMode::Closed) => return Recovery::Fail(stage.failed().deny),
                Err(FailureMode::Open | FailureMode::StaticPlan) => {}
            }
        }
        Recovery::FollowPlan
    }

    /// Whether some guard of replies wants this stream collected first.
    #[must_use]
    pub fn collects(&self, head: &Head) -> bool {
        let wants = |stage: &Stage| stage.version(head).policy.manifest().buffer_streams;
        head.stream && self.applicable(Hook::GuardResponse, head).any(wants)
    }

    /// Whether somebody sees replies as streams only: a whole one would pass unseen.
    #[must_use]
    pub fn sees_streams_only(&self, head: &Head) -> bool {
        let only = |stage: &Stage| !stage.version(head).policy.manifest().has(Hook::GuardResponse);
        self.applicable(Hook::Stream, head).any(only)
    }

    /// Begins to watch a streamed reply; `None` if no policy does.
    ///
    /// # Errors
    /// A policy could not begin, and its manifest says `closed`.
    pub fn stream(&self, view: &Arc<RequestView>, trace: &mut Trace) -> Result<Option<Streams>, Refused> {
        let stages =
            self.applicable(Hook::Redact, view.head()).chain(self.applicable(Hook::Stream, view.head()));
        let request_id = Some(&*view.head().request_id);
        let mut links = Vec::new();
        for stage in stages {
            let version = stage.version(view.head());
            let Some(leave) = version.breaker.ask(|| (self.clock)()) else {
                Self::note(
                    (version, request_id),
                    stage.line(version, Verdict::BreakerOpen, Duration::ZERO),
                    false,
                    trace,
                );
                stage.give_way(version.failure)?;
                continue;
            };
            let shown = version.view_for(view);
            let otherwise = (stage.line(version, Verdict::Pass, Duration::ZERO), stage.failed());
            match link::Link::open(&version.policy, version.failure, &shown, otherwise) {
                Ok(link) => {
                    let shadow = stage.shadow.as_ref();
                    let recorder = shadow.map(|shadow| heard::Recorder::new(shadow, stage.hook, view));
                    let digest = version.policy.digest().into();
                    let ticket = stream::Ticket { id: stage.id, digest, leave };
                    links.push((ticket, link.recorded_by(recorder)));
                }
                Err(fault) => {
                    let opened = Stage::breaks(&fault) && version.breaker.failed(leave, (self.clock)());
                    let mode = stage.mode_after(version, &fault);
                    let line = TraceLine {
                        fault: Some(Box::new(fault)),
                        ..stage.line(version, Verdict::Fault, Duration::ZERO)
                    };
                    Self::note((version, request_id), line, opened, trace);
                    stage.give_way(mode)?;
                }
            }
        }
        Ok((!links.is_empty()).then(|| Streams::new(links, Arc::clone(&self.clock), Arc::clone(view))))
    }

    /// Takes what a stream's policies came to: their lines of the trace, and what their breakers learn of it.
    pub fn streamed(&self, streamed: Streamed, trace: &mut Trace) {
        for end in streamed.ends {
            let stage = self.of(end.line.hook).iter().find(|stage| stage.id == end.ticket.id);
            let of = |version: &&Version| version.policy.digest() == &*end.ticket.digest;
            let Some(version) = stage.and_then(|stage| stage.versions().find(of)) else { continue };
            let opened = match &end.line.fault {
                Some(fault) => {
                    Stage::breaks(fault) && version.breaker.failed(end.ticket.leave, (self.clock)())
                }
                None => {
                    version.breaker.succeeded(end.ticket.leave);
                    false
                }
            };
            Self::note((version, Some(&streamed.request_id)), end.line, opened, trace);
        }
    }

    /// The most that may be charged; `None`: no policy prices this request.
    pub async fn quote(
        &self,
        view: &Arc<RequestView>,
        bound: &Arc<Base>,
        trace: &mut Trace,
    ) -> Option<Nanos> {
        let stage = self.applicable(Hook::Price, view.head()).next()?;
        let make = |view| Question::Quote { view, bound: Arc::clone(bound) };
        self.ask(stage, view, trace, make, checked::quoting).await.ok().map(|quoting| quoting.0)
    }

    /// What is charged; `None`: no policy prices this request, or it failed and the list price holds.
    pub async fn price(
        &self,
        view: &Arc<RequestView>,
        base: &Arc<Base>,
        trace: &mut Trace,
    ) -> Option<Charge> {
        let stage = self.applicable(Hook::Price, view.head()).next()?;
        let make = |view| Question::Price { view, base: Arc::clone(base) };
        let charge = self.ask(stage, view, trace, make, checked::charging).await.ok()?.0;
        view.note_tags(&charge.tags);
        Some(charge)
    }

    /// Asks the version that a request meets, with the view that it may have.
    async fn ask<T: Noted>(
        &self,
        stage: &Stage,
        view: &Arc<RequestView>,
        trace: &mut Trace,
        make: impl FnOnce(Arc<RequestView>) -> Question,
        check: impl FnOnce(&Checked<'_>, Answer) -> Result<T, Fault>,
    ) -> Result<T, FailureMode> {
        let version = stage.version(view.head());
        let asked = version.view_for(view);
        let context = Checked::new(version, Some((view, &asked)));
        self.put(stage, trace, &context, || make(Arc::clone(&asked)), check).await
    }

    /// One call: breaker, clock, observer, shadow and trace around it. No answer is an error: what the policy declares to
    /// follow then.
    async fn put<T: Noted>(
        &self,
        stage: &Stage,
        trace: &mut Trace,
        context: &Checked<'_>,
        make: impl FnOnce() -> Question,
        check: impl FnOnce(&Checked<'_>, Answer) -> Result<T, Fault>,
    ) -> Result<T, FailureMode> {
        let version = context.version;
        let of = (version, context.request_id());
        let question = make();
        let start = (self.clock)();
        if let Some(pass) = question.spared(&*version.policy) {
            // Nobody is tried: the breaker bars nothing and learns nothing.
            let end = (self.clock)();
            let mut line = stage.line(version, Verdict::NothingFound, end.saturating_duration_since(start));
            line.ended = Some(end);
            if let Some(shadow) = &stage.shadow {
                shadow.asked(question, &Ok(pass.clone()), line.elapsed);
            }
            Self::note(of, line, false, trace);
            return check(context, pass).map_err(|_| version.failure);
        }
        let Some(leave) = version.breaker.ask(|| (self.clock)()) else {
            Self::note(of, stage.line(version, Verdict::BreakerOpen, Duration::ZERO), false, trace);
            return Err(version.failure);
        };
        let shadowed = stage.shadow.as_ref().map(|shadow| (shadow, question.clone()));
        let answer = match version.policy.waits() {
            true => Arc::clone(&version.policy).later(question).await,
            false => question.ask(&*version.policy),
        };
        let end = (self.clock)();
        let mut line = stage.line(version, Verdict::Fault, end.saturating_duration_since(start));
        line.ended = Some(end);
        if let Some((shadow, question)) = shadowed {
            shadow.asked(question, &answer, line.elapsed);
        }
        let checked = answer.and_then(|answer| context.honest().and_then(|()| check(context, answer)));
        let (checked, opened) = match checked {
            Ok(verdict) => {
                version.breaker.succeeded(leave);
                verdict.note(&mut line);
                (Ok(verdict), false)
            }
            Err(fault) => {
                let opened = Stage::breaks(&fault) && version.breaker.failed(leave, end);
                let mode = stage.mode_after(version, &fault);
                line.fault = Some(Box::new(fault));
                (Err(mode), opened)
            }
        };
        Self::note(of, line, opened, trace);
        checked
    }

    fn note(
        (version, request_id): (&Version, Option<&str>),
        line: TraceLine,
        opened: bool,
        trace: &mut Trace,
    ) {
        if let Some(seat) = &version.seat {
            seat.asked(&Call {
                request_id,
                verdict: line.verdict,
                elapsed: line.elapsed,
                fault: line.fault.as_deref(),
                breaker_opened: opened,
            });
        }
        trace.push(line);
    }

    fn of(&self, hook: Hook) -> &[Stage] {
        &self.stages[hook as usize]
    }

    fn applicable<'a>(&'a self, hook: Hook, head: &'a Head) -> impl Iterator<Item = &'a Stage> {
        self.of(hook).iter().filter(move |stage| stage.applies(head))
    }
}

impl Default for Pipeline {
    /// No policies.
    fn default() -> Self {
        Self {
            stages: Hook::ALL.map(|_| Vec::new()),
            policies: Vec::new(),
            digest: digest(&[]),
            clock: Arc::new(Instant::now),
        }
    }
}

/// Lengths stand before texts, so that no two lists of bindings read the same.
fn digest(bound: &[Bound]) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    for bound in bound {
        part(bound.policy.digest());
        if let Some(canary) = &bound.canary {
            part(canary.policy.digest());
            part(&canary.share.to_string());
        }
        match &bound.models {
            None => part("all"),
            Some(models) => {
                part(&models.len().to_string());
                models.iter().for_each(|model| part(model));
            }
        }
    }
    hex::encode(hash.finalize())
}

/// The refusal that a policy's failure makes: it names the policy and nothing else.
fn policy_failed(policy: &str) -> Deny {
    Deny {
        status: 503,
        code: "policy_failed".into(),
        message: format!("The policy `{policy}` could not decide about this request. Try again later."),
        retry_after_ms: Some(1_000),
    }
}
