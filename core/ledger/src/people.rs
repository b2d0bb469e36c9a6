//! Organisations, teams and keys as rows.

use std::sync::Arc;
use std::time::Instant;

use weir_llm::price::Nanos;
use weir_llm::terms::DataClass;

use crate::account::{Account, Budget, Period};
use crate::limit::Limiter;
use crate::principal::Principal;
use crate::seat::Seats;
use crate::wishes::Wishes;

/// The team of keys that name none.
pub const DEFAULT_TEAM: &str = "team_default";
/// The organisation of teams that name none.
pub const DEFAULT_ORGANISATION: &str = "org_default";

/// An organisation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Organisation {
    /// Public id, `org_…`.
    pub id: String,
    /// Unique name.
    pub name: String,
    /// What it asks of whoever gets its content.
    pub wishes: Wishes,
}

/// A team.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Team {
    /// Public id, `team_…`.
    pub id: String,
    /// Public id of its organisation.
    pub organisation: String,
    /// Name, unique in the organisation.
    pub name: String,
    /// What it asks of whoever gets its content.
    pub wishes: Wishes,
}

/// What holds keys, and what may be changed for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// An organisation.
    Organisation,
    /// A team.
    Team,
}

/// What of an organisation or a team is to be another; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// Its name.
    pub name: Option<String>,
    /// How long content may be kept; `Some(None)`: no wish any more.
    pub retention: Option<Option<String>>,
    /// Where content may go; `Some(None)`: anywhere.
    pub region: Option<Option<String>>,
    /// Whether nobody may train on content.
    pub no_training: Option<bool>,
    /// How sensitive content is; `Some(None)`: not said any more.
    pub class: Option<Option<DataClass>>,
}

impl Edit {
    /// What is wrong with it, if something is.
    pub(crate) fn problem(&self) -> Option<String> {
        let wishes = Wishes {
            retention: self.retention.clone().flatten(),
            region: self.region.clone().flatten(),
            ..Wishes::default()
        };
        let nameless = self.name.as_ref().is_some_and(|name| name.trim().is_empty());
        if nameless { Some("name: it needs one".into()) } else { wishes.problem() }
    }
}

/// What a new key may do. The default: everything, for ever, without limits, in the default team.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    /// Name, for people.
    pub name: String,
    /// Public id of its team; `None`: the default team.
    pub team: Option<String>,
    /// Unix milliseconds at which it ends.
    pub expires_ms: Option<i64>,
    /// Requests per minute.
    pub rpm: Option<u32>,
    /// Exchanges at one time; `None`: the gateway's default.
    pub concurrency: Option<u32>,
    /// What it may spend.
    pub budget: Option<NewBudget>,
    /// What it asks of whoever gets its content.
    pub wishes: Wishes,
    /// Tags: name and value.
    pub tags: Vec<(String, String)>,
    /// `x-weir-*` request headers it may send.
    pub scopes: Vec<String>,
    /// Model names it may ask for; `None`: all.
    pub models: Option<Vec<String>>,
}

/// A budget for a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewBudget {
    /// What may be spent in a period.
    pub limit: Nanos,
    /// Never overspent.
    pub hard: bool,
    /// When it begins anew.
    pub period: Period,
}

/// A key as `weir key list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Public id, `key_…`.
    pub id: String,
    /// Name, for people.
    pub name: String,
    /// Public id of its team.
    pub team: String,
    /// Public id of its organisation.
    pub organisation: String,
    /// Unix milliseconds.
    pub created_ms: i64,
    /// Unix milliseconds at which it ends.
    pub expires_ms: Option<i64>,
    /// Unix milliseconds at which it was taken back.
    pub revoked_ms: Option<i64>,
    /// Requests per minute.
    pub rpm: Option<u32>,
    /// Exchanges at one time; `None`: the gateway's default.
    pub concurrency: Option<u32>,
    /// What it may spend.
    pub budget: Option<Budget>,
    /// The strictest wish of organisation, team and key.
    pub retention: String,
    /// The regions that organisation, team and key ask for: a list each, and all hold.
    pub regions: Vec<String>,
    /// Whether one of them says that nobody may train on content.
    pub no_training: bool,
    /// The most sensitive class that organisation, team and key say; `None`: none says any.
    pub class: Option<DataClass>,
    /// Tags, sorted by name.
    pub tags: Vec<(String, String)>,
    /// `x-weir-*` request headers it may send.
    pub scopes: Vec<String>,
    /// Model names it may ask for; `None`: all.
    pub models: Option<Vec<String>>,
}

/// A key with what only the ledger itself may see.
#[derive(Clone)]
pub struct KeyRecord {
    /// Row id.
    pub row: i64,
    /// HMAC of the key's secret part.
    pub tag: [u8; 32],
    /// The rest.
    pub key: KeyRow,
}

impl NewKey {
    /// What is wrong with it, if something is.
    pub(crate) fn problem(&self) -> Option<String> {
        let negative = self.budget.filter(|budget| budget.limit.0 < 0);
        match (self.wishes.problem(), negative) {
            (Some(problem), _) => Some(problem),
            (None, Some(_)) => Some("a budget's limit is not negative".into()),
            (None, None) if self.name.trim().is_empty() => Some("a key needs a name".into()),
            (None, None) => None,
        }
    }
}

impl KeyRecord {
    /// The principal of the request path, with a limiter of its own.
    pub(crate) fn principal(&self, account: Option<Arc<Account>>) -> Principal {
        let key = &self.key;
        Principal {
            key_id: key.id.as_str().into(),
            key_name: key.name.as_str().into(),
            team_id: key.team.as_str().into(),
            organisation_id: key.organisation.as_str().into(),
            retention: key.retention.as_str().into(),
            regions: key.regions.clone().into(),
            no_training: key.no_training,
            class: key.class,
            tags: key.tags.clone().into(),
            rpm: key.rpm,
            concurrency: key.concurrency,
            seats: Seats::default(),
            budget: key.budget.clone(),
            scopes: key.scopes.clone().into(),
            models: key.models.clone().map(Into::into),
            expires_ms: key.expires_ms,
            row: self.row,
            account,
            limiter: key.rpm.map(|rpm| Arc::new(Limiter::new(rpm, Instant::now()))),
        }
    }
}
