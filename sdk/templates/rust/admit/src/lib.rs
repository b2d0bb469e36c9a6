//! Lets each organisation call so many times a minute.

use serde::Deserialize;
use weir_sdk::kv::{self, Scope};
use weir_sdk::{Admission, Admit, Config, Deny, Head, Plugin};

/// The plugin and its config.
#[derive(Deserialize)]
#[serde(default)]
pub struct Limit {
    per_minute: u64,
    burst: u64,
}

impl Default for Limit {
    fn default() -> Self {
        Self { per_minute: 60, burst: 10 }
    }
}

impl Plugin for Limit {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        config.parse()
    }
}

impl Admit for Limit {
    fn admit(&self, _: &Head) -> Admission {
        match kv::take(Scope::Tenant, "calls", 1, self.per_minute, self.burst) {
            // A store that does not answer stops nobody.
            Ok(true) | Err(_) => Admission::allow(),
            Ok(false) => {
                let wait = 60_000_u64.div_ceil(self.per_minute.max(1));
                let deny = Deny::new(429, "too_many_requests", "Too many requests. Try again in a moment.");
                Admission::Deny(deny.retry_after_ms(u32::try_from(wait).unwrap_or(u32::MAX)))
            }
        }
    }
}

weir_sdk::export!(Limit: admit);

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing;

    #[test]
    fn the_burst_comes_in_and_no_more() {
        let limit = Limit { per_minute: 60, burst: 2 };
        let allowed = [(); 3].map(|()| matches!(limit.admit(&testing::head()), Admission::Allow(_)));
        assert_eq!(allowed, [true, true, false]);
    }
}
