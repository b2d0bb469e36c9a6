//! A guard that masks e-mail addresses, card numbers, IBANs, social security numbers and API keys in requests.
//!
//! The host scans with the patterns of `manifest.yaml` in native code; what has a check digit is checked here. A request
//! without a hit does not come here: the manifest says what must be found.
//!
//! # Layout
//!
//! - [`class`]: what there is to mask, and which pattern finds it.
//! - [`check`]: check digits of card numbers and IBANs.
//! - `config`: which classes, and what comes in their place.
//! - `mask`: from hits to edits.

pub mod check;
pub mod class;
mod config;
mod mask;

use config::Settings;
use weir_sdk::{AccessError, Config, Deny, Guard, Plugin, Request, Verdict};

/// The plugin.
pub struct MaskPii {
    settings: Settings,
}

impl Plugin for MaskPii {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        Ok(Self { settings: config.parse()? })
    }
}

impl Guard for MaskPii {
    fn guard(&self, request: &dyn Request) -> Verdict {
        match mask::edits(request, &self.settings) {
            Ok(masked) => Verdict::edit(masked.edits).because(masked.findings),
            Err(error) => refuse(error),
        }
    }
}

/// A text that cannot be checked does not pass.
fn refuse(error: AccessError) -> Verdict {
    let message = match error {
        AccessError::Budget => "This request has more matches than can be masked.",
        _ => "This request could not be checked for personal data.",
    };
    Verdict::block(Deny::new(400, "too_many_matches", message))
}

weir_sdk::export!(MaskPii: guard);
