//! One target after another, until one commits. Nothing reaches the caller before that.

use super::admit::Admitted;
use super::attend::attend;
use super::hedge::{self, Race};
use super::keys::{OtherKeys, keys, unasked};
use super::outgoing::{Outgoing, Way};
use super::plan::Planned;
use super::raw::{self, Rest};
use super::relay::{Ended, Relay};
use super::{End, Exchange, ask, limits, told, words};
use crate::buffered::Held;
use crate::crowd::Places;
use crate::drain::Drain;
use crate::ingress::body::out_of_buffer;
use crate::ingress::respond::name;
use crate::refusal::Refusal;
use crate::snapshot::Bound;
use crate::telemetry::live::{InFlight, Live, headroom};
use crate::telemetry::record::Attempt;
use crate::telemetry::trace::span_id;
use crate::upstream::{Failure, Insist, Response, retry_after_ms};
use http::{HeaderName, HeaderValue};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_llm::api::Api;
use weir_llm::fault::{self, Hint, UpstreamError};
use weir_llm::gemini;
use weir_llm::neutral::{Ask, Broken};
use weir_llm::payload::Payload;
use weir_llm::request::Request;
use weir_llm::translate::{self, Back, Summary};
use weir_llm::units::Told;
use weir_policy::pipeline::{PolicyId, Streams};
use weir_policy::{AttemptError, AttemptFacts, ErrorClass, Hook, Recovery, RequestView, Step, Target};

/// Longest list of what was left out.
const DROPPED: usize = 1024;
/// Longest reply that is not streamed, in bytes.
pub const REPLY: usize = 32 << 20;
/// Longest error body that is read for its message.
const ERROR_BODY: usize = 64 << 10;
/// First pause before the same target is asked again; doubles each time.
const BACKOFF: Duration = Duration::from_millis(200);
/// Longest pause; a provider that asks for a longer one is passed over for the next target.
const PAUSE: Duration = Duration::from_secs(5);

/// A reply that the caller will get.
pub enum Committed {
    /// All of it is here.
    Whole(Box<Whole>),
    /// Its first event is here.
    Stream(Box<Opened>),
    /// It is no conversation; its head is here, and all of it if that is JSON.
    Raw(Box<Raw>),
}

/// A complete reply.
pub struct Whole {
    /// Who gave it.
    pub served: Served,
    /// The body, in the caller's dialect.
    pub body: Payload,
    /// What we read of it.
    pub summary: Summary,
    /// Whether it came as a stream, and those who watch streams have seen it.
    pub watched: bool,
}

/// A reply that is no conversation: an embedding, an image, sound.
pub struct Raw {
    /// Who gives it.
    pub served: Served,
    /// All of it but its head.
    pub rest: Rest,
}

/// A stream whose first bytes have come.
pub struct Opened {
    /// Who gives it.
    pub served: Served,
    /// The rest of it.
    pub response: Response,
    /// What has come, ready to leave.
    pub relay: Relay,
    /// When the attempt is cut.
    pub until: Instant,
}

