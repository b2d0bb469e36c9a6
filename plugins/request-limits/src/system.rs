//! Who may write instructions.

use crate::config::Settings;
use crate::not_checked;
use crate::size::Seen;
use weir_sdk::{AccessError, Api, Deny, Request, Role};

pub(crate) fn check(seen: &Seen, settings: &Settings) -> Result<(), Deny> {
    let Some(role) = seen.forbidden.filter(|role| !settings.may_write(*role)) else { return Ok(()) };
    let role = if role == Role::Developer { "developer" } else { "system" };
    let message = format!("Instructions in the role `{role}` may not be sent here: they are set for you.");
    Err(Deny::new(403, "system_prompt_not_allowed", message))
}

/// A prompt that is stored with the provider brings instructions and tools that nobody here can see.
pub(crate) fn check_stored(request: &dyn Request) -> Result<(), Deny> {
    if !matches!(request.head().api, Api::Responses) {
        return Ok(());
    }
    match request.json("/prompt", 4) {
        Ok(None) => Ok(()),
        Ok(Some(json)) if json == "null" => Ok(()),
        Ok(Some(_)) | Err(AccessError::Budget) => {
            let message =
                "Stored prompts may not be used here: their instructions and tools cannot be checked.";
            Err(Deny::new(403, "stored_prompt_not_allowed", message))
        }
        Err(_) => Err(not_checked()),
    }
}
