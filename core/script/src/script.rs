//! What happens per request: arguments in, a typed answer out, for each hook of the contract.

use crate::api::batch::Batch;
use crate::api::errors::Errors;
use crate::api::head::HeadHandle;
use crate::api::meta::MetaHandle;
use crate::api::money::{self, BaseHandle};
use crate::api::preparation::{self, AttemptHandle};
use crate::api::request::RequestHandle;
use crate::api::targets::Targets;
use crate::api::{admission, plan, recovery, redaction, verdict};
use crate::call::Seen;
use crate::paths::value::Value;
use crate::shapes::Found;
use crate::stream::{Guard, Redactor};
use crate::version::Version;
use crate::waiting;
use rhai::Dynamic;
use std::sync::Arc;
use std::time::Duration;
use weir_llm::price::Nanos;
use weir_policy::matcher::Matchers;
use weir_policy::services::Later;
use weir_policy::{
    Admission, Answer, AttemptError, AttemptFacts, Base, Candidates, Capability, Charge, Decision, Direction,
    Fault, GuardVerdict, Manifest, Policy, Preparation, Question, Recovery, ReplyMeta, RequestView,
    Retention, Span, Step, StreamGuard, StreamRedactor, Summary,
};

/// A compiled script as the pipeline asks it.
pub(crate) struct Script(pub(crate) Arc<Version>);

impl Policy for Script {
    fn manifest(&self) -> &Manifest {
        self.0.manifest()
    }

    fn digest(&self) -> &str {
        &self.0.digest
    }

    fn matchers(&self) -> &Matchers {
        &self.0.host.matchers
    }

    fn reads_headers(&self) -> bool {
        self.0.reads_headers
    }

    fn reads_warmth(&self) -> bool {
        self.0.reads_warmth
    }

    fn waits(&self) -> bool {
        self.0.host.asked_for(Capability::Http)
    }

    fn later(self: Arc<Self>, question: Question) -> Later<Result<Answer, Fault>> {
        let services = Arc::clone(self.0.host.services());
        let wall = Duration::from_millis(self.manifest().limits.wall_ms);
        Box::pin(waiting::answer(services, wall, move || question.ask(&*self)))
    }

    fn admit(&self, request: &Arc<RequestView>) -> Result<Admission, Fault> {
        let found = self.0.found("admit")?;
        let mut arguments = [self.head(request), self.config()];
        self.0.ask(found, Seen::request(request), &mut arguments, admission::admission)
    }

    fn guard(&self, request: &Arc<RequestView>) -> Result<GuardVerdict, Fault> {
        let found = self.0.found("guard")?;
        let mut arguments = [self.content(request), self.config()];
        self.0.ask(found, Seen::request(request), &mut arguments, |value| verdict::verdict("guard", value))
    }

    fn redact(&self, view: &Arc<RequestView>, direction: Direction) -> Result<Vec<Span>, Fault> {
        let found = self.0.found("redact")?;
        let mut arguments = [direction.as_str().into(), self.content(view), self.config()];
        let read = |value| redaction::spans(value, self.manifest());
        self.0.ask(found, Seen::request(view), &mut arguments, read)
    }

    fn stream_redactor(&self, request: &Arc<RequestView>) -> Result<Box<dyn StreamRedactor>, Fault> {
        Ok(Box::new(Redactor::new(&self.0, request)?))
    }

