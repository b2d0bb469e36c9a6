//! A router that orders targets by what a request would cost.
//!
//! It reads the head and the targets only, so its instance is kept from call to call, and the table of prices is fetched
//! once.

use weir_sdk::{Breaker, Config, Decision, Head, Live, Plan, Plugin, Rate, Request, Route, Target, Targets};

/// What is assumed when the caller sets no limit of its own.
const USUAL_OUTPUT_TOKENS: u32 = 500;

/// The plugin.
pub struct Cheapest;

impl Plugin for Cheapest {
    fn configure(_: Config<'_>) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Route for Cheapest {
    fn route(&self, head: &Head, _: &dyn Request, targets: &dyn Targets) -> Decision {
        let table = targets.table();
        let mut ranked: Vec<(bool, u128, u16)> = targets
            .candidates()
            .iter()
            .map(|live| (!usable(live), cost(table.get(usize::from(live.target)), head), live.target))
            .collect();
        if ranked.is_empty() {
            return Decision::Abstain;
        }
        // A stable sort: at one price the operator's order holds.
        ranked.sort_by_key(|&(unusable, cost, _)| (unusable, cost));
        Decision::Plan(Plan::ordered(ranked.into_iter().map(|(_, _, target)| target), "cheapest"))
    }
}

fn usable(live: &Live) -> bool {
    live.healthy && live.breaker != Breaker::Open
}

/// Pico-dollars of this request at a target; the highest number there is if a price is not known.
fn cost(target: Option<&Target>, head: &Head) -> u128 {
    let rate = |class: &str| {
        let rates = target.map_or(&[] as &[Rate], |target| target.rates.as_slice());
        rates.iter().find(|rate| rate.class == class).map(|rate| u128::from(rate.pico_per_unit))
    };
    let (Some(input), Some(output)) = (rate("input"), rate("output")) else { return u128::MAX };
    let output_tokens = head.max_output_tokens.unwrap_or(USUAL_OUTPUT_TOKENS).min(USUAL_OUTPUT_TOKENS);
    input * u128::from(head.est_input_tokens) + output * u128::from(output_tokens)
}

weir_sdk::export!(Cheapest: route);

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::{FakeRequest, FakeTargets};

    #[test]
    fn nothing_to_choose_from_is_left_to_others() {
        let request = FakeRequest::new();
        let decision = Cheapest.route(&Request::head(&request), &request, &FakeTargets::new(&[]));
        assert_eq!(decision, Decision::Abstain);
    }

    #[test]
    fn equal_prices_keep_the_operators_order() {
        let request = FakeRequest::new();
        let decision = Cheapest.route(&Request::head(&request), &request, &FakeTargets::new(&["a/x", "b/y", "c/z"]));
        let Decision::Plan(plan) = decision else { panic!("no plan") };
        assert_eq!(plan.steps.iter().map(|step| step.target).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
