//! The list price and so many percent. Whole nano-dollars; the margin is rounded towards zero.

use serde::Deserialize;
use weir_sdk::{Base, Charge, Config, Head, Nanos, Plugin, Price};

/// The plugin and its config.
#[derive(Deserialize)]
#[serde(default)]
pub struct Margin {
    percent: i64,
}

impl Default for Margin {
    fn default() -> Self {
        Self { percent: 10 }
    }
}

impl Plugin for Margin {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        config.parse()
    }
}

impl Price for Margin {
    fn quote(&self, head: &Head, target_id: &str, bound: &Base) -> Nanos {
        self.price(head, target_id, bound).total
    }

    fn price(&self, _: &Head, _: &str, base: &Base) -> Charge {
        let margin = i128::from(base.list_price) * i128::from(self.percent) / 100;
        let margin = Nanos::try_from(margin).unwrap_or(Nanos::MAX);
        Charge::of([("list", base.list_price), ("margin", margin)])
    }
}

weir_sdk::export!(Margin: price);

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing;

    #[test]
    fn the_margin_is_on_top() {
        let charge = Margin::default().price(&testing::head(), "a/x", &testing::base(&[("input", 7)], 1_000));
        assert_eq!(charge.total, 1_100);
    }
}
