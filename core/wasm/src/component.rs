//! The policy: fresh or kept instance, call, keep or drop.

use crate::ask;
use crate::budget::Excused;
use crate::engine::Inner;
use crate::exports::Exports;
use crate::instance::{Fuel, Instance, StartError, Template};
use crate::kept::{Kept, Owner};
use crate::meter;
use crate::state::{Call, Constants};
use crate::stream::{Guarding, Redacting};
use crate::{fault, groups};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_llm::price::Nanos;
use weir_policy::manifest::Isolation;
use weir_policy::matcher::Matchers;
use weir_policy::services::Later;
use weir_policy::{
    Admission, Answer, AttemptError, AttemptFacts, Base, Candidates, Capability, Charge, Decision, Direction,
    Fault, FaultKind, GuardVerdict, Manifest, Policy, Preparation, Question, Recovery, ReplyMeta,
    RequestView, Span, StreamGuard, StreamRedactor, Summary,
};

/// A loaded component.
pub(crate) struct Component(pub(crate) Arc<Loaded>);

/// What its calls share.
pub(crate) struct Loaded {
    pub(crate) engine: Arc<Inner>,
    pub(crate) constants: Arc<Constants>,
    pub(crate) template: Template,
    pub(crate) exports: Exports,
    /// Metered by fuel: a pricer.
    pub(crate) fueled: bool,
    pub(crate) kept: Arc<Kept>,
    pub(crate) digest: String,
    /// Whether it may ask for headers.
    pub(crate) reads_headers: bool,
}

/// The answer of one kind; `Answer` has a kind for each hook, and `ask` answers in the question's.
macro_rules! ask {
    ($this:expr, $kind:ident { $($field:ident: $value:expr),* }) => {
        match $this.ask(Question::$kind { $($field: $value),* })? {
            Answer::$kind(answer) => Ok(answer),
            _ => Err(Fault::new(FaultKind::BadAnswer, "an answer to another question")),
        }
    };
}

impl Policy for Component {
    fn manifest(&self) -> &Manifest {
        &self.0.constants.manifest
    }

    fn digest(&self) -> &str {
        &self.0.digest
    }

    fn matchers(&self) -> &Matchers {
        &self.0.constants.matchers
    }

    fn reads_headers(&self) -> bool {
        self.0.reads_headers
    }

    fn reads_warmth(&self) -> bool {
        self.manifest().asks_for(Capability::Targets)
    }

    fn takes_slots(&self) -> bool {
        true
    }

    fn waits(&self) -> bool {
        self.0.template.waits
    }

    fn later(self: Arc<Self>, question: Question) -> Later<Result<Answer, Fault>> {
        let loaded = Arc::clone(&self.0);
        if !loaded.template.waits {
            return Box::pin(std::future::ready(question.ask(&*self)));
        }
        Box::pin(async move {
            let limits = &loaded.constants.manifest.limits;
            let (cpu, wall) = (Duration::from_micros(limits.cpu_us), Duration::from_millis(limits.wall_ms));
            let excused = Arc::new(Excused::default());
            let waiting = Waiting { excused: Arc::clone(&excused), until: Instant::now() + wall };
            let call = loaded.answer(&question, Some(&waiting));
            meter::watched(call, &loaded.engine.ticker, excused, cpu, wall).await
        })
    }

    fn admit(&self, request: &Arc<RequestView>) -> Result<Admission, Fault> {
        ask!(self.0, Admit { view: Arc::clone(request) })
    }

    fn guard(&self, request: &Arc<RequestView>) -> Result<GuardVerdict, Fault> {
        ask!(self.0, Guard { view: Arc::clone(request) })
    }

    fn redact(&self, view: &Arc<RequestView>, direction: Direction) -> Result<Vec<Span>, Fault> {
        ask!(self.0, Redact { view: Arc::clone(view), direction: direction })
    }

    fn stream_redactor(&self, request: &Arc<RequestView>) -> Result<Box<dyn StreamRedactor>, Fault> {
        Ok(Box::new(Redacting::start(&self.0, request)?))
    }

