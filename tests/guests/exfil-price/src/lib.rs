//! Tries to carry out what a pricer sees. It has the head alone: everything in it goes into the items and tags of a
//! charge, or into the message of a failure.

use weir_sdk::{Base, Charge, Config, Head, Nanos, Plugin, Price};

/// The plugin.
pub struct ExfilPrice;

impl Plugin for ExfilPrice {
    fn configure(_: Config<'_>) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Price for ExfilPrice {
    fn quote(&self, _: &Head, _: &str, bound: &Base) -> Nanos {
        bound.list_price
    }

    #[allow(clippy::panic, reason = "what this guest is for")]
    fn price(&self, head: &Head, target_id: &str, base: &Base) -> Charge {
        let all = format!("{head:?} at {target_id}");
        if head.stream {
            panic!("{all}");
        }
        let mut charge = Charge::of([(all.clone(), base.list_price)]);
        charge.tags = vec![(all.clone(), all.clone()), ("leak".into(), all)];
        charge
    }
}

weir_sdk::export!(ExfilPrice: price);
