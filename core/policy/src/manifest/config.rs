//! An operator's config against the JSON Schema that the policy brings.

use crate::policy::LoadError;
use serde_json::Value;

pub(super) fn check(schema: Option<&Value>, file: &str, config: &Value) -> Result<(), LoadError> {
    let Some(schema) = schema else { return accept_empty(file, config) };
    let validator = jsonschema::validator_for(schema).map_err(|error| {
        LoadError::new(
            file,
            format!("config_schema is no JSON Schema: {error} at `{}`", error.instance_path()),
        )
    })?;
    let config = if config.is_null() { &Value::Object(serde_json::Map::new()) } else { config };
    let wrong: Vec<String> = validator.iter_errors(config).map(|e| describe(&e)).collect();
    match wrong.as_slice() {
        [] => Ok(()),
        all => Err(LoadError::new(file, format!("config does not fit: {}", all.join("; ")))),
    }
}

/// `/mask/length: 5 is less than the minimum of 8`; values are masked since a config may carry a secret.
fn describe(error: &jsonschema::ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    let place = if path.is_empty() { "config".to_owned() } else { path };
    format!("{place}: {}", error.masked())
}

fn accept_empty(file: &str, config: &Value) -> Result<(), LoadError> {
    match config {
        Value::Null => Ok(()),
        Value::Object(fields) if fields.is_empty() => Ok(()),
        _ => Err(LoadError::new(file, "the policy takes no config").hint("it declares no config_schema")),
    }
}
