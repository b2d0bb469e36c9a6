//! One target as a script sees it: `t.id`, `t.price_in`, `t.ttft_p95_ms` …

use super::facts::Facts;
use super::{int, option, text};
use crate::api::registrar::Api;
use rhai::{Dynamic, FLOAT, INT, ImmutableString};
use std::sync::Arc;
use weir_llm::usage::Class;
use weir_policy::{Breaker, Live, Target};

/// A candidate of the current call.
#[derive(Clone)]
pub(crate) struct TargetHandle {
    pub(super) facts: Arc<Facts>,
    pub(crate) position: u16,
}

impl TargetHandle {
    pub(super) fn index(&self) -> u16 {
        self.facts.index(self.position)
    }

    pub(super) fn weight(&self) -> u16 {
        self.facts.target(self.position).map_or(1, |target| target.weight)
    }

    fn fixed<T: Into<Dynamic>>(&self, read: impl Fn(&Target) -> T) -> Dynamic {
        self.facts.target(self.position).map_or(Dynamic::UNIT, |target| read(target).into())
    }

    fn live(&self) -> Live {
        self.facts.live(self.position)
    }
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<TargetHandle>("Target");
    fixed(api);
    prices(api);
    live(api);
    api.function("==", |a: TargetHandle, b: TargetHandle| Ok(a.position == b.position));
    api.function("!=", |a: TargetHandle, b: TargetHandle| Ok(a.position != b.position));
    api.function("has_tag", |t: &mut TargetHandle, tag: ImmutableString| {
        Ok(t.facts.target(t.position).is_some_and(|target| target.tags.iter().any(|own| **own == *tag)))
    });
}

fn fixed(api: &mut Api<'_>) {
    api.getter("index", |t: &mut TargetHandle| Ok(INT::from(t.index())));
    api.getter("id", |t: &mut TargetHandle| Ok(t.fixed(|target| text(&target.id))));
    api.getter("provider", |t: &mut TargetHandle| Ok(t.fixed(|target| text(&target.provider))));
    api.getter("model", |t: &mut TargetHandle| Ok(t.fixed(|target| text(&target.model))));
    api.getter("region", |t: &mut TargetHandle| Ok(t.fixed(|target| text(&target.region))));
    api.getter("retention", |t: &mut TargetHandle| Ok(t.fixed(|target| target.retention.name())));
    api.getter("trains", |t: &mut TargetHandle| Ok(t.fixed(|target| target.trains)));
    api.getter("ctx_tokens", |t: &mut TargetHandle| Ok(t.fixed(|target| int(target.ctx_tokens))));
    api.getter("max_output_tokens", |t: &mut TargetHandle| {
        Ok(t.fixed(|target| int(target.max_output_tokens)))
    });
    api.getter("quality", |t: &mut TargetHandle| {
        Ok(t.fixed(|target| option(target.quality.map(FLOAT::from))))
    });
    api.getter("weight", |t: &mut TargetHandle| Ok(INT::from(t.weight())));
    api.getter("tags", |t: &mut TargetHandle| {
        Ok(t.fixed(|target| target.tags.iter().map(|tag| text(tag)).collect::<Vec<Dynamic>>()))
    });
}

/// USD per million tokens, as in the config; `()` if not known.
fn prices(api: &mut Api<'_>) {
    for (name, class) in
        [("price_in", Class::Input), ("price_cached_in", Class::CachedInput), ("price_out", Class::Output)]
    {
        api.getter(name, move |t: &mut TargetHandle| {
            // A pico-dollar a token is a millionth of a dollar per million tokens.
            Ok(option(t.facts.rate(t.position, class).map(|pico| pico as FLOAT / 1e6)))
        });
    }
    api.getter("rates", |t: &mut TargetHandle| {
        Ok(t.fixed(|target| target.rates.iter().map(|rate| Dynamic::from(*rate)).collect::<Vec<Dynamic>>()))
    });
    api.getter("est_cost_nanos", |t: &mut TargetHandle| {
        Ok(option(t.facts.cost(t.position).map(|pico| INT::try_from(pico / 1000).unwrap_or(INT::MAX))))
    });
}

fn live(api: &mut Api<'_>) {
    api.getter("healthy", |t: &mut TargetHandle| Ok(t.live().healthy));
    api.getter("in_flight", |t: &mut TargetHandle| Ok(INT::from(t.live().in_flight)));
    api.getter("ttft_p50_ms", |t: &mut TargetHandle| Ok(INT::from(t.live().ttft_p50_ms)));
    api.getter("ttft_p95_ms", |t: &mut TargetHandle| Ok(INT::from(t.live().ttft_p95_ms)));
    api.getter("tps_p50", |t: &mut TargetHandle| Ok(FLOAT::from(t.live().tps_p50)));
    api.getter("err_rate_1m", |t: &mut TargetHandle| Ok(FLOAT::from(t.live().err_rate_1m)));
    api.getter("headroom", |t: &mut TargetHandle| Ok(FLOAT::from(t.live().headroom)));
    api.getter("prompt_cache_warm", |t: &mut TargetHandle| Ok(FLOAT::from(t.live().prompt_cache_warm)));
    api.getter("breaker", |t: &mut TargetHandle| Ok(text(breaker_name(t.live().breaker))));
}

/// The WIT name.
pub(crate) const fn breaker_name(breaker: Breaker) -> &'static str {
    match breaker {
        Breaker::Closed => "closed",
        Breaker::HalfOpen => "half-open",
        Breaker::Open => "open",
    }
}
