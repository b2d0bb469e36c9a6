//! A gateway's side of a call, made by hand.

use bytes::Bytes;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use weir_llm::reply::Reply;
use weir_llm::request::Request;
use weir_policy::{
    Api, Candidates, Capability, DataClass, Grants, Head, Live, LiveFacts, LoadError, Needs, Policy,
    RequestView, Retention, Target, TargetTable,
};
use weir_wasm::{Engine, Options};

pub(crate) fn engine() -> Engine {
    Engine::new(Options { cache_dir: None, mac_key: [7; 32], max_instances: 16 }).expect("an engine")
}

pub(crate) fn load(
    engine: &Engine,
    component: &[u8],
    capabilities: &[Capability],
) -> Result<Arc<dyn Policy>, LoadError> {
    engine.compile("test.wasm", component, &Value::Null, &granted(capabilities))
}

/// These capabilities, of a host with nothing to offer.
pub(crate) fn granted(capabilities: &[Capability]) -> Grants {
    Grants { capabilities: capabilities.to_vec(), ..Grants::offline() }
}

/// A guest of `tests/guests`, built from source as `weir plugin build` does.
pub(crate) fn built(name: &str) -> Vec<u8> {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests").join(name);
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("guest.wasm");
    weir_wasm::build::plugin(&guest, Some(&out)).unwrap_or_else(|e| panic!("{e}"));
    std::fs::read(&out).expect("the component")
}

/// The reply to a request, with this text.
pub(crate) fn reply(request: &RequestView, text: &str) -> Arc<RequestView> {
    let body = serde_json::json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "fast",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
    });
    let reply = Reply::parse(Api::Chat, Bytes::from(body.to_string())).expect("a valid reply");
    Arc::new(request.of_reply(Arc::new(reply)))
}

pub(crate) fn request(text: &str) -> Arc<RequestView> {
    request_of("acme", Retention::Unknown, text)
}

pub(crate) fn request_of(tenant: &str, retention: Retention, text: &str) -> Arc<RequestView> {
    let body = serde_json::json!({ "model": "fast", "messages": [{ "role": "user", "content": text }] });
    let chat = Request::parse(Api::Chat, Bytes::from(body.to_string())).expect("a valid request");
    Arc::new(RequestView::new(head(tenant, retention), Arc::new(chat), Vec::new()).with_secret([9; 32]))
}

pub(crate) fn candidates(count: u16) -> Arc<Candidates> {
    let table: TargetTable = (0..count).map(target).collect();
    Arc::new(Candidates { table, allowed: (0..count).collect(), facts: Arc::new(Idle) })
}

struct Idle;

impl LiveFacts for Idle {
    fn live(&self, target: u16) -> Live {
        Live { target, healthy: true, headroom: 1.0, ..Live::default() }
    }
}

pub(crate) fn head(tenant: &str, retention: Retention) -> Head {
    Head {
        request_id: "req_test".into(),
        api: Api::Chat,
        requested_model: "fast".into(),
        stream: false,
        tenant: tenant.into(),
        project: "".into(),
        key_id: "key_test".into(),
        user_hash: None,
        region: "".into(),
        class: DataClass::Internal,
        retention,
        demands: None,
        tags: Arc::from([]),
        deadline_ms: 60_000,
        est_input_tokens: 10,
        max_output_tokens: None,
        segment_count: 1,
        body_bytes: 100,
        needs: Needs::default(),
        attempt: 0,
        budget: None,
    }
}

fn target(index: u16) -> Target {
    Target {
        id: format!("sim/model-{index}").into(),
        provider: "sim".into(),
        model: format!("model-{index}").into(),
        region: "".into(),
        retention: Retention::Unknown,
        trains: false,
        ctx_tokens: 128_000,
        max_output_tokens: 4_096,
        quality: None,
        rates: Arc::from([]),
        tags: Arc::from([]),
        weight: 1,
    }
}
