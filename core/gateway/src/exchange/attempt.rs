//! One target after another, until one commits. Nothing reaches the caller before that.

use super::admit::Admitted;
use super::attend::attend;
use super::plan::Planned;
use super::{End, Exchange};
use crate::buffered::Held;
use crate::refusal::Refusal;
use crate::snapshot::Bound;
use crate::telemetry::live::{InFlight, Live, headroom};
use crate::telemetry::record::Attempt;
use crate::telemetry::trace::span_id;
use crate::upstream::{Failure, Response};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_llm::chat::{Hint, Reply, StreamScan, UpstreamError};
use weir_llm::request::{Patch, Request};
use weir_llm::sse;
use weir_policy::{AttemptError, ErrorClass, Recovery, RequestView, Step, Target};

/// Longest reply that is not streamed, in bytes.
pub const REPLY: usize = 32 << 20;
/// Longest error body that is read for its message.
const ERROR_BODY: usize = 64 << 10;
/// Longest first event of a stream; a longer one is passed on unread.
const FIRST_EVENT: usize = 1 << 20;
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
}

/// A complete reply.
pub struct Whole {
    /// Who gave it.
    pub served: Served,
    /// The body as it came.
    pub body: Bytes,
    /// What we read of it.
    pub reply: Reply,
}

/// A stream whose first bytes have come.
pub struct Opened {
    /// Who gives it.
    pub served: Served,
    /// The rest of it.
    pub response: Response,
    /// The bytes that have come.
    pub first: Bytes,
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
    /// Counts the attempt as in flight until the reply is over.
    pub in_flight: Option<Arc<InFlight>>,
}

impl Committed {
    fn served_mut(&mut self) -> &mut Served {
        match self {
            Self::Whole(whole) => &mut whole.served,
            Self::Stream(stream) => &mut stream.served,
        }
    }
}

/// A failed attempt: what policies see, and what the caller sees if it was the last.
struct Failed {
    error: AttemptError,
    refusal: Refusal,
}

/// How far the plan has come.
struct Progress {
    steps: std::vec::IntoIter<Step>,
    retries: u8,
    errors: Vec<AttemptError>,
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
        request: &Request,
        view: &Arc<RequestView>,
        planned: Planned,
    ) -> Result<Committed, End> {
        let Planned { plan, by } = planned;
        let most = admitted.route.max_attempts.max(1);
        let (retry_on, ask) = (plan.retry_on, plan.ask_on_error);
        let mut progress = Progress { steps: plan.steps.into_iter(), retries: 0, errors: Vec::new() };
        let Some(mut step) = progress.steps.next() else {
            return Err(Refusal::busy(
                "no_target",
                "The route has no target that may serve this request.",
                1000,
            )
            .into());
        };
        loop {
            let failed = match self.attempt(admitted, request, &step).await? {
                Ok(committed) => return Ok(committed),
                Err(failed) => failed,
            };
            let class = failed.error.class;
            progress.errors.push(failed.error);
            if self.record.attempts.len() >= usize::from(most) {
                return Err(failed.refusal.into());
            }
            let recovery = if ask || self.snapshot.pipeline.has_on_error(&admitted.route.name) {
                let errors: Arc<[AttemptError]> = progress.errors.clone().into();
                self.snapshot.pipeline.on_error(view, &admitted.candidates, &errors, by).recovery
            } else {
                Recovery::FollowPlan
            };
            match progress.next(recovery, &step, retry_on.covers(class)) {
                Next::Stop(refusal) => return Err(refusal.unwrap_or(failed.refusal).into()),
                Next::Step(next) => step = next,
                Next::Again(same, pause) => {
                    let pause = jittered(pause, self.gateway.random());
                    attend(self.session, &mut self.watched, tokio::time::sleep(pause)).await?;
                    step = same;
                }
            }
        }
    }

    /// One try at one target; the caller's leaving cancels it.
    async fn attempt(
        &mut self,
        admitted: &Admitted,
        request: &Request,
        step: &Step,
    ) -> Result<Result<Committed, Failed>, End> {
        let at = usize::from(step.target);
        let (Some(target), Some(bound)) = (admitted.route.table.get(at), admitted.route.bound.get(at)) else {
            return Err(Refusal::busy(
                "no_target",
                "The plan names a target that the route does not have.",
                1000,
            )
            .into());
        };
        let span = span_id();
        let call = Call::new(self, request, step, target, bound, span);
        let began = call.began;
        let in_flight = self.snapshot.live.started(bound.live);
        let ended = {
            // Pinned here, where they stay: a future handed on by value is copied at every layer that it passes.
            let ending = pin!(self.gateway.drain.ending());
            let run = pin!(call.run(request.stream(), &mut self.held));
            let work = async move {
                tokio::select! {
                    biased;
                    outcome = run => Ok(outcome),
                    () = ending => Err(Refusal::busy("shutting_down", "The gateway is shutting down.", 1000).closing()),
                }
            };
            attend(self.session, &mut self.watched, work).await
        };
        let outcome = match ended.map_err(End::from).and_then(|outcome| outcome.map_err(End::from)) {
            Ok(outcome) => outcome,
            Err(end) => {
                self.note(bound, span, began, None, Some(ErrorClass::Cancelled));
                return Err(end);
            }
        };
        Ok(match outcome {
            Ok(mut committed) => {
                committed.served_mut().in_flight = Some(Arc::new(in_flight));
                self.note(bound, span, began, Some(200), None);
                Ok(committed)
            }
            Err(failed) => {
                self.snapshot.live.failed(bound.live, failed.error.class);
                self.note(bound, span, began, failed.error.status, Some(failed.error.class));
                Err(failed)
            }
        })
    }

    /// Tells telemetry of one try.
    fn note(
        &mut self,
        bound: &Bound,
        span_id: u64,
        began: Instant,
        status: Option<u16>,
        error: Option<ErrorClass>,
    ) {
        self.record.target = Some(bound.live);
        self.record.error = error;
        self.record.attempts.push(Attempt {
            target: bound.live,
            span_id,
            started: began.saturating_duration_since(self.started),
            ended: self.started.elapsed(),
            ttft: error.is_none().then(|| began.elapsed()),
            status,
            error,
        });
    }
}