/// The target that a reply comes from.
#[derive(Clone)]
pub struct Served {
    /// Index into the route's table.
    pub target: u16,
    /// How to reach and bill it.
    pub bound: Bound,
    /// Its id.
    pub id: Arc<str>,
    /// When the attempt began.
    pub began: Instant,
    /// Headers of the provider that the caller gets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A failed attempt: what policies see, and what the caller sees if it was the last.
pub(super) struct Failed {
    pub(super) error: AttemptError,
    pub(super) refusal: Refusal,
    /// When the provider's rate limit is reset, if it says so in no other way.
    pub(super) reset_ms: Option<u32>,
}

/// A request for one target, ready to be sent.
pub(super) struct Ready {
    pub(super) outgoing: Outgoing,
    pub(super) places: Places,
    pub(super) key: usize,
    pub(super) span: u64,
    pub(super) request: Arc<Request>,
}

/// A request as policies want one target to get it.
struct Own {
    request: Arc<Request>,
    headers: Vec<(String, String)>,
}

/// How far the plan has come.
struct Progress {
    steps: std::vec::IntoIter<Step>,
    retries: u8,
    errors: Vec<AttemptError>,
    /// The last failure, in the caller's words.
    refusal: Option<Refusal>,
}

/// What to do after a failure.
enum Next {
    Again(Step, Duration),
    Step(Step),
    Stop(Option<Refusal>),
}

impl Exchange<'_> {
    /// Follows the plan until an attempt commits.
    ///
    /// # Errors
    /// The last failure in the caller's envelope, or the caller has gone.
    pub async fn attempts(
        &mut self,
        admitted: &Admitted,
        request: &Arc<Request>,
        view: &Arc<RequestView>,
        planned: Planned,
        record: bool,
    ) -> Result<Committed, End> {
        let Planned { plan, by } = planned;
        let most = admitted.route.max_attempts.max(1);
        let (retry_on, ask) = (plan.retry_on, plan.ask_on_error);
        let mut hedge = hedge::delay(&plan, usize::from(most));
        let mut progress =
            Progress { steps: plan.steps.into_iter(), retries: 0, errors: Vec::new(), refusal: None };
        let Some(mut step) = progress.steps.next() else {
            return Err(Refusal::busy(
                "no_target",
                "The route has no target that may serve this request.",
                1000,
            )
            .into());
        };
        let mut again = false;
        loop {
            let insist = match progress.steps.as_slice() {
                _ if again => Insist::Again,
                [] => Insist::Last,
                _ => Insist::No,
            };
            let ready = match self.prepared(admitted, view, (&step, insist), request).await? {
                Ok(ready) => ready,
                // The next target may be able to say it; nothing was tried here.
                Err(refusal) => match progress.steps.next() {
                    Some(next) => {
                        (step, again) = (next, false);
                        continue;
                    }
                    None => return Err(progress.refusal.unwrap_or(refusal).into()),
                },
            };
            let second = || progress.steps.as_slice().first().cloned();
            let hedged = hedge.take().and_then(|delay| Some((delay, second()?)));
            let tried = match hedged {
                None => self.attempt(admitted, view, &step, ready, record).await?,
                Some((delay, second)) => {
                    let race =
                        Race { admitted, view, request, record, first: &step, ready, second: &second, delay };
                    let raced = Box::pin(self.race(race)).await?;
                    progress.errors.extend(raced.other.map(|other| other.error));
                    if raced.second {
                        let next = progress.steps.next().unwrap_or(second);
                        // What follows is about the one that failed last.
                        if raced.result.as_ref().err().is_none_or(|failed| failed.error.target == next.target)
                        {
                            step = next;
                        }
                    }
                    raced.result
                }
            };
            let failed = match tried {
                Ok(committed) => return Ok(committed),
                Err(failed) => failed,
            };
            let class = failed.error.class;
            let provider_code = words::code(failed.error.provider_code, admitted.terms.retention);
            progress.errors.push(AttemptError { provider_code, ..failed.error });
            progress.refusal = Some(failed.refusal.clone());
            if self.record.attempts.len() >= usize::from(most) {
                return Err(failed.refusal.into());
            }
            // The operator's own plan asks whoever is there; a policy's asks if it says so.
            let recovery = if (ask || by.is_none()) && admitted.route.asked.has(Hook::OnError) {
                let errors: Arc<[AttemptError]> = progress.errors.clone().into();
                self.recovery(admitted, view, &errors, by).await?
            } else {
                Recovery::FollowPlan
            };
            let keys = keys(admitted, &step, class);
            again = false;
            match progress.next(recovery, &step, retry_on.covers(class), keys) {
                Next::Stop(refusal) => return Err(refusal.unwrap_or(failed.refusal).into()),
                Next::Step(next) => step = next,
                Next::Again(same, pause) => {
                    again = true;
                    let pause = jittered(pause, self.gateway.random());
                    attend(self.session, &mut self.watched, tokio::time::sleep(pause)).await?;
                    step = same;
                }
            }
        }
    }

    /// Asks what to do after a failure.
    async fn recovery(
        &mut self,
        admitted: &Admitted,
        view: &Arc<RequestView>,
        errors: &Arc<[AttemptError]>,
        by: Option<PolicyId>,
    ) -> Result<Recovery, End> {
        let snapshot = Arc::clone(&self.snapshot);
        let work = snapshot.pipeline.on_error(view, &admitted.candidates, errors, by, &mut self.trace);
        Ok(attend(self.session, &mut self.watched, work).await?)
    }