    fn route(&self, request: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Result<Decision, Fault> {
        let found = self.0.found("route")?;
        let mut roots = Vec::with_capacity(WALK);
        roots.push(Value::Head(HeadHandle::View(Arc::clone(request))));
        roots.push(Value::List(Targets::all(candidates, request.head())));
        let rest = || (Seen::request(request), self.rest(found, 3, request));
        let decision = self.0.ask_on_a_path(&self.0.routes, found, roots, rest, plan::decision)?;
        if let Decision::Plan(plan) = &decision {
            self.known_targets(found, &plan.steps, candidates)?;
        }
        Ok(decision)
    }

    fn attempt(
        &self,
        request: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        facts: &Arc<AttemptFacts>,
    ) -> Result<Preparation, Fault> {
        let found = self.0.found("attempt")?;
        let attempt = AttemptHandle::new(facts, Targets::all(candidates, request.head()));
        let mut arguments = vec![self.head(request), Dynamic::from(attempt)];
        arguments.extend(self.rest(found, 3, request));
        self.0.ask(found, Seen::request(request), &mut arguments, preparation::preparation)
    }

    fn on_error(
        &self,
        request: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        errors: &Arc<[AttemptError]>,
    ) -> Result<Recovery, Fault> {
        let found = self.0.found("on_error")?;
        let mut arguments = [
            self.head(request),
            Dynamic::from(Errors(errors.clone())),
            Dynamic::from(Targets::all(candidates, request.head())),
            self.config(),
        ];
        let recovery = self.0.ask(found, Seen::request(request), &mut arguments, recovery::recovery)?;
        if let Recovery::Switch(step) = &recovery {
            self.known_targets(found, std::slice::from_ref(step), candidates)?;
        }
        Ok(recovery)
    }

    fn guard_response(
        &self,
        request: &Arc<RequestView>,
        reply: &Arc<RequestView>,
        meta: &Arc<ReplyMeta>,
    ) -> Result<GuardVerdict, Fault> {
        let found = self.0.found("guard_response")?;
        let meta = Dynamic::from(MetaHandle(Arc::clone(meta)));
        let mut arguments = [self.head(request), meta, self.content(reply), self.config()];
        let read = |value| verdict::verdict("guard_response", value);
        self.0.ask(found, Seen::reply(request, reply), &mut arguments, read)
    }

    fn stream(&self, request: &Arc<RequestView>) -> Result<Box<dyn StreamGuard>, Fault> {
        Ok(Box::new(Guard::open(&self.0, request)?))
    }

    /// A script without `quote` says with `price` what the most that may be used would cost.
    fn quote(&self, request: &Arc<RequestView>, bound: &Arc<Base>) -> Result<Nanos, Fault> {
        match self.0.function("quote") {
            Some(found) => {
                let mut arguments: Vec<_> =
                    priced(request, bound).into_iter().map(Value::into_dynamic).collect();
                arguments.push(self.config());
                self.0.ask(found, Seen::request(request), &mut arguments, |value| money::quote(&value))
            }
            None => self.price(request, bound).map(|charge| charge.total),
        }
    }

    fn price(&self, request: &Arc<RequestView>, base: &Arc<Base>) -> Result<Charge, Fault> {
        let found = self.0.found("price")?;
        let rest = || (Seen::request(request), vec![self.config()]);
        self.0.ask_on_a_path(&self.0.prices, found, priced(request, base), rest, money::charge)
    }

    fn complete(&self, batch: &Arc<[Summary]>) -> Result<(), Fault> {
        let found = self.0.found("complete")?;
        let mut arguments = [Dynamic::from(Batch(Arc::clone(batch))), self.config()];
        self.0.call(found, settled(batch), &mut arguments).map(|_| ())
    }
}

impl Script {
    fn head(&self, view: &Arc<RequestView>) -> Dynamic {
        Dynamic::from(HeadHandle::View(Arc::clone(view)))
    }

    fn content(&self, view: &Arc<RequestView>) -> Dynamic {
        Dynamic::from(RequestHandle { view: Arc::clone(view), host: Arc::clone(&self.0.host) })
    }

    fn config(&self) -> Dynamic {
        Dynamic::from(self.0.config.clone())
    }

    /// The config, and the request if the hook has a parameter for it beyond `least`.
    fn rest(&self, found: Found, least: usize, request: &Arc<RequestView>) -> Vec<Dynamic> {
        match found.parameters == least {
            true => vec![self.config()],
            false => vec![self.config(), self.content(request)],
        }
    }

    /// The pipeline checks this too; here it also says in which file.
    fn known_targets(&self, found: Found, steps: &[Step], candidates: &Candidates) -> Result<(), Fault> {
        if steps.is_empty() {
            return Err(self.0.bad(found, "the plan names no target; write targets.healthy().or(targets)"));
        }
        match steps.iter().find(|step| !candidates.allowed.contains(&step.target)) {
            Some(step) => Err(self.0.bad(found, format!("target {} is not a candidate", step.target))),
            None => Ok(()),
        }
    }
}

/// Room for the values of a walk: the arguments and what a dozen functions give. A longer one takes more.
const WALK: usize = 24;

/// What `price` is asked about.
fn priced(request: &Arc<RequestView>, base: &Arc<Base>) -> Vec<Value> {
    let mut roots = Vec::with_capacity(WALK);
    roots.push(Value::Head(HeadHandle::View(Arc::clone(request))));
    roots.push(Value::Other((&*base.target_id).into()));
    roots.push(Value::Base(BaseHandle(Arc::clone(base))));
    roots
}

/// Of a batch of several organisations no key belongs to one; the strictest of their retentions holds for all.
fn settled(batch: &[Summary]) -> Seen {
    let first = batch.first().map(|summary| &summary.head.tenant);
    let tenant = first.filter(|tenant| batch.iter().all(|summary| summary.head.tenant == **tenant)).cloned();
    let retention = batch.iter().map(|summary| summary.head.retention).min().unwrap_or(Retention::Unknown);
    Seen::Settled { tenant, retention }
}