impl Progress {
    fn next(&mut self, recovery: Recovery, step: &Step, covered: bool) -> Next {
        match recovery {
            Recovery::Fail(deny) => Next::Stop(Some(deny.into())),
            Recovery::Switch(next) => Next::Step(next),
            Recovery::RetryAfter(ms) => {
                Next::Again(step.clone(), Duration::from_millis(u64::from(ms)).min(PAUSE))
            }
            Recovery::FollowPlan if !covered => Next::Stop(None),
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
        self.retries = 0;
        self.steps.next().map_or(Next::Stop(None), Next::Step)
    }
}

/// Between 80 and 120 percent of a pause, so that callers who failed together do not return together.
fn jittered(pause: Duration, random: u64) -> Duration {
    pause.saturating_mul(80 + u32::try_from(random % 41).unwrap_or(0)) / 100
}

/// One request to one target, owning all it needs so that it can be dropped at any point.
struct Call {
    target: u16,
    id: Arc<str>,
    bound: Bound,
    request: crate::upstream::Request,
    first_byte: Duration,
    until: Instant,
    began: Instant,
    live: Live,
}

impl Call {
    fn new(
        exchange: &Exchange<'_>,
        request: &Request,
        step: &Step,
        target: &Target,
        bound: &Bound,
        span: u64,
    ) -> Self {
        let began = Instant::now();
        let body = request.patched(&Patch {
            model: &target.model,
            ask_usage: request.stream() && !request.include_usage(),
            max_tokens: capped(request, step.max_tokens),
            force_store_false: false,
            vendor: None,
            edits: &[],
        });
        let endpoint = &bound.endpoint;
        let or =
            |ms: u32, default: Duration| if ms == 0 { default } else { Duration::from_millis(u64::from(ms)) };
        Self {
            target: step.target,
            id: Arc::clone(&target.id),
            bound: bound.clone(),
            request: endpoint.request(&body, exchange.record.trace.traceparent(span).as_deref()),
            first_byte: or(step.timeout_first_token_ms, endpoint.patience.first_byte),
            until: began + or(step.timeout_total_ms, endpoint.total),
            began,
            live: exchange.snapshot.live.clone(),
        }
    }

