//! What a case states of its host.

use super::store::Key;
use crate::cases::file::{Case, HttpFile};
use crate::cases::world::Place;
use crate::policy::LoadError;
use crate::services::{HttpError, Inbound, Outbound, Scope};
use serde_json::Value;

/// Midnight of the first of January 2026, UTC: where the clock of a case stands that does not say.
const START_MS: u64 = 1_767_225_600_000;

/// What a case states.
#[derive(Clone, Default)]
pub(in crate::cases) struct Script {
    pub(super) now_ms: u64,
    pub(super) random: Option<u64>,
    pub(super) kv: Vec<(Key, Vec<u8>)>,
    pub(super) http: Vec<Scripted>,
    tenant: String,
    request_id: String,
}

/// A call that is expected, and its reply.
#[derive(Clone)]
pub(super) struct Scripted {
    alias: String,
    method: Option<String>,
    path: Option<String>,
    pub(super) answer: Result<Inbound, HttpError>,
}

impl Script {
    /// What a case states; `tenant` and `request_id` are its own.
    pub(in crate::cases) fn of(
        file: &str,
        case: &Case,
        tenant: &str,
        request_id: &str,
    ) -> Result<Self, LoadError> {
        let place = Place::case(file, case);
        let mut script = Self {
            now_ms: case.now_ms.unwrap_or(START_MS),
            random: case.random,
            kv: Vec::new(),
            http: case.http.iter().map(|written| scripted(place, written)).collect::<Result<_, _>>()?,
            tenant: tenant.to_owned(),
            request_id: request_id.to_owned(),
        };
        for (named, value) in &case.kv {
            let key = script.key(named).ok_or_else(|| no_key(place, named))?;
            script.kv.push((key, bytes(value)));
        }
        let after = case.kv_after.iter().flatten().map(|(named, _)| named);
        match after.into_iter().find(|named| script.key(named).is_none()) {
            Some(wrong) => Err(no_key(place, wrong)),
            None => Ok(script),
        }
    }

    /// A key as a case names it: `plugin/KEY`, `tenant/KEY` (of the case's own organisation), `tenant@ID/KEY`,
    /// `request/KEY`.
    pub(super) fn key(&self, named: &str) -> Option<Key> {
        let (scope, key) = named.split_once('/')?;
        let (scope, owner) = match scope.split_once('@') {
            Some(("tenant", owner)) => (Scope::Tenant, owner),
            Some(_) => return None,
            None => match Scope::ALL.into_iter().find(|known| known.as_str() == scope)? {
                Scope::Plugin => (Scope::Plugin, ""),
                Scope::Tenant => (Scope::Tenant, self.tenant.as_str()),
                Scope::Request => (Scope::Request, self.request_id.as_str()),
            },
        };
        Some(Key { scope, owner: owner.to_owned(), key: key.to_owned() })
    }

    /// The inverse of [`Script::key`].
    pub(super) fn name(&self, key: &Key) -> String {
        match key.scope {
            Scope::Tenant if key.owner != self.tenant => format!("tenant@{}/{}", key.owner, key.key),
            scope => format!("{}/{}", scope.as_str(), key.key),
        }
    }

    /// Which reply a call gets: the first that fits and was not given yet, else the last that fits.
    pub(super) fn reply(&self, call: &Outbound, given: &[u32]) -> Option<usize> {
        let fits = |scripted: &Scripted| {
            scripted.alias == call.host_alias
                && scripted.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(&call.method))
                && scripted.path.as_ref().is_none_or(|path| *path == call.path)
        };
        let fitting = || (0..self.http.len()).filter(|&at| fits(&self.http[at]));
        fitting().find(|&at| given[at] == 0).or_else(|| fitting().next_back())
    }
}

fn no_key(place: Place<'_>, named: &str) -> LoadError {
    place
        .error(format!("`{named}` is no key of the store"))
        .hint("plugin/KEY, tenant/KEY, tenant@ID/KEY or request/KEY")
}

fn scripted(place: Place<'_>, written: &HttpFile) -> Result<Scripted, LoadError> {
    let answer = match &written.error {
        None => Ok(Inbound {
            status: written.status,
            headers: written.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            body: bytes(&written.body),
            truncated: false,
        }),
        Some(name) => {
            Err(HttpError::ALL.into_iter().find(|error| error.as_str() == name.value).ok_or_else(|| {
                place.of(name).unknown("HTTP error", &name.value, HttpError::ALL.map(HttpError::as_str))
            })?)
        }
    };
    let (alias, method, path) = (written.alias.clone(), written.method.clone(), written.path.clone());
    Ok(Scripted { alias, method, path, answer })
}

fn bytes(value: &Value) -> Vec<u8> {
    value_text(value).unwrap_or_default().into_bytes()
}

/// A text as it is, anything else as JSON; null is nothing.
pub(in crate::cases) fn value_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    }
}
