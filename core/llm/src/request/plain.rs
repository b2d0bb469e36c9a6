//! APIs that pass through to a provider of the same dialect: embeddings, images, speech, moderations, rerank. Only what
//! routing and money need is read.

use super::read::{Path, choices, distinct, missing, model_name, optional_bool, optional_text};
use super::{Fields, RequestError};
use crate::api::Api;
use crate::json::Value;

/// What is read; a key that differs from one of these only in case is refused.
const FIELDS: &[&str] = &["model", "stream", "n", "user", "input", "prompt"];
/// OpenAI's default where the caller names no model.
const MODERATION: &str = "omni-moderation-latest";

/// Reads the fields of a body.
pub(super) fn fields(root: Value<'_>, api: Api) -> Result<Fields, RequestError> {
    let mut fields = Fields { choices: 1, ..Fields::default() };
    for (key, value) in root.members() {
        let path = &Path::Root(&key);
        match key.as_ref() {
            "model" => {
                fields.model = model_name(value, path)?;
                fields.model_span = value.span();
            }
            "stream" => fields.stream = optional_bool(value, path)?.unwrap_or(false),
            "n" => fields.choices = choices(value, path)?,
            "user" => fields.user = optional_text(value, path)?.then(|| value.span()),
            other => distinct(other, FIELDS, path)?,
        }
    }
    if fields.model.is_empty() {
        if api != Api::Moderations {
            return Err(missing(&Path::Root("model")));
        }
        fields.model = MODERATION.to_owned();
    }
    Ok(fields)
}