    async fn run(self, stream: bool, held: &mut Held<'_>) -> Result<Committed, Failed> {
        let mut patience = self.bound.endpoint.patience;
        patience.first_byte = self.first_byte.min(self.until.saturating_duration_since(self.began));
        let sent = self.bound.endpoint.dialer.send(&self.request, patience).await;
        let response = sent.map_err(|failure| self.failed(failure))?;
        let left = self.until.saturating_duration_since(Instant::now());
        let reading = pin!(self.read(response, stream, held));
        match pingora::time::timeout(left, reading).await {
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
        stream: bool,
        held: &mut Held<'_>,
    ) -> Result<Committed, Failed> {
        let status = response.status();
        if let Some(share) = headroom(|name| response.header(name)) {
            self.live.headroom(self.bound.live, share);
        }
        if status != 200 {
            let retry_after = retry_after(&response);
            // A broken error body is no better and no worse than none.
            let body = response.body(ERROR_BODY, held).await.unwrap_or_default();
            response.release().await;
            return Err(self.rejected(
                weir_llm::chat::upstream_error(status, &body),
                Some(status),
                retry_after,
            ));
        }
        if response
            .header("content-encoding")
            .is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"))
        {
            return Err(self.failed(Failure {
                replied: true,
                ..Failure::new(
                    ErrorClass::ServerError,
                    "the provider compressed a reply that was asked for plain",
                )
            }));
        }
        let served = Served {
            target: self.target,
            bound: self.bound.clone(),
            id: Arc::clone(&self.id),
            began: self.began,
            headers: passed_on(&response),
            in_flight: None,
        };
        let events =
            response.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        if stream && events {
            return self.open(served, response).await;
        }
        let body = response.body(REPLY, held).await.map_err(|failure| self.failed(failure))?;
        response.release().await;
        let reply = Reply::parse(&body).map_err(|error| {
            self.failed(Failure {
                replied: true,
                ..Failure::new(
                    ErrorClass::ServerError,
                    format!("the reply is not a chat completion: {error}"),
                )
            })
        })?;
        if let Some(error) = reply.error() {
            return Err(self.rejected(error.clone(), Some(200), None));
        }
        Ok(Committed::Whole(Box::new(Whole { served, body, reply })))
    }

    /// Waits for the stream's first event: an error there is still an error before commit.
    async fn open(&self, served: Served, mut response: Response) -> Result<Committed, Failed> {
        let wait = self.first_byte.saturating_sub(self.began.elapsed());
        let mut first = bytes::BytesMut::new();
        let (mut parser, mut scan) = (sse::Parser::new(FIRST_EVENT), StreamScan::new());
        loop {
            let chunk = match pingora::time::timeout(wait, response.chunk()).await {
                Ok(chunk) => chunk.map_err(|failure| self.failed(failure))?,
                Err(_) => {
                    return Err(self.failed(Failure::new(
                        ErrorClass::TimeoutFirstToken,
                        format!("no event within {} ms", self.first_byte.as_millis()),
                    )));
                }
            };
            let Some(chunk) = chunk else {
                return Err(self.failed(Failure {
                    replied: true,
                    ..Failure::new(ErrorClass::Network, "the stream ended before its first event")
                }));
            };
            first.extend_from_slice(&chunk);
            let read = parser.push(&chunk, &mut |event| {
                scan.feed(event.data);
            });
            if let Some(error) = scan.error() {
                return Err(self.rejected(error.clone(), Some(200), None));
            }
            if read.is_err() || scan.chunks() > 0 || scan.done() {
                break;
            }
        }
        let opened = Opened { served, response, first: first.freeze(), until: self.until };
        Ok(Committed::Stream(Box::new(opened)))
    }

    /// The connection or the reply's form failed.
    fn failed(&self, failure: Failure) -> Failed {
        let message = format!("{} at {}: {}.", verb(failure.class), self.id, failure.message);
        let refusal = match failure.class {
            ErrorClass::TimeoutConnect | ErrorClass::TimeoutFirstToken | ErrorClass::TimeoutIdle => {
                Refusal::gateway_timeout(message)
            }
            _ => Refusal::bad_gateway("upstream_failed", message),
        };
        Failed { error: self.error(failure.class, None, None, None), refusal }
    }

    /// The provider said no.
    fn rejected(&self, said: UpstreamError, status: Option<u16>, retry_after_ms: Option<u32>) -> Failed {
        let class = class(said.hint, status);
        let shown = match (class, status) {
            // The provider's refusal of OUR key is no refusal of the caller's.
            (ErrorClass::Auth, _) => 502,
            // Said with a status of its own or inside a 200: the caller is to wait, whoever is at fault.
            (ErrorClass::RateLimited | ErrorClass::Quota, _) => 429,
            (_, None | Some(200 | 300..=399)) => 502,
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
            if let Some(kind) = &said.kind {
                refusal.kind = kind.clone().into();
            }
            if let Some(code) = &said.code {
                refusal.code = code.clone().into();
            }
            refusal.param = said.param.clone();
        }
        Failed { error: self.error(class, status, said.code, retry_after_ms), refusal }
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

/// A plan may lower what the caller allows, never raise it.
fn capped(request: &Request, plan: Option<u32>) -> Option<u64> {
    let cap = u64::from(plan?);
    match request.max_output_tokens() {
        Some(asked) if asked <= cap => None,
        _ => Some(cap),
    }
}

/// `retry-after-ms`, or `retry-after` in seconds; a date is left to the backoff.
fn retry_after(response: &Response) -> Option<u32> {
    if let Some(ms) = response.header("retry-after-ms").and_then(|text| text.trim().parse::<f64>().ok()) {
        return millis(ms);
    }
    millis(response.header("retry-after")?.trim().parse::<f64>().ok()? * 1000.0)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
fn millis(ms: f64) -> Option<u32> {
    (ms.is_finite() && (0.0..=86_400_000.0).contains(&ms)).then_some(ms as u32)
}

/// The provider's rate-limit headers, which the official SDKs read.
fn passed_on(response: &Response) -> Vec<(HeaderName, HeaderValue)> {
    let Some(head) = response.head() else { return Vec::new() };
    let limits = head.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-ratelimit-"));
    limits.map(|(name, value)| (name.clone(), value.clone())).collect()
}
