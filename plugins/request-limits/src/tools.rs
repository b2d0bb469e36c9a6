//! Which tools a request declares, and whether they may be.
//!
//! - `declared`: one declaration, and the names that it goes by.
//! - `places`: where in a body tools are declared.

mod declared;
mod places;

use crate::config::Settings;
use declared::Declared;
use weir_sdk::{Deny, Request};

/// Longer names are cut in messages.
const SHOWN_CHARS: usize = 64;

pub(crate) fn check(request: &dyn Request, settings: &Settings) -> Result<(), Deny> {
    let tools = places::declared(request)?;
    if let Some(most) = settings.max_tools.filter(|most| tools.len() > *most) {
        let message =
            format!("This request declares {} tools; at most {most} are allowed here.", tools.len());
        return Err(Deny::new(413, "too_many_tools", message));
    }
    tools.iter().try_for_each(|tool| permit(tool, settings))
}

/// Whether all names of a tool are allowed, and none denied. One that has none cannot be judged.
fn permit(tool: &Declared, settings: &Settings) -> Result<(), Deny> {
    let names = tool.names();
    let refused = |name: &String| {
        settings.deny_tools.mean(name) || settings.allow_tools.as_ref().is_some_and(|allow| !allow.mean(name))
    };
    let message = match names.iter().find(|name| refused(name)) {
        Some(name) => {
            let name: String = name.chars().take(SHOWN_CHARS).collect();
            format!("The tool `{name}` may not be used here.")
        }
        None if names.is_empty() && settings.judges_names() => {
            "A tool without a name may not be used here.".to_owned()
        }
        None => return Ok(()),
    };
    Err(Deny::new(403, "tool_not_allowed", message))
}