    /// The request in the form in which a step's target gets it; or why that target is passed over.
    pub(super) async fn prepared(
        &mut self,
        admitted: &Admitted,
        view: &Arc<RequestView>,
        step: (&Step, Insist),
        request: &Arc<Request>,
    ) -> Result<Result<Ready, Refusal>, End> {
        let ready = self.ready(admitted, view, step, request).await?;
        if let Err(why) = &ready {
            self.passed_over(step.0.target, why);
        }
        Ok(ready)
    }

    async fn ready(
        &mut self,
        admitted: &Admitted,
        view: &Arc<RequestView>,
        (step, insist): (&Step, Insist),
        request: &Arc<Request>,
    ) -> Result<Result<Ready, Refusal>, End> {
        let at = usize::from(step.target);
        let (Some(target), Some(bound)) = (admitted.route.table.get(at), admitted.route.bound.get(at)) else {
            let why = "The plan names a target that the route does not have.";
            return Ok(Err(Refusal::busy("no_target", why, 1000)));
        };
        // Whoever made the plan, whatever step this is: content goes only to whom admission found fit for it.
        if !admitted.candidates.allowed.contains(&step.target) || admitted.terms.fits(target).is_err() {
            let why = "The plan names a target that may not have this request.";
            return Ok(Err(Refusal::busy("no_target", why, 1000)));
        }
        let places = match bound.enter(&target.id) {
            Ok(places) => places,
            Err(full) => return Ok(Err(full)),
        };
        let key = match bound.keys.pick(insist) {
            Ok(key) => key,
            Err(wait) => return Ok(Err(unasked(&target.id, wait))),
        };
        let mut own = Own { request: Arc::clone(request), headers: Vec::new() };
        if admitted.route.asked.has(Hook::Attempt) {
            own = match self.own(admitted, view, step.target, target).await? {
                Ok(own) => own,
                Err(skipped) => return Ok(Err(skipped)),
            };
        }
        let span = span_id();
        let outgoing = self.outgoing(admitted, &own.request, step, (target, bound, key, span), &own.headers);
        Ok(outgoing.map(|outgoing| Ready { outgoing, places, key, span, request: own.request }))
    }

    /// What policies make of the request for one target.
    async fn own(
        &mut self,
        admitted: &Admitted,
        view: &Arc<RequestView>,
        index: u16,
        target: &Target,
    ) -> Result<Result<Own, Refusal>, End> {
        let number = u8::try_from(self.record.attempts.len() + 1).unwrap_or(u8::MAX);
        let facts = Arc::new(AttemptFacts { target: index, target_id: Arc::clone(&target.id), number });
        let snapshot = Arc::clone(&self.snapshot);
        let work = snapshot.pipeline.attempt(view, &admitted.candidates, &facts, &mut self.trace);
        let attempted = attend(self.session, &mut self.watched, work).await?;
        let attempted = attempted.map_err(|refused| Refusal::from(refused.deny))?;
        if attempted.skip.is_some() {
            let why = format!("A policy passed {} over, and no other target is left.", target.id);
            return Ok(Err(Refusal::busy("target_skipped", why, 1000)));
        }
        Ok(Ok(Own { request: Arc::clone(attempted.view.request()), headers: attempted.headers }))
    }

    /// One try at one target; the caller's leaving cancels it.
    async fn attempt(
        &mut self,
        admitted: &Admitted,
        view: &Arc<RequestView>,
        step: &Step,
        ready: Ready,
        record: bool,
    ) -> Result<Result<Committed, Failed>, End> {
        let Ready { outgoing, places, key, span, request } = ready;
        let gate = self.gate(admitted, view)?;
        let at = usize::from(step.target);
        let (target, bound) = (&admitted.route.table[at], &admitted.route.bound[at]);
        let call = Call::new(self, step, target, bound, outgoing);
        let id = Arc::clone(&self.id);
        let shown = told(admitted);
        let at = self.record.started_at;
        let ask = ask(shown.as_ref().unwrap_or(&request), &id, &admitted.route.name, at);
        let began = call.began;
        let in_flight = (self.snapshot.live.started(bound.live), places);
        let mut held = self.gateway.buffered.open();
        let ended = {
            // Pinned here, where it stays: a future handed on by value is copied at every layer that it passes.
            let run = pin!(call.run(&request, &ask, (record, gate), &mut held));
            attend(self.session, &mut self.watched, unless_ending(&self.gateway.drain, run)).await
        };
        let outcome = match ended.map_err(End::from).and_then(|outcome| outcome.map_err(End::from)) {
            Ok(outcome) => outcome,
            Err(end) => {
                self.note(bound, span, began, None, Some(ErrorClass::Cancelled));
                return Err(end);
            }
        };
        // What a failed try held is given back.
        if outcome.is_ok() {
            self.held.absorb(held);
        }
        Ok(self.conclude((bound, key, span, began), in_flight, outcome))
    }

