//! The host predicate of a manifest: traffic that does not match never enters an engine.

use super::Surface;
use crate::head::{Api, DataClass, Head};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Which requests a policy is asked about: all conditions that are there must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// The requested model is one of these; a trailing `*` matches any rest.
    pub models: Option<Vec<String>>,
    /// The caller's API is one of these.
    pub apis: Option<Vec<ApiName>>,
    /// The caller wants a stream, or does not.
    pub stream: Option<bool>,
    /// The organisation is one of these.
    pub tenants: Option<Vec<String>>,
    /// The class of the caller's data is one of these.
    pub classes: Option<Vec<DataClass>>,
    /// Every one of these tags is set to this value.
    pub tags: BTreeMap<String, String>,
    /// The body has at least so many bytes.
    pub min_body_bytes: u64,
    /// One of these settings of the operator's config calls for it; without any of them it is never asked.
    pub config: BTreeMap<String, CallsFor>,
    /// One of these matchers of the manifest hits in what the hook is shown; see [`Question::spared`].
    ///
    /// [`Question::spared`]: crate::Question::spared
    pub finds: Vec<String>,
}

impl When {
    /// Whether a policy with this predicate is asked about a request, as far as its head says. `bytes`: how long the body
    /// is, see [`RequestView::body_bytes`].
    ///
    /// [`RequestView::body_bytes`]: crate::RequestView::body_bytes
    #[must_use]
    pub fn holds(&self, head: &Head, bytes: u64) -> bool {
        let model = |names: &Vec<String>| names.iter().any(|name| covers(name, &head.requested_model));
        let tagged =
            |(name, value): (&String, &String)| head.tags.iter().any(|t| t.0 == *name && t.1 == *value);
        self.models.as_ref().is_none_or(model)
            && self.apis.as_ref().is_none_or(|apis| apis.iter().any(|api| api.0 == head.api))
            && self.stream.is_none_or(|stream| stream == head.stream)
            && self.tenants.as_ref().is_none_or(|t| t.iter().any(|t| **t == *head.tenant))
            && self.classes.as_ref().is_none_or(|classes| classes.contains(&head.class))
            && self.tags.iter().all(tagged)
            && bytes >= self.min_body_bytes
    }

    /// What an operator's config makes of [`When::config`]: how large a body must be at least. A setting that has a `default`
    /// in the schema is always set.
    pub(super) fn settle(&mut self, config: &Value, schema: Option<&Value>) {
        if self.config.is_empty() {
            return;
        }
        let default = |key: &String| schema?.get("properties")?.get(key)?.get("default");
        let set = |key: &String| config.get(key).or_else(|| default(key));
        let called = self.config.iter().filter_map(|(key, calls)| Some(calls.from(set(key)?)));
        self.min_body_bytes = self.min_body_bytes.max(called.min().unwrap_or(u64::MAX));
    }

    /// Whether [`When::holds`] may be false.
    pub(crate) fn looks_at_heads(&self) -> bool {
        Self { finds: Vec::new(), config: BTreeMap::new(), ..self.clone() } != Self::default()
    }

    /// Whether the predicate leaves a surface out altogether.
    #[must_use]
    pub fn leaves_out(&self, surface: Surface) -> bool {
        let (api, stream) = surface.api();
        self.stream.is_some_and(|wanted| stream != Some(wanted))
            || self.apis.as_ref().is_some_and(|apis| apis.iter().all(|name| name.0 != api))
    }
}

/// Whether a model name is meant by what an operator or author wrote.
pub(crate) fn covers(written: &str, model: &str) -> bool {
    match written.strip_suffix('*') {
        Some(prefix) => model.starts_with(prefix),
        None => written == model,
    }
}

/// Which requests a setting wants a policy to be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallsFor {
    /// Those whose body has more bytes than the setting says: a bound that a smaller body keeps whatever is in it.
    LargerBody,
    /// All, wherever it is set.
    Any,
}

impl CallsFor {
    /// The name in manifests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LargerBody => "larger-body",
            Self::Any => "any",
        }
    }

    /// From how many bytes of a body on.
    fn from(self, setting: &Value) -> u64 {
        match (self, setting.as_u64()) {
            (Self::LargerBody, Some(most)) => most.saturating_add(1),
            // Below zero every body is larger.
            (Self::LargerBody, None) | (Self::Any, _) => 0,
        }
    }
}

/// An API by its name in YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ApiName(pub Api);

impl TryFrom<String> for ApiName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let names = || Api::ALL.map(Api::as_str).join(", ");
        Api::parse(&name).map(Self).ok_or_else(|| format!("`{name}` is not an API: {}", names()))
    }
}
