//! Organisations and teams: made, listed, changed. Their wishes hold for every key below them.

use super::keys::KeyError;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use weir_ledger::{Edit, Group, Ledger, Wishes};
use weir_policy::DataClass;

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
    /// How sensitive content is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<DataClass>,
}

/// What is to be another, as the admin API takes it: what is not named stays, and `null` is no wish any more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `zero`, `zero-except-safety`, `days-N`, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named")]
    pub retention: Option<Option<String>>,
    /// Regions with commas between them, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named")]
    pub region: Option<Option<String>>,
    /// Whether nobody may train on content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_training: Option<bool>,
    /// How sensitive content is, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named")]
    pub class: Option<Option<DataClass>>,
}

/// A field that is there, be it `null`.
fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Lists the organisations.
///
/// # Errors
/// The ledger cannot be read.
pub fn organisations(ledger: &Ledger) -> Result<Value, KeyError> {
    let rows = ledger.list_organisations()?;
    let shown = rows.iter().map(|row| shown(&row.id, &row.name, &row.wishes));
    Ok(json!({ "organisations": shown.collect::<Vec<_>>() }))
}

/// Lists the teams.
///
/// # Errors
/// The ledger cannot be read.
pub fn teams(ledger: &Ledger) -> Result<Value, KeyError> {
    let shown = ledger.list_teams()?.into_iter().map(|row| {
        let mut shown = shown(&row.id, &row.name, &row.wishes);
        shown["organisation"] = row.organisation.into();
        shown
    });
    Ok(json!({ "teams": shown.collect::<Vec<_>>() }))
}

fn shown(id: &str, name: &str, wishes: &Wishes) -> Value {
    let Wishes { retention, region, no_training, class } = wishes;
    json!({
        "id": id,
        "name": name,
        "retention": retention,
        "region": region,
        "no_training": no_training,
        "class": class,
    })
}

/// Changes an organisation or a team; answers what it is then.
///
/// # Errors
/// There is none of that id, the name is taken, or a wish is not valid.
pub fn edit(ledger: &Ledger, group: Group, id: &str, body: &[u8]) -> Result<Value, KeyError> {
    let changes: Changes = serde_json::from_slice(body).map_err(|error| KeyError::Bad(error.to_string()))?;
    if changes == Changes::default() {
        return Err(KeyError::Bad(
            "nothing is to be another: name, retention, region, no_training, class".to_owned(),
        ));
    }
    let Changes { name, retention, region, no_training, class } = changes;
    ledger.edit(group, id, Edit { name, retention, region, no_training, class })?;
    let (mut all, list) = match group {
        Group::Organisation => (organisations(ledger)?, "organisations"),
        Group::Team => (teams(ledger)?, "teams"),
    };
    let found = all[list].as_array_mut().into_iter().flatten().find(|row| row["id"] == id);
    Ok(found.map(Value::take).unwrap_or_default())
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
            class: self.class,
        }
    }
}
