//! `policies`.

use super::Lower;
use crate::config::file::{File, PolicyFile, ShipFile, SigningFile, default};
use crate::config::paths;
use crate::config::place::At;
use crate::config::problem::did_you_mean;
use crate::config::program::{CanaryOptions, Engine, PolicyBinding, ShadowOptions, ShipOptions, Signing};
use crate::config::scalar::{FilePath, Text};
use crate::config::tree::{NodeId, Value};
use serde_json::{Map, Value as Json};
use std::path::{Path, PathBuf};

impl Lower<'_> {
    /// The policies to load, in the file's order.
    pub(super) fn policies(&mut self, list: &[PolicyFile], file: &File, direct: bool) -> Vec<PolicyBinding> {
        list.iter().filter_map(|policy| self.policy(policy, file, direct)).collect()
    }

    /// `None`: switched off, left out, or wrong (and noted).
    fn policy(&mut self, policy: &PolicyFile, file: &File, direct: bool) -> Option<PolicyBinding> {
        let enabled = self.or(policy.enabled, default::ENABLED);
        let optional = self.or(policy.optional, default::OPTIONAL);
        let config = policy.config.map(|at| self.json(at.id));
        let models = policy.models.as_ref().map(|models| self.bound(models, file, direct));
        let grants = self.all(&policy.grants);
        let except = self.all(&policy.except);
        let ship = policy.ship.as_ref().map(|ship| self.ship(ship));
        let (path, engine) = self.policy_file(policy.file, enabled?, optional?)?;
        let models = match models {
            None => None,
            Some(models) => Some(models?),
        };
        let config = match config {
            None => Json::Object(Map::new()),
            Some(config) => config?,
        };
        let mut grants: Vec<_> = grants?.into_iter().map(|grant| grant.0).collect();
        grants.sort_unstable();
        grants.dedup();
        let except = except?.into_iter().map(|surface| surface.0).collect();
        let ship = match ship {
            None => None,
            Some(ship) => Some(ship?),
        };
        Some(PolicyBinding { file: path, engine, config, models, grants, except, ship })
    }

    fn ship(&mut self, file: &ShipFile) -> Option<ShipOptions> {
        let shadow = file.shadow.as_ref().map(|shadow| {
            let (requests, span) = (self.maybe(shadow.requests), self.maybe(shadow.r#for));
            ShadowOptions { requests, span }
        });
        let canary = file.canary.as_ref().map(|canary| {
            let (share, span) = (self.value(canary.share), self.maybe(canary.r#for));
            share.map(|share| CanaryOptions { share, span })
        });
        let max_changed = self.or(file.max_changed, default::MAX_CHANGED);
        let rollback_window = self.or(file.rollback_window, default::ROLLBACK_WINDOW);
        let canary = match canary {
            None => None,
            Some(canary) => Some(canary?),
        };
        Some(ShipOptions { shadow, canary, max_changed: max_changed?, rollback_window: rollback_window? })
    }

    /// Who may sign policies.
    pub(super) fn signing(&mut self, file: &SigningFile) -> Option<Signing> {
        let keys = self.all(&file.keys);
        let required = self.or(file.required, default::SIGNED)?;
        let keys = keys?;
        if let (true, true, Some(at)) = (required, keys.is_empty(), file.required) {
            self.error(at.id, "no policy could be loaded: `signing.keys` names no key");
        }
        Some(Signing { keys, required })
    }

    fn policy_file(&mut self, at: At<FilePath>, enabled: bool, optional: bool) -> Option<(PathBuf, Engine)> {
        let path = self.from.base.join(self.value(at)?);
        let engine = engine(&path);
        if engine.is_none() {
            let subject = self.subject::<FilePath>(at.id);
            self.error(at.id, format!("{subject} is neither a `.rhai` script nor a `.wasm` component"));
        }
        let engine = engine.filter(|_| enabled)?;
        // A signature may come after its file.
        self.read.files.extend([path.clone(), path.with_added_extension("minisig")]);
        match paths::unusable(&path) {
            None => Some((path, engine)),
            Some(why) if optional => {
                self.warn(at.id, format!("left out, {}: {why}", self.file_name(at.id, &path)));
                None
            }
            Some(why) => {
                self.error(at.id, format!("{}: {why}", self.file_name(at.id, &path)));
                None
            }
        }
    }

    /// The models that a policy is bound to, each of them known.
    fn bound(&mut self, models: &[At<Text>], file: &File, direct: bool) -> Option<Vec<String>> {
        let names: Vec<_> = models.iter().map(|at| self.bound_model(*at, file, direct)).collect();
        names.into_iter().collect()
    }

    fn bound_model(&mut self, at: At<Text>, file: &File, direct: bool) -> Option<String> {
        let name = self.value(at)?;
        if let Some((provider, _)) = name.split_once('/').filter(|_| direct) {
            self.provider_index(at.id, provider, &file.providers)?;
            return Some(name);
        }
        let known: Vec<&str> = file.models.0.iter().filter_map(|(key, _)| self.written(key.id)).collect();
        if !known.contains(&name.as_str()) {
            let message = format!("there is no model `{name}`{}", did_you_mean(&name, known));
            self.error(at.id, message);
            return None;
        }
        Some(name)
    }

    /// YAML as JSON, strings interpolated.
    fn json(&mut self, id: NodeId) -> Option<Json> {
        let tree = self.tree;
        match &tree.node(id).value {
            Value::Null => Some(Json::Null),
            Value::Bool(value) => Some(Json::Bool(*value)),
            Value::Number(written) => self.json_number(id, written),
            Value::Text(_) => self.text(id).map(Json::String),
            Value::Seq(items) => {
                let items: Vec<_> = items.iter().map(|item| self.json(*item)).collect();
                items.into_iter().collect::<Option<Vec<_>>>().map(Json::Array)
            }
            Value::Map(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|e| self.json(e.value).map(|value| (e.name.clone(), value))).collect();
                entries.into_iter().collect::<Option<Map<_, _>>>().map(Json::Object)
            }
            Value::Reported => None,
        }
    }

    fn json_number(&mut self, id: NodeId, written: &str) -> Option<Json> {
        let number = serde_json::from_str(written).ok();
        if number.is_none() {
            self.error(id, format!("`{written}`: write this number as JSON does, or in quotes as a string"));
        }
        number.map(Json::Number)
    }
}

fn engine(path: &Path) -> Option<Engine> {
    match path.extension()?.to_str()? {
        "rhai" => Some(Engine::Rhai),
        "wasm" => Some(Engine::Wasm),
        _ => None,
    }
}