    /// Notes how a try ended, and what it says of its target and its key.
    #[allow(clippy::result_large_err, reason = "moved once, where an attempt failed")]
    pub(super) fn conclude(
        &mut self,
        (bound, key, span, began): (&Bound, usize, u64, Instant),
        in_flight: (InFlight, Places),
        outcome: Result<Committed, Failed>,
    ) -> Result<Committed, Failed> {
        match outcome {
            Ok(committed) => {
                self.in_flight = Some(in_flight);
                bound.keys.well(key);
                self.note(bound, span, began, Some(200), None);
                Ok(committed)
            }
            Err(failed) => {
                self.snapshot.live.failed(bound.live, failed.error.class);
                self.learn(bound, key, &failed);
                self.note(bound, span, began, failed.error.status, Some(failed.error.class));
                Err(failed)
            }
        }
    }

    /// Tells telemetry of one try.
    pub(super) fn note(
        &mut self,
        bound: &Bound,
        span_id: u64,
        began: Instant,
        status: Option<u16>,
        error: Option<ErrorClass>,
    ) {
        self.record.target = Some(bound.live);
        self.record.error = error;
        let now = Instant::now();
        self.record.attempts.push(Attempt {
            target: bound.live,
            span_id,
            started: began.saturating_duration_since(self.started),
            ended: now.saturating_duration_since(self.started),
            ttft: error.is_none().then(|| now.saturating_duration_since(began)),
            status,
            error,
        });
    }
}

impl Progress {
    fn next(&mut self, recovery: Recovery, step: &Step, covered: bool, keys: OtherKeys) -> Next {
        match recovery {
            Recovery::Fail(deny) => Next::Stop(Some(deny.into())),
            Recovery::Switch(next) => Next::Step(next),
            Recovery::RetryAfter(ms) => {
                Next::Again(step.clone(), Duration::from_millis(u64::from(ms)).min(PAUSE))
            }
            Recovery::FollowPlan if !covered => Next::Stop(None),
            Recovery::FollowPlan if keys == OtherKeys::Ready => Next::Step(step.clone()),
            // The key that was just refused would be refused again.
            Recovery::FollowPlan if keys == OtherKeys::Out => self.turn(),
            Recovery::FollowPlan => self.follow(step),
        }
    }

    /// The same target again while it has retries left and does not ask for too long a pause; then the next.
    fn follow(&mut self, step: &Step) -> Next {
        let asked = self
            .errors
            .last()
            .and_then(|error| error.retry_after_ms)
            .map(u64::from)
            .map(Duration::from_millis);
        let wait = asked.unwrap_or_else(|| BACKOFF.saturating_mul(1 << self.retries.min(5)).min(PAUSE));
        if self.retries < step.max_retries && wait <= PAUSE {
            self.retries += 1;
            return Next::Again(step.clone(), wait);
        }
        self.turn()
    }

    /// The next target.
    fn turn(&mut self) -> Next {
        self.retries = 0;
        self.steps.next().map_or(Next::Stop(None), Next::Step)
    }
}

/// Waits for work, unless the process ends first.
pub(super) async fn unless_ending<T>(drain: &Drain, work: impl Future<Output = T>) -> Result<T, Refusal> {
    let (ending, work) = (pin!(drain.ending()), pin!(work));
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = ending => Err(Refusal::shutting_down()),
    }
}

/// Between 80 and 120 percent of a pause, so that callers who failed together do not return together.
fn jittered(pause: Duration, random: u64) -> Duration {
    pause.saturating_mul(80 + u32::try_from(random % 41).unwrap_or(0)) / 100
}

/// One request to one target, owning all it needs so that it can be dropped at any point.
pub(super) struct Call {
    target: u16,
    id: Arc<str>,
    bound: Bound,
    outgoing: Outgoing,
    first_byte: Duration,
    until: Instant,
    began: Instant,
    live: Live,
}

