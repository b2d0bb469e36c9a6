//! The way of a request, one sentence a step. Every step is a call; nothing else happens to a request.
//!
//! # Layout
//!
//! - [`identify`]: the caller's key becomes a principal.
//! - [`view`]: what policies see before content.
//! - [`admit`]: rate limit, who may come in, eligible targets, and the money that is held.
//! - [`guard`]: content policies.
//! - [`replay`]: the response cache.
//! - [`warm`]: which prompt caches may know it.
//! - [`plan`]: route policies.
//! - [`outgoing`]: the request in the form in which one target gets it.
//! - [`attempt`]: one target after another, until one commits.
//! - [`hedge`]: a second target beside a slow one.
//! - [`keys`]: what an attempt tells of the key that it went out with.
//! - [`limits`]: the provider's rate-limit headers.
//! - [`screen`]: content policies on what a model says.
//! - [`restore`]: what was hidden from the model is given back to the caller.
//! - [`reply`]: a whole reply.
//! - [`relay`]: a stream on its way: cut at its events, turned where the target speaks another dialect.
//! - [`stream`]: a streamed reply.
//! - [`ear`]: who listens to it.
//! - [`raw`]: a reply that is no conversation.
//! - [`count`]: tokens counted without asking a model.
//! - [`price`]: what the customer pays, by the policy that prices.
//! - [`settle`]: the one posting.
//! - [`summary`]: what `complete` learns of it.
//! - [`explain`]: what is remembered of who decided what, for whoever asks; [`decided`]: how that is told.
//! - [`words`]: what a provider says that policies get without reading content.
//! - [`attend`]: waiting for work while watching the caller.

pub mod admit;
pub mod attempt;
pub mod attend;
pub mod count;
pub mod decided;
pub mod ear;
pub mod explain;
pub mod guard;
pub mod hedge;
pub mod identify;
pub mod keys;
pub mod limits;
pub mod outgoing;
pub mod plan;
pub mod price;
pub mod raw;
pub mod relay;
pub mod replay;
pub mod reply;
pub mod restore;
pub mod screen;
pub mod settle;
pub mod stream;
pub mod summary;
pub mod view;
pub mod warm;
pub mod words;

use crate::buffered::Held;
use crate::crowd::Places;
use crate::gateway::Gateway;
use crate::ingress::form::{self, Form};
use crate::ingress::respond::{Gone, Head};
use crate::ingress::session::Session;
use crate::ingress::{self, Endpoint, body, respond};
use crate::models;
use crate::refusal::Refusal;
use crate::slots::Taken;
use crate::snapshot::Snapshot;
use crate::telemetry::live::InFlight;
use crate::telemetry::{Telemetry, record};
use admit::Admitted;
use attempt::Committed;
use bytes::Bytes;
use count::only_counting;
use explain::Considered;
use http::Method;
use settle::{Close, Outcome};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use weir_llm::api::Api;
use weir_llm::neutral::Ask;
use weir_llm::neutral::label::{Ends, ModelName};
use weir_llm::price::Nanos;
use weir_llm::request::{Hosted, Request};
use weir_llm::usage::{Source, Usage};
use weir_policy::RequestView;
use weir_policy::pipeline::{Asked, Trace};

/// One client request and all that happens until its reply is finished and settled.
pub struct Exchange<'g> {
    /// What lives longer than the exchange.
    pub gateway: &'g Gateway,
    /// The generation that this exchange keeps to its end.
    pub snapshot: Arc<Snapshot>,
    /// The caller's side.
    pub session: &'g mut Session,
    /// In whose words it is answered.
    pub voice: Api,
    /// Our id of it.
    pub id: Arc<str>,
    /// When its head had come.
    pub started: Instant,
    /// The slots for instances of policies that it keeps.
    pub slots: Option<Taken<'g>>,
    /// Whether the caller can still be watched for leaving: not once it has sent bytes past its body.
    pub watched: bool,
    /// Bytes held for it.
    pub held: Held<'g>,
    /// What its body has beside the JSON, if it is a form.
    pub form: Option<Form>,
    /// What telemetry will be told.
    pub record: record::Exchange,
    /// Which policy said what.
    pub trace: Trace,
    /// What policies saw first, and which hooks are asked; `None`: none is.
    pub seen: Option<(Arc<RequestView>, Asked)>,
    /// Counts the attempt that a reply comes from as in flight, and keeps its places, until the reply is over.
    pub in_flight: Option<(InFlight, Places)>,
    /// Who served it, and who counted what was used.
    pub served: Option<(Arc<str>, Source)>,
    /// What its end says of a prompt cache.
    pub sent: Option<warm::Sent>,
    /// The request as replies repeat it, if that is another one than the model got.
    pub told: Option<Arc<Request>>,
    /// Whether its decisions are kept for whoever asks.
    pub explains: bool,
    /// Whether the caller asked for them.
    pub wants_explanation: bool,
    /// Where it might go and was to go, if that is kept for whoever asks.
    pub considered: Option<Considered>,
    /// What it asks of providers beside the model, where that matters.
    pub hosted: Vec<Hosted>,
    /// What providers take for attempts that were cancelled in favour of others, as far as anybody can tell; `None`: unknown.
    pub lost: Option<Nanos>,
}

