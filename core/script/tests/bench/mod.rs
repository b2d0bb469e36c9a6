//! A request and four targets to ask policies about.

use std::sync::Arc;
use weir_llm::request::Request;
use weir_policy::{Api, Candidates, DataClass, Head, Live, LiveFacts, Needs, RequestView, Retention, Target};

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
