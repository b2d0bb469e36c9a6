//! The operator's config: read once at load, shared by all calls, never copied whole.

use super::text;
use crate::api::registrar::Api;
use rhai::{Array, Dynamic, Engine, INT, ImmutableString, Map};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An object of the config. Lists are arrays of values and are copied when a script reads one.
#[derive(Clone, Default)]
pub(crate) struct Config(Arc<BTreeMap<String, Dynamic>>);

impl Config {
    /// Anything but an object counts as an empty one; the schema has refused it already.
    pub(crate) fn new(config: &Value) -> Self {
        match config {
            Value::Object(fields) => {
                Self(Arc::new(fields.iter().map(|(k, v)| (k.clone(), value(v))).collect()))
            }
            _ => Self::default(),
        }
    }

    /// An absent field is `()`.
    fn field(&self, name: &str) -> Dynamic {
        self.0.get(name).cloned().unwrap_or(Dynamic::UNIT)
    }
}

/// JSON as scripts see it, objects as [`Config`].
fn value(json: &Value) -> Dynamic {
    match json {
        Value::Object(_) => Dynamic::from(Config::new(json)),
        Value::Array(items) => items.iter().map(value).collect::<Array>().into(),
        scalar => plain(scalar),
    }
}

/// JSON as scripts see it, objects as maps.
pub(super) fn plain(json: &Value) -> Dynamic {
    match json {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(string) => text(string),
        Value::Array(items) => items.iter().map(plain).collect::<Array>().into(),
        Value::Object(fields) => {
            fields.iter().map(|(k, v)| (k.as_str().into(), plain(v))).collect::<Map>().into()
        }
    }
}

/// Lets `config.name` find its field at once. Without a getter of that name Rhai would first write an error, then ask
/// the indexer; `names` are the properties that the script mentions.
pub(crate) fn fields(engine: &mut Engine, names: BTreeSet<String>) {
    for name in names {
        let field = name.clone();
        engine.register_get(name, move |config: &mut Config| config.field(&field));
    }
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<Config>("Config");
    // `config["strategy"]`; `config.strategy` comes by `fields`.
    api.indexer(|config: &mut Config, name: ImmutableString| Ok(config.field(&name)));
    api.function("get", |config: &mut Config, name: ImmutableString, otherwise: Dynamic| {
        Ok(config.0.get(name.as_str()).cloned().unwrap_or(otherwise))
    });
    api.function("contains", |config: &mut Config, name: ImmutableString| {
        Ok(config.0.contains_key(name.as_str()))
    });
    api.function("keys", |config: &mut Config| Ok(config.0.keys().map(|name| text(name)).collect::<Array>()));
    api.function("len", |config: &mut Config| Ok(config.0.len() as INT));
}
