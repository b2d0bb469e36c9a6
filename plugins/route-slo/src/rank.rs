//! The candidates in three groups, each in its own order.

use crate::config::Settings;
use std::cmp::Ordering;
use weir_sdk::{Breaker, Head, Live, Rate, Target};

/// How much output is assumed when the caller sets no limit, and at most when it sets a large one: prices are compared
/// for a likely reply, not for the longest. The same figures as the scripts' `cheapest()`.
const USUAL_OUTPUT: u32 = 256;
const LONG_OUTPUT: u32 = 2048;

/// Why a candidate stands where it does; the order is that of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// Keeps the service levels: by price.
    Kept,
    /// Misses one: by its time to the first token, the closest to keeping it.
    Missed,
    /// Below the floor: best first.
    Below,
}

impl Group {
    /// The reason of a plan that begins with this group.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Kept => "cheapest-slo",
            Self::Missed => "slo-missed",
            Self::Below => "below-floor",
        }
    }
}

/// A candidate with its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranked {
    pub(crate) target: u16,
    pub(crate) group: Group,
    /// Pico-dollars; of the kept only.
    cost: u128,
    /// Less is better; of the others.
    score: f64,
}

/// Those that may be used, best first. What is down is left out, unless everything is: then an attempt is better than a
/// refusal.
pub(crate) fn rank(settings: &Settings, head: &Head, table: &[Target], candidates: &[Live]) -> Vec<Ranked> {
    let target = |live: &Live| table.get(usize::from(live.target));
    let group = |live: &Live| match settings.is_good(target(live)) {
        true if settings.keeps(live) => Group::Kept,
        true => Group::Missed,
        false => Group::Below,
    };
    let mut usable: Vec<(&Live, Group)> = candidates.iter().map(|live| (live, group(live))).collect();
    usable.retain(|(_, group)| *group != Group::Below || settings.uses_below_floor());
    if usable.iter().any(|(live, _)| is_up(live)) {
        usable.retain(|(live, _)| is_up(live));
    }
    let unmeasured = mean_ttft(&usable);
    let mut ranked: Vec<Ranked> = usable
        .into_iter()
        .map(|(live, group)| {
            let (cost, score) = match group {
                Group::Kept => (cost(target(live), head), 0.0),
                Group::Missed => (0, ttft(live).unwrap_or(unmeasured)),
                Group::Below => (0, -quality(target(live))),
            };
            Ranked { target: live.target, group, cost, score }
        })
        .collect();
    // A stable sort: where nothing tells two apart, the operator's order holds.
    ranked.sort_by(in_order);
    ranked
}

fn in_order(a: &Ranked, b: &Ranked) -> Ordering {
    (a.group, a.cost).cmp(&(b.group, b.cost)).then(a.score.total_cmp(&b.score))
}

fn is_up(live: &Live) -> bool {
    live.healthy && live.breaker != Breaker::Open
}

/// Median milliseconds to the first token; none if never measured.
fn ttft(live: &Live) -> Option<f64> {
    (live.ttft_p50_ms > 0).then(|| f64::from(live.ttft_p50_ms))
}

/// Of those that miss a level: one that was never measured is taken as average, neither flooded nor starved.
fn mean_ttft(usable: &[(&Live, Group)]) -> f64 {
    let missed = usable.iter().filter(|(_, group)| *group == Group::Missed);
    let (sum, count) =
        missed.filter_map(|(live, _)| ttft(live)).fold((0.0, 0_u32), |(sum, n), ms| (sum + ms, n + 1));
    sum / f64::from(count.max(1))
}

fn quality(target: Option<&Target>) -> f64 {
    target.and_then(|target| target.quality).map_or(0.0, f64::from)
}

/// Pico-dollars of a likely reply at a target; the highest number there is if a price is not known.
fn cost(target: Option<&Target>, head: &Head) -> u128 {
    let rates: &[Rate] = target.map_or(&[], |target| &target.rates);
    let of = |class: &str, tokens: u32| {
        let rate = rates.iter().find(|rate| rate.class == class)?;
        Some(u128::from(rate.pico_per_unit) * u128::from(tokens))
    };
    let output = head.max_output_tokens.map_or(USUAL_OUTPUT, |most| most.min(LONG_OUTPUT));
    match (of("input", head.est_input_tokens), of("output", output)) {
        (Some(input), Some(output)) => input + output,
        _ => u128::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::{self, FakeTargets};
    use weir_sdk::{Config, Targets};

    fn order(config: &str, targets: &FakeTargets) -> Vec<(u16, Group)> {
        let settings = Config::new(config).parse().expect("a config");
        let ranked = rank(&settings, &testing::head(), &targets.table(), &targets.candidates());
        ranked.iter().map(|candidate| (candidate.target, candidate.group)).collect()
    }

    fn priced(target: &mut Target, input: u64, output: u64) {
        let rate = |class: &str, pico_per_unit| Rate { class: class.into(), pico_per_unit };
        target.rates = vec![rate("input", input), rate("output", output)];
    }

    #[test]
    fn nothing_tells_them_apart_so_the_operators_order_holds() {
        let targets = FakeTargets::new(&["a/x", "b/y", "c/z"]);
        assert_eq!(order("{}", &targets), [(0, Group::Kept), (1, Group::Kept), (2, Group::Kept)]);
    }

    #[test]
    fn a_score_at_the_floor_is_above_it_in_the_hosts_precision() {
        let targets = FakeTargets::new(&["a/x", "b/y"])
            .with(0, |target, _| target.quality = Some(0.7))
            .with(1, |target, _| target.quality = Some(0.699));
        assert_eq!(order(r#"{"min_quality":0.7}"#, &targets), [(0, Group::Kept)]);
        let failing = FakeTargets::new(&["a/x"]).with(0, |_, live| live.err_rate1m = 0.05);
        assert_eq!(order(r#"{"slo_err_rate":0.05}"#, &failing), [(0, Group::Kept)]);
    }

    #[test]
    fn one_that_was_never_measured_is_average_among_those_that_miss() {
        let targets = FakeTargets::new(&["a/x", "b/y", "c/z"])
            .with(0, |_, live| (live.ttft_p50_ms, live.err_rate1m) = (900, 0.5))
            .with(1, |_, live| live.err_rate1m = 0.5)
            .with(2, |_, live| (live.ttft_p50_ms, live.err_rate1m) = (100, 0.5));
        let missed = [(2, Group::Missed), (1, Group::Missed), (0, Group::Missed)];
        assert_eq!(order(r#"{"slo_err_rate":0.1}"#, &targets), missed);
    }

    #[test]
    fn an_unknown_price_comes_last_and_overflows_nothing() {
        let targets = FakeTargets::new(&["a/x", "b/y", "c/z"])
            .with(1, |target, _| priced(target, u64::MAX, u64::MAX))
            .with(2, |target, _| priced(target, 1, 1));
        assert_eq!(order("{}", &targets), [(2, Group::Kept), (1, Group::Kept), (0, Group::Kept)]);
    }
}
