//! Keys: made, listed, taken back. The same functions serve the admin API and a command line that has the ledger to
//! itself.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir_ledger::{KeyRow, Ledger, NewBudget, NewKey, Period, StoreError, Wishes};
use weir_llm::price::Nanos;
use weir_policy::DataClass;

/// What a new key may do, as the admin API takes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Name, for people.
    pub name: String,
    /// Public id of its team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Requests per minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpm: Option<u32>,
    /// Exchanges at one time; the gateway's default unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Dollars that may be spent, as a decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<String>,
    /// `none`, `day` or `month`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_period: Option<String>,
    /// The budget only warns.
    #[serde(default)]
    pub soft: bool,
    /// Retention wish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<String>,
    /// Regions that it asks for, with commas between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Nobody may train on its content.
    #[serde(default)]
    pub no_training: bool,
    /// How sensitive its content is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<DataClass>,
    /// Tags: name and value.
    #[serde(default)]
    pub tags: Vec<(String, String)>,
    /// What it may do beyond making requests: `explain`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Model names it may ask for; empty: all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Unix milliseconds at which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
}

/// Why a key was not made, listed or taken back.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The caller's mistake.
    #[error("{0}")]
    Bad(String),
    /// The ledger's word.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl KeyError {
    /// The HTTP status that says so.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Bad(_) | Self::Store(StoreError::Invalid(_)) => StatusCode::BAD_REQUEST,
            Self::Store(StoreError::Missing { .. }) => StatusCode::NOT_FOUND,
            Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Makes a key; its text is in the answer and nowhere else.
///
/// # Errors
/// Something in it is not valid, or the ledger does not take it.
pub fn create(ledger: &Ledger, body: &[u8]) -> Result<Value, KeyError> {
    let wanted: Wanted = serde_json::from_slice(body).map_err(|error| KeyError::Bad(error.to_string()))?;
    let (row, secret) = ledger.create_key(wanted.key()?)?;
    let mut shown = show(&row);
    shown["key"] = secret.expose().into();
    Ok(shown)
}

/// Lists the keys.
///
/// # Errors
/// The ledger cannot be read.
pub fn list(ledger: &Ledger) -> Result<Value, KeyError> {
    let rows = ledger.list_keys()?;
    Ok(json!({ "keys": rows.iter().map(show).collect::<Vec<_>>() }))
}

/// Takes a key back.
///
/// # Errors
/// There is no such key, or the ledger cannot be written.
pub fn revoke(ledger: &Ledger, id: &str) -> Result<Value, KeyError> {
    ledger.revoke_key(id)?;
    Ok(json!({ "revoked": id }))
}

impl Wanted {
    fn key(self) -> Result<NewKey, KeyError> {
        let budget = match &self.budget_usd {
            None => None,
            Some(usd) => Some(NewBudget {
                limit: Nanos::from_usd(usd).map_err(|error| KeyError::Bad(format!("budget_usd: {error}")))?,
                hard: !self.soft,
                period: match self.budget_period.as_deref() {
                    None => Period::parse("none"),
                    Some(name) => Period::parse(name),
                }
                .ok_or_else(|| KeyError::Bad("budget_period: none, day or month".to_owned()))?,
            }),
        };
        for (what, bound) in [("rpm", self.rpm), ("concurrency", self.concurrency)] {
            if bound == Some(0) {
                let why = format!(
                    "{what}: a key that may make no request is of no use; write 1 or more, or leave it out"
                );
                return Err(KeyError::Bad(why));
            }
        }
        Ok(NewKey {
            name: self.name,
            team: self.team,
            expires_ms: self.expires_ms,
            rpm: self.rpm,
            concurrency: self.concurrency,
            budget,
            wishes: Wishes {
                retention: self.retention,
                region: self.region,
                no_training: self.no_training,
                class: self.class,
            },
            tags: self.tags,
            scopes: known(self.scopes)?,
            models: (!self.models.is_empty()).then_some(self.models),
        })
    }
}

/// What a key may be allowed beyond making requests.
const SCOPES: [&str; 1] = ["explain"];

fn known(scopes: Vec<String>) -> Result<Vec<String>, KeyError> {
    match scopes.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
        Some(scope) => Err(KeyError::Bad(format!("scopes: `{scope}` is none; known: {}", SCOPES.join(", ")))),
        None => Ok(scopes),
    }
}

fn show(row: &KeyRow) -> Value {
    json!({
        "id": row.id,
        "name": row.name,
        "team": row.team,
        "organisation": row.organisation,
        "created_ms": row.created_ms,
        "expires_ms": row.expires_ms,
        "revoked_ms": row.revoked_ms,
        "rpm": row.rpm,
        "concurrency": row.concurrency,
        "budget": row.budget.as_ref().map(|budget| json!({
            "limit_usd": crate::exchange::reply::usd(budget.limit),
            "hard": budget.hard,
            "period": budget.period.as_str(),
        })),
        "retention": row.retention,
        "regions": row.regions,
        "no_training": row.no_training,
        "class": row.class,
        "tags": row.tags,
        "scopes": row.scopes,
        "models": row.models,
    })
}
