//! Organisations and teams: made. Their wishes hold for every key below them.

use super::keys::KeyError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir_ledger::{Ledger, Wishes};

/// A new organisation or team, as the admin API takes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Name, for people; unique.
    pub name: String,
    /// For a team: public id of its organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// `zero`, `zero-except-safety` or `days-N`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<String>,
    /// Regions with commas between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Nobody may train on content.
    #[serde(default)]
    pub no_training: bool,
}

/// Makes an organisation.
///
/// # Errors
/// The name is taken, or a wish is not valid.
pub fn organisation(ledger: &Ledger, body: &[u8]) -> Result<Value, KeyError> {
    let wanted = read(body)?;
    if wanted.organisation.is_some() {
        return Err(KeyError::Bad("organisation: an organisation is in none".to_owned()));
    }
    let id = ledger.create_organisation(&wanted.name, &wanted.wishes())?;
    Ok(json!({ "id": id, "name": wanted.name }))
}

/// Makes a team.
///
/// # Errors
/// The name is taken, the organisation is not there, or a wish is not valid.
pub fn team(ledger: &Ledger, body: &[u8]) -> Result<Value, KeyError> {
    let wanted = read(body)?;
    let id = ledger.create_team(wanted.organisation.as_deref(), &wanted.name, &wanted.wishes())?;
    Ok(json!({ "id": id, "name": wanted.name }))
}

fn read(body: &[u8]) -> Result<Wanted, KeyError> {
    let wanted: Wanted = serde_json::from_slice(body).map_err(|error| KeyError::Bad(error.to_string()))?;
    if wanted.name.trim().is_empty() {
        return Err(KeyError::Bad("name: it needs one".to_owned()));
    }
    Ok(wanted)
}

impl Wanted {
    fn wishes(&self) -> Wishes {
        Wishes {
            retention: self.retention.clone(),
            region: self.region.clone(),
            no_training: self.no_training,
        }
    }
}
