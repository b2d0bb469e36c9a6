//! A route policy that reads the live facts of every target and no content, so that its instance is kept.

use weir_sdk::{Config, Decision, Head, Plan, Plugin, Request, Route, Targets};

/// The plugin.
pub struct LeastBusy;

impl Plugin for LeastBusy {
    fn configure(_: Config<'_>) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Route for LeastBusy {
    fn route(&self, _: &Head, _: &dyn Request, targets: &dyn Targets) -> Decision {
        let mut live = targets.candidates();
        live.retain(|target| target.healthy);
        live.sort_by_key(|target| target.in_flight);
        if live.is_empty() {
            return Decision::Abstain;
        }
        Decision::Plan(Plan::ordered(live.iter().map(|target| target.target), "least busy"))
    }
}

weir_sdk::export!(LeastBusy: route);
