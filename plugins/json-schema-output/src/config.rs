//! Whose schema, and what else passes.

use crate::schema::Schema;
use serde::Deserialize;
use serde_json::Value;
use weir_sdk::Config;

/// The operator's config, its schema compiled.
pub(crate) struct Settings {
    pub(crate) schema: Option<Schema>,
    pub(crate) request_schema: bool,
    pub(crate) repair: bool,
    pub(crate) tool_calls: ToolCalls,
}

/// What becomes of a reply that calls tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ToolCalls {
    Pass,
    Block,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    schema: Option<Value>,
    request_schema: bool,
    repair: bool,
    tool_calls: ToolCalls,
}

impl Default for File {
    fn default() -> Self {
        Self { schema: None, request_schema: true, repair: true, tool_calls: ToolCalls::Pass }
    }
}

pub(crate) fn read(config: Config<'_>) -> Result<Settings, String> {
    let File { schema, request_schema, repair, tool_calls } = config.parse()?;
    let schema = schema.as_ref().map(Schema::compile).transpose();
    let schema = schema.map_err(|problem| format!("`schema` cannot be checked: {problem}"))?;
    Ok(Settings { schema, request_schema, repair, tool_calls })
}