/// Why an exchange did not end in a reply.
#[derive(Debug)]
pub enum End {
    /// The gateway, a policy or the last provider said no; the caller is to be told.
    Refused(Box<Refusal>),
    /// The caller has gone.
    Gone,
    /// A part of the reply is out, and the rest will not come: a connection that breaks is the only way left to say so.
    Broken,
}

/// How the caller is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// It has all that was to be said.
    Done,
    /// It has a part, and is to see that it is not the whole.
    Broken,
    /// It left before that, or reads no more.
    Left,
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// The record of an exchange that has just begun: refused, until it is something better.
pub fn record(
    telemetry: &Telemetry,
    snapshot: &Snapshot,
    request_id: Arc<str>,
    traceparent: Option<&str>,
) -> record::Exchange {
    let nobody: Arc<str> = Arc::clone(&snapshot.nobody);
    record::Exchange {
        meters: Arc::clone(&snapshot.meters),
        request_id,
        trace: telemetry.trace(traceparent),
        started_at: SystemTime::now(),
        api: Api::Chat,
        model: record::Model::Unknown,
        target: None,
        response_model: ModelName::default(),
        ends: Ends::default(),
        gaps: None,
        status: 0,
        outcome: record::Outcome::Refused,
        error: None,
        refused: None,
        stream: false,
        cache: record::CacheState::Bypass,
        usage: Usage::default(),
        charged: Nanos(0),
        provider_cost: Some(Nanos(0)),
        ttft: None,
        total: Duration::ZERO,
        overhead: Duration::ZERO,
        generation: snapshot.generation,
        key_id: Arc::clone(&nobody),
        tenant: nobody,
        bytes_in: 0,
        bytes_out: 0,
        attempts: Vec::new(),
        policies: Vec::new(),
    }
}

/// What the writers of replies need to know of a request, where the exchange itself is lent out.
fn ask<'a>(request: &'a Request, request_id: &'a str, model: &'a str, asked_at: SystemTime) -> Ask<'a> {
    let since = asked_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ask {
        root: request.json().root(),
        include_usage: request.include_usage(),
        request_id,
        now: since.as_secs(),
        model,
    }
}

/// The request as its caller said it, if something of it was hidden from the model: a reply that repeats it repeats this.
fn told(admitted: &Admitted) -> Option<Arc<Request>> {
    (!admitted.view.vault().is_empty()).then(|| Arc::clone(admitted.view.request()))
}

