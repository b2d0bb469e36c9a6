//! The fastest target that is up and good enough comes first; the others follow, so that there is always a next.
//!
//! It reads the head and the targets only, so its instance is kept from call to call, and the table of targets is fetched
//! once.

use serde::Deserialize;
use weir_sdk::{Breaker, Config, Decision, Head, Live, Plan, Plugin, Request, Route, Target, Targets};

/// The plugin and its config.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Fastest {
    min_quality: f32,
}

impl Plugin for Fastest {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        config.parse()
    }
}

impl Route for Fastest {
    fn route(&self, _: &Head, _: &dyn Request, targets: &dyn Targets) -> Decision {
        let table = targets.table();
        let mut ranked = targets.candidates();
        if ranked.is_empty() {
            return Decision::Abstain;
        }
        // A stable sort: among equals the operator's order holds.
        ranked.sort_by_key(|live| {
            let fit = table.get(usize::from(live.target)).is_some_and(|target| self.fits(target, live));
            (!fit, live.ttft_p50_ms)
        });
        Decision::Plan(Plan::ordered(ranked.iter().map(|live| live.target), "fastest"))
    }
}

impl Fastest {
    fn fits(&self, target: &Target, live: &Live) -> bool {
        let up = live.healthy && live.breaker != Breaker::Open;
        up && target.quality.unwrap_or(0.0) >= self.min_quality
    }
}

weir_sdk::export!(Fastest: route);

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::{self, FakeRequest, FakeTargets};

    #[test]
    fn the_fastest_comes_first() {
        let targets = FakeTargets::new(&["a/x", "b/y"]).with(0, |_, live| live.ttft_p50_ms = 300);
        let decision = Fastest::default().route(&testing::head(), &FakeRequest::new(), &targets);
        let Decision::Plan(plan) = decision else { panic!("no plan") };
        assert_eq!(plan.steps.iter().map(|step| step.target).collect::<Vec<_>>(), [1, 0]);
    }
}