    fn route(&self, request: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Result<Decision, Fault> {
        ask!(self.0, Route { view: Arc::clone(request), candidates: Arc::clone(candidates) })
    }

    fn attempt(
        &self,
        request: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        facts: &Arc<AttemptFacts>,
    ) -> Result<Preparation, Fault> {
        let candidates = Arc::clone(candidates);
        ask!(self.0, Attempt { view: Arc::clone(request), candidates: candidates, facts: Arc::clone(facts) })
    }

    fn on_error(
        &self,
        request: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        errors: &Arc<[AttemptError]>,
    ) -> Result<Recovery, Fault> {
        let candidates = Arc::clone(candidates);
        ask!(
            self.0,
            OnError { view: Arc::clone(request), candidates: candidates, errors: Arc::clone(errors) }
        )
    }

    fn guard_response(
        &self,
        request: &Arc<RequestView>,
        reply: &Arc<RequestView>,
        meta: &Arc<ReplyMeta>,
    ) -> Result<GuardVerdict, Fault> {
        let (request, reply) = (Arc::clone(request), Arc::clone(reply));
        ask!(self.0, GuardResponse { request: request, reply: reply, meta: Arc::clone(meta) })
    }

    fn stream(&self, request: &Arc<RequestView>) -> Result<Box<dyn StreamGuard>, Fault> {
        Ok(Box::new(Guarding::start(&self.0, request)?))
    }

    fn quote(&self, request: &Arc<RequestView>, bound: &Arc<Base>) -> Result<Nanos, Fault> {
        ask!(self.0, Quote { view: Arc::clone(request), bound: Arc::clone(bound) })
    }

    fn price(&self, request: &Arc<RequestView>, base: &Arc<Base>) -> Result<Charge, Fault> {
        ask!(self.0, Price { view: Arc::clone(request), base: Arc::clone(base) })
    }

    fn complete(&self, batch: &Arc<[Summary]>) -> Result<(), Fault> {
        self.0.ask(Question::Complete { batch: Arc::clone(batch) }).map(drop)
    }
}

/// What a call that waits brings along.
pub(crate) struct Waiting {
    excused: Arc<Excused>,
    until: Instant,
}

impl Loaded {
    /// Asks in this thread.
    fn ask(&self, question: Question) -> Result<Answer, Fault> {
        let _running = self.running()?;
        meter::now(self.answer(&question, None)).unwrap_or_else(|| Err(waits()))
    }

    /// The ticker runs while a synchronous call does; a policy that waits is asked otherwise.
    pub(crate) fn running(&self) -> Result<crate::ticker::Running<'_>, Fault> {
        if self.template.waits { Err(waits()) } else { Ok(self.engine.ticker.enter()) }
    }

    async fn answer(&self, question: &Question, waiting: Option<&Waiting>) -> Result<Answer, Fault> {
        let shared = self.constants.manifest.shared;
        let Question::Complete { batch } = question else { return self.one(question, waiting).await };
        for batch in groups::by_organisation(batch, shared) {
            self.one(&Question::Complete { batch }, waiting).await?;
        }
        Ok(Answer::Complete)
    }

    /// A call that may reuse an instance, and leaves it for the next if it read nothing.
    async fn one(&self, question: &Question, waiting: Option<&Waiting>) -> Result<Answer, Fault> {
        let owner = self.owner(question);
        let mut instance = match owner.and_then(|owner| self.kept.take(owner)) {
            Some(kept) => kept,
            None => self.fresh().await?.owned_by(owner),
        };
        let mut call = ask::call(question, self.constants.manifest.shared);
        call.until = waiting.map(|waiting| waiting.until);
        let excused = waiting.map(|waiting| Arc::clone(&waiting.excused));
        let answer = match instance.arm(call, excused) {
            Ok(()) => ask::hook(&mut instance, &self.exports, question).await,
            Err(error) => Err(error),
        };
        let answer = answer.map_err(|error| failed(&error, &mut instance))?;
        let last: Call = std::mem::take(&mut instance.store.data_mut().call);
        if owner.is_some() && !last.tainted {
            self.kept.put(instance);
        }
        Ok(answer)
    }

    /// Whose instance may serve this question; `None` if it must be a fresh one: a redactor is there to read, and a
    /// pricer's answer depends on nothing but its question. A guard that reads nothing, since its config asks for nothing
    /// that it would have to read, leaves its instance as a router does.
    fn owner<'q>(&self, question: &'q Question) -> Option<Owner<'q>> {
        let (head, zero) = match question {
            Question::Admit { view }
            | Question::Guard { view }
            | Question::GuardResponse { request: view, .. }
            | Question::Route { view, .. }
            | Question::Attempt { view, .. }
            | Question::OnError { view, .. } => (view.head(), view.head().retention.is_zero()),
            Question::Complete { batch } => {
                let zero = batch.iter().any(|summary| summary.head.retention.is_zero());
                (&*batch.first()?.head, zero)
            }
            Question::Redact { .. }
            | Question::Stream { .. }
            | Question::Quote { .. }
            | Question::Price { .. } => return None,
        };
        let manifest = &self.constants.manifest;
        if manifest.isolation == Isolation::Strict || zero {
            return None;
        }
        let organisation = (!manifest.shared).then_some(&head.tenant);
        let table = ask::candidates(question).map(|candidates| &candidates.table);
        Some(Owner { organisation, table })
    }

    /// A new instance; if no slot is free, those that are kept are given up first.
    pub(crate) async fn fresh(&self) -> Result<Instance, Fault> {
        let started = match self.start().await {
            Err(StartError { error, .. }) if fault::is_no_slot(&error) => {
                self.engine.kept.clear();
                self.start().await
            }
            started => started,
        };
        started.map_err(|StartError { error, panicked_at }| fault::of(&error, panicked_at))
    }

    async fn start(&self) -> Result<Instance, StartError> {
        let fuel = self.fueled.then_some(Fuel(self.constants.manifest.limits.operations));
        Instance::start(&self.template, &self.exports, &self.constants, fuel).await
    }
}

/// What a failed call becomes.
pub(crate) fn failed(error: &wasmtime::Error, instance: &mut Instance) -> Fault {
    fault::of(error, instance.store.data_mut().call.panicked_at.take())
}

pub(crate) fn waits() -> Fault {
    Fault::new(FaultKind::Missing, "the policy waits: it is asked through `later` only")
}