impl Call {
    pub(super) fn new(
        exchange: &Exchange<'_>,
        step: &Step,
        target: &Target,
        bound: &Bound,
        outgoing: Outgoing,
    ) -> Self {
        let began = Instant::now();
        let endpoint = &bound.endpoint;
        let or =
            |ms: u32, default: Duration| if ms == 0 { default } else { Duration::from_millis(u64::from(ms)) };
        Self {
            target: step.target,
            id: Arc::clone(&target.id),
            bound: bound.clone(),
            outgoing,
            first_byte: or(step.timeout_first_token_ms, endpoint.patience.first_byte),
            until: began + or(step.timeout_total_ms, endpoint.total),
            began,
            live: exchange.snapshot.live.clone(),
        }
    }

    pub(super) const fn began(&self) -> Instant {
        self.began
    }

    pub(super) async fn run(
        &self,
        request: &Request,
        ask: &Ask<'_>,
        (record, gate): (bool, Option<Streams>),
        held: &mut Held<'_>,
    ) -> Result<Committed, Failed> {
        let mut patience = self.bound.endpoint.patience;
        patience.first_byte = self.first_byte.min(self.until.saturating_duration_since(self.began));
        let sent = self.bound.endpoint.dialer.send(&self.outgoing.request, patience).await;
        let response = sent.map_err(|failure| self.failed(failure))?;
        let left = self.until.saturating_duration_since(Instant::now());
        let reading = pin!(self.read(response, request, ask, (record, gate), held));
        match pingora::time::tokio_timeout(left, reading).await {
            Ok(result) => result,
            Err(_) => Err(self.failed(Failure::new(
                ErrorClass::TimeoutIdle,
                format!("the reply was not complete within {} ms", (self.until - self.began).as_millis()),
            ))),
        }
    }

    async fn read(
        &self,
        mut response: Response,
        request: &Request,
        ask: &Ask<'_>,
        (record, gate): (bool, Option<Streams>),
        held: &mut Held<'_>,
    ) -> Result<Committed, Failed> {
        let status = response.status();
        if limits::are_told(response.head())
            && let Some(share) = headroom(|name| response.header(name))
        {
            self.live.headroom(self.bound.live, share);
        }
        response.inflated().map_err(|failure| self.failed(failure))?;
        if status != 200 {
            let asked = retry_after_ms(|name| response.header(name));
            let headers = limits::refused(response.head(), request.api(), asked.is_some());
            let reset = limits::reset_ms(|name| response.header(name));
            // A broken error body is no better and no worse than none.
            let body = response.body(ERROR_BODY, held).await.unwrap_or_default();
            response.release().await;
            // Google says it in the body.
            let asked = asked.or_else(|| gemini::retry_delay_ms(body.expose()));
            let mut failed = self.rejected(fault::upstream_error(status, body.expose()), Some(status), asked);
            failed.refusal.headers = headers;
            failed.reset_ms = reset;
            return Err(failed);
        }
        let served = Served {
            target: self.target,
            bound: self.bound.clone(),
            id: Arc::clone(&self.id),
            began: self.began,
            headers: passed_on(&response, request.api(), &self.outgoing.dropped),
        };
        if matches!(self.outgoing.way, Way::Opaque) {
            return self.raw(served, response, (request.api(), record), held).await;
        }
        let events =
            response.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        if request.stream() && events {
            let hide = request.api() == Api::Chat && !request.include_usage();
            let relay = match (&self.outgoing.way, gate) {
                (Way::Turned(back), gate) => Relay::turn(back, ask, record, gate),
                // What may be changed on its way cannot pass as bytes.
                (_, Some(gate)) => match Back::same(request) {
                    Some(back) => Relay::turn(&back, ask, record, Some(gate)),
                    None => Relay::pass(request.api(), request.choices(), hide, record),
                },
                (_, None) => Relay::pass(request.api(), request.choices(), hide, record),
            };
            return self.open(served, response, relay).await;
        }
        let body = response.body(REPLY, held).await.map_err(|failure| self.failed(failure))?;
        response.release().await;
        let read = match &self.outgoing.way {
            Way::Turned(back) => back.whole(body.expose(), ask).map(|turned| (turned.body, turned.summary)),
            _ => translate::summary(request.api(), body.expose()).map(|summary| (body, summary)),
        };
        match read {
            Ok((body, summary)) => {
                Ok(Committed::Whole(Box::new(Whole { served, body, summary, watched: false })))
            }
            Err(broken) => Err(self.broken(broken)),
        }
    }

