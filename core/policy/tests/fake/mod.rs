//! A policy made of closures, and what a call needs around it.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use weir_llm::request::Request;
use weir_policy::pipeline::{Bound, Clock};
use weir_policy::verdict::{AttemptError, Decision, Edit, GuardVerdict, Guarded, Recovery, Replacement};
use weir_policy::{
    Api, Candidates, DataClass, Fault, Head, Live, LiveFacts, Manifest, Needs, Policy, RequestView,
    Retention, Target,
};

type GuardFn = dyn Fn(&RequestView) -> Result<GuardVerdict, Fault> + Send + Sync;
type RouteFn = dyn Fn(&RequestView, &Candidates) -> Result<Decision, Fault> + Send + Sync;
type ErrorFn = dyn Fn(&[AttemptError]) -> Result<Recovery, Fault> + Send + Sync;

pub struct Fake {
    manifest: Manifest,
    digest: String,
    guard: Option<Box<GuardFn>>,
    route: Option<Box<RouteFn>>,
    on_error: Option<Box<ErrorFn>>,
    pub calls: AtomicU32,
}

impl Fake {
    /// `yaml` is the manifest but for name and version.
    pub fn new(name: &str, yaml: &str) -> Self {
        let text = format!("name: {name}\nversion: '1'\n{yaml}\n");
        let manifest = Manifest::parse_yaml(&text, name).unwrap();
        Self {
            manifest,
            digest: name.into(),
            guard: None,
            route: None,
            on_error: None,
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

    pub fn bind(self) -> Bound {
        Bound { policy: Arc::new(self), models: None }
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

    fn guard(&self, request: &Arc<RequestView>) -> Result<GuardVerdict, Fault> {
        self.called();
        self.guard.as_ref().unwrap()(request)
    }

    fn route(&self, request: &Arc<RequestView>, candidates: &Arc<Candidates>) -> Result<Decision, Fault> {
        self.called();
        self.route.as_ref().unwrap()(request, candidates)
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
    let target = |id: &str| Target {
        id: id.into(),
        provider: "sim".into(),
        model: id.into(),
        region: "".into(),
        retention: Retention::Unknown,
        trains: false,
        ctx_tokens: 0,
        max_output_tokens: 0,
        quality: None,
        rates: Arc::default(),
        tags: Arc::default(),
        weight: 1,
    };
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
