//! Waits for a provider that says when to come again, if that is soon. Asked where the plan says `ask_on_error`.

use serde::Deserialize;
use weir_sdk::{AttemptError, Config, ErrorClass, Head, OnError, Plugin, Recovery};

/// The plugin and its config.
#[derive(Deserialize)]
#[serde(default)]
pub struct Patience {
    patience_ms: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { patience_ms: 2_000 }
    }
}

impl Plugin for Patience {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        config.parse()
    }
}

impl OnError for Patience {
    fn on_error(&self, _: &Head, errors: &[AttemptError]) -> Recovery {
        let [only] = errors else { return Recovery::FollowPlan };
        match (only.class, only.retry_after_ms) {
            (ErrorClass::RateLimited, Some(ms)) if ms <= self.patience_ms => Recovery::RetryAfter(ms),
            _ => Recovery::FollowPlan,
        }
    }
}

weir_sdk::export!(Patience: on_error);

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing;

    #[test]
    fn a_short_wait_is_worth_it() {
        let error =
            AttemptError { retry_after_ms: Some(100), ..testing::attempt_error(ErrorClass::RateLimited) };
        let recovery = Patience::default().on_error(&testing::head(), &[error]);
        assert!(matches!(recovery, Recovery::RetryAfter(100)));
    }
}
