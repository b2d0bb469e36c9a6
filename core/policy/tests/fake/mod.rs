//! A policy made of closures, and what a call needs around it.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use futures::executor::block_on;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use weir_llm::price::Nanos;
use weir_llm::request::Request;
use weir_policy::matcher::Matchers;
use weir_policy::pipeline::{
    Bound, Clock, GuardEnd, GuardOutcome, Pipeline, PolicyId, RouteOutcome, Routed, Trace,
};
use weir_policy::services::Later;
use weir_policy::verdict::{
    Admission, AttemptError, AttemptFacts, Base, Charge, Decision, Direction, Edit, GuardVerdict, Guarded,
    Preparation, Recovery, Replacement, ReplyMeta, Span, Summary,
};
use weir_policy::{
    Answer, Api, Candidates, DataClass, Fault, Head, Live, LiveFacts, Manifest, Needs, Policy, Question,
    RequestView, Retention, StreamGuard, StreamRedactor, Target,
};

type GuardFn = dyn Fn(&RequestView) -> Result<GuardVerdict, Fault> + Send + Sync;
type RouteFn = dyn Fn(&RequestView, &Candidates) -> Result<Decision, Fault> + Send + Sync;
type AnyFn = dyn Fn(&Question) -> Result<Answer, Fault> + Send + Sync;
type StreamFn = dyn Fn() -> Box<dyn StreamGuard> + Send + Sync;
type RedactorFn = dyn Fn() -> Box<dyn StreamRedactor> + Send + Sync;
type ErrorFn = dyn Fn(&[AttemptError]) -> Result<Recovery, Fault> + Send + Sync;

pub struct Fake {
    manifest: Manifest,
    matchers: Matchers,
    digest: String,
    guard: Option<Box<GuardFn>>,
    route: Option<Box<RouteFn>>,
    on_error: Option<Box<ErrorFn>>,
    any: Option<Box<AnyFn>>,
    stream: Option<Box<StreamFn>>,
    redactor: Option<Box<RedactorFn>>,
    waits: bool,
    asks: bool,
    pub calls: AtomicU32,
}

impl Fake {
    /// `yaml` is the manifest but for name and version.
    pub fn new(name: &str, yaml: &str) -> Self {
        let text = format!("name: {name}\nversion: '1'\n{yaml}\n");
        let manifest = Manifest::parse_yaml(&text, name).unwrap();
        Self {
            matchers: Matchers::compile(&manifest.matchers).unwrap(),
            manifest,
            digest: name.into(),
            guard: None,
            route: None,
            on_error: None,
            any: None,
            stream: None,
            redactor: None,
            waits: false,
            asks: true,
            calls: AtomicU32::new(0),
        }
    }

    pub fn guard(
        mut self,
        f: impl Fn(&RequestView) -> Result<GuardVerdict, Fault> + Send + Sync + 'static,
    ) -> Self {
        self.guard = Some(Box::new(f));
        self
    }

    pub fn route(
        mut self,
        f: impl Fn(&RequestView, &Candidates) -> Result<Decision, Fault> + Send + Sync + 'static,
    ) -> Self {
        self.route = Some(Box::new(f));
        self
    }

    pub fn on_error(
        mut self,
        f: impl Fn(&[AttemptError]) -> Result<Recovery, Fault> + Send + Sync + 'static,
    ) -> Self {
        self.on_error = Some(Box::new(f));
        self
    }

    /// Answers whatever it is asked.
    pub fn any(mut self, f: impl Fn(&Question) -> Result<Answer, Fault> + Send + Sync + 'static) -> Self {
        self.any = Some(Box::new(f));
        self
    }

    pub fn stream(mut self, f: impl Fn() -> Box<dyn StreamGuard> + Send + Sync + 'static) -> Self {
        self.stream = Some(Box::new(f));
        self
    }

    pub fn redactor(mut self, f: impl Fn() -> Box<dyn StreamRedactor> + Send + Sync + 'static) -> Self {
        self.redactor = Some(Box::new(f));
        self
    }

    /// Is asked by `later` only.
    pub fn waiting(mut self) -> Self {
        self.waits = true;
        self
    }

    /// Asks neither for headers nor how warm prompt caches are.
    pub fn incurious(mut self) -> Self {
        self.asks = false;
        self
    }