impl Exchange<'_> {
    /// Runs the exchange to its end; then its record is whole.
    pub async fn run(&mut self) -> Parting {
        let mut parting = Parting::Done;
        if let Err(end) = self.answer().await {
            match end {
                End::Refused(refusal) => {
                    self.record.status = refusal.status_for(self.voice);
                    if let Some(why) = refusal.shed {
                        self.gateway.telemetry.metrics().shed(why);
                    }
                    self.refused_as(&refusal);
                    let marks = self.marks();
                    let put = |head: &mut Head| marks.put(head);
                    if respond::refuse_with(self.session, &refusal, self.voice, &self.id, put).await.is_err()
                    {
                        parting = Parting::Left;
                        self.session.close();
                    }
                }
                End::Gone => {
                    parting = Parting::Left;
                    self.record.outcome = record::Outcome::ClientAbort;
                    self.session.close();
                }
                End::Broken => {
                    parting = Parting::Broken;
                    self.session.close();
                }
            }
        }
        self.record.total = self.started.elapsed();
        self.record.overhead = self.own_time();
        self.record.note(&self.trace, self.started);
        self.explain();
        if self.seen.is_some() {
            self.gateway.services.end(&self.id);
        }
        self.complete();
        if let Some(sent) = self.sent.take() {
            sent.note();
        }
        parting
    }

    async fn answer(&mut self) -> Result<(), End> {
        if let Some(refusal) = self.session.take_fault() {
            return Err(refusal.into());
        }
        let head = self.session.head();
        match ingress::endpoint(&head.method, head.uri.path())? {
            Endpoint::Api(api) => {
                self.record.api = api;
                self.converse(api).await
            }
            Endpoint::Root => self.root().await,
            Endpoint::Models => models::list(self).await,
            Endpoint::Model(id) => models::one(self, &id).await,
        }
    }

    /// Any of the APIs that models answer: the list that the design calls *the way of a request*. What most requests do
    /// not come to is boxed: the whole future is as large as its largest part, and what is boxed is a pointer in it.
    async fn converse(&mut self, api: Api) -> Result<(), End> {
        let mut caller = self.identify()?;
        let mut request = self.read(api).await?;
        if let Some(wishes) = request.data_wishes().map_err(Refusal::from)? {
            caller.wishes.tighten(wishes);
            request = request.without_data_wishes().map_err(Refusal::from)?;
        }
        let request = Arc::new(request);
        let mut admitted = self.admit(caller, &request).await?;
        let (request, view) = match self.guard(&admitted, Arc::clone(&request)).await {
            Ok(guarded) => guarded,
            Err(stop) => return Box::pin(self.stopped(admitted, &request, stop)).await,
        };
        let replay = match self.look_up(&admitted, &request).await {
            Ok(replay::Found::Hit(reply)) => {
                return Box::pin(self.replay(admitted, &request, &reply)).await;
            }
            Ok(replay::Found::Miss(replay)) => replay,
            Err(end) => return self.ended(admitted, end, Outcome::Refused).await,
        };
        self.warm(&mut admitted, &request);
        let mut planned = match self.plan(&admitted, &view).await {
            Ok(planned) => planned,
            Err(end) => return self.ended(admitted, end, Outcome::Refused).await,
        };
        if api == Api::CountTokens {
            only_counting(&admitted, &mut planned);
        }
        if api == Api::CountTokens && planned.plan.steps.is_empty() {
            return Box::pin(self.count(admitted, &request)).await;
        }
        let record = match api.is_conversation() {
            true => replay.is_some() || self.collects(&admitted),
            false => screen::keeps(&admitted, &request),
        };
        let committed = self.attempts(&admitted, &request, &view, planned, record).await;
        self.told = told(&admitted);
        let ended = match committed {
            Ok(Committed::Whole(whole)) => self.reply(admitted, &request, *whole, replay).await,
            Ok(Committed::Stream(stream)) => Box::pin(self.stream(admitted, &request, *stream, replay)).await,
            Ok(Committed::Raw(raw)) => Box::pin(self.raw(admitted, &request, *raw)).await,
            // A guess is of more use than a provider's trouble; the caller's own fault is told.
            Err(End::Refused(refusal))
                if api == Api::CountTokens && (refusal.status == 429 || refusal.status >= 500) =>
            {
                Box::pin(self.count(admitted, &request)).await
            }
            Err(end) => self.ended(admitted, end, Outcome::Failed).await,
        };
        self.in_flight = None;
        ended
    }

    /// Settles an exchange that ended before a reply: nothing is billed.
    async fn ended(&mut self, admitted: Admitted, end: End, refused: Outcome) -> Result<(), End> {
        let outcome = match &end {
            End::Refused(_) => refused,
            End::Gone => Outcome::ClientAbort,
            End::Broken => Outcome::UpstreamCut,
        };
        self.settle(admitted, Close::nothing(outcome)).await?;
        Err(end)
    }

    /// `HEAD /`: somebody is there. Anthropic's clients ask before they begin.
    async fn root(&mut self) -> Result<(), End> {
        let text: &[u8] = b"Weir, an LLM gateway. See /v1/models.\n";
        let body = if self.session.head().method == Method::HEAD { &[] } else { text };
        let head = respond::whole_head(200, "text/plain; charset=utf-8", body.len(), &self.id)?;
        self.record.status = 200;
        self.record.outcome = record::Outcome::Ok;
        Ok(respond::whole(self.session, head, Bytes::from_static(body)).await?)
    }

    /// What the writers of replies need to know of the request.
    fn ask<'a>(&'a self, request: &'a Request, model: &'a str) -> Ask<'a> {
        ask(self.told.as_deref().unwrap_or(request), &self.id, model, self.record.started_at)
    }

    /// What was not spent in waiting for a provider.
    fn own_time(&self) -> Duration {
        let waited: Duration =
            self.record.attempts.iter().map(|attempt| attempt.ended.saturating_sub(attempt.started)).sum();
        let streamed = match self.record.ttft {
            Some(ttft) if self.record.stream => self.record.total.saturating_sub(ttft),
            _ => Duration::ZERO,
        };
        self.record.total.saturating_sub(waited).saturating_sub(streamed)
    }

    /// Reads and parses the body.
    async fn read(&mut self, api: Api) -> Result<Request, End> {
        let server = &self.snapshot.config.server;
        let bounds = body::Bounds {
            limit: server.limits.body,
            deadline: server.timeouts.body,
            min_rate: server.limits.min_rate,
        };
        let headers = &self.session.head().headers;
        body::check_head(headers, bounds, api == Api::Transcription)?;
        let boundary = (api == Api::Transcription).then(|| form::boundary(headers)).transpose()?;
        let mut body = body::read(self.session, bounds, &mut self.held).await?;
        self.record.bytes_in = body.len() as u64;
        if let Some(boundary) = boundary {
            let (form, json) = Form::parse(&boundary, body.expose())?;
            (self.form, body) = (Some(form), json.into());
        }
        let request = Request::parse(api, body.expose().clone()).map_err(Refusal::from)?;
        self.record.stream = request.stream();
        Ok(request)
    }

    /// A policy or the plan said no after admission: nothing is billed.
    async fn refused(&mut self, admitted: Admitted, refusal: Refusal) -> Result<(), End> {
        self.ended(admitted, refusal.into(), Outcome::Refused).await
    }
}
