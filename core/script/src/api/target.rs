//! One target as a script sees it: `t.id`, `t.price_in`, `t.ttft_p95_ms` …

use super::facts::Facts;
use super::{int, option, text};
use rhai::{Dynamic, FLOAT, INT, ImmutableString, Module};
use std::sync::Arc;
use weir_llm::usage::Class;
use weir_policy::{Breaker, Live, Target};

/// A candidate of the current call.
#[derive(Clone)]
pub(crate) struct TargetHandle {
    pub(super) facts: Arc<Facts>,
    pub(super) position: u16,
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

pub(super) fn register(module: &mut Module) {
    module.set_custom_type::<TargetHandle>("Target");
    fixed(module);
    prices(module);
    live(module);
    module.set_native_fn("==", |a: TargetHandle, b: TargetHandle| Ok(a.position == b.position));
    module.set_native_fn("!=", |a: TargetHandle, b: TargetHandle| Ok(a.position != b.position));
    module.set_native_fn("has_tag", |t: &mut TargetHandle, tag: ImmutableString| {
        Ok(t.facts.target(t.position).is_some_and(|target| target.tags.iter().any(|own| **own == *tag)))
    });
}

fn fixed(module: &mut Module) {
    module.set_getter_fn("index", |t: &mut TargetHandle| Ok(INT::from(t.index())));
    module.set_getter_fn("id", |t: &mut TargetHandle| Ok(t.fixed(|target| text(&target.id))));
    module.set_getter_fn("provider", |t: &mut TargetHandle| Ok(t.fixed(|target| text(&target.provider))));
    module.set_getter_fn("model", |t: &mut TargetHandle| Ok(t.fixed(|target| text(&target.model))));
    module.set_getter_fn("region", |t: &mut TargetHandle| Ok(t.fixed(|target| text(&target.region))));
    module.set_getter_fn("retention", |t: &mut TargetHandle| Ok(t.fixed(|target| target.retention.name())));
    module.set_getter_fn("trains", |t: &mut TargetHandle| Ok(t.fixed(|target| target.trains)));
    module.set_getter_fn("ctx_tokens", |t: &mut TargetHandle| Ok(t.fixed(|target| int(target.ctx_tokens))));
    module.set_getter_fn("max_output_tokens", |t: &mut TargetHandle| {
        Ok(t.fixed(|target| int(target.max_output_tokens)))
    });
    module.set_getter_fn("quality", |t: &mut TargetHandle| {
        Ok(t.fixed(|target| option(target.quality.map(FLOAT::from))))
    });
    module.set_getter_fn("weight", |t: &mut TargetHandle| Ok(INT::from(t.weight())));
    module.set_getter_fn("tags", |t: &mut TargetHandle| {
        Ok(t.fixed(|target| target.tags.iter().map(|tag| text(tag)).collect::<Vec<Dynamic>>()))
    });
}

/// USD per million tokens, as in the config; `()` if not known.
fn prices(module: &mut Module) {
    for (name, class) in
        [("price_in", Class::Input), ("price_cached_in", Class::CachedInput), ("price_out", Class::Output)]
    {
        module.set_getter_fn(name, move |t: &mut TargetHandle| {
            // A pico-dollar a token is a millionth of a dollar per million tokens.
            Ok(option(t.facts.rate(t.position, class).map(|pico| pico as FLOAT / 1e6)))
        });
    }
    module.set_getter_fn("rates", |t: &mut TargetHandle| {
        Ok(t.fixed(|target| target.rates.iter().map(|rate| Dynamic::from(*rate)).collect::<Vec<Dynamic>>()))
    });
    module.set_getter_fn("est_cost_nanos", |t: &mut TargetHandle| {
        Ok(option(t.facts.cost(t.position).map(|pico| INT::try_from(pico / 1000).unwrap_or(INT::MAX))))
    });
}

fn live(module: &mut Module) {
    module.set_getter_fn("healthy", |t: &mut TargetHandle| Ok(t.live().healthy));
    module.set_getter_fn("in_flight", |t: &mut TargetHandle| Ok(INT::from(t.live().in_flight)));
    module.set_getter_fn("ttft_p50_ms", |t: &mut TargetHandle| Ok(INT::from(t.live().ttft_p50_ms)));
    module.set_getter_fn("ttft_p95_ms", |t: &mut TargetHandle| Ok(INT::from(t.live().ttft_p95_ms)));
    module.set_getter_fn("tps_p50", |t: &mut TargetHandle| Ok(FLOAT::from(t.live().tps_p50)));
    module.set_getter_fn("err_rate_1m", |t: &mut TargetHandle| Ok(FLOAT::from(t.live().err_rate_1m)));
    module.set_getter_fn("headroom", |t: &mut TargetHandle| Ok(FLOAT::from(t.live().headroom)));
    module.set_getter_fn("prompt_cache_warm", |t: &mut TargetHandle| {
        Ok(FLOAT::from(t.live().prompt_cache_warm))
    });
    module.set_getter_fn("breaker", |t: &mut TargetHandle| Ok(text(breaker_name(t.live().breaker))));
}

/// The WIT name.
pub(crate) const fn breaker_name(breaker: Breaker) -> &'static str {
    match breaker {
        Breaker::Closed => "closed",
        Breaker::HalfOpen => "half-open",
        Breaker::Open => "open",
    }
}
