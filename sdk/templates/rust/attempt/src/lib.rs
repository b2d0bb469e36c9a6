//! Tells one provider which team asks, and keeps later attempts away from it.

use serde::Deserialize;
use weir_sdk::{Attempt, AttemptFacts, Config, Head, Plugin, Preparation, Request};

/// The plugin and its config.
#[derive(Deserialize)]
#[serde(default)]
pub struct Teams {
    provider: String,
    header: String,
}

impl Default for Teams {
    fn default() -> Self {
        Self { provider: "internal/".into(), header: "x-team".into() }
    }
}

impl Plugin for Teams {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        config.parse()
    }
}

impl Attempt for Teams {
    fn attempt(&self, head: &Head, facts: &AttemptFacts, _: &dyn Request) -> Preparation {
        if !facts.target_id.starts_with(&self.provider) {
            return Preparation::Pass;
        }
        if facts.number > 1 {
            return Preparation::Skip("tried".into());
        }
        // A key need not belong to a team; a header without a value is none.
        if head.project.is_empty() {
            return Preparation::Pass;
        }
        Preparation::headers([(self.header.as_str(), head.project.as_str())])
    }
}

weir_sdk::export!(Teams: attempt);

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::{self, FakeRequest};

    #[test]
    fn other_providers_learn_nothing() {
        let facts = AttemptFacts { target: 0, target_id: "other/gpt".into(), number: 1 };
        let prepared = Teams::default().attempt(&testing::head(), &facts, &FakeRequest::new());
        assert!(matches!(prepared, Preparation::Pass));
    }
}
