//! Masks e-mail addresses in requests.

use serde::Deserialize;
use weir_sdk::{Config, Deny, Edit, Finding, Guard, Plugin, Request, Severity, Verdict};

/// The plugin and its config.
#[derive(Deserialize)]
#[serde(default)]
pub struct Mask {
    mask: String,
}

impl Default for Mask {
    fn default() -> Self {
        Self { mask: "[email]".into() }
    }
}

impl Plugin for Mask {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        config.parse()
    }
}

impl Guard for Mask {
    fn guard(&self, request: &dyn Request) -> Verdict {
        // What cannot be checked does not pass.
        let Ok(hits) = request.scan("email") else {
            return Verdict::block(Deny::new(500, "not_checked", "The request could not be checked."));
        };
        let edits = hits.iter().map(|hit| Edit::replace(hit, &self.mask)).collect();
        let findings = hits.iter().map(|hit| Finding::of(hit, "email", Severity::Medium)).collect();
        Verdict::edit(edits).because(findings)
    }
}

weir_sdk::export!(Mask: guard);

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::FakeRequest;

    #[test]
    fn an_address_is_masked() {
        let request = FakeRequest::new().user("to ada@example.org").literals("email", &["ada@example.org"]);
        let verdict = Mask::default().guard(&request);
        assert_eq!(request.edited(&verdict), ["to [email]"]);
    }
}