    /// The same under another digest.
    pub fn digest(mut self, digest: &str) -> Self {
        self.digest = digest.into();
        self
    }

    pub fn bind(self) -> Bound {
        Bound::everywhere(Arc::new(self))
    }

    fn answer(&self, question: &Question) -> Result<Answer, Fault> {
        assert!(!self.waits, "a policy that waits is asked by `later`");
        self.called();
        self.any.as_ref().unwrap()(question)
    }

    fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

impl Policy for Fake {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn digest(&self) -> &str {
        &self.digest
    }

    fn matchers(&self) -> &Matchers {
        &self.matchers
    }

    fn reads_headers(&self) -> bool {
        self.asks
    }

    fn reads_warmth(&self) -> bool {
        self.asks
    }

    fn waits(&self) -> bool {
        self.waits
    }

    fn later(self: Arc<Self>, question: Question) -> Later<Result<Answer, Fault>> {
        Box::pin(async move {
            futures::future::ready(()).await;
            self.called();
            self.any.as_ref().unwrap()(&question)
        })
    }

    fn admit(&self, view: &Arc<RequestView>) -> Result<Admission, Fault> {
        match self.answer(&Question::Admit { view: Arc::clone(view) })? {
            Answer::Admit(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }

    fn guard(&self, request: &Arc<RequestView>) -> Result<GuardVerdict, Fault> {
        self.called();
        self.guard.as_ref().unwrap()(request)
    }

    fn redact(&self, view: &Arc<RequestView>, direction: Direction) -> Result<Vec<Span>, Fault> {
        match self.answer(&Question::Redact { view: Arc::clone(view), direction })? {
            Answer::Redact(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }

    fn stream_redactor(&self, _: &Arc<RequestView>) -> Result<Box<dyn StreamRedactor>, Fault> {
        Ok(self.redactor.as_ref().unwrap()())
    }

    fn stream(&self, _: &Arc<RequestView>) -> Result<Box<dyn StreamGuard>, Fault> {
        Ok(self.stream.as_ref().unwrap()())
    }

    fn route(&self, request: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Result<Decision, Fault> {
        self.called();
        self.route.as_ref().unwrap()(request, candidates)
    }

    fn attempt(
        &self,
        view: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        facts: &Arc<AttemptFacts>,
    ) -> Result<Preparation, Fault> {
        let (view, candidates, facts) = (Arc::clone(view), Arc::clone(candidates), Arc::clone(facts));
        match self.answer(&Question::Attempt { view, candidates, facts })? {
            Answer::Attempt(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }

    fn on_error(
        &self,
        _: &Arc<RequestView>,
        _: &Arc<Candidates>,
        errors: &Arc<[AttemptError]>,
    ) -> Result<Recovery, Fault> {
        self.called();
        self.on_error.as_ref().unwrap()(errors)
    }

    fn guard_response(
        &self,
        request: &Arc<RequestView>,
        reply: &Arc<RequestView>,
        meta: &Arc<ReplyMeta>,
    ) -> Result<GuardVerdict, Fault> {
        let (request, reply, meta) = (Arc::clone(request), Arc::clone(reply), Arc::clone(meta));
        match self.answer(&Question::GuardResponse { request, reply, meta })? {
            Answer::GuardResponse(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }

    fn quote(&self, view: &Arc<RequestView>, bound: &Arc<Base>) -> Result<Nanos, Fault> {
        match self.answer(&Question::Quote { view: Arc::clone(view), bound: Arc::clone(bound) })? {
            Answer::Quote(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }

    fn price(&self, view: &Arc<RequestView>, base: &Arc<Base>) -> Result<Charge, Fault> {
        match self.answer(&Question::Price { view: Arc::clone(view), base: Arc::clone(base) })? {
            Answer::Price(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }

    fn complete(&self, batch: &Arc<[Summary]>) -> Result<(), Fault> {
        self.answer(&Question::Complete { batch: Arc::clone(batch) }).map(drop)
    }
}

/// The pipeline's questions, answered at once.
pub trait Now {
    fn guard_now(&self, view: &Arc<RequestView>) -> Told;
    fn route_now(&self, view: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Routes;
    fn on_error_now(
        &self,
        view: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        errors: &Arc<[AttemptError]>,
        planner: Option<PolicyId>,
    ) -> (Recovery, Trace);
}

/// A round of guards and its trace.
pub struct Told {
    pub view: Arc<RequestView>,
    pub end: GuardEnd,
    pub edited: bool,
    pub trace: Trace,
}

/// A round of routes and its trace.
pub struct Routes {
    pub decision: Routed,
    pub by: Option<PolicyId>,
    pub trace: Trace,
}

impl Now for Pipeline {
    fn guard_now(&self, view: &Arc<RequestView>) -> Told {
        let mut trace = Trace::new();
        let GuardOutcome { view, end, edited } = block_on(self.guard(view, &mut trace));
        Told { view, end, edited, trace }
    }

    fn route_now(&self, view: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Routes {
        let mut trace = Trace::new();
        let RouteOutcome { decision, by } = block_on(self.route(view, candidates, &mut trace));
        Routes { decision, by, trace }
    }

    fn on_error_now(
        &self,
        view: &Arc<RequestView>,
        candidates: &Arc<Candidates>,
        errors: &Arc<[AttemptError]>,
        planner: Option<PolicyId>,
    ) -> (Recovery, Trace) {
        let mut trace = Trace::new();
        let recovery = block_on(self.on_error(view, candidates, errors, planner, &mut trace));
        (recovery, trace)
    }
}

pub fn guarded(outcome: Guarded) -> GuardVerdict {
    GuardVerdict { outcome, ..GuardVerdict::pass() }
}

pub fn replace(segment: u32, start: usize, end: usize, text: &str) -> Edit {
    let (start, end) = (start as u32, end as u32);
    Edit { segment, start, end, replace: Replacement::Text(text.into()) }
}

pub fn chat(texts: &[&str]) -> Arc<Request> {
    let messages: Vec<_> =
        texts.iter().map(|text| serde_json::json!({"role": "user", "content": text})).collect();
    let messages = serde_json::Value::Array(messages);
    let body = format!(r#"{{ "model":"fast", "temperature":0.70,"messages":{messages}}}"#);
    Arc::new(Request::parse(Api::Chat, Bytes::from(body)).unwrap())
}

pub fn head() -> Head {
    Head {
        request_id: "req_1".into(),
        api: Api::Chat,
        requested_model: "fast".into(),
        stream: false,
        tenant: "acme".into(),
        project: "web".into(),
        key_id: "key_1".into(),
        user_hash: Some("abc".into()),
        region: "".into(),
        class: DataClass::Internal,
        retention: Retention::Unknown,
        demands: None,
        tags: vec![("tier".to_owned(), "gold".to_owned())].into(),
        deadline_ms: 60_000,
        est_input_tokens: 10,
        max_output_tokens: None,
        segment_count: 0,
        body_bytes: 100,
        needs: Needs::default(),
        attempt: 0,
        budget: None,
    }
}

pub fn view(texts: &[&str]) -> Arc<RequestView> {
    view_of(head(), texts)
}

pub fn view_of(head: Head, texts: &[&str]) -> Arc<RequestView> {
    let headers = [("Accept", "json"), ("Authorization", "Bearer s"), ("X-Weir-Tags", "a"), ("cookie", "c")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Arc::new(RequestView::new(head, chat(texts), headers))
}

pub fn texts(view: &RequestView) -> Vec<String> {
    (0..view.segment_count()).map(|segment| view.text(segment, 0, u32::MAX).unwrap()).collect()
}

struct Idle;

impl LiveFacts for Idle {
    fn live(&self, target: u16) -> Live {
        Live { target, healthy: true, headroom: 1.0, ..Live::default() }
    }
}

/// Four targets, of which the plan may name 0, 2 and 3.
pub fn candidates() -> Arc<Candidates> {
    let target = |id: &str| Target { provider: "sim".into(), ..Target::bare(id) };
    let table: Vec<_> = ["a", "b", "c", "d"].map(target).into();
    Arc::new(Candidates { table: table.into(), allowed: vec![0, 2, 3].into(), facts: Arc::new(Idle) })
}

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub struct Hands(Arc<AtomicU64>);

impl Hands {
    pub fn clock() -> (Self, Clock) {
        let (hands, start) = (Self(Arc::default()), Instant::now());
        let millis = Arc::clone(&hands.0);
        (hands, Arc::new(move || start + Duration::from_millis(millis.load(Ordering::Relaxed))))
    }

    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}