    /// Reads what is to be JSON, whatever its provider calls it where it `must` be: an error in it is still an error before
    /// commit. All else passes as it comes.
    async fn raw(
        &self,
        served: Served,
        mut response: Response,
        (api, must): (Api, bool),
        held: &mut Held<'_>,
    ) -> Result<Committed, Failed> {
        let rest = if must || raw::is_json(api, &response) {
            let body = response.body(REPLY, held).await.map_err(|failure| self.failed(failure))?;
            response.release().await;
            let told = Told::read(api, body.expose()).map_err(|broken| self.broken(broken))?;
            Rest::Whole(body, told)
        } else {
            Rest::Passing(response, self.until)
        };
        Ok(Committed::Raw(Box::new(Raw { served, rest })))
    }

    /// Waits for the stream's first event: an error there is still an error before commit.
    async fn open(
        &self,
        served: Served,
        mut response: Response,
        mut relay: Relay,
    ) -> Result<Committed, Failed> {
        // What is no event does not begin the wait anew.
        let wait = self.first_byte.saturating_sub(self.began.elapsed());
        let begun = {
            let begun = pin!(self.begun(&mut response, &mut relay));
            pingora::time::tokio_timeout(wait, begun).await
        };
        match begun {
            Ok(begun) => begun?,
            Err(_) => {
                return Err(self.failed(Failure::new(
                    ErrorClass::TimeoutFirstToken,
                    format!("no event within {} ms", self.first_byte.as_millis()),
                )));
            }
        }
        Ok(Committed::Stream(Box::new(Opened { served, response, relay, until: self.until })))
    }

    /// Reads until the first event.
    async fn begun(&self, response: &mut Response, relay: &mut Relay) -> Result<(), Failed> {
        while !relay.begun() {
            let chunk = response.chunk().await.map_err(|failure| self.failed(failure))?;
            let Some(chunk) = chunk else {
                return Err(self.failed(Failure {
                    replied: true,
                    ..Failure::new(ErrorClass::Network, "the stream ended before its first event")
                }));
            };
            relay.feed(&chunk).map_err(|error| {
                self.failed(Failure {
                    replied: true,
                    ..Failure::new(ErrorClass::ServerError, error.to_string())
                })
            })?;
            if relay.end() == Some(Ended::Error) || (relay.error().is_some() && relay.end().is_none()) {
                let error = relay.error().cloned().unwrap_or_else(|| fault::upstream_error(500, b""));
                return Err(self.rejected(error, Some(200), None));
            }
        }
        Ok(())
    }

    /// The connection or the reply's form failed.
    fn failed(&self, failure: Failure) -> Failed {
        let message = format!("{} at {}: {}.", verb(failure.class), self.id, failure.message);
        let refusal = match failure.class {
            ErrorClass::TimeoutConnect | ErrorClass::TimeoutFirstToken | ErrorClass::TimeoutIdle => {
                Refusal::gateway_timeout(message)
            }
            // Nobody's fault but ours.
            ErrorClass::Other => out_of_buffer(),
            _ => Refusal::bad_gateway("upstream_failed", message),
        };
        Failed { error: self.error(failure.class, None, None, None), refusal, reset_ms: None }
    }

    /// The status was good, and what came with it is not.
    fn broken(&self, broken: Broken) -> Failed {
        match broken {
            Broken::Said(error) => self.rejected(error, Some(200), None),
            Broken::Unreadable(why) => {
                self.failed(Failure { replied: true, ..Failure::new(ErrorClass::ServerError, why) })
            }
        }
    }

