//! The list price and a tenth; remembers calls, which must not show.

#[path = "../../misdeeds.rs"]
mod misdeeds;

use misdeeds::Misdeeds;
use std::cell::Cell;
use weir_sdk::{Base, Charge, Config, Head, Nanos, Plugin, Price};

/// The plugin.
pub struct Pricer {
    misdeeds: Misdeeds,
    calls: Cell<Nanos>,
}

impl Plugin for Pricer {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        Ok(Self { misdeeds: Misdeeds::new(config.json()), calls: Cell::new(0) })
    }
}

impl Price for Pricer {
    fn quote(&self, _: &Head, _: &str, bound: &Base) -> Nanos {
        self.misdeeds.commit("quote");
        bound.list_price * 2
    }

    fn price(&self, head: &Head, target_id: &str, base: &Base) -> Charge {
        self.misdeeds.commit("price");
        if let Some(text) = self.misdeeds.huge("price") {
            return Charge::of([(text, 1)]);
        }
        self.calls.set(self.calls.get() + 1);
        let units = base.lines.iter().map(|line| line.quantity).sum::<u64>();
        let mut charge = Charge::of([
            ("list", base.list_price),
            ("margin", base.list_price / 10),
            ("calls before", self.calls.get() - 1),
        ]);
        charge.tags = vec![(format!("{} at {target_id}", head.requested_model), units.to_string())];
        charge
    }
}

weir_sdk::export!(Pricer: price);
