//! A router that takes the cheapest target above a quality floor that keeps the service levels.
//!
//! It answers as `policies/cheapest-slo.rhai` does, case by case: its golden cases are that script's. It reads the head
//! and the targets only, so its instance is kept from call to call, and the table of prices is fetched once.
//!
//! # Layout
//!
//! - `config`: the floor and the service levels.
//! - `rank`: the candidates in three groups, each in its own order.

mod config;
mod rank;

use config::Settings;
use weir_sdk::{Config, Decision, Deny, Head, Plan, Plugin, Request, Route, Targets};

/// The plugin.
pub struct RouteSlo {
    settings: Settings,
}

impl Plugin for RouteSlo {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        Ok(Self { settings: config.parse()? })
    }
}

impl Route for RouteSlo {
    fn route(&self, head: &Head, _: &dyn Request, targets: &dyn Targets) -> Decision {
        let ranked = rank::rank(&self.settings, head, &targets.table(), &targets.candidates());
        let Some(first) = ranked.first() else {
            let message = "No target of this model reaches the quality that its operator asks for.";
            return Decision::Deny(Deny::new(403, "below_quality_floor", message));
        };
        let plan = Plan::ordered(ranked.iter().map(|candidate| candidate.target), first.group.reason());
        Decision::Plan(Plan { ask_on_error: true, ..plan })
    }
}

weir_sdk::export!(RouteSlo: route);