    /// The provider said no.
    fn rejected(&self, said: UpstreamError, status: Option<u16>, retry_after_ms: Option<u32>) -> Failed {
        let class = class(said.hint, status);
        let shown = match (class, status) {
            // The provider's refusal of OUR key is no refusal of the caller's.
            (ErrorClass::Auth, _) => 502,
            // Said with a status of its own or inside a 200: the caller is to wait, whoever is at fault.
            (ErrorClass::RateLimited | ErrorClass::Quota, _) => 429,
            (ErrorClass::Overloaded, None | Some(200)) => 503,
            (ErrorClass::TimeoutFirstToken, None | Some(200)) => 504,
            (
                ErrorClass::BadRequest | ErrorClass::ContextTooLong | ErrorClass::ContentFilter,
                None | Some(200),
            ) => 400,
            (_, None | Some(100..=399)) => 502,
            (_, Some(status)) => status.clamp(400, 599),
        };
        let mut refusal =
            Refusal::bad_gateway("upstream_error", format!("{} answered: {}", self.id, said.message));
        refusal.status = shown;
        refusal.retry_after_ms = retry_after_ms;
        if class == ErrorClass::Auth {
            refusal.message = format!(
                "{} refused the gateway's own credentials; the operator has to look at them.",
                self.id
            );
            refusal.code = "upstream_auth".into();
        } else {
            refusal.kind = kind(shown, said.kind.as_deref());
            if let Some(code) = &said.code {
                refusal.code = code.clone().into();
            }
            refusal.param = said.param.clone();
        }
        Failed { error: self.error(class, status, said.code, retry_after_ms), refusal, reset_ms: None }
    }

    fn error(
        &self,
        class: ErrorClass,
        status: Option<u16>,
        provider_code: Option<String>,
        retry_after_ms: Option<u32>,
    ) -> AttemptError {
        AttemptError {
            target: self.target,
            target_id: Arc::clone(&self.id),
            class,
            status,
            provider_code,
            retry_after_ms,
            elapsed_ms: u32::try_from(self.began.elapsed().as_millis()).unwrap_or(u32::MAX),
        }
    }
}

/// OpenAI's `error.type`: the provider's own word if it is one of theirs, else the status's.
fn kind(status: u16, said: Option<&str>) -> std::borrow::Cow<'static, str> {
    let by_status = match status {
        400 | 404 | 405 | 409 | 413 | 415 | 422 => "invalid_request_error",
        401 => "authentication_error",
        402 => "insufficient_quota",
        403 => "permission_error",
        429 => "rate_limit_error",
        _ => "server_error",
    };
    match said {
        Some(said) if !said.is_empty() && said != "error" => said.to_owned().into(),
        _ => by_status.into(),
    }
}

const fn verb(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::TimeoutConnect | ErrorClass::TimeoutFirstToken | ErrorClass::TimeoutIdle => "Timed out",
        _ => "Failed",
    }
}

const fn by_status(status: Option<u16>) -> ErrorClass {
    match status {
        Some(400 | 405..=407 | 409..=428) => ErrorClass::BadRequest,
        Some(401 | 403) => ErrorClass::Auth,
        Some(402) => ErrorClass::Quota,
        Some(404) => ErrorClass::ModelNotFound,
        Some(408) => ErrorClass::TimeoutFirstToken,
        Some(429) => ErrorClass::RateLimited,
        Some(503 | 529) => ErrorClass::Overloaded,
        _ => ErrorClass::ServerError,
    }
}

/// What the dialect made of an error body, in the words of the policy contract.
const fn class(hint: Hint, status: Option<u16>) -> ErrorClass {
    match hint {
        Hint::RateLimited => ErrorClass::RateLimited,
        Hint::Quota => ErrorClass::Quota,
        Hint::Overloaded => ErrorClass::Overloaded,
        Hint::Timeout => ErrorClass::TimeoutFirstToken,
        Hint::ContextTooLong => ErrorClass::ContextTooLong,
        Hint::ContentFilter => ErrorClass::ContentFilter,
        Hint::Auth => ErrorClass::Auth,
        Hint::ModelNotFound => ErrorClass::ModelNotFound,
        Hint::BadRequest => ErrorClass::BadRequest,
        Hint::ServerError => ErrorClass::ServerError,
        Hint::Other => by_status(status),
    }
}

/// Headers of the provider that the official SDKs read, and what was left out of the request.
fn passed_on(response: &Response, api: Api, dropped: &[String]) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = limits::passed_on(response.head(), api);
    if !dropped.is_empty() {
        let mut list: String =
            dropped.join(", ").chars().filter(|c| c.is_ascii() && !c.is_ascii_control()).collect();
        list.truncate(DROPPED);
        if let Ok(value) = HeaderValue::from_str(&list) {
            headers.push((name::DROPPED, value));
        }
    }
    headers
}
