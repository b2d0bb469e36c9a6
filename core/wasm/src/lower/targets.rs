//! What routing sees.

use super::names::retention;
use crate::wit::weir::policy::targets as wt;
use crate::wit::weir::policy::types as w;
use weir_policy as p;

pub(crate) fn target(target: &p::Target) -> wt::Target {
    wt::Target {
        id: target.id.to_string(),
        provider: target.provider.to_string(),
        model: target.model.to_string(),
        region: target.region.to_string(),
        retention: retention(target.retention),
        trains: target.trains,
        ctx_tokens: target.ctx_tokens,
        max_output_tokens: target.max_output_tokens,
        quality: target.quality,
        rates: target.rates.iter().map(rate).collect(),
        tags: target.tags.to_vec(),
        weight: target.weight,
    }
}

pub(crate) fn live(live: &p::Live) -> wt::Live {
    wt::Live {
        target: live.target,
        healthy: live.healthy,
        in_flight: live.in_flight,
        ttft_p50_ms: live.ttft_p50_ms,
        ttft_p95_ms: live.ttft_p95_ms,
        tps_p50: live.tps_p50,
        err_rate1m: live.err_rate_1m,
        headroom: live.headroom,
        breaker: match live.breaker {
            p::Breaker::Closed => wt::Breaker::Closed,
            p::Breaker::HalfOpen => wt::Breaker::HalfOpen,
            p::Breaker::Open => wt::Breaker::Open,
        },
        prompt_cache_warm: live.prompt_cache_warm,
    }
}

pub(super) fn rate(rate: &weir_llm::price::Rate) -> w::Rate {
    w::Rate { class: rate.class.as_str().to_owned(), pico_per_unit: rate.pico_per_unit }
}
