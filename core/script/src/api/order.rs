//! Orders of a list of targets. All are stable: what compares equal stays in the operator's order.

use super::facts::Facts;
use super::targets::Targets;
use crate::api::registrar::Api;
use crate::fault::misuse;
use rhai::{EvalAltResult, FLOAT, INT, ImmutableString};
use smallvec::SmallVec;
use std::cmp::Ordering;
use weir_llm::usage::Class;

/// How much a failed share of attempts weighs in `balanced`: at 10 % failures a target looks half as good.
const ERROR_WEIGHT: f64 = 10.0;
/// Attempts under way that make a target look twice as slow in `balanced`.
const BUSY: f64 = 64.0;

pub(super) fn register(api: &mut Api<'_>) {
    for (name, order) in ORDERS {
        api.of_list(name, order);
    }
    api.of_list_with("order", |list, name: ImmutableString| {
        let known = ORDERS.iter().find(|(known, _)| *known == name.as_str());
        known.map(|(_, order)| order(list)).ok_or_else(|| misuse("no such order"))
    });
    api.function("balanced", |list: &mut Targets, cost: FLOAT, latency: FLOAT| {
        Ok(balanced(list, cost, latency))
    });
    api.of_list_with("sort_by", |list, field: ImmutableString| sort_by(list, &field, 1.0));
    api.of_list_with("sort_by_desc", |list, field: ImmutableString| sort_by(list, &field, -1.0));
    api.of_list_with("rotate", |list, by: INT| {
        let mut positions = list.positions.clone();
        if let Some(by) = by.checked_rem_euclid(positions.len() as INT) {
            positions.rotate_left(usize::try_from(by).unwrap_or(0));
        }
        Ok(list.with(positions))
    });
}

/// An order by name.
type Order = (&'static str, fn(&Targets) -> Targets);

/// The orders by name, for scripts whose config chooses one: `targets.order(config.strategy)`.
const ORDERS: [Order; 7] = [
    ("cheapest", |list| list.by(|facts, p| facts.cost(p).unwrap_or(u128::MAX))),
    ("fastest", |list| {
        let unmeasured = mean(list, ttft);
        list.by_number(|facts, p| ttft(facts, p).unwrap_or(unmeasured))
    }),
    ("balanced", |list| balanced(list, 1.0, 1.0)),
    ("best_quality", |list| {
        list.by_number(|facts, p| -facts.target(p).and_then(|t| t.quality).map_or(0.0, f64::from))
    }),
    ("largest_context", |list| {
        list.by(|facts, p| std::cmp::Reverse(facts.target(p).map_or(0, |t| t.ctx_tokens)))
    }),
    ("least_busy", |list| list.by(|facts, p| facts.live(p).in_flight)),
    ("reverse", |list| list.with(list.positions.iter().rev().copied().collect())),
];

impl Targets {
    fn by<K: Ord + Copy>(&self, key: impl Fn(&Facts, u16) -> K) -> Self {
        self.sorted(key, Ord::cmp)
    }

    fn by_number(&self, key: impl Fn(&Facts, u16) -> f64) -> Self {
        self.sorted(key, f64::total_cmp)
    }

    /// Each key is computed once.
    fn sorted<K: Copy>(&self, key: impl Fn(&Facts, u16) -> K, compare: impl Fn(&K, &K) -> Ordering) -> Self {
        let mut keyed: SmallVec<[(K, u16); 16]> =
            self.positions.iter().map(|&p| (key(&self.facts, p), p)).collect();
        keyed.sort_by(|a, b| compare(&a.0, &b.0));
        self.with(keyed.into_iter().map(|(_, p)| p).collect())
    }
}

/// Median time to first token; `None` if never measured.
fn ttft(facts: &Facts, position: u16) -> Option<f64> {
    match facts.live(position).ttft_p50_ms {
        0 => None,
        ms => Some(f64::from(ms)),
    }
}

/// Over the targets that have the figure. A target without one is taken as average: neither flooded nor starved.
fn mean(list: &Targets, figure: impl Fn(&Facts, u16) -> Option<f64>) -> f64 {
    let known: Vec<f64> = list.positions.iter().filter_map(|&p| figure(&list.facts, p)).collect();
    known.iter().sum::<f64>() / (known.len().max(1) as f64)
}

/// Cost and time to first token, each as a multiple of the list's mean and weighted, made worse by failures and load.
fn balanced(list: &Targets, cost_weight: f64, latency_weight: f64) -> Targets {
    let cost = |facts: &Facts, p: u16| facts.cost(p).map(|pico| pico as f64);
    let (mean_cost, mean_ttft) = (mean(list, cost).max(1.0), mean(list, ttft).max(1.0));
    list.by_number(|facts, p| {
        let live = facts.live(p);
        let busy = 1.0 + f64::from(live.in_flight) / BUSY;
        let relative_cost = cost(facts, p).map_or(1.0, |c| c / mean_cost);
        let relative_ttft = ttft(facts, p).map_or(1.0, |t| t / mean_ttft) * busy;
        (cost_weight * relative_cost + latency_weight * relative_ttft)
            * (1.0 + ERROR_WEIGHT * f64::from(live.err_rate_1m))
    })
}

/// By a numeric getter's name; what is not known comes last in both directions.
fn sort_by(list: &Targets, field: &str, sign: f64) -> Result<Targets, Box<EvalAltResult>> {
    let read = field_of(field).ok_or_else(|| misuse("sort_by of a field that is no number of a target"))?;
    Ok(list.by_number(|facts, p| read(facts, p).map_or(f64::INFINITY, |value| sign * value)))
}

type Field = fn(&Facts, u16) -> Option<f64>;

fn field_of(name: &str) -> Option<Field> {
    Some(match name {
        "price_in" => |f, p| f.rate(p, Class::Input).map(|pico| pico as f64),
        "price_cached_in" => |f, p| f.rate(p, Class::CachedInput).map(|pico| pico as f64),
        "price_out" => |f, p| f.rate(p, Class::Output).map(|pico| pico as f64),
        "est_cost_nanos" => |f, p| f.cost(p).map(|pico| pico as f64),
        "ctx_tokens" => |f, p| f.target(p).map(|t| f64::from(t.ctx_tokens)),
        "max_output_tokens" => |f, p| f.target(p).map(|t| f64::from(t.max_output_tokens)),
        "quality" => |f, p| f.target(p).and_then(|t| t.quality).map(f64::from),
        "weight" => |f, p| f.target(p).map(|t| f64::from(t.weight)),
        "in_flight" => |f, p| Some(f64::from(f.live(p).in_flight)),
        "ttft_p50_ms" => ttft,
        "ttft_p95_ms" => |f, p| Some(f.live(p).ttft_p95_ms).filter(|ms| *ms > 0).map(f64::from),
        "tps_p50" => |f, p| Some(f64::from(f.live(p).tps_p50)),
        "err_rate_1m" => |f, p| Some(f64::from(f.live(p).err_rate_1m)),
        "headroom" => |f, p| Some(f64::from(f.live(p).headroom)),
        "prompt_cache_warm" => |f, p| Some(f64::from(f.live(p).prompt_cache_warm)),
        _ => return None,
    })
}
