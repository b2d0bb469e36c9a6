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

pub(super) fn rate(rate: &weir_llm::price::Rate) -> w::Rate {
    w::Rate { class: rate.class.as_str().to_owned(), pico_per_unit: rate.pico_per_unit }
}
