//! What the policies are asked about: one request, eight targets whose facts change with every look.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use weir_llm::price::Rate;
use weir_llm::request::Request;
use weir_llm::usage::Class;
use weir_policy::{
    Api, Breaker, Candidates, DataClass, Head, Live, LiveFacts, Needs, RequestView, Retention, Target,
};

use crate::failure::{Failure, Result};
use crate::prompt::{self, Kind};
use crate::weir::prices;

/// The request that the load generator sends.
pub(super) fn usual_request() -> Result<Arc<RequestView>> {
    request(prompt::body(prompt::Api::Chat, "chat", Kind::Plain, false))
}

/// A prompt of so many bytes in which no pattern hits.
pub(super) fn prompt_of(bytes: usize) -> Result<Arc<RequestView>> {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(bytes / 45 + 1);
    let body =
        serde_json::json!({ "model": "chat", "messages": [{ "role": "user", "content": &text[..bytes] }] });
    request(body.to_string())
}

/// What people and models write, with lists, code and figures; so many bytes of it.
pub(super) fn prose_of(bytes: usize) -> Result<Arc<RequestView>> {
    let text: String = PROSE.chars().filter(char::is_ascii).cycle().take(bytes).collect();
    let body = serde_json::json!({ "model": "chat", "messages": [{ "role": "user", "content": text }] });
    request(body.to_string())
}

const PROSE: &str = concat!(
    include_str!("../../../README.md"),
    include_str!("../../../docs/src/shipping.md"),
    include_str!("../../../docs/src/first-plugin.md")
);

fn request(body: impl Into<Bytes>) -> Result<Arc<RequestView>> {
    let body = body.into();
    let body_bytes = body.len() as u64;
    let chat = Request::parse(weir_llm::api::Api::Chat, body).map_err(|error| Failure::new(error.message))?;
    let head = Head {
        request_id: "req_1".into(),
        api: Api::Chat,
        requested_model: "chat".into(),
        stream: false,
        tenant: "default".into(),
        project: "default".into(),
        key_id: "key_1".into(),
        user_hash: None,
        region: "".into(),
        class: DataClass::Internal,
        retention: Retention::Unknown,
        demands: None,
        tags: Arc::new([]),
        deadline_ms: 60_000,
        est_input_tokens: 256,
        max_output_tokens: Some(256),
        segment_count: 4,
        body_bytes,
        needs: Needs::default(),
        attempt: 0,
        budget: None,
    };
    Ok(Arc::new(RequestView::new(head, Arc::new(chat), Vec::new())))
}

pub(super) fn candidates() -> Arc<Candidates> {
    Arc::new(Candidates {
        table: (0..8).map(target).collect(),
        allowed: (0..8).collect(),
        facts: Arc::new(Counters(Default::default())),
    })
}

fn target(n: u64) -> Target {
    let (input, cached, output) = prices(n);
    let rate = |class, pico_per_unit| Rate { class, pico_per_unit };
    Target {
        id: format!("mock/m{n}").into(),
        provider: "mock".into(),
        model: format!("m{n}").into(),
        region: "".into(),
        retention: Retention::Unknown,
        trains: false,
        ctx_tokens: 128_000,
        max_output_tokens: 16_384,
        quality: None,
        rates: [rate(Class::Input, input), rate(Class::CachedInput, cached), rate(Class::Output, output)]
            .into(),
        tags: Arc::new([]),
        weight: 1,
    }
}

struct Counters([AtomicU32; 8]);

impl LiveFacts for Counters {
    fn live(&self, target: u16) -> Live {
        let looks = self.0[usize::from(target) % 8].fetch_add(1, Ordering::Relaxed);
        Live {
            target,
            healthy: true,
            in_flight: looks % 7,
            ttft_p50_ms: 300 + u32::from(target) * 40,
            ttft_p95_ms: 500 + u32::from(target) * 80,
            tps_p50: 60.0,
            err_rate_1m: 0.01,
            headroom: 1.0,
            breaker: Breaker::Closed,
            prompt_cache_warm: 0.0,
        }
    }
}
