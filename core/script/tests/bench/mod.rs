//! A request and four targets to ask policies about.

#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod desk;

use std::sync::Arc;
use weir_llm::price::Nanos;
use weir_llm::request::Request;
use weir_llm::usage::{Source, Usage};
use weir_policy::verdict::{CacheState, Outcome};
use weir_policy::{
    Api, Candidates, DataClass, ErrorClass, Head, Live, LiveFacts, Needs, RequestView, Retention, Summary,
    Target,
};

struct Idle;

impl LiveFacts for Idle {
    fn live(&self, target: u16) -> Live {
        Live { target, healthy: true, headroom: 1.0, ..Live::default() }
    }
}

/// Targets `a/0` to `a/3`, all of them allowed, none with a price.
pub(crate) fn candidates() -> Arc<Candidates> {
    let target = |n: u16| Target {
        id: format!("a/{n}").into(),
        provider: "a".into(),
        model: n.to_string().into(),
        region: "".into(),
        retention: Retention::Unknown,
        trains: false,
        ctx_tokens: 1000,
        max_output_tokens: 0,
        quality: None,
        rates: Arc::new([]),
        tags: Arc::new([]),
        weight: 1,
    };
    Arc::new(Candidates {
        table: (0..4).map(target).collect(),
        allowed: (0..4).collect(),
        facts: Arc::new(Idle),
    })
}

/// A short question.
pub(crate) fn request() -> Arc<RequestView> {
    ask(r#"{"model":"fast","messages":[{"role":"user","content":"Hello."}]}"#)
}

/// A request with this body, of organisation `acme`.
pub(crate) fn ask(body: &str) -> Arc<RequestView> {
    let head = Head {
        request_id: "req_1".into(),
        api: Api::Chat,
        requested_model: "fast".into(),
        stream: false,
        tenant: "acme".into(),
        project: "".into(),
        key_id: "key_1".into(),
        user_hash: None,
        region: "".into(),
        class: DataClass::Internal,
        retention: Retention::Unknown,
        demands: None,
        tags: Arc::new([("tier".to_owned(), "gold".to_owned())]),
        deadline_ms: 60_000,
        est_input_tokens: 10,
        max_output_tokens: None,
        segment_count: 1,
        body_bytes: body.len() as u64,
        needs: Needs::default(),
        attempt: 0,
        budget: None,
    };
    let chat = Request::parse(Api::Chat, bytes::Bytes::copy_from_slice(body.as_bytes())).unwrap();
    Arc::new(RequestView::new(head, Arc::new(chat), Vec::new()))
}

/// A manifest with these lines, and a body.
pub(crate) fn policy(header: &str, body: &str) -> String {
    let header: String = header.lines().map(|line| format!("//! {line}\n")).collect();
    format!("//! name: tested\n//! version: 1.0.0\n{header}{body}")
}

/// An exchange that went well at the second attempt.
pub(crate) fn settled() -> Summary {
    Summary {
        head: Arc::new(request().head().clone()),
        outcome: Outcome::Ok,
        target_id: Some("a/1".into()),
        status: 200,
        usage: Usage { input: 3, output: 7, ..Usage::default() },
        source: Source::Provider,
        charged: Nanos(42),
        provider_cost: None,
        ttft_ms: Some(5),
        total_ms: 9,
        errors: vec![ErrorClass::Overloaded],
        attempts: 2,
        tags: vec![("team".into(), "red".into())],
        cache: CacheState::Miss,
    }
}
